/* pack.h: the fields of stored values: little-endian numbers, strings as a 32-bit length and the bytes. */
#ifndef LIB_DB_PACK_H
#define LIB_DB_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/pool.h"

/* Each appends. */
void pack_u8(struct buf *to, unsigned v);
void pack_u16(struct buf *to, unsigned v);
void pack_u32(struct buf *to, uint32_t v);
void pack_u64(struct buf *to, uint64_t v);
void pack_zeros(struct buf *to, size_t n);       /* reserved room */
void pack_string(struct buf *to, const char *s); /* NULL as "" */

/* Reading: what is not there is 0 or "" and makes the whole bad, which is looked at once, at the end. */
struct packed {
    const unsigned char *at;
    size_t left;
    bool bad;
};
uint64_t unpack(struct packed *p, unsigned bytes); /* a number of 1 to 8 bytes */
void unpack_skip(struct packed *p, size_t n);
const char *unpack_string(struct packed *p, struct pool *pool); /* a copy; bad when it has a NUL */

#endif
