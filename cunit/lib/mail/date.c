#include "lib/mail/date.h"

#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

#define BAD INT64_MIN

static void test_parse(void)
{
    static const struct {
        const char *text;
        int64_t time;
        int zone;
    } rows[] = {
        {"Thu, 1 Jan 1970 00:00:00 +0000", 0, 0},
        {"Sat, 21 Nov 2026 12:00:00 +0000", 1795262400, 0},
        {"Fri, 21 Nov 1997 09:55:06 -0600", 880127706, -360},
        {"21 Nov 97 09:55:06 GMT", 880106106, 0}, /* RFC 5322 A.6.2 */
        {"Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 "
         "(Newfoundland "
         "Time)",
         -27723480, -210}, /* A.5 */
        {"Tue, 1 Jul 2003 10:52:37 +0200", 1057049557, 120},
        {"1 Jul 2003 10:52 EDT", 1057071120, -240},
        {"1 Jul 2003 10:52 A", 1057056720, 0}, /* military zones say nothing */
        {"1 Jul 103 10:52:00 Z", 1057056720, 0},
        {"1 Jul 2003", 1057017600, 0},
        {"Sat Nov 21 12:00:00 2026", 1795262400, 0},
        {"Sat Nov 21 12:00:00 PST 2026", 1795291200, -480},
        {"21-Nov-2026 12:00:00 +0100", 1795258800, 60},
        {"Mon, 29 Feb 2016 23:59:60 +0000", 1456790400, 0},
        {"Fri, 31 Dec 9999 23:59:59 +0000", 253402300799, 0},
        {"1 Jan 0001 00:00:00 +0000", -62135596800, 0},
        {"21 November 2026 12:00:00 GMT+0100", 1795258800, 60},
        {"21 Nov 2026 12:00:00 +9999", 1795262400, 0}, /* an impossible zone is none */
        {"29 Feb 2015 00:00:00 +0000", BAD, 0},
        {"32 Jan 2015 00:00:00 +0000", BAD, 0},
        {"1 Foo 2015 00:00:00 +0000", BAD, 0},
        {"1 Jan 2015 24:00:00 +0000", BAD, 0},
        {"1 Jan 2015 10:60 +0000", BAD, 0},
        {"1 Jan 2015 10: +0000", BAD, 0},
        {"1 Jan 99999 10:00:00 +0000", BAD, 0},
        {"", BAD, 0},
        {"no date at all", BAD, 0},
        {"2003-07-01T10:52:37Z", BAD, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int64_t t = BAD;
        int zone = 0, r = mail_date_parse(rows[i].text, strlen(rows[i].text), &t, &zone);

        if (t != rows[i].time)
            printf("\n  %s gives %lld\n", rows[i].text, (long long)t);
        CU_ASSERT_EQUAL(r, rows[i].time == BAD ? ERR_SYNTAX : 0);
        CU_ASSERT_EQUAL(t, rows[i].time);
        CU_ASSERT_EQUAL(zone, rows[i].zone);
    }
}

static void test_formats(void)
{
    static const struct {
        int64_t time;
        int zone;
        const char *rfc5322, *imap;
    } rows[] = {
        {0, 0, "Thu, 01 Jan 1970 00:00:00 +0000", " 1-Jan-1970 00:00:00 +0000"},
        {1795262400, 0, "Sat, 21 Nov 2026 12:00:00 +0000", "21-Nov-2026 12:00:00 +0000"},
        {1795262400, -210, "Sat, 21 Nov 2026 08:30:00 -0330", "21-Nov-2026 08:30:00 -0330"},
        {1795262400, 825, "Sun, 22 Nov 2026 01:45:00 +1345", "22-Nov-2026 01:45:00 +1345"},
        {-1, 0, "Wed, 31 Dec 1969 23:59:59 +0000", "31-Dec-1969 23:59:59 +0000"},
        {951782400, 0, "Tue, 29 Feb 2000 00:00:00 +0000", "29-Feb-2000 00:00:00 +0000"},
        {INT64_MAX, 0, "Fri, 31 Dec 9999 23:59:59 +0000", "31-Dec-9999 23:59:59 +0000"},
        {INT64_MIN, -60, "Mon, 01 Jan 0001 00:00:00 -0100", " 1-Jan-0001 00:00:00 -0100"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char s[MAIL_DATE_SIZE];

        mail_date_format(s, rows[i].time, rows[i].zone);
        CU_ASSERT_STRING_EQUAL(s, rows[i].rfc5322);
        mail_date_time_format(s, rows[i].time, rows[i].zone);
        CU_ASSERT_STRING_EQUAL(s, rows[i].imap);
    }
}

/* Each format reads back what it wrote, across leap years and centuries. */
static void test_round_trip(void)
{
    for (int64_t t = -62135596800; t < 253402300800; t += 86400 * 97 + 12345) {
        char s[MAIL_DATE_SIZE];
        int64_t a = BAD, b = BAD;
        int zone = 0;

        mail_date_format(s, t, 0);
        mail_date_parse(s, strlen(s), &a, NULL);
        mail_date_time_format(s, t, 0);
        mail_date_time_parse(s, strlen(s), &b, &zone);
        if (a != t || b != t)
            CU_FAIL("a date did not survive");
    }
    CU_PASS("all dates");
}

static void test_strict(void)
{
    static const char *const bad[] = {
        "",
        "17-Jul-1996 02:44:25",
        "17-Jul-1996 02:44:25 +0000 ",
        "7-Jul-1996 02:44:25 +0000",
        "17 Jul-1996 02:44:25 +0000",
        "17-Xyz-1996 02:44:25 +0000",
        "17-Jul-1996 02:44:25 0000 ",
        "17-Jul-1996 25:44:25 +0000",
        "31-Jun-1996 02:44:25 +0000",
        " 0-Jun-1996 02:44:25 +0000",
        "17-Jul-1996 02:44:25 +0060",
    };
    int64_t t = 1;
    int zone;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        CU_ASSERT_EQUAL(mail_date_time_parse(bad[i], strlen(bad[i]), &t, &zone), ERR_SYNTAX);
    CU_ASSERT_EQUAL(t, 1);
    CU_ASSERT_EQUAL(mail_date_time_parse("17-jul-1996 02:44:25 -0700", 26, &t, &zone), 0);
    CU_ASSERT_EQUAL(t, 837596665);
    CU_ASSERT_EQUAL(zone, -420);
    CU_ASSERT_EQUAL(mail_date_day_parse("1-Feb-1994", 10, &t), 0);
    CU_ASSERT_EQUAL(t, 760060800);
    CU_ASSERT_EQUAL(mail_date_day_parse("01-Feb-1994", 11, &t), 0);
    CU_ASSERT_EQUAL(mail_date_day_parse("1-Feb-94", 8, &t), ERR_SYNTAX);
    CU_ASSERT_EQUAL(mail_date_day_parse("30-Feb-1994", 11, &t), ERR_SYNTAX);
}

static void test_day(void)
{
    CU_ASSERT_EQUAL(mail_date_day(1795262400, 0), 1795219200);
    CU_ASSERT_EQUAL(mail_date_day(1795219200 - 60, 60), 1795219200);
    CU_ASSERT_EQUAL(mail_date_day(-1, 0), -86400);
}

static const struct unit_case cases[] = {
    {"parse", test_parse},   {"formats", test_formats}, {"round trip", test_round_trip},
    {"strict", test_strict}, {"day", test_day},         {NULL, NULL},
};
const struct unit_suite date_suite = {"lib/mail/date", cases};
