/* conn.h: one authenticated connection to a MUPDATE server, driven by a thread of its own: what the link and the
 * slave share.
 *
 * A conn belongs to one thread.  Another thread makes its waits end by writing to the eventfd it was given. */
#ifndef LIB_MUPDATE_CONN_H
#define LIB_MUPDATE_CONN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/mupdate/wire.h"

struct mupdate_conn;

struct mupdate_conn_config {
    const char *server;            /* name or path of a Unix socket, as lib/backend takes it */
    unsigned port;                 /* 0: by the name */
    bool anonymous;                /* a Unix socket that asks nobody for a name */
    int wake_fd;                   /* an eventfd; -1: none */
    const atomic_bool *stop;       /* give up when it is true (looked at after each wake); may be NULL */
    int (*connect)(void *context); /* for tests: gives a connected, authenticated descriptor; or NULL */
    void *context;
    const char *announced; /* connect()'s server can do this besides; NULL: nothing */
};

/* Connects and authenticates, waiting.  0; or lib/backend's errors, with the reason appended to `why`;
 * ERR_TIMEOUT also when told to stop. */
int mupdate_conn_open(const struct mupdate_conn_config *config, int64_t deadline,
                      struct mupdate_conn **conn_r, struct buf *why);
void mupdate_conn_close(struct mupdate_conn **conn); /* *conn may be NULL */

/* "(master)" or the master's URL, as its banner said. */
const char *mupdate_conn_role(const struct mupdate_conn *conn);

/* Did the banner announce it ("X-RESUME")? */
bool mupdate_conn_has(const struct mupdate_conn *conn, const char *capability);

/* Appends to the output. */
void mupdate_conn_write(struct mupdate_conn *conn, const struct buf *text);
/* Bytes written and not yet taken by the kernel. */
size_t mupdate_conn_unsent(const struct mupdate_conn *conn);

/* The next line that has arrived, valid until the next call: 1; 0: none is complete; ERR_PROTOCOL: it cannot be
 * understood; ERR_EOF, ERR_IO, ERR_TLS. */
int mupdate_conn_line(struct mupdate_conn *conn, const struct mupdate_line **line_r);

/* Flushes, and waits until something arrives, the eventfd is written to (it is read empty), or the deadline
 * passes.  0, or an error of the connection. */
int mupdate_conn_wait(struct mupdate_conn *conn, int64_t deadline);

/* ---- one of several servers ---- */

/* The names of mupdate_server, one after the other: the next one when one is away, or says that it has no quorum. */
struct mupdate_servers {
    char *names; /* NUL between them */
    size_t len, at;
    bool several;
    size_t round; /* where the present round began */
};
void mupdate_servers_init(struct mupdate_servers *servers, const char *list);
void mupdate_servers_free(struct mupdate_servers *servers);
const char *mupdate_servers_now(const struct mupdate_servers *servers);
/* The present one cannot be used: goes on to the next.  True: all have been tried since the last
 * mupdate_servers_good(). */
bool mupdate_servers_next(struct mupdate_servers *servers);
void mupdate_servers_good(struct mupdate_servers *servers);
/* How long an attempt to connect may last: another one may be there. */
int64_t mupdate_servers_connect_ms(const struct mupdate_servers *servers);

/* ---- trying again ---- */

/* Delays that double from half a second to `most` and vary by a quarter, so that a hundred frontends do not come
 * back in one moment. */
struct mupdate_backoff {
    int64_t most_ms, delay_ms; /* delay_ms: 0 after a success */
};
int64_t mupdate_backoff_next(struct mupdate_backoff *backoff); /* milliseconds to wait */

#endif
