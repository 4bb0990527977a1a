#include "lib/base/placing.h"

#include "cunit/unit.h"
#include "lib/base/mem.h"

/* Percent free: 40, 60, 30, 70; free: 400, 600, 30, 70. */
static const struct placing_candidate four[] = {
    {"a", 1000, 400}, {"b", 1000, 600}, {"c", 100, 30}, {"d", 100, 70}};

static void test_modes(void)
{
    static const struct {
        enum opt_select_mode mode;
        unsigned limit;
        double luck;
        size_t chosen;
    } rows[] = {
        {SELECT_FREESPACE_MOST, 0, 0, 1},
        {SELECT_FREESPACE_MOST, 0, 0.99, 1},
        {SELECT_FREESPACE_PERCENT_MOST, 0, 0, 3},
        {SELECT_FREESPACE_PERCENT_MOST, 0, 0.99, 3},
        /* equal chances */
        {SELECT_RANDOM, 0, 0, 0},
        {SELECT_RANDOM, 0, 0.24, 0},
        {SELECT_RANDOM, 0, 0.26, 1},
        {SELECT_RANDOM, 0, 0.51, 2},
        {SELECT_RANDOM, 0, 0.99999, 3},
        /* 40, 60, 30, 70 of 200 */
        {SELECT_FREESPACE_PERCENT_WEIGHTED, 0, 0.19, 0},
        {SELECT_FREESPACE_PERCENT_WEIGHTED, 0, 0.21, 1},
        {SELECT_FREESPACE_PERCENT_WEIGHTED, 0, 0.49, 1},
        {SELECT_FREESPACE_PERCENT_WEIGHTED, 0, 0.51, 2},
        {SELECT_FREESPACE_PERCENT_WEIGHTED, 0, 0.66, 3},
        /* 10.5, 30.5, 0.5, 40.5 of 82 */
        {SELECT_FREESPACE_PERCENT_WEIGHTED_DELTA, 0, 0.127, 0},
        {SELECT_FREESPACE_PERCENT_WEIGHTED_DELTA, 0, 0.129, 1},
        {SELECT_FREESPACE_PERCENT_WEIGHTED_DELTA, 0, 0.499, 1},
        {SELECT_FREESPACE_PERCENT_WEIGHTED_DELTA, 0, 0.503, 2},
        {SELECT_FREESPACE_PERCENT_WEIGHTED_DELTA, 0, 0.51, 3},
        /* beyond the limit: a and c, used by 60 and 70 percent */
        {SELECT_FREESPACE_MOST, 35, 0, 3},
        {SELECT_RANDOM, 50, 0, 1},
        {SELECT_RANDOM, 50, 0.51, 3},
        {SELECT_FREESPACE_PERCENT_WEIGHTED, 50, 0, 1},
        {SELECT_FREESPACE_PERCENT_WEIGHTED_DELTA, 50, 0.04,
         1}, /* 0.5 and 10.5 of 11: the least of those left */
        {SELECT_FREESPACE_PERCENT_WEIGHTED_DELTA, 50, 0.05, 3},
        {SELECT_FREESPACE_MOST, 40, 0, 1}, /* used by just that much */
        {SELECT_FREESPACE_MOST, 20, 0, 1}, /* all of them: as if there were none */
        {SELECT_FREESPACE_PERCENT_MOST, 20, 0, 3},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct placing_rule rule = {rows[i].mode, rows[i].limit};

        CU_ASSERT_EQUAL(placing_choose(&rule, four, ARRAY_SIZE(four), rows[i].luck), rows[i].chosen);
    }
}

static void test_unknown(void)
{
    static const struct placing_candidate some[] = {{"x", 0, 0}, {"y", 100, 0}, {"z", 0, 0}};

    for (enum opt_select_mode m = SELECT_RANDOM; m <= SELECT_FREESPACE_PERCENT_WEIGHTED_DELTA; m++) {
        struct placing_rule rule = {m, 0}, limited = {m, 90};

        for (int i = 0; i < 3; i++) {
            double luck = (2 * i + 1) / 6.0;
            size_t drawn = m == SELECT_RANDOM ? (size_t)i : 1;

            CU_ASSERT_EQUAL(placing_choose(&rule, some, 3, luck), drawn);
            CU_ASSERT_EQUAL(placing_choose(&rule, some, 1, luck), 0);
            CU_ASSERT_NOT_EQUAL(placing_choose(&limited, some, 3, luck), 1);
            CU_ASSERT_EQUAL(placing_choose(&limited, &some[1], 1, luck), 0);
        }
    }
}

static void test_luck(void)
{
    double sum = 0;

    for (int i = 0; i < 10000; i++) {
        double luck = placing_luck();

        CU_ASSERT_FATAL(luck >= 0 && luck < 1);
        sum += luck;
    }
    CU_ASSERT(sum > 4500 && sum < 5500); /* 17 standard deviations */
}

static const struct unit_case cases[] = {
    {"modes", test_modes},
    {"unknown", test_unknown},
    {"luck", test_luck},
    {NULL, NULL},
};

extern const struct unit_suite placing_suite;
const struct unit_suite placing_suite = {"placing", cases};
