/* backend.h: a connection to another server, from its name to an authenticated stream.
 *
 * Nothing here waits for the peer: an engine's worker calls backend_step(), and parks on
 * backend_fd() for backend_events() until backend_deadline().  Resolving a name may hold the
 * thread (address literals and /etc/hosts do not).  Tools and threads of their own use
 * backend_connect_wait().
 *
 * A server that did not answer is left alone for a while: the first attempt after that costs
 * its time, all others fail at once (a table of the process, any thread).
 *
 * A backend belongs to one thread at a time. */
#ifndef LIB_BACKEND_BACKEND_H
#define LIB_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/stream/stream.h"

struct backend;

enum backend_protocol { BACKEND_IMAP, BACKEND_LMTP, BACKEND_MUPDATE, BACKEND_SIEVE, BACKEND_SMTP };

enum backend_status {
    BACKEND_DONE = 0, /* connected, authenticated as asked */
    BACKEND_MORE = 1, /* call again */
    BACKEND_WAIT = 2, /* poll the descriptor; call again when ready, or at the deadline */
};

enum { BACKEND_LINE_MAX = 64 * 1024 }; /* a line of the peer's during login */

struct backend_config {
    enum backend_protocol protocol;
    const char *server;   /* a server's name as in the mailbox list: `host`, `host:port` (IMAP's port;
                         * the others by <host>_<port>_<service>_port...), an address literal (`[v6]:port`), or the
                         * path of a Unix socket */
    unsigned port;        /* nonzero: this port, whatever the name says (mupdate_port) */
    const char *authzid;  /* whom to act for; NULL: the authenticating user itself */
    const char *authname; /* NULL: by the options (proxy_authname; MUPDATE: mupdate_authname; SMTP: none), */
    const char *password; /* likewise (<host>_password, proxy_password; mupdate_password), */
    const char *realm;    /* likewise */
    bool anonymous;       /* do not authenticate (SMTP; LMTP, MUPDATE on a Unix socket) */
    bool tls;             /* only with TLS, whatever tls_required says */
    bool pooled;          /* a connection that waits in the pool will do (IMAP, credentials by the options) */
    bool eager;         /* try, even if it did not answer a moment ago: a thread with a back-off of its own */
    int64_t timeout_ms; /* for everything; 0: the option client_timeout for each step of it */
};

/* Strings are copied.  Never fails: what is wrong shows at the first step. */
struct backend *backend_new(const struct backend_config *config);

/* Closes (politely, without waiting) and frees; *b may be NULL and is set to NULL.  End the
 * engine's watch on backend_fd() before. */
void backend_free(struct backend **b);

/* Gives a connection that its user needs no more to the process's pool: UNAUTHENTICATE (RFC 8437) is sent, and nothing
 * waited for; one that cannot be kept (not backend_is_reusable(), or it takes no bytes now) is closed as by backend_free().
 * The engine's watch has ended, the stream stands between two responses, every command has been sent to its end; what is
 * unread, and the answer to a small command, are dropped; a mailbox may be selected. */
void backend_give_back(struct backend **b);
/* Is it connected, made with `pooled`, and does the server offer UNAUTHENTICATE to us? */
bool backend_is_reusable(const struct backend *b);
/* Closes what has waited in the pool for longer than proxy_pool_time (now and then); all (at the end). */
void backend_pool_expire(void);
void backend_pool_clear(void);

/* A piece of the work.  An enum backend_status, or (sticky, text in backend_error()) ERR_UNAVAILABLE: not
 * reachable, or left alone after a failure; ERR_TIMEOUT; ERR_TLS; ERR_AUTH: it refuses our name and
 * password, or the authorization identity; ERR_UNSUPPORTED: no common mechanism; ERR_PROTOCOL; ERR_CONFIG.
 * After BACKEND_WAIT the descriptor may be another than before (the next address is tried); the one
 * before stays open until the next call, so that it can leave its epoll first. */
int backend_step(struct backend *b);
int backend_fd(const struct backend *b); /* -1 before the first socket */
unsigned backend_events(const struct backend *b);
int64_t backend_deadline(const struct backend *b);

/* The same at once, waiting.  0 and *b_r, or an error with the text appended to *error (may be NULL). */
int backend_connect_wait(const struct backend_config *config, int64_t deadline, struct backend **b_r,
                         struct buf *error);

/* When done: the stream (owned by b), positioned after the last answer of the login. */
struct stream *backend_stream(struct backend *b);
/* The capability words after login, blank-separated as the server gave them (LMTP, SMTP: the lines
 * after LHLO or EHLO, one a LF; MUPDATE: likewise, without "* "; ManageSieve: likewise, without quotes);
 * "" before. */
const char *backend_capabilities(const struct backend *b);
/* Is it among the words (IMAP: ASCII case ignored; the others: first word of a line)? */
bool backend_has(const struct backend *b, const char *capability);
const char *backend_server(const struct backend *b);
/* What the server calls itself in its greeting (MUPDATE: "(master)" or the master's URL). */
const char *backend_greeting(const struct backend *b);
const char *backend_error(const struct backend *b);
/* False: it was left alone, as it did not answer a moment ago. */
bool backend_was_tried(const struct backend *b);

/* May a literal of n bytes go without waiting for "+": LITERAL+, LITERAL- up to 4096 bytes (RFC
 * 7888), always on MUPDATE (RFC 3656 2)? */
bool backend_literal_plus(const struct backend *b, uint64_t n);

/* Forgets that a server failed (tests, SIGHUP). */
void backend_backoff_reset(void);

#endif
