#include "lib/stream/stream.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cunit/lib/stream/link.h"
#include "cunit/unit.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

static struct stream *pair(int *peer)
{
    int fds[2];

    BUG_ON(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0);
    *peer = fds[1];
    return stream_new(fds[0]);
}

static void say(int fd, const char *text)
{
    CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void test_descriptor(void)
{
    int peer;
    struct stream *s = pair(&peer);

    CU_ASSERT(fcntl(stream_fd(s), F_GETFL) & O_NONBLOCK);
    CU_ASSERT(fcntl(stream_fd(s), F_GETFD) & FD_CLOEXEC);
    CU_ASSERT_EQUAL(stream_fill(s), ERR_AGAIN);
    CU_ASSERT_EQUAL(stream_poll_events(s, true), POLLIN);
    CU_ASSERT_EQUAL(stream_poll_events(s, false), 0);
    stream_free(&s);
    CU_ASSERT_PTR_NULL(s);
    stream_free(&s);
    close(peer);
}

static void test_lines(void)
{
    static const struct {
        const char *input;
        size_t max;
        int r;
        const char *line;
        const char *rest;
    } rows[] = {
        {"abc\r\ndef", 100, 1, "abc", "def"},
        {"abc\n", 100, 1, "abc", ""},
        {"\r\n", 100, 1, "", ""},
        {"\n", 100, 1, "", ""},
        {"a\rb\r\n", 100, 1, "a\rb", ""},
        {"abc\r", 100, 0, NULL, "abc\r"},
        {"abcde", 5, 0, NULL, "abcde"},
        {"abcdef", 5, ERR_TOOBIG, NULL, "abcdef"},
        {"abc\r\n", 5, 1, "abc", ""},
        {"abcd\r\n", 5, ERR_TOOBIG, NULL, "abcd\r\n"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int peer, r = 0;
        struct stream *s = pair(&peer);
        const char *line = NULL, *rest;
        size_t n = 0, rest_n;

        for (const char *p = rows[i].input; *p != '\0'; p++) {
            CU_ASSERT_EQUAL(write(peer, p, 1), 1);
            CU_ASSERT_EQUAL(stream_fill(s), 1);
            if (r != 0)
                continue;
            r = stream_line(s, rows[i].max, &line, &n);
            if (r == 1)
                CU_ASSERT(n == strlen(rows[i].line) && memcmp(line, rows[i].line, n) == 0);
        }
        CU_ASSERT_EQUAL(r, rows[i].r);
        rest = stream_data(s, &rest_n);
        CU_ASSERT(rest_n == strlen(rows[i].rest) && memcmp(rest, rows[i].rest, rest_n) == 0);
        stream_free(&s);
        close(peer);
    }
}

static void test_input_bound(void)
{
    int peer, r;
    struct stream *s = pair(&peer);
    char block[8192];
    size_t n;

    memset(block, 'x', sizeof(block));
    do {
        ssize_t k = send(peer, block, sizeof(block), MSG_DONTWAIT);

        CU_ASSERT(k > 0);
        r = stream_fill(s);
    } while (r > 0);
    CU_ASSERT_EQUAL(r, ERR_TOOBIG);
    stream_data(s, &n);
    CU_ASSERT(n >= STREAM_IN_MAX && n < STREAM_IN_MAX + 16384);
    stream_consume(s, n);
    CU_ASSERT(stream_fill(s) > 0);
    stream_free(&s);
    close(peer);
}

static void test_eof_and_errors(void)
{
    int peer;
    struct stream *s = pair(&peer);
    const char *line;
    size_t n;

    say(peer, "bye\r\nhalf");
    close(peer);
    /* Output fails, input that came before can still be read. */
    stream_puts(s, "hello");
    CU_ASSERT_EQUAL(stream_flush(s), ERR_IO);
    CU_ASSERT_EQUAL(stream_flush(s), ERR_IO);
    CU_ASSERT_STRING_NOT_EQUAL(stream_error(s), "");
    stream_puts(s, "more");
    CU_ASSERT_EQUAL(stream_unsent(s), 0);
    CU_ASSERT_EQUAL(stream_poll_events(s, true), POLLIN);
    CU_ASSERT_EQUAL(stream_fill(s), 9);
    CU_ASSERT_EQUAL(stream_line(s, 100, &line, &n), 1);
    CU_ASSERT_EQUAL(stream_fill(s), ERR_EOF);
    CU_ASSERT_EQUAL(stream_fill(s), ERR_EOF);
    CU_ASSERT_EQUAL(stream_poll_events(s, true), 0);
    CU_ASSERT_EQUAL(stream_line(s, 100, &line, &n), 0);
    stream_data(s, &n);
    CU_ASSERT_EQUAL(n, 4);
    stream_free(&s);
}

static void test_output(void)
{
    int peer, r;
    struct stream *s = pair(&peer);
    char text[2000], got[4096];
    size_t sent = 0, received = 0;

    memset(text, 'y', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    stream_printf(s, "%s-%d-%s\r\n", "a", 5, text);
    CU_ASSERT_EQUAL(stream_unsent(s), 4 + 1999 + 2);
    CU_ASSERT_EQUAL(stream_flush(s), 0);
    CU_ASSERT_EQUAL(read(peer, got, sizeof(got)), 4 + 1999 + 2);
    CU_ASSERT(memcmp(got, "a-5-yyy", 7) == 0);
    while ((r = stream_flush(s)) == 0) { /* until the socket is full */
        stream_write(s, text, sizeof(text));
        sent += sizeof(text);
    }
    CU_ASSERT_EQUAL(r, ERR_AGAIN);
    CU_ASSERT_EQUAL(stream_poll_events(s, false), POLLOUT);
    CU_ASSERT(stream_park(s) > 0 && stream_park(s) == stream_unsent(s));
    while (received < sent) {
        ssize_t k = recv(peer, got, sizeof(got), MSG_DONTWAIT);

        stream_flush(s);
        CU_ASSERT_FATAL(k > 0 || stream_unsent(s) > 0);
        received += k > 0 ? (size_t)k : 0;
    }
    CU_ASSERT_EQUAL(received, sent);
    CU_ASSERT_EQUAL(stream_bytes_out(s), sent + 4 + 1999 + 2);
    stream_free(&s);
    close(peer);
}

static void test_write_file(void)
{
    int peer, fd = open("/proc/self/exe", O_RDONLY);
    struct stream *s = pair(&peer);
    char *all = xmalloc(100000), *got = xmalloc(100000);
    size_t received = 0;
    int64_t at = 7;

    CU_ASSERT_EQUAL(file_pread(fd, all, 100000, 7), 0);
    while (received < 100000) {
        ssize_t k;

        if (at < 100007) {
            int64_t n = stream_write_file(s, fd, at, 100007 - at);

            CU_ASSERT_FATAL(n >= 0 && n <= STREAM_OUT_HIGH + 16384);
            at += n;
        }
        stream_flush(s);
        k = recv(peer, got + received, 100000 - received, MSG_DONTWAIT);
        received += k > 0 ? (size_t)k : 0;
    }
    CU_ASSERT(memcmp(all, got, 100000) == 0);
    CU_ASSERT_EQUAL(stream_write_file(s, fd, (int64_t)1 << 40, 5), ERR_EOF);
    close(fd);
    close(peer);
    stream_free(&s);
    free(all);
    free(got);
}

static void test_waiting(void)
{
    int peer;
    struct stream *s = pair(&peer);
    const char *line;
    size_t n;
    int64_t began = clock_ms();

    CU_ASSERT_EQUAL(stream_fill_wait(s, clock_deadline(20)), ERR_TIMEOUT);
    CU_ASSERT(clock_ms() - began >= 19);
    say(peer, "one\r\ntw");
    CU_ASSERT_EQUAL(stream_line_wait(s, 100, clock_deadline(30000), &line, &n), 1);
    CU_ASSERT(n == 3 && memcmp(line, "one", 3) == 0);
    CU_ASSERT_EQUAL(stream_line_wait(s, 100, clock_deadline(10), &line, &n), ERR_TIMEOUT);
    say(peer, "o\n");
    CU_ASSERT_EQUAL(stream_line_wait(s, 100, clock_deadline(30000), &line, &n), 1);
    CU_ASSERT(n == 3 && memcmp(line, "two", 3) == 0);
    stream_puts(s, "x");
    CU_ASSERT_EQUAL(stream_flush_wait(s, clock_deadline(30000)), 0);
    CU_ASSERT_EQUAL(read(peer, &n, 1), 1);
    close(peer);
    CU_ASSERT_EQUAL(stream_line_wait(s, 100, clock_deadline(30000), &line, &n), ERR_EOF);
    stream_free(&s);
}

static void test_telemetry(void)
{
    char path[] = "/tmp/iatlas-telemetry-XXXXXX";
    struct buf file = BUF_INIT;
    struct link l;
    size_t n;
    char *marks;

    link_open(&l, 3);
    CU_ASSERT_EQUAL(link_layer(&l, LINK_TLS | LINK_DEFLATE), 0);
    stream_puts(l.server, "before\r\n");
    stream_set_telemetry(l.server, mkstemp(path));
    stream_puts(l.client, "a NOOP\r\n");
    link_settle(&l);
    stream_puts(l.server, "a OK ");
    stream_puts(l.server, "done\r\n");
    link_settle(&l);
    stream_puts(l.server, "* BYE\r\n");
    link_settle(&l);
    stream_set_telemetry(l.server, -1);
    stream_puts(l.server, "after\r\n");
    link_settle(&l);
    stream_data(l.client, &n);
    CU_ASSERT_EQUAL(n, 8 + 11 + 7 + 7);
    CU_ASSERT_EQUAL(file_read_all(path, 10000, &file), 0);
    marks = strstr(buf_cstr(&file), "<a NOOP\r\n>");
    CU_ASSERT_PTR_NOT_NULL_FATAL(marks);
    CU_ASSERT_EQUAL(file.data[0], '<');
    CU_ASSERT_PTR_NOT_NULL(strstr(marks, ">a OK done\r\n* BYE\r\n"));
    CU_ASSERT_PTR_NULL(strstr(buf_cstr(&file), "before"));
    CU_ASSERT_PTR_NULL(strstr(buf_cstr(&file), "after"));
    buf_free(&file);
    unlink(path);
    link_close(&l);
}

static const struct unit_case cases[] = {
    {"descriptor", test_descriptor},
    {"lines", test_lines},
    {"unread input is bounded", test_input_bound},
    {"end of file and errors", test_eof_and_errors},
    {"output", test_output},
    {"a file's range", test_write_file},
    {"waiting", test_waiting},
    {"telemetry", test_telemetry},
    {NULL, NULL},
};

extern const struct unit_suite stream_suite;
const struct unit_suite stream_suite = {"stream", cases};
