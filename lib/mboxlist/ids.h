/* ids.h: the table of ids for a list that has come whole.  Ids are at random: row by row, each would cost the writing of a
 * page of its own.  Sorted, each page is written once. */
#ifndef LIB_MBOXLIST_IDS_H
#define LIB_MBOXLIST_IDS_H

#include "lib/mboxlist/mboxlist.h"

/* Collects the ids of remote records, in any order, sorted in pieces of IDS_PIECE bytes, each of which waits in a file
 * without a name in the list's directory. */
struct ids;
enum { IDS_PIECE = 4 * 1024 * 1024 };
struct ids *ids_new(struct mboxlist *list);
void ids_free(struct ids **ids); /* *ids may be NULL */

/* An empty id is none.  0 or an error. */
int ids_add(struct ids *ids, const char *id, const char *name);

/* Gives each id its row.  Of two records with one id one is left without, and so is a remote one beside a local
 * one.  0 or an error. */
int ids_write(struct ids *ids);

#endif
