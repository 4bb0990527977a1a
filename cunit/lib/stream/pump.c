/* Piping: two links joined in the middle, as a frontend joins its client and a backend. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cunit/lib/stream/link.h"
#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

enum { AMOUNT = 600 * 1000 };

struct flow {
    size_t sent, received;
    bool wrong;
};

static char byte_at(size_t i)
{
    return (char)((i * 2654435761u) >> 13);
}

static void send_more(struct stream *s, struct flow *f)
{
    char piece[4096];

    while (f->sent < AMOUNT && stream_unsent(s) < STREAM_OUT_HIGH) {
        size_t n = AMOUNT - f->sent < sizeof(piece) ? AMOUNT - f->sent : sizeof(piece);

        for (size_t i = 0; i < n; i++)
            piece[i] = byte_at(f->sent + i);
        stream_write(s, piece, n);
        f->sent += n;
    }
    stream_flush(s);
}

static void receive(struct stream *s, struct flow *f)
{
    size_t n;
    const char *data;

    stream_fill(s);
    data = stream_data(s, &n);
    for (size_t i = 0; i < n; i++)
        f->wrong |= data[i] != byte_at(f->received + i);
    f->received += n;
    stream_consume(s, n);
}

static void small_buffers(struct link *l)
{
    int size = 4096, fds[4] = {stream_fd(l->client), stream_fd(l->server), l->wire_client, l->wire_server};

    for (int i = 0; i < 4; i++)
        setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

/* Both ends send all they have before they read a byte of what the other says, as long as the
 * middle takes it. */
static void pump_both(unsigned left_layers, unsigned right_layers)
{
    struct link left, right;
    struct flow up = {0}, down = {0};
    int rounds = 0, r = 0;

    link_open(&left, 0);
    link_open(&right, 0);
    small_buffers(&left);
    small_buffers(&right);
    CU_ASSERT_EQUAL_FATAL(link_layer(&left, left_layers), 0);
    CU_ASSERT_EQUAL_FATAL(link_layer(&right, right_layers), 0);
    while (up.received + down.received < 2 * AMOUNT && rounds++ < 20000) {
        send_more(left.client, &up);
        send_more(right.server, &down);
        link_round(&left);
        r = stream_pump(left.server, right.client);
        CU_ASSERT_FATAL(r >= 0);
        CU_ASSERT(stream_unsent(left.server) <= STREAM_OUT_HIGH + 16384);
        if (r == 0 && rounds % 7 == 0) { /* parked in between */
            stream_park(left.server);
            stream_park(right.client);
        }
        link_round(&right);
        if (rounds % 3 == 0) {
            receive(right.server, &up);
            receive(left.client, &down);
        }
    }
    CU_ASSERT_EQUAL(up.received, AMOUNT);
    CU_ASSERT_EQUAL(down.received, AMOUNT);
    CU_ASSERT(!up.wrong && !down.wrong);
    stream_puts(right.server, "last words");
    stream_flush(right.server);
    link_round(&right);
    link_cut(&right);
    do
        r = stream_pump(left.server, right.client);
    while (r > 0);
    CU_ASSERT_EQUAL(r, ERR_EOF);
    link_round(&left);
    receive(left.client, &down);
    CU_ASSERT_EQUAL(down.received, AMOUNT + 10);
    link_close(&left);
    link_close(&right);
}

static void test_pump(void)
{
    for (int i = 0; i < LINK_COMBINATIONS; i++)
        pump_both(link_layers[i].layers, link_layers[LINK_COMBINATIONS - 1 - i].layers);
}

static void test_move(void)
{
    struct link l;
    size_t n;

    link_open(&l, 0);
    stream_puts(l.client, "0123456789");
    link_settle(&l);
    CU_ASSERT_EQUAL(stream_move(l.server, l.client, 4), 4);
    CU_ASSERT_EQUAL(stream_unsent(l.client), 4);
    CU_ASSERT_EQUAL(stream_move(l.server, l.client, 100), 6);
    CU_ASSERT_EQUAL(stream_move(l.server, l.client, 100), 0);
    for (int i = 0; i < 70; i++)
        stream_printf(l.client, "%01000d", i);
    CU_ASSERT_EQUAL(stream_pump_events(l.server, l.client), 0);
    CU_ASSERT_EQUAL(stream_pump_events(l.client, l.server), POLLIN | POLLOUT);
    stream_puts(l.server, "more");
    stream_flush(l.server);
    link_round(&l);
    CU_ASSERT_EQUAL(stream_fill(l.client), 4);
    CU_ASSERT_EQUAL(stream_move(l.client, l.client, 4), 0); /* no room above STREAM_OUT_HIGH */
    stream_data(l.client, &n);
    CU_ASSERT_EQUAL(n, 4);
    link_close(&l);
}

static const struct unit_case cases[] = {
    {"both ways under backpressure", test_pump},
    {"move", test_move},
    {NULL, NULL},
};

extern const struct unit_suite pump_suite;
const struct unit_suite pump_suite = {"pump", cases};
