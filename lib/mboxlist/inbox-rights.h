/* inbox-rights.h: what somebody may do with a user's INBOX. */
#ifndef LIB_MBOXLIST_INBOX_RIGHTS_H
#define LIB_MBOXLIST_INBOX_RIGHTS_H

#include "lib/mboxlist/mboxlist.h"
#include "lib/name/acl.h"

/* The rights of `identity` on the INBOX of `userid` (canonical), here or on another server; 0 where there is none, or
 * the list cannot be read. */
rights_t mboxlist_inbox_rights(struct mboxlist *list, const char *userid, const struct identity *identity);

#endif
