#include "lib/charset/decode.h"

#include <string.h>

#include "lib/base/str.h"

enum decode_encoding decode_by_name(const char *name)
{
    static const struct {
        const char *name;
        enum decode_encoding encoding;
    } names[] = {
        {"", DECODE_IDENTITY},       {"7bit", DECODE_IDENTITY}, {"8bit", DECODE_IDENTITY},
        {"binary", DECODE_IDENTITY}, {"base64", DECODE_BASE64}, {"quoted-printable", DECODE_QUOTED_PRINTABLE},
    };

    if (name == NULL)
        return DECODE_IDENTITY;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (str_ieq(name, names[i].name))
            return names[i].encoding;
    return DECODE_UNKNOWN;
}

bool decode_is_uuencode(const char *name)
{
    return str_ieq(name, "x-uuencode") || str_ieq(name, "uuencode") || str_ieq(name, "x-uue");
}

void decoder_init(struct decoder *d, enum decode_encoding encoding)
{
    memset(d, 0, sizeof(*d));
    d->encoding = encoding;
}

/* ---- base64 ---- */

enum { NO_DIGIT = -1, BLANK = -2, PADDING = -3 };

static int digit_of(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    if (c == '/')
        return 63;
    if (c == '=')
        return PADDING;
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' ? BLANK : NO_DIGIT;
}

/* Padding, or the end, in the middle of a group: the whole bytes collected so far. */
static void end_group(struct decoder *d, struct buf *to)
{
    if (d->count >= 2)
        buf_putc(to, (char)(d->bits >> (d->count * 6 - 8)));
    if (d->count == 3)
        buf_putc(to, (char)(d->bits >> 2));
    if (d->count == 1)
        d->malformed = true;
    d->count = 0;
    d->bits = 0;
}

static void feed_base64(struct decoder *d, const char *data, size_t n, struct buf *to)
{
    char *out = buf_reserve(to, n / 4 * 3 + 6);
    size_t have = 0;

    for (size_t i = 0; i < n; i++) {
        int v = digit_of((unsigned char)data[i]);

        if (v >= 0) {
            d->bits = d->bits << 6 | (uint32_t)v;
            if (++d->count < 4)
                continue;
            out[have++] = (char)(d->bits >> 16);
            out[have++] = (char)(d->bits >> 8);
            out[have++] = (char)d->bits;
            d->bits = d->count = 0;
        } else if (v == PADDING) {
            /* what was reserved is enough: a group cut short gives fewer bytes */
            buf_added(to, have);
            have = 0;
            end_group(d, to);
            out = buf_reserve(to, (n - i) / 4 * 3 + 6);
        } else if (v == NO_DIGIT) {
            d->malformed = true;
        }
    }
    buf_added(to, have);
}

/* ---- quoted-printable (RFC 2045 6.7) ---- */

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = str_upper_c(c);
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void hold(struct decoder *d, char c, struct buf *to)
{
    if (d->count == sizeof(d->held)) {
        buf_append(to, d->held, d->count);
        d->count = 0;
    }
    d->held[d->count++] = c;
}

static void release(struct decoder *d, struct buf *to)
{
    buf_append(to, d->held, d->count);
    d->count = 0;
}

/* A character behind a held '='.  True when it has been dealt with. */
static bool after_equals(struct decoder *d, char c, struct buf *to)
{
    if (d->count == 2 && hex_of(d->held[1]) >= 0) {
        if (hex_of(c) < 0)
            return false;
        buf_putc(to, (char)(hex_of(d->held[1]) << 4 | hex_of(c)));
        d->count = 0;
        return true;
    }
    if (c == '\n') { /* a soft line break */
        d->count = 0;
        return true;
    }
    if (is_blank(c) || c == '\r' || (d->count == 1 && hex_of(c) >= 0)) {
        hold(d, c, to);
        return true;
    }
    return false;
}

static void feed_quoted(struct decoder *d, char c, struct buf *to)
{
    if (d->count > 0 && d->held[0] == '=') {
        if (after_equals(d, c, to))
            return;
        release(d, to);
    }
    if (c == '=') {
        release(d, to);
        hold(d, c, to);
    } else if (is_blank(c)) {
        hold(d, c, to);
    } else {
        if (c == '\r' || c == '\n') /* blanks at the end of a line were added on the way */
            d->count = 0;
        release(d, to);
        buf_putc(to, c);
    }
}

/* ---- uuencode ---- */

enum { BEFORE, INSIDE, BEHIND }; /* decoder.bits */

/* The six bits of the character at `i` of a line; blanks at its end may have been lost on the way. */
static unsigned sextet(struct decoder *d, size_t i)
{
    unsigned char c = i < d->count ? (unsigned char)d->held[i] : ' ';

    d->malformed = d->malformed || c < ' ' || c > '`';
    return (c - ' ') & 0x3f;
}

/* Its first character says how many bytes there are in the line. */
static void decode_line(struct decoder *d, struct buf *to)
{
    unsigned n = sextet(d, 0);

    for (size_t at = 1; n > 0; at += 4) {
        uint32_t group =
            sextet(d, at) << 18 | sextet(d, at + 1) << 12 | sextet(d, at + 2) << 6 | sextet(d, at + 3);

        for (int shift = 16; shift >= 0 && n > 0; shift -= 8, n--)
            buf_putc(to, (char)(group >> shift));
    }
}

static void end_line(struct decoder *d, struct buf *to)
{
    if (d->count > 0 && d->held[d->count - 1] == '\r')
        d->count--;
    if (d->bits == BEFORE && d->count >= 6 && memcmp(d->held, "begin ", 6) == 0)
        d->bits = INSIDE;
    else if (d->bits == INSIDE && d->count == 3 && memcmp(d->held, "end", 3) == 0)
        d->bits = BEHIND;
    else if (d->bits == INSIDE && d->count > 0)
        decode_line(d, to);
    d->count = 0;
}

static void feed_uuencode(struct decoder *d, char c, struct buf *to)
{
    if (c == '\n')
        end_line(d, to);
    else if (d->count < sizeof(d->held)) /* which is more than a line can say */
        d->held[d->count++] = c;
}

void decoder_feed(struct decoder *d, const char *data, size_t n, struct buf *to)
{
    switch (d->encoding) {
    case DECODE_BASE64:
        feed_base64(d, data, n, to);
        break;
    case DECODE_QUOTED_PRINTABLE:
        for (size_t i = 0; i < n; i++)
            feed_quoted(d, data[i], to);
        break;
    case DECODE_UUENCODE:
        for (size_t i = 0; i < n; i++)
            feed_uuencode(d, data[i], to);
        break;
    case DECODE_IDENTITY:
    case DECODE_UNKNOWN:
        buf_append(to, data, n);
        break;
    }
}

void decoder_finish(struct decoder *d, struct buf *to, bool *clean_r)
{
    if (d->encoding == DECODE_BASE64)
        end_group(d, to);
    else if (d->encoding == DECODE_UUENCODE)
        end_line(d, to);
    /* blanks and a soft line break at the very end vanish; half a =XX stays */
    else if (d->count == 2 && d->held[0] == '=' && hex_of(d->held[1]) >= 0)
        release(d, to);
    if (clean_r != NULL)
        *clean_r = !d->malformed && d->encoding != DECODE_UNKNOWN &&
                   (d->encoding != DECODE_UUENCODE || d->bits == BEHIND);
    decoder_init(d, d->encoding);
}
