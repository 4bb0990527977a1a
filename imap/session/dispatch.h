/* dispatch.h: takes commands from the client's bytes, one after the other, and runs them. */
#ifndef IMAP_SESSION_DISPATCH_H
#define IMAP_SESSION_DISPATCH_H

#include "imap/session/client.h"
#include "lib/engine/engine.h"

/* Not authenticated: at most one command, run to its end.  As login_ops.command. */
enum engine_verdict dispatch_one(struct client *c);

/* Authenticated: runs until there is nothing to do.  As login_ops.run. */
enum engine_verdict dispatch_run(struct client *c);

/* The client is gone: ends the command that runs, without an answer. */
void dispatch_abort(struct client *c);

#endif
