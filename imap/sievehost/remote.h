/* remote.h: a message into a mailbox of another server, as the script's owner (doc/ARCHITECTURE.md, "Delivery"): IMAP APPEND
 * by the proxy user with the owner as authorization identity, so that the owner's rights count there.
 *
 * Waits for others, within a deadline: never to be called by a worker.  Any thread. */
#ifndef IMAP_SIEVEHOST_REMOTE_H
#define IMAP_SIEVEHOST_REMOTE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

struct remote_message {
    const char *server, *userid;
    const char *mailbox;      /* external name, as that user has it */
    const char *const *flags; /* NULL-terminated; NULL: none */
    const char *header;       /* the message in two pieces, CRLF */
    size_t header_len;
    const char *body;
    size_t body_len;
};

/* 0 when the server has said that it is there; ERR_REFUSED: it said NO; ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_AUTH...: why is
 * appended. */
int remote_append(const struct remote_message *m, int64_t deadline, struct buf *why);

struct remote_entry {
    const char *server, *userid;
    const char *mailbox; /* external name, as that user has it */
    const char *entry;   /* "/private/comment" */
};

/* The value of an annotation there (RFC 5464), with the user's rights.  1 with it appended; 0: it has none, or the user may
 * not see it; errors as above. */
int remote_metadata(const struct remote_entry *question, int64_t deadline, struct buf *value);

#endif
