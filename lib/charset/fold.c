#include "lib/charset/fold.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/utf16.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/charset/utf8.h"

enum { FOLDED_UNITS = 64 /* the longest decomposition has 18 (U+FDFA) */ };

/* One code point by RFC 5051 2 (2): its simple title case, fully decomposed. */
static void fold_char(uint32_t c, struct buf *to)
{
    UErrorCode err = U_ZERO_ERROR;
    const UNormalizer2 *nfkd;
    UChar units[FOLDED_UNITS];
    UChar32 title = u_totitle((UChar32)c), part;
    int32_t n, i = 0;

    nfkd = unorm2_getNFKDInstance(&err);
    BUG_ON(U_FAILURE(err)); /* ICU's data is missing: a broken installation */
    n = unorm2_getDecomposition(nfkd, title, units, FOLDED_UNITS, &err);
    if (n < 0 || U_FAILURE(err)) {
        utf8_append(to, (uint32_t)title);
        return;
    }
    while (i < n) {
        U16_NEXT(units, i, n, part);
        utf8_append(to, (uint32_t)part);
    }
}

/* The folded form of what s[0..n) begins with; how many bytes that was.  s is not empty. */
static size_t fold_next(enum fold fold, const char *s, size_t n, struct buf *to)
{
    uint32_t c;
    size_t used;

    if (fold == FOLD_OCTET) {
        buf_putc(to, s[0]);
        return 1;
    }
    if (fold == FOLD_ASCII || (unsigned char)s[0] < 0x80) {
        buf_putc(to, str_upper_c(s[0]));
        return 1;
    }
    used = utf8_next(s, n, &c);
    fold_char(c, to);
    return used;
}

void fold_text(enum fold fold, const char *s, size_t n, struct buf *to)
{
    for (size_t i = 0; i < n;)
        i += fold_next(fold, s + i, n - i, to);
}

int fold_compare(enum fold fold, const char *a, size_t a_len, const char *b, size_t b_len)
{
    struct buf fa = BUF_INIT, fb = BUF_INIT;
    int r;

    fold_text(fold, a, a_len, &fa);
    fold_text(fold, b, b_len, &fb);
    r = memcmp(buf_cstr(&fa), buf_cstr(&fb), fa.len < fb.len ? fa.len : fb.len);
    if (r == 0)
        r = fa.len < fb.len ? -1 : fa.len > fb.len;
    buf_free(&fa);
    buf_free(&fb);
    return r;
}

/* ---- search: Knuth, Morris, Pratt over folded bytes, so that pieces need no overlap ---- */

struct searcher {
    enum fold fold;
    struct buf needle; /* folded */
    uint32_t *next;    /* next[i]: where to go on when needle[i] does not match */
    size_t at;         /* how much of the needle is matched */
    bool found;
    char held[4]; /* an unfinished character */
    size_t held_len;
    struct buf folded; /* of one character */
};

static uint32_t *failures(const struct buf *needle)
{
    uint32_t *next = xcalloc(needle->len + 1, sizeof(*next));
    size_t k = 0;

    for (size_t i = 1; i < needle->len; i++) {
        while (k > 0 && needle->data[i] != needle->data[k])
            k = next[k];
        if (needle->data[i] == needle->data[k])
            k++;
        next[i + 1] = (uint32_t)k;
    }
    return next;
}

struct searcher *searcher_new(enum fold fold, const char *needle, size_t n)
{
    struct searcher *s = xcalloc(1, sizeof(*s));

    s->fold = fold;
    fold_text(fold, needle, n, &s->needle);
    s->next = failures(&s->needle);
    searcher_reset(s);
    return s;
}

void searcher_free(struct searcher **s)
{
    if (*s == NULL)
        return;
    buf_free(&(*s)->needle);
    buf_free(&(*s)->folded);
    free((*s)->next);
    free(*s);
    *s = NULL;
}

void searcher_reset(struct searcher *s)
{
    s->at = 0;
    s->held_len = 0;
    s->found = s->needle.len == 0;
}

static inline void match_byte(struct searcher *s, char c)
{
    while (s->at > 0 && s->needle.data[s->at] != c)
        s->at = s->next[s->at];
    if (s->needle.data[s->at] == c)
        s->at++;
    if (s->at == s->needle.len) {
        s->found = true;
        s->at = s->next[s->at];
    }
}

/* Matches the character that t[0..n) begins with; how many bytes it has. */
static size_t match_next(struct searcher *s, const char *t, size_t n)
{
    size_t used;

    if (s->fold != FOLD_UNICODE || (unsigned char)t[0] < 0x80) {
        match_byte(s, s->fold == FOLD_OCTET ? t[0] : str_upper_c(t[0]));
        return 1;
    }
    buf_reset(&s->folded);
    used = fold_next(s->fold, t, n, &s->folded);
    for (size_t i = 0; i < s->folded.len && !s->found; i++)
        match_byte(s, s->folded.data[i]);
    return used;
}

/* Matches all whole characters; how many bytes they have. */
static size_t match_all(struct searcher *s, const char *t, size_t n)
{
    size_t i = 0;

    while (i < n && !s->found) {
        if (s->fold == FOLD_UNICODE && utf8_is_partial(t + i, n - i))
            break;
        i += match_next(s, t + i, n - i);
    }
    return i;
}

bool searcher_feed(struct searcher *s, const char *text, size_t n)
{
    while (s->held_len > 0 && n > 0 && !s->found) {
        size_t used;

        s->held[s->held_len++] = *text++;
        n--;
        used = match_all(s, s->held, s->held_len);
        memmove(s->held, s->held + used, s->held_len - used);
        s->held_len -= used;
    }
    if (n > 0 && !s->found) {
        size_t used = match_all(s, text, n);

        if (!s->found) {
            s->held_len = n - used;
            memcpy(s->held, text + used, s->held_len);
        }
    }
    return s->found;
}

bool searcher_find(struct searcher *s, const char *text, size_t n)
{
    bool found;

    searcher_reset(s);
    found = searcher_feed(s, text, n);
    searcher_reset(s);
    return found;
}
