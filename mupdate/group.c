/* group.c: a member of a replicated group of masters.
 *
 * The members speak MUPDATE with one another, beside the library's own connections: the library's channels wait for ever
 * for a process that hangs.  Three threads: the keeper takes over after an election; the listener of a member that
 * follows always has a question at the elected one, who answers when the quorum is further, or when he wants to know
 * whether he is still followed; the asker answers barriers.  The writer's thread sends on what clients want changed. */
#include "mupdate/group.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/pool.h"
#include "lib/base/str.h"
#include "lib/mupdate/wire.h"
#include "mupdate/peer.h"
#include "mupdate/reached.h"
#include "mupdate/takeover.h"

enum {
    GROUP_MAGIC = 0x7bda7e21,
    KEEPER_MS = 200,
    BEHIND_MS = 5,          /* between looks at a copy that is behind what was told */
    IDLE_MS = 1000,         /* then the copies are told that the last change is settled */
    FAILOVER_MS = 4 * 1000, /* that a change waits for somebody to be elected */
    FORWARD_MS = 5 * 1000,  /* for the elected one's answer */
    FOLLOW_ANSWER_MS = 1500,
    PING_MS = 500,          /* that he waits for the others to ask again */
    CATCH_UP_MS = 5 * 1000, /* for our own copy to have what was changed */
    JOIN_MS = 1000,         /* between attempts to be taken in */
    UNREADABLE_MS = 2000,   /* then our copy is one that is being made anew */
    NEVER_TAKEN_IN_MS = 30 * 1000
};

struct mupdate_group {
    unsigned magic;
    struct names *names;
    struct hub *hub;
    struct conflicts *conflicts;
    uint64_t conflicts_known; /* the listener's: the elected one's version */
    void (*published)(void *context);
    void *context;
    struct pool *pool; /* the members' names */
    pthread_t keeper, listener, asker;
    bool running;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool kicked, asking; /* the threads have something to do */
    atomic_bool stop;
    struct peer writes, listens, asks;
    int64_t good_at; /* when somebody could write last */
    int64_t began, changed_at;
    enum db_group_role role; /* as it stands in the log */
    bool known;              /* somebody has been elected since the start */
    bool short_of_members;   /* as it stands in the log */
    void (*broken)(void *context);
    bool given_up;
    const char *dir;
    unsigned noted;   /* members, on disk; 0: not yet */
    bool joined;      /* the keeper's: it has been taken in */
    int64_t join_at;  /* then it asks again */
    uint64_t seen;    /* the keeper's: what was visible when it looked last */
    uint64_t settled; /* likewise: what all copies were told to be settled, in the database */
    _Atomic uint64_t asked, answered, missed;
    _Atomic uint64_t reached; /* the sequence here when that was answered */
    /* Under the mutex: what our copy has had, and of that what is on disk (reached.h). */
    struct names_position had, stored;
    atomic_bool behind;       /* the elected member lacks what others have */
    uint32_t adopted;         /* the listener's: the generation whose elected one our copy follows */
    int64_t unreadable_until; /* likewise; 0: it can be read */
    uint64_t round;           /* of asking whether we are followed */
    unsigned followers;       /* those that have been heard of since we were elected */
    struct follower {
        char name[DB_GROUP_NAME_MAX + 1];
        uint64_t round; /* the last one that it has heard of */
    } follower[DB_GROUP_MAX];
};

/* ---- waking ---- */

static void kick(void *context)
{
    struct mupdate_group *g = context;

    pthread_mutex_lock(&g->mutex);
    g->kicked = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->mutex);
}

static void on_published(void *context)
{
    struct mupdate_group *g = context;

    kick(g);
    g->published(g->context);
}

/* Under the mutex. */
static void wait_until(struct mupdate_group *g, int64_t deadline)
{
    struct timespec until = {deadline / 1000, deadline % 1000 * 1000000};

    pthread_cond_timedwait(&g->changed, &g->mutex, &until);
}

static void pause_ms(int64_t ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* ---- who writes ---- */

static bool is_majority(unsigned some, unsigned all)
{
    return some * 2 > all;
}

static const struct db_group_member *self_of(const struct db_group_state *state)
{
    return &state->members[0]; /* db_group_state() has it first */
}

/* Under the mutex: of the members, how many have asked us in that round, and we? */
static unsigned count_round(const struct mupdate_group *g, const struct db_group_state *state, uint64_t round)
{
    unsigned with_us = 1;

    for (unsigned i = 1; i < state->count; i++)
        for (unsigned j = 0; j < g->followers; j++)
            with_us +=
                strcmp(g->follower[j].name, state->members[i].name) == 0 && g->follower[j].round >= round;
    return with_us;
}

/* Do so many others still take us for the elected one that nobody else can be?  All who wait for an answer get one,
 * with the number of this round, and ask again. */
static bool leads_majority(struct mupdate_group *g)
{
    int64_t deadline = clock_deadline(PING_MS);
    struct db_group_state state;
    uint64_t round;
    bool majority;

    db_group_state(names_env(g->names), &state);
    if (state.role != DB_GROUP_ELECTED || !is_majority(state.up, state.count))
        return false;
    pthread_mutex_lock(&g->mutex);
    round = ++g->round;
    pthread_mutex_unlock(&g->mutex);
    hub_wake(g->hub);
    pthread_mutex_lock(&g->mutex);
    while (!(majority = is_majority(count_round(g, &state, round), state.count)) && !g->stop &&
           clock_left(deadline) != 0)
        wait_until(g, deadline);
    pthread_mutex_unlock(&g->mutex);
    return majority;
}

/* Are so many of those that are to be a group in it?  (A new one begins with one member, who would have a majority.) */
static bool is_group(const struct db_group_state *state)
{
    return is_majority(state->count, state->configured);
}

/* May we write now? */
static bool is_writer(struct mupdate_group *g, const struct db_group_state *state)
{
    return state->role == DB_GROUP_ELECTED && is_majority(state->up, state->count) && is_group(state) &&
           names_may_write(g->names);
}

/* Waits for somebody who writes, but not for long if there has been nobody for long. */
static enum db_group_role who_writes(struct mupdate_group *g, int64_t deadline)
{
    for (;;) {
        struct db_group_state state;
        bool give_up;

        db_group_state(names_env(g->names), &state);
        if (state.role == DB_GROUP_FOLLOWS)
            return DB_GROUP_FOLLOWS;
        if (is_writer(g, &state))
            return DB_GROUP_ELECTED;
        pthread_mutex_lock(&g->mutex);
        give_up = g->stop || clock_left(deadline) == 0 || clock_ms() - g->good_at > FAILOVER_MS;
        if (!give_up)
            wait_until(g, clock_deadline(KEEPER_MS / 10));
        pthread_mutex_unlock(&g->mutex);
        if (give_up)
            return DB_GROUP_ALONE;
    }
}

/* ---- changes, sent to the one who writes ---- */

static void put_command(struct buf *to, const char *tag, const struct write_command *c)
{
    static const char *const words[] = {[MUPDATE_RESERVE] = "RESERVE",
                                        [MUPDATE_ACTIVATE] = "ACTIVATE",
                                        [MUPDATE_DEACTIVATE] = "DEACTIVATE",
                                        [MUPDATE_DELETE] = "DELETE"};

    if (c->details != NULL)
        mupdate_put_line(to, tag, words[c->verb], c->name, c->location, c->acl, c->details->id,
                         c->details->type, c->details->special_use, NULL);
    else
        mupdate_put_line(to, tag, words[c->verb], c->name, c->location, c->location != NULL ? c->acl : NULL,
                         NULL);
}

static void set_errors(struct write_job *jobs, int error)
{
    for (; jobs != NULL; jobs = jobs->next)
        jobs->error = error;
}

/* What the elected one said of a command: 0 with the result, ERR_UNAVAILABLE: it was not done; ERR_UNKNOWN. */
static int take_result(const struct mupdate_line *line, struct write_command *c)
{
    const char *text = line->count > 0 ? line->args[0] : "";

    for (c->result = NAMES_DONE; c->result <= NAMES_BAD; c->result++)
        if (strcmp(text, names_result_text(c->result)) == 0 &&
            str_ieq(line->word, "OK") == (c->result == NAMES_DONE))
            return 0;
    c->result = NAMES_BAD;
    return strcmp(text, MUPDATE_NOT_DONE) == 0 ? ERR_UNAVAILABLE : ERR_UNKNOWN;
}

/* Until our own copy has it, so that who has changed something here finds it here. */
static int catch_up(struct mupdate_group *g, const struct names_position *at)
{
    int64_t deadline = clock_deadline(CATCH_UP_MS);
    struct names_position visible;

    names_told(g->names, at);
    for (;;) {
        names_refresh(g->names);
        visible = names_visible(g->names);
        if (!names_is_before(&visible, at))
            return 0;
        if (clock_left(deadline) == 0)
            return ERR_UNAVAILABLE;
        pause_ms(1);
    }
}

/* What is visible at the elected one; *sure: once he knows that he still is. */
static int ask_position(struct peer *peer, bool sure, struct names_position *at_r)
{
    const struct mupdate_line *line;
    struct buf question = BUF_INIT;
    char tag[24];
    int r;

    mupdate_put_line(&question, peer_tag(peer, tag), sure ? "XWHERE" : "XVISIBLE", NULL);
    r = peer_ask(peer, &question, FORWARD_MS, &line);
    buf_free(&question);
    return r == 0 && peer_line_number(line, 0, &at_r->term) && peer_line_number(line, 1, &at_r->sequence)
               ? 0
               : ERR_UNAVAILABLE;
}

/* What other members have sent is not sent on, nor anything twice. */
static bool is_to_send(const struct write_job *job)
{
    return !job->forwarded && !job->sent;
}

/* The answers to a job's commands.  *lost: none comes any more.  ERR_UNAVAILABLE: nothing of it was done. */
static int take_answers(struct peer *peer, struct write_job *job, int64_t deadline, uint64_t *number,
                        bool *lost)
{
    bool some = false;
    int r = 0;

    for (struct write_command *c = job->first; c != NULL; c = c->next) {
        const struct mupdate_line *line;
        int result = *lost ? ERR_EOF : peer_answer(peer, deadline, ++*number, &line);

        if (result < 0) {
            *lost = true;
            return ERR_UNKNOWN;
        }
        result = take_result(line, c);
        if (result < 0)
            r = r == ERR_UNKNOWN ? r : result;
        some = some || result != ERR_UNAVAILABLE;
    }
    return r == ERR_UNAVAILABLE && some ? ERR_UNKNOWN : r;
}

/* Our own sessions' jobs, all their commands at once.  ERR_UNAVAILABLE: some are to be sent again. */
static int forward(struct mupdate_group *g, struct write_job *jobs)
{
    struct peer *peer = &g->writes;
    int64_t deadline = clock_deadline(FORWARD_MS);
    int r = peer_call(peer, deadline);
    uint64_t number = peer->number;
    struct buf out = BUF_INIT;
    bool done = false, lost = false;
    struct names_position at;
    char tag[24];

    if (r < 0)
        return r;
    for (const struct write_job *job = jobs; job != NULL; job = job->next)
        for (const struct write_command *c = job->first; c != NULL && is_to_send(job); c = c->next)
            put_command(&out, peer_tag(peer, tag), c);
    mupdate_conn_write(peer->conn, &out);
    buf_free(&out);
    for (struct write_job *job = jobs; job != NULL; job = job->next) {
        if (!is_to_send(job))
            continue;
        job->error = take_answers(peer, job, deadline, &number, &lost);
        job->sent = job->error != ERR_UNAVAILABLE;
        done = done || job->error == 0;
        r = job->sent ? r : ERR_UNAVAILABLE;
    }
    if (lost)
        peer_close(peer);
    else if (done && ask_position(peer, false, &at) == 0)
        (void)catch_up(g, &at);
    return r;
}

static bool any_sent(const struct write_job *jobs)
{
    while (jobs != NULL && !jobs->sent)
        jobs = jobs->next;
    return jobs != NULL;
}

void mupdate_group_write(void *context, struct write_job *jobs)
{
    struct mupdate_group *g = context;
    int64_t deadline = clock_deadline(FAILOVER_MS);
    enum db_group_role role;
    int r = ERR_UNAVAILABLE;

    set_errors(jobs, ERR_UNAVAILABLE);
    do {
        role = who_writes(g, deadline);
        if (role == DB_GROUP_ELECTED && any_sent(jobs))
            break; /* another one has done a part of it, and was not heard of again */
        if (role == DB_GROUP_ELECTED) {
            writer_write(g->names, jobs);
            r = jobs->error;
            if (r == ERR_AGAIN)
                set_errors(jobs, r = ERR_UNAVAILABLE);
        } else if (role == DB_GROUP_FOLLOWS) {
            r = forward(g, jobs);
            if (r == ERR_UNAVAILABLE)
                pause_ms(KEEPER_MS / 10);
        }
    } while (r == ERR_UNAVAILABLE && role != DB_GROUP_ALONE && clock_left(deadline) != 0);
}

/* ---- for the others ---- */

/* Under the mutex.  A new one takes the place of who has been silent for longest. */
static struct follower *follower_of(struct mupdate_group *g, const char *name)
{
    struct follower *f = g->follower;

    for (unsigned i = 0; i < g->followers; i++) {
        if (strcmp(g->follower[i].name, name) == 0)
            return &g->follower[i];
        if (g->follower[i].round < f->round)
            f = &g->follower[i];
    }
    if (g->followers < DB_GROUP_MAX)
        f = &g->follower[g->followers++];
    str_copy(f->name, sizeof(f->name), name);
    return f;
}

void mupdate_group_note_follower(void *context, const char *name, uint64_t round)
{
    struct mupdate_group *g = context;

    pthread_mutex_lock(&g->mutex);
    if (round <= g->round) {
        follower_of(g, name)->round = round;
        pthread_cond_broadcast(&g->changed);
    }
    pthread_mutex_unlock(&g->mutex);
}

bool mupdate_group_news(void *context, uint64_t round, const struct names_position *known, uint64_t *round_r,
                        struct names_position *at_r)
{
    struct mupdate_group *g = context;

    pthread_mutex_lock(&g->mutex);
    *round_r = g->round;
    pthread_mutex_unlock(&g->mutex);
    *at_r = names_visible(g->names);
    return *round_r != round ||
           (names_is_writer(g->names) && (at_r->term != known->term || at_r->sequence != known->sequence));
}

bool mupdate_group_leads(void *context)
{
    struct mupdate_group *g = context;

    return names_is_writer(g->names);
}

/* ---- whose copy ours is ---- */

/* What our copy has, or has had before it began to be made anew.  ERR_AGAIN: it cannot be read just now. */
static int own_position(struct mupdate_group *g, struct names_position *own_r)
{
    struct names_position at;
    uint64_t settled;
    int r = names_at(g->names, &at, &settled);

    pthread_mutex_lock(&g->mutex);
    if (r == 0 && names_is_before(&g->had, &at))
        g->had = at;
    *own_r = g->had;
    pthread_mutex_unlock(&g->mutex);
    return r;
}

static void find_behind(struct mupdate_group *g, const char *server)
{
    LOG(LOG_WARNING, MUPDATE_GROUP_BEHIND, LOG_STR(SERVER, server));
    atomic_store(&g->behind, true);
    kick(g);
}

int mupdate_group_adopt(void *context, uint32_t generation, const struct names_position *its,
                        struct names_position *own_r)
{
    struct mupdate_group *g = context;
    struct db_group_state state;
    int r = own_position(g, own_r);

    if (r < 0 && (r != ERR_AGAIN || own_r->term != 0)) /* else: there is no list yet */
        return ERR_UNAVAILABLE;
    db_group_state(names_env(g->names), &state);
    if (state.role != DB_GROUP_ELECTED || state.generation != generation)
        return ERR_UNAVAILABLE;
    if (names_is_before(own_r, its))
        find_behind(g, self_of(&state)->name);
    return 0;
}

/* What we have had will still be known when our copy is made anew and that is not finished. */
static int store_reached(struct mupdate_group *g, const struct names_position *own)
{
    int r = names_is_before(&g->stored, own) ? reached_store(g->dir, own) : 0;

    if (r == 0 && names_is_before(&g->stored, own))
        g->stored = *own;
    return r;
}

/* ---- the keeper ---- */

static const char *const role_words[] = {
    [DB_GROUP_ALONE] = "without a quorum", [DB_GROUP_FOLLOWS] = "follows", [DB_GROUP_ELECTED] = "elected"};

static void give_up(struct mupdate_group *g)
{
    if (!g->given_up)
        g->broken(g->context);
    g->given_up = true;
}

/* The elected one's round.  A commit that may get no quorum would keep readers waiting: so the others are asked
 * first. */
static void keep_elected(struct mupdate_group *g, const struct db_group_state *state)
{
    struct names_position before = names_visible(g->names);
    bool may_write = names_may_write(g->names) && names_is_writer(g->names);
    bool idle = clock_ms() - g->changed_at > IDLE_MS;
    int r = 0;

    if (!is_majority(state->up, state->count) ||
        (before.term == 0 && !is_group(state) && names_refresh(g->names) < 0))
        return; /* the latter: a group that has just been founded and has no list yet */
    if (!may_write && leads_majority(g)) {
        r = names_is_writer(g->names) ? names_settle(g->names) : names_take_over(g->names);
    } else if (may_write && idle && g->settled != before.sequence) {
        r = names_settle(g->names);
        if (r == 0)
            g->settled = before.sequence;
    }
    if (r < 0)
        LOG(LOG_NOTICE, MUPDATE_GROUP_TERM, LOG_ERROR(r));
    if (r == ERR_CORRUPT)
        give_up(g);
}

static void log_state(struct mupdate_group *g, const struct db_group_state *state)
{
    enum db_group_role role = state->role;
    const char *elected = "";

    if (role == DB_GROUP_ELECTED && !is_majority(state->up, state->count))
        role = DB_GROUP_ALONE;
    if (role == g->role && g->known)
        return;
    for (unsigned i = 0; i < state->count; i++)
        if (state->members[i].elected)
            elected = state->members[i].name;
    LOG(LOG_NOTICE, MUPDATE_GROUP_STATE, LOG_STR(STATE, role_words[role]), LOG_STR(SERVER, elected),
        LOG_INT(COUNT, state->up), LOG_INT(TOTAL, state->count));
    g->role = role;
    g->known = true;
}

/* Who has no copy asks the others for one, again and again. */
static void join(struct mupdate_group *g)
{
    int r;

    if (g->joined || clock_left(g->join_at) != 0)
        return;
    r = db_group_join(names_env(g->names));
    g->joined = r == 0;
    g->join_at = clock_deadline(JOIN_MS);
    if (r < 0 && r != ERR_UNAVAILABLE)
        give_up(g);
}

/* For who makes this copy a lone master's one day. */
static void note_members(struct mupdate_group *g, const struct db_group_state *state)
{
    if (state->role != DB_GROUP_ALONE && state->count != g->noted &&
        takeover_note_members(g->dir, state->count) == 0)
        g->noted = state->count;
}

static void keep(struct mupdate_group *g)
{
    struct db_group_state state;
    struct names_position own;
    uint64_t visible = names_visible(g->names).sequence;

    if (visible != g->seen)
        g->changed_at = clock_ms();
    g->seen = visible;
    join(g);
    db_group_state(names_env(g->names), &state);
    if (state.role == DB_GROUP_ELECTED) {
        keep_elected(g, &state);
    } else {
        names_step_down(g->names);
        (void)own_position(g, &own);
        if (names_refresh(g->names) == ERR_CORRUPT)
            give_up(g);
    }
    if (atomic_load(&g->behind))
        give_up(g);
    log_state(g, &state);
    note_members(g, &state);
    if (state.role == DB_GROUP_FOLLOWS || is_writer(g, &state)) {
        pthread_mutex_lock(&g->mutex);
        g->good_at = clock_ms();
        pthread_cond_broadcast(&g->changed);
        pthread_mutex_unlock(&g->mutex);
    } else if (names_visible(g->names).term == 0 && clock_ms() - g->began > NEVER_TAKEN_IN_MS) {
        give_up(g); /* it may be that there is a group now to be taken into */
    }
}

static void *run_keeper(void *context)
{
    struct mupdate_group *g = context;

    pthread_mutex_lock(&g->mutex);
    while (!g->stop) {
        int64_t deadline = clock_deadline(names_is_behind(g->names) ? BEHIND_MS : KEEPER_MS);

        g->kicked = false;
        pthread_mutex_unlock(&g->mutex);
        keep(g);
        pthread_mutex_lock(&g->mutex);
        while (!g->stop && !g->kicked && clock_left(deadline) != 0)
            wait_until(g, deadline);
    }
    pthread_mutex_unlock(&g->mutex);
    return NULL;
}

/* Before our copy becomes the newly elected member's: what it has may have been acknowledged, so he must have it too.  If he
 * lacks it, neither of us goes on, and after the next election it should be another one. */
static int adopt(struct mupdate_group *g, const struct db_group_state *state)
{
    struct names_position own, his;
    const struct mupdate_line *line;
    struct buf question = BUF_INIT;
    char tag[24], number[3][24];
    int r = own_position(g, &own);

    if (r < 0 && r != ERR_AGAIN)
        return r;
    if (r == 0)
        g->unreadable_until = 0;
    else if (g->unreadable_until == 0)
        g->unreadable_until = clock_deadline(UNREADABLE_MS);
    if (r < 0 && own.term != 0 && clock_left(g->unreadable_until) != 0)
        return r;
    r = peer_call(&g->listens, clock_deadline(FOLLOW_ANSWER_MS));
    if (r < 0)
        return r;
    snprintf(number[0], sizeof(number[0]), "%lu", (unsigned long)state->generation);
    snprintf(number[1], sizeof(number[1]), "%llu", (unsigned long long)own.term);
    snprintf(number[2], sizeof(number[2]), "%llu", (unsigned long long)own.sequence);
    mupdate_put_line(&question, peer_tag(&g->listens, tag), "XADOPT", number[0], number[1], number[2], NULL);
    r = peer_ask(&g->listens, &question, FOLLOW_ANSWER_MS, &line);
    buf_free(&question);
    if (r < 0)
        return r;
    if (!peer_line_number(line, 0, &his.term) || !peer_line_number(line, 1, &his.sequence))
        return ERR_PROTOCOL;
    if (names_is_before(&his, &own)) {
        find_behind(g, g->listens.host);
        return ERR_UNAVAILABLE;
    }
    r = store_reached(g, &own);
    if (r == 0 && db_group_generation(names_env(g->names)) == state->generation)
        r = db_group_follow(names_env(g->names));
    if (r == 0)
        g->adopted = state->generation;
    return r;
}

/* ---- the listener ---- */

static void learn_conflict(struct mupdate_group *g, const struct mupdate_line *line)
{
    uint64_t count, age;

    if (peer_line_number(line, 3, &count) && peer_line_number(line, 4, &age) &&
        age < CONFLICTS_KEPT_MS / 1000)
        conflicts_learn(g->conflicts, line->args[0], line->args[2], count, clock_ms() - (int64_t)age * 1000);
}

/* The elected one hears of all claims, whoever they were made at; we are to know them should he go. */
static int fetch_conflicts(struct mupdate_group *g, uint64_t version)
{
    int64_t deadline = clock_deadline(FORWARD_MS);
    const struct mupdate_line *line;
    struct buf question = BUF_INIT;
    char tag[24];
    int r;

    if (version == g->conflicts_known)
        return 0;
    mupdate_put_line(&question, peer_tag(&g->listens, tag), "CONFLICTS", NULL);
    mupdate_conn_write(g->listens.conn, &question);
    buf_free(&question);
    while ((r = peer_line(&g->listens, deadline, &line)) == 0) {
        if (strcmp(line->tag, tag) != 0)
            continue;
        if (!str_ieq(line->word, "CONFLICT"))
            break;
        learn_conflict(g, line);
    }
    if (r < 0)
        peer_close(&g->listens);
    else
        g->conflicts_known = version;
    return r;
}

/* Asks the elected one for what is new.  *round: what he said last. */
static int follow(struct mupdate_group *g, const char *self, uint64_t *round)
{
    struct names_position at = names_visible(g->names);
    const struct mupdate_line *line;
    struct buf question = BUF_INIT;
    char tag[24], number[3][24];
    uint64_t conflicts;
    int r = peer_call(&g->listens, clock_deadline(FOLLOW_ANSWER_MS));

    if (r < 0)
        return r;
    snprintf(number[0], sizeof(number[0]), "%llu", (unsigned long long)*round);
    snprintf(number[1], sizeof(number[1]), "%llu", (unsigned long long)at.term);
    snprintf(number[2], sizeof(number[2]), "%llu", (unsigned long long)at.sequence);
    mupdate_put_line(&question, peer_tag(&g->listens, tag), "XFOLLOW", self, number[0], number[1], number[2],
                     NULL);
    r = peer_ask(&g->listens, &question, FOLLOW_ANSWER_MS, &line);
    buf_free(&question);
    if (r < 0)
        return r;
    if (!peer_line_number(line, 0, round))
        return ERR_PROTOCOL;
    if (!peer_line_number(line, 1, &at.term) || !peer_line_number(line, 2, &at.sequence))
        return 0; /* he has been elected, and has not taken over yet */
    if (!peer_line_number(line, 3, &conflicts))
        conflicts = g->conflicts_known;
    names_told(g->names, &at);
    names_refresh(g->names);
    if (names_is_behind(g->names))
        pause_ms(1); /* else he would answer at once, again and again */
    return fetch_conflicts(g, conflicts);
}

static void *run_listener(void *context)
{
    struct mupdate_group *g = context;
    struct db_group_state state;
    uint64_t round = 0;

    pthread_mutex_lock(&g->mutex);
    while (!g->stop) {
        int r = ERR_UNAVAILABLE;

        pthread_mutex_unlock(&g->mutex);
        db_group_state(names_env(g->names), &state);
        if (state.role == DB_GROUP_FOLLOWS)
            r = state.generation == g->adopted ? db_group_follow(names_env(g->names)) : adopt(g, &state);
        if (state.role == DB_GROUP_FOLLOWS && r == 0)
            r = follow(g, self_of(&state)->name, &round);
        if (r < 0)
            round = 0;
        pthread_mutex_lock(&g->mutex);
        if (r < 0 && !g->stop)
            wait_until(g, clock_deadline(KEEPER_MS / 10));
    }
    pthread_mutex_unlock(&g->mutex);
    return NULL;
}

/* ---- barriers ---- */

/* Is our copy as far as everything that was acknowledged before? */
static int ask_where(struct mupdate_group *g)
{
    struct names_position at;
    int r;

    if (names_is_writer(g->names))
        return leads_majority(g) ? 0 : ERR_UNAVAILABLE;
    r = peer_call(&g->asks, clock_deadline(FORWARD_MS));
    if (r == 0)
        r = ask_position(&g->asks, true, &at);
    return r == 0 ? catch_up(g, &at) : r;
}

static void *run_asker(void *context)
{
    struct mupdate_group *g = context;

    pthread_mutex_lock(&g->mutex);
    while (!g->stop) {
        uint64_t asked;
        int r;

        while (!g->stop && !g->asking)
            pthread_cond_wait(&g->changed, &g->mutex);
        g->asking = false;
        pthread_mutex_unlock(&g->mutex);
        asked = atomic_load(&g->asked);
        r = ask_where(g);
        atomic_store(&g->reached, names_visible(g->names).sequence);
        atomic_store(r == 0 ? &g->answered : &g->missed, asked);
        hub_wake(g->hub);
        pthread_mutex_lock(&g->mutex);
    }
    pthread_mutex_unlock(&g->mutex);
    return NULL;
}

uint64_t mupdate_group_barrier_ask(void *context)
{
    struct mupdate_group *g = context;
    uint64_t ticket = atomic_fetch_add(&g->asked, 1) + 1;

    pthread_mutex_lock(&g->mutex);
    g->asking = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->mutex);
    return ticket;
}

int mupdate_group_barrier_done(void *context, uint64_t ticket)
{
    struct mupdate_group *g = context;

    if (atomic_load(&g->answered) >= ticket)
        return 1;
    return atomic_load(&g->missed) >= ticket ? ERR_UNAVAILABLE : 0;
}

uint64_t mupdate_group_barrier_sequence(struct mupdate_group *g)
{
    return atomic_load(&g->reached);
}

/* ---- for administrators ---- */

void mupdate_group_describe(void *context, const char *tag, struct buf *to)
{
    struct mupdate_group *g = context;
    struct names_position visible = names_visible(g->names), at = {0, 0};
    struct db_group_state state;
    uint64_t settled = 0;
    char number[32], behind[32], known[32];

    db_group_state(names_env(g->names), &state);
    for (unsigned i = 0; i < state.count; i++) {
        const struct db_group_member *m = &state.members[i];

        mupdate_put_line(to, tag, "XMEMBER", m->name, m->elected ? "elected" : "follows",
                         m->self        ? "self"
                         : m->connected ? "connected"
                                        : "away",
                         NULL);
    }
    names_at(g->names, &at, &settled);
    snprintf(number, sizeof(number), "%llu", (unsigned long long)visible.sequence);
    snprintf(behind, sizeof(behind), "%llu", (unsigned long long)at.sequence);
    snprintf(known, sizeof(known), "%llu", (unsigned long long)settled);
    mupdate_put_line(to, tag, "XGROUP",
                     state.removed                    ? "removed"
                     : state.role == DB_GROUP_FOLLOWS ? "follows"
                     : is_writer(g, &state)           ? "writes"
                                                      : "no quorum",
                     number, behind, known, NULL);
}

int mupdate_group_remove(void *context, const char *member)
{
    struct mupdate_group *g = context;

    return db_group_remove(names_env(g->names), member);
}

/* ---- opening ---- */

/* The host of "host:port", or of "host". */
static bool same_host(const char *a, const char *b)
{
    size_t len = strcspn(a, ":");

    return strcspn(b, ":") == len && str_ieq_n(a, b, len);
}

static int find_members(struct mupdate_group *g, const struct mupdate_group_config *config,
                        struct db_group_config *group, char **error_r)
{
    struct str_list members = str_split(g->pool, config->members, " \t");
    bool found = false;

    group->members = (const char *const *)members.items;
    group->count = (unsigned)members.count;
    for (unsigned i = 0; i < members.count; i++) {
        if (!same_host(members.items[i], config->own))
            continue;
        group->self = i;
        group->founds = i == 0;
        found = true;
    }
    if (members.count < MUPDATE_GROUP_MIN || members.count > MUPDATE_GROUP_MOST)
        *error_r =
            xstrprintf("mupdate_group: %d to %d members make a group", MUPDATE_GROUP_MIN, MUPDATE_GROUP_MOST);
    else if (!found)
        *error_r = xstrprintf("mupdate_group: none of the members is this machine, %s", config->own);
    return *error_r == NULL ? 0 : ERR_CONFIG;
}

static void start_threads(struct mupdate_group *g)
{
    BUG_ON(pthread_create(&g->keeper, NULL, run_keeper, g) != 0);
    BUG_ON(pthread_create(&g->listener, NULL, run_listener, g) != 0);
    BUG_ON(pthread_create(&g->asker, NULL, run_asker, g) != 0);
    g->running = true;
}

int mupdate_group_open(const struct mupdate_group_config *config, struct mupdate_group **group_r,
                       char **error_r)
{
    struct mupdate_group *g = xcalloc(1, sizeof(*g));
    struct db_group_config group = {.changed = kick, .context = g};
    pthread_condattr_t monotonic;
    int r;

    *error_r = NULL;
    g->magic = GROUP_MAGIC;
    g->hub = config->hub;
    g->conflicts = config->conflicts;
    g->published = config->published;
    g->broken = config->broken;
    g->context = config->context;
    g->pool = pool_new(0);
    g->dir = pool_strdup(g->pool, config->dir);
    g->began = g->changed_at = clock_ms();
    g->good_at = g->began;
    digest_random(&g->round, sizeof(g->round)); /* no other member's */
    g->round >>= 2;
    pthread_mutex_init(&g->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&g->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    r = find_members(g, config, &group, error_r);
    if (r == 0)
        r = takeover_forget_own(config->dir);
    if (r == 0)
        r = reached_load(config->dir, &g->stored);
    g->had = g->stored;
    if (r == 0)
        r = names_open_group(config->dir, &group, NAMES_OWNER_WAIT_MS, on_published, g, &g->names, error_r);
    if (r < 0) {
        mupdate_group_close(&g);
        return r;
    }
    peer_init(&g->writes, names_env(g->names), &g->stop);
    peer_init(&g->listens, names_env(g->names), &g->stop);
    peer_init(&g->asks, names_env(g->names), &g->stop);
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
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->mutex);
    if (g->running) {
        pthread_join(g->keeper, NULL);
        pthread_join(g->listener, NULL);
        pthread_join(g->asker, NULL);
    }
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
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->mutex);
    pool_free(&g->pool);
    g->magic = 0;
    free(g);
}
