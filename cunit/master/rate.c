#include "master/rate.h"

#include "cunit/unit.h"

static void test_rate(void)
{
    struct rate r;
    int64_t now = 1000000;
    unsigned taken = 0;

    rate_init(&r, 5, 3);
    while (rate_take(&r, now))
        taken++;
    CU_ASSERT_EQUAL(taken, 3);
    CU_ASSERT_EQUAL(rate_next(&r, now), now + 200);
    CU_ASSERT(!rate_take(&r, now + 199));
    CU_ASSERT(rate_take(&r, now + 200));
    CU_ASSERT(!rate_take(&r, now + 200));
    for (taken = 0; rate_take(&r, now + 60000); taken++)
        ;
    CU_ASSERT_EQUAL(taken, 3); /* the bucket does not grow */
    CU_ASSERT_EQUAL(rate_next(&r, now + 120000), now + 120000);
}

static void test_unbounded(void)
{
    struct rate r;

    rate_init(&r, 0, 0);
    for (int i = 0; i < 1000; i++)
        CU_ASSERT(rate_take(&r, 5));
    rate_init(&r, 1, 1);
    CU_ASSERT(rate_take(&r, 5) && !rate_take(&r, 5) && rate_take(&r, 1005));
}

static void test_failures(void)
{
    struct failures f = {0};
    int64_t now = 1000;

    for (int i = 1; i < FAILURES_MAX; i++)
        CU_ASSERT(!failures_add(&f, now));
    CU_ASSERT(failures_add(&f, now));
    for (int i = 1; i < FAILURES_MAX; i++)
        CU_ASSERT(!failures_add(&f, now));
    failures_forget(&f);
    for (int i = 1; i < FAILURES_MAX; i++)
        CU_ASSERT(!failures_add(&f, now));
    now += FAILURES_WINDOW_MS + 1; /* the old ones are long ago */
    CU_ASSERT(!failures_add(&f, now));
}

static const struct unit_case cases[] = {
    {"rate", test_rate},
    {"unbounded", test_unbounded},
    {"failures", test_failures},
    {NULL, NULL},
};

extern const struct unit_suite rate_suite;
const struct unit_suite rate_suite = {"rate", cases};
