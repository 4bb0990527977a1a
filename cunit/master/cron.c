#include "master/cron.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

/* 2024-02-29 was a Thursday. */
static struct tm at(const char *stamp)
{
    struct tm tm = {.tm_isdst = -1};
    time_t t;

    sscanf(stamp, "%d-%d-%d %d:%d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min);
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    t = mktime(&tm);
    localtime_r(&t, &tm);
    return tm;
}

static void test_matches(void)
{
    static const struct {
        const char *cron, *stamp;
        bool matches;
    } rows[] = {
        {"* * * * *", "2024-02-29 12:34", true},
        {"34 12 29 2 4", "2024-02-29 12:34", true},
        {"35 12 * * *", "2024-02-29 12:34", false},
        {"*/5 * * * *", "2024-02-29 12:35", true},
        {"*/5 * * * *", "2024-02-29 12:34", false},
        {"3/5 * * * *", "2024-02-29 12:33", true},
        {"0-29/10,45 * * * *", "2024-02-29 12:20", true},
        {"0-29/10,45 * * * *", "2024-02-29 12:30", false},
        {"0-29/10,45 * * * *", "2024-02-29 12:45", true},
        {"34 0-6,12-13 * * *", "2024-02-29 12:34", true},
        {"34 12 * feb thu", "2024-02-29 12:34", true},
        {"34 12 * Jan Thu", "2024-02-29 12:34", false},
        {"34 12 1 * thu", "2024-02-29 12:34", true},  /* either will do */
        {"34 12 29 * fri", "2024-02-29 12:34", true}, /* either will do */
        {"34 12 1 * fri", "2024-02-29 12:34", false},
        {"34 12 * * fri", "2024-02-29 12:34", false},
        {"34 12 1 * *", "2024-02-29 12:34", false},
        {"0 0 * * 7", "2024-03-03 00:00", true},
        {"0 0 * * 0", "2024-03-03 00:00", true},
        {"0 0 * * sat-sun", "2024-03-03 00:00", false}, /* no such range: 6-0 */
        {"0 0 * * 5-7", "2024-03-03 00:00", true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct tm tm = at(rows[i].stamp);
        struct cron c;
        bool ok = cron_parse(rows[i].cron, &c) == 0 && cron_matches(&c, &tm);

        CU_ASSERT_EQUAL(ok, rows[i].matches);
    }
}

static void test_syntax(void)
{
    static const char *const bad[] = {"",
                                      "*",
                                      "* * * *",
                                      "* * * * * *",
                                      "60 * * * *",
                                      "* 24 * * *",
                                      "* * 0 * *",
                                      "* * 32 * *",
                                      "* * * 13 *",
                                      "* * * 0 *",
                                      "* * * * 8",
                                      "*/0 * * * *",
                                      "5-1 * * * *",
                                      "1, * * * *",
                                      "x * * * *",
                                      "-1 * * * *",
                                      "* * * janu *",
                                      "1-* * * * *",
                                      "99999999999 * * * *"};
    struct cron c;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        CU_ASSERT_EQUAL(cron_parse(bad[i], &c), ERR_SYNTAX);
    CU_ASSERT_EQUAL(cron_parse(" 1\t2  3 4 5 ", &c), 0);
}

static void test_at(void)
{
    static const struct {
        const char *at;
        int hour, minute; /* hour -1: refused */
    } rows[] = {{"0400", 4, 0},   {"400", 4, 0},   {"4:05", 4, 5}, {"23:59", 23, 59}, {"0", 0, 0},
                {"2400", -1, 0},  {"0460", -1, 0}, {"", -1, 0},    {"4:5", -1, 0},    {"04:000", -1, 0},
                {"12345", -1, 0}, {"4pm", -1, 0},  {"-400", -1, 0}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct cron c;
        int r = cron_parse_at(rows[i].at, &c);

        CU_ASSERT_EQUAL(r, rows[i].hour < 0 ? ERR_SYNTAX : 0);
        if (r == 0) {
            struct tm tm = at("2024-02-29 00:00");

            tm.tm_hour = rows[i].hour;
            tm.tm_min = rows[i].minute;
            CU_ASSERT(cron_matches(&c, &tm));
            tm.tm_min = (tm.tm_min + 1) % 60;
            CU_ASSERT(!cron_matches(&c, &tm));
        }
    }
}

static void test_between(void)
{
    struct cron c;
    struct tm tm = at("2024-02-29 12:34");
    time_t t = mktime(&tm);

    CU_ASSERT_EQUAL(cron_parse("34 12 * * *", &c), 0);
    CU_ASSERT(cron_matches_between(&c, t - 1, t));
    CU_ASSERT(cron_matches_between(&c, t - 30, t + 30));
    CU_ASSERT(!cron_matches_between(&c, t, t + 59)); /* that minute had its turn */
    CU_ASSERT(!cron_matches_between(&c, t - 120, t - 1));
    CU_ASSERT(cron_matches_between(&c, t - 7200, t + 7200));
    CU_ASSERT(!cron_matches_between(&c, t, t));
    CU_ASSERT(!cron_matches_between(&c, t, t - 100)); /* the clock was set back */
    CU_ASSERT(cron_matches_between(&c, 0, t + 100));  /* or far forward: once, in bounded time */
}

static const struct unit_case cases[] = {
    {"matches", test_matches},
    {"syntax", test_syntax},
    {"at", test_at},
    {"between", test_between},
    {NULL, NULL},
};

extern const struct unit_suite cron_suite;
const struct unit_suite cron_suite = {"cron", cases};
