/* quota.h: quota roots and their limits (durable, in the mailbox list's environment) and their usage (in the
 * `volatile` environment: lost with the machine, counted anew then).
 *
 * Usage is kept per mailbox id beside the root's sum: setting a mailbox's value adjusts the sum in the same
 * transaction, so that repeating it is harmless and a kill heals at the mailbox's next commit. */
#ifndef LIB_MBOXLIST_QUOTA_H
#define LIB_MBOXLIST_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/mboxlist/mboxlist.h"

/* The values are part of the format; room for eight. */
enum quota_resource {
    QUOTA_STORAGE,            /* bytes here; KiB in IMAP (RFC 9208) */
    QUOTA_MESSAGE,            /* messages */
    QUOTA_ANNOTATION_STORAGE, /* bytes here; KiB in IMAP */
    QUOTA_MAILBOX,            /* mailboxes (X-NUM-FOLDERS) */
    QUOTA_RESOURCES
};
#define QUOTA_UNLIMITED (-1)

struct quota_limits {
    int64_t limit[QUOTA_RESOURCES]; /* QUOTA_UNLIMITED: none */
};
struct quota_usage {
    int64_t used[QUOTA_RESOURCES];
};

/* ---- roots and limits ---- */

/* The root that governs a mailbox name: the nearest of its name and its parents that has limits.  Appends it.
 * 0, or ERR_NOTFOUND. */
int quota_root_of(struct mboxlist *list, const char *name, struct buf *root);

int quota_limits_get(struct mboxlist *list, const char *root,
                     struct quota_limits *limits_r); /* ERR_NOTFOUND */
int quota_limits_set(struct mboxlist *list, const char *root, const struct quota_limits *limits);
int quota_root_delete(struct mboxlist *list, const char *root); /* ERR_NOTFOUND */

/* Sets the limits or, with NULL, deletes the root, in a transaction of the caller's.  As the two above. */
int quota_txn_limits_set(struct mboxlist_txn *txn, const char *root, const struct quota_limits *limits);

/* As mboxlist_subs_each(), over the roots. */
int quota_roots_each(struct mboxlist *list, const char *prefix,
                     int (*fn)(const char *root, const struct quota_limits *limits, void *context),
                     void *context);

/* Renames the root `old_tree` and those below it, in the transaction of a rename. */
int quota_txn_roots_rename(struct mboxlist_txn *txn, const char *old_tree, const char *new_tree);

/* ---- usage ---- */

struct db_env;

/* Opens <configdirectory>/volatile (tables "usage", "duplicates", "state"), process-wide, counted.  When the
 * machine has been started anew since it was last used, everything in it is dropped first. */
int volatile_open(const char *dir, struct db_env **env_r, char **error_r);

/* Is every mailbox counted?  After a drop it is not, until quota_usage_set_complete(): whoever gets false and
 * the lock of his choice counts the mailboxes of the list (quota_usage_set for each) and says so. */
int quota_usage_complete(struct db_env *env, bool *complete_r);
int quota_usage_set_complete(struct db_env *env);

/* Sets what a mailbox uses and adjusts the root's sum; a mailbox that was counted under another root leaves
 * that one.  root "" (no quota): still kept by mailbox.  Idempotent. */
int quota_usage_set(struct db_env *env, const char *mailbox_id, const char *root,
                    const struct quota_usage *usage);
/* A mailbox is gone (unknown: success). */
int quota_usage_drop(struct db_env *env, const char *mailbox_id);

/* Calls fn for the id of each mailbox that is counted, outside any transaction (fn may drop it), until fn returns
 * non-zero, which is returned; else 0 or an error. */
int quota_usage_each_mailbox(struct db_env *env, int (*fn)(const char *mailbox_id, void *context),
                             void *context);

/* The sum of a root; zeros when nothing is counted. */
int quota_usage_get(struct db_env *env, const char *root, struct quota_usage *usage_r);

/* Recomputes every sum from the mailboxes' values (quota -f).  The number of sums that were wrong, or an
 * error. */
int quota_usage_recompute(struct db_env *env);

/* Opens <configdirectory>/seen (table "seen"), durable, for imap/store. */
int seen_open(const char *dir, struct db_env **env_r, char **error_r);

#endif
