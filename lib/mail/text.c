#include "lib/mail/text.h"

#include <string.h>

#include "lib/base/str.h"
#include "lib/charset/words.h"
#include "lib/mail/lexer-private.h"

/* ---- base subject (RFC 5256 sections 2.1 and 5) ---- */

struct range {
    const char *at, *end;
};

static bool is_wsp(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\0';
}

static bool begins(const struct range *s, const char *prefix)
{
    size_t n = strlen(prefix);

    return (size_t)(s->end - s->at) >= n && str_ieq_n(s->at, prefix, n);
}

static void skip_wsp(struct range *s)
{
    while (s->at < s->end && *s->at == ' ')
        s->at++;
}

/* subj-blob */
static bool skip_blob(struct range *s)
{
    const char *p = s->at;

    if (p == s->end || *p != '[')
        return false;
    for (p++; p < s->end && *p != '[' && *p != ']'; p++)
        ;
    if (p == s->end || *p != ']')
        return false;
    s->at = p + 1;
    skip_wsp(s);
    return true;
}

/* subj-refwd */
static bool skip_refwd(struct range *s)
{
    struct range p = *s;

    if (begins(&p, "fwd"))
        p.at += 3;
    else if (begins(&p, "re") || begins(&p, "fw"))
        p.at += 2;
    else
        return false;
    skip_wsp(&p);
    skip_blob(&p);
    if (p.at == p.end || *p.at != ':')
        return false;
    s->at = p.at + 1;
    return true;
}

/* Steps 3 to 5.  Blobs that no subj-refwd follows go too, but for the last one where nothing follows. */
static bool strip_leaders(struct range *s)
{
    bool reply = false;

    for (;;) {
        struct range p, last;

        skip_wsp(s);
        p = last = *s;
        while (skip_blob(&p)) {
            if (p.at < p.end)
                last = p;
        }
        if (!skip_refwd(&p)) {
            *s = last;
            return reply;
        }
        *s = p;
        reply = true;
    }
}

/* Step 2. */
static bool strip_trailers(struct range *s)
{
    bool reply = false;

    for (;;) {
        while (s->end > s->at && s->end[-1] == ' ')
            s->end--;
        if (s->end - s->at < 5 || !str_ieq_n(s->end - 5, "(fwd)", 5))
            return reply;
        s->end -= 5;
        reply = true;
    }
}

/* Step 6. */
static bool strip_forward(struct range *s)
{
    if (s->end - s->at < 6 || !begins(s, "[fwd:") || s->end[-1] != ']')
        return false;
    s->at += 5;
    s->end--;
    return true;
}

/* Step 1. */
static void normalise(const char *subject, size_t n, struct buf *to)
{
    struct buf decoded = BUF_INIT;
    bool blank = false;

    words_decode(subject, n, &decoded);
    for (size_t i = 0; i < decoded.len; i++) {
        char c = is_wsp(decoded.data[i]) ? ' ' : decoded.data[i];

        if (c != ' ' || !blank)
            buf_putc(to, c);
        blank = c == ' ';
    }
    buf_free(&decoded);
}

void mail_base_subject(const char *subject, size_t n, struct buf *to, bool *is_reply_r)
{
    struct buf text = BUF_INIT;
    struct range s;
    bool reply = false, forward;

    normalise(subject, n, &text);
    s.at = buf_cstr(&text);
    s.end = s.at + text.len;
    do {
        reply |= strip_trailers(&s);
        reply |= strip_leaders(&s);
        forward = strip_forward(&s);
        reply |= forward;
    } while (forward);
    buf_append(to, s.at, (size_t)(s.end - s.at));
    buf_free(&text);
    if (is_reply_r != NULL)
        *is_reply_r = reply;
}

/* ---- message ids ---- */

/* Behind a '<': appends up to its '>' without blanks and quotes.  False, standing at the next '<' or the
 * end, when there is none. */
static bool read_id(struct mail_lexer *lx, struct buf *to)
{
    for (;;) {
        int c = mail_lexer_peek(lx);

        if (c < 0 || c == '<')
            return false;
        if (c == '>')
            break;
        if (c == '"' && mail_lexer_quoted(lx, to))
            continue;
        if (!is_wsp((char)c))
            buf_putc(to, (char)c);
        lx->at++;
    }
    lx->at++;
    return true;
}

/* The next id, with brackets, into `to`; false at the end. */
static bool next_id(struct mail_lexer *lx, struct buf *to)
{
    while (mail_lexer_peek(lx) >= 0) {
        mail_lexer_skip(lx, NULL);
        if (mail_lexer_peek(lx) != '<') {
            if (mail_lexer_peek(lx) >= 0)
                lx->at++;
            continue;
        }
        lx->at++;
        buf_reset(to);
        buf_putc(to, '<');
        if (read_id(lx, to) && to->len > 1) {
            buf_putc(to, '>');
            return true;
        }
    }
    return false;
}

static char **collect_ids(struct pool *pool, const char *value, size_t n, size_t max)
{
    char **ids = pool_alloc(pool, (max + 1) * sizeof(*ids));
    struct buf id = BUF_INIT;
    struct mail_lexer lx;
    size_t count = 0;

    mail_lexer_init(&lx, value, n);
    while (count < max && next_id(&lx, &id))
        ids[count++] = pool_memdup(pool, id.data, id.len);
    buf_free(&id);
    return ids;
}

char **mail_message_ids(struct pool *pool, const char *value, size_t n)
{
    size_t possible = n / 3 + 1; /* "<x>" */

    return collect_ids(pool, value, n, possible < MAIL_IDS_MAX ? possible : MAIL_IDS_MAX);
}

char *mail_message_id(struct pool *pool, const char *value, size_t n)
{
    return collect_ids(pool, value, n, 1)[0];
}
