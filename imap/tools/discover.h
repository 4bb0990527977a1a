/* discover.h: reconstruct -f: mailboxes that are on disk and that the list does not know. */
#ifndef IMAP_TOOLS_DISCOVER_H
#define IMAP_TOOLS_DISCOVER_H

#include <stdbool.h>
#include <stddef.h>

#include "imap/mboxop/mboxop.h"

struct discovery {
    const char *program;
    struct mboxop_env *env;
    bool dry;    /* tell only */
    bool afresh; /* -x: take the messages over and nothing else */
    bool all;    /* every mailbox is wanted: one without a name is a failure */
    bool (*wanted)(const char *name, void *context); /* is a mailbox of that (internal) name asked for? */
    void *context;

    size_t found;         /* that are asked for */
    bool failed, unsound; /* out */
};

/* Looks through the partitions (NULL: all) and puts what is asked for into the list; tells on standard output what it finds,
 * on standard error what fails. */
void discover_all(struct discovery *d, const char *partition);

/* One directory.  name: internal, what the mailbox is to be called; NULL: as its index remembers. */
void discover_path(struct discovery *d, const char *path, const char *name);

#endif
