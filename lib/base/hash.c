#include "lib/base/hash.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/digest.h"
#include "lib/base/mem.h"

struct entry {
    struct entry *next;
    uint64_t hash;
    void *value;
    char key[];
};

struct hash {
    struct entry **buckets; /* a power of two of them */
    size_t size, count;
    uint64_t seed[2]; /* so that no peer can aim keys at one bucket */
    void (*free_value)(void *value);
};

enum { FIRST_SIZE = 16 };

static uint64_t rotate(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

/* SipHash-1-3 (Aumasson, Bernstein). */
uint64_t hash_bytes(const uint64_t seed[2], const char *s, size_t n)
{
    uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575u, seed[1] ^ 0x646f72616e646f6du,
                     seed[0] ^ 0x6c7967656e657261u, seed[1] ^ 0x7465646279746573u};
    uint64_t m;

    for (size_t i = 0; i <= n / 8; i++) {
        size_t left = n - i * 8;

        m = 0;
        memcpy(&m, s + i * 8, left < 8 ? left : 8);
        if (left < 8)
            m |= (uint64_t)n << 56;
        v[3] ^= m;
        sip_round(v);
        v[0] ^= m;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct hash *hash_new(void (*free_value)(void *value))
{
    struct hash *h = xcalloc(1, sizeof(*h));

    h->size = FIRST_SIZE;
    h->buckets = xcalloc(h->size, sizeof(struct entry *));
    h->free_value = free_value;
    digest_random(h->seed, sizeof(h->seed));
    return h;
}

static void free_entry(const struct hash *h, struct entry *e)
{
    if (h->free_value != NULL)
        h->free_value(e->value);
    free(e);
}

void hash_free(struct hash **hp)
{
    struct hash *h = *hp;

    if (h == NULL)
        return;
    for (size_t i = 0; i < h->size; i++) {
        for (struct entry *e = h->buckets[i], *next; e != NULL; e = next) {
            next = e->next;
            free_entry(h, e);
        }
    }
    free(h->buckets);
    free(h);
    *hp = NULL;
}

/* Where the entry of that key hangs, or where it would. */
static struct entry **find(const struct hash *h, const char *key, uint64_t hash)
{
    struct entry **e = &h->buckets[hash & (h->size - 1)];

    while (*e != NULL && ((*e)->hash != hash || strcmp((*e)->key, key) != 0))
        e = &(*e)->next;
    return e;
}

static uint64_t hash_of(const struct hash *h, const char *key)
{
    return hash_bytes(h->seed, key, strlen(key));
}

void *hash_get(const struct hash *h, const char *key)
{
    struct entry *e = *find(h, key, hash_of(h, key));

    return e != NULL ? e->value : NULL;
}

static void grow(struct hash *h)
{
    size_t size = h->size * 2;
    struct entry **buckets = xcalloc(size, sizeof(struct entry *));

    for (size_t i = 0; i < h->size; i++) {
        for (struct entry *e = h->buckets[i], *next; e != NULL; e = next) {
            next = e->next;
            e->next = buckets[e->hash & (size - 1)];
            buckets[e->hash & (size - 1)] = e;
        }
    }
    free(h->buckets);
    h->buckets = buckets;
    h->size = size;
}

void hash_set(struct hash *h, const char *key, void *value)
{
    uint64_t hash = hash_of(h, key);
    struct entry **at = find(h, key, hash), *e = *at;
    size_t n = strlen(key) + 1;

    if (e != NULL) {
        if (h->free_value != NULL && e->value != value)
            h->free_value(e->value);
        e->value = value;
        return;
    }
    e = xmalloc(sizeof(*e) + n);
    e->next = NULL;
    e->hash = hash;
    e->value = value;
    memcpy(e->key, key, n);
    *at = e;
    if (++h->count > h->size)
        grow(h);
}

int hash_delete(struct hash *h, const char *key)
{
    struct entry **at = find(h, key, hash_of(h, key)), *e = *at;

    if (e == NULL)
        return 0;
    *at = e->next;
    h->count--;
    free_entry(h, e);
    return 1;
}

size_t hash_count(const struct hash *h)
{
    return h->count;
}

void hash_each(const struct hash *h, void (*fn)(const char *key, void *value, void *context), void *context)
{
    for (size_t i = 0; i < h->size; i++) {
        for (struct entry *e = h->buckets[i]; e != NULL; e = e->next)
            fn(e->key, e->value, context);
    }
}
