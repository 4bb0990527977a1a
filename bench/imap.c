#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/loadgen.h"
#include "lib/stream/stream.h"

static void begin(struct load_conn *c)
{
    stream_printf(c->stream, "a%llu ", (unsigned long long)++c->requests);
}

static void login(struct load_conn *c, const struct load_options *o)
{
    begin(c);
    stream_puts(c->stream, "LOGIN ");
    /* the format is the operator's own */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    stream_printf(c->stream, o->user, (int)(c->number % o->users));
#pragma GCC diagnostic pop
    stream_printf(c->stream, " %s\r\n", o->password);
}

/* A session that has worked: its memory is judged afterwards. */
static bool prepare(struct load_conn *c, const struct load_options *o)
{
    static const char *const work[] = {"SELECT INBOX", "UID FETCH 1:* (FLAGS)", "NOOP", "UID SEARCH ALL",
                                       "NOOP"};

    if (c->step == 0)
        login(c, o);
    else if (c->step > sizeof(work) / sizeof(work[0]))
        return false;
    else {
        begin(c);
        stream_printf(c->stream, "%s\r\n", work[c->step - 1]);
    }
    c->step++;
    return true;
}

static void append(struct load_conn *c, const struct load_options *o)
{
    size_t len;
    const char *message = load_message(o->size, &len);

    stream_printf(c->stream, "APPEND INBOX {%zu+}\r\n", len);
    stream_write(c->stream, message, len);
    stream_puts(c->stream, "\r\n");
}

static void request(struct load_conn *c, const struct load_options *o)
{
    unsigned n = o->messages > 0 ? (unsigned)(rand() % (int)o->messages) + 1 : 1;

    begin(c);
    if (strcmp(c->mode, "noop") == 0)
        stream_puts(c->stream, "NOOP\r\n");
    else if (strcmp(c->mode, "select") == 0)
        stream_puts(c->stream, "SELECT INBOX\r\n");
    else if (strcmp(c->mode, "list") == 0)
        stream_puts(c->stream, "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)\r\n");
    else if (strcmp(c->mode, "fetch") == 0)
        stream_printf(c->stream, "FETCH %u BODY.PEEK[]\r\n", n);
    else if (strcmp(c->mode, "store") == 0)
        stream_printf(c->stream, "STORE %u %cFLAGS.SILENT (\\Seen)\r\n", n, c->requests % 2 ? '+' : '-');
    else if (strcmp(c->mode, "append") == 0)
        append(c, o);
    else
        load_die("imap has no mode %s", c->mode);
}

/* {n} at the end of a line: the bytes of a literal follow. */
static uint64_t literal_size(const char *line, size_t len)
{
    size_t i = len;

    if (len < 3 || line[len - 1] != '}')
        return 0;
    while (i > 0 && line[i - 1] != '{')
        i--;
    return strtoull(line + i, NULL, 10);
}

static enum load_answer take_line(struct load_conn *c, const char *line, size_t len)
{
    char tag[32];
    int n = snprintf(tag, sizeof(tag), "a%llu ", (unsigned long long)c->requests);

    c->skip = literal_size(line, len);
    if (len < (size_t)n + 2 || memcmp(line, tag, (size_t)n) != 0)
        return LOAD_MORE;
    return memcmp(line + n, "OK", 2) == 0 ? LOAD_DONE : LOAD_FAILED;
}

const struct load_protocol load_imap = {
    .name = "imap",
    .modes = "noop select list fetch store append",
    .prepare = prepare,
    .request = request,
    .line = take_line,
};
