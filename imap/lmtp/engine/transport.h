/* transport.h: what stands behind the protocol: a transaction, and the vtable by which it is carried out,
 * in the store (imap/lmtp/local) or on other servers (imap/lmtp/relay).
 *
 * For a transaction the front calls:
 *
 *     rcpt() for each recipient, until it is not LMTPD_WAIT
 *     [ begin(), write() ..., deliver() until it is not LMTPD_WAIT ]
 *     end(), always
 *
 * Everything in the session's thread; nothing waits for a peer: LMTPD_WAIT means that the transport has
 * set sources (session_watch in slots from LMTPD_SLOT on, a waker) and wants to be called again when one is
 * ready, or at deadline(). */
#ifndef IMAP_LMTP_ENGINE_TRANSPORT_H
#define IMAP_LMTP_ENGINE_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imap/lmtp/engine/address.h"
#include "lib/base/pool.h"

struct login;
struct session;

enum {
    LMTPD_SLOT = 1,
    LMTPD_RCPTS_MAX = 1000,  /* accepted in a transaction */
    LMTPD_TRIED_MAX = 10000, /* asked for in it */
};

enum lmtpd_verdict { LMTPD_DONE, LMTPD_MORE, LMTPD_WAIT };

struct lmtpd_rcpt {
    struct lmtpd_rcpt *next;
    const char *address;  /* as the client wrote it, without brackets */
    const char *original; /* as the frontend's client wrote it; else the same */
    struct lmtpd_names names;
    bool ignore_quota;
    void *target; /* the transport's */
    /* The answer: to RCPT when rcpt() is done, to the message when deliver() is. */
    int code;
    const char *enhanced; /* "2.1.5"; "" for none */
    const char *text;     /* lines separated by LF */
};

struct lmtpd_txn {
    struct pool *pool; /* the transaction's */
    struct session *session;
    struct login *login;
    const struct lmtpd_naming *naming;
    void *context;            /* the transport's own, of the process */
    const char *from;         /* reverse path; "" is the null one */
    const char *auth;         /* who a trusted client says has sent it (AUTH=); NULL */
    bool body_8bit;           /* BODY=8BITMIME */
    bool body_binary;         /* BODY=BINARYMIME: every byte is to be kept (RFC 3030) */
    bool utf8;                /* SMTPUTF8: addresses and header fields may be UTF-8 */
    int64_t declared;         /* SIZE=; 0: not told */
    struct lmtpd_rcpt *rcpts; /* accepted, in order */
    unsigned rcpt_count;
    int64_t size; /* of the message as the transport got it: trace fields, CRLF */
    void *state;  /* the transport's own, of the transaction */
};

struct lmtpd_transport {
    /* Decides about a recipient; sets its answer (250 accepts). */
    enum lmtpd_verdict (*rcpt)(struct lmtpd_txn *txn, struct lmtpd_rcpt *rcpt);
    /* A message comes, for the recipients accepted.  0, or an error: DATA is answered 451. */
    int (*begin)(struct lmtpd_txn *txn);
    /* Its next bytes: CRLF lines (with body_binary any bytes), not dot-stuffed.  After an error (all recipients: 4xx) no more. */
    int (*write)(struct lmtpd_txn *txn, const void *data, size_t n);
    /* The message is complete: stores or relays it, sets every recipient's answer.  2xx only when it is on
     * disk, here or there. */
    enum lmtpd_verdict (*deliver)(struct lmtpd_txn *txn);
    /* When to call again at the latest, after LMTPD_WAIT (clock.h). */
    int64_t (*deadline)(const struct lmtpd_txn *txn);
    /* The transaction is over, or given up at any point: frees what the transport has of it and ends its
     * watches. */
    void (*end)(struct lmtpd_txn *txn);
};

/* Sets a recipient's answer; the text is formatted into the transaction's pool. */
void lmtpd_answer(struct lmtpd_txn *txn, struct lmtpd_rcpt *rcpt, int code, const char *enhanced,
                  const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* The answer that an error of storing or relaying means. */
void lmtpd_answer_error(struct lmtpd_txn *txn, struct lmtpd_rcpt *rcpt, int error);
/* 550 5.1.1, in the words that scripts know. */
void lmtpd_answer_unknown(struct lmtpd_txn *txn, struct lmtpd_rcpt *rcpt);

#endif
