/* local-private.h: a transaction as the files of this room share it. */
#ifndef IMAP_LMTP_LOCAL_LOCAL_PRIVATE_H
#define IMAP_LMTP_LOCAL_LOCAL_PRIVATE_H

#include "imap/lmtp/local/local.h"

struct identity;
struct mailbox;
struct stage;
struct store;

struct lmtpd_local {
    struct store *store;
    int64_t expired_at; /* when duplicate marks were last looked through; the tick's thread only */
};

/* A mailbox that gets the message. */
struct target {
    struct target *next;
    const char *name; /* internal */
    const char *partition, *id;
    bool ignore_quota;
    struct mailbox *mailbox; /* open while it is delivered */
    struct local_state *state;
    int result; /* 0: on disk; ERR_EXISTS: it had it already */
    uint32_t uid;
};

#define LOCAL_STATE_MAGIC 0x4c6f6361u

/* txn->state */
struct local_state {
    unsigned magic;
    struct lmtpd_local *local;
    struct identity *poster; /* whose right p counts; made when first needed */
    struct target *targets;
    unsigned target_count;
    struct stage *stage;
    const char *message_id; /* NULL: none, or duplicates are not looked for */
};

/* Decides which mailbox the recipient means: rcpt->target (choose.c). */
void local_choose(struct lmtpd_txn *txn, struct local_state *s, struct lmtpd_rcpt *rcpt);

/* Delivers the finished stage to all targets and sets the answers (deliver.c). */
void local_deliver(struct lmtpd_txn *txn, struct local_state *s);

#endif
