/* append.h: messages into mailboxes, all or nothing, on disk when it returns (RFC 3501 section 6.3.11;
 * "Durability" in doc/formats/mailbox.md).
 *
 * Syncs: one message into one mailbox 2 (its file, the index); n messages n + 1; one message to n
 * mailboxes of a partition 2 + n; one that replaces another 2, or 3 right behind such a one.  The mailbox's lock is taken only inside append_commit() and deliver(). */
#ifndef IMAP_STORE_APPEND_H
#define IMAP_STORE_APPEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imap/store/mailbox.h"
#include "imap/store/quota.h"
#include "imap/store/stage.h"
#include "imap/store/uidset.h"

struct annotate_change;

/* How a message enters. */
struct append_message {
    uint32_t system;             /* RECORD_SEEN...: system flags */
    const char *const *keywords; /* user flags, NULL-terminated; NULL: none */
    int64_t internal_date;       /* seconds; used if has_internal_date, else now */
    int internal_zone;           /* minutes east of UTC */
    bool has_internal_date;
    int64_t save_date;                         /* 0: now */
    const struct annotate_change *annotations; /* annotate_check() says yes to them; live until the commit */
    size_t annotation_count;
};

struct append_result {
    uint32_t uidvalidity;
    struct uid_set uids; /* in the order added; the caller frees */
    uint64_t modseq;     /* of all of them */
};

struct append;

/* A transaction on one mailbox.  reader: whose \Seen it is (private seen is written after the commit). */
void append_begin(struct mailbox *mailbox, const struct mailbox_reader *reader, struct append **append_r);

/* Takes the stage over (*stage becomes NULL on success).  Its partition may be another: it is copied.
 * 0; ERR_LIMIT (too many keywords, or one too long); ERR_INVALID (not finished); ERR_DISKFULL, ERR_IO. */
int append_add(struct append *append, struct stage **stage, const struct append_message *how);

/* The one message that is added replaces another one of the mailbox: that is expunged by the same commit (RFC 8508).  The quota
 * counts what is left of the difference. */
void append_replace(struct append *append, uint32_t uid);

/* Everything that was added, or nothing.  Frees the transaction in every case.  result_r may be NULL.  0; ERR_OVERQUOTA; ERR_LIMIT (no room for another keyword);
 * ERR_TIMEOUT (lock); ERR_NOTFOUND (deleted); ERR_EXPUNGED (what is to be replaced is not there); ERR_DISKFULL, ERR_IO, ERR_CORRUPT. */
int append_commit(struct append **append, enum quota_mode quota, struct append_result *result_r);
void append_abort(struct append **append); /* *append may be NULL */

/* ---- one message to many mailboxes ---- */

struct deliver_target {
    struct mailbox *mailbox;
    struct append_message how;
    enum quota_mode quota;
    /* Asked under the target's lock, before anything is changed; and told when it is on disk, still
     * under the lock (duplicate suppression).  May be NULL.  admit: 0 goes on, anything else becomes
     * this target's result. */
    int (*admit)(struct deliver_target *target);
    void (*done)(struct deliver_target *target);
    void *context;
    /* out */
    int result; /* 0 or an error, as append_commit() */
    uint32_t uid, uidvalidity;
};

/* Each target by itself; the message file is shared (hard links) within a partition.  A target's result is
 * 0 only when message and index are on disk.  0 if every one succeeded, else the first error. */
int deliver(struct stage *stage, struct deliver_target *targets, size_t count);

#endif
