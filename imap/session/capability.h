/* capability.h: what the server announces (RFC 3501 section 7.2.1), per connection and state. */
#ifndef IMAP_SESSION_CAPABILITY_H
#define IMAP_SESSION_CAPABILITY_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"

struct client;
struct command;

/* Appends the blank-separated list for this connection now, without the word CAPABILITY. */
void capability_list(struct client *c, struct buf *to);

/* Is it in that list now? */
bool capability_is_announced(const struct client *c, const char *name);

/* Is it named in the option suppress_capabilities? */
bool capability_is_suppressed(const char *name);

/* Does a mailbox's server have to have it for a frontend to offer it (capability.def: SERVER)? */
bool capability_needs_server(const char *name);

/* The first capability that a command's words show it to need (capability.def) and that the server lacks, as
 * has() says; NULL: none. */
const char *capability_lacking(const struct command *cmd, bool (*has)(void *context, const char *name),
                               void *context);

/* Do the words of a command show that it uses that capability (capability.def)? */
bool capability_is_used(const char *name, const struct command *cmd);

#endif
