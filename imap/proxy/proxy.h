/* proxy.h: a leg over a connection to a backend (imap/session/leg.h).
 *
 * Each client has at most one connection to each backend, opened at the first command that needs it,
 * authenticated as the proxy with the client as SASL authorization identity.  Commands are passed on with the
 * arguments as the client sent them, under tags of our own; answers are passed back unread but for their first
 * words, literals by count.  doc/ARCHITECTURE.md, "The frontend". */
#ifndef IMAP_PROXY_PROXY_H
#define IMAP_PROXY_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "imap/session/leg.h"

enum { PROXY_LINE_MAX = 16 * 1024 }; /* a tagged answer, or a line that is read and not passed on */

extern const struct leg_ops proxy_leg_ops;

/* For struct leg_program. */
struct leg *proxy_leg_new(struct client *c, const char *server);

/* A new mailbox without a parent: the server that an administrator named ("server", "server!partition"), if it
 * is in `serverlist`; else
 * `defaultserver`; else one of `serverlist` by serverlist_select_mode; else this machine, if it is a backend too.  ERR_DENIED
 * for others than administrators; ERR_CONFIG: nothing of that. */
int proxy_place(struct client *c, struct command *cmd, const char *mailbox, const char *wanted,
                const char **server_r);

/* The own-writes barrier: a NOOP through this machine's MUPDATE slave. */
void *proxy_barrier_begin(struct client *c);
int proxy_barrier_result(void **barrier);
void proxy_barrier_cancel(void **barrier);

/* leg_program.newcomer and newcomer_cancel: the server that gets the user makes his INBOX when he is there. */
int proxy_newcomer(struct client *c, struct command *cmd, void **state);
void proxy_newcomer_cancel(void **state);

#endif
