#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/loadgen.h"
#include "lib/stream/stream.h"

enum { ROWS = 1000, COPIED = 10 }; /* messages of a FETCH of headers, of a COPY */

static void begin(struct load_conn *c)
{
    stream_printf(c->stream, "a%llu ", (unsigned long long)++c->requests);
}

static bool is_script(const struct load_options *o, const char *name)
{
    return strcmp(o->script, name) == 0;
}

static void login(struct load_conn *c, const struct load_options *o)
{
    stream_printf(c->stream, "LOGIN %s%u %s\r\n", o->user, c->number % o->users, o->password);
}

/* What a session does before its memory is judged. */
static bool work(struct load_conn *c)
{
    static const char *const commands[] = {"UID FETCH 1:100 (FLAGS)", "FETCH 1:20 (ENVELOPE)", "NOOP",
                                           "UID SEARCH UID 1:100", "NOOP"};

    if (c->step - 2 >= sizeof(commands) / sizeof(commands[0]))
        return false;
    begin(c);
    stream_printf(c->stream, "%s\r\n", commands[c->step - 2]);
    return true;
}

static bool prepare(struct load_conn *c, const struct load_options *o)
{
    bool more = true;

    if (c->step == 0) {
        begin(c);
        login(c, o);
    } else if (is_script(o, "login")) {
        more = false;
    } else if (c->step == 1) {
        begin(c);
        stream_printf(c->stream, "SELECT %s\r\n", o->mailbox);
    } else {
        more = is_script(o, "work") && work(c);
    }
    c->step++;
    return more;
}

static void append(struct load_conn *c, const struct load_options *o)
{
    size_t len;
    const char *message = load_message(o->size, &len);

    stream_printf(c->stream, "APPEND %s {%zu+}\r\n", o->mailbox, len);
    stream_write(c->stream, message, len);
    stream_puts(c->stream, "\r\n");
}

/* A number of a message of which `run` are there from it on. */
static unsigned pick(const struct load_options *o, unsigned run)
{
    return o->messages > run ? (unsigned)rand() % (o->messages - run) + 1 : 1;
}

static bool is_mode(const struct load_conn *c, const char *name)
{
    return strcmp(c->mode, name) == 0;
}

static void copy(struct load_conn *c, const struct load_options *o)
{
    unsigned first = pick(o, COPIED);

    stream_printf(c->stream, "COPY %u:%u Copies\r\n", first, first + COPIED - 1);
}

/* The next of o->commands; each connection begins with another one. */
static void put_command(struct load_conn *c, const struct load_options *o)
{
    const char *at = o->commands, *end;
    uint64_t count = 1, which;

    for (const char *s = at; *s != '\0'; s++)
        count += *s == '|';
    which = (c->number + c->requests) % count;
    while (which-- > 0)
        at = strchr(at, '|') + 1;
    end = at + strcspn(at, "|");
    for (; at < end; at++) {
        if (at[0] == '%' && at[1] == 'n') {
            stream_printf(c->stream, "%u", pick(o, 1));
            at++;
        } else {
            stream_write(c->stream, at, 1);
        }
    }
    stream_puts(c->stream, "\r\n");
}

static void request(struct load_conn *c, const struct load_options *o)
{
    unsigned one = pick(o, 1), first = pick(o, ROWS);

    begin(c);
    if (is_mode(c, "noop"))
        stream_puts(c->stream, "NOOP\r\n");
    else if (is_mode(c, "select"))
        stream_printf(c->stream, "SELECT %s\r\n", o->mailbox);
    else if (is_mode(c, "flags"))
        stream_puts(c->stream, "FETCH 1:* (UID FLAGS)\r\n");
    else if (is_mode(c, "headers"))
        stream_printf(c->stream,
                      "FETCH %u:%u (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)\r\n", first,
                      first + ROWS - 1);
    else if (is_mode(c, "bodies"))
        stream_printf(c->stream, "FETCH %u BODY.PEEK[]\r\n", one);
    else if (is_mode(c, "store"))
        stream_printf(c->stream, "STORE %u %cFLAGS.SILENT (\\Flagged)\r\n", one, c->requests % 2 ? '+' : '-');
    else if (is_mode(c, "search"))
        stream_puts(c->stream, "SEARCH UNDELETED FLAGGED\r\n");
    else if (is_mode(c, "append"))
        append(c, o);
    else if (is_mode(c, "copy"))
        copy(c, o);
    else if (is_mode(c, "commands"))
        put_command(c, o);
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
    .modes = "noop select flags headers bodies store search append copy commands",
    .scripts = "select login work",
    .prepare = prepare,
    .request = request,
    .line = take_line,
};
