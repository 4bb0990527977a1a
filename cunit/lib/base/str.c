#include "lib/base/str.h"

#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static void test_compare(void)
{
    CU_ASSERT(str_ieq("InBox", "INBOX"));
    CU_ASSERT(!str_ieq("InBox", "INBOXe"));
    CU_ASSERT(!str_ieq("InBoxe", "INBOX"));
    CU_ASSERT(str_has_iprefix("Inbox/x", "INBOX"));
    CU_ASSERT(!str_has_prefix("in", "inbox"));
    CU_ASSERT(str_has_suffix("a.script", ".script"));
    CU_ASSERT(!str_has_suffix("t", ".script"));
    CU_ASSERT(str_secret_eq("abc", "abc") && !str_secret_eq("abc", "abd") && !str_secret_eq("abc", "ab"));
    CU_ASSERT(!str_secret_eq("abc", "") && str_secret_eq("", ""));
}

static void test_numbers(void)
{
    static const struct {
        const char *s;
        int r;
        uint32_t value;
    } rows[] = {
        {"0", 0, 0},
        {"4294967295", 0, 4294967295u},
        {"4294967296", ERR_TOOBIG, 0},
        {"99999999999999999999", ERR_TOOBIG, 0},
        {"", ERR_SYNTAX, 0},
        {"-1", ERR_SYNTAX, 0},
        {"1 ", ERR_SYNTAX, 0},
        {"007", 0, 7},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint32_t v = 0;

        CU_ASSERT_EQUAL(str_parse_u32(rows[i].s, strlen(rows[i].s), &v), rows[i].r);
        CU_ASSERT_EQUAL(v, rows[i].value);
    }
}

static void test_split(void)
{
    struct pool *p = pool_new(0);
    struct str_list l = str_split(p, "  cyrus murder\tx ", " \t");

    CU_ASSERT_EQUAL(l.count, 3);
    CU_ASSERT_STRING_EQUAL(l.items[1], "murder");
    CU_ASSERT(str_list_has(&l, "x"));
    CU_ASSERT(!str_list_has(&l, "y"));
    CU_ASSERT_EQUAL(str_split(p, "", " ").count, 0);
    pool_free(&p);
}

static void test_base64(void)
{
    /* RFC 4648 section 10 */
    static const char *const rows[][2] = {{"", ""},
                                          {"f", "Zg=="},
                                          {"fo", "Zm8="},
                                          {"foo", "Zm9v"},
                                          {"foob", "Zm9vYg=="},
                                          {"fooba", "Zm9vYmE="},
                                          {"foobar", "Zm9vYmFy"}};
    static const char *const bad[] = {"Zg=", "Zg", "Z===", "Zh==", "Zg==Zg==", "Zm9=", "Z\xc3=="};
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        buf_reset(&b);
        str_base64_encode(&b, rows[i][0], strlen(rows[i][0]));
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i][1]);
        buf_reset(&b);
        CU_ASSERT_EQUAL(str_base64_decode(&b, rows[i][1], strlen(rows[i][1])), 0);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i][0]);
    }
    buf_reset(&b);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        CU_ASSERT_EQUAL(str_base64_decode(&b, bad[i], strlen(bad[i])), ERR_SYNTAX);
        CU_ASSERT_EQUAL(b.len, 0);
    }
    buf_free(&b);
}

static void test_hex_utf8(void)
{
    static const char *const bad[] = {"\x80",         "\xc0\x80",         "\xe0\x80\x80",
                                      "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3"};
    unsigned char raw[2];
    char hex[5], small[3];

    str_hex(hex, "\x0a\xff", 2);
    CU_ASSERT_STRING_EQUAL(hex, "0aff");
    CU_ASSERT_EQUAL(str_unhex(raw, "0AfF", 2), 0);
    CU_ASSERT(raw[0] == 0x0a && raw[1] == 0xff);
    CU_ASSERT_EQUAL(str_unhex(raw, "0g", 1), ERR_SYNTAX);
    CU_ASSERT(str_is_ascii("a\x7f", 3) && str_is_ascii("", 0) && !str_is_ascii("a\x80", 2));
    CU_ASSERT(str_is_utf8("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        CU_ASSERT(!str_is_utf8(bad[i], strlen(bad[i])));
    CU_ASSERT(!str_copy(small, sizeof(small), "abc"));
    CU_ASSERT_STRING_EQUAL(small, "ab");
}

static const struct unit_case cases[] = {
    {"compare", test_compare}, {"numbers", test_numbers},     {"split", test_split},
    {"base64", test_base64},   {"hex, utf-8", test_hex_utf8}, {NULL, NULL},
};

extern const struct unit_suite str_suite;
const struct unit_suite str_suite = {"str", cases};
