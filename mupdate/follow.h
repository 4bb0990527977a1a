/* follow.h: the mailbox list of a master's own node: a thread that follows the master's database as any slave
 * does, without the network. */
#ifndef MUPDATE_FOLLOW_H
#define MUPDATE_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/mboxlist/mboxlist.h"
#include "mupdate/hub.h"
#include "mupdate/names.h"

struct follower;

/* Starts; it first catches up from where the list stands, or reads all names when it cannot. */
struct follower *follower_new(struct names *names, struct mboxlist *list, const char *own, struct hub *hub);
void follower_free(struct follower **follower); /* *follower may be NULL */

/* There is something new; any thread. */
void follower_kick(struct follower *follower);

/* As struct door has them. */
uint64_t follower_barrier_ask(void *follower);
int follower_barrier_done(void *follower, uint64_t ticket);

#endif
