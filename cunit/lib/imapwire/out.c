#include "lib/imapwire/out.h"

#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static void test_strings(void)
{
    static const struct {
        const char *in, *string, *astring, *utf8; /* NULL: as astring */
    } rows[] = {
        {"abc", "\"abc\"", "abc", NULL},
        {"", "\"\"", "\"\"", NULL},
        {"NIL", "\"NIL\"", "\"NIL\"", NULL},
        {"nil", "\"nil\"", "\"nil\"", NULL},
        {"a b", "\"a b\"", "\"a b\"", NULL},
        {"a\"\\", "\"a\\\"\\\\\"", "\"a\\\"\\\\\"", NULL},
        {"a\r\n", "{3}\r\na\r\n", "{3}\r\na\r\n", NULL},
        {"\xc3\xa9", "{2}\r\n\xc3\xa9", "{2}\r\n\xc3\xa9", "\"\xc3\xa9\""},
        {"\xc3\"", "{2}\r\n\xc3\"", "{2}\r\n\xc3\"", NULL}, /* cut off */
        {"\xc3\xa9\r", "{3}\r\n\xc3\xa9\r", "{3}\r\n\xc3\xa9\r", NULL},
        {"a]", "\"a]\"", "\"a]\"", NULL},
        {"%", "\"%\"", "\"%\"", NULL},
    };
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        buf_reset(&b);
        imap_put_string(&b, rows[i].in, strlen(rows[i].in));
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].string);
        buf_reset(&b);
        imap_put_astring(&b, rows[i].in);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].astring);
        buf_reset(&b);
        imap_put_utf8_astring(&b, rows[i].in);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].utf8 != NULL ? rows[i].utf8 : rows[i].astring);
    }
    buf_reset(&b);
    imap_put_nstring(&b, NULL);
    imap_put_string(&b, "a\0b", 3);
    imap_put_string(&b, "a\0\n", 3);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "NIL\"ab\"{2}\r\na\n");
    buf_reset(&b);
    imap_put_string8(&b, "ab", 2);
    imap_put_string8(&b, "a\0b", 3);
    CU_ASSERT_EQUAL(b.len, 4 + 9);
    CU_ASSERT_EQUAL(memcmp(b.data, "\"ab\"~{3}\r\na\0b", 13), 0);
    buf_free(&b);
}

static void test_long(void)
{
    struct buf b = BUF_INIT;
    char s[1001];

    memset(s, 'x', sizeof(s));
    imap_put_string(&b, s, 1001);
    CU_ASSERT(strncmp(buf_cstr(&b), "{1001}\r\n", 8) == 0);
    buf_reset(&b);
    imap_put_string(&b, s, 1000);
    CU_ASSERT_EQUAL(b.data[0], '"');
    buf_free(&b);
}

static void test_argument(void)
{
    struct buf b = BUF_INIT;

    CU_ASSERT_EQUAL(imap_put_argument(&b, "\xc3\xa9", 0), ERR_UNSUPPORTED);
    CU_ASSERT_EQUAL(b.len, 0);
    CU_ASSERT_EQUAL(imap_put_argument(&b, "\xc3\xa9", 1), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "{2+}\r\n\xc3\xa9");
    buf_reset(&b);
    CU_ASSERT_EQUAL(imap_put_argument(&b, "a b", 0), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "\"a b\"");
    buf_free(&b);
}

static void test_flags_text(void)
{
    static const char *const flags[] = {"\\Seen", "$x", NULL};
    struct buf b = BUF_INIT;

    imap_put_flags(&b, flags);
    imap_put_flags(&b, flags + 2);
    imap_put_text(&b, "[ALERT] a\r\nb\xff");
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "(\\Seen $x)() [ALERT] a??b?");
    buf_free(&b);
}

static const struct unit_case cases[] = {{"strings", test_strings},
                                         {"long", test_long},
                                         {"argument", test_argument},
                                         {"flags, text", test_flags_text},
                                         {NULL, NULL}};

extern const struct unit_suite out_suite;
const struct unit_suite out_suite = {"out", cases};
