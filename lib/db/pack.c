/* pack.c: stored values, byte by byte. */
#include "lib/db/pack.h"

#include <string.h>

static void put_number(struct buf *to, uint64_t v, unsigned bytes)
{
    char *at = buf_reserve(to, bytes);

    for (unsigned i = 0; i < bytes; i++)
        at[i] = (char)(v >> (8 * i));
    buf_added(to, bytes);
}

void pack_u8(struct buf *to, unsigned v)
{
    put_number(to, v, 1);
}

void pack_u16(struct buf *to, unsigned v)
{
    put_number(to, v, 2);
}

void pack_u32(struct buf *to, uint32_t v)
{
    put_number(to, v, 4);
}

void pack_u64(struct buf *to, uint64_t v)
{
    put_number(to, v, 8);
}

void pack_zeros(struct buf *to, size_t n)
{
    memset(buf_reserve(to, n), 0, n);
    buf_added(to, n);
}

void pack_string(struct buf *to, const char *s)
{
    size_t len = s == NULL ? 0 : strlen(s);

    pack_u32(to, (uint32_t)len);
    buf_append(to, s == NULL ? "" : s, len);
}

uint64_t unpack(struct packed *r, unsigned bytes)
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

void unpack_skip(struct packed *r, size_t n)
{
    if (r->left < n) {
        r->bad = true;
        n = r->left;
    }
    r->at += n;
    r->left -= n;
}

const char *unpack_string(struct packed *r, struct pool *pool)
{
    size_t len = (size_t)unpack(r, 4);
    const char *s;

    if (r->left < len || memchr(r->at, '\0', len) != NULL) {
        r->bad = true;
        return "";
    }
    s = pool_memdup(pool, r->at, len);
    unpack_skip(r, len);
    return s;
}
