#include "lib/mupdate/wire.h"

#include <stdio.h>
#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

/* What the lines of a text are: `tag|word|arg|...;` each, !tag for a refused one, # for one that is too big, + for a
 * go-ahead. */
static void describe(const char *text, size_t len, size_t piece, struct buf *to)
{
    struct mupdate_parser *parser = mupdate_parser_new();
    const struct mupdate_line *line;
    size_t at = 0, used;

    while (at < len) {
        size_t n = len - at < piece ? len - at : piece;
        int r = mupdate_parser_feed(parser, text + at, n, &used, &line);

        at += used;
        if (mupdate_parser_go_ahead(parser))
            buf_puts(to, "+");
        if (r == ERR_TOOBIG) {
            buf_puts(to, "#");
            break;
        }
        if (r == 0)
            continue;
        buf_printf(to, "%s%s", r < 0 ? "!" : "", line->tag);
        if (r == 1)
            buf_printf(to, "|%s", line->word);
        for (size_t i = 0; r == 1 && i < line->count; i++)
            buf_printf(to, "|%s", line->args[i]);
        buf_putc(to, ';');
        CU_ASSERT(mupdate_parser_idle(parser));
    }
    mupdate_parser_free(&parser);
}

static void test_lines(void)
{
    static const struct {
        const char *text, *lines;
    } rows[] = {
        {"A01 NOOP\r\n", "A01|NOOP;"},
        {"A01 NOOP\nA02 LIST\r\n", "A01|NOOP;A02|LIST;"},
        {"F01 FIND \"user.rjs3\"\r\n", "F01|FIND|user.rjs3;"},
        {"X0 RESERVE {10+}\r\nuser.wire1 {15+}\r\nbe1.lab!default\r\n",
         "X0|RESERVE|user.wire1|be1.lab!default;"},
        {"X0 RESERVE {10}\r\nuser.wire1 \"b\"\r\n", "+X0|RESERVE|user.wire1|b;"},
        {"X ACTIVATE \"a\" \"\" {0+}\r\n\r\n", "X|ACTIVATE|a||;"},
        {"X FIND {4+}\r\na\r\nb\r\n", "X|FIND|a\r\nb;"},
        {"U UPDATE \"be1\" \"be2\"\r\n", "U|UPDATE|be1|be2;"},
        {"* AUTH \"PLAIN\" LOGIN\r\n", "*|AUTH|PLAIN|LOGIN;"},
        {"* PARTIAL-UPDATE\r\n", "*|PARTIAL-UPDATE;"},
        {"* OK MUPDATE \"h\" \"i\" \"v\" \"(master)\"\r\n", "*|OK|MUPDATE|h|i|v|(master);"},
        {"A AUTHENTICATE PLAIN {3+}\r\nabc\r\n", "A|AUTHENTICATE|PLAIN|abc;"},
        {"X FIND \"a\\\"b\\\\c\\d\"\r\n", "X|FIND|a\"b\\c\\d;"},
        {"\r\nA NOOP\r\n", "!*;A|NOOP;"},
        {"A\r\n", "!A;"},
        {" A NOOP\r\n", "!*;"},
        {"A FIND \"x\r\nB NOOP\r\n", "!A;B|NOOP;"},
        {"A FIND \"x\"y\r\nB NOOP\r\n", "!A;B|NOOP;"},
        {"A FIND {x}\r\nB NOOP\r\n", "!A;B|NOOP;"},
        {"A FIND {}\r\nB NOOP\r\n", "!A;B|NOOP;"},
        {"A FIND {+}\r\nB NOOP\r\n", "!A;B|NOOP;"},
        {"A FIND {1++}\r\nB NOOP\r\n", "!A;B|NOOP;"},
        {"A FIND {1+\r\nB NOOP\r\n", "!A;B|NOOP;"},
        {"A FIND {0}\r\n\r\nB FIND {0+}\r\n {00}\r\n\r\n", "+A|FIND|;+B|FIND||;"},
        {"A FIND {1+}x\r\nB NOOP\r\n", "!A;B|NOOP;"},
        {"A FIND x\"y\r\nB NOOP\r\n", "!A;B|NOOP;"},
        {"\"A\" FIND\r\nB NOOP\r\n", "!*;B|NOOP;"},
        {"A {1+}\r\n", "!A;"},
        {"A FIND {999999999+}\r\n", "#"},
        {"A FIND {99999999999999999999999+}\r\n", "#"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        for (size_t piece = 1; piece < 100; piece = piece < 7 ? piece + 1 : 100) {
            struct buf lines = BUF_INIT;

            describe(rows[i].text, strlen(rows[i].text), piece, &lines);
            CU_ASSERT_STRING_EQUAL(buf_cstr(&lines), rows[i].lines);
            buf_free(&lines);
        }
}

static void test_nul(void)
{
    static const char text[] = "A FIND {3+}\r\na\0b\r\nB FIND \"a\0b\"\r\nC FI\0ND\r\nD NOOP\r\n";
    struct buf lines = BUF_INIT;

    describe(text, sizeof(text) - 1, 1000, &lines);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&lines), "!A;!B;!C;D|NOOP;");
    buf_free(&lines);
}

static void test_bounds(void)
{
    struct buf text = BUF_INIT, lines = BUF_INIT;

    buf_puts(&text, "A UPDATE");
    for (unsigned i = 0; i < MUPDATE_ARGS_MAX; i++)
        buf_puts(&text, " \"h\"");
    describe(text.data, text.len, 100, &lines);
    CU_ASSERT_EQUAL(lines.len, 0); /* no end of line yet */
    buf_puts(&text, "\r\n");
    describe(text.data, text.len, 100, &lines);
    CU_ASSERT_EQUAL(lines.len, strlen("A|UPDATE;") + 2 * MUPDATE_ARGS_MAX);
    text.len -= 2;
    buf_puts(&text, " {3+}\r\nxyz\r\nB NOOP\r\n");
    buf_reset(&lines);
    describe(text.data, text.len, 100, &lines);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&lines), "!A;B|NOOP;");

    buf_reset(&text);
    buf_reset(&lines);
    for (unsigned i = 0; i < MUPDATE_ATOM_MAX + 1; i++)
        buf_putc(&text, 'A');
    buf_puts(&text, " NOOP\r\n");
    describe(text.data, text.len, 100, &lines);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&lines), "!*;");

    buf_reset(&text);
    buf_reset(&lines);
    buf_puts(&text, "A FIND \"");
    for (unsigned i = 0; i < MUPDATE_LINE_MAX + 10; i++)
        buf_putc(&text, 'x');
    describe(text.data, text.len, 1000, &lines);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&lines), "#");
    buf_free(&text);
    buf_free(&lines);
}

static void test_write(void)
{
    char longer[202];
    struct buf to = BUF_INIT;

    mupdate_put_line(&to, "X0", "ACTIVATE", "user.a", "be1!p", "fred\tlrs\t", NULL);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&to), "X0 ACTIVATE \"user.a\" \"be1!p\" \"fred\tlrs\t\"\r\n");
    buf_reset(&to);
    mupdate_put_line(&to, "*", "BAD", "a\"b", "\xc3\xa9", "x\\", "a\r\n", "", NULL);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&to),
                           "* BAD {3+}\r\na\"b {2+}\r\n\xc3\xa9 {2+}\r\nx\\ {3+}\r\na\r\n \"\"\r\n");
    buf_reset(&to);
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    mupdate_put_string(&to, longer);
    CU_ASSERT_EQUAL(strncmp(buf_cstr(&to), "{201+}\r\nxx", 10), 0);
    buf_reset(&to);
    mupdate_put_string(&to, longer + 1);
    CU_ASSERT_EQUAL(strncmp(buf_cstr(&to), "\"xx", 3), 0);
    buf_free(&to);
}

static const struct unit_case cases[] = {
    {"lines", test_lines}, {"NUL", test_nul}, {"bounds", test_bounds}, {"writing", test_write}, {NULL, NULL}};

extern const struct unit_suite wire_suite;
const struct unit_suite wire_suite = {"wire", cases};
