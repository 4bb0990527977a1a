/* group.h: a Berkeley DB environment that a group of processes on different machines has, each its copy.
 *
 * One of them is elected by a majority and may write; a commit is only good when a majority has it on disk.  Who is
 * cut off from the majority may read.  The members speak to one another in clear and ask nobody who he is: their
 * network must be theirs (doc/security.md). */
#ifndef LIB_DB_GROUP_H
#define LIB_DB_GROUP_H

#include "lib/db/db.h"

enum { DB_GROUP_MAX = 9, DB_GROUP_NAME_MAX = 255, DB_GROUP_PORT = 3906 };

struct db_group_config {
    const char *const *members; /* "host" or "host:port", the same on all of them; ours among them */
    unsigned count, self;
    bool founds; /* where there is no group yet it may make one, of which it is the only member at first */
    /* Something may be different (db_group_state()).  By a thread of the library, which it must not keep. */
    void (*changed)(void *context);
    void *context;
};

/* As db_open() with DB_BERKELEY.  A member without a group's database asks the others to be taken in, and goes on asking
 * with db_group_join().  Until there is an elected member whose copy this one has, and while it is made,
 * db_begin() is ERR_AGAIN; a member's reads may be ERR_AGAIN at any time.  Write transactions are for the elected
 * member; of a commit that no quorum has acknowledged (ERR_UNKNOWN) nobody knows what becomes. */
int db_open_group(const char *path, const char *const *tables, const struct db_group_config *config,
                  struct db_env **env_r, char **error_r);

enum db_group_role { DB_GROUP_ALONE, DB_GROUP_FOLLOWS, DB_GROUP_ELECTED };

struct db_group_member {
    char name[DB_GROUP_NAME_MAX + 1]; /* host:port */
    bool self, elected, connected;
};

struct db_group_state {
    enum db_group_role role; /* ALONE: nobody is elected as far as we know, or we are cut off from him */
    uint32_t generation;     /* of the last election that we know of: no two members are elected in one */
    bool removed;            /* we are no longer a member */
    unsigned configured;     /* members of the configuration */
    unsigned count, up;      /* members; those that we are connected with, and we */
    struct db_group_member members[DB_GROUP_MAX];
};

/* Asks again to be taken in; by one thread, which waits for the others.  0: we are a member (or were one before);
 * ERR_UNAVAILABLE: ask again later; or another error. */
int db_group_join(struct db_env *env);

void db_group_state(struct db_env *env, struct db_group_state *state_r);
uint32_t db_group_generation(struct db_env *env);

/* Lets our copy become the newly elected member's: what it has and he has not is undone.  Until then it stays as it is, for
 * the library elects members whose copies are older, too: voters that are just being synchronised count for nothing
 * but their vote.  After a lost connection the library waits for this again, in the same generation.  0 (also if there is
 * nothing to do), or an error. */
int db_group_follow(struct db_env *env);

/* Has the last commit had no quorum?  (True for the next transaction as soon as it has begun.) */
bool db_group_is_unsettled(struct db_env *env);

/* Takes a member out, for good, be it away or not.  0; ERR_NOTFOUND; ERR_BUSY: it is the elected one, which must be stopped first;
 * ERR_UNAVAILABLE: without an elected member; or another error. */
int db_group_remove(struct db_env *env, const char *name);

#endif
