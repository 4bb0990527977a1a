#include "imap/managesieve/parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/stream/stream.h"

enum { LIMIT = 10 };

/* A command as text: a:atom s:string n:number, "-" for a dropped literal; "!why" behind it when it is not well-formed. */
static void show(const struct managesieve_command *c, struct buf *to)
{
    static const char kinds[] = "asn";

    for (unsigned i = 0; i < c->count && c->error == NULL; i++) {
        const struct managesieve_arg *arg = &c->args[i];

        buf_printf(to, "%s%c:", i > 0 ? " " : "", kinds[arg->kind]);
        if (arg->dropped)
            buf_printf(to, "-%" PRIu64, arg->number);
        else
            buf_append(to, managesieve_text(c, i), arg->len);
        if (arg->kind == MANAGESIEVE_NUMBER)
            buf_printf(to, "=%" PRIu64, arg->number);
        if (!arg->dropped && managesieve_text(c, i)[arg->len] != '\0')
            buf_puts(to, "<not terminated>");
    }
    if (c->error != NULL)
        buf_printf(to, "!%s", c->error);
    buf_putc(to, '\n');
}

/* Reads all commands there are.  The last result of managesieve_read(). */
static int read_all(struct stream *s, struct managesieve_command *c, struct buf *to)
{
    int r;

    while ((r = managesieve_read(c, s, LIMIT)) == 1) {
        show(c, to);
        managesieve_clear(c);
    }
    return r;
}

static int feed(const char *input, size_t piece, struct buf *to)
{
    struct managesieve_command c = {0};
    size_t n = strlen(input);
    int fds[2], r = 0;
    struct stream *s;

    BUG_ON(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0);
    s = stream_new(fds[0]);
    for (size_t at = 0; at < n && r == 0; at += piece) {
        size_t k = n - at < piece ? n - at : piece;

        BUG_ON(write(fds[1], input + at, k) != (ssize_t)k);
        stream_fill(s);
        r = read_all(s, &c, to);
    }
    managesieve_clear(&c);
    stream_free(&s);
    close(fds[1]);
    return r;
}

static void test_commands(void)
{
    static const struct {
        const char *input, *expected;
    } rows[] = {
        {"NOOP\r\n", "a:NOOP\n"},
        {"noop \r\nNOOP\n", "a:noop\na:NOOP\n"},
        {"NOOP \"a \\\"b\\\\\"\r\n", "a:NOOP s:a \"b\\\n"},
        {"HAVESPACE \"x\" 12\r\n", "a:HAVESPACE s:x n:12=12\n"},
        {"HAVESPACE \"x\" 4294967295\r\n", "a:HAVESPACE s:x n:4294967295=4294967295\n"},
        {"HAVESPACE \"x\" 4294967296\r\n", "!Bad number\n"},
        {"PUTSCRIPT {1+}\r\nx {4+}\r\na\r\nb\r\n", "a:PUTSCRIPT s:x s:a\r\nb\n"},
        {"PUTSCRIPT {1}\r\nx {0}\r\n\r\nNOOP\r\n", "a:PUTSCRIPT s:x s:\na:NOOP\n"},
        {"PUTSCRIPT \"x\" {11+}\r\n12345678901\r\nNOOP\r\n", "a:PUTSCRIPT s:x s:-11\na:NOOP\n"},
        {"PUTSCRIPT \"x\" {10+}\r\n1234567890\r\n", "a:PUTSCRIPT s:x s:1234567890\n"},
        {"\"only\"\r\n", "s:only\n"},
        {"\r\n", "!Syntax error\n"},
        {" NOOP\r\n", "!Syntax error\n"},
        {"NOOP\t\"x\"\r\n", "!Syntax error\n"},
        {"NOOP  \"x\"\r\n", "!Syntax error\n"},
        {"NOOP \"x\"\"y\"\r\n", "!Syntax error\n"},
        {"NOOP \"x\r\n", "!A quoted string that does not end\n"},
        {"NOOP \"x\\\r\n", "!A quoted string that does not end\n"},
        {"NOOP \"x\ry\"\r\n", "!A quoted string with a byte that it may not have\n"},
        {"NOOP {1+} \"x\"\r\n", "!Bad literal\n"},
        {"NOOP {x}\r\nNOOP\r\n", "!Bad literal\na:NOOP\n"},
        {"NOOP {4294967296+}\r\nNOOP\r\n", "!Bad literal\na:NOOP\n"},
        {"A B C D E\r\n", "!Too many arguments\n"},
        {"* {3+}\r\n\"\r\n\r\nNOOP\r\n", "!Syntax error\na:NOOP\n"},
        {"A B C D {3+}\r\nE\r\n\r\nNOOP\r\n", "!Too many arguments\na:NOOP\n"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        for (size_t piece = 1; piece <= 64; piece += 63) {
            struct buf got = BUF_INIT;

            CU_ASSERT_EQUAL(feed(rows[i].input, piece, &got), 0);
            CU_ASSERT_STRING_EQUAL(buf_cstr(&got), rows[i].expected);
            if (strcmp(buf_cstr(&got), rows[i].expected) != 0)
                printf("%s by %zu: %s", rows[i].input, piece, buf_cstr(&got));
            buf_free(&got);
        }
    }
}

/* A command cut anywhere is not complete, and nothing leaks. */
static void test_truncated(void)
{
    static const char input[] = "PUTSCRIPT \"a\" {4+}\r\nabcd \"x\\\"y\" 77\r\n";
    char text[sizeof(input)];

    for (size_t n = 1; n < sizeof(input) - 1; n++) {
        struct buf got = BUF_INIT;

        memcpy(text, input, n);
        text[n] = '\0';
        CU_ASSERT_EQUAL(feed(text, n, &got), 0);
        CU_ASSERT_EQUAL(got.len, 0);
        buf_free(&got);
    }
}

static void test_long_line(void)
{
    struct buf text = BUF_INIT, got = BUF_INIT;

    while (text.len <= MANAGESIEVE_LINE_MAX)
        buf_puts(&text, "0123456789abcdef");
    CU_ASSERT_EQUAL(feed(buf_cstr(&text), 1024, &got), ERR_TOOBIG);
    buf_free(&text);
    buf_free(&got);
}

static const struct unit_case cases[] = {
    {"commands", test_commands},
    {"truncated", test_truncated},
    {"a line without end", test_long_line},
    {NULL, NULL},
};

const struct unit_suite parse_suite = {"imap/managesieve/parse", cases};
