#include <string.h>

#include "imap/mboxop/op-private.h"
#include "lib/base/error.h"
#include "lib/base/options.h"

static rights_t rights_on(const struct mboxop_env *env, const struct identity *identity,
                          const struct mboxlist_record *record)
{
    return identity_rights(env->config, record->acl, identity, record->name);
}

/* May `name` be made?  An administrator may; others where the nearest ancestor gives k (RFC 4314 4). */
static int may_make(const struct mboxop_env *env, const struct identity *identity, const char *name,
                    struct pool *pool)
{
    struct mboxlist_record ancestor;
    int r = env_nearest(env, name, pool, &ancestor);

    if (identity->is_admin)
        return 0;
    if (r != 0)
        return r == ERR_NOTFOUND ? ERR_DENIED : r;
    return rights_on(env, identity, &ancestor) & ACL_CREATE ? 0 : ERR_DENIED;
}

/* Is `name` free?  ERR_EXISTS is told only to those who may see the mailbox. */
static int check_free(const struct mboxop_env *env, const struct identity *identity, const char *name,
                      struct pool *pool)
{
    struct mboxlist_record record;
    int r = mboxname_check_new(env->config, name);

    if (r != 0)
        return r;
    r = mboxlist_lookup(env->list, name, pool, &record);
    if (r != 0)
        return r == ERR_NOTFOUND ? 0 : r;
    if (!(MBOXLIST_TYPE_BIT(record.type) & MBOXLIST_TYPES_ACTIVE))
        return 0;
    return rights_on(env, identity, &record) & ACL_LOOKUP ? ERR_EXISTS : ERR_DENIED;
}

int mboxop_may_create(const struct mboxop_env *env, const struct identity *identity, const char *name)
{
    struct pool *pool = pool_new(0);
    int r = check_free(env, identity, name, pool);

    if (r == 0)
        r = may_make(env, identity, name, pool);
    pool_free(&pool);
    return r;
}

/* The mailbox, and whether the identity has `needed` on it; ERR_NOTFOUND when it may not even see it. */
static int check_rights(const struct mboxop_env *env, const struct identity *identity, const char *name,
                        rights_t needed)
{
    struct pool *pool = pool_new(0);
    struct mboxlist_record record;
    int r = mboxlist_lookup(env->list, name, pool, &record);

    if (r == 0 && !(MBOXLIST_TYPE_BIT(record.type) & MBOXLIST_TYPES_ACTIVE))
        r = ERR_NOTFOUND;
    if (r == 0) {
        rights_t rights = rights_on(env, identity, &record);

        if (!(rights & (ACL_LOOKUP | needed)))
            r = ERR_NOTFOUND;
        else if ((rights & needed) != needed)
            r = ERR_DENIED;
    }
    pool_free(&pool);
    return r;
}

int mboxop_may_delete(const struct mboxop_env *env, const struct identity *identity, const char *name)
{
    int r = check_rights(env, identity, name, ACL_DELETE_MBOX);

    /* nobody but an administrator deletes an INBOX (RFC 3501 6.3.4) */
    if (r == 0 && mboxname_is_inbox(name) && !identity->is_admin)
        r = ERR_DENIED;
    return r;
}

static int may_take_name(const struct mboxop_env *env, const struct identity *identity, const char *from,
                         const char *to)
{
    bool user = mboxname_is_inbox(from) && mboxname_is_inbox(to);
    struct pool *pool;
    int r;

    if (user && (!identity->is_admin || !opt_switch(OPT_ALLOWUSERMOVES)))
        return ERR_DENIED;
    /* what an INBOX leaves behind is for its owner to decide */
    if (mboxname_is_inbox(from) && !user && !identity->is_admin &&
        !mboxname_is_owner(env->config, from, identity->userid))
        return ERR_DENIED;
    pool = pool_new(0);
    r = may_make(env, identity, to, pool);
    pool_free(&pool);
    return r;
}

/* An administrator renames and moves without a right on the mailbox, as Cyrus's does (it deletes nothing). */
static int may_leave(const struct mboxop_env *env, const struct identity *identity, const char *name)
{
    return check_rights(env, identity, name, identity->is_admin ? 0 : ACL_DELETE_MBOX);
}

int mboxop_may_rename(const struct mboxop_env *env, const struct identity *identity, const char *from,
                      const char *to)
{
    struct pool *pool;
    int r = may_leave(env, identity, from);

    if (r != 0)
        return r;
    pool = pool_new(0);
    r = check_free(env, identity, to, pool);
    pool_free(&pool);
    return r == 0 ? may_take_name(env, identity, from, to) : r;
}

int mboxop_may_move(const struct mboxop_env *env, const struct identity *identity, const char *name)
{
    int r = may_leave(env, identity, name);

    return r == 0 && !identity->is_admin ? ERR_DENIED : r;
}

int mboxop_may_setacl(const struct mboxop_env *env, const struct identity *identity, const char *name,
                      const char *identifier, rights_t rights)
{
    int r = check_rights(env, identity, name, ACL_ADMIN);

    if (r != 0 || identity->is_admin)
        return r;
    if (!opt_switch(OPT_ALLOWSETACL))
        return ERR_DENIED;
    if (rights != 0 && strcmp(identifier, "anyone") == 0 && !opt_switch(OPT_ANYONEUSERACL))
        return ERR_DENIED;
    return 0;
}
