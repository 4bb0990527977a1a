#include "lib/charset/words.h"

#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static void test_words(void)
{
    static const char *const rows[][2] = {
        {"plain", "plain"},
        {"", ""},
        /* RFC 2047 8 */
        {"=?ISO-8859-1?Q?a?=", "a"},
        {"=?ISO-8859-1?Q?a?= b", "a b"},
        {"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"},
        {"=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"},
        {"=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=", "ab"},
        {"=?ISO-8859-1?Q?a_b?=", "a b"},
        {"=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"},
        {"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?= "
         "=?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
         "If you can read this you understand the example."},
        {"=?utf-8?q?caf=C3=A9?= x", "caf\xc3\xa9 x"},
        {"=?utf-8*fr?q?caf=C3=A9?=", "caf\xc3\xa9"},
        {"=?utf-8?b?ww==?= =?utf-8?b?qQ==?=", "\xc3\xa9"},
        {"=?utf-8?q?=C3?= =?utf-8?q?=A9?=", "\xc3\xa9"}, /* split over two words */
        {"=?utf-8?q?=C3?= x =?utf-8?q?=A9?=", "\xef\xbf\xbd x \xef\xbf\xbd"},
        {"=?x-none?q?a?= b", "=?x-none?q?a?= b"},
        {"=?utf-8?q?a?b", "=?utf-8?q?a?b"},
        {"=?utf-8?x?a?=", "=?utf-8?x?a?="},
        {"=?utf-8?q?", "=?utf-8?q?"},
        {"=?utf-8?q?"
         "?=",
         ""},
        {"=?", "=?"},
        {"a\r\n b", "a b"},
        {"caf\xc3\xa9 \xe9", "caf\xc3\xa9 \xef\xbf\xbd"},
        {"(=?utf-8?q?a?=)", "(a)"},
    };
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        buf_reset(&b);
        words_decode(rows[i][0], strlen(rows[i][0]), &b);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i][1]);
    }
    buf_free(&b);
}

static void test_parameters(void)
{
    static const struct {
        const char *from, *to; /* to NULL: ERR_SYNTAX */
    } rows[] = {
        {"us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A", "This is ***fun***"},
        {"iso-8859-1'de'%E4", "\xc3\xa4"},
        {"''x", "x"},
        {"utf-8''%c3%a9", "\xc3\xa9"},
        {"utf-8''%c", NULL},
        {"utf-8''%zz", NULL},
        {"utf-8'x", NULL},
        {"x", NULL},
        {"x-none''a", NULL},
    };
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        buf_reset(&b);
        CU_ASSERT_EQUAL(words_decode_parameter(rows[i].from, strlen(rows[i].from), &b),
                        rows[i].to != NULL ? 0 : ERR_SYNTAX);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].to != NULL ? rows[i].to : "");
    }
    buf_free(&b);
}

static const struct unit_case cases[] = {
    {"encoded words", test_words},
    {"parameters", test_parameters},
    {NULL, NULL},
};

extern const struct unit_suite words_suite;
const struct unit_suite words_suite = {"words", cases};
