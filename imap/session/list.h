/* list.h: what LIST and LSUB have in common. */
#ifndef IMAP_SESSION_LIST_H
#define IMAP_SESSION_LIST_H

#include <stdbool.h>

#include "imap/session/client.h"
#include "lib/base/buf.h"
#include "lib/imapwire/args.h"
#include "lib/mboxlist/record.h"

struct hash;
struct wildcard;

struct list_pattern {
    const char *reference, *pattern;
    struct wildcard *wildcard;
    bool levels; /* levels of the hierarchy without a mailbox of their own are told too */
};

/* Reads reference and pattern; what follows is the caller's.  0, or the answer has been made. */
int list_pattern_parse(struct command *cmd, struct imap_args *args, struct list_pattern *p);
void list_pattern_free(struct list_pattern *p);

/* Writes a line: `word` is LIST or LSUB. */
void list_put(struct client *c, const char *word, const char *attributes, const char *external);

/* The levels of the hierarchy that match a pattern without being listed themselves: each is told once. */
struct list_levels {
    struct hash *told;
    struct buf last; /* the name before */
};
void list_levels_init(struct list_levels *l);
void list_levels_free(struct list_levels *l);
/* To be called for each name in order, before it is listed. */
void list_levels_tell(struct list_levels *l, struct client *c, const struct list_pattern *p, const char *name,
                      const char *word, const char *attributes);

/* What LIST can be asked for beyond RFC 3501, by a frontend alone (doc/protocols/cyrus-private.md): words of RFC 5258,
 * RFC 5819 and RFC 6154. */
struct list_options {
    bool only_subscribed, only_special; /* which mailboxes */
    bool subscribed, special;           /* what of them; children are always told */
    const char *status;                 /* "(MESSAGES UNSEEN)"; NULL: no STATUS */
};
/* "(subscribed special-use) " before the reference, and " return (...)" behind the pattern, to the end of the arguments;
 * both may be missing.  0 or ERR_SYNTAX. */
int list_options_select(struct imap_args *args, struct list_options *o);
int list_options_return(struct imap_args *args, struct list_options *o);

/* May the user know of this mailbox? */
bool list_is_visible(const struct client *c, const struct mboxlist_record *record);

#endif
