#include "imap/session/input.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/stream/stream.h"

/* A stream whose other end the test holds. */
struct wire {
    struct stream *stream;
    int peer;
    struct input in;
    struct input_limits limits;
};

static void wire_open(struct wire *w)
{
    int fds[2];

    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    w->stream = stream_new(fds[0]);
    w->peer = fds[1];
    input_init(&w->in);
    w->limits = (struct input_limits){64, 256, 40};
}

static void wire_close(struct wire *w)
{
    input_reset(&w->in);
    stream_free(&w->stream);
    close(w->peer);
}

/* COLLECT, but: "S" in front of the command streams its second literal, "R" refuses. */
static enum input_literal decide(void *context, const char *text, size_t len,
                                 const struct imap_literal *literal)
{
    (void)context;
    (void)literal;
    if (len > 0 && text[0] == 'R')
        return INPUT_REFUSE;
    return len > 2 && text[0] == 'S' ? INPUT_STREAM : INPUT_COLLECT;
}

static enum input_verdict collect(struct wire *w)
{
    return input_collect(&w->in, w->stream, &w->limits, decide, NULL);
}

/* Sends the text in pieces of `step` bytes and writes what comes of it as letters into out: C(text) for a
 * command, B for what is refused, S(text) for a sink whose literal is then skipped. */
static void run(const char *text, size_t n, size_t step, struct buf *out)
{
    struct wire w;

    wire_open(&w);
    for (size_t i = 0; i < n; i += step) {
        enum input_verdict v;

        CU_ASSERT(write(w.peer, text + i, n - i < step ? n - i : step) > 0);
        while (stream_fill(w.stream) > 0)
            ;
        while ((v = collect(&w)) != INPUT_MORE) {
            if (v == INPUT_BAD) {
                buf_puts(out, "B;");
                input_reset(&w.in);
            } else if (v == INPUT_SINK) {
                buf_printf(out, "S(%s)%llu;", buf_cstr(&w.in.text), (unsigned long long)w.in.literal.size);
                input_skip(&w.in, w.in.literal.size);
            } else {
                buf_printf(out, "C(%s);", buf_cstr(&w.in.text));
                input_reset(&w.in);
            }
        }
    }
    wire_close(&w);
}

#define FORTY "0123456789012345678901234567890123456789"

static void test_table(void)
{
    static const char big[] =
        "a {65+}\r\n"
        "01234567890123456789012345678901234567890123456789012345678901234\r\nb NOOP\r\n";
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"a NOOP\r\n", "C(a NOOP);"},
        {"a NOOP\n", "C(a NOOP);"},
        {"\r\n", "C();"},
        {"a NOOP\r\nb NOOP\r\n", "C(a NOOP);C(b NOOP);"},
        {"a {3+}\r\nxyz\r\n", "C(a {3+}\r\nxyz);"},
        {"a {3}\r\nxyz z\r\n", "C(a {3}\r\nxyz z);"},
        {"a {0+}\r\n\r\n", "C(a {0+}\r\n);"},
        /* a bare LF ends a line; whoever passes the command on finds literals by CRLF */
        {"a {6+}\nxy\r\nz {1+}\n\n\n", "C(a {6+}\r\nxy\r\nz {1+}\r\n\n);"},
        {"a {2+}\r\n\r\n {1+}\r\nx\r\n", "C(a {2+}\r\n\r\n {1+}\r\nx);"},
        /* bytes that look like an end are part of the literal */
        {"a {8+}\r\nb NOOP\r\n\r\nc NOOP\r\n", "C(a {8+}\r\nb NOOP\r\n);C(c NOOP);"},
        {big, "B;C(b NOOP);"},
        {"a {99999999999999999999}\r\nb NOOP\r\n", "B;C(b NOOP);"},
        {"R {3+}\r\nxyz {2+}\r\nab\r\nb NOOP\r\n", "B;C(b NOOP);"},
        /* a synchronising literal that is refused is never sent */
        {"R {3}\r\nb NOOP\r\n", "B;C(b NOOP);"},
        {"a {65}\r\nb NOOP\r\n", "B;C(b NOOP);"},
        {"S x {4+}\r\nab\r\n\r\nb NOOP\r\n", "S(S x )4;C(b NOOP);"},
        {"S x {4+}\r\nabcd {3+}\r\nxyz\r\nb NOOP\r\n", "S(S x )4;C(b NOOP);"},
        {"S x {0+}\r\n\r\nb NOOP\r\n", "S(S x )0;C(b NOOP);"},
        /* more than 40 bytes must be asked for */
        {"a {40+}\r\n" FORTY "\r\nb NOOP\r\n", "C(a {40+}\r\n" FORTY ");C(b NOOP);"},
        {"a {41+}\r\n" FORTY "x\r\nb NOOP\r\n", "B;C(b NOOP);"},
        {"a {41}\r\n" FORTY "x\r\nb NOOP\r\n", "C(a {41}\r\n" FORTY "x);C(b NOOP);"},
        {"S x {41+}\r\n" FORTY "x\r\nb NOOP\r\n", "B;C(b NOOP);"},
    };
    static const size_t steps[] = {1, 2, 3, 7, 100000};
    struct buf out = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        for (size_t k = 0; k < ARRAY_SIZE(steps); k++) {
            buf_reset(&out);
            run(rows[i].in, strlen(rows[i].in), steps[k], &out);
            CU_ASSERT_STRING_EQUAL(buf_cstr(&out), rows[i].out);
        }
    }
    buf_free(&out);
}

/* A command longer than allowed is dropped to its end, however long; what follows is served. */
static void test_too_long(void)
{
    struct buf text = BUF_INIT, out = BUF_INIT;

    for (int i = 0; i < 20000; i++)
        buf_putc(&text, 'x');
    buf_puts(&text, " {5+}\r\nabcde\r\nb NOOP\r\n");
    run(text.data, text.len, 1000, &out);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&out), "B;C(b NOOP);");
    buf_reset(&out);
    run(text.data, text.len, text.len, &out);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&out), "B;C(b NOOP);");
    buf_free(&text);
    buf_free(&out);
}

/* What is dropped is refused by its own tag. */
static void test_head_of_too_long(void)
{
    struct buf text = BUF_INIT;
    struct wire w;

    wire_open(&w);
    buf_puts(&text, "tag STATUS ");
    for (int i = 0; i < 300; i++)
        buf_putc(&text, 'x');
    buf_puts(&text, "\r\n");
    CU_ASSERT(write(w.peer, text.data, text.len) == (ssize_t)text.len);
    while (stream_fill(w.stream) > 0)
        ;
    CU_ASSERT_EQUAL(collect(&w), INPUT_BAD);
    CU_ASSERT(w.in.text.len >= 12 && w.in.text.len < 300);
    CU_ASSERT_NSTRING_EQUAL(buf_cstr(&w.in.text), "tag STATUS x", 12);
    wire_close(&w);
    buf_free(&text);
}

/* "+" is said once for each synchronising literal, never for LITERAL+. */
static void test_go_ahead(void)
{
    struct wire w;
    char got[100];
    ssize_t n;

    wire_open(&w);
    CU_ASSERT(write(w.peer, "a {1}\r\n", 7) == 7);
    while (stream_fill(w.stream) > 0)
        ;
    CU_ASSERT_EQUAL(collect(&w), INPUT_MORE);
    CU_ASSERT_EQUAL(collect(&w), INPUT_MORE);
    stream_flush(w.stream);
    n = read(w.peer, got, sizeof(got));
    CU_ASSERT_EQUAL(n, 12);
    CU_ASSERT_NSTRING_EQUAL(got, "+ go ahead\r\n", 12);
    CU_ASSERT(write(w.peer, "x {1+}\r\ny\r\n", 11) == 11);
    while (stream_fill(w.stream) > 0)
        ;
    CU_ASSERT_EQUAL(collect(&w), INPUT_COMMAND);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&w.in.text), "a {1}\r\nx {1+}\r\ny");
    CU_ASSERT_EQUAL(stream_unsent(w.stream), 0);
    wire_close(&w);
}

/* Nothing is held between commands: a session that waits costs no command memory. */
static void test_memory(void)
{
    struct wire w;

    wire_open(&w);
    CU_ASSERT(write(w.peer, "a NO", 4) == 4);
    while (stream_fill(w.stream) > 0)
        ;
    CU_ASSERT_EQUAL(collect(&w), INPUT_MORE);
    CU_ASSERT_PTR_NULL(w.in.text.data);
    wire_close(&w);
}

static const struct unit_case cases[] = {
    {"table", test_table},       {"too long", test_too_long}, {"head of too long", test_head_of_too_long},
    {"go ahead", test_go_ahead}, {"memory", test_memory},     {NULL, NULL}};

extern const struct unit_suite input_suite;
const struct unit_suite input_suite = {"input", cases};
