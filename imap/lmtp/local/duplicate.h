/* duplicate.h: which messages a mailbox has got already, told by their Message-ID: table `duplicates` of the
 * environment `volatile` (doc/formats/duplicates.md).
 *
 * Asked and marked under the mailbox's index lock, so that two deliveries at the same time make one message.
 * Any thread. */
#ifndef IMAP_LMTP_LOCAL_DUPLICATE_H
#define IMAP_LMTP_LOCAL_DUPLICATE_H

#include <stdbool.h>
#include <stdint.h>

struct db_env;

enum { DUPLICATE_KEEP_S = 3 * 24 * 60 * 60 };

/* Has the mailbox got this message?  A database that does not answer says no: better twice than not at all. */
bool duplicate_is_known(struct db_env *env, const char *mailbox_id, const char *message_id);

/* It has now (seconds of the epoch).  0, or a database's error. */
int duplicate_mark(struct db_env *env, const char *mailbox_id, const char *message_id, int64_t now);

/* Forgets marks made before that time; the number, or a database's error. */
int duplicate_expire(struct db_env *env, int64_t before);

/* Calls fn for each mark until it returns non-zero, which is returned; else 0 or a database's error.  A message's id
 * that is too long for a key ends in a digest. */
int duplicate_each(struct db_env *env,
                   int (*fn)(const char *mailbox_id, const char *message_id, int64_t time, void *context),
                   void *context);

#endif
