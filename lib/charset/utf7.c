#include "lib/charset/utf7.h"

#include <stdint.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/charset/utf8.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static bool is_printable(uint32_t c)
{
    return c >= 0x20 && c <= 0x7e;
}

/* The value of a modified base64 character, or -1. */
static int digit_value(char c)
{
    const char *at = c != '\0' ? strchr(alphabet, c) : NULL;

    return at != NULL ? (int)(at - alphabet) : -1;
}

/* UTF-16 units to characters. */
struct pairing {
    uint32_t high; /* a high surrogate that waits for its other half, or 0 */
    size_t chars;
};

static int add_unit(struct pairing *p, uint32_t unit, struct buf *to)
{
    uint32_t c = unit;

    if (p->high != 0) {
        if (unit < 0xdc00 || unit > 0xdfff)
            return ERR_SYNTAX;
        c = 0x10000 + ((p->high - 0xd800) << 10) + (unit - 0xdc00);
        p->high = 0;
    } else if (unit >= 0xd800 && unit <= 0xdbff) {
        p->high = unit;
        return 0;
    } else if (unit >= 0xdc00 && unit <= 0xdfff) {
        return ERR_SYNTAX;
    }
    if (c == 0 || is_printable(c))
        return ERR_SYNTAX;
    utf8_append(to, c);
    p->chars++;
    return 0;
}

/* Decodes what stands between '&' and '-'; returns the number of characters taken, the '-' included, or
 * ERR_SYNTAX. */
static int decode_shift(const char *s, size_t n, struct buf *to)
{
    struct pairing pairing = {0, 0};
    uint32_t bits = 0;
    unsigned count = 0;
    size_t i;

    for (i = 0; i < n && s[i] != '-'; i++) {
        int v = digit_value(s[i]);

        if (v < 0)
            return ERR_SYNTAX;
        bits = (bits << 6 | (uint32_t)v) & 0x3fffff;
        count += 6;
        if (count >= 16) {
            count -= 16;
            if (add_unit(&pairing, bits >> count & 0xffff, to) != 0)
                return ERR_SYNTAX;
        }
    }
    if (i == n || pairing.chars == 0 || pairing.high != 0 || count >= 6 || (bits & ((1u << count) - 1)) != 0)
        return ERR_SYNTAX;
    /* a second shift right behind would be superfluous */
    if (i + 2 < n && s[i + 1] == '&' && s[i + 2] != '-')
        return ERR_SYNTAX;
    return (int)i + 1;
}

static int decode(const char *s, size_t n, struct buf *to)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_printable((unsigned char)s[i]))
            return ERR_SYNTAX;
        if (s[i] != '&') {
            buf_putc(to, s[i]);
        } else if (i + 1 < n && s[i + 1] == '-') {
            buf_putc(to, '&');
            i++;
        } else {
            int taken = decode_shift(s + i + 1, n - i - 1, to);

            if (taken < 0)
                return taken;
            i += (size_t)taken;
        }
    }
    return 0;
}

int utf7_to_utf8(const char *s, size_t n, struct buf *to)
{
    size_t before = to->len;
    int r = decode(s, n, to);

    if (r != 0)
        buf_truncate(to, before);
    return r;
}

bool utf7_is_valid(const char *s, size_t n)
{
    struct buf b = BUF_INIT;
    int r = utf7_to_utf8(s, n, &b);

    buf_free(&b);
    return r == 0;
}

/* An open shift of the encoder. */
struct shift {
    bool open;
    uint32_t bits;
    unsigned count;
};

static void put_unit(struct shift *shift, uint32_t unit, struct buf *to)
{
    if (!shift->open) {
        buf_putc(to, '&');
        *shift = (struct shift){.open = true};
    }
    shift->bits = (shift->bits & 0x3f) << 16 | unit;
    for (shift->count += 16; shift->count >= 6; shift->count -= 6)
        buf_putc(to, alphabet[shift->bits >> (shift->count - 6) & 0x3f]);
}

static void close_shift(struct shift *shift, struct buf *to)
{
    if (!shift->open)
        return;
    if (shift->count > 0)
        buf_putc(to, alphabet[shift->bits << (6 - shift->count) & 0x3f]);
    buf_putc(to, '-');
    shift->open = false;
}

static void encode_char(struct shift *shift, uint32_t c, struct buf *to)
{
    if (is_printable(c)) {
        close_shift(shift, to);
        buf_putc(to, (char)c);
        if (c == '&')
            buf_putc(to, '-');
    } else if (c >= 0x10000) {
        put_unit(shift, 0xd800 + ((c - 0x10000) >> 10), to);
        put_unit(shift, 0xdc00 + ((c - 0x10000) & 0x3ff), to);
    } else {
        put_unit(shift, c, to);
    }
}

int utf7_from_utf8(const char *s, size_t n, struct buf *to)
{
    struct shift shift = {false, 0, 0};

    if (!str_is_utf8(s, n) || memchr(s, '\0', n) != NULL)
        return ERR_SYNTAX;
    for (size_t i = 0; i < n;) {
        uint32_t c;

        i += utf8_next(s + i, n - i, &c);
        encode_char(&shift, c, to);
    }
    close_shift(&shift, to);
    return 0;
}
