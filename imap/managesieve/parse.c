#include "imap/managesieve/parse.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/stream/stream.h"

const char *managesieve_text(const struct managesieve_command *c, unsigned i)
{
    return c->text.data + c->args[i].at;
}

void managesieve_clear(struct managesieve_command *c)
{
    buf_free(&c->text);
    memset(c, 0, sizeof(*c));
}

/* ---- words ---- */

/* A line, or what follows a literal in it. */
struct cursor {
    const char *p, *end;
};

static bool fail(struct managesieve_command *c, const char *why)
{
    if (c->error == NULL)
        c->error = why;
    return false;
}

/* A new argument; NULL when there are too many. */
static struct managesieve_arg *add(struct managesieve_command *c, enum managesieve_kind kind)
{
    struct managesieve_arg *arg;

    if (c->count == MANAGESIEVE_ARGS_MAX) {
        fail(c, "Too many arguments");
        return NULL;
    }
    arg = &c->args[c->count++];
    memset(arg, 0, sizeof(*arg));
    arg->kind = kind;
    arg->at = c->text.len;
    return arg;
}

static void end(struct managesieve_command *c, struct managesieve_arg *arg)
{
    arg->len = c->text.len - arg->at;
    buf_putc(&c->text, '\0');
}

/* The digits at the cursor as a number of at most 32 bits (RFC 5804 section 4); false: none, or too large. */
static bool number(struct cursor *at, uint64_t *n_r)
{
    const char *from = at->p;

    for (*n_r = 0; at->p < at->end && *at->p >= '0' && *at->p <= '9' && *n_r <= UINT32_MAX; at->p++)
        *n_r = *n_r * 10 + (uint64_t)(*at->p - '0');
    return at->p > from && *n_r <= UINT32_MAX;
}

static bool quoted(struct managesieve_command *c, struct cursor *at)
{
    struct managesieve_arg *arg = add(c, MANAGESIEVE_STRING);

    if (arg == NULL)
        return false;
    for (at->p++; at->p < at->end && *at->p != '"'; at->p++) {
        if (*at->p == '\\' && ++at->p == at->end)
            break;
        if (*at->p == '\0' || *at->p == '\r')
            return fail(c, "A quoted string with a byte that it may not have");
        buf_putc(&c->text, *at->p);
    }
    if (at->p == at->end)
        return fail(c, "A quoted string that does not end");
    at->p++;
    end(c, arg);
    return true;
}

/* {12+}, the last thing of its line; an old client may omit the "+". */
static bool literal(struct managesieve_command *c, struct cursor *at, uint64_t limit)
{
    struct managesieve_arg *arg;
    uint64_t n;

    at->p++;
    if (!number(at, &n))
        return fail(c, "Bad literal");
    at->p += at->p < at->end && *at->p == '+';
    if (at->end - at->p != 1 || *at->p != '}')
        return fail(c, "Bad literal");
    at->p++;
    arg = add(c, MANAGESIEVE_STRING);
    if (arg == NULL)
        return false;
    arg->number = n;
    arg->dropped = n > limit;
    c->in_literal = true;
    c->literal = n;
    return true;
}

static bool numeral(struct managesieve_command *c, struct cursor *at)
{
    struct managesieve_arg *arg = add(c, MANAGESIEVE_NUMBER);
    const char *from = at->p;

    if (arg == NULL)
        return false;
    if (!number(at, &arg->number))
        return fail(c, "Bad number");
    buf_append(&c->text, from, (size_t)(at->p - from));
    end(c, arg);
    return true;
}

static bool is_atom(char ch)
{
    return (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '-' ||
           ch == '_';
}

static bool atom(struct managesieve_command *c, struct cursor *at)
{
    struct managesieve_arg *arg = add(c, MANAGESIEVE_ATOM);
    const char *from = at->p;

    if (arg == NULL)
        return false;
    while (at->p < at->end && is_atom(*at->p))
        at->p++;
    if (at->p == from)
        return fail(c, "Syntax error");
    buf_append(&c->text, from, (size_t)(at->p - from));
    end(c, arg);
    return true;
}

static bool word(struct managesieve_command *c, struct cursor *at, uint64_t limit)
{
    switch (*at->p) {
    case '"':
        return quoted(c, at);
    case '{':
        return literal(c, at, limit);
    case '0' ... '9':
        return numeral(c, at);
    default:
        return atom(c, at);
    }
}

/* ---- lines ---- */

/* The rest of a bad line is not looked at, but for a literal at its end: that belongs to it. */
static void skip_to_literal(struct managesieve_command *c, const struct cursor *line)
{
    struct cursor at = {.p = line->end, .end = line->end};
    uint64_t n;

    while (at.p > line->p && *at.p != '{')
        at.p--;
    if (at.p == line->end || *at.p++ != '{' || !number(&at, &n))
        return;
    at.p += at.p < at.end && *at.p == '+';
    if (at.end - at.p == 1 && *at.p == '}') {
        c->in_literal = true;
        c->literal = n;
    }
}

/* A line of the command; `first`: its first, which may not begin with a blank. */
static void take_line(struct managesieve_command *c, const char *line, size_t n, bool first, uint64_t limit)
{
    struct cursor at = {.p = line, .end = line + n};

    while (c->error == NULL && at.p < at.end && !c->in_literal) {
        if (!first && *at.p++ != ' ')
            fail(c, "Syntax error");
        else if (at.p == at.end)
            break; /* a blank at the end */
        else
            word(c, &at, limit);
        first = false;
    }
    if (c->error != NULL)
        skip_to_literal(c, &(struct cursor){.p = line, .end = line + n});
}

/* 1 when the literal is complete. */
static int take_literal(struct managesieve_command *c, struct stream *s)
{
    struct managesieve_arg *arg = c->error == NULL ? &c->args[c->count - 1] : NULL;
    size_t n;
    const char *data;

    while (c->literal > 0) {
        data = stream_data(s, &n);
        if (n == 0)
            return 0;
        if (n > c->literal)
            n = (size_t)c->literal;
        if (arg != NULL && !arg->dropped)
            buf_append(&c->text, data, n);
        stream_consume(s, n);
        c->literal -= n;
    }
    if (arg != NULL)
        end(c, arg);
    c->in_literal = false;
    return 1;
}

int managesieve_read(struct managesieve_command *c, struct stream *s, uint64_t limit)
{
    for (;;) {
        const char *line;
        size_t n;
        bool first = !c->in_command;
        int r;

        if (c->in_literal && take_literal(c, s) == 0)
            return 0;
        r = stream_line(s, MANAGESIEVE_LINE_MAX, &line, &n);
        if (r <= 0)
            return r;
        c->in_command = true;
        take_line(c, line, n, first, limit);
        if (c->in_literal)
            continue;
        c->in_command = false;
        if (c->count == 0)
            fail(c, "Syntax error");
        return 1;
    }
}
