/* enable.h: what a client has turned on for the rest of its connection (RFC 5161), by ENABLE or by a command that does
 * so by the way (RFC 7162 section 3.1).
 *
 * It belongs to the client, not to a leg: a connection to a backend is told before the next command that goes there. */
#ifndef IMAP_SESSION_ENABLE_H
#define IMAP_SESSION_ENABLE_H

#include <stdbool.h>

#include "lib/base/buf.h"

struct client;

enum enable_bit {
#define ENABLE(id, capability, implied) ENABLE_BIT_##id,
#include "imap/session/enable.def"
#undef ENABLE
    ENABLE_BITS
};

enum {
#define ENABLE(id, capability, implied) ENABLED_##id = 1 << ENABLE_BIT_##id,
#include "imap/session/enable.def"
#undef ENABLE
};

/* Turns it on, and what it implies: with UTF8=ACCEPT or IMAP4rev2 mailbox names and quoted strings
 * are UTF-8 from here on (c->ns->utf8).  An extension that is not announced stays off. */
void enable_on(struct client *c, unsigned what);

/* Is all of `what` on? */
bool enable_is_on(const struct client *c, unsigned what);

/* The bit of an argument of ENABLE in any case, if the extension is announced to this client; 0. */
unsigned enable_find(const struct client *c, const char *name);

/* The name of an extension. */
const char *enable_name(enum enable_bit bit);

/* Appends the names of `what`, a blank before each. */
void enable_put(unsigned what, struct buf *to);

#endif
