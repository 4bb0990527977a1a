/* hash.h: a hash table from strings to pointers.  One thread at a time. */
#ifndef LIB_BASE_HASH_H
#define LIB_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash;

/* `free_value` (may be NULL) is called for a value that is replaced, deleted or freed. */
struct hash *hash_new(void (*free_value)(void *value));
void hash_free(struct hash **h);

/* The value, or NULL. */
void *hash_get(const struct hash *h, const char *key);
/* Sets (the key is copied). */
void hash_set(struct hash *h, const char *key, void *value);
/* 1 if it was there, else 0. */
int hash_delete(struct hash *h, const char *key);
size_t hash_count(const struct hash *h);

/* Calls fn for each entry in no particular order; fn must not change the table. */
void hash_each(const struct hash *h, void (*fn)(const char *key, void *value, void *context), void *context);

/* The hash of s[0..n) for a table of one's own (SipHash): with a random seed no peer can aim keys at one place. */
uint64_t hash_bytes(const uint64_t seed[2], const char *s, size_t n);

#endif
