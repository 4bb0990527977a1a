#include <stdlib.h>

#include "bench/loadgen.h"
#include "lib/stream/stream.h"

static bool prepare(struct load_conn *c, const struct load_options *o)
{
    (void)o;
    if (c->step++ > 0)
        return false;
    stream_puts(c->stream, "LHLO bench\r\n");
    c->replies = 1;
    return true;
}

/* Everything at once (RFC 2920 forbids the message behind DATA, so the text waits for 354).  The recipients are
 * neighbours, so that no message has one twice. */
static void request(struct load_conn *c, const struct load_options *o)
{
    unsigned first = (unsigned)rand();

    stream_puts(c->stream, "MAIL FROM:<bench@example.org>\r\n");
    for (unsigned i = 0; i < o->recipients; i++)
        stream_printf(c->stream, "RCPT TO:<%s%u>\r\n", o->user, (first + i) % o->users);
    stream_puts(c->stream, "DATA\r\n");
    c->requests++;
    c->replies = 2 + 2 * o->recipients; /* MAIL, RCPT..., 354, an answer for each recipient */
    c->after_data = o->recipients;
    c->size = o->size;
}

static enum load_answer take_line(struct load_conn *c, const char *line, size_t len)
{
    const char *message;
    size_t size;

    if (len < 4 || line[3] == '-')
        return LOAD_MORE;
    if (line[0] == '3' && c->replies == c->after_data + 1) {
        message = load_message(c->size, &size);
        stream_write(c->stream, message, size);
        stream_puts(c->stream, ".\r\n");
    } else if (line[0] != '2') {
        return LOAD_FAILED;
    }
    return --c->replies == 0 ? LOAD_DONE : LOAD_MORE;
}

const struct load_protocol load_lmtp = {
    .name = "lmtp",
    .modes = "deliver",
    .scripts = "lhlo",
    .prepare = prepare,
    .request = request,
    .line = take_line,
};
