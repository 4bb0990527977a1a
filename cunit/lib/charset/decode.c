#include "lib/charset/decode.h"

#include <string.h>

#include "cunit/unit.h"
#include "lib/base/mem.h"

static const struct {
    enum decode_encoding encoding;
    const char *from, *to;
    bool clean;
} rows[] = {
    {DECODE_IDENTITY, "a=20b\r\n", "a=20b\r\n", true},
    {DECODE_UNKNOWN, "a", "a", false},
    {DECODE_BASE64, "", "", true},
    {DECODE_BASE64, "Zm9vYmFy", "foobar", true},
    {DECODE_BASE64, "Zm9v\r\nYmE=\r\n", "fooba", true},
    {DECODE_BASE64, "Zg==Zm8=", "ffo", true},
    {DECODE_BASE64, "Zm9vYg", "foob", true},
    {DECODE_BASE64, "Zm9vY", "foo", false},
    {DECODE_BASE64, "Zm!9v", "foo", false},
    {DECODE_BASE64, "====", "", true},
    {DECODE_QUOTED_PRINTABLE, "caf=C3=a9 =3D\r\n", "caf\xc3\xa9 =\r\n", true},
    {DECODE_QUOTED_PRINTABLE, "soft=\r\nbreak", "softbreak", true},
    {DECODE_QUOTED_PRINTABLE, "soft= \t\r\nbreak", "softbreak", true},
    {DECODE_QUOTED_PRINTABLE, "soft=\nbreak", "softbreak", true},
    {DECODE_QUOTED_PRINTABLE, "trailing \t \r\nx \n", "trailing\r\nx\n", true},
    {DECODE_QUOTED_PRINTABLE, "in  side", "in  side", true},
    {DECODE_QUOTED_PRINTABLE, "=20\r\n", " \r\n", true},
    {DECODE_QUOTED_PRINTABLE, "bad =ZZ =4", "bad =ZZ =4", true},
    {DECODE_QUOTED_PRINTABLE, "a=b=3D==3D", "a=b===", true},
    {DECODE_QUOTED_PRINTABLE, "= x", "= x", true},
    {DECODE_QUOTED_PRINTABLE, "end=", "end", true},
    {DECODE_QUOTED_PRINTABLE, "end  ", "end", true},
    {DECODE_UUENCODE, "begin 644 x\r\n#0V%T\r\n`\r\nend\r\n", "Cat", true},
    {DECODE_UUENCODE, "text\r\nbegin 644 x y\n#0V%T\n#0V%T\n \nend", "CatCat", true},
    {DECODE_UUENCODE, "begin 644 x\n$0V%T80\n\nend\nmore\n", "Cata", true}, /* blanks were cut off */
    {DECODE_UUENCODE, "begin 644 x\n!0\n`\nend\n", "@", true},
    {DECODE_UUENCODE, "begin 644 x\n#0V%T\n", "Cat", false},
    {DECODE_UUENCODE, "begin 644 x\n#0V%~\n`\nend\n", "Ca^", false},
    {DECODE_UUENCODE, "begin-base64 644 x\nQ2F0\n====\n", "", false},
    {DECODE_UUENCODE, "", "", false},
};

static void decode(size_t row, size_t piece, struct buf *to, bool *clean)
{
    size_t n = strlen(rows[row].from);
    struct decoder d;

    buf_reset(to);
    decoder_init(&d, rows[row].encoding);
    for (size_t at = 0; at < n; at += piece)
        decoder_feed(&d, rows[row].from + at, n - at < piece ? n - at : piece, to);
    decoder_finish(&d, to, clean);
}

static void test_rows(void)
{
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        for (size_t piece = 1; piece < 12; piece += 5) {
            bool clean;

            decode(i, piece, &b, &clean);
            CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].to);
            CU_ASSERT_EQUAL(clean, rows[i].clean);
        }
    buf_free(&b);
}

/* More blanks than a decoder keeps, and zero bytes. */
static void test_long(void)
{
    struct buf from = BUF_INIT, to = BUF_INIT;
    struct decoder d;

    buf_printf(&from, "x%*sy", 300, "");
    decoder_init(&d, DECODE_QUOTED_PRINTABLE);
    decoder_feed(&d, from.data, from.len, &to);
    decoder_finish(&d, &to, NULL);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&to), from.data);
    buf_reset(&to);
    decoder_init(&d, DECODE_BASE64);
    decoder_feed(&d, "AAAA", 4, &to);
    decoder_finish(&d, &to, NULL);
    CU_ASSERT(to.len == 3 && memcmp(to.data, "\0\0\0", 3) == 0);
    buf_free(&from);
    buf_free(&to);
}

static void test_names(void)
{
    CU_ASSERT_EQUAL(decode_by_name("BASE64"), DECODE_BASE64);
    CU_ASSERT_EQUAL(decode_by_name("Quoted-Printable"), DECODE_QUOTED_PRINTABLE);
    CU_ASSERT_EQUAL(decode_by_name(NULL), DECODE_IDENTITY);
    CU_ASSERT_EQUAL(decode_by_name("8bit"), DECODE_IDENTITY);
    CU_ASSERT_EQUAL(decode_by_name("uuencode"), DECODE_UNKNOWN);
}

static const struct unit_case cases[] = {
    {"rows, in pieces", test_rows},
    {"long runs", test_long},
    {"names", test_names},
    {NULL, NULL},
};

extern const struct unit_suite decode_suite;
const struct unit_suite decode_suite = {"decode", cases};
