#include "mupdate/raft.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cunit/mupdate/raft-world.h"
#include "cunit/unit.h"
#include "lib/base/mem.h"

enum { WORLDS = 400 };

static struct raft_member member(uint64_t id)
{
    return (struct raft_member){id, {(char)('a' + id), '\0'}};
}

static struct raft_members members_to(uint64_t last)
{
    struct raft_members members = {0};

    for (uint64_t id = 1; id <= last; id++)
        members.member[members.count++] = member(id);
    return members;
}

static void append(struct raft *r, uint64_t term, uint64_t index, const struct raft_members *members)
{
    raft_append(r, &(struct raft_position){term, index}, members);
}

/* Member 1 of so many, in term 1, at 0 ms; entry 1 says who they are, and is settled. */
static void begin(struct raft *r, unsigned count)
{
    struct raft_member self = member(1);
    struct raft_members members = members_to(count);

    raft_init(r, &self, 5, 0);
    raft_load(r, 1, 0);
    append(r, 1, 1, &members);
    raft_stored(r, 1);
    raft_settled(r, 1);
}

/* Further entries, one for each letter: its term. */
static void append_terms(struct raft *r, const char *terms)
{
    for (; *terms != '\0'; terms++)
        append(r, (uint64_t)(*terms - '0'), r->last + 1, NULL);
    raft_stored(r, r->last);
}

static void vote_of(struct raft *r, uint64_t from, int64_t now)
{
    raft_vote_came(r, from, r->canvass, &(struct raft_vote){.granted = true, .term = r->term}, now);
}

/* Elected at 10000 ms by members 2 and 3, with the entry of its term on disk. */
static void elect(struct raft *r)
{
    raft_tick(r, 10000);
    for (unsigned i = 0; i < 2; i++)
        for (uint64_t id = 2; id <= 3; id++)
            vote_of(r, id, 10000);
    CU_ASSERT_FATAL(raft_is_new(r));
    append(r, r->term, r->last + 1, NULL);
    raft_stored(r, r->last);
}

static enum raft_fetched fetch(struct raft *r, uint64_t id, uint64_t term, uint64_t last_term, uint64_t last,
                               uint64_t *back)
{
    struct raft_copy who = {.who = member(id)};

    return raft_fetch_came(r, &who, term, &(struct raft_position){last_term, last}, 10010, back);
}

static void test_positions(void)
{
    static const struct {
        struct raft_position a, b;
        bool before;
    } rows[] = {{{1, 1}, {1, 1}, false}, {{1, 1}, {1, 2}, true},  {{1, 2}, {1, 1}, false},
                {{1, 9}, {2, 1}, true},  {{2, 1}, {1, 9}, false}, {{0, 0}, {1, 1}, true}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        CU_ASSERT_EQUAL(raft_is_before(&rows[i].a, &rows[i].b), rows[i].before);
}

/* "first-last:" and the term of each, from 0 to one behind the last. */
static const char *show_log(const struct raft *r)
{
    static char text[80];
    int n = snprintf(text, sizeof(text), "%u-%u:", (unsigned)raft_first(r), (unsigned)r->last);

    for (uint64_t i = 0; i <= r->last + 1; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%u", (unsigned)raft_term_at(r, i));
    return text;
}

static void test_log(void)
{
    struct raft r;

    raft_init(&r, &(struct raft_member){.id = 1}, 5, 0);
    CU_ASSERT_STRING_EQUAL(show_log(&r), "0-0:00");
    raft_free(&r);
    begin(&r, 3);
    append_terms(&r, "112255");
    CU_ASSERT_STRING_EQUAL(show_log(&r), "1-7:011122550");
    CU_ASSERT(raft_truncate(&r, 7) && raft_truncate(&r, 9));
    CU_ASSERT(raft_truncate(&r, 4));
    CU_ASSERT_STRING_EQUAL(show_log(&r), "1-4:011120");
    CU_ASSERT_EQUAL(r.stored, 4);
    append_terms(&r, "34");
    raft_settled(&r, 4);
    CU_ASSERT_FALSE(raft_truncate(&r, 3));
    raft_trim(&r, 3);
    CU_ASSERT_STRING_EQUAL(show_log(&r), "3-6:00012340");
    raft_trim(&r, 2);
    raft_trim(&r, 4);
    CU_ASSERT_STRING_EQUAL(show_log(&r), "4-6:00002340");
    CU_ASSERT(raft_truncate(&r, 4));
    CU_ASSERT_STRING_EQUAL(show_log(&r), "4-4:000020");
    raft_settled(&r, 100); /* of what it has */
    CU_ASSERT_EQUAL(r.commit, 4);
    raft_free(&r);
}

static void test_configs(void)
{
    struct raft_members two = members_to(2), four = members_to(4), five = members_to(5);
    struct raft r;

    begin(&r, 3);
    append(&r, 1, 2, &four);
    append(&r, 1, 3, NULL);
    append(&r, 1, 4, &five);
    CU_ASSERT_EQUAL(raft_members(&r)->count, 5);
    CU_ASSERT(raft_truncate(&r, 3));
    CU_ASSERT_EQUAL(raft_members(&r)->count, 4);
    CU_ASSERT(raft_truncate(&r, 1));
    CU_ASSERT_EQUAL(raft_members(&r)->count, 3);
    append(&r, 1, 2, &two);
    raft_settled(&r, 2);
    CU_ASSERT_EQUAL(r.config_count, 1);
    raft_trim(&r, 2);
    CU_ASSERT_EQUAL(raft_members(&r)->count, 2);
    raft_copy_begins(&r);
    raft_copy_has(&r, &(struct raft_position){7, 70}, &five);
    CU_ASSERT_EQUAL(raft_members(&r)->count, 5);
    CU_ASSERT_EQUAL(r.config_count, 1);
    CU_ASSERT(raft_first(&r) == 70 && r.last == 70 && r.commit == 70 && r.stored == 70);
    raft_free(&r);
}

/* A voter of term 3 with a log to 2.3 (and perhaps a copy that has begun). */
static void test_votes(void)
{
    static const struct {
        struct raft_ballot ballot;
        uint64_t voted; /* before */
        bool led, copying, granted;
        uint64_t term; /* after */
    } rows[] = {
        {{true, 3, 2, {2, 3}}, 0, false, false, true, 3},
        {{true, 3, 2, {2, 3}}, 2, false, false, true, 3},
        {{true, 3, 2, {2, 3}}, 3, false, false, false, 3},
        {{true, 2, 2, {2, 3}}, 0, false, false, false, 3},
        {{true, 4, 2, {2, 3}}, 3, false, false, true, 4},
        {{true, 4, 2, {2, 2}}, 3, false, false, false, 4},
        {{true, 4, 2, {1, 9}}, 0, false, false, false, 4},
        {{true, 4, 2, {3, 1}}, 0, false, false, true, 4},
        {{true, 4, 0, {3, 1}}, 0, false, false, false, 3}, /* no candidate */
        {{true, 4, 2, {2, 3}}, 0, true, false, true, 4},
        {{true, 4, 2, {2, 3}}, 0, false, true, true, 4},
        {{true, 4, 2, {2, 2}}, 0, false, true, false, 4},
        {{false, 4, 2, {2, 3}}, 0, false, false, true, 3},
        {{false, 4, 2, {2, 3}}, 3, false, false, true, 3},
        {{false, 3, 2, {2, 3}}, 0, false, false, false, 3},
        {{false, 4, 2, {2, 2}}, 0, false, false, false, 3},
        {{false, 4, 2, {2, 3}}, 0, true, false, false, 3},
        {{false, 4, 0, {2, 3}}, 0, false, false, false, 3},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct raft_member leader = member(3);
        struct raft_vote vote;
        struct raft r;

        begin(&r, 3);
        append_terms(&r, "12");
        raft_load(&r, 3, rows[i].voted);
        if (rows[i].led)
            CU_ASSERT(raft_leader_came(&r, &leader, 3, 5000));
        if (rows[i].copying) {
            raft_copy_begins(&r);
            raft_copy_has(&r, &(struct raft_position){2, 2}, raft_members(&r));
        }
        raft_ballot_came(&r, &rows[i].ballot, 5000, &vote);
        if (vote.granted != rows[i].granted || vote.term != rows[i].term)
            fprintf(stderr, "row %u: granted %d, term %u\n", (unsigned)i, vote.granted, (unsigned)vote.term);
        CU_ASSERT(vote.granted == rows[i].granted && vote.term == rows[i].term && r.term == vote.term);
        CU_ASSERT_EQUAL(vote.leader.id, rows[i].led && r.term == 3 ? 3 : 0);
        if (rows[i].granted && rows[i].ballot.real)
            CU_ASSERT(r.voted == 2 && (r.unsaved || rows[i].voted == 2));
        raft_free(&r);
    }
}

/* What a candidate does with votes and hints. */
static void test_candidate(void)
{
    struct raft_ballot ballot;
    struct raft r;

    begin(&r, 3);
    raft_tick(&r, 500);
    CU_ASSERT(r.canvass == 1 && r.role == RAFT_ASKS);
    raft_ballot(&r, &ballot);
    CU_ASSERT(!ballot.real && ballot.term == 2 && ballot.candidate == 1 && ballot.last.index == 1);
    vote_of(&r, 9, 500); /* no member */
    CU_ASSERT_EQUAL(r.role, RAFT_ASKS);
    vote_of(&r, 3, 500);
    CU_ASSERT(r.role == RAFT_CANDIDATE && r.term == 2 && r.voted == 1 && r.unsaved && r.canvass == 2);
    raft_ballot(&r, &ballot);
    CU_ASSERT(ballot.real && ballot.term == 2);
    raft_vote_came(&r, 2, 1, &(struct raft_vote){.granted = true, .term = 1}, 500); /* to that before */
    raft_vote_came(&r, 2, 2, &(struct raft_vote){.granted = true, .term = 1}, 500); /* before a crash */
    raft_vote_came(&r, 2, 2, &(struct raft_vote){.term = 2}, 500);
    vote_of(&r, 1, 500);
    CU_ASSERT_EQUAL(r.role, RAFT_CANDIDATE);
    vote_of(&r, 2, 500);
    CU_ASSERT(r.role == RAFT_ELECTED && raft_is_new(&r) && !raft_leads(&r) && r.leader.id == 1);
    raft_free(&r);

    begin(&r, 3);
    raft_tick(&r, 500);
    raft_vote_came(&r, 2, 1, &(struct raft_vote){.term = 1, .leader = member(3)}, 500);
    CU_ASSERT(r.role == RAFT_FOLLOWS && r.leader.id == 3);
    raft_leader_gone(&r, 600);
    CU_ASSERT(r.leader.id == 0 && r.deadline < 600 + RAFT_AT_ONCE);
    raft_tick(&r, 1000);
    raft_vote_came(&r, 2, 2, &(struct raft_vote){.term = 8}, 1000);
    CU_ASSERT(r.role == RAFT_FOLLOWS && r.term == 8 && r.voted == 0 && r.unsaved);
    raft_free(&r);
}

/* A removed one may have to settle that. */
static void test_standing(void)
{
    struct raft_members others = members_to(3);
    struct raft_ballot ballot;
    struct raft r;

    others.member[0] = member(4);
    begin(&r, 3);
    append(&r, 1, 2, &others);
    raft_ballot(&r, &ballot);
    CU_ASSERT_EQUAL(ballot.candidate, 1);
    raft_tick(&r, 500);
    vote_of(&r, 3, 500);
    CU_ASSERT_EQUAL(r.role, RAFT_ASKS); /* its own vote does not count */
    vote_of(&r, 4, 500);
    CU_ASSERT_EQUAL(r.role, RAFT_CANDIDATE);
    raft_settled(&r, 2);
    CU_ASSERT(raft_leader_came(&r, &others.member[0], 2, 600));
    raft_settled(&r, 2);
    raft_ballot(&r, &ballot);
    CU_ASSERT_EQUAL(ballot.candidate, 0);
    raft_free(&r);
}

/* The elected one's log: 1 1 2 3, and 4 at 5, its own term; entries before 2 are gone. */
static void test_fetch(void)
{
    static const struct {
        uint64_t term, last_term, last;
        enum raft_fetched how;
        uint64_t back;
    } rows[] = {
        {4, 0, 0, RAFT_COPY_ALL, 0}, {4, 1, 1, RAFT_COPY_ALL, 0}, {4, 1, 2, RAFT_FETCHED, 0},
        {4, 2, 2, RAFT_COPY_ALL, 0}, {4, 2, 3, RAFT_FETCHED, 0},  {4, 1, 3, RAFT_GO_BACK, 2},
        {4, 3, 4, RAFT_FETCHED, 0},  {4, 4, 5, RAFT_FETCHED, 0},  {4, 3, 5, RAFT_GO_BACK, 4},
        {4, 3, 9, RAFT_GO_BACK, 5},  {3, 3, 4, RAFT_FETCHED, 0},  {5, 4, 5, RAFT_REFUSED, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t back = 0;
        struct raft r;

        begin(&r, 3);
        append_terms(&r, "123");
        raft_load(&r, 3, 0);
        raft_settled(&r, 2);
        raft_trim(&r, 2);
        elect(&r);
        CU_ASSERT_EQUAL(fetch(&r, 2, rows[i].term, rows[i].last_term, rows[i].last, &back), rows[i].how);
        CU_ASSERT(rows[i].how != RAFT_GO_BACK || back == rows[i].back);
        CU_ASSERT_EQUAL(r.role == RAFT_ELECTED, rows[i].how != RAFT_REFUSED);
        CU_ASSERT_EQUAL(r.commit, rows[i].how == RAFT_FETCHED && rows[i].last == 5 ? 5 : 2);
        raft_free(&r);
    }
}

/* Entries of terms before are settled by one of its own; members alone count, itself with what is on disk. */
static void test_settle(void)
{
    uint64_t back;
    struct raft_copy copying = {.who = member(5), .copying = true};
    struct raft r;

    begin(&r, 5);
    append_terms(&r, "12");
    raft_load(&r, 2, 0);
    elect(&r); /* entry 4 of term 3 */
    append(&r, 3, 5, NULL);
    fetch(&r, 2, 3, 2, 3, &back);
    fetch(&r, 3, 3, 2, 3, &back);
    CU_ASSERT_EQUAL(r.commit, 1);
    fetch(&r, 2, 3, 3, 5, &back);
    fetch(&r, 8, 3, 3, 5, &back);
    fetch(&r, 9, 3, 3, 5, &back);
    fetch(&r, 4, 2, 3, 5, &back); /* of another term */
    raft_fetch_came(&r, &copying, 3, &(struct raft_position){3, 5}, 10010, &back);
    CU_ASSERT(r.commit == 1 && !raft_leads(&r));
    fetch(&r, 3, 3, 3, 5, &back);
    CU_ASSERT(r.commit == 4 && raft_leads(&r));
    raft_stored(&r, 5);
    CU_ASSERT_EQUAL(r.commit, 5);
    raft_free(&r);
}

static void test_may_change(void)
{
    struct raft_members four = members_to(4);
    uint64_t back;
    struct raft r;

    begin(&r, 3);
    CU_ASSERT_FALSE(raft_may_change(&r));
    elect(&r);
    CU_ASSERT_FALSE(raft_may_change(&r));
    fetch(&r, 2, 2, 2, 2, &back);
    CU_ASSERT(raft_may_change(&r));
    append(&r, 2, 3, &four);
    raft_stored(&r, 3);
    CU_ASSERT_FALSE(raft_may_change(&r));
    fetch(&r, 2, 2, 2, 3, &back);
    CU_ASSERT_FALSE(raft_may_change(&r)); /* two of four */
    fetch(&r, 4, 2, 2, 3, &back);
    CU_ASSERT(raft_may_change(&r));
    raft_free(&r);
}

static void repeat_round(struct raft *r, uint64_t id, uint64_t term, uint64_t round)
{
    struct raft_copy who = {.who = member(id), .round = round};
    uint64_t back;

    raft_fetch_came(r, &who, term, &(struct raft_position){1, 1}, 10010, &back);
}

static void test_rounds(void)
{
    uint64_t first, second;
    struct raft r;

    begin(&r, 3);
    elect(&r);
    first = raft_begin_round(&r);
    second = raft_begin_round(&r);
    repeat_round(&r, 9, 2, second);     /* no member */
    repeat_round(&r, 2, 1, second);     /* heard in another term */
    repeat_round(&r, 3, 2, second + 1); /* there was none */
    CU_ASSERT_FALSE(raft_round_is_heard(&r, first));
    repeat_round(&r, 2, 2, first);
    CU_ASSERT(raft_round_is_heard(&r, first));
    CU_ASSERT_FALSE(raft_round_is_heard(&r, second));
    repeat_round(&r, 3, 2, second);
    CU_ASSERT(raft_round_is_heard(&r, second));
    raft_free(&r);
}

/* Who is not heard of by a majority is not elected any longer. */
static void test_silence(void)
{
    uint64_t back;
    struct raft r;

    begin(&r, 3);
    elect(&r);
    raft_tick(&r, 10000 + RAFT_SILENCE - 1);
    CU_ASSERT_EQUAL(r.role, RAFT_ELECTED);
    fetch(&r, 2, 2, 1, 1, &back); /* at 10010 */
    CU_ASSERT(raft_hears(&r, 2, 10009 + RAFT_SILENCE));
    CU_ASSERT_FALSE(raft_hears(&r, 2, 10010 + RAFT_SILENCE) || raft_hears(&r, 3, 10010));
    raft_tick(&r, 10009 + RAFT_SILENCE);
    CU_ASSERT_EQUAL(r.role, RAFT_ELECTED);
    raft_tick(&r, 10010 + RAFT_SILENCE);
    CU_ASSERT(r.role == RAFT_FOLLOWS && r.leader.id == 0 && r.term == 2);
    CU_ASSERT_EQUAL(fetch(&r, 2, 2, 1, 1, &back), RAFT_REFUSED);
    raft_free(&r);
}

static void test_leader(void)
{
    struct raft_member leader = member(2);
    struct raft r;

    begin(&r, 3);
    raft_load(&r, 4, 3);
    CU_ASSERT_FALSE(raft_leader_came(&r, &leader, 3, 100));
    CU_ASSERT(r.leader.id == 0 && !r.unsaved);
    CU_ASSERT(raft_leader_came(&r, &leader, 4, 100));
    CU_ASSERT(r.leader.id == 2 && r.voted == 3 && !r.unsaved);
    CU_ASSERT(raft_leader_came(&r, &leader, 5, 100));
    CU_ASSERT(r.term == 5 && r.voted == 0 && r.unsaved);
    elect(&r);
    CU_ASSERT_FALSE(raft_leader_came(&r, &leader, r.term, 10000));
    CU_ASSERT(raft_leader_came(&r, &leader, r.term + 1, 10000) && r.role == RAFT_FOLLOWS);
    raft_free(&r);
}

/* A copy is not whole before it has what it had. */
static void test_copy(void)
{
    struct raft_member leader = member(2);
    struct raft_ballot ballot;
    struct raft r;

    begin(&r, 3);
    append_terms(&r, "1144");
    CU_ASSERT(raft_leader_came(&r, &leader, 5, 100));
    raft_copy_begins(&r);
    raft_copy_begins(&r);
    CU_ASSERT(r.floor.term == 4 && r.floor.index == 5);
    raft_copy_has(&r, &(struct raft_position){4, 4}, raft_members(&r));
    CU_ASSERT_FALSE(raft_copy_is_whole(&r));
    raft_ballot(&r, &ballot);
    CU_ASSERT_EQUAL(ballot.candidate, 0);
    append(&r, 4, 5, NULL);
    CU_ASSERT(raft_copy_is_whole(&r));
    raft_ballot(&r, &ballot);
    CU_ASSERT(ballot.candidate == 1 && r.floor.index == 0 && !r.copying);
    raft_free(&r);
}

/* RAFT_TEST_SEEDS: so many worlds; RAFT_TEST_SEED: the first one's number. */
static void test_worlds(void)
{
    const char *more = getenv("RAFT_TEST_SEEDS"), *first = getenv("RAFT_TEST_SEED");
    uint64_t count = more != NULL ? strtoull(more, NULL, 10) : WORLDS,
             seed = first != NULL ? strtoull(first, NULL, 10) : 1;
    struct world_tally tally = {0};
    char error[WORLD_ERROR_MAX];

    for (uint64_t i = 0; i < count; i++)
        if (!world_run(seed + i, &tally, error)) {
            fprintf(stderr, "\n    %s\n", error);
            CU_FAIL("a promise was broken");
        }
    if (count < WORLDS)
        return;
    CU_ASSERT(tally.elected > 3 * count && tally.acknowledged > 20 * count && tally.reads > 20 * count);
    CU_ASSERT(tally.unknown > 0 && tally.went_back > 0 && tally.copied > count && tally.wiped > count / 2);
    CU_ASSERT(tally.members > count && tally.crashes > 3 * count);
}

static const struct unit_case cases[] = {{"positions", test_positions},
                                         {"log", test_log},
                                         {"configs", test_configs},
                                         {"votes", test_votes},
                                         {"candidate", test_candidate},
                                         {"standing", test_standing},
                                         {"fetch", test_fetch},
                                         {"settle", test_settle},
                                         {"changes", test_may_change},
                                         {"rounds", test_rounds},
                                         {"silence", test_silence},
                                         {"leader", test_leader},
                                         {"copy", test_copy},
                                         {"worlds", test_worlds},
                                         {NULL, NULL}};

extern const struct unit_suite raft_suite;
const struct unit_suite raft_suite = {"raft", cases};
