/* group.c: a member of a replicated group of masters: its beginning, its keeper, and what it tells of itself. */
#include "mupdate/group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "mupdate/group-private.h"
#include "mupdate/takeover.h"

enum {
    GROUP_MAGIC = 0x7bda7e21,
    KEEPER_MS = 200,
    FLUSH_MS = 1000,      /* then what was done to the names is on disk, too */
    FOUND_MS = 500,       /* that the first one looks for others who could take it in, */
    FOUND_MOST_MS = 3000, /* and that it waits for those who are slow to answer */
    ALONE_MS = 3000,      /* that a member waits for others before it shows what it has */
    JOINS_BEHIND = 1000   /* entries: one that lacks no more may become a member */
};

/* ---- waiting ---- */

void group_progressed(struct mupdate_group *g)
{
    pthread_cond_broadcast(&g->progress);
}

void group_changed(struct mupdate_group *g)
{
    g->kicked = true;
    pthread_cond_broadcast(&g->changed);
    pthread_cond_signal(&g->asked_for);
    group_progressed(g);
}

static void wait_on(struct mupdate_group *g, pthread_cond_t *cond, int64_t deadline)
{
    struct timespec until = {deadline / 1000, deadline % 1000 * 1000000};

    pthread_cond_timedwait(cond, &g->mutex, &until);
}

void group_wait(struct mupdate_group *g, int64_t deadline)
{
    wait_on(g, &g->changed, deadline);
}

void group_wait_progress(struct mupdate_group *g, int64_t deadline)
{
    wait_on(g, &g->progress, deadline);
}

void group_pause(int64_t ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

void group_give_up(struct mupdate_group *g)
{
    if (!g->given_up)
        g->broken(g->context);
    g->given_up = true;
    group_changed(g);
}

static void on_published(void *context)
{
    struct mupdate_group *g = context;

    g->published(g->context);
}

/* ---- the keeper ---- */

static const char *const state_words[] = {[GROUP_UNKNOWN] = "",
                                          [GROUP_ALONE] = "without a quorum",
                                          [GROUP_FOLLOWS] = "follows",
                                          [GROUP_ELECTED] = "elected"};

bool group_is_removed(const struct mupdate_group *g)
{
    return g->was_member && !g->raft.copying && g->raft.config_count > 0 && !raft_may_stand(&g->raft);
}

/* With the mutex. */
static enum group_state state_of(const struct mupdate_group *g)
{
    if (raft_leads(&g->raft))
        return GROUP_ELECTED;
    return g->raft.role == RAFT_FOLLOWS && g->raft.leader.id != 0 && !group_is_removed(g) &&
                   clock_ms() - g->raft.heard < RAFT_SILENCE
               ? GROUP_FOLLOWS
               : GROUP_ALONE;
}

/* With the mutex. */
static void log_state(struct mupdate_group *g)
{
    enum group_state state = state_of(g);

    if (state == g->logged)
        return;
    LOG(LOG_NOTICE, MUPDATE_GROUP_STATE, LOG_STR(STATE, state_words[state]),
        LOG_STR(SERVER, g->raft.leader.name), LOG_INT(TERM, g->raft.term),
        LOG_INT(TOTAL, raft_members(&g->raft)->count));
    g->logged = state;
}

/* With both locks: who was just elected says so in the log. */
static void begin_term(struct mupdate_group *g)
{
    struct journal_entry entry = JOURNAL_ENTRY_INIT;
    struct raft_position at;

    entry.kind = JOURNAL_TERM;
    group_append(g, &entry, &at);
}

/* With the mutex: has it asked to be a member, and nearly everything? */
static bool may_join(const struct mupdate_group *g, const struct raft_copy *copy)
{
    return copy->joins && clock_ms() - copy->heard < RAFT_PATIENCE &&
           copy->match >= g->raft.configs[0].index && copy->match + JOINS_BEHIND >= g->raft.commit &&
           !raft_members_have(raft_members(&g->raft), copy->who.id);
}

/* The list with a new member; or without one who has lost his copy and asks as somebody new. */
static bool with_member(const struct raft_members *before, const struct raft_member *who, uint64_t self,
                        struct raft_members *after)
{
    *after = *before;
    for (unsigned i = 0; i < before->count; i++) {
        if (!str_ieq(before->member[i].name, who->name))
            continue;
        after->member[i] = after->member[--after->count];
        return before->member[i].id != self;
    }
    if (after->count == RAFT_MEMBERS_MAX)
        return false;
    after->member[after->count++] = *who;
    return true;
}

/* With both locks: takes in who asks for it, one after the other. */
static void take_in(struct mupdate_group *g)
{
    struct raft_members members;
    struct raft_position at;

    if (!raft_may_change(&g->raft) || !group_is_settled(g))
        return;
    for (unsigned i = 0; i < g->raft.copy_count; i++)
        if (may_join(g, &g->raft.copies[i]) &&
            with_member(raft_members(&g->raft), &g->raft.copies[i].who, g->raft.self.id, &members)) {
            group_change_members(g, &members, &at);
            return;
        }
}

/* With both locks: the first entry of a new group's log, whose only member we are. */
static void found(struct mupdate_group *g)
{
    struct raft_members members = {.count = 1, .member = {g->raft.self}};
    struct journal_entry entry = JOURNAL_ENTRY_INIT;
    int r;

    journal_members_put(&entry, &members);
    entry.at = (struct raft_position){1, 1};
    r = names_found(g->names);
    if (r == 0)
        r = journal_found(g->env, &entry);
    if (r == 0) {
        g->was_member = true;
        raft_append(&g->raft, &entry.at, &members);
        raft_stored(&g->raft, 1);
        raft_tick(&g->raft, clock_ms() + 2 * RAFT_PATIENCE);
    } else {
        LOG(LOG_ERR, MUPDATE_GROUP_LOG, LOG_ERROR(r));
        group_give_up(g);
    }
    journal_entry_free(&entry);
}

/* With the mutex: is it for us to found a group?  Who has brought a list with him need not ask. */
static bool is_to_found(const struct mupdate_group *g)
{
    const struct raft *raft = &g->raft;

    if (raft->last != 0 || raft->copying || g->was_member)
        return false;
    if (names_source(g->names)->ops->sequence(names_source(g->names)) != 0)
        return true;
    if (!g->founds || g->others_are_members || raft->leader.id != 0 || clock_ms() - g->began < FOUND_MS)
        return false;
    for (unsigned i = 0; i < g->canvasser_count; i++)
        if (!g->canvassers[i]->has_asked && clock_ms() - g->began < FOUND_MOST_MS)
            return false;
    return true;
}

/* With the mutex: a group that has just been founded shows nothing until it is one, lest somebody takes an empty list for
 * the true one; and who begins anew may have shown a little more before than he has done again. */
static void show(struct mupdate_group *g)
{
    uint64_t sequence = names_source(g->names)->ops->sequence(names_source(g->names));

    if (!names_is_readable(g->names) && !g->raft.copying && g->applied > 0 &&
        (state_of(g) != GROUP_ALONE || clock_ms() - g->began > ALONE_MS) &&
        (sequence > 0 || 2 * raft_members(&g->raft)->count > g->configured_count))
        names_set_readable(g->names, true);
}

/* For who makes this copy a lone master's one day. */
static void note_members(struct mupdate_group *g)
{
    unsigned count;

    pthread_mutex_lock(&g->mutex);
    count = state_of(g) != GROUP_ALONE && g->was_member ? raft_members(&g->raft)->count : 0;
    pthread_mutex_unlock(&g->mutex);
    if (count != 0 && count != g->noted && takeover_note_members(g->dir, count) == 0)
        g->noted = count;
}

/* What was done to the names need not be done again by the next start. */
static void flush(struct mupdate_group *g)
{
    uint64_t applied = mupdate_group_visible(g);

    if (g->flushed == applied || clock_left(g->flush_at) != 0)
        return;
    g->flushed = applied;
    g->flush_at = clock_deadline(FLUSH_MS);
    if (db_flush(g->env) < 0)
        g->flushed = 0;
}

/* What only the holder of log_lock does. */
static void keep_log(struct mupdate_group *g)
{
    bool goes_on;

    pthread_mutex_lock(&g->log_lock);
    pthread_mutex_lock(&g->mutex);
    if (is_to_found(g))
        found(g);
    if (group_save(g) && raft_is_new(&g->raft))
        begin_term(g);
    if (!g->given_up)
        take_in(g);
    group_make_canvassers(g);
    goes_on = !g->given_up;
    pthread_mutex_unlock(&g->mutex);
    if (goes_on)
        group_do_settled_locked(g);
    pthread_mutex_unlock(&g->log_lock);
}

/* Who is a member for the first time knows for ever that he was. */
static void note_membership(struct mupdate_group *g)
{
    bool is;

    pthread_mutex_lock(&g->mutex);
    is = !g->was_member && raft_is_member(&g->raft);
    pthread_mutex_unlock(&g->mutex);
    if (!is || journal_note_member(g->env) < 0)
        return;
    pthread_mutex_lock(&g->mutex);
    g->was_member = true;
    pthread_mutex_unlock(&g->mutex);
}

/* A round; with the mutex, which is free meanwhile. */
static void keep(struct mupdate_group *g)
{
    bool busy;

    raft_tick(&g->raft, clock_ms());
    group_save(g);
    pthread_cond_broadcast(&g->changed);
    show(g);
    log_state(g);
    if (state_of(g) == GROUP_ELECTED)
        g->good_at = clock_ms();
    busy = g->raft.copying; /* the listener holds log_lock for long */
    pthread_mutex_unlock(&g->mutex);
    if (!busy) {
        keep_log(g);
        group_trim(g);
        flush(g);
    }
    note_membership(g);
    note_members(g);
    pthread_mutex_lock(&g->mutex);
}

static void *run_keeper(void *context)
{
    struct mupdate_group *g = context;

    pthread_mutex_lock(&g->mutex);
    while (!g->stop) {
        int64_t deadline = clock_deadline(KEEPER_MS);

        if (g->raft.role != RAFT_ELECTED && g->raft.deadline < deadline)
            deadline = g->raft.deadline;
        g->kicked = false;
        keep(g);
        while (!g->stop && !g->kicked && clock_left(deadline) != 0)
            group_wait(g, deadline);
    }
    pthread_mutex_unlock(&g->mutex);
    return NULL;
}

/* ---- what it tells ---- */

bool mupdate_group_leads(void *group)
{
    struct mupdate_group *g = group;
    bool leads;

    pthread_mutex_lock(&g->mutex);
    leads = raft_leads(&g->raft);
    pthread_mutex_unlock(&g->mutex);
    return leads;
}

uint64_t mupdate_group_visible(void *group)
{
    struct mupdate_group *g = group;
    uint64_t applied;

    pthread_mutex_lock(&g->mutex);
    applied = g->applied;
    pthread_mutex_unlock(&g->mutex);
    return applied;
}

/* Is the name among those, each with a blank behind it? */
static bool is_among(const char *names, const char *name)
{
    size_t len = strlen(name);

    for (; *names != '\0'; names += strcspn(names, " ") + 1)
        if (strcspn(names, " ") == len && str_ieq_n(names, name, len))
            return true;
    return false;
}

/* With the mutex. */
static void put_member(struct mupdate_group *g, const struct raft_member *m, const char *tag, struct buf *to)
{
    enum group_state state = state_of(g);
    bool self = m->id == g->raft.self.id, elected = state != GROUP_ALONE && m->id == g->raft.leader.id;
    bool there = state == GROUP_ELECTED ? raft_hears(&g->raft, m->id, clock_ms())
                                        : elected || (state == GROUP_FOLLOWS && is_among(g->heard, m->name));

    mupdate_put_line(to, tag, "XMEMBER", m->name, elected ? "elected" : "follows",
                     self    ? "self"
                     : there ? "connected"
                             : "away",
                     NULL);
}

/* Those of the configuration, before there is a group; we first. */
static void put_strangers(struct mupdate_group *g, const char *tag, struct buf *to)
{
    mupdate_put_line(to, tag, "XMEMBER", g->raft.self.name, "follows", "self", NULL);
    for (unsigned i = 0; i < g->configured_count; i++)
        if (!str_ieq(g->configured[i], g->raft.self.name))
            mupdate_put_line(to, tag, "XMEMBER", g->configured[i], "follows", "away", NULL);
}

void mupdate_group_describe(void *group, const char *tag, struct buf *to)
{
    struct mupdate_group *g = group;
    const struct raft_members *members;
    char numbers[3][24];
    const char *does;

    pthread_mutex_lock(&g->mutex);
    members = raft_members(&g->raft);
    for (unsigned i = 0; i < members->count; i++)
        put_member(g, &members->member[i], tag, to);
    if (members->count == 0)
        put_strangers(g, tag, to);
    snprintf(numbers[0], sizeof(numbers[0]), "%llu", (unsigned long long)g->applied);
    snprintf(numbers[1], sizeof(numbers[1]), "%llu", (unsigned long long)g->raft.last);
    snprintf(numbers[2], sizeof(numbers[2]), "%llu", (unsigned long long)g->raft.commit);
    does = group_is_removed(g)                             ? "removed"
           : group_is_writer(g)                            ? "writes"
           : state_of(g) == GROUP_FOLLOWS && g->was_member ? "follows"
                                                           : "no quorum";
    pthread_mutex_unlock(&g->mutex);
    mupdate_put_line(to, tag, "XGROUP", does, numbers[0], numbers[1], numbers[2], NULL);
}

/* ---- opening ---- */

/* The host of "host:port", or of "host". */
static bool same_host(const char *a, const char *b)
{
    size_t len = strcspn(a, ":");

    return strcspn(b, ":") == len && str_ieq_n(a, b, len);
}

/* "host:port", where it answers MUPDATE. */
static const char *whole_name(struct mupdate_group *g, const char *member)
{
    return strchr(member, ':') != NULL
               ? pool_strdup(g->pool, member)
               : pool_printf(g->pool, "%s:%d", member, (int)opt_int(OPT_MUPDATE_PORT));
}

static int find_members(struct mupdate_group *g, const struct mupdate_group_config *config,
                        struct raft_member *self, char **error_r)
{
    struct str_list members = str_split(g->pool, config->members, " \t");

    if (members.count < MUPDATE_GROUP_MIN || members.count > MUPDATE_GROUP_MOST) {
        *error_r =
            xstrprintf("mupdate_group: %d to %d members make a group", MUPDATE_GROUP_MIN, MUPDATE_GROUP_MOST);
        return ERR_CONFIG;
    }
    for (size_t i = 0; i < members.count; i++) {
        const char *name = g->configured[g->configured_count++] = whole_name(g, members.items[i]);

        if (strlen(name) > RAFT_NAME_MAX) {
            *error_r = xstrprintf("mupdate_group: %s: a name that is too long", name);
            return ERR_CONFIG;
        }
        if (!same_host(name, config->own))
            continue;
        str_copy(self->name, sizeof(self->name), name);
        g->founds = i == 0;
    }
    if (self->name[0] != '\0')
        return 0;
    *error_r = xstrprintf("mupdate_group: none of the members is this machine, %s", config->own);
    return ERR_CONFIG;
}

struct loading {
    struct mupdate_group *group;
    bool copying;
    bool used; /* by more than its founder's first steps */
};

static void look_at_entry(const struct journal_entry *entry, void *context)
{
    struct loading *loading = context;
    struct raft_members members;

    loading->used =
        loading->used || entry->kind == JOURNAL_CHANGES ||
        (entry->kind == JOURNAL_MEMBERS && journal_members_get(entry, &members) == 0 && members.count > 1);
}

static void load_entry(const struct journal_entry *entry, void *context)
{
    struct loading *loading = context;
    struct mupdate_group *g = loading->group;
    struct raft_members members;
    bool changes = entry->kind == JOURNAL_MEMBERS && journal_members_get(entry, &members) == 0;

    if (loading->copying)
        return; /* it is begun again */
    raft_append(&g->raft, &entry->at, changes ? &members : NULL);
    group_note_kept(g, entry->at.index, entry->rows.len);
}

/* A group that was founded here, and that nobody has joined, is forgotten: there may be another one now. */
static bool is_forgotten(const struct mupdate_group *g, const struct journal_state *state, bool used)
{
    return state->members.count <= 1 && state->was_member && !used && g->configured_count > 1 &&
           !state->copying && names_source(g->names)->ops->sequence(names_source(g->names)) == 0;
}

/* Who is here for the first time gets another id than anybody before. */
static int begin_anew(struct mupdate_group *g, struct journal_state *state)
{
    uint64_t id;
    int r;

    do
        digest_random(&id, sizeof(id));
    while (id == 0);
    r = journal_begin(g->env, id);
    return r == 0 ? journal_load(g->env, state, NULL, NULL) : r;
}

static int load(struct mupdate_group *g, struct raft_member *self)
{
    struct loading loading = {.group = g};
    struct journal_state state;
    uint64_t random;
    int r = journal_load(g->env, &state, look_at_entry, &loading);

    if (r == 0 && (state.id == 0 || is_forgotten(g, &state, loading.used)))
        r = begin_anew(g, &state);
    if (r < 0)
        return r;
    self->id = state.id;
    digest_random(&random, sizeof(random));
    raft_init(&g->raft, self, random, clock_ms());
    digest_random(&random, sizeof(random));
    g->raft.round = random >> 2; /* no other member's */
    raft_load(&g->raft, state.term, state.voted);
    g->was_member = state.was_member;
    if (state.copying) {
        g->raft.floor = state.floor;
        g->raft.copying = loading.copying = true;
        return 0;
    }
    g->applied = state.applied.index;
    r = journal_load(g->env, &state, load_entry, &loading);
    if (r < 0)
        return r;
    raft_begin_with(&g->raft, &state.members, state.applied.index);
    return 0;
}

static void start_threads(struct mupdate_group *g)
{
    BUG_ON(pthread_create(&g->keeper, NULL, run_keeper, g) != 0);
    BUG_ON(pthread_create(&g->listener, NULL, group_run_listener, g) != 0);
    BUG_ON(pthread_create(&g->asker, NULL, group_run_asker, g) != 0);
    g->running = true;
}

static struct mupdate_group *new_group(const struct mupdate_group_config *config)
{
    struct mupdate_group *g = xcalloc(1, sizeof(*g));
    pthread_condattr_t monotonic;

    g->magic = GROUP_MAGIC;
    g->hub = config->hub;
    g->conflicts = config->conflicts;
    g->published = config->published;
    g->broken = config->broken;
    g->context = config->context;
    g->pool = pool_new(0);
    g->dir = pool_strdup(g->pool, config->dir);
    g->began = g->good_at = clock_ms();
    pthread_mutex_init(&g->log_lock, NULL);
    pthread_mutex_init(&g->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&g->changed, &monotonic);
    pthread_cond_init(&g->progress, &monotonic);
    pthread_cond_init(&g->asked_for, &monotonic);
    pthread_condattr_destroy(&monotonic);
    peer_init(&g->writes, &g->stop);
    peer_init(&g->listens, &g->stop);
    peer_init(&g->asks, &g->stop);
    return g;
}

int mupdate_group_open(const struct mupdate_group_config *config, struct mupdate_group **group_r,
                       char **error_r)
{
    struct mupdate_group *g = new_group(config);
    struct raft_member self = {0};
    int r = find_members(g, config, &self, error_r);

    if (r == 0)
        r = names_open_group(config->dir, NAMES_OWNER_WAIT_MS, on_published, g, &g->names, error_r);
    if (r == 0) {
        g->env = names_env(g->names);
        r = load(g, &self);
        if (r < 0)
            *error_r = xstrprintf("%s/mupdate.group: %s", config->dir, error_text(r));
    }
    if (r < 0) {
        mupdate_group_close(&g);
        return r;
    }
    pthread_mutex_lock(&g->mutex);
    group_make_canvassers(g);
    pthread_mutex_unlock(&g->mutex);
    start_threads(g);
    *group_r = g;
    return 0;
}

struct names *mupdate_group_names(struct mupdate_group *g)
{
    MAGIC_CHECK(g, GROUP_MAGIC);
    return g->names;
}

void mupdate_group_stop(struct mupdate_group *g)
{
    if (g == NULL)
        return;
    pthread_mutex_lock(&g->mutex);
    atomic_store(&g->stop, true);
    group_changed(g);
    pthread_mutex_unlock(&g->mutex);
    if (g->running) {
        pthread_join(g->keeper, NULL); /* who makes canvassers */
        pthread_join(g->listener, NULL);
        pthread_join(g->asker, NULL);
    }
    for (unsigned i = 0; i < g->canvasser_count; i++) {
        pthread_join(g->canvassers[i]->thread, NULL);
        peer_close(&g->canvassers[i]->peer);
    }
    g->canvasser_count = 0;
    g->running = false;
}

void mupdate_group_close(struct mupdate_group **gp)
{
    struct mupdate_group *g = *gp;

    if (g == NULL)
        return;
    *gp = NULL;
    mupdate_group_stop(g);
    peer_close(&g->writes);
    peer_close(&g->listens);
    peer_close(&g->asks);
    names_close(&g->names);
    raft_free(&g->raft);
    journal_entry_free(&g->tail);
    pthread_cond_destroy(&g->changed);
    pthread_cond_destroy(&g->progress);
    pthread_cond_destroy(&g->asked_for);
    pthread_mutex_destroy(&g->mutex);
    pthread_mutex_destroy(&g->log_lock);
    pool_free(&g->pool);
    g->magic = 0;
    free(g);
}
