/* ids.h: the table of ids for a list that has come whole.  Ids are at random: row by row, each would cost the writing of a
 * page of its own.  Sorted, each page is written once. */
#ifndef LIB_MBOXLIST_IDS_H
#define LIB_MBOXLIST_IDS_H

#include "lib/mboxlist/mboxlist.h"

/* Gives every remote record's id its row.  Of two records with one id the second is left without, and so is a remote one
 * beside a local one.  Sorts in pieces of IDS_PIECE bytes, which wait in a file without a name in the list's directory.
 * 0 or an error; it may be repeated. */
enum { IDS_PIECE = 4 * 1024 * 1024 };
int ids_write(struct mboxlist *list);

#endif
