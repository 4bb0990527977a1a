/* mailbox-private.h: a mailbox's files from within: reading and writing the index. */
#ifndef IMAP_STORE_MAILBOX_PRIVATE_H
#define IMAP_STORE_MAILBOX_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "imap/store/codec.h"
#include "imap/store/mailbox.h"
#include "imap/store/store-private.h"
#include "lib/base/buf.h"
#include "lib/base/lock.h"

enum {
    READ_TRIES = 3,        /* without a lock, before the shared lock is taken */
    RECORD_BATCH = 64,     /* records read or written at once */
    RECOVER_SKIP = 65536,  /* UIDs and modseqs, after another boot id */
    UID_MAX = 0xfffffffe,  /* UIDNEXT must be a number too */
    MESSAGE_NAME_SIZE = 16 /* "4294967295." */
};

struct mailbox {
    uint32_t magic;
    struct store *store;
    char *partition;
    char id[MAILBOX_ID_SIZE];
    char *dir;                 /* the messages, and the metadata if they are not apart */
    char *apart_dir;           /* on the metapartition; NULL: there is none */
    bool apart;                /* index, cache and annotations are there */
    int fd;                    /* index */
    bool cannot_write;         /* and is open for reading only: so is the file system */
    int dir_fd;                /* -1 until needed, by the second file that is opened */
    int apart_fd;              /* of apart_dir, likewise */
    bool opened_file;          /* one has been, by its path */
    int cache_fd;              /* -1 until needed */
    uint32_t cache_generation; /* of cache_fd */
    int annotate_fd;           /* -1 until needed */
    uint32_t annotate_generation;
    uint32_t incarnation; /* grows when another index file was opened: record numbers are others */
    struct mailbox_header header;
    int64_t loaded;                   /* when it was read (clock.h) */
    char *flag_names[USER_FLAGS_MAX]; /* read so far */
    uint32_t flag_names_of;           /* the incarnation that they were compared with last */
    char **old_flag_names;            /* of slots that are another flag's now: callers may have them still */
    size_t old_flag_name_count;

    /* while writing */
    struct lock *lock;          /* NULL: not writing */
    struct mailbox_header next; /* becomes the header with the commit */
    unsigned target;            /* the copy that may be overwritten: 0 or 1 */
    uint64_t generation;        /* the last one written */
    bool dirty;                 /* the mark is written */
};
#define MAILBOX_MAGIC 0x6d626f78u

/* ---- index.c ---- */

/* A handle without files open; dir is taken over. */
struct mailbox *mailbox_new(struct store *store, const char *partition, const char *id, char *dir);
/* Opens `index`: the one beside the messages if there is one, else that on the metapartition (doc/formats/mailbox.md).
 * 0, ERR_NOTFOUND, ERR_IO. */
int mailbox_open_index(struct mailbox *m);
/* Removes its name, so that the mailbox is none any more; also that of one on the metapartition which did not count. */
int mailbox_unlink_index(struct mailbox *m);
/* Reads the header, without a lock if it can. */
int mailbox_load(struct mailbox *m);
/* The descriptor of the messages' directory, or an error. */
int mailbox_dir_fd(struct mailbox *m);
/* Of the directory of index, cache and annotations; as long as the index is not opened anew. */
int mailbox_metadata_fd(struct mailbox *m);
/* Of either place for those: on the metapartition (apart) or beside the messages. */
int mailbox_place_fd(struct mailbox *m, bool apart);
/* As open(2) of a message, or of a file of metadata, without O_CREAT: -1 with errno set. */
int mailbox_open_message(struct mailbox *m, const char *name, int flags);
int mailbox_open_metadata(struct mailbox *m, const char *name, int flags);
/* Appends the directory on the metapartition.  ERR_NOTFOUND: there is none; ERR_BADNAME. */
int mailbox_apart_dir(const struct store *store, const char *partition, const char *id, struct buf *to);
/* Are both one directory? */
bool mailbox_same_fd(int a, int b);
bool mailbox_same_dir(const char *a, const char *b);

/* Both header copies as they stand in the file. */
struct header_pair {
    struct mailbox_header copy[2];
    int result[2]; /* of header_decode() */
    uint64_t synced;
};
int header_pair_read(int fd, struct header_pair *pair_r);
/* The newest whole copy: 0 or 1; ERR_CORRUPT; ERR_VERSION. */
int header_pair_newest(const struct header_pair *pair);

/* ---- files.c: message files ---- */

void message_name(char to[MESSAGE_NAME_SIZE], uint32_t uid);
/* "/proc/self/fd/N": how linkat() gets at a file without a name. */
void fd_path(char to[32], int fd);

/* Opens `<uid>.` for reading: a descriptor; ERR_EXPUNGED if it is gone. */
int message_file_open(struct mailbox *m, uint32_t uid);
bool message_file_exists(struct mailbox *m, uint32_t uid);
/* Gives the file behind fd the name `<uid>.`, replacing an orphan.  0 or an error. */
int message_file_link(struct mailbox *m, uint32_t uid, int fd);
void message_file_unlink(struct mailbox *m, uint32_t uid);

/* The UIDs that have files in a directory, ascending; the caller frees *uids_r. */
int message_files_list(int dir_fd, uint32_t **uids_r, uint32_t *count_r);
bool message_files_have(const uint32_t *uids, uint32_t count, uint32_t uid);

/* A message file in memory, read only. */
struct file_map {
    const char *data; /* never NULL */
    size_t size;
    int64_t mtime;
};
int file_map_open(int fd, struct file_map *map_r);
void file_map_close(struct file_map *map);

/* Fills a fresh record (dates from the file) and its cache entry from `<uid>.`.  0, ERR_EXPUNGED, ERR_IO. */
int message_file_examine(struct mailbox *m, uint32_t uid, struct mailbox_record *record, struct buf *entry);

/* Looks for a message in the stage directory by GUID and links it as `<uid>.`: 0 or ERR_NOTFOUND. */
int message_file_from_stage(struct mailbox *m, uint32_t uid, const unsigned char guid[GUID_SIZE]);

/* ---- rewrite.c: a new index and cache in place of the old ---- */

struct rewriter {
    struct mailbox *m;
    bool apart; /* where the new files are */
    int dir;    /* its descriptor */
    int fd, cache_fd;
    struct lock *lock;            /* of the new index: nobody writes to it before its name is on disk */
    struct mailbox_header header; /* the caller sets what is not counted here */
    struct mailbox_record batch[RECORD_BATCH];
    uint32_t in_batch;
    uint64_t cache_at;
    struct buf cache; /* not written yet */
    int annotate_fd;  /* -1 until some message has annotations */
    uint64_t annotate_at;
    struct buf annotations; /* not written yet */
};
/* Within a transaction.  The header begins as m->next with the next cache generation and no records.  Where the
 * directory `apart` says, which is there: the files move if they are not there yet. */
int rewrite_begin(struct mailbox *m, bool apart, struct rewriter *w);
/* entry: verified, or NULL for none. */
int rewrite_add(struct rewriter *w, struct mailbox_record *record, struct buf *entry);
/* Syncs, renames, and opens the new index in m; ends the transaction. */
int rewrite_finish(struct rewriter *w);
void rewrite_abort(struct rewriter *w);

/* ---- write.c: transactions on the index ---- */

/* Takes the lock, follows compactions, recovers if it must, and copies the header to m->next.  Not
 * recursive.  0, ERR_TIMEOUT, ERR_NOTFOUND, ERR_CORRUPT, ERR_VERSION, ERR_IO. */
int index_begin(struct mailbox *m, int64_t timeout_ms);
/* The same without recovery, for recovery itself: *recover_r (a bit set of enum index_state). */
enum index_state { INDEX_DIRTY = 1, INDEX_OTHER_BOOT = 2, INDEX_COPY_LOST = 4 };
int index_begin_raw(struct mailbox *m, int64_t timeout_ms, unsigned *state_r);
/* Before records change in place; the first call writes the mark. */
int index_mark_dirty(struct mailbox *m);
/* Writes m->next.  With sync it is on disk.  On failure the header from before stands (UIDs and modseqs
 * are not given again).  May be called again in the same transaction. */
int index_commit(struct mailbox *m, bool sync);
/* Unlocks; what was not committed is forgotten.  Harmless if not writing. */
void index_end(struct mailbox *m);

/* The number of a keyword, given a slot in m->next if it has none.  ERR_LIMIT. */
int index_flag_slot(struct mailbox *m, const char *name);

/* ---- record.c ---- */

/* count <= RECORD_BATCH. */
int records_write(struct mailbox *m, uint32_t first, uint32_t count, struct mailbox_record *records);
/* One pread, no repair: bad_r (may be NULL) gets bit i of the records that are damaged.  How many could be
 * read (less than count at the end of the file), or ERR_IO. */
int records_read_raw(int fd, uint32_t first, uint32_t count, struct mailbox_record *records, uint64_t *bad_r,
                     uint64_t *bad_fixed_r);

/* mailbox_read_records() without decoding: any number of them, verified and, where they must be, repaired. */
int mailbox_read_raw(struct mailbox *m, uint32_t first, uint32_t count, unsigned char *raw);

/* What a copy of a message has in common with it, wherever it stands: all but flags, numbers and when it
 * arrived there. */
void record_copy_message(struct mailbox_record *to, const struct mailbox_record *from);

/* Takes a record into, or out of, the totals of a header. */
void totals_add(struct mailbox_header *h, const struct mailbox_record *r, uint32_t number);
void totals_remove(struct mailbox_header *h, const struct mailbox_record *r);
/* An expunged record that is still in the file. */
void totals_add_expunged(struct mailbox_header *h, const struct mailbox_record *r, uint32_t number);
void totals_clear(struct mailbox_header *h);

/* Remembers a change in the ring, with modseq h->highest_modseq. */
void ring_push(struct mailbox_header *h, uint32_t number);
void ring_clear(struct mailbox_header *h);
/* The numbers of the records changed above a modseq: how many, or -1 if the ring does not reach so far. */
int ring_since(const struct mailbox_header *h, uint64_t modseq, uint32_t numbers_r[INDEX_RING]);

/* ---- recover.c ---- */

/* Within a transaction: what mailbox_recover() does; commits. */
int index_recover(struct mailbox *m, unsigned state);
/* A record whose checksum is bad but whose fixed part is whole: what can be believed of the rest stays. */
void record_mend(struct mailbox_record *record, uint64_t modseq, bool has_file);

/* ---- cache.c ---- */

/* Bytes of an entry without UID and checksum, made by cache_build(); sets both and appends it to the cache
 * within a transaction.  Where it went in record. */
int cache_append(struct mailbox *m, struct buf *entry, struct mailbox_record *record);
/* Makes an entry from a message. */
struct cache_facts {
    uint32_t header_bytes, lines;
    int64_t sent_date; /* if has_sent_date */
    int sent_zone;
    bool has_sent_date;
    uint64_t thread_id; /* by the ids of its header; 0: it has none */
};
/* The thread of a message, by those facts and its GUID (doc/formats/mailbox.md); never 0. */
uint64_t cache_thread_id(const struct cache_facts *facts, const unsigned char guid[GUID_SIZE]);
void cache_build(struct buf *entry, const char *data, size_t n, struct cache_facts *facts_r);
/* Reads and verifies the entry of a record: 0 with the entry in `to`; ERR_CORRUPT; ERR_IO. */
int cache_read(struct mailbox *m, const struct mailbox_record *record, struct buf *to);
/* Reads raw bytes of the cache: how many there were, or an error. */
int64_t cache_read_range(struct mailbox *m, uint64_t offset, void *to, size_t n);
/* Could this be the place of an entry? */
bool cache_place_is_sane(const struct mailbox_record *record);
/* Verifies an entry that is in memory. */
int cache_verify(const unsigned char *entry, size_t n, uint32_t uid);
/* Makes an empty cache file of a generation in a directory, returns the descriptor. */
int cache_create(int dir_fd, uint32_t generation);
int cache_unlink(int dir_fd, uint32_t generation);
/* Is there a cache file of that generation? */
bool cache_exists(int dir_fd, uint32_t generation);
/* Puts UID and checksum into an entry in memory. */
void cache_stamp(struct buf *entry, uint32_t uid);

#endif
