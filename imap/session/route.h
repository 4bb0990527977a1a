/* route.h: finds the leg of a mailbox in the mailbox list (doc/ARCHITECTURE.md, "The frontend"). */
#ifndef IMAP_SESSION_ROUTE_H
#define IMAP_SESSION_ROUTE_H

#include "imap/session/client.h"
#include "imap/session/leg.h"
#include "lib/mboxlist/record.h"

/* Looks a mailbox up; one that is missing again behind the own-writes barrier.  0 with the record in the
 * command's pool; ERR_AGAIN: call again when the session runs; ERR_NOTFOUND; ERR_UNAVAILABLE: it is
 * missing, and the master cannot be asked; ERR_BUSY: it is being moved. */
int route_lookup(struct command *cmd, const char *internal, struct mboxlist_record *record_r);

/* May the whole list be told?  0; ERR_AGAIN; ERR_UNAVAILABLE: this machine has never had the master's list. */
int route_list(struct command *cmd);

/* The leg of a record's server; NULL where this program has none for it. */
struct leg *route_leg(struct client *c, const struct mboxlist_record *record);

/* Both: 0 with the leg, or as route_lookup(), or ERR_UNAVAILABLE when this program has no such leg. */
int route_mailbox(struct command *cmd, const char *internal, struct leg **leg_r);

/* The leg of the user's INBOX; a user without one: the local leg, else ERR_NOTFOUND. */
int route_inbox(struct command *cmd, struct leg **leg_r);

/* The user's subscriptions, as leg_ops.lsub; nobody has any without an INBOX, where no local leg keeps them. */
int route_subscriptions(struct command *cmd, leg_lsub_fn *fn, void *context);

/* The record of the nearest existing ancestor of a name (whose server gets what is made below it).  0 or
 * ERR_NOTFOUND. */
int route_ancestor(struct command *cmd, const char *internal, struct mboxlist_record *record_r);

/* The start function of ROUTE_MAILBOX and of a command that a leg gives back (STEP_ELSEWHERE): reads
 * the first argument, finds its leg, starts it there. */
enum step route_start(struct command *cmd);
/* The same with a mailbox that was read already, as the client names it. */
enum step route_named(struct command *cmd, const char *external);
enum step route_again(struct command *cmd);

#endif
