/* The layers of a stream and their combinations: fed byte by byte, parked anywhere, cut. */
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "cunit/lib/stream/link.h"
#include "cunit/unit.h"
#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

/* Takes all that is readable. */
static void collect(struct stream *s, struct buf *to)
{
    size_t n;
    const char *data;

    do {
        data = stream_data(s, &n);
        buf_append(to, data, n);
        stream_consume(s, n);
    } while (stream_fill(s) > 0);
    data = stream_data(s, &n);
    buf_append(to, data, n);
    stream_consume(s, n);
}

static void talk(unsigned layers, size_t step, bool park)
{
    struct buf sent = BUF_INIT, got = BUF_INIT, back = BUF_INIT;
    struct link l;

    link_open(&l, step);
    l.park = park;
    CU_ASSERT_EQUAL_FATAL(link_layer(&l, layers), 0);
    for (int i = 0; i < 60; i++) {
        char line[600];
        int n = snprintf(line, sizeof(line), "t%d STORE %0*d (\\Seen)\r\n", i, i * 7 % 500, i);

        buf_append(&sent, line, (size_t)n);
        stream_write(l.client, line, (size_t)n);
        stream_flush(l.client);
        link_round(&l);
        collect(l.server, &got);
        stream_write(l.server, line, (size_t)n);
        stream_flush(l.server);
    }
    do {
        stream_flush(l.client);
        stream_flush(l.server);
        collect(l.server, &got);
        collect(l.client, &back);
    } while (link_round(&l));
    collect(l.server, &got);
    collect(l.client, &back);
    CU_ASSERT_EQUAL(got.len, sent.len);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&got), buf_cstr(&sent));
    CU_ASSERT_STRING_EQUAL(buf_cstr(&back), buf_cstr(&sent));
    CU_ASSERT_EQUAL(stream_unsent(l.client) + stream_unsent(l.server), 0);
    CU_ASSERT(!stream_has_input(l.client) && !stream_has_input(l.server));
    link_close(&l);
    buf_free(&sent);
    buf_free(&got);
    buf_free(&back);
}

static void test_talk(void)
{
    static const size_t steps[] = {1, 2, 5, 997, 0};

    for (int i = 0; i < LINK_COMBINATIONS; i++) {
        for (size_t k = 0; k < ARRAY_SIZE(steps); k++) {
            talk(link_layers[i].layers, steps[k], false);
            if (steps[k] != 2)
                talk(link_layers[i].layers, steps[k], true);
        }
    }
}

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

/* Data that a layer holds is told, though the descriptor is silent. */
static void test_has_input(void)
{
    char *big = xcalloc(1, 400000), rest[16384] = "x";

    for (int i = 0; i < LINK_COMBINATIONS; i++) {
        struct link l;
        size_t n, total = 0;
        int silent = 0;

        link_open(&l, 0);
        CU_ASSERT_EQUAL_FATAL(link_layer(&l, link_layers[i].layers), 0);
        CU_ASSERT(!stream_has_input(l.server));
        stream_puts(l.client, "half a line");
        stream_flush(l.client);
        link_round(&l);
        CU_ASSERT_EQUAL(stream_fill(l.server), 11);
        CU_ASSERT(!stream_has_input(l.server));
        stream_write(l.client, link_layers[i].layers & LINK_DEFLATE ? big : rest,
                     link_layers[i].layers & LINK_DEFLATE ? 400000 : sizeof(rest));
        while (stream_flush(l.client) == ERR_AGAIN)
            link_round(&l);
        link_round(&l);
        while (readable(stream_fd(l.server)) || stream_has_input(l.server)) {
            silent += !readable(stream_fd(l.server));
            CU_ASSERT(stream_fill(l.server) > 0);
            stream_data(l.server, &n);
            total += n;
            stream_consume(l.server, n);
        }
        CU_ASSERT_EQUAL(total, 11 + (link_layers[i].layers & LINK_DEFLATE ? 400000 : sizeof(rest)));
        if (link_layers[i].layers & (LINK_TLS | LINK_DEFLATE))
            CU_ASSERT(silent > 0);
        CU_ASSERT_EQUAL(stream_fill(l.server), ERR_AGAIN);
        link_close(&l);
    }
    free(big);
}

/* 40 MiB of zeros in 40 KiB: unread input stays bounded, whoever asks. */
static void test_bomb(void)
{
    struct link l;
    char *zeros = xcalloc(1, 1 << 20);
    size_t n;
    int r;

    link_open(&l, 0);
    CU_ASSERT_EQUAL(link_layer(&l, LINK_DEFLATE), 0);
    for (int i = 0; i < 40; i++)
        stream_write(l.client, zeros, 1 << 20);
    stream_flush(l.client);
    link_round(&l);
    while ((r = stream_fill(l.server)) > 0)
        ;
    CU_ASSERT_EQUAL(r, ERR_TOOBIG);
    stream_data(l.server, &n);
    CU_ASSERT(n < STREAM_IN_MAX + 2 * 16384);
    link_close(&l);
    free(zeros);
}

/* What was read before the layer began belongs to it. */
static void test_begin_with_input(void)
{
    struct link l;
    const char *line;
    size_t n;

    for (unsigned layers = LINK_SASL; layers <= LINK_DEFLATE; layers *= 2) {
        struct sasl_layer layer;

        link_open(&l, 0);
        stream_puts(l.client, "a COMPRESS DEFLATE\r\n");
        l.sasl[0] = xcalloc(1, sizeof(*l.sasl[0]));
        l.sasl[1] = xcalloc(1, sizeof(*l.sasl[1]));
        fake_sasl_layer(l.sasl[0], &layer);
        if (layers == LINK_SASL)
            stream_sasl_begin(l.client, &layer);
        else
            CU_ASSERT_EQUAL(stream_deflate_begin(l.client), 0);
        stream_puts(l.client, "b NOOP\r\n");
        CU_ASSERT_EQUAL(stream_flush(l.client), 0);
        link_round(&l);
        CU_ASSERT(stream_fill(l.server) > 0);
        CU_ASSERT_EQUAL(stream_line(l.server, 1000, &line, &n), 1);
        fake_sasl_layer(l.sasl[1], &layer);
        if (layers == LINK_SASL)
            stream_sasl_begin(l.server, &layer);
        else
            CU_ASSERT_EQUAL(stream_deflate_begin(l.server), 0);
        if (stream_has_input(l.server))
            CU_ASSERT(stream_fill(l.server) > 0);
        CU_ASSERT_EQUAL(stream_line(l.server, 1000, &line, &n), 1);
        CU_ASSERT(n == 6 && memcmp(line, "b NOOP", 6) == 0);
        CU_ASSERT_EQUAL(stream_tls_begin(l.server, NULL, true, NULL), ERR_INVALID);
        link_close(&l);
    }
    link_open(&l, 0);
    CU_ASSERT_EQUAL(link_layer(&l, LINK_DEFLATE), 0);
    CU_ASSERT_EQUAL(stream_deflate_begin(l.client), ERR_INVALID);
    link_close(&l);
}

/* Reads a line at the far end, a few bytes at a time. */
static void expect_line(struct link *l, const char *text)
{
    const char *line = "";
    size_t n = 0;
    int r;

    while ((r = stream_line(l->server, 1000, &line, &n)) == 0)
        if (stream_fill(l->server) <= 0 && !link_round(l))
            break;
    CU_ASSERT_EQUAL_FATAL(r, 1);
    CU_ASSERT(n == strlen(text) && memcmp(line, text, n) == 0);
}

/* Layers end behind a line, however its bytes come, and may begin anew; what comes then is plain. */
static void test_end(void)
{
    for (int i = 0; i < LINK_COMBINATIONS; i++) {
        for (size_t step = 1; step < 30; step += 4) {
            struct link l;
            int r;

            link_open(&l, step);
            CU_ASSERT_EQUAL_FATAL(link_layer(&l, link_layers[i].layers), 0);
            stream_puts(l.client, "UNAUTHENTICATE\r\n");
            if (step % 8 == 1) /* parked, and the deflater with it */
                stream_park(l.client);
            CU_ASSERT_EQUAL(stream_layers_end(l.client), 0);
            CU_ASSERT(!stream_is_deflate(l.client) && !stream_is_sasl(l.client));
            while (stream_flush(l.client) == ERR_AGAIN)
                link_round(&l);
            expect_line(&l, "UNAUTHENTICATE");
            while ((r = stream_layers_end(l.server)) == ERR_AGAIN && link_round(&l))
                ;
            CU_ASSERT_EQUAL(r, 0);
            CU_ASSERT_EQUAL(stream_layers_end(l.server), 0);
            stream_puts(l.client, "plain\r\n");
            stream_flush(l.client);
            expect_line(&l, "plain");
            CU_ASSERT_EQUAL(stream_deflate_begin(l.client), 0);
            CU_ASSERT_EQUAL(stream_deflate_begin(l.server), 0);
            stream_puts(l.client, "again\r\n");
            stream_flush(l.client);
            expect_line(&l, "again");
            link_close(&l);
        }
    }
}

/* More under a layer than what ends it: it does not end. */
static void test_end_too_late(void)
{
    struct link l;

    link_open(&l, 0);
    CU_ASSERT_EQUAL(link_layer(&l, LINK_DEFLATE), 0);
    stream_puts(l.client, "UNAUTHENTICATE\r\nNOOP\r\n");
    stream_flush(l.client);
    expect_line(&l, "UNAUTHENTICATE");
    CU_ASSERT_EQUAL(stream_layers_end(l.server), ERR_PROTOCOL);
    link_close(&l);
}

/* A peer that sends nonsense, or stops anywhere, is an error or an end, once and for all. */
static void test_garbage(void)
{
    char noise[300];

    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (char)(0xff - i * 37);
    for (int i = 1; i < LINK_COMBINATIONS; i++) {
        struct link l;
        int r;

        link_open(&l, 0);
        CU_ASSERT_EQUAL_FATAL(link_layer(&l, link_layers[i].layers), 0);
        CU_ASSERT_EQUAL(send(l.wire_server, noise, sizeof(noise), 0), sizeof(noise));
        while ((r = stream_fill(l.server)) > 0)
            ;
        CU_ASSERT_EQUAL(r, link_layers[i].layers & LINK_TLS ? ERR_TLS : ERR_PROTOCOL);
        CU_ASSERT_EQUAL(stream_fill(l.server), r);
        CU_ASSERT(!stream_has_input(l.server));
        CU_ASSERT_STRING_NOT_EQUAL(stream_error(l.server), "");
        link_close(&l);
    }
}

static void test_truncated(void)
{
    for (int i = 0; i < LINK_COMBINATIONS; i++) {
        for (size_t k = 0; k < 40; k++) {
            struct link l;
            int r;

            link_open(&l, 1);
            CU_ASSERT_EQUAL_FATAL(link_layer(&l, link_layers[i].layers), 0);
            stream_puts(l.client, "a line that is long enough for all this\r\n");
            stream_flush(l.client);
            for (size_t m = 0; m < k; m++)
                link_round(&l);
            link_cut(&l);
            while ((r = stream_fill(l.server)) > 0)
                ;
            CU_ASSERT_EQUAL(r, ERR_EOF);
            CU_ASSERT_EQUAL(stream_fill(l.server), ERR_EOF);
            stream_puts(l.server, "x");
            CU_ASSERT_EQUAL(stream_flush(l.server), ERR_IO);
            link_close(&l);
        }
    }
}

/* Bytes that malloc has handed out. */
static size_t allocated(void)
{
    return mallinfo2().uordblks;
}

/* What a parked stream holds, by the allocator's own count. */
static void test_memory(void)
{
    static const size_t budget[LINK_COMBINATIONS] = {1024, 24576, 1024, 49152, 24576 + 49152, 49152};
    enum { LINKS = 30 };
    struct link *l = xcalloc(LINKS, sizeof(*l));

    for (int i = 0; i < LINK_COMBINATIONS; i++) {
        size_t before = 0, each;

        for (int k = 0; k < LINKS; k++) {
            if (k == 1) /* what the first costs is the library's own */
                before = allocated();
            link_open(&l[k], 0);
            CU_ASSERT_EQUAL_FATAL(link_layer(&l[k], link_layers[i].layers), 0);
            stream_puts(l[k].client, "a NOOP\r\nhalf");
            stream_puts(l[k].server, "* OK hello\r\nhalf");
            link_settle(&l[k]);
            CU_ASSERT_EQUAL(stream_park(l[k].client), 16);
            CU_ASSERT_EQUAL(stream_park(l[k].server), 12);
        }
        each = (allocated() - before) / (LINKS - 1) / 2;
        if (link_layers[i].layers & LINK_SASL)
            each -= sizeof(struct fake_sasl);
        if (getenv("IATLAS_TEST_VERBOSE") != NULL)
            printf("\n    parked, %s: %zu bytes an end", link_layers[i].name, each);
        if (allocated() > 0) /* 0 under sanitizers, which have an allocator of their own */
            CU_ASSERT(each < budget[i]);
        for (int k = 0; k < LINKS; k++)
            link_close(&l[k]);
    }
    free(l);
}

static const struct unit_case cases[] = {
    {"talk", test_talk},
    {"input in a layer is told", test_has_input},
    {"expansion is bounded", test_bomb},
    {"begin with input read ahead", test_begin_with_input},
    {"garbage", test_garbage},
    {"cut anywhere", test_truncated},
    {"memory of a parked stream", test_memory},
    {"end", test_end},
    {"end_too_late", test_end_too_late},
    {NULL, NULL},
};

extern const struct unit_suite layers_suite;
const struct unit_suite layers_suite = {"layers", cases};
