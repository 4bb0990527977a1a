/* relay-private.h: a transaction as the files of this room share it. */
#ifndef IMAP_LMTP_RELAY_RELAY_PRIVATE_H
#define IMAP_LMTP_RELAY_RELAY_PRIVATE_H

#include "imap/lmtp/relay/links.h"
#include "imap/lmtp/relay/relay.h"
#include "imap/lmtp/relay/spool.h"

struct mboxlist;
struct mupdate_request;

struct lmtpd_relay {
    struct mboxlist *list;
    struct links *links;
};

enum lookup_phase {
    LOOKUP_LIST,    /* our own list */
    LOOKUP_BARRIER, /* waiting until the list has what the master acknowledged */
    LOOKUP_MASTER,  /* waiting for the master's word */
};

/* Who is asked about the recipient at hand. */
struct lookup {
    enum lookup_phase phase;
    struct mupdate_request *request;
    int64_t deadline;
    bool caught; /* it is about who gets the mail of those who do not exist */
};

#define RELAY_STATE_MAGIC 0x52656c61u

/* txn->state */
struct relay_state {
    unsigned magic;
    struct lmtpd_relay *relay;
    struct lookup lookup;
    struct spool spool;
    struct leg *legs; /* one a backend concerned; made when the message is complete */
    int epoll;        /* the descriptors of all legs, as one source of the session; -1 */
};

/* Decides about a recipient: rcpt->target becomes the server's name (lookup.c). */
enum lmtpd_verdict relay_lookup(struct lmtpd_txn *txn, struct relay_state *s, struct lmtpd_rcpt *rcpt);
void relay_lookup_end(struct relay_state *s);

/* A piece of the work with all backends (legs.c). */
enum lmtpd_verdict relay_legs_step(struct lmtpd_txn *txn, struct relay_state *s);
int64_t relay_legs_deadline(const struct relay_state *s);
void relay_legs_end(struct lmtpd_txn *txn, struct relay_state *s);

#endif
