/* newcomer.h: users who log in and have no INBOX yet (autocreate_quota).  It is made before their first command. */
#ifndef IMAP_SESSION_NEWCOMER_H
#define IMAP_SESSION_NEWCOMER_H

#include "imap/session/client.h"

/* Is it such a user?  After the barrier of the login. */
bool newcomer_is(const struct client *c);

/* A command's step while it is made; then the command begins, whatever has become of it. */
enum step newcomer_step(struct command *cmd);

/* The client is gone. */
void newcomer_cancel(struct client *c);

#endif
