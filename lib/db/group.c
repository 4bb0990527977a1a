/* group.c: Berkeley DB's replication manager.
 *
 * The library reports success of a commit that nobody has acknowledged; that is told by an event only, which is raised
 * by the thread that commits, within the commit: so a mark of that thread ties the two.  Master leases would say it by
 * an error, and panic the environment of an elected member that is cut off in the middle of a commit. */
#include "lib/db/group.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/db/berkeley-private.h"

enum {
    ACK_US = 1000 * 1000,
    ELECTION_US = 1000 * 1000,
    RETRY_US = 500 * 1000,
    HEARTBEAT_US = 500 * 1000,
    HEARTBEAT_LOST_US = 2500 * 1000, /* an elected member that is silent for so long is taken for dead */
    THREADS = 6                      /* of the library, for messages */
};

struct group {
    struct db_group_config config;
    char *hosts[DB_GROUP_MAX];
    unsigned ports[DB_GROUP_MAX];
    bool founds;        /* from now on: nobody could take us in */
    atomic_bool joined; /* the library's threads run */
    atomic_bool removed;
    atomic_bool unsettled;
};

static _Thread_local bool unacknowledged;

/* ---- members ---- */

static void parse_member(const char *member, char **host_r, unsigned *port_r)
{
    const char *colon = strrchr(member, ':');
    uint64_t port = DB_GROUP_PORT;

    if (colon != NULL && str_parse_u64(colon + 1, strlen(colon + 1), &port) == 0 && port <= UINT16_MAX) {
        *host_r = xstrndup(member, (size_t)(colon - member));
    } else {
        *host_r = xstrdup(member);
        port = DB_GROUP_PORT;
    }
    *port_r = (unsigned)port;
}

struct group *group_new(const struct db_group_config *config)
{
    struct group *group = xcalloc(1, sizeof(*group));

    BUG_ON(config->count > DB_GROUP_MAX || config->self >= config->count);
    group->config = *config;
    for (unsigned i = 0; i < config->count; i++)
        parse_member(config->members[i], &group->hosts[i], &group->ports[i]);
    return group;
}

void group_free(struct group **groupp)
{
    struct group *group = *groupp;

    if (group == NULL)
        return;
    *groupp = NULL;
    for (unsigned i = 0; i < group->config.count; i++)
        free(group->hosts[i]);
    free(group);
}

bool group_found(struct group *group)
{
    group->founds = group->config.founds;
    return group->founds;
}

/* ---- what the library calls ---- */

static struct group *group_of(DB_ENV *bdb)
{
    return bdb->app_private;
}

static void on_event(DB_ENV *bdb, u_int32_t event, void *info)
{
    struct group *group = group_of(bdb);

    (void)info;
    if (event == DB_EVENT_REP_PERM_FAILED)
        unacknowledged = true;
    else if (event == DB_EVENT_REP_LOCAL_SITE_REMOVED)
        atomic_store(&group->removed, true);
    group->config.changed(group->config.context);
}

/* ---- opening ---- */

static int configure_sites(struct group *group, DB_ENV *bdb)
{
    int rc = 0;

    for (unsigned i = 0; i < group->config.count && rc == 0; i++) {
        bool self = i == group->config.self;
        DB_SITE *site;

        rc = bdb->repmgr_site(bdb, group->hosts[i], group->ports[i], &site, 0);
        if (rc != 0)
            break;
        if (!self)
            rc = site->set_config(site, DB_BOOTSTRAP_HELPER, 1);
        else
            rc = site->set_config(site, DB_LOCAL_SITE, 1);
        if (rc == 0 && self && group->founds)
            rc = site->set_config(site, DB_GROUP_CREATOR, 1);
        site->close(site);
    }
    return rc;
}

static int configure_times(DB_ENV *bdb)
{
    static const struct {
        int which;
        db_timeout_t us;
    } times[] = {
        {DB_REP_ACK_TIMEOUT, ACK_US},          {DB_REP_ELECTION_TIMEOUT, ELECTION_US},
        {DB_REP_ELECTION_RETRY, RETRY_US},     {DB_REP_CONNECTION_RETRY, RETRY_US},
        {DB_REP_CHECKPOINT_DELAY, 0}, /* half a minute, in which nobody could be taken in */
        {DB_REP_HEARTBEAT_SEND, HEARTBEAT_US}, {DB_REP_HEARTBEAT_MONITOR, HEARTBEAT_LOST_US},
    };
    int rc = 0;

    for (unsigned i = 0; i < sizeof(times) / sizeof(*times) && rc == 0; i++)
        rc = bdb->rep_set_timeout(bdb, times[i].which, times[i].us);
    return rc;
}

int group_configure(struct group *group, DB_ENV *bdb)
{
    int rc = configure_times(bdb);

    bdb->app_private = group;
    if (rc == 0)
        rc = bdb->set_event_notify(bdb, on_event);
    if (rc == 0)
        rc = bdb->set_lk_detect(bdb, DB_LOCK_MINWRITE); /* readers give way to what comes from the elected */
    if (rc == 0)
        rc = bdb->repmgr_set_ack_policy(bdb, DB_REPMGR_ACKS_QUORUM);
    if (rc == 0)
        rc = bdb->rep_set_config(bdb, DB_REPMGR_CONF_2SITE_STRICT, 1);
    if (rc == 0)
        rc = bdb->rep_set_config(bdb, DB_REP_CONF_NOWAIT, 1);
    if (rc == 0)
        rc = bdb->rep_set_config(bdb, DB_REP_CONF_DELAYCLIENT, 1);
    if (rc == 0) /* a commit's records in one piece: its sockets would wait 40 ms between two */
        rc = bdb->rep_set_config(bdb, DB_REP_CONF_BULK, 1);
    return rc == 0 ? configure_sites(group, bdb) : rc;
}

int group_start(struct group *group, DB_ENV *bdb)
{
    int rc = bdb->repmgr_start(bdb, THREADS, DB_REP_ELECTION);

    if (rc == DB_REP_IGNORE)
        rc = 0;
    atomic_store(&group->joined, rc == 0);
    return rc;
}

bool group_has_joined(const struct group *group)
{
    return atomic_load(&group->joined);
}

int db_open_group(const char *path, const char *const *tables, const struct db_group_config *config,
                  struct db_env **env_r, char **error_r)
{
    return db_open_with(DB_BERKELEY, path, 0, 0, tables, config, env_r, error_r);
}

/* ---- committing ---- */

int group_commit(struct group *group, DB_TXN *txn, bool *settled_r)
{
    int rc;

    unacknowledged = false;
    rc = txn->commit(txn, DB_TXN_NOSYNC);
    *settled_r = rc == 0 && !unacknowledged;
    atomic_store(&group->unsettled, !*settled_r);
    return rc;
}

bool db_group_is_unsettled(struct db_env *env)
{
    return atomic_load(&((struct berkeley_env *)env)->group->unsettled);
}

/* ---- the state ---- */

/* Who is elected: its id among the sites; `self_r`: it is we. */
static int elected(DB_ENV *bdb, bool *self_r, uint32_t *generation_r)
{
    DB_REP_STAT *stat;
    int id = -1;

    *self_r = false;
    *generation_r = 0;
    if (bdb->rep_stat(bdb, &stat, 0) != 0)
        return -1;
    *self_r = stat->st_status == DB_REP_MASTER;
    *generation_r = stat->st_gen;
    if (stat->st_status == DB_REP_CLIENT || *self_r)
        id = (int)stat->st_master;
    free(stat);
    return id;
}

bool group_is_elected(struct group *group, DB_ENV *bdb)
{
    uint32_t generation;
    bool self;

    (void)group;
    elected(bdb, &self, &generation);
    return self;
}

static struct berkeley_env *env_of(struct db_env *base)
{
    struct berkeley_env *env = (struct berkeley_env *)base;

    BUG_ON(env->group == NULL);
    return env;
}

static void put_member(struct db_group_state *state, const char *host, unsigned port, bool self, bool leads,
                       bool connected)
{
    struct db_group_member *m;
    struct buf name = BUF_INIT;

    if (state->count == DB_GROUP_MAX)
        return;
    m = &state->members[state->count++];
    buf_printf(&name, "%s:%u", host, port);
    str_copy(m->name, sizeof(m->name), buf_cstr(&name));
    buf_free(&name);
    m->self = self;
    m->elected = leads;
    m->connected = connected;
    state->up += self || connected;
}

/* Those of the configuration, before there is a group; we first. */
static void put_strangers(const struct group *group, struct db_group_state *state)
{
    unsigned self = group->config.self;

    put_member(state, group->hosts[self], group->ports[self], true, false, true);
    for (unsigned i = 0; i < group->config.count; i++)
        if (i != self)
            put_member(state, group->hosts[i], group->ports[i], false, false, false);
}

void db_group_state(struct db_env *base, struct db_group_state *state_r)
{
    struct berkeley_env *env = env_of(base);
    struct group *group = env->group;
    DB_REPMGR_SITE *sites = NULL;
    u_int count = 0;
    bool self;
    int id;

    *state_r =
        (struct db_group_state){.removed = atomic_load(&group->removed), .configured = group->config.count};
    if (!group_has_joined(group)) {
        put_strangers(group, state_r);
        return;
    }
    id = elected(env->bdb, &self, &state_r->generation);
    put_member(state_r, group->hosts[group->config.self], group->ports[group->config.self], true, self, true);
    if (env->bdb->repmgr_site_list(env->bdb, &count, &sites) != 0)
        count = 0;
    for (u_int i = 0; i < count; i++) {
        bool leads = !self && sites[i].eid == id, connected = sites[i].status == DB_REPMGR_CONNECTED;

        if (leads && connected)
            state_r->role = DB_GROUP_FOLLOWS;
        put_member(state_r, sites[i].host, sites[i].port, false, leads, connected);
    }
    free(sites);
    if (self)
        state_r->role = DB_GROUP_ELECTED;
    if (state_r->removed)
        state_r->role = DB_GROUP_ALONE;
}

uint32_t db_group_generation(struct db_env *base)
{
    struct berkeley_env *env = env_of(base);
    uint32_t generation;
    bool self;

    elected(env->bdb, &self, &generation);
    return generation;
}

int db_group_follow(struct db_env *base)
{
    struct berkeley_env *env = env_of(base);

    return berkeley_error(env->bdb->rep_sync(env->bdb, 0));
}

/* ---- fewer members ---- */

/* May it be taken out?  0; ERR_NOTFOUND; ERR_BUSY: it is the elected one, whom the library does not take out. */
static int find_site(struct berkeley_env *env, const char *name)
{
    struct db_group_state state;

    db_group_state(&env->base, &state);
    for (unsigned i = 0; i < state.count; i++)
        if (str_ieq(state.members[i].name, name))
            return state.members[i].elected ? ERR_BUSY : 0;
    return ERR_NOTFOUND;
}

int db_group_remove(struct db_env *base, const char *name)
{
    struct berkeley_env *env = env_of(base);
    unsigned port;
    DB_SITE *site;
    int rc, r = group_has_joined(env->group) ? find_site(env, name) : ERR_UNAVAILABLE;
    char *host;

    if (r < 0)
        return r;
    parse_member(name, &host, &port);
    rc = env->bdb->repmgr_site(env->bdb, host, port, &site, 0);
    if (rc == 0)
        rc = site->remove(site); /* which closes it, too */
    free(host);
    return rc == DB_REP_UNAVAIL ? ERR_UNAVAILABLE : berkeley_error(rc);
}
