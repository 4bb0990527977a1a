/* What a script may take, and no more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static const struct unit_case cases[] = {
    {"counts", test_counts},
    {"redirects of the host", test_hosts_redirects},
    {"values", test_values},
    {"effort", test_effort},
    {NULL, NULL},
};

const struct unit_suite sieve_limits_suite = {"limits", cases};
