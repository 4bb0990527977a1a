#include "lib/base/str.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"

char str_lower_c(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

char str_upper_c(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c;
}

void str_lower(char *s)
{
    for (; *s != '\0'; s++)
        *s = str_lower_c(*s);
}

bool str_ieq(const char *a, const char *b)
{
    for (; *a != '\0' && str_lower_c(*a) == str_lower_c(*b); a++, b++)
        ;
    return str_lower_c(*a) == str_lower_c(*b);
}

bool str_ieq_n(const char *a, const char *b, size_t n)
{
    for (; n > 0; n--, a++, b++) {
        if (str_lower_c(*a) != str_lower_c(*b))
            return false;
        if (*a == '\0')
            break;
    }
    return true;
}

bool str_has_prefix(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_has_iprefix(const char *s, const char *prefix)
{
    return str_ieq_n(s, prefix, strlen(prefix));
}

bool str_has_suffix(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);

    return n >= m && strcmp(s + n - m, suffix) == 0;
}

int str_parse_u64(const char *s, size_t n, uint64_t *value_r)
{
    uint64_t v = 0;

    if (n == 0)
        return ERR_SYNTAX;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return ERR_SYNTAX;
        if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s[i] - '0'), &v))
            return ERR_TOOBIG;
    }
    *value_r = v;
    return 0;
}

int str_parse_u32(const char *s, size_t n, uint32_t *value_r)
{
    uint64_t v;
    int r = str_parse_u64(s, n, &v);

    if (r < 0)
        return r;
    if (v > UINT32_MAX)
        return ERR_TOOBIG;
    *value_r = (uint32_t)v;
    return 0;
}

struct str_list str_split(struct pool *pool, const char *s, const char *separators)
{
    char *copy = pool_strdup(pool, s);
    struct str_list list = {.items = NULL, .count = 0};
    char *save = NULL;

    list.items = pool_alloc(pool, (strlen(s) / 2 + 2) * sizeof(char *));
    for (char *w = strtok_r(copy, separators, &save); w != NULL; w = strtok_r(NULL, separators, &save))
        list.items[list.count++] = w;
    return list;
}

bool str_list_has(const struct str_list *list, const char *s)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], s) == 0)
            return true;
    }
    return false;
}

bool str_secret_eq(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    unsigned char diff = n != m;

    for (size_t i = 0; i < n; i++)
        diff |= (unsigned char)(a[i] ^ b[m ? i % m : 0]);
    return diff == 0;
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void str_base64_encode(struct buf *to, const void *data, size_t n)
{
    const unsigned char *p = data;

    for (; n > 0; p += 3) {
        size_t k = n < 3 ? n : 3;
        uint32_t v = (uint32_t)p[0] << 16 | (k > 1 ? (uint32_t)p[1] << 8 : 0) | (k > 2 ? p[2] : 0u);

        buf_putc(to, base64_digits[v >> 18]);
        buf_putc(to, base64_digits[v >> 12 & 63]);
        buf_putc(to, k > 1 ? base64_digits[v >> 6 & 63] : '=');
        buf_putc(to, k > 2 ? base64_digits[v & 63] : '=');
        n -= k;
    }
}

static int base64_value(char c)
{
    const char *p = c != '\0' ? strchr(base64_digits, c) : NULL;

    return p != NULL ? (int)(p - base64_digits) : -1;
}

/* One group of four; `last` allows padding.  Bytes written, or -1. */
static int base64_group(const char *s, bool last, unsigned char out[3])
{
    int pad = last && s[3] == '=' ? (s[2] == '=' ? 2 : 1) : 0;
    uint32_t v = 0;

    for (int i = 0; i < 4; i++) {
        int d = i >= 4 - pad ? 0 : base64_value(s[i]);

        if (d < 0)
            return -1;
        v = v << 6 | (uint32_t)d;
    }
    if ((pad == 1 && (v & 0xff) != 0) || (pad == 2 && (v & 0xffff) != 0))
        return -1;
    out[0] = (unsigned char)(v >> 16);
    out[1] = (unsigned char)(v >> 8);
    out[2] = (unsigned char)v;
    return 3 - pad;
}

int str_base64_decode(struct buf *to, const char *s, size_t n)
{
    size_t before = to->len;

    if (n % 4 != 0)
        return ERR_SYNTAX;
    for (size_t i = 0; i < n; i += 4) {
        unsigned char out[3];
        int k = base64_group(s + i, i + 4 == n, out);

        if (k < 0) {
            buf_truncate(to, before);
            return ERR_SYNTAX;
        }
        buf_append(to, out, (size_t)k);
    }
    return 0;
}

void str_hex(char *to, const void *data, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = data;

    for (size_t i = 0; i < n; i++) {
        *to++ = digits[p[i] >> 4];
        *to++ = digits[p[i] & 15];
    }
    *to = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = str_lower_c(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int str_unhex(void *to, const char *s, size_t n)
{
    unsigned char *p = to;

    for (size_t i = 0; i < n; i++) {
        int high = hex_value(s[2 * i]);
        int low = high < 0 ? -1 : hex_value(s[2 * i + 1]);

        if (low < 0)
            return ERR_SYNTAX;
        p[i] = (unsigned char)(high << 4 | low);
    }
    return 0;
}

bool str_copy(char *to, size_t size, const char *from)
{
    size_t n = strlen(from);
    bool fits = n < size;

    BUG_ON(size == 0);
    if (!fits)
        n = size - 1;
    memcpy(to, from, n);
    to[n] = '\0';
    return fits;
}

/* Length of the well-formed sequence at p (n > 0 bytes there), or 0. */
static size_t utf8_sequence(const unsigned char *p, size_t n)
{
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

    if (len == 0 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

bool str_is_ascii(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)s[i] >= 0x80)
            return false;
    }
    return true;
}

bool str_is_utf8(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;

    while (n > 0) {
        size_t k = utf8_sequence(p, n);

        if (k == 0)
            return false;
        p += k;
        n -= k;
    }
    return true;
}
