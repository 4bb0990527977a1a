#include "imap/session/input.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/stream/stream.h"

enum {
    KEEP_IN_STREAM = 4096, /* an incomplete line up to this long waits in the stream */
    TAIL_MAX = 32,         /* a literal's announcement is shorter */
    HEAD_MAX = 128,        /* of a first line that is too long: its tag and name, to say so */
};

void input_init(struct input *in)
{
    *in = (struct input){.state = INPUT_LINE};
}

void input_reset(struct input *in)
{
    buf_free(&in->text);
    input_init(in);
}

static void start_skipping(struct input *in, enum input_state state, const char *error)
{
    in->state = state;
    if (in->error == NULL)
        in->error = error;
}

void input_skip(struct input *in, uint64_t left)
{
    buf_free(&in->text);
    input_init(in);
    in->silent = true;
    in->left = left;
    in->state = left > 0 ? INPUT_SKIP_LITERAL : INPUT_SKIP_LINE;
}

/* The line's end without CRLF or LF. */
static size_t line_length(const struct buf *text)
{
    size_t n = text->len;

    if (n > 0 && text->data[n - 1] == '\n')
        n--;
    if (n > 0 && text->data[n - 1] == '\r')
        n--;
    return n;
}

/* What is dropped has come to its end. */
static enum input_verdict end_skipped(struct input *in)
{
    bool silent = in->silent;

    if (silent) {
        input_reset(in);
        return INPUT_MORE;
    }
    in->state = INPUT_LINE;
    return INPUT_BAD;
}

/* A client may end lines with a bare LF; in the text a literal's announcement always ends in CRLF, which is how
 * it is found again. */
static void end_with_crlf(struct buf *text)
{
    size_t n = line_length(text);

    buf_truncate(text, n);
    buf_puts(text, "\r\n");
}

/* A literal was announced at the end of a complete line; the text ends before its "{" for `decide`. */
static enum input_verdict begin_literal(struct input *in, struct stream *stream,
                                        const struct input_limits *limits, input_literal_fn *decide,
                                        void *context)
{
    const struct imap_literal *l = &in->literal;
    enum input_literal what = decide(context, in->text.data, l->at, l);
    bool may_come = l->synchronising || l->size <= limits->nonsync;

    if (what == INPUT_STREAM && may_come) {
        buf_truncate(&in->text, l->at);
        return INPUT_SINK;
    }
    if (what != INPUT_REFUSE && !may_come) {
        start_skipping(in, INPUT_SKIP_LITERAL, "[TOOBIG] Literal too big to come without being asked for");
    } else if (what == INPUT_COLLECT &&
               (l->size > limits->literal || l->size > limits->command - in->text.len)) {
        start_skipping(in, INPUT_SKIP_LITERAL, "Literal too big");
    } else if (what == INPUT_REFUSE) {
        start_skipping(in, INPUT_SKIP_LITERAL, "No literal expected");
    } else {
        in->state = INPUT_LITERAL;
        end_with_crlf(&in->text);
        if (l->synchronising)
            stream_puts(stream, "+ go ahead\r\n");
    }
    in->left = l->size;
    if (in->state == INPUT_SKIP_LITERAL && l->synchronising)
        return INPUT_BAD; /* the client waits: it will not send it */
    return INPUT_MORE;
}

/* A whole line has been appended to the text. */
static enum input_verdict end_line(struct input *in, struct stream *stream, const struct input_limits *limits,
                                   input_literal_fn *decide, void *context)
{
    size_t n = line_length(&in->text);
    int found = imap_literal_at_end(in->text.data, n, &in->literal);

    if (found == 1)
        return begin_literal(in, stream, limits, decide, context);
    buf_truncate(&in->text, n);
    if (found == 0)
        return INPUT_COMMAND;
    in->error = "Literal too big";
    return INPUT_BAD;
}

/* Takes the readable bytes up to the end of the line, as many as fit the limit. */
static enum input_verdict collect_line(struct input *in, struct stream *stream,
                                       const struct input_limits *limits, input_literal_fn *decide,
                                       void *context)
{
    size_t n;
    const char *data = stream_data(stream, &n);
    const char *lf = n > 0 ? memchr(data, '\n', n) : NULL;

    if (lf == NULL && n < KEEP_IN_STREAM)
        return INPUT_MORE;
    n = lf != NULL ? (size_t)(lf - data) + 1 : n;
    if (n > limits->command - in->text.len) {
        if (in->text.len == 0)
            buf_append(&in->text, data, n < HEAD_MAX ? n : HEAD_MAX);
        start_skipping(in, INPUT_SKIP_LINE, "Command too long");
        return INPUT_MORE;
    }
    buf_append(&in->text, data, n);
    stream_consume(stream, n);
    return lf != NULL ? end_line(in, stream, limits, decide, context) : INPUT_MORE;
}

static enum input_verdict collect_literal(struct input *in, struct stream *stream)
{
    size_t n;
    const char *data = stream_data(stream, &n);

    n = n > in->left ? (size_t)in->left : n;
    if (in->state == INPUT_LITERAL)
        buf_append(&in->text, data, n);
    stream_consume(stream, n);
    in->left -= n;
    if (in->left == 0)
        in->state = in->state == INPUT_LITERAL ? INPUT_LINE : INPUT_SKIP_LINE;
    return INPUT_MORE;
}

/* Drops a line; the end of a long one is looked at only once it is all there, which TAIL_MAX bytes are. */
static enum input_verdict skip_line(struct input *in, struct stream *stream)
{
    struct imap_literal literal;
    size_t n, line;
    const char *data = stream_data(stream, &n);
    const char *lf = n > 0 ? memchr(data, '\n', n) : NULL;
    int found;

    if (lf == NULL) {
        stream_consume(stream, n > TAIL_MAX ? n - TAIL_MAX : 0);
        return INPUT_MORE;
    }
    line = (size_t)(lf - data);
    if (line > 0 && data[line - 1] == '\r')
        line--;
    found = imap_literal_at_end(data, line, &literal);
    stream_consume(stream, (size_t)(lf - data) + 1);
    if (found != 1 || literal.synchronising)
        return end_skipped(in);
    in->left = literal.size;
    in->state = literal.size > 0 ? INPUT_SKIP_LITERAL : INPUT_SKIP_LINE;
    return INPUT_MORE;
}

static enum input_verdict collect_some(struct input *in, struct stream *stream,
                                       const struct input_limits *limits, input_literal_fn *decide,
                                       void *context)
{
    switch (in->state) {
    case INPUT_LINE:
        return collect_line(in, stream, limits, decide, context);
    case INPUT_SKIP_LINE:
        return skip_line(in, stream);
    default:
        return collect_literal(in, stream);
    }
}

enum input_verdict input_collect(struct input *in, struct stream *stream, const struct input_limits *limits,
                                 input_literal_fn *decide, void *context)
{
    for (;;) {
        enum input_state state = in->state;
        size_t before, after;
        enum input_verdict v;

        stream_data(stream, &before);
        v = collect_some(in, stream, limits, decide, context);
        if (v != INPUT_MORE)
            return v;
        stream_data(stream, &after);
        if (after == before && in->state == state)
            return INPUT_MORE;
    }
}
