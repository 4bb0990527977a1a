/* wire.c: the syntax of MUPDATE. */
#include "lib/mupdate/wire.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"

enum { WORDS_MAX = MUPDATE_ARGS_MAX + 2, QUOTED_MAX = 200 };

enum state {
    BETWEEN,      /* at the beginning of a word, or of the line */
    ATOM,         /* in an atom */
    QUOTED,       /* in a quoted string */
    QUOTED_SLASH, /* behind a backslash in one */
    BEHIND,       /* behind a string: a blank or the end */
    LITERAL_SIZE, /* behind { */
    LITERAL_PLUS, /* behind the plus sign */
    LITERAL_LINE, /* behind }: the end of the line */
    LITERAL,      /* in its bytes */
    SKIP          /* not to be understood: up to the end of the line */
};

struct mupdate_parser {
    enum state state;
    struct buf text; /* the words, a NUL behind each */
    size_t words[WORDS_MAX];
    size_t count;
    bool broken;   /* the line is refused at its end */
    bool go_ahead; /* a synchronizing literal was announced */
    bool plus;     /* the literal now read is none */
    bool sized;    /* a digit of its size has come */
    uint32_t left; /* of the literal */
    size_t max;    /* bytes of a line */
    bool handed_out;
    struct mupdate_line line;
};

struct mupdate_parser *mupdate_parser_new(void)
{
    struct mupdate_parser *p = xcalloc(1, sizeof(*p));

    p->max = MUPDATE_LINE_MAX;
    return p;
}

void mupdate_parser_limit(struct mupdate_parser *p, size_t max)
{
    p->max = max < MUPDATE_LINE_MAX ? max : MUPDATE_LINE_MAX;
}

void mupdate_parser_free(struct mupdate_parser **parser)
{
    if (*parser != NULL)
        buf_free(&(*parser)->text);
    free(*parser);
    *parser = NULL;
}

static void begin_line(struct mupdate_parser *p)
{
    p->state = BETWEEN;
    p->count = 0;
    p->broken = p->handed_out = false;
    buf_reset(&p->text);
}

void mupdate_parser_reset(struct mupdate_parser *p)
{
    begin_line(p);
    p->go_ahead = false;
    buf_free(&p->text);
}

bool mupdate_parser_idle(const struct mupdate_parser *p)
{
    return p->handed_out || (p->state == BETWEEN && p->count == 0);
}

bool mupdate_parser_go_ahead(struct mupdate_parser *p)
{
    bool wanted = p->go_ahead;

    p->go_ahead = false;
    return wanted;
}

static void begin_word(struct mupdate_parser *p, enum state state)
{
    p->state = state;
    if (p->count == WORDS_MAX)
        p->broken = true; /* its bytes are read and nobody sees them */
    else
        p->words[p->count++] = p->text.len;
}

static void end_word(struct mupdate_parser *p)
{
    buf_putc(&p->text, '\0');
}

/* Tags and command words are atoms. */
static void check_atom(struct mupdate_parser *p)
{
    if (p->count <= 2 && p->text.len - p->words[p->count - 1] > MUPDATE_ATOM_MAX)
        p->broken = true;
}

static void between(struct mupdate_parser *p, char c)
{
    bool string_allowed = p->count >= 2;

    if (c == ' ' && p->count > 0)
        return;
    if (c == '"' && string_allowed) {
        begin_word(p, QUOTED);
    } else if (c == '{' && string_allowed) {
        p->left = 0;
        p->plus = p->sized = false;
        p->state = LITERAL_SIZE;
    } else if (c > ' ' && c < 0x7f && c != '"' && c != '{') {
        begin_word(p, ATOM);
        buf_putc(&p->text, c);
    } else {
        p->broken = true;
        p->state = SKIP;
    }
}

static void atom(struct mupdate_parser *p, char c)
{
    if (c == ' ') {
        check_atom(p);
        end_word(p);
        p->state = BETWEEN;
    } else if (c > ' ' && c < 0x7f && c != '"' && c != '{') {
        buf_putc(&p->text, c);
    } else {
        p->broken = true;
        p->state = SKIP;
    }
}

/* RFC 3656 2.2 has no backslash; ACAP, whose strings they are, quotes `"` and itself with it. */
static void quoted(struct mupdate_parser *p, char c)
{
    if (p->state == QUOTED_SLASH) {
        if (c != '"' && c != '\\')
            buf_putc(&p->text, '\\');
        buf_putc(&p->text, c);
        p->state = QUOTED;
    } else if (c == '\\') {
        p->state = QUOTED_SLASH;
    } else if (c == '"') {
        end_word(p);
        p->state = BEHIND;
    } else {
        p->broken = p->broken || c == '\0';
        buf_putc(&p->text, c);
    }
}

/* Ends an ordinary run of bytes in a quoted string. */
static bool ends_run(char c)
{
    return c == '"' || c == '\\' || c == '\r' || c == '\n' || c == '\0';
}

/* What stands in a quoted string and means itself, as far as it goes: how much it is. */
static size_t quoted_run(struct mupdate_parser *p, const char *data, size_t len)
{
    size_t room = p->max > p->text.len ? p->max - p->text.len : 0, n = 0;

    if (len > room)
        len = room;
    while (n < len && !ends_run(data[n]))
        n++;
    buf_append(&p->text, data, n);
    return n;
}

/* {n}, {n+}: 0, or ERR_TOOBIG when the literal cannot fit. */
static int literal_size(struct mupdate_parser *p, char c)
{
    if (p->state == LITERAL_SIZE && isdigit((unsigned char)c)) {
        p->sized = true;
        p->left = p->left * 10 + (uint32_t)(c - '0');
        return p->left > p->max - p->text.len ? ERR_TOOBIG : 0;
    }
    if (p->state == LITERAL_SIZE && p->sized && c == '+') {
        p->plus = true;
        p->state = LITERAL_PLUS;
    } else if (c == '}' && p->sized) {
        p->state = LITERAL_LINE;
    } else {
        p->broken = true;
        p->state = SKIP;
    }
    return 0;
}

static void end_of_literal_line(struct mupdate_parser *p)
{
    p->go_ahead = !p->plus;
    begin_word(p, LITERAL);
    if (p->left == 0) {
        end_word(p);
        p->state = BEHIND;
    }
}

static size_t literal(struct mupdate_parser *p, const char *data, size_t len)
{
    size_t n = len < p->left ? len : p->left;

    p->broken = p->broken || memchr(data, '\0', n) != NULL;
    buf_append(&p->text, data, n);
    p->left -= (uint32_t)n;
    if (p->left == 0) {
        end_word(p);
        p->state = BEHIND;
    }
    return n;
}

/* A line is complete: fills in p->line. */
static int end_line(struct mupdate_parser *p)
{
    struct mupdate_line *line = &p->line;

    if (p->state == ATOM) {
        check_atom(p);
        end_word(p);
    }
    p->broken = p->broken || p->state == QUOTED || p->state == QUOTED_SLASH || p->state == LITERAL_SIZE ||
                p->state == LITERAL_PLUS || p->count < 2;
    p->handed_out = true;
    buf_putc(&p->text, '\0');
    line->tag = p->count > 0 ? p->text.data + p->words[0] : "*";
    if (strlen(line->tag) > MUPDATE_ATOM_MAX)
        line->tag = "*";
    line->word = p->count > 1 ? p->text.data + p->words[1] : "";
    line->count = p->count > 2 ? p->count - 2 : 0;
    for (size_t i = 0; i < line->count; i++)
        line->args[i] = p->text.data + p->words[i + 2];
    return p->broken ? ERR_SYNTAX : 1;
}

/* One byte outside a literal.  1: the line is complete; 0; ERR_TOOBIG. */
static int take(struct mupdate_parser *p, char c)
{
    switch (p->state) {
    case BETWEEN:
        between(p, c);
        break;
    case ATOM:
        atom(p, c);
        break;
    case QUOTED:
    case QUOTED_SLASH:
        quoted(p, c);
        break;
    case BEHIND:
        p->state = c == ' ' ? BETWEEN : SKIP;
        p->broken = p->broken || c != ' ';
        break;
    case LITERAL_SIZE:
    case LITERAL_PLUS:
        return literal_size(p, c);
    case LITERAL_LINE:
        p->state = SKIP;
        p->broken = true;
        break;
    case LITERAL:
    case SKIP:
        break;
    }
    return p->text.len > p->max ? ERR_TOOBIG : 0;
}

int mupdate_parser_feed(struct mupdate_parser *p, const char *data, size_t len, size_t *used_r,
                        const struct mupdate_line **line_r)
{
    size_t at = 0;
    int r = 0;

    if (p->handed_out)
        begin_line(p);
    *line_r = &p->line;
    while (r == 0 && at < len) {
        char c = data[at];

        if (p->state == LITERAL) {
            at += literal(p, data + at, len - at);
            continue;
        }
        if (p->state == QUOTED) {
            at += quoted_run(p, data + at, len - at);
            if (at == len)
                break;
            c = data[at];
        }
        at++;
        if (c == '\r') /* only before LF, and there it means nothing */
            continue;
        if (c != '\n')
            r = take(p, c);
        else if (p->state == LITERAL_LINE)
            end_of_literal_line(p);
        else
            r = end_line(p);
    }
    *used_r = at;
    return r;
}

/* ---- writing ---- */

/* May stand in a quoted string as we write it. */
static bool can_be_quoted(char c)
{
    return c != '\0' && c != '\r' && c != '\n' && c != '"' && c != '\\' && !(c & 0x80);
}

void mupdate_put_string(struct buf *to, const char *s)
{
    char *at = buf_reserve(to, QUOTED_MAX + 2);
    size_t n = 0;

    for (; n < QUOTED_MAX && can_be_quoted(s[n]); n++)
        at[n + 1] = s[n];
    if (s[n] == '\0') {
        at[0] = at[n + 1] = '"';
        buf_added(to, n + 2);
    } else {
        buf_printf(to, "{%zu+}\r\n", strlen(s));
        buf_puts(to, s);
    }
}

void mupdate_put_line(struct buf *to, const char *tag, const char *word, ...)
{
    const char *arg;
    va_list ap;

    buf_puts(to, tag);
    buf_putc(to, ' ');
    buf_puts(to, word);
    va_start(ap, word);
    while ((arg = va_arg(ap, const char *)) != NULL) {
        buf_putc(to, ' ');
        mupdate_put_string(to, arg);
    }
    va_end(ap);
    buf_append(to, "\r\n", 2);
}
