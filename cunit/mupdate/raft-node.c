/* raft-node.c: a member in the simulated world: what mupdate/group.c and the disk are in the real one. */
#include <stdlib.h>
#include <string.h>

#include "cunit/mupdate/raft-world-private.h"
#include "lib/base/mem.h"

/* ---- messages ---- */

static void save(struct node *n)
{
    if (!n->r.unsaved)
        return;
    n->term = n->r.term;
    n->voted = n->r.voted;
    n->r.unsaved = false;
}

static struct message message_of(const struct world *w, const struct node *n, enum what what, unsigned to)
{
    return (struct message){
        .what = what, .from = world_number_of(w, n), .to = to, .id = n->id, .term = n->r.term};
}

/* Nothing leaves before the term and the vote are on disk. */
static void say(struct world *w, struct node *n, const struct message *m)
{
    save(n);
    world_post(w, m);
}

/* ---- the disk ---- */

static void finish_sync(struct world *w, struct node *n)
{
    if (n->sync_to != 0 && w->now >= n->sync_at) {
        n->durable = n->sync_to;
        n->sync_to = 0;
        raft_stored(&n->r, n->durable);
    }
    if (n->sync_to == 0 && n->durable < n->last) {
        n->sync_to = n->last;
        n->sync_at = w->now + (int64_t)world_below(w, w->sync);
    }
}

static const struct raft_members *changed_by(const struct world *w, const struct entry *entry)
{
    return entry->kind == MEMBERS ? &w->configs[entry->value] : NULL;
}

static void put_entry(struct world *w, struct node *n, const struct entry *entry)
{
    struct raft_position at = {entry->term, n->last + 1};

    if (at.index >= INDEX_MAX) {
        world_fail(w, "%u entries", INDEX_MAX);
        return;
    }
    n->log[++n->last] = *entry;
    if (n->first == 0)
        n->first = n->last;
    raft_append(&n->r, &at, changed_by(w, entry));
}

static void do_settled(struct world *w, struct node *n)
{
    while (n->state.applied < n->r.commit && !world_chance(w, w->lazy)) {
        world_apply(&n->state, &n->log[n->state.applied + 1]);
        n->state.was_member = n->state.was_member || raft_members_have(&w->configs[n->state.config], n->id);
    }
    if (n->state.applied <= n->durable && world_chance(w, 50))
        n->safe = n->state;
    if (n->copying && !world_chance(w, w->lazy) && n->state.applied >= n->copy_end &&
        n->state.applied <= n->durable) {
        n->copying = !raft_copy_is_whole(&n->r);
        n->safe = n->state;
        n->floor = n->r.floor;
    }
}

static void trim(struct world *w, struct node *n)
{
    uint64_t keeps = world_below(w, w->keeps), first = n->safe.applied > keeps ? n->safe.applied - keeps : 0;

    if (first <= n->first || n->copying)
        return;
    raft_trim(&n->r, first);
    n->first = first;
}

/* ---- a process begins and ends ---- */

/* Members by an entry: those by then, where they are the ones of the state. */
static const struct raft_members *loaded(const struct world *w, const struct node *n, uint64_t i)
{
    if (i == n->state.applied)
        return &w->configs[n->state.config];
    return i < n->state.applied ? NULL : changed_by(w, &n->log[i]);
}

void node_start(struct world *w, struct node *n)
{
    struct raft_member self = world_name_of(world_number_of(w, n), n->id);

    n->runs = true;
    n->canvass = n->serial = n->sync_to = n->round = n->round_term = n->elected_in = 0;
    n->copied = n->read.open = n->write.open = false;
    n->paused = n->doomed = 0;
    n->copy_end = 0;
    memset(n->holds, 0, sizeof(n->holds));
    raft_init(&n->r, &self, world_below(w, UINT64_MAX), w->now);
    raft_load(&n->r, n->term, n->voted);
    for (uint64_t i = n->first; i > 0 && i <= n->last; i++)
        raft_append(&n->r, &(struct raft_position){n->log[i].term, i}, loaded(w, n, i));
    raft_stored(&n->r, n->last);
    if (n->last > 0)
        raft_settled(&n->r, n->state.applied);
    n->checked = n->state.applied;
    n->r.copying = n->copying;
    n->r.floor = n->floor;
    n->piece = 0;
}

void node_stop(struct node *n, int64_t back)
{
    if (!n->runs)
        return;
    n->runs = false;
    n->back = back;
    raft_free(&n->r);
}

void node_crash(struct world *w, struct node *n)
{
    if (!n->runs)
        return;
    node_stop(n, w->now + 10 + (int64_t)world_below(w, world_one_of(w, 100, 500, 2500)));
    n->last = n->durable += world_below(w, n->last - n->durable + 1);
    n->state = n->safe;
    w->tally->crashes++;
}

/* Somebody else of the same name. */
void node_wipe(struct world *w, struct node *n, int64_t back)
{
    node_stop(n, back);
    memset(n, 0, sizeof(*n));
    n->back = back;
    if (w->ids + 1 == IDS_MAX)
        n->back = INT64_MAX;
    else
        n->id = ++w->ids;
    w->wiped = w->now;
    w->tally->wiped++;
}

/* ---- the elected one ---- */

static void begin_election(struct world *w, struct node *n)
{
    if (n->elected_in == n->r.term)
        return;
    n->elected_in = n->r.term;
    n->write.open = n->read.open = false;
    memset(n->holds, 0, sizeof(n->holds));
    world_check_elected(w, n);
    for (unsigned i = 0; i < w->count; i++) {
        struct message m = message_of(w, n, ELECTED, i);

        if (i != world_number_of(w, n))
            say(w, n, &m);
    }
    if (w->now < w->calm && world_chance(w, w->hot))
        n->doomed = w->now + 1 + (int64_t)world_below(w, w->doom);
}

static void answer_held(struct world *w, struct node *n, unsigned from)
{
    struct message *m = &n->held[from], a = message_of(w, n, ANSWER, from);
    bool news = n->last > m->at.index || n->r.commit > m->commit || n->r.round > m->round ||
                m->term != n->r.term || w->now >= m->due + HOLD;

    if (!news)
        return;
    n->holds[from] = false;
    a.serial = m->serial;
    a.how = m->at.index < n->first ? RAFT_COPY_ALL : RAFT_FETCHED;
    a.round = n->r.round;
    a.commit = n->r.commit;
    a.at = m->at;
    while (a.how == RAFT_FETCHED && a.count < 1 + world_below(w, w->batch) &&
           m->at.index + a.count < n->last) {
        a.entries[a.count] = n->log[m->at.index + a.count + 1];
        a.count++;
    }
    say(w, n, &a);
}

static void write_something(struct world *w, struct node *n)
{
    struct wish *wish = &n->write;

    if (wish->open && n->r.commit >= wish->index) {
        wish->open = false;
        w->tally->acknowledged++;
        if (wish->index > w->seen)
            w->seen = wish->index;
    } else if (wish->open && w->now >= wish->until) {
        wish->open = false;
        w->tally->unknown++;
    }
    if (wish->open || !raft_leads(&n->r) || n->r.commit != n->r.last || w->now >= w->calm)
        return;
    if (n->last > INDEX_ENOUGH || !world_chance(w, w->writes))
        return;
    put_entry(w, n, &(struct entry){n->r.term, WRITE, (unsigned)world_below(w, KEYS), ++w->values});
    *wish = (struct wish){.open = true, .index = n->last, .until = w->now + UNKNOWN_AFTER};
}

/* What anybody was told before it began is in what is read. */
static void read_something(struct world *w, struct node *n)
{
    struct wish *wish = &n->read;

    if (wish->open && raft_round_is_heard(&n->r, wish->round) && n->state.applied >= wish->index) {
        wish->open = false;
        w->tally->reads++;
        if (n->state.applied < wish->seen)
            world_fail(w, "%c: a certain read at %u, behind %u", 'a' + (int)world_number_of(w, n),
                       (unsigned)n->state.applied, (unsigned)wish->seen);
        if (n->state.applied > w->seen)
            w->seen = n->state.applied;
    }
    if (!wish->open && raft_leads(&n->r) && world_chance(w, w->writes))
        *wish = (struct wish){
            .open = true, .index = n->r.commit, .round = raft_begin_round(&n->r), .seen = w->seen};
}

static void change_members(struct world *w, struct node *n, const struct raft_members *members)
{
    if (w->config_count == CONFIGS_MAX)
        return;
    w->configs[w->config_count] = *members;
    put_entry(w, n, &(struct entry){n->r.term, MEMBERS, 0, w->config_count++});
    w->tally->members++;
}

static void without(struct world *w, struct raft_members *members, unsigned i)
{
    w->removed[members->member[i].id] = true;
    members->member[i] = members->member[--members->count];
}

/* The one with that name goes first, if he is somebody else. */
static bool take_in(struct world *w, struct raft_members *members, const struct raft_member *who)
{
    for (unsigned i = 0; i < members->count; i++)
        if (members->member[i].id != who->id && members->member[i].name[0] == who->name[0]) {
            without(w, members, i);
            return true;
        }
    if (w->removed[who->id] || raft_members_have(members, who->id))
        return false;
    members->member[members->count++] = *who;
    return true;
}

/* Nobody else is taken out while somebody among them is gone for good. */
static bool all_are_there(const struct world *w, const struct raft_members *members)
{
    for (unsigned i = 0; i < members->count; i++)
        if (w->node[members->member[i].name[0] - 'a'].id != members->member[i].id)
            return false;
    return true;
}

static void tend_members(struct world *w, struct node *n)
{
    struct raft_members members = *raft_members(&n->r);

    if (!raft_may_change(&n->r))
        return;
    if (w->now < w->calm && members.count > 1 && all_are_there(w, &members) && world_chance(w, w->whims)) {
        without(w, &members, (unsigned)world_below(w, members.count));
        change_members(w, n, &members);
        w->wiped = w->now;
        return;
    }
    for (unsigned i = 0; i < n->r.copy_count; i++) {
        const struct raft_copy *copy = &n->r.copies[i];

        if (copy->joins && raft_hears(&n->r, copy->who.id, w->now) && copy->match + 3 >= n->last &&
            copy->match >= n->r.configs[0].index && take_in(w, &members, &copy->who)) {
            change_members(w, n, &members);
            return;
        }
    }
}

static void lead(struct world *w, struct node *n)
{
    begin_election(w, n);
    save(n);
    n->serial = 0;
    if (raft_is_new(&n->r))
        put_entry(w, n, &(struct entry){n->r.term, TERM, 0, 0});
    for (unsigned i = 0; i < w->count; i++)
        if (n->holds[i])
            answer_held(w, n, i);
    write_something(w, n);
    read_something(w, n);
    tend_members(w, n);
}

static void fetch_came(struct world *w, struct node *n, const struct message *m)
{
    struct raft_copy who = {
        .who = world_name_of(m->from, m->id), .round = m->round, .joins = m->joins, .copying = m->copying};
    struct message a = message_of(w, n, ANSWER, m->from);

    a.how = raft_fetch_came(&n->r, &who, m->term, &m->at, w->now, &a.back);
    a.term = n->r.term;
    a.serial = m->serial;
    if (a.how == RAFT_FETCHED) {
        n->holds[m->from] = true;
        n->held[m->from] = *m;
        n->held[m->from].due = w->now;
        return;
    }
    say(w, n, &a);
}

/* A piece of the state, as it is by now. */
static void copy_came(struct world *w, struct node *n, const struct message *m)
{
    struct raft_copy who = {.who = world_name_of(m->from, m->id), .round = m->round};
    struct message a = message_of(w, n, PIECE, m->from);

    a.how = raft_fetch_came(&n->r, &who, m->term, &(struct raft_position){0, 0}, w->now, &a.back);
    a.term = n->r.term;
    a.serial = m->serial;
    a.piece = m->piece;
    a.at = (struct raft_position){n->log[n->state.applied].term, n->state.applied};
    a.config = n->state.config;
    a.value = n->state.value[m->piece];
    a.commit = n->r.commit;
    say(w, n, &a);
}

/* ---- who follows ---- */

static void begin_copy(struct node *n)
{
    raft_copy_begins(&n->r);
    n->copying = true;
    n->floor = n->r.floor;
    n->copied = false;
    n->piece = 0;
    n->first = n->last = n->durable = 0;
    n->state = n->safe = (struct state){0};
}

static void end_copy(struct world *w, struct node *n)
{
    struct raft_position at = n->copy_at;

    n->copied = true;
    n->state = n->pieces;
    n->state.was_member = raft_members_have(&w->configs[n->state.config], n->id);
    n->safe = n->state;
    n->log[at.index] = (struct entry){at.term, BEGINNING, 0, 0};
    n->first = n->last = n->durable = n->checked = at.index;
    if (at.index > w->settled || w->truth[at.index].term != at.term)
        world_fail(w, "%c: a copy of what is not settled", 'a' + (int)world_number_of(w, n));
    raft_copy_has(&n->r, &at, &w->configs[n->state.config]);
    w->tally->copied++;
    if (w->now < w->calm && world_chance(w, w->hot))
        n->doomed = w->now + 1 + (int64_t)world_below(w, w->doom);
}

static void piece_came(struct world *w, struct node *n, const struct message *m)
{
    if (!n->copying || n->copied || m->piece != n->piece)
        return;
    if (n->piece == 0) {
        n->pieces = (struct state){.applied = m->at.index, .config = m->config};
        n->copy_at = m->at;
        n->copy_term = m->term;
    } else if (n->copy_term != m->term) {
        n->piece = 0;
        return;
    }
    n->pieces.value[n->piece++] = m->value;
    n->copy_end = m->commit;
    if (n->piece == KEYS)
        end_copy(w, n);
}

static void entries_came(struct world *w, struct node *n, const struct message *m)
{
    if (m->how == RAFT_GO_BACK) {
        if (!raft_truncate(&n->r, m->back)) {
            world_fail(w, "%c is to go back behind what is settled", 'a' + (int)world_number_of(w, n));
            return;
        }
        n->last = n->durable = m->back < n->last ? m->back : n->last;
        w->tally->went_back++;
    } else if (m->how == RAFT_COPY_ALL) {
        begin_copy(n);
    } else {
        for (unsigned i = 0; i < m->count; i++) {
            put_entry(w, n, &m->entries[i]);
            n->durable = n->last;
            raft_stored(&n->r, n->last);
        }
        raft_settled(&n->r, m->commit);
    }
}

static void answer_came(struct world *w, struct node *n, const struct message *m)
{
    struct raft_member leader = world_name_of(m->from, m->id);

    if (n->serial == 0 || m->serial != n->serial || n->r.role != RAFT_FOLLOWS)
        return;
    n->serial = 0;
    if (m->what == GONE || m->how == RAFT_REFUSED) {
        raft_leader_gone(&n->r, w->now);
        return;
    }
    if (!raft_leader_came(&n->r, &leader, m->term, w->now))
        return;
    n->round = m->round;
    n->round_term = m->term;
    if (m->what == PIECE)
        piece_came(w, n, m);
    else
        entries_came(w, n, m);
}

/* As far as it knows, it has not been among the members yet: whoever was and is removed does not come back. */
static bool joins(const struct node *n)
{
    for (unsigned i = 0; i < n->r.config_count; i++)
        if (raft_members_have(&n->r.configs[i].members, n->id))
            return false;
    return !n->copying && !n->state.was_member && n->state.applied == n->r.commit;
}

static void follow(struct world *w, struct node *n)
{
    struct message m;

    if (n->durable < n->last) /* what it wrote when it was elected */
        return;
    if (n->serial != 0 && w->now < n->asked + RESEND)
        return;
    m = message_of(w, n, FETCH, (unsigned)(n->r.leader.name[0] - 'a'));
    n->asked = w->now;
    n->serial = m.serial = ++w->serial;
    m.round = n->round_term == n->r.term ? n->round : 0;
    m.commit = n->r.commit;
    m.at = raft_last(&n->r);
    m.joins = joins(n);
    m.copying = n->copying;
    if (n->copying && !n->copied) {
        if (n->piece == 0)
            begin_copy(n);
        m.what = COPY;
        m.piece = n->piece;
        m.round = 0;
    }
    say(w, n, &m);
}

/* ---- anybody ---- */

static void ask_for_votes(struct world *w, struct node *n)
{
    n->canvass = n->r.canvass;
    n->serial = 0;
    for (unsigned i = 0; i < w->count; i++) {
        struct message m = message_of(w, n, BALLOT, i);

        raft_ballot(&n->r, &m.ballot);
        m.serial = n->canvass;
        if (m.ballot.real)
            world_check_vote(w, n->id, m.ballot.term, n->id);
        if (i != world_number_of(w, n))
            say(w, n, &m);
    }
}

static void ballot_came(struct world *w, struct node *n, const struct message *m)
{
    struct message a = message_of(w, n, VOTE, m->from);

    raft_ballot_came(&n->r, &m->ballot, w->now, &a.vote);
    a.serial = m->serial;
    if (a.vote.granted && m->ballot.real)
        world_check_vote(w, n->id, m->ballot.term, m->ballot.candidate);
    say(w, n, &a);
}

static void elected_came(struct world *w, struct node *n, const struct message *m)
{
    struct raft_member leader = world_name_of(m->from, m->id);

    raft_leader_came(&n->r, &leader, m->term, w->now);
}

/* Whose removal is settled goes, and comes back as somebody else. */
static void retire(struct world *w, struct node *n)
{
    bool unaware = w->removed[n->id] && w->now > w->calm + 1000 && joins(n);

    if (unaware || (n->state.was_member && !raft_members_have(&w->configs[n->state.config], n->id)))
        node_wipe(w, n, w->now + (w->now < w->calm ? 2500 : 100));
}

/* After anything that has happened to it. */
static void look_at(struct world *w, struct node *n)
{
    if (n->r.role == RAFT_ELECTED)
        begin_election(w, n);
    world_check_node(w, n);
    if (n->r.canvass != n->canvass && !w->failed)
        ask_for_votes(w, n);
}

void node_step(struct world *w, struct node *n)
{
    raft_tick(&n->r, w->now);
    finish_sync(w, n);
    look_at(w, n);
    if (n->r.role == RAFT_ELECTED)
        lead(w, n);
    else if (n->r.role == RAFT_FOLLOWS && n->r.leader.id != 0)
        follow(w, n);
    save(n);
    if (n->copying && !n->copied)
        return;
    do_settled(w, n);
    look_at(w, n);
    if (world_chance(w, w->trims))
        trim(w, n);
    if (!n->copying)
        retire(w, n);
}

void node_came(struct world *w, const struct message *m)
{
    struct node *n = &w->node[m->to];

    if (!n->runs) {
        if (m->what == FETCH || m->what == COPY)
            world_post(w, &(struct message){.what = GONE, .from = m->to, .to = m->from, .serial = m->serial});
        return;
    }
    if (m->what == BALLOT)
        ballot_came(w, n, m);
    else if (m->what == VOTE)
        raft_vote_came(&n->r, m->id, m->serial, &m->vote, w->now);
    else if (m->what == ELECTED)
        elected_came(w, n, m);
    else if (m->what == FETCH)
        fetch_came(w, n, m);
    else if (m->what == COPY)
        copy_came(w, n, m);
    else
        answer_came(w, n, m);
    look_at(w, n);
    if (m->what <= VOTE && w->now < w->calm && world_chance(w, w->hot / 10))
        node_crash(w, n); /* and what it has not saved before it answered is lost */
}
