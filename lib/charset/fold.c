#include "lib/charset/fold.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>
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

bool fold_is_nfc(const char *s, size_t n)
{
    UErrorCode err = U_ZERO_ERROR;
    const UNormalizer2 *nfc = unorm2_getNFCInstance(&err);
    UChar *units = xreallocarray(NULL, n + 1, sizeof(*units)); /* no character has more units than bytes */
    int32_t len = 0;
    bool is;

    BUG_ON(U_FAILURE(err) || n >= INT32_MAX);
    u_strFromUTF8(units, (int32_t)n + 1, &len, s, (int32_t)n, &err);
    is = unorm2_isNormalized(nfc, units, len, &err) && U_SUCCESS(err);
    free(units);
    return is;
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

enum { KNOWN = 256, KNOWN_BYTES = 11 };

/* What a character beyond ASCII folds to, as found before. */
struct known {
    uint32_t c; /* 0: nothing is known */
    unsigned char len;
    char bytes[KNOWN_BYTES];
};

struct searcher {
    enum fold fold;
    struct buf needle; /* folded */
    uint32_t *next;    /* next[i]: where to go on when needle[i] does not match */
    size_t at;         /* how much of the needle is matched */
    bool found;
    char held[4]; /* an unfinished character */
    size_t held_len;
    struct buf folded;       /* of one character */
    struct known *known;     /* KNOWN of them, by the character's low bits; NULL until one is met */
    unsigned char first[2];  /* the bytes that the needle's first may be in the text, */
    unsigned char second[2]; /* and its second */
    bool begins[256];        /* may a match begin with this byte? */
};

/* The bytes of plain text that fold to c. */
static void unfold(enum fold fold, unsigned char c, unsigned char bytes_r[2])
{
    bytes_r[0] = bytes_r[1] = c;
    if (fold != FOLD_OCTET && c >= 'A' && c <= 'Z')
        bytes_r[1] = (unsigned char)(c + ('a' - 'A'));
}

/* What skip() compares with.  A character beyond ASCII may fold to anything. */
static void prepare_skip(struct searcher *s)
{
    if (s->needle.len == 0)
        return;
    unfold(s->fold, (unsigned char)s->needle.data[0], s->first);
    unfold(s->fold, (unsigned char)s->needle.data[s->needle.len > 1], s->second);
    s->begins[s->first[0]] = s->begins[s->first[1]] = true;
    for (unsigned c = 0x80; c < 0x100 && s->fold == FOLD_UNICODE; c++)
        s->begins[c] = true;
}

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
    prepare_skip(s);
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
    free((*s)->known);
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

/* The folded form of a character beyond ASCII: valid until the next call. */
static const char *fold_known(struct searcher *s, uint32_t c, size_t *len_r)
{
    struct known *known;

    if (s->known == NULL)
        s->known = xcalloc(KNOWN, sizeof(*s->known));
    known = &s->known[c % KNOWN];
    if (known->c != c) {
        buf_reset(&s->folded);
        fold_char(c, &s->folded);
        if (s->folded.len > KNOWN_BYTES) {
            *len_r = s->folded.len;
            return s->folded.data;
        }
        known->c = c;
        known->len = (unsigned char)s->folded.len;
        memcpy(known->bytes, s->folded.data, s->folded.len);
    }
    *len_r = known->len;
    return known->bytes;
}

/* Matches the character that t[0..n) begins with; how many bytes it has. */
static size_t match_next(struct searcher *s, const char *t, size_t n)
{
    const char *folded;
    size_t used, len;
    uint32_t c;

    if (s->fold != FOLD_UNICODE || (unsigned char)t[0] < 0x80) {
        match_byte(s, s->fold == FOLD_OCTET ? t[0] : str_upper_c(t[0]));
        return 1;
    }
    used = utf8_next(t, n, &c);
    folded = fold_known(s, c, &len);
    for (size_t i = 0; i < len && !s->found; i++)
        match_byte(s, folded[i]);
    return used;
}

#ifdef __SSE2__
/* Which of 16 bytes are one of the two? */
static inline unsigned either(__m128i v, const unsigned char bytes[2])
{
    __m128i a = _mm_cmpeq_epi8(v, _mm_set1_epi8((char)bytes[0]));
    __m128i b = _mm_cmpeq_epi8(v, _mm_set1_epi8((char)bytes[1]));

    return (unsigned)_mm_movemask_epi8(_mm_or_si128(a, b));
}

/* How many bytes of t[0..n) lie before the first place where a match may begin, 16 at a time: two bytes must fit, or
 * one be beyond ASCII.  What is left at the end is the caller's. */
static size_t skip_blocks(const struct searcher *s, const char *t, size_t n)
{
    unsigned single = s->needle.len == 1 ? 0xffff : 0, wide = s->fold == FOLD_UNICODE ? 0xffff : 0;
    size_t i = 0;

    for (; n - i > 16; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(t + i));
        __m128i w = _mm_loadu_si128((const __m128i *)(const void *)(t + i + 1));
        unsigned high = (unsigned)_mm_movemask_epi8(v) & wide;
        unsigned next = either(w, s->second) | ((unsigned)_mm_movemask_epi8(w) & wide) | single;
        unsigned places = (either(v, s->first) & next) | high;

        if (places != 0)
            return i + (unsigned)__builtin_ctz(places);
    }
    return i;
}
#endif

/* How many bytes of t[0..n) cannot begin a match, nothing being matched yet. */
static size_t skip(const struct searcher *s, const char *t, size_t n)
{
    size_t i = 0;

#ifdef __SSE2__
    i = skip_blocks(s, t, n);
#endif
    while (i < n && !s->begins[(unsigned char)t[i]])
        i++;
    return i;
}

/* Matches all whole characters; how many bytes they have. */
static size_t match_all(struct searcher *s, const char *t, size_t n)
{
    size_t i = 0;

    while (i < n && !s->found) {
        if (s->at == 0 && (i += skip(s, t + i, n - i)) == n)
            break;
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
