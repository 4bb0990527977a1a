/* capability.h: what the server announces (RFC 3501 section 7.2.1), per connection and state. */
#ifndef IMAP_SESSION_CAPABILITY_H
#define IMAP_SESSION_CAPABILITY_H

#include <stdbool.h>

#include "lib/base/buf.h"

struct client;

/* Appends the blank-separated list for this connection now, without the word CAPABILITY. */
void capability_list(struct client *c, struct buf *to);

/* Is it named in the option suppress_capabilities? */
bool capability_is_suppressed(const char *name);

#endif
