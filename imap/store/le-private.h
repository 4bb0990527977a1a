/* le-private.h: little-endian numbers in bytes. */
#ifndef IMAP_STORE_LE_PRIVATE_H
#define IMAP_STORE_LE_PRIVATE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline void le_put16(unsigned char *to, uint16_t v)
{
    v = htole16(v);
    memcpy(to, &v, sizeof(v));
}

static inline void le_put32(unsigned char *to, uint32_t v)
{
    v = htole32(v);
    memcpy(to, &v, sizeof(v));
}

static inline void le_put64(unsigned char *to, uint64_t v)
{
    v = htole64(v);
    memcpy(to, &v, sizeof(v));
}

static inline uint16_t le_get16(const unsigned char *from)
{
    uint16_t v;

    memcpy(&v, from, sizeof(v));
    return le16toh(v);
}

static inline uint32_t le_get32(const unsigned char *from)
{
    uint32_t v;

    memcpy(&v, from, sizeof(v));
    return le32toh(v);
}

static inline uint64_t le_get64(const unsigned char *from)
{
    uint64_t v;

    memcpy(&v, from, sizeof(v));
    return le64toh(v);
}

#endif
