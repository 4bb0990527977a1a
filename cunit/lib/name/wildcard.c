#include "lib/name/wildcard.h"

#include <stdlib.h>
#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static void test_match(void)
{
    static const struct {
        const char *reference, *pattern, *name;
        bool matches;
    } rows[] = {
        {"", "*", "", true},
        {"", "*", "a/b/c", true},
        {"", "%", "a", true},
        {"", "%", "a/b", false},
        {"", "%", "", true},
        {"", "a", "a", true},
        {"", "a", "A", false},
        {"", "", "", true},
        {"", "", "a", false},
        {"", "%/%", "a/b", true},
        {"", "%/%", "a/b/c", false},
        {"", "%%", "ab", true},
        {"", "*%", "a/b", true},
        {"", "%*", "a/b", true},
        {"", "a*b", "axb/b", true},
        {"", "a%b", "axb/b", false},
        {"", "%a%b", "xaab", true},
        {"", "*a*b*c", "aabbcc/c", true},
        {"", "*a*b*c", "aabbcc/d", false},
        {"x/", "%", "x/y", true},
        {"x/", "%", "y", false},
        {"", "inbox", "INBOX", true},
        {"", "INBOX", "InBox", true},
        {"", "iNb*", "INBOX/a", true},
        {"", "inbox/A", "INBOX/a", false},
        {"", "in%", "INBOXES", false},
        {"", "IN%", "INBOXES", true},
        {"", "inbo%", "Inbox", true},
        {"", "%/inbox", "a/INBOX", false},
        {"", "a\xc3%", "a\xc3\xa9", true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct wildcard *w;

        CU_ASSERT_EQUAL_FATAL(wildcard_new('/', rows[i].reference, rows[i].pattern, &w), 0);
        CU_ASSERT_EQUAL(wildcard_match(w, rows[i].name, strlen(rows[i].name)), rows[i].matches);
        wildcard_free(&w);
        CU_ASSERT_PTR_NULL(w);
    }
}

/* The definition, for comparison: exponential, and obvious. */
static bool obvious(const char *p, const char *s)
{
    if (*p == '\0')
        return *s == '\0';
    if (*p == '*' || *p == '%')
        return obvious(p + 1, s) || (*s != '\0' && (*p == '*' || *s != '/') && obvious(p, s + 1));
    return *p == *s && obvious(p + 1, s + 1);
}

static void fill(char *to, size_t n, const char *alphabet)
{
    for (size_t i = 0; i < n; i++)
        to[i] = alphabet[(size_t)rand() % strlen(alphabet)];
    to[n] = '\0';
}

static void test_random(void)
{
    srand(1);
    for (int i = 0; i < 5000; i++) {
        char pattern[8], name[10];
        struct wildcard *w;

        fill(pattern, (size_t)rand() % 7, "ab/%*");
        fill(name, (size_t)rand() % 9, "ab/");
        CU_ASSERT_EQUAL_FATAL(wildcard_new('/', "", pattern, &w), 0);
        CU_ASSERT_EQUAL_FATAL(wildcard_match(w, name, strlen(name)), obvious(pattern, name));
        wildcard_free(&w);
    }
}

static void test_long(void)
{
    char pattern[2 * WILDCARD_MAX + 3], name[WILDCARD_MAX + 2];
    struct wildcard *w;

    for (size_t i = 0; i < WILDCARD_MAX; i++) {
        pattern[2 * i] = '*';
        pattern[2 * i + 1] = name[i] = 'a';
    }
    pattern[2 * WILDCARD_MAX] = name[WILDCARD_MAX] = '\0';
    CU_ASSERT_EQUAL_FATAL(wildcard_new('/', "", pattern, &w), 0);
    CU_ASSERT(wildcard_match(w, name, WILDCARD_MAX));
    CU_ASSERT(!wildcard_match(w, name, WILDCARD_MAX - 1));
    name[WILDCARD_MAX - 1] = 'b';
    CU_ASSERT(!wildcard_match(w, name, WILDCARD_MAX));
    wildcard_free(&w);
    strcat(pattern, "a");
    CU_ASSERT_EQUAL(wildcard_new('/', "", pattern, &w), ERR_TOOBIG);
    CU_ASSERT_PTR_NULL(w);
}

static void test_facts(void)
{
    struct wildcard *w;

    CU_ASSERT_EQUAL_FATAL(wildcard_new('.', "user.", "a%", &w), 0);
    CU_ASSERT_STRING_EQUAL(wildcard_literal(w), "user.a");
    CU_ASSERT(!wildcard_is_literal(w) && wildcard_ends_in_percent(w));
    wildcard_free(&w);
    CU_ASSERT_EQUAL_FATAL(wildcard_new('.', "", "%x", &w), 0);
    CU_ASSERT_STRING_EQUAL(wildcard_literal(w), "");
    CU_ASSERT(!wildcard_is_literal(w) && !wildcard_ends_in_percent(w));
    wildcard_free(&w);
    CU_ASSERT_EQUAL_FATAL(wildcard_new('.', "a", "b", &w), 0);
    CU_ASSERT(wildcard_is_literal(w));
    wildcard_free(&w);
}

static const struct unit_case cases[] = {
    {"match", test_match},
    {"against the definition", test_random},
    {"long patterns", test_long},
    {"facts", test_facts},
    {NULL, NULL},
};

extern const struct unit_suite wildcard_suite;
const struct unit_suite wildcard_suite = {"wildcard", cases};
