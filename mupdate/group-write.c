/* group-write.c: changes of names, by the elected one; and barriers, which ask him. */
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/str.h"
#include "mupdate/group-private.h"

enum {
    FAILOVER_MS = 4 * 1000, /* that a change waits for somebody to be elected */
    FOLLOWED_MS = 500,      /* that the elected one waits for the others to ask again */
    CATCH_UP_MS = 5 * 1000, /* for our own copy to have what was changed */
    LOOK_MS = 20
};

/* ---- who writes ---- */

bool group_is_writer(const struct mupdate_group *g)
{
    return raft_leads(&g->raft) && 2 * raft_members(&g->raft)->count > g->configured_count && !g->given_up;
}

void group_leader(struct mupdate_group *g, char name[RAFT_NAME_MAX + 1])
{
    pthread_mutex_lock(&g->mutex);
    name[0] = '\0';
    if (g->raft.role == RAFT_FOLLOWS && g->raft.leader.id != 0 && !group_is_removed(g))
        str_copy(name, RAFT_NAME_MAX + 1, g->raft.leader.name);
    pthread_mutex_unlock(&g->mutex);
}

/* Do so many others still take us for the elected one that nobody else can be?  All who wait for an answer get one,
 * with the number of this round, and ask again. */
bool group_is_sure(struct mupdate_group *g)
{
    int64_t deadline = clock_deadline(FOLLOWED_MS);
    uint64_t round, term, commit;
    bool sure, leads;

    pthread_mutex_lock(&g->mutex);
    leads = raft_leads(&g->raft);
    term = g->raft.term;
    commit = g->raft.commit;
    round = raft_begin_round(&g->raft);
    pthread_mutex_unlock(&g->mutex);
    if (!leads)
        return false;
    hub_wake(g->hub);
    pthread_mutex_lock(&g->mutex);
    while (!(sure = raft_round_is_heard(&g->raft, round)) && !g->stop && g->raft.term == term &&
           clock_left(deadline) != 0)
        group_wait_progress(g, deadline);
    sure = sure && g->raft.role == RAFT_ELECTED && g->raft.term == term;
    pthread_mutex_unlock(&g->mutex);
    if (sure)
        (void)group_do_settled(g);
    pthread_mutex_lock(&g->mutex);
    sure = sure && g->applied >= commit;
    pthread_mutex_unlock(&g->mutex);
    return sure;
}

enum who { NOBODY, OURSELVES, ANOTHER };

/* Waits for somebody who writes, but not for long if there has been nobody for long. */
static enum who who_writes(struct mupdate_group *g, int64_t deadline, char name[RAFT_NAME_MAX + 1])
{
    for (;;) {
        bool give_up, ours;

        group_leader(g, name);
        if (name[0] != '\0')
            return ANOTHER;
        pthread_mutex_lock(&g->mutex);
        ours = group_is_writer(g);
        give_up = g->stop || clock_left(deadline) == 0 || clock_ms() - g->good_at > FAILOVER_MS;
        if (!ours && !give_up)
            group_wait_progress(g, clock_deadline(LOOK_MS));
        pthread_mutex_unlock(&g->mutex);
        if (ours || give_up)
            return ours ? OURSELVES : NOBODY;
    }
}

/* ---- by us ---- */

static void set_errors(struct write_job *jobs, int error)
{
    for (; jobs != NULL; jobs = jobs->next)
        jobs->error = error;
}

/* With log_lock: decides what the jobs change, and appends it.  *some_r: it is anything. */
static int decide(struct mupdate_group *g, struct write_job *jobs, bool *some_r, struct raft_position *at_r)
{
    struct journal_entry entry = JOURNAL_ENTRY_INIT;
    bool may;
    int r;

    (void)group_do_settled_locked(g); /* what the keeper appended, and would do in his next round */
    pthread_mutex_lock(&g->mutex);
    may = group_is_writer(g) && group_is_settled(g);
    pthread_mutex_unlock(&g->mutex);
    r = may ? writer_decide(g->names, jobs, &entry) : ERR_UNAVAILABLE;
    *some_r = entry.count > 0;
    if (r == 0 && *some_r) {
        pthread_mutex_lock(&g->mutex);
        r = ERR_UNAVAILABLE;
        if (group_is_writer(g)) /* if it cannot be written here, the others may have it all the same */
            r = group_append(g, &entry, at_r) < 0 ? ERR_UNKNOWN : 0;
        pthread_mutex_unlock(&g->mutex);
    }
    journal_entry_free(&entry);
    return r;
}

/* 0; ERR_UNAVAILABLE: nothing was changed; ERR_UNKNOWN; or another error. */
static int write_here(struct mupdate_group *g, struct write_job *jobs)
{
    struct raft_position at;
    bool some;
    int r;

    pthread_mutex_lock(&g->log_lock);
    r = decide(g, jobs, &some, &at);
    pthread_mutex_unlock(&g->log_lock);
    if (r == 0 && !some)
        return group_is_sure(g) ? 0 : ERR_UNAVAILABLE; /* a refusal is as sure as a change */
    if (r < 0)
        return r == ERR_AGAIN ? ERR_UNAVAILABLE : r;
    pthread_mutex_lock(&g->mutex);
    r = group_await(g, &at, clock_deadline(GROUP_SETTLE_MS));
    pthread_mutex_unlock(&g->mutex);
    return r;
}

/* ---- by another one ---- */

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
static int catch_up(struct mupdate_group *g, uint64_t index)
{
    int64_t deadline = clock_deadline(CATCH_UP_MS);
    bool has;

    pthread_mutex_lock(&g->mutex);
    while (!(has = g->applied >= index && !g->raft.copying) && clock_left(deadline) != 0 && !g->stop)
        group_wait_progress(g, deadline);
    pthread_mutex_unlock(&g->mutex);
    return has ? 0 : ERR_UNAVAILABLE;
}

/* Is nobody else elected, as far as we know? */
static bool may_lead_still(struct mupdate_group *g, const char *name)
{
    bool may;

    pthread_mutex_lock(&g->mutex);
    may = g->raft.role != RAFT_ELECTED && (g->raft.leader.id == 0 || strcmp(g->raft.leader.name, name) == 0);
    pthread_mutex_unlock(&g->mutex);
    return may;
}

/* As peer_answer(), of the elected one; he may be silent for long, so it is ERR_TIMEOUT also once another one is elected. */
static int leader_answer(struct mupdate_group *g, struct peer *peer, int64_t deadline, uint64_t number,
                         const struct mupdate_line **line_r)
{
    int64_t look;
    int r;

    do {
        look = clock_deadline(LOOK_MS);
        r = peer_answer(peer, look < deadline ? look : deadline, number, line_r);
    } while (r == ERR_TIMEOUT && clock_left(deadline) != 0 && !atomic_load(peer->stop) &&
             may_lead_still(g, peer->name));
    return r;
}

/* What is visible at the elected one; *sure: once he knows that he still is. */
static int ask_index(struct mupdate_group *g, struct peer *peer, bool sure, uint64_t *index_r)
{
    const struct mupdate_line *line;
    struct buf question = BUF_INIT;
    char tag[24];
    int r;

    mupdate_put_line(&question, peer_tag(peer, tag), sure ? "XWHERE" : "XVISIBLE", NULL);
    mupdate_conn_write(peer->conn, &question);
    buf_free(&question);
    r = leader_answer(g, peer, clock_deadline(GROUP_ANSWER_MS), peer->number, &line);
    if (r < 0)
        peer_close(peer);
    return r == 0 && str_ieq(line->word, "OK") && peer_line_number(line, 0, index_r) ? 0 : ERR_UNAVAILABLE;
}

/* What other members have sent is not sent on, nor anything twice. */
static bool is_to_send(const struct write_job *job)
{
    return !job->forwarded && !job->sent;
}

/* The answers to a job's commands.  *lost: none comes any more.  ERR_UNAVAILABLE: nothing of it was done. */
static int take_answers(struct mupdate_group *g, struct write_job *job, int64_t deadline, uint64_t *number,
                        bool *lost)
{
    bool some = false;
    int r = 0;

    for (struct write_command *c = job->first; c != NULL; c = c->next) {
        const struct mupdate_line *line;
        int result = *lost ? ERR_EOF : leader_answer(g, &g->writes, deadline, ++*number, &line);

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
static int forward(struct mupdate_group *g, const char *name, struct write_job *jobs)
{
    struct peer *peer = &g->writes;
    int64_t deadline = clock_deadline(GROUP_ANSWER_MS);
    int r = peer_call(peer, name, deadline);
    uint64_t number = peer->number, index;
    struct buf out = BUF_INIT;
    bool done = false, lost = false;
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
        job->error = take_answers(g, job, deadline, &number, &lost);
        job->sent = job->error != ERR_UNAVAILABLE;
        done = done || job->error == 0;
        r = job->sent ? r : ERR_UNAVAILABLE;
    }
    if (lost)
        peer_close(peer);
    else if (done && ask_index(g, peer, false, &index) == 0)
        (void)catch_up(g, index);
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
    char name[RAFT_NAME_MAX + 1];
    enum who writer;
    int r = ERR_UNAVAILABLE;

    set_errors(jobs, ERR_UNAVAILABLE);
    do {
        writer = who_writes(g, deadline, name);
        if (writer == OURSELVES && any_sent(jobs))
            break; /* another one has done a part of it, and was not heard of again */
        if (writer == OURSELVES)
            set_errors(jobs, r = write_here(g, jobs));
        else if (writer == ANOTHER)
            r = forward(g, name, jobs);
        if (r == ERR_UNAVAILABLE && writer != NOBODY)
            group_pause(LOOK_MS / 4);
    } while (r == ERR_UNAVAILABLE && writer != NOBODY && clock_left(deadline) != 0);
}

/* ---- barriers ---- */

/* Is our copy as far as everything that was acknowledged before? */
static int ask_where(struct mupdate_group *g)
{
    char name[RAFT_NAME_MAX + 1];
    uint64_t index;
    int r;

    group_leader(g, name);
    if (name[0] == '\0')
        return group_is_sure(g) ? 0 : ERR_UNAVAILABLE;
    r = peer_call(&g->asks, name, clock_deadline(GROUP_ANSWER_MS));
    if (r == 0)
        r = ask_index(g, &g->asks, true, &index);
    return r == 0 ? catch_up(g, index) : r;
}

/* Takes a member out, here or by asking the elected one. */
static int take_out(struct mupdate_group *g, const char *member)
{
    const struct mupdate_line *line;
    char name[RAFT_NAME_MAX + 1], tag[24];
    struct buf question = BUF_INIT;
    int r;

    group_leader(g, name);
    if (name[0] == '\0')
        return group_remove_here(g, member);
    r = peer_call(&g->asks, name, clock_deadline(GROUP_ANSWER_MS));
    if (r < 0)
        return r;
    mupdate_put_line(&question, peer_tag(&g->asks, tag), "XGROUP", "REMOVE", member, NULL);
    mupdate_conn_write(g->asks.conn, &question);
    buf_free(&question);
    r = peer_answer(&g->asks, clock_deadline(2 * GROUP_ANSWER_MS), g->asks.number, &line);
    if (r < 0) {
        peer_close(&g->asks);
        return ERR_UNAVAILABLE;
    }
    return str_ieq(line->word, "OK") ? 0 : mupdate_group_remove_result(line->count > 0 ? line->args[0] : "");
}

/* With the mutex, which is free meanwhile. */
static void answer_barrier(struct mupdate_group *g)
{
    uint64_t asked = g->asked, reached;
    int r;

    pthread_mutex_unlock(&g->mutex);
    r = ask_where(g);
    reached = names_source(g->names)->ops->sequence(names_source(g->names));
    pthread_mutex_lock(&g->mutex);
    g->reached = reached;
    *(r == 0 ? &g->answered : &g->missed) = asked;
}

static void answer_removal(struct mupdate_group *g)
{
    char member[RAFT_NAME_MAX + 1];
    uint64_t leaving = g->leaving;
    int r;

    str_copy(member, sizeof(member), g->leaves);
    pthread_mutex_unlock(&g->mutex);
    r = take_out(g, member);
    pthread_mutex_lock(&g->mutex);
    g->left_result = r;
    g->left = leaving;
}

static bool is_asked(const struct mupdate_group *g)
{
    return g->asked > g->answered && g->asked > g->missed;
}

void *group_run_asker(void *context)
{
    struct mupdate_group *g = context;

    pthread_mutex_lock(&g->mutex);
    while (!g->stop) {
        if (is_asked(g)) {
            answer_barrier(g);
        } else if (g->leaving != g->left) {
            answer_removal(g);
        } else {
            pthread_cond_wait(&g->asked_for, &g->mutex);
            continue;
        }
        pthread_mutex_unlock(&g->mutex);
        hub_wake(g->hub);
        pthread_mutex_lock(&g->mutex);
    }
    pthread_mutex_unlock(&g->mutex);
    return NULL;
}

uint64_t mupdate_group_barrier_ask(void *context)
{
    struct mupdate_group *g = context;
    uint64_t ticket;

    pthread_mutex_lock(&g->mutex);
    ticket = ++g->asked;
    pthread_cond_signal(&g->asked_for);
    pthread_mutex_unlock(&g->mutex);
    return ticket;
}

int mupdate_group_barrier_done(void *context, uint64_t ticket)
{
    struct mupdate_group *g = context;
    int r;

    pthread_mutex_lock(&g->mutex);
    r = g->answered >= ticket ? 1 : g->missed >= ticket ? ERR_UNAVAILABLE : 0;
    pthread_mutex_unlock(&g->mutex);
    return r;
}

uint64_t mupdate_group_barrier_sequence(struct mupdate_group *g)
{
    uint64_t reached;

    pthread_mutex_lock(&g->mutex);
    reached = g->reached;
    pthread_mutex_unlock(&g->mutex);
    return reached;
}

/* ---- members ---- */

static const struct {
    int result;
    const char *text;
} removals[] = {{0, "done"},
                {ERR_BUSY, "it is the elected one: stop it first"},
                {ERR_NOTFOUND, "not found"},
                {ERR_UNAVAILABLE, "no quorum: try again"}};

const char *mupdate_group_remove_text(int r)
{
    for (size_t i = 0; i < sizeof(removals) / sizeof(*removals); i++)
        if (removals[i].result == r)
            return removals[i].text;
    return error_text(r);
}

int mupdate_group_remove_result(const char *text)
{
    for (size_t i = 0; i < sizeof(removals) / sizeof(*removals); i++)
        if (strcmp(removals[i].text, text) == 0)
            return removals[i].result;
    return ERR_UNAVAILABLE;
}

uint64_t mupdate_group_remove_ask(void *group, const char *member)
{
    struct mupdate_group *g = group;
    uint64_t ticket = 0;

    pthread_mutex_lock(&g->mutex);
    if (g->leaving == g->left) { /* else another one is being taken out */
        str_copy(g->leaves, sizeof(g->leaves), member);
        ticket = ++g->leaving;
        pthread_cond_signal(&g->asked_for);
    }
    pthread_mutex_unlock(&g->mutex);
    return ticket;
}

bool mupdate_group_remove_done(void *group, uint64_t ticket, int *result_r)
{
    struct mupdate_group *g = group;
    bool done;

    pthread_mutex_lock(&g->mutex);
    done = ticket == 0 || g->left >= ticket;
    *result_r = ticket == 0 ? ERR_UNAVAILABLE : g->left_result;
    pthread_mutex_unlock(&g->mutex);
    return done;
}
