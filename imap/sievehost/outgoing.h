/* outgoing.h: mail that scripts send: by the program `sendmail` or to the server `smtp_host` (option smtp_backend).
 *
 * Waits for others, within a deadline: never to be called by a worker.  Any thread. */
#ifndef IMAP_SIEVEHOST_OUTGOING_H
#define IMAP_SIEVEHOST_OUTGOING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

struct outgoing {
    const char *from;      /* envelope; "" is the null path */
    const char *const *to; /* NULL-terminated, at least one */
    const char *header;    /* the message in two pieces, CRLF */
    size_t header_len;
    const char *body;
    size_t body_len;
    bool utf8; /* its envelope or header may be UTF-8 (RFC 6531) */
};

/* Sends it to all, or fails: 0; ERR_REFUSED: for good; ERR_UNAVAILABLE, ERR_TIMEOUT...: not now; why, for the log, is
 * appended.  Where some recipients are refused it goes to the others, and has failed. */
int outgoing_send(const struct outgoing *mail, int64_t deadline, struct buf *why);

/* smtp_host: `host`, `host:port`, `[v6]:port`, the port 587 by itself; then words behind slashes: `/tls`, `/noauth` (others
 * mean nothing).  The server in *server (replaced), 0 or ERR_CONFIG. */
struct outgoing_flags {
    bool tls, noauth;
};
int outgoing_server(const char *option, struct buf *server, unsigned *port_r, struct outgoing_flags *flags_r);

#endif
