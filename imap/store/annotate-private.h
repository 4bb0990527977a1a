/* annotate-private.h: the file `annotations.<generation>` from within. */
#ifndef IMAP_STORE_ANNOTATE_PRIVATE_H
#define IMAP_STORE_ANNOTATE_PRIVATE_H

#include "imap/store/annotate.h"
#include "imap/store/mailbox-private.h"

enum {
    ANNOTATE_FILE_HEAD = 32,
    ANNOTATE_HEAD_SIZE = 32, /* of what a message has */
    ANNOTATE_ITEM_HEAD = 16,
    ANNOTATE_VERSION = 1,
    ANNOTATE_MAGIC = 0x4e414149,
    ANNOTATE_GONE_MAX = 16, /* removed items of a message that are remembered */
};
#define ANNOTATE_REMOVED UINT32_MAX

/* ---- annotate-code.c: bytes ---- */

/* Items as bytes without a UID; nothing if there are none. */
void annotate_encode(const struct annotate_items *items, struct buf *to);
/* Puts UID and checksum in. */
void annotate_stamp(struct buf *bytes, uint32_t uid);
/* Are n bytes a whole set, of that UID (0: any)?  0 or ERR_CORRUPT. */
int annotate_verify(const unsigned char *bytes, size_t n, uint32_t uid);
/* Of bytes that were verified: items in the pool.  0 or ERR_CORRUPT. */
int annotate_decode(const unsigned char *bytes, size_t n, struct pool *pool, struct annotate_items *items_r);
/* What changes make of items; true if they are others than before.  The array is in the pool, the strings where they were. */
bool annotate_apply(struct annotate_items *items, const struct annotate_change *changes, size_t count,
                    uint64_t modseq, struct pool *pool);
/* 0, ERR_LIMIT: more than a message may have. */
int annotate_judge(const struct annotate_items *items);

/* ---- annotate-file.c ---- */

/* The bytes of a record, verified, appended to `to`: as annotate_read(); nothing if it has none. */
int annotate_read_raw(struct mailbox *m, const struct mailbox_record *record, struct buf *to);
/* Within a transaction: writes bytes behind the file's end, and where they are into the record. */
int annotate_append(struct mailbox *m, struct buf *bytes, struct mailbox_record *record);
/* Brings all that was appended to the disk, the file's name too. */
int annotate_sync(struct mailbox *m);

/* Is most of the file what messages had before? */
bool annotate_is_wasteful(struct mailbox *m);

/* A file of another generation, made empty: a descriptor or an error. */
int annotate_create(int dir_fd, uint32_t generation);
int annotate_unlink(int dir_fd, uint32_t generation);
void annotate_name(char to[32], uint32_t generation);

/* Where the file has what: for records that have lost their place. */
struct annotate_map {
    struct annotate_place {
        uint32_t uid, size;
        uint64_t offset;
    } * places; /* by UID */
    size_t count, room;
    bool loaded;
};
/* Gives a record the last that the file has of its UID, or none. */
void annotate_recover(struct mailbox *m, struct annotate_map *map, struct mailbox_record *record);
void annotate_map_free(struct annotate_map *map);

#endif
