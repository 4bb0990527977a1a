#include "lib/charset/fold.h"

#include <string.h>

#include "cunit/unit.h"
#include "lib/base/mem.h"

static void test_fold(void)
{
    static const struct {
        enum fold fold;
        const char *from, *to;
    } rows[] = {
        {FOLD_OCTET, "aB\xc3\xa9", "aB\xc3\xa9"},
        {FOLD_ASCII, "aB\xc3\xa9", "AB\xc3\xa9"},
        {FOLD_UNICODE, "aB1", "AB1"},
        {FOLD_UNICODE, "\xc3\xa9", "E\xcc\x81"},
        {FOLD_UNICODE, "\xc7\x84", "Dz\xcc\x8c"}, /* the RFC's example, U+01C4 */
        {FOLD_UNICODE, "\xef\xac\x81", "fi"},     /* ligature: no title case of its own */
        {FOLD_UNICODE, "\xc3\x9f", "\xc3\x9f"},   /* sharp s: no simple title case */
        {FOLD_UNICODE, "\xff", "\xef\xbf\xbd"},
        {FOLD_UNICODE, "\xd1\x84", "\xd0\xa4"},
    };
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        buf_reset(&b);
        fold_text(rows[i].fold, rows[i].from, strlen(rows[i].from), &b);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].to);
    }
    buf_free(&b);
}

static void test_compare(void)
{
    CU_ASSERT_EQUAL(fold_compare(FOLD_ASCII, "abc", 3, "ABC", 3), 0);
    CU_ASSERT(fold_compare(FOLD_ASCII, "ab", 2, "ABC", 3) < 0);
    CU_ASSERT(fold_compare(FOLD_ASCII, "b", 1, "ABC", 3) > 0);
    CU_ASSERT(fold_compare(FOLD_OCTET, "a", 1, "A", 1) > 0);
    CU_ASSERT_EQUAL(fold_compare(FOLD_UNICODE, "\xc3\xa9", 2, "\xc3\x89", 2), 0);
    CU_ASSERT_EQUAL(fold_compare(FOLD_UNICODE, "", 0, "", 0), 0);
}

static void test_search(void)
{
    static const struct {
        enum fold fold;
        const char *needle, *text;
        bool found;
    } rows[] = {
        {FOLD_ASCII, "", "", true},
        {FOLD_ASCII, "", "x", true},
        {FOLD_ASCII, "x", "", false},
        {FOLD_ASCII, "lo W", "hello world", true},
        {FOLD_ASCII, "aab", "aaaab", true},
        {FOLD_ASCII, "abab", "abaababb", true},
        {FOLD_ASCII, "abc", "ababab", false},
        {FOLD_OCTET, "A", "a", false},
        {FOLD_UNICODE, "CAF\xc3\x89", "un caf\xc3\xa9.", true},
        {FOLD_UNICODE, "cafe\xcc\x81", "un caf\xc3\xa9.", true},
        {FOLD_UNICODE, "caf\xc3\xa9", "cafe", false},
        {FOLD_UNICODE, "\xe6\x97\xa5", "x\xe6\x97\xa5\xe6\x9c\xac", true},
        {FOLD_UNICODE, "z", "\xe6\x97z", true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        size_t n = strlen(rows[i].text);
        struct searcher *s = searcher_new(rows[i].fold, rows[i].needle, strlen(rows[i].needle));
        bool found;

        CU_ASSERT_EQUAL(searcher_find(s, rows[i].text, n), rows[i].found);
        found = searcher_feed(s, "", 0);
        for (size_t k = 0; k < n; k++)
            found = searcher_feed(s, rows[i].text + k, 1);
        CU_ASSERT_EQUAL(found, rows[i].found);
        searcher_reset(s);
        CU_ASSERT_EQUAL(searcher_find(s, "~", 1), rows[i].needle[0] == '\0');
        searcher_free(&s);
        CU_ASSERT_PTR_NULL(s);
    }
}

/* Texts of a few letters, ASCII and not, long enough for blocks: found where folding both and comparing says so. */
static void test_search_random(void)
{
    static const char *const letters[] = {"a", "A",        "b", "B",    "c",
                                          " ", "\xc3\xa9", "e", "\xff", "\xef\xac\x81"};
    uint32_t seed = 1;
    int wrong = 0, found = 0;

    for (int round = 0; round < 3000; round++) {
        struct buf text = BUF_INIT, needle = BUF_INIT, folded = BUF_INIT, wanted = BUF_INIT;
        struct searcher *s;
        bool expected;

        for (int i = 0; i < 90 + round % 40; i++)
            buf_puts(&text, letters[(seed = seed * 1103515245 + 12345) >> 16 & 7]);
        buf_puts(&text, letters[round % (int)ARRAY_SIZE(letters)]);
        for (int i = 0; i < 1 + round % 7; i++)
            buf_puts(&needle,
                     letters[((seed = seed * 1103515245 + 12345) >> 16 & 0xff) % ARRAY_SIZE(letters)]);
        fold_text(FOLD_UNICODE, text.data, text.len, &folded);
        fold_text(FOLD_UNICODE, needle.data, needle.len, &wanted);
        expected = memmem(folded.data, folded.len, wanted.data, wanted.len) != NULL;
        s = searcher_new(FOLD_UNICODE, needle.data, needle.len);
        wrong += searcher_find(s, text.data, text.len) != expected;
        searcher_feed(s, text.data, (size_t)round % text.len);
        wrong += searcher_feed(s, text.data + (size_t)round % text.len,
                               text.len - (size_t)round % text.len) != expected;
        found += expected;
        searcher_free(&s);
        buf_free(&text);
        buf_free(&needle);
        buf_free(&folded);
        buf_free(&wanted);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(found > 300 && found < 2700);
}

static void test_nfc(void)
{
    static const struct {
        const char *text;
        bool is;
    } rows[] = {
        {"", true},
        {"Sent", true},
        {"\xc3\xbc"
         "ber",
         true}, /* u with diaeresis */
        {"u\xcc\x88"
         "ber",
         false},                             /* u, then a diaeresis */
        {"\xcc\x88", true},                  /* a diaeresis alone */
        {"\xe2\x84\xab", false},             /* the sign of the angstrom */
        {"\xed\x95\x9c", true},              /* a Hangul syllable, */
        {"\xe1\x84\x92\xe1\x85\xa1", false}, /* and two letters of one */
        {"\xf0\x9f\x93\xa7", true},          /* outside the first plane */
        {"\xff", false},                     /* no UTF-8 */
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        CU_ASSERT_EQUAL(fold_is_nfc(rows[i].text, strlen(rows[i].text)), rows[i].is);
}

static const struct unit_case cases[] = {
    {"fold", test_fold},
    {"NFC", test_nfc},
    {"compare", test_compare},
    {"search", test_search},
    {"search at random", test_search_random},
    {NULL, NULL},
};

extern const struct unit_suite fold_suite;
const struct unit_suite fold_suite = {"fold", cases};
