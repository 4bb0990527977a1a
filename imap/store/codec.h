/* codec.h: the bytes of headers, records and cache entry heads, made from the .def tables
 * (doc/formats/mailbox.md).  Thread-safe. */
#ifndef IMAP_STORE_CODEC_H
#define IMAP_STORE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imap/store/record.h"
#include "lib/base/buf.h"

enum {
    INDEX_VERSION = 1,
    INDEX_HEADER_SIZE = 3904,
    INDEX_HEADER_B = 4096, /* where copy B begins; A begins at 0 */
    INDEX_SYNCED_AT = 4088,
    INDEX_HEADERS_SIZE = 8192, /* both copies */
    INDEX_RECORD_SIZE = 160,
    INDEX_RECORD_FIXED = 76, /* bytes that never change */
    INDEX_FLAG_NAMES_AT = 8192,
    INDEX_FLAG_NAME_SIZE = 128,
    INDEX_RECORDS_AT = 24576,
    INDEX_RING = 256,
    CACHE_HEAD_SIZE = 64, /* of an entry */
    CACHE_FILE_HEAD = 32,
    CACHE_VERSION = 1,
    CACHE_ENTRY_MAGIC = 0x45434149,
    CACHE_ENTRY_ITEMS = 6
};

/* Where each field of a record stands. */
enum record_offset {
#define RECORD_AT(offset, name)       RECORD_AT_##name = (offset),
#define I16(offset, name, text)       RECORD_AT(offset, name)
#define U32(offset, name, text)       RECORD_AT(offset, name)
#define U64(offset, name, text)       RECORD_AT(offset, name)
#define I64(offset, name, text)       RECORD_AT(offset, name)
#define RAW(offset, size, name, text) RECORD_AT(offset, name)
#include "imap/store/index-record.def"
#undef I16
#undef U32
#undef U64
#undef I64
#undef RAW
#undef RECORD_AT
};

/* The head of a cache entry, from cache-entry.def. */
struct cache_head {
    uint32_t magic, size, crc, uid, version, flags, item_size[CACHE_ENTRY_ITEMS];
    unsigned char cache_reserved[16];
};

/* Each writes exactly its size, checksums computed (they are set in the structure too). */
void header_encode(unsigned char to[INDEX_HEADER_SIZE], struct mailbox_header *header);
void record_encode(unsigned char to[INDEX_RECORD_SIZE], struct mailbox_record *record);
/* The same for records that stand behind each other, with less time a record. */
void records_encode(unsigned char *to, struct mailbox_record *records, uint32_t count);
void cache_head_encode(unsigned char to[CACHE_HEAD_SIZE], const struct cache_head *head);

/* Of what may be a header: of a whole one its field `generation`. */
uint64_t header_generation(const unsigned char from[INDEX_HEADER_SIZE]);

/* 0; ERR_CORRUPT: no header or a bad checksum; ERR_VERSION: whole, but another version or geometry. */
int header_decode(const unsigned char from[INDEX_HEADER_SIZE], struct mailbox_header *header_r);
/* 0 or ERR_CORRUPT. The structure is filled in any case. */
int record_decode(const unsigned char from[INDEX_RECORD_SIZE], struct mailbox_record *record_r);
/* The same of a record that has been verified already. */
void record_take(const unsigned char from[INDEX_RECORD_SIZE], struct mailbox_record *record_r);
/* Are `count` records, one behind the other, all whole? */
bool records_are_whole(const unsigned char *from, uint32_t count);
/* Is the part that never changes whole, though the record is not? */
bool record_fixed_is_whole(const unsigned char from[INDEX_RECORD_SIZE]);
void cache_head_decode(const unsigned char from[CACHE_HEAD_SIZE], struct cache_head *head_r);

/* A flag name slot.  Decoding gives the length or ERR_CORRUPT. */
void flag_name_encode(unsigned char to[INDEX_FLAG_NAME_SIZE], const char *name);
int flag_name_decode(const unsigned char from[INDEX_FLAG_NAME_SIZE], char name_r[USER_FLAG_NAME_MAX + 1]);

/* ---- the tables, for dumps and the check of the documentation ---- */

enum layout_type { LAYOUT_U32, LAYOUT_U64, LAYOUT_I16, LAYOUT_I64, LAYOUT_U32S, LAYOUT_RAW, LAYOUT_TEXT };

struct layout_field {
    const char *name;
    enum layout_type type;
    unsigned offset; /* in the file */
    unsigned size;   /* bytes; of a U32S: of one */
    unsigned count;  /* of a U32S; else 1 */
    size_t at;       /* in the structure */
    const char *text;
};

/* Ended by a field without a name. */
extern const struct layout_field layout_header[], layout_record[], layout_cache_head[];

/* Appends the field's value of a structure as text. */
void layout_format(const struct layout_field *field, const void *of, struct buf *to);

#endif
