#include "cunit/mupdate/raft-world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cunit/mupdate/raft-world-private.h"
#include "lib/base/mem.h"

/* ---- chance, and what is wrong ---- */

uint64_t world_below(struct world *w, uint64_t n)
{
    uint64_t x = w->random += 0x9e3779b97f4a7c15;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return (x ^ (x >> 31)) % n;
}

bool world_chance(struct world *w, unsigned per_mille)
{
    return world_below(w, 1000) < per_mille;
}

unsigned world_one_of(struct world *w, unsigned a, unsigned b, unsigned c)
{
    unsigned which = (unsigned)world_below(w, 3);

    return which == 0 ? a : which == 1 ? b : c;
}

void world_fail(struct world *w, const char *fmt, ...)
{
    va_list args;
    int n;

    if (w->failed)
        return;
    w->failed = true;
    n = snprintf(w->error, WORLD_ERROR_MAX, "seed %llu, %lld ms: ", (unsigned long long)w->seed,
                 (long long)w->now);
    va_start(args, fmt);
    vsnprintf(w->error + n, WORLD_ERROR_MAX - (size_t)n, fmt, args);
    va_end(args);
}

unsigned world_number_of(const struct world *w, const struct node *n)
{
    return (unsigned)(n - w->node);
}

struct raft_member world_name_of(unsigned number, uint64_t id)
{
    return (struct raft_member){id, {(char)('a' + number), '\0'}};
}

/* ---- what must stay true ---- */

static bool same_entry(const struct entry *a, const struct entry *b)
{
    return a->term == b->term && a->kind == b->kind && a->key == b->key && a->value == b->value;
}

void world_apply(struct state *state, const struct entry *entry)
{
    state->applied++;
    if (entry->kind == WRITE)
        state->value[entry->key] = entry->value;
    if (entry->kind == MEMBERS)
        state->config = entry->value;
}

static void check_settled(struct world *w, struct node *n)
{
    while (n->checked < n->r.commit && !w->failed) {
        uint64_t i = ++n->checked;

        if (i > n->last || i < n->first) {
            world_fail(w, "%c has settled %u, and no such entry", 'a' + (int)world_number_of(w, n),
                       (unsigned)i);
        } else if (i <= w->settled) {
            if (!same_entry(&n->log[i], &w->truth[i]))
                world_fail(w, "%c: the settled entry %u is another one", 'a' + (int)world_number_of(w, n),
                           (unsigned)i);
        } else {
            w->settled = i;
            w->truth[i] = n->log[i];
            w->settled_in[i] = n->r.term;
            w->states[i] = w->states[i - 1];
            world_apply(&w->states[i], &n->log[i]);
            w->tally->settled++;
        }
    }
}

/* By the log on its disk. */
static const struct raft_members *members_of(const struct world *w, const struct node *n)
{
    for (uint64_t i = n->last; i > n->state.applied && i >= n->first; i--)
        if (n->log[i].kind == MEMBERS)
            return &w->configs[n->log[i].value];
    return &w->configs[n->state.config];
}

static bool same_members(const struct raft_members *a, const struct raft_members *b)
{
    for (unsigned i = 0; i < a->count; i++)
        if (!raft_members_have(b, a->member[i].id))
            return false;
    return a->count == b->count;
}

void world_check_node(struct world *w, struct node *n)
{
    struct raft_position last = raft_last(&n->r);

    if (n->copying && !n->copied)
        return;
    check_settled(w, n);
    if (w->failed)
        return;
    if (last.index != n->last || (last.index > 0 && last.term != n->log[n->last].term) ||
        raft_first(&n->r) != n->first)
        world_fail(w, "%c: its log is another one", 'a' + (int)world_number_of(w, n));
    if (!same_members(raft_members(&n->r), members_of(w, n)))
        world_fail(w, "%c: members", 'a' + (int)world_number_of(w, n));
    if (n->copying)
        return;
    if (n->state.applied > w->settled || n->state.config != w->states[n->state.applied].config ||
        memcmp(n->state.value, w->states[n->state.applied].value, sizeof(n->state.value)) != 0)
        world_fail(w, "%c: the state at %u", 'a' + (int)world_number_of(w, n), (unsigned)n->state.applied);
}

/* One in a term; and he has all that was settled in those before. */
void world_check_elected(struct world *w, struct node *n)
{
    uint64_t term = n->r.term;

    if (term >= TERMS_MAX) {
        world_fail(w, "%u terms", TERMS_MAX);
        return;
    }
    if (w->elected[term] != 0)
        world_fail(w, "two elected in term %u", (unsigned)term);
    w->elected[term] = n->id;
    if (n->copying)
        world_fail(w, "%c is elected, and has no whole copy", 'a' + (int)world_number_of(w, n));
    for (uint64_t i = w->settled; i > 0 && i >= n->first; i--)
        if (w->settled_in[i] < term && (i > n->last || !same_entry(&n->log[i], &w->truth[i])))
            if (n->log[i].kind != BEGINNING || n->log[i].term != w->truth[i].term || i > n->last)
                world_fail(w, "%c, elected in term %u, lacks %u", 'a' + (int)world_number_of(w, n),
                           (unsigned)term, (unsigned)i);
    w->tally->elected++;
}

void world_check_vote(struct world *w, uint64_t voter, uint64_t term, uint64_t candidate)
{
    uint8_t *voted;

    if (term >= TERMS_MAX)
        return;
    voted = &w->voted[voter][term];
    if (*voted != 0 && *voted != candidate)
        world_fail(w, "%u has voted twice in term %u", (unsigned)voter, (unsigned)term);
    *voted = (uint8_t)candidate;
}

/* ---- messages ---- */

static void put_message(struct world *w, const struct message *m)
{
    struct message *to;

    if (w->message_count == MESSAGES_MAX)
        return;
    to = &w->messages[w->message_count++];
    *to = *m;
    to->due = w->now + 1 + (int64_t)world_below(w, w->delay);
    if (world_chance(w, w->late))
        to->due += (int64_t)world_below(w, 4000);
}

void world_post(struct world *w, const struct message *m)
{
    if (w->cut[m->from][m->to] || world_chance(w, w->loss))
        return;
    put_message(w, m);
    if (world_chance(w, w->twice))
        put_message(w, m);
}

static bool is_here(const struct world *w, const struct node *n)
{
    return n->runs && n->paused <= w->now;
}

static void deliver(struct world *w)
{
    for (unsigned i = 0; i < w->message_count && !w->failed;) {
        struct message m = w->messages[i];

        if (m.due > w->now || (w->node[m.to].runs && w->node[m.to].paused > w->now)) {
            i++;
            continue;
        }
        w->messages[i] = w->messages[--w->message_count];
        node_came(w, &m);
    }
}

/* ---- what goes wrong ---- */

static void isolate(struct world *w, unsigned who, bool in, bool out)
{
    for (unsigned i = 0; i < w->count; i++) {
        w->cut[i][who] |= in;
        w->cut[who][i] |= out;
    }
}

static void split(struct world *w)
{
    unsigned side = (unsigned)world_below(w, 1U << w->count);

    for (unsigned i = 0; i < w->count; i++)
        for (unsigned j = 0; j < w->count; j++)
            w->cut[i][j] = ((side >> i) & 1) != ((side >> j) & 1);
}

/* Would there be a majority with whole copies without it, whatever the members are, and with it among them? */
static bool can_do_without(const struct world *w, const struct node *who)
{
    for (unsigned i = 0; i < w->count; i++) {
        const struct node *n = &w->node[i];

        if (!n->runs || (n->copying && n != who))
            return false;
        if (n->last > 0 && !same_members(raft_members(&n->r), raft_members(&w->node[0].r)))
            return false; /* one who is just taken in may have what only those who go have */
        for (unsigned j = 0; j < n->r.config_count; j++) {
            const struct raft_members *members = &n->r.configs[j].members;
            unsigned some = 0;

            for (unsigned k = 0; k < w->count; k++)
                some += &w->node[k] != who && raft_members_have(members, w->node[k].id);
            if (2 * some <= members->count + !raft_members_have(members, who->id))
                return false;
        }
    }
    return w->now > w->wiped + 3000;
}

static void hurt(struct world *w, struct node *n)
{
    switch (w->regicide ? 0 : world_below(w, 5)) {
    case 0:
    case 1:
        node_crash(w, n);
        break;
    case 2:
        n->paused = w->now + (int64_t)world_below(w, 4000);
        break;
    case 3:
        isolate(w, world_number_of(w, n), true, true);
        break;
    default:
        isolate(w, world_number_of(w, n), world_chance(w, 500), world_chance(w, 500));
    }
}

static void do_harm(struct world *w)
{
    struct node *n = &w->node[world_below(w, w->count)];

    for (unsigned i = 0; i < w->count; i++)
        if (w->node[i].doomed != 0 && w->node[i].doomed <= w->now) {
            w->node[i].doomed = 0;
            hurt(w, &w->node[i]);
        }
    if (!world_chance(w, w->faults))
        return;
    switch (world_below(w, 8)) {
    case 0:
    case 1:
        hurt(w, n);
        break;
    case 2:
        node_crash(w, n);
        break;
    case 3:
        split(w);
        break;
    case 4:
        if (n->runs && can_do_without(w, n))
            node_wipe(w, n, w->now + 10 + (int64_t)world_below(w, 1000));
        break;
    default:
        memset(w->cut, 0, sizeof(w->cut));
    }
}

static void end_harm(struct world *w)
{
    memset(w->cut, 0, sizeof(w->cut));
    w->loss = w->twice = w->late = w->lazy = 0;
    for (unsigned i = 0; i < w->count; i++) {
        w->node[i].paused = w->node[i].doomed = 0;
        if (!w->node[i].runs && w->node[i].back > w->now && w->node[i].back != INT64_MAX)
            w->node[i].back = w->now;
    }
}

/* ---- the world ---- */

/* Everybody is a member, follows the one who leads, and has what he has. */
static bool is_well(const struct world *w)
{
    const struct node *leader = NULL;

    for (unsigned i = 0; i < w->count; i++)
        if (w->node[i].runs && raft_leads(&w->node[i].r))
            leader = &w->node[i];
    if (leader == NULL || leader->r.commit != leader->last || leader->state.applied < w->settled ||
        leader->state.applied != leader->last || leader->r.config_count != 1)
        return false;
    for (unsigned i = 0; i < w->count; i++) {
        const struct node *n = &w->node[i];

        if (n->back == INT64_MAX && !n->runs)
            continue;
        if (!n->runs || n->copying || n->r.leader.id != leader->id || n->r.term != leader->r.term ||
            n->state.applied != leader->state.applied || !raft_members_have(raft_members(&leader->r), n->id))
            return false;
    }
    return true;
}

/* A group of all that are there, or of one whom the others join. */
static void found(struct world *w)
{
    unsigned founders = world_chance(w, 250) ? 1 : w->count - (unsigned)world_below(w, 2);
    struct raft_members members = {0};

    for (unsigned i = 0; i < w->count; i++) {
        w->node[i].id = ++w->ids;
        if (i < founders)
            members.member[members.count++] = world_name_of(i, w->node[i].id);
    }
    w->config_count = 2; /* the first: of nobody */
    w->configs[1] = members;
    w->truth[1] = (struct entry){1, MEMBERS, 0, 1};
    w->settled_in[1] = 1;
    w->settled = 1;
    world_apply(&w->states[1], &w->truth[1]);
    for (unsigned i = 0; i < w->count; i++) {
        struct node *n = &w->node[i];

        if (i < founders) {
            n->first = n->last = n->durable = n->term = 1;
            n->log[1] = w->truth[1];
            n->state = w->states[1];
            n->state.was_member = true;
            n->safe = n->state;
        }
        node_start(w, n);
    }
}

static void choose_weather(struct world *w)
{
    w->count = world_one_of(w, 3, 5, 3 + (unsigned)world_below(w, NODES_MAX - 2));
    w->loss = world_one_of(w, 0, 10, 100);
    w->twice = world_one_of(w, 0, 20, 200);
    w->late = world_one_of(w, 0, 10, 50);
    w->faults = world_one_of(w, 5, 15, 50);
    w->hot = world_one_of(w, 100, 500, 950);
    w->whims = world_one_of(w, 0, 2, 50);
    w->writes = world_one_of(w, 20, 100, 500);
    w->delay = world_one_of(w, 5, 30, 120);
    w->doom = world_one_of(w, w->delay, 4 * w->delay, 300);
    w->sync = world_one_of(w, 2, 20, 200);
    w->batch = world_one_of(w, 1, 2, BATCH_MAX);
    w->lazy = world_one_of(w, 0, 300, 970);
    w->regicide = world_chance(w, 400);
    if (w->regicide) {
        w->hot = 1000;
        w->faults = 1;
        w->whims = world_one_of(w, 0, 1, 100);
    }
    w->trims = world_one_of(w, 5, 50, 300);
    w->keeps = world_one_of(w, 1, 4, 12);
    w->wiped = -10000;
}

static void pass_time(struct world *w)
{
    w->now += 1 + (int64_t)world_below(w, STEP_MAX);
    if (w->now < w->calm)
        do_harm(w);
    else
        end_harm(w);
    for (unsigned i = 0; i < w->count; i++)
        if (!w->node[i].runs && w->node[i].back <= w->now)
            node_start(w, &w->node[i]);
    deliver(w);
    for (unsigned i = 0; i < w->count && !w->failed; i++)
        if (is_here(w, &w->node[i]))
            node_step(w, &w->node[i]);
}

bool world_run(uint64_t seed, struct world_tally *tally, char error_r[WORLD_ERROR_MAX])
{
    struct world *w = xcalloc(1, sizeof(*w));
    bool well;

    w->seed = w->random = seed;
    w->error = error_r;
    w->tally = tally;
    w->calm = TURMOIL;
    choose_weather(w);
    found(w);
    while (!w->failed && w->now < w->calm + CALM && (w->now < w->calm || !is_well(w)))
        pass_time(w);
    if (!w->failed && !is_well(w))
        world_fail(w, "they do not agree in the end");
    well = !w->failed;
    for (unsigned i = 0; i < w->count; i++)
        node_stop(&w->node[i], 0);
    free(w);
    return well;
}
