/* local.h: the leg over this server's own store. */
#ifndef IMAP_LOCAL_LOCAL_H
#define IMAP_LOCAL_LOCAL_H

#include "imap/session/leg.h"

struct mboxop_env;
struct sievehost;
struct store;

/* What the local legs of a process work on; lives as long as the process serves. */
struct local_env {
    struct store *store;
    const struct mboxop_env *mboxop; /* its list is the process's mailbox list */
    struct sievehost *sieve;         /* NULL: no scripts run for what commands do */
};

extern const struct leg_ops local_leg_ops;

/* Before the first client. */
void local_setup(const struct local_env *env);

/* leg_program.local_new */
struct leg *local_new(struct client *c);

/* leg_program.newcomer and newcomer_cancel */
int local_newcomer(struct client *c, struct command *cmd, void **state);
void local_newcomer_cancel(void **state);

#endif
