#include "lib/charset/utf7.h"

#include <stdlib.h>
#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/charset/utf8.h"

static void test_both_ways(void)
{
    static const char *const rows[][2] = {
        {"", ""},
        {"plain ASCII ~!", "plain ASCII ~!"},
        {"a&-b", "a&b"},
        /* RFC 3501 5.1.3 */
        {"~peter/mail/&U,BTFw-/&ZeVnLIqe-",
         "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"},
        {"Entw&APw-rfe", "Entw\xc3\xbcrfe"},
        {"&2D3eAA-", "\xf0\x9f\x98\x80"},
        {"&AOk-&-", "\xc3\xa9&"},
        {"&AAEAfw-", "\x01\x7f"},
    };
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        buf_reset(&b);
        CU_ASSERT_EQUAL(utf7_to_utf8(rows[i][0], strlen(rows[i][0]), &b), 0);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i][1]);
        buf_reset(&b);
        CU_ASSERT_EQUAL(utf7_from_utf8(rows[i][1], strlen(rows[i][1]), &b), 0);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i][0]);
    }
    buf_free(&b);
}

static void test_refused(void)
{
    static const char *const rows[] = {
        "&",          /* open */
        "a&b",        /* the same */
        "&AOk",       /* no closing '-' */
        "&AGE-",      /* 'a' represents itself */
        "&AOkAYQ-",   /* the same inside */
        "&AOk-&AOk-", /* superfluous shift */
        "&U,BTFw-&ZeVnLIqe-",
        "&AO-",        /* not a whole unit */
        "&AOl-",       /* padding bits set */
        "&AOkA-",      /* superfluous digit */
        "&2D0-",       /* half a pair */
        "&2D3YPQ-",    /* high, high */
        "&3gA-",       /* low alone */
        "&AAA-",       /* NUL */
        "&AO/p-",      /* '/' is no digit here */
        "caf\xc3\xa9", /* raw */
        "a\tb",
        "a\x7f",
    };
    struct buf b = BUF_INIT;

    buf_puts(&b, "kept");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CU_ASSERT_FALSE(utf7_is_valid(rows[i], strlen(rows[i])));
        CU_ASSERT_EQUAL(utf7_to_utf8(rows[i], strlen(rows[i]), &b), ERR_SYNTAX);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "kept");
    }
    CU_ASSERT_EQUAL(utf7_from_utf8("\xff", 1, &b), ERR_SYNTAX);
    CU_ASSERT_EQUAL(utf7_from_utf8("a\0b", 3, &b), ERR_SYNTAX);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "kept");
    buf_free(&b);
}

static uint32_t random_char(void)
{
    static const uint32_t top[] = {0x7f, 0x800, 0x3000, 0xd7ff, 0x10ffff};
    uint32_t c = 1 + (uint32_t)rand() % top[(size_t)rand() % ARRAY_SIZE(top)];

    return c >= 0xd800 && c <= 0xdfff ? 'x' : c;
}

static void test_random(void)
{
    srand(2);
    for (int i = 0; i < 2000; i++) {
        struct buf text = BUF_INIT, name = BUF_INIT, back = BUF_INIT;

        for (int n = rand() % 12; n > 0; n--)
            utf8_append(&text, random_char());
        CU_ASSERT_EQUAL_FATAL(utf7_from_utf8(buf_cstr(&text), text.len, &name), 0);
        CU_ASSERT_EQUAL_FATAL(utf7_to_utf8(buf_cstr(&name), name.len, &back), 0);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&text), buf_cstr(&back));
        buf_free(&text);
        buf_free(&name);
        buf_free(&back);
    }
}

static const struct unit_case cases[] = {
    {"both ways", test_both_ways},
    {"refused", test_refused},
    {"random", test_random},
    {NULL, NULL},
};

extern const struct unit_suite utf7_suite;
const struct unit_suite utf7_suite = {"utf7", cases};
