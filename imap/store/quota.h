/* quota.h: the store's side of quotas (RFC 2087, RFC 9208): lib/mboxlist/quota.h keeps limits and usage; here
 * a commit asks and tells, and mailboxes are counted anew when the machine was started again.
 * Thread-safe. */
#ifndef IMAP_STORE_QUOTA_H
#define IMAP_STORE_QUOTA_H

#include <stdint.h>

#include "imap/store/mailbox.h"
#include "imap/store/store.h"
#include "lib/mboxlist/quota.h"

/* How strictly a commit asks. */
enum quota_mode {
    QUOTA_IGNORE,  /* IGNOREQUOTA, COPY by an administrator's tool */
    QUOTA_ALREADY, /* refused only if the root is over its limit already (lmtp_strict_quota: no) */
    QUOTA_STRICT   /* refused if it would be over its limit then */
};

/* Counts all mailboxes if that has not been done since the machine was started.  To be called without
 * any index lock, before a commit that will ask store_quota_check().  When another thread is at it, it is not
 * waited for: hundreds of deliveries after a reboot must not hold the workers; until it has done limits are
 * judged by what it has counted.  0 or a database's error. */
int store_quota_prepare(struct store *store);

/* May that much (bytes, messages) come into the root?  0; ERR_OVERQUOTA.  A root without limits, or
 * a database that does not answer, lets it in. */
int store_quota_check(struct store *store, const char *root, enum quota_mode mode, uint64_t bytes,
                      uint64_t messages);

/* May that many mailboxes come into the root?  Likewise. */
int store_quota_check_mailboxes(struct store *store, const char *root, uint64_t mailboxes);

/* What a root uses, prepared first (and waited for).  0 or a database's error. */
int store_quota_usage(struct store *store, const char *root, struct quota_usage *usage_r);

/* Tells the usage of a mailbox from its header (every commit does; harmless to repeat). */
int mailbox_quota_commit(struct mailbox *mailbox);

/* Counts every mailbox of the list anew from its header, and forgets those that are not in it (`quota -f`).  wrong_r (may be NULL): roots whose
 * sum was wrong.  The number of mailboxes counted, or an error. */
int store_quota_recount(struct store *store, int *wrong_r);

#endif
