/* group-vote.c: elections: votes asked for, and given. */
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/str.h"
#include "mupdate/group-private.h"

enum { LOOK_MS = 1000 }; /* between looks for another group */

/* ---- groups ---- */

/* Founded, and joined by nobody: it may be that there is another group, whose members we should have been. */
bool group_is_lonely(const struct mupdate_group *g)
{
    return g->raft.role == RAFT_ELECTED && raft_members(&g->raft)->count == 1 && g->configured_count > 1 &&
           names_source(g->names)->ops->sequence(names_source(g->names)) == 0;
}

uint64_t group_epoch(const struct mupdate_group *g)
{
    return g->was_member && !group_is_lonely(g) ? names_source(g->names)->ops->epoch(names_source(g->names))
                                                : 0;
}

bool group_is_ours(const struct mupdate_group *g, uint64_t epoch)
{
    uint64_t ours = g->was_member ? names_source(g->names)->ops->epoch(names_source(g->names)) : 0;

    return epoch == 0 || ours == 0 || epoch == ours;
}

bool group_is_bound(const struct mupdate_group *g)
{
    return g->was_member || raft_members(&g->raft)->count > 1 ||
           names_source(g->names)->ops->sequence(names_source(g->names)) > 0;
}

/* ---- given ---- */

int mupdate_group_vote(void *group, uint64_t epoch, const struct raft_ballot *ballot,
                       struct raft_vote *vote_r, uint64_t *own_r, bool *member_r)
{
    struct mupdate_group *g = group;
    bool saved;

    pthread_mutex_lock(&g->mutex);
    saved = group_is_ours(g, epoch);
    if (saved) {
        raft_ballot_came(&g->raft, ballot, clock_ms(), vote_r);
        saved = group_save(g);
    }
    *own_r = g->raft.self.id;
    *member_r = group_is_bound(g);
    group_changed(g);
    pthread_mutex_unlock(&g->mutex);
    return saved ? 0 : ERR_UNAVAILABLE;
}

int mupdate_group_hear(void *group, uint64_t epoch, uint64_t term, const struct raft_member *leader)
{
    struct mupdate_group *g = group;
    bool ok;

    pthread_mutex_lock(&g->mutex);
    ok = group_is_ours(g, epoch) && raft_leader_came(&g->raft, leader, term, clock_ms());
    ok = group_save(g) && ok;
    group_changed(g);
    pthread_mutex_unlock(&g->mutex);
    return ok ? 0 : ERR_UNAVAILABLE;
}

/* ---- asked for ---- */

static void put_ballot(struct buf *to, const char *tag, uint64_t epoch, const struct raft_ballot *ballot)
{
    buf_printf(to, "%s XVOTE \"%llu\" \"%s\" \"%llu\" \"%llu\" \"%llu\" \"%llu\"\r\n", tag,
               (unsigned long long)epoch, ballot->real ? "real" : "would", (unsigned long long)ballot->term,
               (unsigned long long)ballot->candidate, (unsigned long long)ballot->last.term,
               (unsigned long long)ballot->last.index);
}

/* The answer: granted, term, the voter's id, is it a member, whom it follows and his id. */
static bool take_vote(const struct mupdate_line *line, struct raft_vote *vote_r, uint64_t *from_r,
                      bool *member_r)
{
    uint64_t granted, member;

    if (!peer_line_number(line, 0, &granted) || !peer_line_number(line, 1, &vote_r->term) ||
        !peer_line_number(line, 2, from_r) || !peer_line_number(line, 3, &member) || line->count < 6 ||
        !peer_line_number(line, 5, &vote_r->leader.id))
        return false;
    vote_r->granted = granted != 0;
    *member_r = member != 0;
    return str_copy(vote_r->leader.name, sizeof(vote_r->leader.name), line->args[4]);
}

/* Without the mutex. */
static int ask(struct canvasser *c, uint64_t epoch, const struct raft_ballot *ballot,
               struct raft_vote *vote_r, uint64_t *from_r, bool *member_r)
{
    int r = peer_call(&c->peer, c->name, clock_deadline(RAFT_CANVASS));
    const struct mupdate_line *line;
    struct buf question = BUF_INIT;
    char tag[24];

    if (r < 0)
        return r;
    put_ballot(&question, peer_tag(&c->peer, tag), epoch, ballot);
    r = peer_ask(&c->peer, &question, RAFT_CANVASS, &line);
    buf_free(&question);
    if (r < 0)
        return r;
    return take_vote(line, vote_r, from_r, member_r) ? 0 : ERR_PROTOCOL;
}

/* With the mutex, which is free meanwhile. */
static void canvass(struct canvasser *c)
{
    struct mupdate_group *g = c->group;
    struct raft_ballot ballot;
    struct raft_vote vote = {0};
    uint64_t from, epoch = group_epoch(g);
    bool member;
    int r;

    c->asked = g->raft.canvass;
    raft_ballot(&g->raft, &ballot);
    pthread_mutex_unlock(&g->mutex);
    r = ask(c, epoch, &ballot, &vote, &from, &member);
    pthread_mutex_lock(&g->mutex);
    c->has_asked = true;
    if (r < 0)
        return;
    g->others_are_members = g->others_are_members || member;
    if (group_is_lonely(g) && vote.leader.id != 0 && vote.leader.id != g->raft.self.id)
        group_give_up(g);
    raft_vote_came(&g->raft, from, c->asked, &vote, clock_ms());
    if (group_save(g))
        group_changed(g);
}

/* With the mutex, which is free meanwhile: whoever did not vote for us need not find out by himself. */
static void tell(struct canvasser *c)
{
    struct mupdate_group *g = c->group;
    const struct mupdate_line *line;
    struct buf out = BUF_INIT;
    char tag[24];

    c->told = g->raft.term;
    buf_printf(&out, "%s XLEADS \"%llu\" \"%llu\" \"%llu\" \"%s\"\r\n", peer_tag(&c->peer, tag),
               (unsigned long long)group_epoch(g), (unsigned long long)g->raft.term,
               (unsigned long long)g->raft.self.id, g->raft.self.name);
    pthread_mutex_unlock(&g->mutex);
    if (peer_call(&c->peer, c->name, clock_deadline(RAFT_CANVASS)) == 0)
        (void)peer_ask(&c->peer, &out, RAFT_CANVASS, &line);
    buf_free(&out);
    pthread_mutex_lock(&g->mutex);
}

static bool is_to_tell(const struct canvasser *c)
{
    const struct mupdate_group *g = c->group;

    return g->raft.role == RAFT_ELECTED && !g->raft.unsaved && c->told != g->raft.term && !group_is_lonely(g);
}

static bool is_to_ask(struct canvasser *c)
{
    const struct raft *raft = &c->group->raft;

    if (group_is_lonely(c->group) && clock_left(c->looks_at) == 0) {
        c->looks_at = clock_deadline(LOOK_MS);
        return true;
    }
    return !c->group->raft.unsaved && c->asked != raft->canvass &&
           (raft->role == RAFT_ASKS || raft->role == RAFT_CANDIDATE);
}

void *group_run_canvasser(void *context)
{
    struct canvasser *c = context;
    struct mupdate_group *g = c->group;

    pthread_mutex_lock(&g->mutex);
    while (!g->stop) {
        if (is_to_tell(c))
            tell(c);
        else if (is_to_ask(c))
            canvass(c);
        else
            group_wait(g, clock_deadline(LOOK_MS));
    }
    pthread_mutex_unlock(&g->mutex);
    return NULL;
}

/* With the mutex. */
static void make_canvasser(struct mupdate_group *g, const char *name)
{
    struct canvasser *c;

    for (unsigned i = 0; i < g->canvasser_count; i++)
        if (str_ieq(g->canvassers[i]->name, name))
            return;
    if (str_ieq(name, g->raft.self.name) || g->canvasser_count == RAFT_COPIES_MAX)
        return;
    c = pool_alloc(g->pool, sizeof(*c));
    *c = (struct canvasser){.group = g};
    str_copy(c->name, sizeof(c->name), name);
    peer_init(&c->peer, &g->stop);
    if (pthread_create(&c->thread, NULL, group_run_canvasser, c) == 0)
        g->canvassers[g->canvasser_count++] = c;
}

void group_make_canvassers(struct mupdate_group *g)
{
    const struct raft_members *members = raft_members(&g->raft);

    for (unsigned i = 0; i < members->count; i++)
        make_canvasser(g, members->member[i].name);
    for (unsigned i = 0; i < g->configured_count; i++)
        make_canvasser(g, g->configured[i]);
}
