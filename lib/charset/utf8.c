#include "lib/charset/utf8.h"

/* How many bytes a character has by its first, and what its second byte may be (RFC 3629 4). */
struct lead {
    unsigned length; /* 0: not a first byte */
    unsigned char low, high;
};

static struct lead lead_of(unsigned char c)
{
    if (c < 0x80)
        return (struct lead){1, 0, 0};
    if (c >= 0xc2 && c <= 0xdf)
        return (struct lead){2, 0x80, 0xbf};
    if (c >= 0xe0 && c <= 0xef)
        return (struct lead){3, c == 0xe0 ? 0xa0 : 0x80, c == 0xed ? 0x9f : 0xbf};
    if (c >= 0xf0 && c <= 0xf4)
        return (struct lead){4, c == 0xf0 ? 0x90 : 0x80, c == 0xf4 ? 0x8f : 0xbf};
    return (struct lead){0, 0, 0};
}

/* How many of the bytes at s belong to one character that starts there (0: none does). */
static unsigned valid_bytes(const unsigned char *s, size_t n, struct lead lead)
{
    unsigned i = 1;

    if (lead.length == 0)
        return 0;
    for (; i < lead.length && i < n; i++)
        if (s[i] < (i == 1 ? lead.low : 0x80) || s[i] > (i == 1 ? lead.high : 0xbf))
            break;
    return i;
}

void utf8_append(struct buf *to, uint32_t c)
{
    if (c < 0x80) {
        buf_putc(to, (char)c);
        return;
    }
    if (c < 0x800) {
        buf_putc(to, (char)(0xc0 | c >> 6));
    } else {
        if (c < 0x10000) {
            buf_putc(to, (char)(0xe0 | c >> 12));
        } else {
            buf_putc(to, (char)(0xf0 | c >> 18));
            buf_putc(to, (char)(0x80 | (c >> 12 & 0x3f)));
        }
        buf_putc(to, (char)(0x80 | (c >> 6 & 0x3f)));
    }
    buf_putc(to, (char)(0x80 | (c & 0x3f)));
}

size_t utf8_next(const char *s, size_t n, uint32_t *c_r)
{
    static const unsigned char mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    const unsigned char *u = (const unsigned char *)s;
    struct lead lead = lead_of(u[0]);

    if (lead.length == 0 || valid_bytes(u, n, lead) < lead.length) {
        *c_r = UTF8_REPLACEMENT;
        return 1;
    }
    *c_r = u[0] & mask[lead.length];
    for (unsigned i = 1; i < lead.length; i++)
        *c_r = *c_r << 6 | (u[i] & 0x3f);
    return lead.length;
}

int utf8_is_partial(const char *s, size_t n)
{
    struct lead lead = lead_of((unsigned char)s[0]);

    return lead.length > n && valid_bytes((const unsigned char *)s, n, lead) == n;
}
