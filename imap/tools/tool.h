/* tool.h: what every administrator's tool does first. */
#ifndef IMAP_TOOLS_TOOL_H
#define IMAP_TOOLS_TOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "imap/mboxop/mboxop.h"
#include "lib/mboxlist/mboxlist.h"

/* Reads imapd.conf (NULL: the usual one), sets the umask, and, started by root, becomes the option cyrus_user,
 * so that no file of the servers ever belongs to root.  0, or an exit code of sysexits.h, the reason told on
 * standard error. */
int tool_start(const char *program, const char *config_path);

/* The same with the options as the service of that name has them (<service>_<option>). */
int tool_start_as(const char *program, const char *config_path, const char *service);

/* Opens the mailbox list and, unless this is a frontend, the store; link: ask for the MUPDATE master's.
 * As tool_start(). */
int tool_open(const char *program, bool link, struct mboxop_env *env_r);
void tool_close(struct mboxop_env *env);

/* Has this node mailboxes of its own?  If not (a frontend), says so on standard output. */
bool tool_has_store(const char *program, const struct mboxop_env *env);

/* Is there a MUPDATE master, does it answer?  0 (also on a standalone server), or an error, told. */
int tool_wait_master(const char *program, const struct mboxop_env *env);

/* A duration from the command line: suffixes, a bare number is days; 0.5 and 1.5h too.  False: told on standard error. */
bool tool_duration(const char *program, const char *text, int64_t *seconds_r);

/* The mailbox that is meant: as an administrator names it, else in internal form; utf7: in modified UTF-7, as
 * IMAP has it, else in UTF-8.  0 with the record in the pool, ERR_NOTFOUND (also for what is no name), or an
 * error of the list. */
int tool_lookup(struct mboxop_env *env, const char *given, bool utf7, struct pool *pool,
                struct mboxlist_record *record_r);
/* The mailbox of this server whose directory that is; likewise. */
int tool_lookup_path(struct mboxop_env *env, const char *path, struct pool *pool,
                     struct mboxlist_record *record_r);
/* A user's INBOX; likewise. */
int tool_lookup_user(struct mboxop_env *env, const char *userid, struct pool *pool,
                     struct mboxlist_record *record_r);

/* The internal form, appended, of what an administrator calls a mailbox (in UTF-8), whether or not there is one.  False: it cannot
 * be a name. */
bool tool_internal(const struct mboxop_env *env, const char *given, struct buf *name);

/* A UIDVALIDITY that this server has not given yet.  0, or an error of the list. */
int tool_new_uidvalidity(struct mboxop_env *env, uint32_t *uidvalidity_r);

/* The name as an administrator sees it, in the pool. */
const char *tool_external(const struct mboxop_env *env, const char *name, struct pool *pool);

/* Calls fn for the mailboxes of this server, in order, outside any transaction, until it returns non-zero,
 * which is returned; else 0 or an error of the list.  userid: only those that are, or were before they were
 * deleted, that user's; NULL: all. */
int tool_each_local(struct mboxop_env *env, const char *userid,
                    int (*fn)(struct mboxop_env *env, const struct mboxlist_record *record, void *context),
                    void *context);

/* The same for those whose internal names begin so. */
int tool_each_prefix(struct mboxop_env *env, const char *prefix,
                     int (*fn)(struct mboxop_env *env, const struct mboxlist_record *record, void *context),
                     void *context);

#endif
