/* compose.h: the messages that scripts send: answers, refusals, notifications.  Pure functions. */
#ifndef IMAP_SIEVEHOST_COMPOSE_H
#define IMAP_SIEVEHOST_COMPOSE_H

#include "lib/base/pool.h"
#include "lib/sieve/sieve.h"

struct compose {
    struct pool *pool;
    const char *header; /* of the message at hand */
    size_t header_len;
    const char *owner; /* the owner's address */
    const char *host;  /* this server, for Message-ID and MDN */
    int64_t now;       /* seconds of the epoch */
    const char *id;    /* the left side of the new Message-ID */
};

/* The answer of a vacation action (RFC 5230 5), CRLF, appended. */
void compose_vacation(const struct compose *c, const struct sieve_action *action, struct buf *to);

/* The message that tells the sender that his was refused (RFC 5429 2.2.1), appended.  `postmaster`: From. */
void compose_refusal(const struct compose *c, const char *postmaster, const char *sender,
                     const struct sieve_string *reason, struct buf *to);

/* What a mailto: URI says (RFC 6068), of a URI that lib/sieve has let pass. */
struct mailto {
    char **to; /* addresses of the path, and of to= and cc= headers; NULL-terminated */
    size_t count;
    const char *subject, *body; /* NULL: not given */
};
enum { MAILTO_MAX = 20 }; /* recipients of one notification; others are dropped */
void mailto_parse(struct pool *pool, const char *uri, struct mailto *mailto_r);

/* A notification (RFC 5436 2.7), appended. */
void compose_notification(const struct compose *c, const struct sieve_action *action,
                          const struct mailto *mailto, struct buf *to);

/* The message for somebody else: without what final delivery has put before it (RFC 5321 4.4: Return-Path).  Where its
 * header goes on. */
size_t compose_skip_return_path(const char *header, size_t n);

#endif
