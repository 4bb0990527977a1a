/* pump.c: waiting for a stream, and piping two into each other. */
#include <errno.h>
#include <poll.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/stream/stream-private.h"

/* Waits for what the stream needs.  0, ERR_TIMEOUT, ERR_IO. */
static int wait_ready(struct stream *s, bool want_input, int64_t deadline)
{
    struct pollfd p = {.fd = s->fd, .events = (short)stream_poll_events(s, want_input)};

    for (;;) {
        int r = poll(&p, 1, clock_left(deadline));

        if (r > 0)
            return 0;
        if (r == 0 && clock_left(deadline) == 0)
            return ERR_TIMEOUT;
        if (r < 0 && errno != EINTR)
            return ERR_IO;
    }
}

int stream_fill_wait(struct stream *s, int64_t deadline)
{
    for (;;) {
        int r = stream_fill(s), w;

        if (r != ERR_AGAIN)
            return r;
        if (stream_has_input(s))
            continue;
        w = wait_ready(s, true, deadline);
        if (w != 0)
            return w;
        if (stream_unsent(s) > 0)
            stream_flush(s); /* a peer that waits for it would never send; failures show later */
    }
}

int stream_flush_wait(struct stream *s, int64_t deadline)
{
    for (;;) {
        int r = stream_flush(s);

        if (r == ERR_AGAIN)
            r = wait_ready(s, false, deadline);
        else
            return r;
        if (r != 0)
            return r;
    }
}

int stream_handshake_wait(struct stream *s, int64_t deadline)
{
    for (;;) {
        int r = stream_handshake(s);

        if (r == ERR_AGAIN)
            r = wait_ready(s, true, deadline);
        else
            return r;
        if (r != 0)
            return r;
    }
}

int stream_line_wait(struct stream *s, size_t max, int64_t deadline, const char **line_r, size_t *len_r)
{
    for (;;) {
        int r = stream_line(s, max, line_r, len_r);

        if (r == 0)
            r = stream_fill_wait(s, deadline);
        else
            return r;
        if (r < 0)
            return r;
    }
}

size_t stream_move(struct stream *from, struct stream *to, size_t n)
{
    size_t have, unsent = stream_unsent(to), room = unsent < STREAM_OUT_HIGH ? STREAM_OUT_HIGH - unsent : 0;
    const char *data = stream_data(from, &have);

    if (n > have)
        n = have;
    if (n > room)
        n = room;
    if (n > 0) {
        stream_write(to, data, n);
        stream_consume(from, n);
    }
    return n;
}

/* One direction.  >0: progress; 0: none now; ERR_EOF: `from` closed and all is delivered. */
static int pump_one(struct stream *from, struct stream *to)
{
    size_t have, moved;
    int filled = 0, flushed;

    stream_data(from, &have);
    if (have == 0 && stream_unsent(to) < STREAM_OUT_HIGH)
        filled = stream_fill(from);
    moved = stream_move(from, to, SIZE_MAX);
    flushed = stream_flush(to);
    if (flushed != 0 && flushed != ERR_AGAIN)
        return flushed;
    stream_data(from, &have);
    if (moved > 0 || (have > 0 && stream_unsent(to) < STREAM_OUT_HIGH))
        return 1;
    if (filled < 0 && filled != ERR_AGAIN && have == 0)
        return flushed == ERR_AGAIN ? 0 : filled;
    return 0;
}

int stream_pump(struct stream *a, struct stream *b)
{
    int ab = pump_one(a, b), ba = pump_one(b, a);

    if (ab > 0 || ba > 0)
        return 1;
    return ab < 0 ? ab : ba;
}

unsigned stream_pump_events(const struct stream *s, const struct stream *peer)
{
    return stream_poll_events(s, stream_unsent(peer) < STREAM_OUT_HIGH);
}
