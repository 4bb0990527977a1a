/* Sessions over streams with layers: what a layer has taken from the kernel wakes nobody, so every step here goes
 * through the engine, and a session parks as soon as it may. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cunit/lib/engine/helper.h"
#include "cunit/lib/stream/link.h"
#include "cunit/unit.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/stream/stream.h"

enum {
    SESSIONS = 4,
    ROUNDS = 3,
    LINES = 200,       /* pipelined, in one write */
    BIG = 1024 * 1024, /* more than the socket and all layers hold */
    PIECE = 16 * 1024,
};

/* ---- the session: a line, a block of input or a piece of output a run ---- */

struct layered {
    struct stream *stream;
    bool deflate;
    size_t left; /* of a big answer */
};

static enum engine_verdict park(struct session *s, struct stream *stream, bool input)
{
    session_watch(s, 0, stream_fd(stream), stream_poll_events(stream, input));
    session_set_deadline(s, clock_deadline(30000));
    stream_park(stream);
    return ENGINE_PARK;
}

static enum engine_verdict handshake(struct session *s, struct stream *stream)
{
    int r = stream_handshake(stream);

    return r == ERR_AGAIN ? park(s, stream, true) : r < 0 ? ENGINE_CLOSE : ENGINE_AGAIN;
}

/* Sends what there is, then goes on, or waits for `input` or for room. */
static enum engine_verdict flush(struct session *s, struct stream *stream, bool input)
{
    int r = stream_flush(stream);

    if (r == ERR_AGAIN)
        return park(s, stream, false);
    return r < 0 ? ENGINE_CLOSE : input ? park(s, stream, true) : ENGINE_AGAIN;
}

static enum engine_verdict write_piece(struct session *s, struct layered *l)
{
    static const char piece[PIECE] = {0};
    size_t n = l->left < PIECE ? l->left : PIECE;

    stream_write(l->stream, piece, n);
    l->left -= n;
    return flush(s, l->stream, false);
}

static enum engine_verdict layered_run(struct session *s, void *object)
{
    struct layered *l = object;
    const char *line;
    size_t len;
    int r;

    if (session_stopping(s))
        return ENGINE_CLOSE;
    if (stream_in_handshake(l->stream))
        return handshake(s, l->stream);
    if (l->deflate && !stream_is_deflate(l->stream) && stream_deflate_begin(l->stream) < 0)
        return ENGINE_CLOSE;
    if (l->left > 0)
        return write_piece(s, l);
    r = stream_line(l->stream, 1024, &line, &len);
    if (r == 1) {
        stream_printf(l->stream, "OK %.*s\r\n", (int)len, line);
        l->left = len == 3 && memcmp(line, "BIG", 3) == 0 ? BIG : 0;
        return stream_unsent(l->stream) > STREAM_OUT_HIGH ? flush(s, l->stream, false) : ENGINE_AGAIN;
    }
    r = r < 0 ? r : stream_fill(l->stream);
    return r > 0 ? ENGINE_AGAIN : r == ERR_AGAIN ? flush(s, l->stream, true) : ENGINE_CLOSE;
}

static void layered_close(struct session *s, void *object)
{
    struct layered *l = object;

    session_watch(s, 0, -1, 0);
    stream_free(&l->stream);
    free(l);
}

static const struct engine_ops layered_ops = {.name = "layered", .run = layered_run, .close = layered_close};

/* ---- its client, which waits ---- */

static struct stream *connect_to(struct engine *e, unsigned layers)
{
    struct layered *l = xcalloc(1, sizeof(*l));
    struct stream *client;
    int fd[2];

    BUG_ON(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0);
    client = stream_new(fd[0]);
    l->stream = stream_new(fd[1]);
    l->deflate = (layers & LINK_DEFLATE) != 0;
    if (layers & LINK_TLS) {
        BUG_ON(stream_tls_begin(l->stream, link_server_context(), true, NULL) < 0);
        BUG_ON(stream_tls_begin(client, link_client_context(), false, "be1.lab") < 0);
    }
    session_new(e, &layered_ops, l, "layered");
    if (layers & LINK_TLS)
        CU_ASSERT_EQUAL_FATAL(stream_handshake_wait(client, clock_deadline(20000)), 0);
    if (l->deflate)
        BUG_ON(stream_deflate_begin(client) < 0);
    return client;
}

static void expect(struct stream *client, const char *wanted)
{
    const char *line = "";
    size_t len = 0;
    int r = stream_line_wait(client, 1024, clock_deadline(20000), &line, &len);

    CU_ASSERT_EQUAL_FATAL(r, 1);
    CU_ASSERT(len == strlen(wanted) && memcmp(line, wanted, len) == 0);
}

static void send_all(struct stream *client)
{
    CU_ASSERT_EQUAL_FATAL(stream_flush_wait(client, clock_deadline(20000)), 0);
}

/* ---- tests ---- */

static const unsigned rows[] = {0, LINK_TLS, LINK_DEFLATE, LINK_TLS | LINK_DEFLATE};

/* Many lines and half a line at once: all are answered and the session parks on the half. */
static void pipeline_round(struct engine *e, struct stream *const *clients)
{
    char text[40];

    for (unsigned i = 0; i < SESSIONS; i++) {
        for (unsigned n = 0; n < LINES; n++)
            stream_printf(clients[i], "line %u of session %u\r\n", n, i);
        stream_puts(clients[i], "the beg");
        send_all(clients[i]);
    }
    for (unsigned i = 0; i < SESSIONS; i++)
        for (unsigned n = 0; n < LINES; n++) {
            snprintf(text, sizeof(text), "OK line %u of session %u", n, i);
            expect(clients[i], text);
        }
    CU_ASSERT(helper_parked(e, SESSIONS));
    for (unsigned i = 0; i < SESSIONS; i++) {
        stream_puts(clients[i], "inning\r\n");
        send_all(clients[i]);
        expect(clients[i], "OK the beginning");
    }
}

static void buffered_input(void)
{
    for (size_t row = 0; row < ARRAY_SIZE(rows); row++) {
        struct engine *e = helper_engine(2, 4, 0);
        struct stream *clients[SESSIONS];

        for (unsigned i = 0; i < SESSIONS; i++)
            clients[i] = connect_to(e, rows[row]);
        for (unsigned round = 0; round < ROUNDS; round++)
            pipeline_round(e, clients);
        for (unsigned i = 0; i < SESSIONS; i++)
            stream_free(&clients[i]);
        CU_ASSERT_EQUAL(engine_drain(e, clock_deadline(20000)), 0);
        engine_stop(&e);
    }
}

static size_t read_big(struct stream *client)
{
    size_t sum = 0, n;

    while (sum < BIG) {
        stream_data(client, &n);
        n = n < BIG - sum ? n : BIG - sum;
        stream_consume(client, n);
        sum += n;
        if (sum < BIG && stream_fill_wait(client, clock_deadline(20000)) < 0)
            break;
    }
    return sum;
}

/* More sessions than workers whose clients do not read: they park, hold no worker, and lose nothing. */
static void blocked_output(void)
{
    for (size_t row = 0; row < 2; row++) { /* deflate makes zeros too small to block */
        struct engine *e = helper_engine(2, 2, 0);
        struct stream *slow[SESSIONS], *quick;

        for (unsigned i = 0; i < SESSIONS; i++) {
            slow[i] = connect_to(e, rows[row]);
            stream_puts(slow[i], "BIG\r\nafter\r\n");
            send_all(slow[i]);
        }
        CU_ASSERT(helper_parked(e, SESSIONS));
        quick = connect_to(e, rows[row]);
        stream_puts(quick, "quick\r\n");
        send_all(quick);
        expect(quick, "OK quick");
        for (unsigned i = 0; i < SESSIONS; i++) {
            expect(slow[i], "OK BIG");
            CU_ASSERT_EQUAL(read_big(slow[i]), BIG);
            expect(slow[i], "OK after");
            stream_free(&slow[i]);
        }
        stream_free(&quick);
        CU_ASSERT_EQUAL(engine_drain(e, clock_deadline(20000)), 0);
        engine_stop(&e);
    }
}

static const struct unit_case cases[] = {
    {"input in a layer", buffered_input},
    {"output that waits", blocked_output},
    {NULL, NULL},
};

const struct unit_suite layers_suite = {"layers", cases};
