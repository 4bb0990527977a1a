/* list.h: what LIST and LSUB have in common: patterns, lines, levels of the hierarchy. */
#ifndef IMAP_SESSION_LIST_H
#define IMAP_SESSION_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "imap/session/client.h"
#include "lib/base/buf.h"
#include "lib/imapwire/args.h"
#include "lib/mboxlist/record.h"

struct hash;
struct mboxlist_iter;
struct metadata_request;
struct wildcard;

enum { LIST_PATTERNS_MAX = 32 /* of one LIST: each costs a pass over every name */ };

/* ---- patterns ---- */

struct list_patterns {
    const char *reference;
    size_t count;
    const char **texts; /* as given */
    struct wildcard **wildcards;
    bool several; /* they came in brackets (RFC 5258 section 3) */
};

/* Reads reference and pattern, or with `may_be_several` a list of patterns in brackets; what follows is the caller's.
 * 0; ERR_SYNTAX with args->error; ERR_LIMIT: more than LIST_PATTERNS_MAX. */
int list_patterns_read(struct imap_args *args, bool may_be_several, struct list_patterns *p);

/* Prepares them for matching.  `extended`: what is empty or too long is ignored (RFC 5258 section 3), else too long is
 * ERR_TOOBIG.  Freed by list_patterns_free(), which may be called without. */
int list_patterns_compile(struct list_patterns *p, char separator, bool extended);
void list_patterns_free(struct list_patterns *p);

bool list_matches(const struct list_patterns *p, const char *name, size_t len);

/* The internal prefix that all names that match have, appended. */
void list_patterns_prefix(const struct list_patterns *p, const struct namespace *ns, struct buf *prefix);

/* ---- lines ---- */

/* Writes a line: `word` is LIST, LSUB or XLIST; `more`: an extended data item behind the name, or "". */
void list_put(struct client *c, const char *word, const char *attributes, const char *external,
              const char *more);

/* The levels of the hierarchy that have no mailbox of their own and match a pattern: each is told once. */
struct list_levels {
    struct hash *told;
    struct buf last; /* the name before */
};
void list_levels_init(struct list_levels *l);
void list_levels_free(struct list_levels *l);
/* To be called for each name in order, before it is listed. */
void list_levels_tell(struct list_levels *l, struct client *c, const struct list_patterns *p,
                      const char *name, const char *word, const char *attributes);
/* The same, for names of which not every ancestor that exists was among those before: says of a level whether it has a
 * mailbox. */
typedef bool list_exists_fn(struct command *cmd, const char *external);
void list_levels_tell_missing(struct list_levels *l, struct command *cmd, const struct list_patterns *p,
                              const char *name, list_exists_fn *exists);
/* Notes a name without telling anything of its levels. */
void list_levels_note(struct list_levels *l, const char *name);

/* ---- options (RFC 5258, 5819, 6154, 8440, 9590) ---- */

struct list_options {
    bool extended; /* said in any of the ways of RFC 5258 section 3 */
    /* which mailboxes */
    bool only_subscribed, only_special, remote, recursive;
    /* what of them; children are told in any case */
    bool subscribed, children, special, myrights;
    const char *status;                      /* "(MESSAGES UNSEEN)"; NULL: no STATUS */
    const struct metadata_request *metadata; /* the entries; NULL: no METADATA */
};
/* "(subscribed special-use) " before the reference, and " return (...)" behind the pattern, to the end of the arguments;
 * both may be missing.  0 or ERR_SYNTAX. */
int list_options_select(struct imap_args *args, struct list_options *o);
int list_options_return(struct imap_args *args, struct list_options *o);

/* What the user may see of what begins with an internal prefix, and something more, to be sorted out by list_is_visible().
 * *identifiers: NULL before the first call; kept for the next, in the pool. */
struct mboxlist_iter *list_iter(const struct client *c, struct pool *pool, const char ***identifiers,
                                const char *prefix);

/* LIST of the mailbox that has just been selected (RFC 9051 6.3.2), with the name that the client said if that is another
 * way to write it. */
void list_tell_selected(struct command *cmd);

/* Is there a mailbox below this level of the hierarchy that the user may know of?  As list_iter(). */
bool list_has_visible_below(const struct client *c, struct pool *pool, const char ***identifiers,
                            const char *external);

/* May the user know of this mailbox? */
bool list_is_visible(const struct client *c, const struct mboxlist_record *record);

#endif
