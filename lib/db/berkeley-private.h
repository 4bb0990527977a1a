/* berkeley-private.h: what the engine's two files share. */
#ifndef LIB_DB_BERKELEY_PRIVATE_H
#define LIB_DB_BERKELEY_PRIVATE_H

#include <db.h>
#include <pthread.h>
#include <stdatomic.h>

#include "lib/db/db-private.h"

struct group;

struct berkeley_env {
    struct db_env base;
    DB_ENV *bdb;
    DB *db[DB_TABLES_MAX];
    atomic_bool opened; /* all of them; changes under the lock for writing */
    atomic_bool dead;   /* what they were has been replaced by the elected member's */
    int owner_fd;
    int64_t checkpoint_due;
    pthread_rwlock_t lock;
    struct group *group; /* NULL: it is nobody's copy */
};

/* The ERR_* for a code of the library. */
int berkeley_error(int rc);

/* ---- group.c: the library's replication manager ---- */

struct group *group_new(const struct db_group_config *config); /* copies */
void group_free(struct group **group);                         /* after the environment; *group may be NULL */

/* Codes of the library.  configure before the environment is opened; start after: DB_REP_UNAVAIL: there is no group
 * that could take this member in. */
int group_configure(struct group *group, DB_ENV *bdb);
int group_start(struct group *group, DB_ENV *bdb);
bool group_has_joined(const struct group *group);
/* If we may found a group: from the next group_configure() on we do, where there is none yet.  Else false. */
bool group_found(struct group *group);

bool group_is_elected(struct group *group, DB_ENV *bdb);

/* Commits.  *settled_r: has a quorum acknowledged this very commit? */
int group_commit(struct group *group, DB_TXN *txn, bool *settled_r);

#endif
