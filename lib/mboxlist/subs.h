/* subs.h: subscriptions, per user, in the mailbox list's environment.
 * A subscription may name a mailbox that does not exist. */
#ifndef LIB_MBOXLIST_SUBS_H
#define LIB_MBOXLIST_SUBS_H

#include <stdbool.h>

#include "lib/mboxlist/mboxlist.h"

enum { MBOXLIST_SUBS_MAX = 20000 /* of a user */ };

/* Sets or ends one; setting what is set and ending what is not is success.  Durable.  ERR_LIMIT: there are
 * MBOXLIST_SUBS_MAX. */
int mboxlist_subscribe(struct mboxlist *list, const char *userid, const char *name, bool subscribed);

/* 1, 0 or an error. */
int mboxlist_subscribed(struct mboxlist *list, const char *userid, const char *name);

/* Calls fn for each of the user's subscriptions that begin with `prefix` (NULL: all), in the list's order,
 * outside any transaction, until fn returns non-zero, which is returned; else 0 or an error. */
int mboxlist_subs_each(struct mboxlist *list, const char *userid, const char *prefix,
                       int (*fn)(const char *name, void *context), void *context);

/* In the transaction of a rename or a removal of a user (new_userid NULL: removed). */
int mboxlist_txn_subs_rekey(struct mboxlist_txn *txn, const char *userid, const char *new_userid);

/* Renames `old_tree` and what is below it to `new_tree` in this user's subscriptions. */
int mboxlist_txn_subs_rename(struct mboxlist_txn *txn, const char *userid, const char *old_tree,
                             const char *new_tree);

#endif
