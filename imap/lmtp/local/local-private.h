/* local-private.h: a transaction as the files of this room share it. */
#ifndef IMAP_LMTP_LOCAL_LOCAL_PRIVATE_H
#define IMAP_LMTP_LOCAL_LOCAL_PRIVATE_H

#include "imap/lmtp/local/local.h"

struct identity;
struct mailbox;
struct newcomer;
struct sieve_job;
struct sieve_recipient;
struct sievehost;
struct stage;
struct store;

struct lmtpd_local {
    struct store *store;
    struct sievehost *sieve;
    int64_t expired_at; /* when duplicate marks were last looked through; the tick's thread only */
};

/* A message that a script has made of the one that came: another header, or a copy of what it has sent. */
struct edition {
    struct edition *next;
    const char *header;
    size_t header_len;
    bool is_copy; /* the header is all of it, and it is no duplicate of anything */
    struct stage *stage;
    int error;
};

/* A mailbox that may get the message. */
struct target {
    struct target *next;
    const char *name; /* internal */
    const char *partition, *id;
    struct edition *edition;  /* NULL: as it came */
    const char *const *flags; /* NULL-terminated; NULL: none */
    bool ignore_quota;
    bool wanted, tried;
    struct mailbox *mailbox; /* open while it is delivered */
    struct local_state *state;
    int result; /* 0: on disk; ERR_EXISTS: it had it already */
    uint32_t uid;
};

struct want {
    struct want *next;
    struct target *target;
};

/* A recipient: rcpt->target. */
struct addressee {
    struct target *own;             /* the mailbox that he means */
    struct sieve_recipient *script; /* NULL: none */
    struct want *wants;             /* where his message goes */
};

#define LOCAL_STATE_MAGIC 0x4c6f6361u

/* txn->state */
struct local_state {
    unsigned magic;
    struct lmtpd_local *local;
    struct pool *pool;       /* the transaction's */
    struct identity *poster; /* whose right p counts; made when first needed */
    struct target *targets;
    struct edition *editions;
    struct stage *stage;
    struct target *staged;     /* on whose partition the stage is; those before it could not take it */
    bool finished;             /* the stage is */
    struct newcomer *newcomer; /* a recipient whose INBOX is being made; NULL */
    struct sieve_job *job;     /* the recipients' scripts; NULL: nobody has one */
    const char *message_id;    /* NULL: none, or duplicates are not looked for */
};

/* Decides which mailbox the recipient means: rcpt->target (choose.c). */
void local_choose(struct lmtpd_txn *txn, struct local_state *s, struct lmtpd_rcpt *rcpt);

/* The target of that mailbox and edition: several recipients may mean one. */
struct target *local_target(struct local_state *s, const char *name, const char *partition, const char *id,
                            struct edition *edition);

/* Makes the INBOX of a recipient who has none, if that is to be (newcomer.c).  LMTPD_DONE: local_choose() is next, if there is
 * no answer yet. */
enum lmtpd_verdict local_newcomer(struct lmtpd_txn *txn, struct local_state *s, struct lmtpd_rcpt *rcpt);
/* When to call again at the latest. */
int64_t local_newcomer_deadline(const struct local_state *s);
void local_newcomer_free(struct newcomer **newcomer); /* *newcomer may be NULL */

/* Runs the scripts of the recipients, if there are any (scripts.c). */
void local_start_scripts(struct lmtpd_txn *txn, struct local_state *s);
/* When they are done: who wants what where. */
void local_plan(struct lmtpd_txn *txn, struct local_state *s);

/* Delivers the message where it is wanted, once it is complete, and sets the answers (deliver.c). */
enum lmtpd_verdict local_deliver(struct lmtpd_txn *txn, struct local_state *s);

#endif
