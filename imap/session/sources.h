/* sources.h: which mailboxes a filter means: "selected", "personal", "subtree" ... of ESEARCH (RFC 7377 section 2.2) and
 * NOTIFY (RFC 5465 section 6).
 *
 * A filter is read, and then either expanded to the mailboxes that there are now (source_walk), or asked whether it
 * covers one (source_covers).  What the selected mailbox is, the session knows: neither says it of SELECTED. */
#ifndef IMAP_SESSION_SOURCES_H
#define IMAP_SESSION_SOURCES_H

#include <stdbool.h>
#include <stddef.h>

#include "imap/session/client.h"
#include "lib/imapwire/args.h"
#include "lib/mboxlist/record.h"

struct hash;

enum source_kind {
    SOURCE_SELECTED,
    SOURCE_SELECTED_DELAYED,
    SOURCE_INBOXES, /* as PERSONAL: scripts may file anywhere there (RFC 5465 section 6.3) */
    SOURCE_PERSONAL,
    SOURCE_SUBSCRIBED,
    SOURCE_SUBTREE,
    SOURCE_SUBTREE_ONE,
    SOURCE_MAILBOXES,
    SOURCE_KINDS
};
#define SOURCE_BIT(kind) (1u << (kind))
#define SOURCES_ALL      (SOURCE_BIT(SOURCE_KINDS) - 1)
#define SOURCES_NOTIFY   (SOURCES_ALL ^ SOURCE_BIT(SOURCE_SUBTREE_ONE))
#define SOURCES_ESEARCH  (SOURCES_ALL ^ SOURCE_BIT(SOURCE_SELECTED_DELAYED))

enum { SOURCE_NAMES_MAX = 1000 /* of one filter */ };

struct source_name {
    const char *external; /* as the client would be told it */
    const char *internal; /* NULL: no mailbox can have this name, but some may be below it */
};

struct source {
    enum source_kind kind;
    struct source_name *names; /* SUBTREE, SUBTREE_ONE, MAILBOXES */
    size_t count;
};

/* Reads "filter-mailboxes"; `allowed`: SOURCE_BITs.  Names are in args->pool.  0; ERR_SYNTAX with args->error; ERR_LIMIT:
 * too many names. */
int source_read(const struct client *c, struct imap_args *args, unsigned allowed, struct source *source_r);

/* Is a mailbox meant, whether it exists or not?  `subscribed`: the user's subscriptions, internal names; NULL: none. */
bool source_covers(const struct client *c, const struct source *source, const char *internal,
                   const struct hash *subscribed);

/* ---- expansion ---- */

/* What a user must be allowed to do with a mailbox: with one that the filter names, and with one that it does not. */
struct source_rights {
    rights_t named, found;
};

/* A mailbox; `record` is valid during the call.  0, or an error that ends the walk. */
typedef int source_fn(struct client *c, const struct mboxlist_record *record, void *context);

struct source_walk;

/* Begins to expand filters, which must live as long.  Uses cmd->leg. */
struct source_walk *source_walk_new(struct command *cmd, const struct source *sources, size_t count,
                                    struct source_rights rights);

/* As source_walk_new(), of what the list here says now: nothing is waited for, and all that the user may know of is given.
 * `subscribed`: his subscriptions, internal names; NULL: none; read at once when they are come to. */
struct source_walk *source_walk_known(struct client *c, const struct source *sources, size_t count,
                                      const struct hash *subscribed);

/* Gives some of the mailboxes to fn, each once, however many filters mean it; those that are not there or for which the
 * user lacks rights are left out.  1: call again, others may have their turn first; 0: that was all; ERR_AGAIN: it waits,
 * as a primitive of leg.h; another error. */
int source_walk_step(struct source_walk *w, source_fn *fn, void *context);

void source_walk_free(struct source_walk **w); /* *w may be NULL */

#endif
