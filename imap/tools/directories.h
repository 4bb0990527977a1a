/* directories.h: the directories of mailboxes on this server's partitions, whatever the mailbox list says of them. */
#ifndef IMAP_TOOLS_DIRECTORIES_H
#define IMAP_TOOLS_DIRECTORIES_H

#include <stdbool.h>

/* Calls fn for each directory that has the place and the name of a mailbox's (doc/formats/mailbox.md), in no order, until it
 * returns non-zero, which is returned.  partition NULL: on all that are configured, a place that two of them name once. */
int directories_each(const char *partition,
                     int (*fn)(const char *partition, const char *path, const char *id, void *context),
                     void *context);

/* The same on all metapartitions, where mailboxes may have their index (doc/formats/mailbox.md). */
int directories_each_metadata(int (*fn)(const char *partition, const char *path, const char *id,
                                        void *context),
                              void *context);

/* Are both there, and the same? */
bool directories_same(const char *a, const char *b);

#endif
