/* intent.h: what an operation on names is about to do, committed before it is done, so that another process can
 * finish or undo it after a crash.  What each means is imap/mboxop's; here they are kept. */
#ifndef LIB_MBOXLIST_INTENT_H
#define LIB_MBOXLIST_INTENT_H

#include <stdint.h>

#include "lib/mboxlist/mboxlist.h"

/* The values are part of the format. */
enum intent_operation {
    INTENT_CREATE = 1,
    INTENT_DELETE = 2,
    INTENT_RENAME = 3, /* delayed DELETE too */
    INTENT_SETACL = 4,
    INTENT_MOVE = 5,
    INTENT_SETQUOTA = 6,
    INTENT_ADOPT = 7
};

struct intent {
    uint64_t number; /* given by intent_add; ascending */
    enum intent_operation operation;
    unsigned phase;   /* 0 at first; the operation's own counting */
    int64_t time;     /* seconds of the epoch; set by intent_add */
    const char *name; /* strings as in records: never NULL when read */
    const char *new_name;
    const char *id;
    const char *location; /* server!partition concerned */
    const char *acl;      /* SETACL: the ACL before */
};

/* Records one, durably, on its own (own transaction) or with other changes.  Sets intent->number and ->time. */
int intent_add(struct mboxlist *list, struct intent *intent);
int intent_txn_add(struct mboxlist_txn *txn, struct intent *intent);

/* Replaces the one with this number (its phase has changed).  ERR_NOTFOUND. */
int intent_txn_update(struct mboxlist_txn *txn, const struct intent *intent);

/* The operation is complete.  ERR_NOTFOUND: somebody else dropped it. */
int intent_remove(struct mboxlist *list, uint64_t number);
int intent_txn_remove(struct mboxlist_txn *txn, uint64_t number);

/* Calls fn for each, oldest first, outside any transaction, until fn returns non-zero, which is returned. */
int intent_each(struct mboxlist *list, int (*fn)(const struct intent *intent, void *context), void *context);

/* The oldest intent that concerns a name (as name or new_name).  0 with it in the pool; ERR_NOTFOUND. */
int intent_find(struct mboxlist *list, const char *name, struct pool *pool, struct intent *intent_r);

#endif
