/* value.c: the keys and values of the list's environment, byte by byte. */
#include <string.h>

#include "lib/base/digest.h"
#include "lib/mboxlist/mboxlist-private.h"

void key_name(struct buf *key, const char *name)
{
    size_t at = key->len;

    buf_puts(key, name);
    for (; at < key->len; at++)
        if (key->data[at] == '.')
            key->data[at] = KEY_SEPARATOR;
}

const char *key_to_name(struct pool *pool, const char *key, size_t len)
{
    char *name = pool_strndup(pool, key, len);

    for (char *p = name; *p != '\0'; p++)
        if (*p == KEY_SEPARATOR)
            *p = '.';
    return name;
}

void key_owner(struct buf *key, const char *identifier)
{
    unsigned char sha1[DIGEST_SHA1_SIZE];
    size_t len = strlen(identifier);

    if (len <= KEY_OWNER_MAX) {
        buf_append(key, identifier, len);
    } else {
        digest_sha1(identifier, len, sha1);
        buf_append(key, sha1, sizeof(sha1));
    }
    buf_putc(key, '\0');
}

static void put_number(struct buf *to, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        buf_putc(to, (char)(v >> (8 * i)));
}

void value_put_u8(struct buf *to, unsigned v)
{
    put_number(to, v, 1);
}

void value_put_u16(struct buf *to, unsigned v)
{
    put_number(to, v, 2);
}

void value_put_u32(struct buf *to, uint32_t v)
{
    put_number(to, v, 4);
}

void value_put_u64(struct buf *to, uint64_t v)
{
    put_number(to, v, 8);
}

void value_put_zeros(struct buf *to, size_t n)
{
    memset(buf_reserve(to, n), 0, n);
    buf_added(to, n);
}

void value_put_string(struct buf *to, const char *s)
{
    size_t len = s == NULL ? 0 : strlen(s);

    value_put_u32(to, (uint32_t)len);
    buf_append(to, s == NULL ? "" : s, len);
}

uint64_t value_get(struct value_reader *r, unsigned bytes)
{
    uint64_t v = 0;

    if (r->left < bytes) {
        r->bad = true;
        r->left = 0;
        return 0;
    }
    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)r->at[i] << (8 * i);
    r->at += bytes;
    r->left -= bytes;
    return v;
}

void value_skip(struct value_reader *r, size_t n)
{
    if (r->left < n) {
        r->bad = true;
        n = r->left;
    }
    r->at += n;
    r->left -= n;
}

const char *value_get_string(struct value_reader *r, struct pool *pool)
{
    size_t len = (size_t)value_get(r, 4);
    const char *s;

    if (r->left < len || memchr(r->at, '\0', len) != NULL) {
        r->bad = true;
        return "";
    }
    s = pool_strndup(pool, (const char *)r->at, len);
    value_skip(r, len);
    return s;
}
