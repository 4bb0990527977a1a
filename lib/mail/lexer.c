#include "lib/mail/lexer-private.h"

#include <string.h>

void mail_lexer_init(struct mail_lexer *lx, const char *s, size_t n)
{
    lx->at = s;
    lx->end = s + n;
    lx->no_quotes = false;
}

int mail_lexer_peek(const struct mail_lexer *lx)
{
    return lx->at < lx->end ? (unsigned char)*lx->at : -1;
}

static bool is_dropped(char c)
{
    return c == '\r' || c == '\n' || c == '\0';
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || is_dropped(c);
}

/* At a '(' : moves behind its ')'. */
static void skip_comment(struct mail_lexer *lx, struct buf *comment)
{
    unsigned depth = 0;

    if (comment != NULL)
        buf_reset(comment);
    for (; lx->at < lx->end; lx->at++) {
        char c = *lx->at;
        bool inside = depth > 0;

        if (c == '\\' && lx->at + 1 < lx->end)
            c = *++lx->at;
        else if (c == '(')
            depth++;
        else if (c == ')' && --depth == 0)
            break;
        if (comment != NULL && inside && !is_dropped(c))
            buf_putc(comment, c);
    }
    if (lx->at < lx->end)
        lx->at++;
}

bool mail_lexer_skip(struct mail_lexer *lx, struct buf *comment)
{
    const char *start = lx->at;

    while (lx->at < lx->end) {
        if (*lx->at == '(')
            skip_comment(lx, comment);
        else if (is_space(*lx->at))
            lx->at++;
        else
            break;
    }
    return lx->at > start;
}

/* The quote that closes the one at `at`, or NULL. */
static const char *closing_quote(const char *at, const char *end)
{
    for (at++; at < end; at++) {
        if (*at == '\\')
            at++;
        else if (*at == '"')
            return at;
    }
    return NULL;
}

bool mail_lexer_quoted(struct mail_lexer *lx, struct buf *to)
{
    const char *close;

    if (mail_lexer_peek(lx) != '"' || lx->no_quotes)
        return false;
    close = closing_quote(lx->at, lx->end);
    if (close == NULL) {
        lx->no_quotes = true;
        return false;
    }
    for (const char *p = lx->at + 1; p < close; p++) {
        if (*p == '\\')
            p++;
        if (!is_dropped(*p))
            buf_putc(to, *p);
    }
    lx->at = close + 1;
    return true;
}

bool mail_lexer_word(struct mail_lexer *lx, const char *stop, struct buf *to)
{
    const char *start = lx->at;

    while (lx->at < lx->end && !is_space(*lx->at) && strchr(stop, *lx->at) == NULL)
        lx->at++;
    buf_append(to, start, (size_t)(lx->at - start));
    return lx->at > start;
}
