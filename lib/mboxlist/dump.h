/* dump.h: the mailbox list as JSON and back (ctl_mboxlist -d, -u).
 *
 * One object: internal name -> {name, mtime, uidvalidity, createdmodseq, foldermodseq (strings), mbtype,
 * partition, server (remote only), acl {identifier: rights}, uniqueid, name_history []}, and what only we
 * have: special_use {user: uses}. */
#ifndef LIB_MBOXLIST_DUMP_H
#define LIB_MBOXLIST_DUMP_H

#include <stdio.h>

#include "lib/mboxlist/mboxlist.h"

/* Writes the records whose name begins with `prefix` (NULL: all) and whose partition is `partition` (NULL: any),
 * streaming.  0, ERR_IO, or an error of the list. */
int mboxlist_dump(struct mboxlist *list, const char *prefix, const char *partition, FILE *to);

/* Reads what mboxlist_dump() (or Cyrus's ctl_mboxlist -d) wrote and puts each record, in transactions of some
 * thousand.  Names that are there already are replaced.  count_r (may be NULL): how many.  ERR_SYNTAX with the
 * place in *error_r (malloc'ed; may be NULL): what was read before it is kept. */
int mboxlist_undump(struct mboxlist *list, FILE *from, uint64_t *count_r, char **error_r);

#endif
