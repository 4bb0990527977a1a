/* mailbox.h: a mailbox's files: create, open, lock, header, records (doc/formats/mailbox.md).
 *
 * A mailbox is a directory named by its unique id.  A handle (struct mailbox) is one open file, cheap
 * to open and close (three system calls); each session opens its own and a parked one has none.  A
 * handle belongs to one thread at a time; any number of handles, threads and processes may use the same
 * mailbox: reading takes no lock, writing one lock per mailbox, never two at once. */
#ifndef IMAP_STORE_MAILBOX_H
#define IMAP_STORE_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imap/store/record.h"
#include "imap/store/store.h"
#include "lib/base/buf.h"

struct mailbox;

enum { MAILBOX_ID_MIN = 8, MAILBOX_ID_MAX = 64, MAILBOX_ID_SIZE = MAILBOX_ID_MAX + 1 };
enum { MAILBOX_LISTED_SIZE = 448 /* of mailbox_header.listed */ };

/* Is it `[A-Za-z0-9-]{8,64}`? */
bool mailbox_id_valid(const char *id);
/* A fresh random id (RFC 4122 version 4). */
void mailbox_id_new(char id_r[MAILBOX_ID_SIZE]);

/* Appends the mailbox's directory `<partition>/<h1>/<h2>/<id>`.  ERR_BADNAME: no valid id; ERR_NOTFOUND:
 * no such partition. */
int mailbox_dir(const struct store *store, const char *partition, const char *id, struct buf *to);
/* The same for a partition's directory, without a store (tools). */
int mailbox_dir_under(const char *root, const char *id, struct buf *to);

/* Appends the directory of its index, cache and annotations, which may be on the metapartition (doc/formats/mailbox.md);
 * the mailbox's directory if it has no index.  As mailbox_dir(). */
int mailbox_metadata_dir(const struct store *store, const char *partition, const char *id, struct buf *to);
/* The same for the directories of a partition and its metapartition (NULL: none). */
int mailbox_metadata_dir_under(const char *root, const char *metadata_root, const char *id, struct buf *to);

/* ---- life ---- */

/* mailbox_header.options; the first bits are Cyrus's (they are replicated). */
enum mailbox_option {
    MAILBOX_OPT_POP3_NEW_UIDL = 1 << 0,
    MAILBOX_OPT_SHARED_SEEN = 1 << 1,
    MAILBOX_OPT_DUPDELIVER = 1 << 2,
};

struct mailbox_listed;

struct mailbox_create {
    const char *partition;
    const char *id;                      /* valid and new here */
    uint32_t uidvalidity;                /* not 0 */
    const char *quota_root;              /* NULL: none */
    const struct mailbox_listed *listed; /* listed.h; NULL: unknown */
    uint64_t options;
    uint32_t uidnext;        /* 0: 1 */
    uint64_t highest_modseq; /* 0: 1 */
};

/* Makes the directory (both, if the metadata are apart) and an empty index and syncs them, every directory that got an
 * entry included.
 * handle_r (may be NULL) gets a handle.  0; ERR_EXISTS (that id is on this partition);
 * ERR_BADNAME, ERR_NOTFOUND as mailbox_dir; ERR_DISKFULL, ERR_IO. */
int mailbox_create(struct store *store, const struct mailbox_create *how, struct mailbox **mailbox_r);

/* 0; ERR_NOTFOUND (no such partition or mailbox); ERR_VERSION; ERR_CORRUPT (reconstruct it); ERR_IO. */
int mailbox_open(struct store *store, const char *partition, const char *id, struct mailbox **mailbox_r);
void mailbox_close(struct mailbox **mailbox); /* *mailbox may be NULL */

/* Removes the files, messages too, and takes its usage out of its quota root.  Handles that are open get
 * ERR_NOTFOUND at their next refresh.  A mailbox that is not there is success. */
int mailbox_delete(struct store *store, const char *partition, const char *id);

/* It was opened on a read-only file system: it can be read, and what changes it is refused with ERR_ROFS. */
bool mailbox_cannot_write(const struct mailbox *mailbox);

/* ---- reading, without a lock ---- */

/* The header as read last; refresh it with mailbox_refresh().  Valid until the next call with this handle. */
const struct mailbox_header *mailbox_header(const struct mailbox *mailbox);
struct store *mailbox_store(const struct mailbox *mailbox);
const char *mailbox_partition(const struct mailbox *mailbox);
const char *mailbox_id(const struct mailbox *mailbox);

/* Reads the header again, follows a compaction to the new file.  0; ERR_NOTFOUND: the mailbox was
 * deleted; ERR_CORRUPT; ERR_IO. */
int mailbox_refresh(struct mailbox *mailbox);

/* Reads `count` records from number `first` on (numbers count from 0; header.records of them, UIDs
 * ascending).  Each is verified and read anew if a writer was at it; a damaged one is repaired under the
 * lock or ERR_CORRUPT. ERR_INVALID: beyond the end; ERR_AGAIN: the mailbox was compacted
 * during a repair, its records have other numbers now. */
int mailbox_read_records(struct mailbox *mailbox, uint32_t first, uint32_t count,
                         struct mailbox_record *records);

/* The number of the first record whose UID is at least `uid`; header.records if there is none.  A few
 * reads, whatever the size. */
int mailbox_find_uid(struct mailbox *mailbox, uint32_t uid, uint32_t *number_r);

/* Makes the engine's watcher possible: the path to watch (`index`), appended. */
void mailbox_index_path(const struct mailbox *mailbox, struct buf *to);

/* ---- status ---- */

/* Who looks: decides where \Seen lives. */
struct mailbox_reader {
    const char *userid; /* NULL: the index's own \Seen (the owner, or shared seen) */
};

struct mailbox_status {
    uint32_t messages, recent, unseen, uidnext, uidvalidity, deleted;
    uint64_t highest_modseq, size;
};

/* From the header alone for a reader without a userid; for others one pass over the records if private
 * seen has changed.  Refreshes the header.  0, or as mailbox_refresh(). */
int mailbox_status(struct mailbox *mailbox, const struct mailbox_reader *reader,
                   struct mailbox_status *status_r);

/* Bytes of the messages that are \Deleted: what EXPUNGE would give back (RFC 9208 4.1.4).  One pass over the records
 * if the header counts any; does not refresh it.  As mailbox_read_records(). */
int mailbox_deleted_storage(struct mailbox *mailbox, uint64_t *bytes_r);

/* ---- keywords ---- */

/* The names of the user flags by number; NULL where a slot is free.  Strings live as long as the handle. */
int mailbox_flag_names(struct mailbox *mailbox, const char *names_r[USER_FLAGS_MAX]);

/* The number of a keyword (any case, RFC 3501 section 2.3.2), or ERR_NOTFOUND. */
int mailbox_flag_number(struct mailbox *mailbox, const char *name);

/* ---- header fields that others own ---- */

/* Each takes the lock, changes the field, syncs.  0, ERR_TIMEOUT, or as mailbox_refresh(). */
int mailbox_set_quota_root(struct mailbox *mailbox, const char *root); /* NULL: none; usage moves along */
/* Those options that are in the mask. */
int mailbox_set_options(struct mailbox *mailbox, uint64_t mask, uint64_t options);
int mailbox_set_uidvalidity(struct mailbox *mailbox, uint32_t uidvalidity);
int mailbox_set_pop3(struct mailbox *mailbox, int64_t last_login, int64_t show_after);

/* Marks every message so far as no longer \Recent to those who select later, and gives what recent_uid
 * was before.  Not synced; does not wait: ERR_TIMEOUT if a writer holds the lock. */
int mailbox_claim_recent(struct mailbox *mailbox, uint32_t *before_r);

#endif
