/* list-private.h: LIST while it runs, as its files share it.
 *
 * It either walks the mailbox list (list-walk.c) or the user's subscriptions (list-subs.c).  What other servers know of
 * the mailboxes listed is collected and asked for in parallel, some hundreds at a time (list-status.c). */
#ifndef IMAP_SESSION_LIST_PRIVATE_H
#define IMAP_SESSION_LIST_PRIVATE_H

#include "imap/session/list.h"
#include "imap/session/specials.h"
#include "imap/session/spread.h"

struct mboxlist_iter;

/* A name to be listed. */
struct list_entry {
    const char *internal;
    const char *external;
    const struct mboxlist_record *record; /* NULL: no such mailbox, or the user may not know of it */
    const char *special;                  /* its uses, as far as asked for */
    bool has_children;
    bool chosen;    /* it meets the selection options itself */
    bool childinfo; /* something below it does, and RECURSIVEMATCH wants to know */
};

struct list {
    const char *word; /* LIST or XLIST */
    struct list_patterns patterns;
    struct list_options options;
    struct list_levels levels;
    struct buf name; /* scratch: an external name */
    int (*walk)(struct command *cmd);
    bool is_over;             /* all is listed */
    const char **identifiers; /* under which the list may have the user's names; NULL-terminated */

    /* the user's subscriptions, with options.subscribed */
    struct hash *subscribed; /* internal names */
    const char **subs;       /* in the list's order */
    size_t sub_count, sub_room, next_sub;
    struct subscription *sorted; /* RECURSIVEMATCH: as the hierarchy has them */

    /* the walk of the list */
    struct mboxlist_iter *iter;
    struct pool *held_pool; /* of the entry held back until it is known whether it has children */
    struct list_entry held;
    bool is_held, held_beside; /* held_beside: what follows it in the list is not below it */

    struct specials specials;
    struct spread spread; /* servers that are being asked, or are to be */
    struct spread notes;  /* the same for METADATA, */
    const char *entries;  /* of these entries */
    size_t asked_count;   /* mailboxes of which they are to tell */
};

/* Each walks on: 1: call again; 0: all is listed; an error. */
int list_walk(struct command *cmd);
int list_walk_subscribed(struct command *cmd);
int list_walk_recursive(struct command *cmd);
/* Is it time for the others, for the servers that are to be asked, or for the client to read? */
bool list_must_pause(const struct command *cmd);
void list_walk_free(struct list *l);

/* Lists a name with all that was asked for.  0, or an error. */
int list_entry_tell(struct command *cmd, const struct list_entry *entry);

/* The uses of a mailbox (NULL: none there), if they are asked for; in the pool. */
const char *list_special(struct command *cmd, const struct mboxlist_record *record, struct pool *pool);

/* Are there mailboxes that the user may know of below one, or below a level of the hierarchy that can have none?  For
 * what is not listed along with its children. */
bool list_has_children(struct command *cmd, const char *internal);
bool list_level_has_children(struct command *cmd, const char *external);
/* Is it an INBOX beside which its children stand (altnamespace)? */
bool list_is_beside(const struct client *c, const char *internal);

/* ---- list-status.c ---- */

enum { LIST_ASK_AT_ONCE = 500 /* mailboxes, until their servers are asked */ };

/* Tells STATUS of a mailbox at once, or notes it for list_status_run().  0, ERR_SYNTAX. */
int list_status_add(struct command *cmd, const struct mboxlist_record *record);
/* Asks the servers of the mailboxes noted, and forgets them.  0; ERR_AGAIN: call again. */
int list_status_run(struct command *cmd);
void list_status_free(struct list *l);

/* The same for METADATA, one server after the other. */
void list_metadata_add(struct command *cmd, const struct mboxlist_record *record);
int list_metadata_run(struct command *cmd);

#endif
