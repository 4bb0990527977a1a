/* autocreate.h: makes what a new user gets: INBOX with its quota, folders, subscriptions (imapd.conf(5), autocreate_*).
 *
 * An operation as those of mboxop.h: stepped, never waiting.  What fails is logged; without the INBOX nothing else is made. */
#ifndef IMAP_MBOXOP_AUTOCREATE_H
#define IMAP_MBOXOP_AUTOCREATE_H

#include "imap/mboxop/mboxop.h"

struct autocreate;

/* For a user without an INBOX.  The identity must live as long.  Never NULL. */
struct autocreate *autocreate_new(const struct mboxop_env *env, const struct identity *identity);

/* As mboxop_set_waker(). */
void autocreate_set_waker(struct autocreate *a, void (*wake)(void *context), void *context);

/* As mboxop_step() and mboxop_deadline(). */
enum mboxop_verdict autocreate_step(struct autocreate *a);
int64_t autocreate_deadline(const struct autocreate *a);

/* After MBOXOP_DONE: 0, or why there is no INBOX. */
int autocreate_result(const struct autocreate *a);

/* At any time; *a = NULL. */
void autocreate_free(struct autocreate **a);

#endif
