#include "lib/sieve/strings-private.h"

#include <string.h>

#include "lib/base/str.h"
#include "lib/charset/utf8.h"

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c = str_lower_c(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* ---- encoded characters ---- */

/* A hex number of at most `most` digits: moves *s behind it.  -1: none, or it is too long. */
static long read_hex(const char **s, const char *end, unsigned most)
{
    long value = 0;
    unsigned digits = 0;

    for (; *s < end && hex_value(**s) >= 0; (*s)++) {
        if (digits > 0 || value > 0 || **s != '0')
            digits++;
        if (digits > most)
            return -1;
        value = 16 * value + hex_value(**s);
    }
    return value;
}

/* At "${hex:" or "${unicode:": appends what it stands for and returns what is behind it, or NULL when it is none; then
 * it stays as it is.  *why: it is one, and wrong. */
static const char *decode_one(const char *s, const char *end, struct buf *to, const char **why)
{
    bool unicode = (size_t)(end - s) > 10 && str_ieq_n(s, "${unicode:", 10);
    size_t before = to->len;
    bool any = false;

    if (!unicode && !((size_t)(end - s) > 6 && str_ieq_n(s, "${hex:", 6)))
        return NULL;
    s += unicode ? 10 : 6;
    for (;;) {
        const char *start;
        long value;

        while (s < end && is_blank(*s))
            s++;
        if (s < end && *s == '}' && any)
            return s + 1;
        start = s;
        value = read_hex(&s, end, unicode ? 6 : 2);
        if (s == start || s == end || value < 0 || (!is_blank(*s) && *s != '}') ||
            (!unicode && s - start > 2)) {
            buf_truncate(to, before);
            return NULL;
        }
        if (unicode && (value > 0x10ffff || (value >= 0xd800 && value < 0xe000)))
            *why = "${unicode:} names no character of Unicode";
        else if (value == 0)
            *why = "an encoded character is a NUL";
        else if (unicode)
            utf8_append(to, (uint32_t)value);
        else
            buf_putc(to, (char)value);
        any = true;
    }
}

const char *strings_decode_characters(struct pool *pool, struct sieve_string *s)
{
    const char *at = s->data, *end = s->data + s->len, *why = NULL;
    struct buf text = BUF_INIT;

    if (memmem(s->data, s->len, "${", 2) == NULL)
        return NULL;
    while (at < end) {
        const char *behind = *at == '$' ? decode_one(at, end, &text, &why) : NULL;

        if (behind == NULL)
            buf_putc(&text, *at++);
        else
            at = behind;
    }
    if (why == NULL && !str_is_utf8(buf_cstr(&text), text.len))
        why = "encoded characters give no UTF-8";
    if (why == NULL)
        *s = (struct sieve_string){pool_memdup(pool, buf_cstr(&text), text.len + 1), text.len};
    buf_free(&text);
    return why;
}

/* ---- variables ---- */

bool strings_is_name(const char *s, size_t n)
{
    if (n == 0 || n > 64 || !is_letter(*s))
        return false;
    for (size_t i = 1; i < n; i++)
        if (!is_letter(s[i]) && !is_digit(s[i]))
            return false;
    return true;
}

/* "1", "name", or "space.name" (more than one space: RFC 5229 3). */
static bool is_reference(const char *s, size_t n)
{
    size_t digits = 0;

    while (digits < n && is_digit(s[digits]))
        digits++;
    if (digits == n)
        return n > 0 && n <= 64;
    for (size_t part; n > 0; s += part + 1, n -= part + 1) {
        const char *dot = memchr(s, '.', n);

        part = dot != NULL ? (size_t)(dot - s) : n;
        if (!strings_is_name(s, part))
            return false;
        if (part == n)
            return true;
    }
    return false;
}

bool strings_next_variable(const struct sieve_string *s, size_t *at, size_t *begin_r, const char **name_r,
                           size_t *n_r)
{
    while (*at < s->len) {
        const char *begin = memmem(s->data + *at, s->len - *at, "${", 2), *close;

        if (begin == NULL)
            return false;
        *begin_r = (size_t)(begin - s->data);
        *name_r = begin + 2;
        close = memchr(*name_r, '}', s->len - *begin_r - 2);
        if (close == NULL)
            return false;
        *n_r = (size_t)(close - *name_r);
        if (is_reference(*name_r, *n_r)) {
            *at = *begin_r + *n_r + 3;
            return true;
        }
        *at = *begin_r + 2;
    }
    return false;
}

bool strings_has_variable(const struct sieve_string *s)
{
    size_t at = 0, begin, n;
    const char *name;

    return strings_next_variable(s, &at, &begin, &name, &n);
}
