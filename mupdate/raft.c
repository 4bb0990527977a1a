/* raft.c: elections, and what is settled. */
#include "mupdate/raft.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

bool raft_is_before(const struct raft_position *a, const struct raft_position *b)
{
    return a->term < b->term || (a->term == b->term && a->index < b->index);
}

bool raft_members_have(const struct raft_members *members, uint64_t id)
{
    for (unsigned i = 0; i < members->count; i++)
        if (members->member[i].id == id)
            return true;
    return false;
}

/* ---- beginning ---- */

static void set_config(struct raft *r, uint64_t index, const struct raft_members *members);

/* xorshift64: elections are spread in time by it, no more. */
static int64_t random_below(struct raft *r, int64_t n)
{
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return (int64_t)(r->random % (uint64_t)n);
}

static void wait_patiently(struct raft *r, int64_t now)
{
    r->deadline = now + RAFT_PATIENCE + random_below(r, RAFT_PATIENCE);
}

void raft_init(struct raft *r, const struct raft_member *self, uint64_t random, int64_t now)
{
    *r = (struct raft){.self = *self, .random = random | 1, .heard = now - RAFT_PATIENCE};
    r->deadline = now + random_below(r, RAFT_AT_ONCE);
}

void raft_free(struct raft *r)
{
    free(r->runs);
    free(r->configs);
}

void raft_load(struct raft *r, uint64_t term, uint64_t voted)
{
    r->term = term;
    r->voted = voted;
}

/* ---- the log ---- */

uint64_t raft_first(const struct raft *r)
{
    return r->run_count > 0 ? r->runs[0].first : 0;
}

uint64_t raft_term_at(const struct raft *r, uint64_t index)
{
    if (index > r->last)
        return 0;
    for (unsigned i = r->run_count; i > 0; i--)
        if (r->runs[i - 1].first <= index)
            return r->runs[i - 1].term;
    return 0;
}

struct raft_position raft_last(const struct raft *r)
{
    return (struct raft_position){raft_term_at(r, r->last), r->last};
}

const struct raft_members *raft_members(const struct raft *r)
{
    static const struct raft_members none;

    return r->config_count > 0 ? &r->configs[r->config_count - 1].members : &none;
}

static void set_config(struct raft *r, uint64_t index, const struct raft_members *members)
{
    const struct raft_config config = {index, *members}; /* which may be one of ours, that move */

    r->configs = xreallocarray(r->configs, r->config_count + 1, sizeof(*r->configs));
    r->configs[r->config_count++] = config;
}

/* The oldest ones. */
static void drop_configs(struct raft *r, unsigned count)
{
    if (count == 0)
        return;
    r->config_count -= count;
    memmove(r->configs, r->configs + count, r->config_count * sizeof(*r->configs));
}

void raft_begin_with(struct raft *r, const struct raft_members *members, uint64_t settled)
{
    unsigned i = 0;

    while (i < r->config_count && r->configs[i].index <= settled)
        i++;
    drop_configs(r, i);
    if (members->count > 0) {
        set_config(r, settled, members);
        memmove(r->configs + 1, r->configs, (r->config_count - 1) * sizeof(*r->configs));
        r->configs[0] = (struct raft_config){settled, *members};
    }
    r->commit = settled;
    r->stored = r->last;
}

/* Of the settled ones only the last can still be needed. */
static void drop_old_configs(struct raft *r)
{
    unsigned old = 0;

    while (old + 1 < r->config_count && r->configs[old + 1].index <= r->commit)
        old++;
    drop_configs(r, old);
}

void raft_append(struct raft *r, const struct raft_position *at, const struct raft_members *members)
{
    BUG_ON(r->run_count > 0 && (at->index != r->last + 1 || at->term < r->runs[r->run_count - 1].term));
    if (r->run_count == 0 || r->runs[r->run_count - 1].term != at->term) {
        r->runs = xreallocarray(r->runs, r->run_count + 1, sizeof(*r->runs));
        r->runs[r->run_count++] = (struct raft_run){at->term, at->index};
    }
    r->last = at->index;
    if (members != NULL)
        set_config(r, at->index, members);
    if (r->role == RAFT_ELECTED && r->began == 0 &&
        at->term == r->term) /* else: fetched before it was elected */
        r->began = at->index;
}

bool raft_truncate(struct raft *r, uint64_t index)
{
    if (index < r->commit || index < raft_first(r))
        return false;
    if (index >= r->last)
        return true;
    r->last = index;
    if (r->stored > index)
        r->stored = index;
    while (r->runs[r->run_count - 1].first > index)
        r->run_count--;
    while (r->config_count > 0 && r->configs[r->config_count - 1].index > index)
        r->config_count--;
    return true;
}

void raft_trim(struct raft *r, uint64_t first)
{
    unsigned old = 0;

    BUG_ON(first > r->commit || first > r->last);
    if (first <= raft_first(r))
        return;
    while (old + 1 < r->run_count && r->runs[old + 1].first <= first)
        old++;
    r->run_count -= old;
    memmove(r->runs, r->runs + old, r->run_count * sizeof(*r->runs));
    r->runs[0].first = first;
}

void raft_copy_begins(struct raft *r)
{
    struct raft_position last = raft_last(r);

    if (!r->copying && raft_is_before(&r->floor, &last))
        r->floor = last;
    r->copying = true;
}

void raft_copy_has(struct raft *r, const struct raft_position *at, const struct raft_members *members)
{
    r->run_count = r->config_count = 0;
    r->commit = r->stored = at->index;
    raft_append(r, at, members);
}

bool raft_copy_is_whole(struct raft *r)
{
    struct raft_position last = raft_last(r);

    if (raft_is_before(&last, &r->floor))
        return false;
    r->copying = false;
    r->floor = (struct raft_position){0, 0};
    return true;
}

/* ---- who is elected ---- */

static bool is_majority(const struct raft *r, unsigned some)
{
    return 2 * some > raft_members(r)->count;
}

/* Who is only removed by an entry that is not settled may be the one whom that needs (4.2.2 of the thesis). */
bool raft_may_stand(const struct raft *r)
{
    for (unsigned i = 0; i < r->config_count && !r->copying; i++)
        if (raft_members_have(&r->configs[i].members, r->self.id))
            return true;
    return false;
}

bool raft_is_member(const struct raft *r)
{
    return r->config_count > 0 && !r->copying && r->configs[0].index <= r->commit &&
           raft_members_have(&r->configs[0].members, r->self.id);
}

static void forget_leader(struct raft *r)
{
    r->leader = (struct raft_member){0};
}

static void step_down(struct raft *r, int64_t now)
{
    if (r->role == RAFT_ELECTED)
        forget_leader(r);
    if (r->role != RAFT_FOLLOWS)
        wait_patiently(r, now);
    r->role = RAFT_FOLLOWS;
}

/* Elections are never so many: whoever says so is mistaken, and no term may be the last one. */
static bool is_possible(const struct raft *r, uint64_t term)
{
    return term <= r->term || term - r->term <= UINT32_MAX;
}

/* A later term than ours: whoever we voted for or followed, that is over. */
static void enter_term(struct raft *r, uint64_t term, int64_t now)
{
    r->term = term;
    r->voted = 0;
    r->unsaved = true;
    step_down(r, now);
    forget_leader(r);
}

static void become_elected(struct raft *r, int64_t now)
{
    r->role = RAFT_ELECTED;
    r->leader = r->self;
    r->began = 0;
    r->since = now;
    r->copy_count = 0;
}

static void begin_canvass(struct raft *r, enum raft_role role, int64_t now)
{
    r->role = role;
    r->canvass++;
    r->votes = 1;
    r->voters[0] = r->self.id;
    r->deadline = now + (raft_may_stand(r) ? RAFT_CANVASS : RAFT_GRACE);
    forget_leader(r);
}

/* A majority would vote for us, or has done so. */
static void count_votes(struct raft *r, int64_t now)
{
    unsigned votes = 0;

    for (unsigned i = 0; i < r->votes; i++)
        votes += raft_members_have(raft_members(r), r->voters[i]);
    if (!is_majority(r, votes))
        return;
    if (r->role == RAFT_CANDIDATE) {
        become_elected(r, now);
        return;
    }
    r->term++;
    r->voted = r->self.id;
    r->unsaved = true;
    begin_canvass(r, RAFT_CANDIDATE, now);
    count_votes(r, now);
}

/* Is the elected one still heard by a majority? */
static bool is_heard(const struct raft *r, int64_t now)
{
    const struct raft_members *members = raft_members(r);
    unsigned some = 0;

    if (now - r->since < RAFT_SILENCE)
        return true;
    for (unsigned i = 0; i < members->count; i++)
        some += members->member[i].id == r->self.id || raft_hears(r, members->member[i].id, now);
    return is_majority(r, some);
}

void raft_tick(struct raft *r, int64_t now)
{
    if (r->role == RAFT_ELECTED) {
        if (!is_heard(r, now))
            step_down(r, now);
        return;
    }
    if (now < r->deadline)
        return;
    if (r->role != RAFT_FOLLOWS) { /* too few votes came */
        r->role = RAFT_FOLLOWS;
        r->deadline = now + random_below(r, RAFT_PATIENCE);
        return;
    }
    begin_canvass(r, RAFT_ASKS, now); /* who is no member learns by it who is elected */
    if (raft_may_stand(r))
        count_votes(r, now);
}

/* What a vote is given by: of a copy that is being made anew, what it had; nothing was settled by what it has fetched since. */
static struct raft_position had(const struct raft *r)
{
    return r->copying ? r->floor : raft_last(r);
}

void raft_ballot(const struct raft *r, struct raft_ballot *ballot_r)
{
    bool real = r->role == RAFT_CANDIDATE;

    *ballot_r = (struct raft_ballot){real, real ? r->term : r->term + 1, 0, raft_last(r)};
    if (raft_may_stand(r))
        ballot_r->candidate = r->self.id;
}

/* Does it hear of somebody elected? */
static bool is_led(const struct raft *r, int64_t now)
{
    return r->leader.id != 0 && (r->role == RAFT_ELECTED || now - r->heard < RAFT_PATIENCE);
}

/* Who got our vote is probably elected next. */
static void expect(struct raft *r, uint64_t candidate, int64_t now)
{
    const struct raft_members *members = raft_members(r);

    wait_patiently(r, now);
    for (unsigned i = 0; i < members->count; i++)
        if (members->member[i].id == candidate)
            r->leader = members->member[i];
    r->heard = now - RAFT_PATIENCE;
    r->granted = now;
}

void raft_ballot_came(struct raft *r, const struct raft_ballot *ballot, int64_t now, struct raft_vote *vote_r)
{
    struct raft_position own = had(r);
    bool may = ballot->candidate != 0 && is_possible(r, ballot->term) && !raft_is_before(&ballot->last, &own);

    if (!ballot->real) {
        may = may && ballot->term > r->term && !is_led(r, now);
    } else {
        if (ballot->term > r->term && ballot->candidate != 0 && is_possible(r, ballot->term))
            enter_term(r, ballot->term, now);
        may = may && ballot->term == r->term && (r->voted == 0 || r->voted == ballot->candidate);
        if (may) {
            r->unsaved = r->unsaved || r->voted == 0;
            r->voted = ballot->candidate;
            expect(r, ballot->candidate, now);
        }
    }
    *vote_r = (struct raft_vote){.granted = may, .term = r->term};
    if (is_led(r, now))
        vote_r->leader = r->leader;
}

/* Somebody says who is elected: he is asked himself, next.  (If his term is an old one he learns it by that.) */
static void take_hint(struct raft *r, const struct raft_vote *vote, int64_t now)
{
    r->leader = vote->leader;
    r->role = RAFT_FOLLOWS;
    wait_patiently(r, now);
}

void raft_vote_came(struct raft *r, uint64_t from, uint64_t canvass, const struct raft_vote *vote,
                    int64_t now)
{
    if (canvass != r->canvass || (r->role != RAFT_ASKS && r->role != RAFT_CANDIDATE) ||
        !is_possible(r, vote->term))
        return;
    if (!vote->granted && vote->leader.id != 0 && vote->leader.id != r->self.id) {
        take_hint(r, vote, now);
        return;
    }
    if (vote->term > r->term) {
        enter_term(r, vote->term, now);
        r->deadline = now + random_below(r, RAFT_AT_ONCE);
        return;
    }
    if (r->role == RAFT_CANDIDATE && vote->term != r->term) /* to what was asked before a crash */
        return;
    for (unsigned i = 0; i < r->votes; i++)
        if (r->voters[i] == from)
            return;
    if (!vote->granted || r->votes == RAFT_MEMBERS_MAX)
        return;
    r->voters[r->votes++] = from;
    if (raft_may_stand(r))
        count_votes(r, now);
}

/* ---- the elected one's ---- */

bool raft_is_new(const struct raft *r)
{
    return r->role == RAFT_ELECTED && r->began == 0;
}

struct raft_position raft_next(const struct raft *r)
{
    return (struct raft_position){r->term, r->last + 1};
}

/* How far a majority's logs are, ours with what is on disk of it. */
static uint64_t majority_has(const struct raft *r)
{
    const struct raft_members *members = raft_members(r);
    uint64_t has[RAFT_MEMBERS_MAX], best = 0;

    for (unsigned i = 0; i < members->count; i++) {
        has[i] = members->member[i].id == r->self.id ? r->stored : 0;
        for (unsigned j = 0; j < r->copy_count; j++)
            if (r->copies[j].who.id == members->member[i].id && members->member[i].id != r->self.id)
                has[i] = r->copies[j].match;
    }
    for (unsigned i = 0; i < members->count; i++) {
        unsigned some = 0;

        for (unsigned j = 0; j < members->count; j++)
            some += has[j] >= has[i];
        if (is_majority(r, some) && has[i] > best)
            best = has[i];
    }
    return best;
}

/* An entry of another term is settled by one of ours behind it alone (5.4.2). */
static void settle(struct raft *r)
{
    uint64_t index = majority_has(r);

    if (index <= r->commit || raft_term_at(r, index) != r->term)
        return;
    r->commit = index;
    drop_old_configs(r);
}

void raft_stored(struct raft *r, uint64_t index)
{
    if (index <= r->stored || index > r->last)
        return;
    r->stored = index;
    if (r->role == RAFT_ELECTED)
        settle(r);
}

bool raft_leads(const struct raft *r)
{
    return r->role == RAFT_ELECTED && r->began != 0 && r->commit >= r->began;
}

bool raft_may_change(const struct raft *r)
{
    return raft_leads(r) && r->config_count == 1;
}

/* The place of somebody who fetches; a new one takes that of who has been silent for longest, if he is no member. */
static struct raft_copy *copy_of(struct raft *r, const struct raft_member *who)
{
    struct raft_copy *oldest = NULL;

    for (unsigned i = 0; i < r->copy_count; i++) {
        struct raft_copy *copy = &r->copies[i];

        if (copy->who.id == who->id)
            return copy;
        if (!raft_members_have(raft_members(r), copy->who.id) &&
            (oldest == NULL || copy->heard < oldest->heard))
            oldest = copy;
    }
    if (r->copy_count < RAFT_COPIES_MAX)
        oldest = &r->copies[r->copy_count++];
    *oldest = (struct raft_copy){.who = *who};
    return oldest;
}

/* Where his log may still be ours. */
static uint64_t go_back_to(const struct raft *r, const struct raft_position *last)
{
    return last->index > r->last ? r->last : last->index - 1;
}

enum raft_fetched raft_fetch_came(struct raft *r, const struct raft_copy *who, uint64_t term,
                                  const struct raft_position *last, int64_t now, uint64_t *back_r)
{
    struct raft_copy *copy;

    if (term > r->term && is_possible(r, term))
        enter_term(r, term, now);
    if (r->role != RAFT_ELECTED || term > r->term)
        return RAFT_REFUSED;
    copy = copy_of(r, &who->who);
    copy->heard = now;
    copy->joins = who->joins;
    if (term == r->term && who->round <= r->round)
        copy->round = who->round;
    if (last->index < raft_first(r))
        return RAFT_COPY_ALL;
    if (last->index > r->last || raft_term_at(r, last->index) != last->term) {
        *back_r = go_back_to(r, last);
        return *back_r < raft_first(r) ? RAFT_COPY_ALL : RAFT_GO_BACK;
    }
    if (term == r->term && !who->copying && copy->match < last->index) {
        copy->match = last->index;
        settle(r);
    }
    return RAFT_FETCHED;
}

uint64_t raft_begin_round(struct raft *r)
{
    return ++r->round;
}

bool raft_round_is_heard(const struct raft *r, uint64_t round)
{
    unsigned some = raft_members_have(raft_members(r), r->self.id);

    for (unsigned i = 0; i < r->copy_count; i++)
        some += r->copies[i].round >= round && r->copies[i].who.id != r->self.id &&
                raft_members_have(raft_members(r), r->copies[i].who.id);
    return is_majority(r, some);
}

void raft_copies(struct raft *r, uint64_t id, uint64_t term, int64_t now)
{
    for (unsigned i = 0; i < r->copy_count; i++)
        if (r->copies[i].who.id == id && term == r->term)
            r->copies[i].heard = now;
}

bool raft_hears(const struct raft *r, uint64_t id, int64_t now)
{
    for (unsigned i = 0; i < r->copy_count; i++)
        if (r->copies[i].who.id == id)
            return now - r->copies[i].heard < RAFT_SILENCE;
    return false;
}

/* ---- a follower's ---- */

bool raft_leader_came(struct raft *r, const struct raft_member *leader, uint64_t term, int64_t now)
{
    if (term < r->term || !is_possible(r, term) || (term == r->term && r->role == RAFT_ELECTED))
        return false;
    if (term > r->term)
        enter_term(r, term, now);
    r->role = RAFT_FOLLOWS;
    r->leader = *leader;
    r->heard = now;
    wait_patiently(r, now);
    return true;
}

void raft_settled(struct raft *r, uint64_t commit)
{
    if (commit > r->last)
        commit = r->last;
    if (commit <= r->commit || r->role != RAFT_FOLLOWS)
        return;
    r->commit = commit;
    drop_old_configs(r);
}

void raft_leader_gone(struct raft *r, int64_t now)
{
    if (r->role != RAFT_FOLLOWS || r->leader.id == 0 ||
        (r->voted == r->leader.id && r->granted > r->heard && now - r->granted < RAFT_GRACE))
        return;
    forget_leader(r);
    r->deadline = now + random_below(r, RAFT_AT_ONCE);
}
