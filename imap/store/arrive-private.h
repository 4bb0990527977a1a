/* arrive-private.h: how messages come into a mailbox, whatever their source: the part that APPEND, delivery
 * and COPY share. */
#ifndef IMAP_STORE_ARRIVE_PRIVATE_H
#define IMAP_STORE_ARRIVE_PRIVATE_H

#include "imap/store/append.h"
#include "imap/store/mailbox-private.h"

struct arrivals {
    size_t count;
    uint64_t bytes; /* of all */
    enum quota_mode quota;
    uint32_t replaces; /* UID of a message that goes in the same commit (count is 1 then); 0: none */
    /* All are called under the lock.  Gives message i the name `<uid>.`. */
    int (*link)(struct arrivals *a, size_t i, struct mailbox *m, uint32_t uid);
    /* Brings the files and names to the disk, once all have names. */
    int (*sync)(struct arrivals *a, struct mailbox *m);
    /* Fills the record but for UID, modseqs, save date (if 0) and cache place; may give flag slots. */
    int (*fill)(struct arrivals *a, size_t i, struct mailbox *m, struct mailbox_record *record);
    /* The cache entry of the message filled last; may leave it empty. */
    void (*entry)(struct arrivals *a, size_t i, struct mailbox *m, struct buf *to);
    /* Its annotations, as bytes of annotate_encode(), with modseq a->modseq; may leave it empty; may be NULL. */
    int (*annotate)(struct arrivals *a, size_t i, struct buf *to);
    /* Before anything is changed, and when all is on disk; may be NULL. */
    int (*admit)(struct arrivals *a);
    void (*done)(struct arrivals *a);
    void *context;
    /* out */
    uint32_t uidvalidity, first_uid; /* UIDs are consecutive */
    uint64_t modseq;
};

/* All or nothing.  The errors of append_commit(), and those of the functions. */
int arrive(struct mailbox *m, struct arrivals *a);
/* The same within a transaction, which it commits and leaves open. */
int arrive_locked(struct mailbox *m, struct arrivals *a);

/* Fills the flags of a record: system flags and keywords, which get slots. */
int arrive_flags(struct mailbox *m, uint32_t system, const char *const *keywords,
                 struct mailbox_record *record);

#endif
