/* special-use.h: the special uses of mailboxes (RFC 6154, RFC 8457 and IANA's registry of mailbox name attributes).
 *
 * A record has them by user: "user TAB uses TAB ...", uses as "\Drafts \Sent".  A user's uses are of mailboxes of his own
 * tree, and each use is of one mailbox. */
#ifndef LIB_MBOXLIST_SPECIAL_USE_H
#define LIB_MBOXLIST_SPECIAL_USE_H

#include <stdbool.h>

#include "lib/base/pool.h"

struct mboxlist;

/* Is the attribute ("\Sent", any case) a registered special use? */
bool special_use_is_known(const char *attribute);

/* Reads blank-separated uses: *uses_r gets them in one canonical form and order, each once ("" for none), in the pool.
 * 0; ERR_INVALID: one of them is not registered. */
int special_use_read(const char *text, struct pool *pool, const char **uses_r);

/* May mailboxes be given all of these uses?  Not \All and \Flagged: those are no mailboxes but searches. */
bool special_use_is_settable(const char *uses);

/* Have two lists a use in common? */
bool special_use_overlap(const char *a, const char *b);

/* Which mailbox of the user's tree (the internal name of his INBOX, and what is below) has one of these uses, other than
 * `except` (NULL: none)?  0 with its name in the pool; ERR_NOTFOUND; a database's error. */
int special_use_holder(struct mboxlist *list, const char *tree, const char *userid, const char *uses,
                       const char *except, struct pool *pool, const char **name_r);

/* A record's list with this user's uses replaced ("": none any more), in the pool. */
const char *special_use_replace(const char *special_use, const char *userid, const char *uses,
                                struct pool *pool);

#endif
