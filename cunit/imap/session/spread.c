/* spread.c: how many servers are asked at a time. */
#include "imap/session/spread.h"

#include "cunit/unit.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

enum { LEGS = 7 };

/* Servers that answer when they have been asked so many times. */
struct asking {
    struct leg legs[LEGS];
    unsigned asked[LEGS], open, most;
};

static int ask(struct command *cmd, struct spread_part *part, void *context)
{
    struct asking *a = context;
    size_t i = (size_t)(part->leg - a->legs);

    if (a->asked[i] == 0)
        a->open++;
    if (a->open > a->most)
        a->most = a->open;
    cmd->wake_at = (int64_t)(100 + i);
    if (++a->asked[i] < 3)
        return ERR_AGAIN;
    a->open--;
    cmd->failure = "for this one only";
    return i == 2 ? ERR_UNAVAILABLE : 0;
}

static void check(unsigned at_once, unsigned want)
{
    struct asking a = {.open = 0};
    struct command cmd = {.wake_at = CLOCK_NEVER};
    struct spread s = {.at_once = at_once};
    unsigned turns = 0;

    for (size_t i = 0; i < LEGS; i++)
        leg_batch_add(&spread_part(&s, &a.legs[i])->batch, "user.fred");
    CU_ASSERT_EQUAL(spread_part(&s, &a.legs[LEGS - 1]) - s.parts, LEGS - 1);
    while (spread_run(&s, &cmd, ask, &a) == ERR_AGAIN && turns++ < 100)
        CU_ASSERT(cmd.wake_at >= 100 && cmd.wake_at < 100 + LEGS);
    CU_ASSERT_EQUAL(a.most, want);
    CU_ASSERT_EQUAL(a.open, 0);
    CU_ASSERT_PTR_NULL(cmd.failure);
    for (size_t i = 0; i < LEGS; i++) {
        CU_ASSERT(s.parts[i].done);
        CU_ASSERT_EQUAL(s.parts[i].result, i == 2 ? ERR_UNAVAILABLE : 0);
    }
    spread_reset(&s);
    CU_ASSERT_EQUAL(s.count, 0);
}

static void test_at_once(void)
{
    check(0, SPREAD_AT_ONCE);
    check(2, 2);
    check(1, 1);
}

static const struct unit_case cases[] = {{"servers at a time", test_at_once}, {NULL, NULL}};
extern const struct unit_suite spread_suite;
const struct unit_suite spread_suite = {"spread", cases};
