#include "lib/base/ticker.h"

#include <semaphore.h>

#include "cunit/unit.h"

static void post(void *context)
{
    sem_post(context);
}

static void test_ticks(void)
{
    struct ticker *often = NULL, *seldom = NULL;
    sem_t ticks, once;
    int value;

    sem_init(&ticks, 0, 0);
    sem_init(&once, 0, 0);
    CU_ASSERT_EQUAL_FATAL(ticker_start(1, post, &ticks, &often), 0);
    CU_ASSERT_EQUAL_FATAL(ticker_start(3600 * 1000, post, &once, &seldom), 0);
    for (int i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(sem_wait(&ticks), 0);
    CU_ASSERT_EQUAL(sem_wait(&once), 0);
    ticker_stop(&often);
    CU_ASSERT_PTR_NULL(often);
    ticker_stop(&seldom); /* at once, an hour early */
    CU_ASSERT_EQUAL(sem_getvalue(&once, &value), 0);
    CU_ASSERT_EQUAL(value, 0);
    ticker_stop(&seldom);
    sem_destroy(&ticks);
    sem_destroy(&once);
}

static const struct unit_case cases[] = {
    {"ticks, and stops at once", test_ticks},
    {NULL, NULL},
};

extern const struct unit_suite ticker_suite;
const struct unit_suite ticker_suite = {"ticker", cases};
