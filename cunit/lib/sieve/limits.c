/* What a script may take, and no more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cunit/lib/sieve/play.h"
#include "cunit/unit.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static void repeat(struct buf *to, unsigned n, const char *text)
{
    for (unsigned i = 0; i < n; i++)
        buf_puts(to, text);
}

static void expect_end(struct buf *script, const char *want)
{
    struct play p = {.script = buf_cstr(script), .host = &play_world};
    char *got = play(&p);

    CU_ASSERT_PTR_NOT_NULL(strstr(got, want));
    if (strstr(got, want) == NULL)
        fprintf(stderr, "\nwanted: %s\ngot:    %.200s\n", want, got);
    free(got);
    buf_free(script);
}

static void test_counts(void)
{
    struct buf script = BUF_INIT;

    for (int i = 0; i <= SIEVE_ACTIONS_MAX; i++)
        buf_printf(&script, "%sfileinto \"m%d\";", i == 0 ? play_requires : "", i);
    expect_end(&script, "more than 64 actions / keep*");
    for (int i = 0; i <= SIEVE_REDIRECTS_MAX; i++)
        buf_printf(&script, "redirect \"m%d@a.example\";", i);
    expect_end(&script, "more than 8 redirects / keep*");
    for (int i = 0; i <= SIEVE_VARIABLES_MAX; i++)
        buf_printf(&script, "%sset \"v%d\" \"\";", i == 0 ? play_requires : "", i);
    expect_end(&script, "more than 256 variables / keep*");
    buf_puts(&script, play_requires);
    repeat(&script, SIEVE_EDITS_MAX + 1, "addheader \"a\" \"b\";");
    expect_end(&script, "more than 200 changes to the header / keep*");
    buf_puts(&script, play_requires);
    repeat(&script, SIEVE_INCLUDED_MAX + 1, "include \"files\";");
    expect_end(&script, "too many scripts are included / keep*");
    repeat(&script, SIEVE_NESTING_MAX + 1, "if true {");
    expect_end(&script, "nested too deeply");
    buf_puts(&script, "if ");
    repeat(&script, SIEVE_NESTING_MAX + 1, "not ");
    buf_puts(&script, "true {}");
    expect_end(&script, "nested too deeply");
    repeat(&script, 2 * SIEVE_ERRORS_MAX, "frob;");
    expect_end(&script, "unknown command");
    repeat(&script, SIEVE_SCRIPT_MAX / 5 + 1, "stop;");
    expect_end(&script, "the script is larger than");
}

/* Redirects are counted by the host's measure too. */
static void test_hosts_redirects(void)
{
    struct sieve_host host = {.redirects = 1};
    struct play p = {.script = "redirect \"a@b.example\"; redirect \"c@d.example\";", .host = &host};

    play_expect(&p, "line 1: more than 1 redirects / keep*");
}

/* Values are cut, at a character's end; what grows from itself ends. */
static void test_values(void)
{
    struct buf script = BUF_INIT;

    buf_puts(&script, play_requires);
    buf_puts(&script, "set \"v\" \"x\xc3\xa9\";");
    repeat(&script, 30, "set \"v\" \"${v}${v}${v}${v}\";");
    buf_puts(&script, "set :length \"n\" \"${v}\"; fileinto \"${n}\";");
    expect_end(&script, "fileinto:546"); /* 8,192 bytes are 2,730 of three, and a letter */
}

static void test_effort(void)
{
    struct buf script = BUF_INIT, message = BUF_INIT;
    struct play p = {.host = &play_world};
    char *got;

    buf_puts(&message, "X: ");
    repeat(&message, 3000, "aaaaaaaaaa");
    buf_puts(&message, "\n\n");
    p.message = buf_cstr(&message);
    buf_printf(&script, "%s if header :regex \"x\" \"(a|a)*[bc]\" { discard; }", play_requires);
    p.script = buf_cstr(&script);
    play_expect(&p, "line 2: a regular expression takes too long / keep*");
    buf_reset(&script);
    buf_printf(&script, "%s if header :matches \"x\" \"",
               play_requires); /* the worst for a star that gives way */
    repeat(&script, 200, "*a?");
    buf_puts(&script, "*b\" { discard; }");
    p.script = buf_cstr(&script);
    got = play(&p);
    CU_ASSERT_STRING_EQUAL(got, "keep*");
    free(got);
    buf_free(&script);
    buf_free(&message);
}

/* One run in a host's measure: its result, and the effort that it took. */
static int run_measured(const char *text, const struct buf *body, const struct sieve_host *host,
                        struct sieve_result *result, struct pool *pool)
{
    struct sieve_message message = {.from = "a@b.example", .to = "c@d.example"};
    struct buf errors = BUF_INIT;
    struct sieve_script *script;
    int r;

    message.data = body->data;
    message.len = body->len;
    CU_ASSERT_EQUAL_FATAL(sieve_compile(text, strlen(text), &errors, &script), 0);
    r = sieve_run(script, &message, host, pool, result);
    sieve_script_free(&script);
    buf_free(&errors);
    return r;
}

/* A thousand rules, fifty of them over the body, of ten megabytes: within a run's bounds, and for a host that has only a
 * moment hardly anything of it. */
static void test_many_rules(void)
{
    static const uint64_t moment = 1024 * 1024;
    struct buf script = BUF_INIT, message = BUF_INIT;
    struct sieve_host host = {.effort = 0};
    struct pool *pool = pool_new(0);
    struct sieve_result result;
    clock_t cpu;

    buf_puts(&message, "Subject: big\r\n\r\n");
    repeat(&message, 256 * 1024, "a line of some length, again and again\r\n");
    buf_puts(&script, "require [\"body\", \"fileinto\"];");
    for (int i = 0; i < 950; i++)
        buf_printf(&script, "if header :contains \"subject\" \"none%d\" { discard; stop; }", i);
    for (int i = 0; i < 50; i++)
        buf_printf(&script, "if body :text :contains \"none%d\" { discard; stop; }", i);
    buf_puts(&script, "fileinto \"work\";");
    CU_ASSERT_EQUAL(run_measured(buf_cstr(&script), &message, &host, &result, pool), 0);
    CU_ASSERT(result.actions != NULL && result.actions->kind == SIEVE_FILEINTO);
    CU_ASSERT(result.effort > 50 * message.len && result.effort < 55 * message.len);
    host.effort = moment;
    cpu = clock();
    CU_ASSERT_EQUAL(run_measured(buf_cstr(&script), &message, &host, &result, pool), ERR_AGAIN);
    CU_ASSERT(clock() - cpu < CLOCKS_PER_SEC / 10);
    CU_ASSERT(result.effort > moment && result.effort <= moment + message.len);
    pool_free(&pool);
    buf_free(&script);
    buf_free(&message);
}

/* Each way to spend much in one test ends soon after the host's measure, and at its deadline. */
static void test_measure(void)
{
    static const char *const rows[] = {
        "require [\"body\", \"regex\"]; if body :raw :regex \"(a|x)+[bc]\" {}",
        "require [\"body\", \"regex\"]; if body :raw :regex \"a(?s).*?[bc]\" {}",
        "require [\"body\", \"regex\", \"variables\"]; set \"v\" \"[bc]\"; if body :regex \"a+a+${v}\" {}",
        "require [\"body\"]; if body :raw :comparator \"i;octet\" :matches "
        "\"*aaaaaaaaaaaaaaaaaaaaaaaaaaaaab*\" {}",
        "require [\"body\"]; if body :raw :contains [\"b1\", \"b2\", \"b3\", \"b4\", \"b5\", \"b6\", \"b7\"] "
        "{}",
    };
    static const uint64_t moment = 2 * 1024 * 1024;
    struct buf message = BUF_INIT;

    buf_puts(&message, "\r\n");
    repeat(&message, 1024 * 1024, "a");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct sieve_host host = {.effort = moment};
        struct pool *pool = pool_new(0);
        struct sieve_result result;

        CU_ASSERT_EQUAL(run_measured(rows[i], &message, &host, &result, pool), ERR_AGAIN);
        CU_ASSERT(result.effort > moment && result.effort <= moment + 2 * message.len);
        host = (struct sieve_host){.deadline = clock_deadline(0)};
        CU_ASSERT_EQUAL(run_measured(rows[i], &message, &host, &result, pool), ERR_LIMIT);
        CU_ASSERT_PTR_NOT_NULL_FATAL(result.error);
        CU_ASSERT_STRING_EQUAL(result.error, "line 1: the script takes too long");
        pool_free(&pool);
    }
    buf_free(&message);
}

/* A test that asks the host costs more than one that does not. */
static void test_questions(void)
{
    struct sieve_host host = play_world;
    struct buf message = BUF_INIT;
    struct pool *pool = pool_new(0);
    struct sieve_result result;

    buf_puts(&message, "\r\n");
    host.effort = SIEVE_EFFORT_ASK;
    CU_ASSERT_EQUAL(run_measured("if true { keep; }", &message, &host, &result, pool), 0);
    CU_ASSERT_EQUAL(
        run_measured("require \"mailbox\"; if mailboxexists \"a\" {}", &message, &host, &result, pool),
        ERR_AGAIN);
    CU_ASSERT_EQUAL(run_measured("require \"include\"; include \"files\";", &message, &host, &result, pool),
                    ERR_AGAIN);
    pool_free(&pool);
    buf_free(&message);
    play_forget();
}

static const struct unit_case cases[] = {
    {"a thousand rules, ten megabytes", test_many_rules},
    {"a host's measure", test_measure},
    {"questions", test_questions},
    {"counts", test_counts},
    {"redirects of the host", test_hosts_redirects},
    {"values", test_values},
    {"effort", test_effort},
    {NULL, NULL},
};

const struct unit_suite sieve_limits_suite = {"limits", cases};
