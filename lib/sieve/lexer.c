#include "lib/sieve/lexer-private.h"

#include <string.h>

#include "lib/base/str.h"

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int peek(const struct lexer *lx, size_t ahead)
{
    return (size_t)(lx->end - lx->at) > ahead ? (unsigned char)lx->at[ahead] : -1;
}

static void bad(struct lexer *lx, const char *what)
{
    lx->kind = TOKEN_BAD;
    buf_reset(&lx->text);
    buf_puts(&lx->text, what);
}

/* Moves past the rest of the line, its end included. */
static void skip_line(struct lexer *lx)
{
    const char *end = memchr(lx->at, '\n', (size_t)(lx->end - lx->at));

    lx->at = end != NULL ? end + 1 : lx->end;
    lx->line += end != NULL;
}

/* A bracketed comment; 0, or -1 when it does not end. */
static int skip_bracketed(struct lexer *lx)
{
    for (lx->at += 2; peek(lx, 1) >= 0; lx->at++) {
        if (lx->at[0] == '*' && lx->at[1] == '/') {
            lx->at += 2;
            return 0;
        }
        lx->line += *lx->at == '\n';
    }
    lx->at = lx->end;
    return -1;
}

/* Blanks and comments; -1 for a comment that does not end. */
static int skip_blanks(struct lexer *lx)
{
    for (;;) {
        int c = peek(lx, 0);

        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            lx->line += c == '\n';
            lx->at++;
        } else if (c == '#') {
            skip_line(lx);
        } else if (c == '/' && peek(lx, 1) == '*') {
            if (skip_bracketed(lx) < 0)
                return -1;
        } else {
            return 0;
        }
    }
}

static void read_name(struct lexer *lx)
{
    const char *start = lx->at;

    while (lx->at < lx->end && (is_name_start(*lx->at) || is_digit(*lx->at)))
        lx->at++;
    buf_append(&lx->text, start, (size_t)(lx->at - start));
}

/* A line end inside a string becomes CRLF, whichever the script has. */
static void take_line_end(struct lexer *lx)
{
    lx->at += *lx->at == '\r' ? 2 : 1;
    lx->line++;
    buf_puts(&lx->text, "\r\n");
}

static bool at_line_end(const struct lexer *lx)
{
    return peek(lx, 0) == '\n' || (peek(lx, 0) == '\r' && peek(lx, 1) == '\n');
}

static void read_quoted(struct lexer *lx)
{
    lx->kind = TOKEN_STRING;
    for (lx->at++; lx->at < lx->end && *lx->at != '"';) {
        if (at_line_end(lx)) {
            take_line_end(lx);
            continue;
        }
        if (*lx->at == '\\' && peek(lx, 1) >= 0 && lx->at[1] != '\r' && lx->at[1] != '\n')
            lx->at++;
        buf_putc(&lx->text, *lx->at++);
    }
    if (lx->at == lx->end)
        bad(lx, "a string does not end");
    else
        lx->at++;
}

/* Behind "text:": the rest of that line, then lines up to a dot alone. */
static void read_multiline(struct lexer *lx)
{
    while (peek(lx, 0) == ' ' || peek(lx, 0) == '\t')
        lx->at++;
    if (peek(lx, 0) != '#' && !at_line_end(lx)) {
        bad(lx, "text: must end its line");
        return;
    }
    skip_line(lx);
    lx->kind = TOKEN_STRING;
    while (lx->at < lx->end) {
        if (*lx->at == '.') {
            lx->at++;
            if (at_line_end(lx) || lx->at == lx->end) {
                if (lx->at < lx->end)
                    skip_line(lx);
                return;
            }
            if (*lx->at != '.')
                buf_putc(&lx->text, '.'); /* as RFC 5228 2.4.2 lets a careless script have it */
        }
        while (lx->at < lx->end && !at_line_end(lx))
            buf_putc(&lx->text, *lx->at++);
        if (lx->at < lx->end)
            take_line_end(lx);
    }
    bad(lx, "a text: block does not end with a line that is a dot");
}

static void read_number(struct lexer *lx)
{
    static const struct {
        char suffix;
        unsigned shift;
    } units[] = {{'K', 10}, {'M', 20}, {'G', 30}};
    const char *start = lx->at;
    unsigned shift = 0;

    while (lx->at < lx->end && is_digit(*lx->at))
        lx->at++;
    lx->kind = TOKEN_NUMBER;
    if (str_parse_u64(start, (size_t)(lx->at - start), &lx->number) < 0)
        bad(lx, "a number is too large");
    for (size_t i = 0; i < 3 && lx->at < lx->end; i++)
        if (str_upper_c(*lx->at) == units[i].suffix)
            shift = units[i].shift;
    if (shift > 0)
        lx->at++;
    if (lx->number > UINT64_MAX >> shift)
        bad(lx, "a number is too large");
    lx->number <<= shift;
    if (lx->at < lx->end && is_name_start(*lx->at))
        bad(lx, "a number is followed by a letter that is not K, M or G");
}

void lexer_next(struct lexer *lx)
{
    int c;

    buf_reset(&lx->text);
    if (skip_blanks(lx) < 0) {
        lx->token_line = lx->line;
        bad(lx, "a comment does not end");
        return;
    }
    lx->token_line = lx->line;
    c = peek(lx, 0);
    if (c < 0) {
        lx->kind = TOKEN_END;
    } else if (c == '"') {
        read_quoted(lx);
    } else if (is_digit((char)c)) {
        read_number(lx);
    } else if (c == ':' && peek(lx, 1) >= 0 && is_name_start(lx->at[1])) {
        lx->at++;
        lx->kind = TOKEN_TAG;
        read_name(lx);
    } else if (is_name_start((char)c)) {
        lx->kind = TOKEN_IDENTIFIER;
        read_name(lx);
        if (peek(lx, 0) == ':' && str_ieq(buf_cstr(&lx->text), "text")) {
            lx->at++;
            buf_reset(&lx->text);
            read_multiline(lx);
        }
    } else if (c != 0 && strchr(";,(){}[]", c) != NULL) {
        lx->kind = TOKEN_MARK;
        lx->mark = (char)c;
        lx->at++;
    } else {
        lx->at++;
        bad(lx, "a character that belongs to nothing");
    }
}

void lexer_init(struct lexer *lx, const char *text, size_t n)
{
    *lx = (struct lexer){.at = text, .end = text + n, .line = 1};
    if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        lx->at += 3; /* a byte order mark, as editors leave it */
    lexer_next(lx);
}

void lexer_deinit(struct lexer *lx)
{
    buf_free(&lx->text);
}
