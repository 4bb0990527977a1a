#include "lib/charset/convert.h"

#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

static const struct {
    const char *charset, *from, *to;
    bool errors;
} rows[] = {
    {NULL, "plain", "plain", false},
    {"US-ASCII", "a\xe9z", "a\xef\xbf\xbdz", true},
    {"utf-8", "caf\xc3\xa9 \xf0\x9f\x98\x80", "caf\xc3\xa9 \xf0\x9f\x98\x80", false},
    {"UTF-8", "a\xc3", "a\xef\xbf\xbd", true},
    {"UTF-8", "\xe2\x82z", "\xef\xbf\xbd\xef\xbf\xbdz", true},
    {"UTF-8", "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", true},
    {"iso-8859-1", "caf\xe9", "caf\xc3\xa9", false},
    {"iso-8859-1", "\x93x\x94", "\xe2\x80\x9cx\xe2\x80\x9d", false}, /* as Windows writes it */
    {"gb2312", "\x81\x30\x81\x30", "\xc2\x80", false},               /* GB18030's alone */
    {"euc-kr", "\xb0\xa1\x81\x41", "\xea\xb0\x80\xea\xb0\x82", false},
    {"koi8-ru", "\xc6", "\xd1\x84", false},
    {"ISO-8859-15", "\xa4", "\xe2\x82\xac", false},
    {"windows-1252", "\x93x\x94", "\xe2\x80\x9cx\xe2\x80\x9d", false},
    {"koi8-r", "\xc1", "\xd0\xb0", false},
    {"shift_jis", "\x93\xfa\x96{", "\xe6\x97\xa5\xe6\x9c\xac", false},
    {"iso-2022-jp", "\x1b$BF|K\\\x1b(B.", "\xe6\x97\xa5\xe6\x9c\xac.", false},
    {"gb18030", "\x94\x39\xfc\x36", "\xf0\x9f\x98\x80", false},
    {"gb2312", "\xd6\xd0", "\xe4\xb8\xad", false},
    {"utf-7", "+2D3eAA-", "\xf0\x9f\x98\x80", false},
    {"big5", "\xa4\xa4", "\xe4\xb8\xad", false},
};

static void test_rows(void)
{
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        for (size_t piece = 1; piece < 12; piece += 10) {
            size_t n = strlen(rows[i].from);
            struct converter *c;

            buf_reset(&b);
            CU_ASSERT_EQUAL_FATAL(converter_new(rows[i].charset, &c), 0);
            for (size_t at = 0; at < n; at += piece)
                converter_feed(c, rows[i].from + at, n - at < piece ? n - at : piece, &b);
            converter_finish(c, &b);
            CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].to);
            CU_ASSERT_EQUAL(converter_had_errors(c), rows[i].errors);
            converter_free(&c);
        }
    buf_free(&b);
}

static void test_names(void)
{
    static const char *const unknown[] = {"x-nonesuch", "utf-16,version=1", "../../etc", "a b"};
    struct converter *c;
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
        CU_ASSERT(!charset_is_known(unknown[i]));
        CU_ASSERT_EQUAL(converter_new(unknown[i], &c), ERR_UNSUPPORTED);
        CU_ASSERT_PTR_NULL(c);
        CU_ASSERT_EQUAL(charset_to_utf8(unknown[i], "x", 1, &b), ERR_UNSUPPORTED);
    }
    CU_ASSERT(charset_is_known("") && charset_is_known("Latin1") && charset_is_known("EUC-KR"));
    CU_ASSERT_EQUAL(charset_to_utf8("utf-8", "\xff", 1, &b), ERR_SYNTAX);
    buf_free(&b);
}

/* Many more units than one buffer of the converter's, surrogate pairs across its end. */
static void test_long(void)
{
    struct buf from = BUF_INIT, to = BUF_INIT;

    buf_puts(&from, "x");
    for (int i = 0; i < 3000; i++)
        buf_append(&from, "\x94\x39\xfc\x36", 4);
    CU_ASSERT_EQUAL(charset_to_utf8("gb18030", from.data, from.len, &to), 0);
    CU_ASSERT_EQUAL(to.len, 1 + 3000 * 4);
    CU_ASSERT(str_is_utf8(to.data, to.len));
    buf_free(&from);
    buf_free(&to);
}

static const struct unit_case cases[] = {
    {"rows, in pieces", test_rows},
    {"names", test_names},
    {"long text", test_long},
    {NULL, NULL},
};

extern const struct unit_suite convert_suite;
const struct unit_suite convert_suite = {"convert", cases};
