/* lmtp.h: the client side of LMTP (RFC 2033), and of SMTP, over a stream: one message to many recipients,
 * a reply for each.
 *
 * Step-wise: lmtp_step() never waits for the peer.  Each step of the dialogue has a time
 * limit.  When the connection fails, every recipient that has no final reply gets a 4xx of ours:
 * the results are complete whenever lmtp_step() is not LMTP_WAIT or LMTP_MORE.
 *
 * One thread at a time. */
#ifndef LIB_SMTP_LMTP_H
#define LIB_SMTP_LMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/smtp/reply.h"

struct lmtp;
struct stream;

enum lmtp_status { LMTP_DONE = 0, LMTP_MORE = 1, LMTP_WAIT = 2 };

struct lmtp_message {
    const char *from; /* reverse path without <>; "" is the null one */
    bool body_8bit;   /* BODY=8BITMIME where announced */
    bool chunked; /* by BDAT where CHUNKING is announced (RFC 3030): `size` is exact then, and all bytes are
                        * sent as they are */
    bool binary;  /* BODY=BINARYMIME; needs chunked, and a server that announces both */
    bool utf8;    /* SMTPUTF8 where announced (RFC 6531) */
    const char *auth;  /* AUTH= (made xtext here), announced or not: a server that authorised us by the
                        * socket announces none; NULL: none */
    bool auth_empty;   /* AUTH=<> where AUTH is announced */
    bool ignore_quota; /* IGNOREQUOTA on each RCPT where announced */
    bool one_reply;    /* SMTP: the reply to the message is one, for all recipients (RFC 5321 3.3) */
    uint64_t size;     /* SIZE= where announced; 0: unknown */
    /* The message, CRLF lines, not dot-stuffed: up to n bytes from `offset` into `to`; the number (0 at
     * the end), or an error: the connection is then dropped without the final dot. */
    ssize_t (*read)(void *context, int64_t offset, void *to, size_t n);
    void *context;
    int64_t step_ms; /* time limit of each step; 0: the option lmtptxn_timeout */
};

/* The stream stays the caller's and must outlive the client.  caps: what the server announced to the
 * LHLO that was sent already (lib/backend does); NULL: greeting and LHLO (with `name`) are still to come. */
struct lmtp *lmtp_new(struct stream *s, const struct smtp_caps *caps, const char *name);
void lmtp_free(struct lmtp **c);

/* Begins a transaction (with RSET when the connection was used before); *m is copied, its from
 * too.  Only after lmtp_new() or LMTP_DONE.  0; ERR_INVALID: a control character in `from`. */
int lmtp_begin(struct lmtp *c, const struct lmtp_message *m);
/* Adds a recipient (forward path without <>), before the first step.  Its index, from 0; ERR_INVALID
 * likewise; ERR_LIMIT beyond LMTP_RCPTS_MAX. */
enum { LMTP_RCPTS_MAX = 10000 };
int lmtp_rcpt(struct lmtp *c, const char *address);
/* The same, telling a server that announces XORCPT (doc/protocols/lmtp.md) what the address was at first: ORCPT=. */
int lmtp_rcpt_from(struct lmtp *c, const char *address, const char *original);

/* A piece of the work.  LMTP_DONE: each recipient has its final reply, the connection can be used again; or
 * (sticky) ERR_UNAVAILABLE: the server said 421, or refused the greeting or RSET; ERR_EOF, ERR_IO,
 * ERR_TIMEOUT, ERR_PROTOCOL, ERR_TLS, what `read` returned: the results are complete all the same, the connection
 * is dead. */
int lmtp_step(struct lmtp *c);
unsigned lmtp_events(const struct lmtp *c);
int64_t lmtp_deadline(const struct lmtp *c);

/* The recipient's final reply; owned by c until the next lmtp_begin().  `accepted`: it was given the
 * message and said 2xx. */
struct lmtp_result {
    int code;
    const char *enhanced; /* "" if none */
    const char *text;
    bool accepted;
};
struct lmtp_result lmtp_result_get(const struct lmtp *c, unsigned rcpt);

/* QUIT, not waiting for the answer. */
void lmtp_quit(struct lmtp *c);

#endif
