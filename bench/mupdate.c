#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/loadgen.h"
#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "lib/stream/stream.h"

enum { FILL_BLOCK = 512 /* names on their way at once, on one connection */ };

#define FILL_TAG "fill "

/* RFC 4616 */
static void authenticate(struct load_conn *c, const struct load_options *o)
{
    struct buf plain = BUF_INIT, base64 = BUF_INIT;

    buf_printf(&plain, "%c%s%c%s", 0, o->user, 0, o->password);
    str_base64_encode(&base64, plain.data, plain.len);
    stream_printf(c->stream, "AUTHENTICATE \"PLAIN\" \"%s\"\r\n", buf_cstr(&base64));
    buf_free(&plain);
    buf_free(&base64);
}

static void begin(struct load_conn *c)
{
    stream_printf(c->stream, "a%llu ", (unsigned long long)++c->requests);
}

/* `details`: as a backend of ours gives a name; ids have no order. */
static void put_name(struct load_conn *c, unsigned name, bool details)
{
    uint32_t id = name * 0x9e3779b1u; /* odd: each has its own */

    stream_printf(c->stream, "ACTIVATE \"user.bench%u\" \"be1.lab!default\" \"anyone\tlrs\t\"", name);
    if (details)
        stream_printf(c->stream, " \"%08x-b0a7-4f51-9d2c-%08x%04x\" \"e\" \"\"", id, ~id, id & 0xffff);
    stream_puts(c->stream, "\r\n");
}

/* The connection's share of the names, a block at a time: false behind the last. */
static bool fill(struct load_conn *c, const struct load_options *o, unsigned block)
{
    uint64_t first = ((uint64_t)block * o->connections + c->number) * FILL_BLOCK;
    uint64_t end = first + FILL_BLOCK < o->messages ? first + FILL_BLOCK : o->messages;

    if (first >= o->messages)
        return false;
    for (uint64_t name = first; name < end; name++) {
        if (name == end - 1)
            begin(c);
        else
            stream_puts(c->stream, FILL_TAG);
        put_name(c, (unsigned)name, strcmp(o->script, "details") == 0);
    }
    return true;
}

/* `login`; `list`: the whole list as well, as a slave gets it (RFC 3656 section 4.9); `fill`: makes all names;
 * `details`: with what ours can know of them besides. */
static bool prepare(struct load_conn *c, const struct load_options *o)
{
    unsigned step = c->step++;

    if (step > 0 && (strcmp(o->script, "fill") == 0 || strcmp(o->script, "details") == 0))
        return fill(c, o, step - 1);
    if (step > 0 && (step > 1 || strcmp(o->script, "list") != 0))
        return false;
    begin(c);
    if (step == 0)
        authenticate(c, o);
    else
        stream_puts(c->stream, "UPDATE\r\n");
    return true;
}

/* Each ACTIVATE changes something, so that none is free. */
static void put_command(struct load_conn *c, const struct load_options *o)
{
    unsigned name = (unsigned)rand() % o->messages;

    begin(c);
    if (strcmp(c->mode, "activate") == 0)
        stream_printf(c->stream,
                      "ACTIVATE \"user.bench%u\" \"be1.lab!default\" \"anyone lrs\tbench%llu\tlr\t\"\r\n",
                      name, (unsigned long long)c->requests);
    else if (strcmp(c->mode, "find") == 0)
        stream_printf(c->stream, "FIND \"user.bench%u\"\r\n", name);
    else
        load_die("mupdate has no mode %s", c->mode);
}

static void request(struct load_conn *c, const struct load_options *o)
{
    for (unsigned i = 0; i < o->depth; i++)
        put_command(c, o);
}

/* The request is answered with its last command's OK. */
static enum load_answer take_line(struct load_conn *c, const char *line, size_t len)
{
    char tag[32];
    int n = snprintf(tag, sizeof(tag), "a%llu ", (unsigned long long)c->requests);
    const char *word = memchr(line, ' ', len);

    if (word == NULL || line + len < word + 3 || line[0] == '*')
        return LOAD_MORE;
    word++;
    if (memcmp(word, "NO", 2) == 0 || memcmp(word, "BA", 2) == 0)
        return LOAD_FAILED;
    return memcmp(word, "OK", 2) == 0 && word - line == n && memcmp(line, tag, (size_t)n) == 0
               ? LOAD_DONE
               : LOAD_MORE; /* a row */
}

const struct load_protocol load_mupdate = {
    .name = "mupdate",
    .modes = "activate find",
    .scripts = "login list fill details",
    .greeting_end = "* OK MUPDATE",
    .prepare = prepare,
    .request = request,
    .line = take_line,
};
