#include "imap/lmtp/engine/data.h"

#include <string.h>

#include "cunit/unit.h"
#include "lib/base/mem.h"

#define S(s) s, sizeof(s) - 1

static const struct {
    const char *in;
    size_t n;
    const char *out; /* NULL: no end */
    const char *rest;
    bool has_nul;
} rows[] = {
    {S(".\r\n"), "", "", false},
    {S("a\r\n.\r\nQUIT\r\n"), "a\r\n", "QUIT\r\n", false},
    {S("..\r\n..a\r\n.b\r\n.\r\n"), ".\r\n.a\r\nb\r\n", "", false},
    {S("\r\n\r\n.\r\n"), "\r\n\r\n", "", false},
    /* bare line ends are made CRLF, and end nothing */
    {S("a\n.\nb\r\n.\r\n"), "a\r\n.\r\nb\r\n", "", false},
    {S("a\n.\r\nb\r\n.\r\n"), "a\r\n.\r\nb\r\n", "", false},
    {S("a\r\n.\nb\r\n.\r\n"), "a\r\n\r\nb\r\n", "", false},
    {S("a\r.\r\rb\r\n.\r\n"), "a.b\r\n", "", false},
    {S("a\r\r\n.\r\n"), "a\r\n", "", false},
    {S("a\r\n.\r\r\n.\r\n"), "a\r\n\r\n", "", false},
    {S("a\r\n.\rb\r\n.\r\n"), "a\r\nb\r\n", "", false},
    {S("a\0b\r\n.\0\r\n.\r\n"), "ab\r\n\r\n", "", true},
    {S(" .\r\n.\r\n"), " .\r\n", "", false},
    {S("a\r\n."), NULL, "", false},
    {S("a\r\n.\r"), NULL, "", false},
    {S("a.\r\n"), NULL, "", false},
    {S(""), NULL, "", false},
};

static void expect(size_t i, const struct buf *out, bool end, size_t used, bool has_nul)
{
    CU_ASSERT_EQUAL(end, rows[i].out != NULL);
    CU_ASSERT_EQUAL(has_nul, rows[i].has_nul);
    if (!end)
        return;
    CU_ASSERT_STRING_EQUAL(buf_cstr(out), rows[i].out);
    CU_ASSERT_EQUAL(rows[i].n - used, strlen(rows[i].rest));
}

static void test_whole(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct lmtpd_data d;
        struct buf out = BUF_INIT;
        size_t used;
        bool end;

        lmtpd_data_begin(&d);
        end = lmtpd_data_feed(&d, rows[i].in, rows[i].n, &used, &out);
        expect(i, &out, end, used, d.has_nul);
        buf_free(&out);
    }
}

static void test_byte_by_byte(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct lmtpd_data d;
        struct buf out = BUF_INIT;
        size_t used, at = 0;
        bool end = false;

        lmtpd_data_begin(&d);
        while (at < rows[i].n && !end) {
            end = lmtpd_data_feed(&d, rows[i].in + at, 1, &used, &out);
            CU_ASSERT_EQUAL(used, 1);
            at++;
        }
        expect(i, &out, end, at, d.has_nul);
        buf_free(&out);
    }
}

/* What is counted has no dots of its own; line ends and NULs are treated the same, wherever it is cut. */
static void test_text(void)
{
    static const char in[] = ".\r\n..a\nb\r\r\n.\nc\0d\re.\r", out[] = ".\r\n..a\r\nb\r\n.\r\ncde.";

    for (size_t cut = 0; cut < sizeof(in); cut++) {
        struct lmtpd_data d;
        struct buf to = BUF_INIT;

        lmtpd_data_begin(&d);
        lmtpd_data_text(&d, in, cut, &to);
        lmtpd_data_text(&d, in + cut, sizeof(in) - 1 - cut, &to);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&to), out);
        CU_ASSERT(d.has_nul);
        buf_free(&to);
    }
}

static const struct unit_case cases[] = {
    {"whole", test_whole}, {"byte by byte", test_byte_by_byte}, {"counted text", test_text}, {NULL, NULL}};
const struct unit_suite data_suite = {"imap/lmtp/data", cases};
