/* pool.h: memory that is freed whole: one pool per session, one per command.
 *
 * A pool belongs to one thread at a time.  Allocation never fails (mem.h). */
#ifndef LIB_BASE_POOL_H
#define LIB_BASE_POOL_H

#include <stddef.h>

struct pool;

/* A new pool.  `first` is the size in bytes of its first block (0: 1 KiB);
 * no block is allocated before the first pool_alloc(). */
struct pool *pool_new(size_t first);

/* Frees everything that came from the pool, and the pool; sets *p to NULL.
 * *p may be NULL. */
void pool_free(struct pool **p);

/* Frees everything that came from the pool and keeps at most its first block. */
void pool_reset(struct pool *p);

/* Zeroed memory, aligned for any type. */
void *pool_alloc(struct pool *p, size_t size);
char *pool_strdup(struct pool *p, const char *s);
char *pool_strndup(struct pool *p, const char *s, size_t n);
void *pool_memdup(struct pool *p, const void *data, size_t n);
char *pool_printf(struct pool *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Bytes that the pool holds from malloc. */
size_t pool_footprint(const struct pool *p);

#endif
