#include "lib/base/away.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include "cunit/unit.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/file.h"

static char dir[40];

static void begin(void)
{
    char path[64], text[128], *error;

    snprintf(dir, sizeof(dir), "/tmp/iatlas-away-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/imapd.conf", dir);
    snprintf(text, sizeof(text), "configdirectory: %s\nlog_target: stderr\n", dir);
    CU_ASSERT_EQUAL_FATAL(file_replace(path, text, strlen(text), 0600), 0);
    CU_ASSERT_EQUAL_FATAL(config_read(path, "imap", "test", &error), 0);
}

static void end(void)
{
    file_remove_tree(dir);
}

/* The report, with times of the last minute as T. */
static void expect(const char *expected)
{
    struct buf report = BUF_INIT, plain = BUF_INIT;
    char *rest;

    away_status(&report);
    for (const char *s = buf_cstr(&report); *s != '\0';) {
        if ((strncmp(s, "since=", 6) == 0 || strncmp(s, "tried=", 6) == 0)) {
            CU_ASSERT(llabs(strtoll(s + 6, &rest, 10) - clock_wall()) < 60);
            buf_append(&plain, s, 6);
            buf_putc(&plain, 'T');
            s = rest;
        } else {
            buf_putc(&plain, *s++);
        }
    }
    if (strcmp(buf_cstr(&plain), expected) != 0)
        fprintf(stderr, "%s\n", buf_cstr(&plain));
    CU_ASSERT_STRING_EQUAL(buf_cstr(&plain), expected);
    buf_free(&report);
    buf_free(&plain);
}

static void test_noted_and_cleared(void)
{
    begin();
    expect("");
    away_clear("imap", "be1"); /* nothing there */
    away_note("lmtp", "be1", "greeting: timed out");
    away_note("imap", "be1:2143", "first");
    away_note("imap", "be1:2143", "connect: Connection\r\nrefused");
    expect("server be1:2143 state=away protocol=imap since=T tried=T reason=connect: Connection??refused\n"
           "server be1 state=away protocol=lmtp since=T tried=T reason=greeting: timed out\n");
    away_clear("imap", "be1:2143");
    expect("server be1 state=away protocol=lmtp since=T tried=T reason=greeting: timed out\n");
    end();
}

static void test_since_the_first(void)
{
    static const char old[] = "since=1000 tried=1000 reason=x\n";
    struct buf path = BUF_INIT, report = BUF_INIT;

    begin();
    away_note("imap", "be1", "x");
    config_path(&path, "away/imap@be1");
    CU_ASSERT_EQUAL(file_replace(buf_cstr(&path), old, sizeof(old) - 1, 0600), 0);
    away_note("imap", "be1", "y");
    away_status(&report);
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&report), "since=1000 tried="));
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&report), "reason=y\n"));
    buf_free(&path);
    buf_free(&report);
    end();
}

static void test_names_that_are_none(void)
{
    char longest[300];

    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    begin();
    away_note("lmtp", "/var/run/lmtp", "x");
    away_note("lmtp", "../x", "x");
    away_note("lmtp", "", "x");
    away_note("lmtp", longest, "x");
    expect("");
    end();
}

static void test_long_reason(void)
{
    struct buf reason = BUF_INIT, report = BUF_INIT;

    begin();
    for (int i = 0; i < 2000; i++)
        buf_puts(&reason, "why ");
    away_note("imap", "be1", buf_cstr(&reason));
    away_status(&report);
    CU_ASSERT(report.len > 400 && report.len < 700);
    CU_ASSERT_EQUAL(buf_cstr(&report)[report.len - 1], '\n');
    buf_free(&reason);
    buf_free(&report);
    end();
}

static void test_yesterdays(void)
{
    struct utimbuf yesterday = {.actime = clock_wall() - 25 * 3600, .modtime = clock_wall() - 25 * 3600};
    struct buf path = BUF_INIT;
    struct stat st;

    begin();
    away_note("imap", "be1", "x");
    config_path(&path, "away/imap@be1");
    CU_ASSERT_EQUAL(utime(buf_cstr(&path), &yesterday), 0);
    expect("");
    CU_ASSERT_NOT_EQUAL(stat(buf_cstr(&path), &st), 0);
    buf_free(&path);
    end();
}

static const struct unit_case cases[] = {
    {"noted and cleared", test_noted_and_cleared},
    {"since the first", test_since_the_first},
    {"names that are none", test_names_that_are_none},
    {"long reason", test_long_reason},
    {"yesterday's", test_yesterdays},
    {NULL, NULL},
};

extern const struct unit_suite away_suite;
const struct unit_suite away_suite = {"away", cases};
