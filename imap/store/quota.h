/* quota.h: what quota roots use (RFC 2087, RFC 9208): database `volatile`; their limits stand in the
 * mailbox list.
 *
 * Usage is kept per mailbox beside the root's sum, so that setting a mailbox's usage twice does no
 * harm.  `volatile` begins empty after each boot of the machine: a root without a sum is counted anew
 * from its mailboxes' headers when asked for first.  Thread-safe. */
#ifndef IMAP_STORE_QUOTA_H
#define IMAP_STORE_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "imap/store/store.h"

enum quota_resource {
    QUOTA_STORAGE, /* bytes here; the protocol's unit is 1,024 */
    QUOTA_MESSAGES,
    QUOTA_FOLDERS,
    QUOTA_ANNOTATION_STORAGE,
    QUOTA_RESOURCES
};

#define QUOTA_UNLIMITED (-1)

struct quota_usage {
    uint64_t used[QUOTA_RESOURCES];
};

/* The root's usage.  0, ERR_NOTFOUND (no such root), ERR_IO. */
int quota_usage(struct store *store, const char *root, struct quota_usage *usage_r);

/* May that much come in (storage in bytes)?  0; ERR_OVERQUOTA; what cannot be asked is allowed. */
int quota_check(struct store *store, const char *root, uint64_t storage, uint64_t messages);

/* Counts the root anew from its mailboxes' headers (`quota -f`). */
int quota_recount(struct store *store, const char *root, struct quota_usage *usage_r);

/* Forgets a root that is removed. */
int quota_forget(struct store *store, const char *root);

#endif
