#include "lib/base/pool.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

#define BLOCK_MAX (64u * 1024)

struct block {
    struct block *next;
    size_t size; /* of data */
    size_t used;
    alignas(max_align_t) char data[];
};

struct pool {
    struct block *blocks; /* newest first */
    size_t next_size;
    size_t footprint;
};

struct pool *pool_new(size_t first)
{
    struct pool *p = xcalloc(1, sizeof(*p));

    p->next_size = first ? first : 1024;
    p->footprint = sizeof(*p);
    return p;
}

static void free_blocks(struct pool *p, struct block *until)
{
    while (p->blocks != until) {
        struct block *b = p->blocks;

        p->blocks = b->next;
        p->footprint -= sizeof(*b) + b->size;
        free(b);
    }
}

void pool_free(struct pool **p)
{
    if (*p == NULL)
        return;
    free_blocks(*p, NULL);
    free(*p);
    *p = NULL;
}

void pool_reset(struct pool *p)
{
    struct block *first = p->blocks;

    while (first != NULL && first->next != NULL)
        first = first->next;
    free_blocks(p, first);
    if (first == NULL)
        return;
    p->next_size = first->size;
    first->used = 0;
}

static struct block *add_block(struct pool *p, size_t need)
{
    size_t size = p->next_size > need ? p->next_size : need;
    struct block *b = xmalloc(sizeof(*b) + size);

    b->size = size;
    b->used = 0;
    b->next = p->blocks;
    p->blocks = b;
    p->footprint += sizeof(*b) + size;
    if (p->next_size < BLOCK_MAX)
        p->next_size *= 2;
    return b;
}

/* Not cleared. */
static void *take(struct pool *p, size_t size)
{
    const size_t align = alignof(max_align_t);
    struct block *b = p->blocks;
    char *at;

    BUG_ON(size > SIZE_MAX / 4);
    size = (size + align - 1) / align * align;
    if (b == NULL || b->size - b->used < size)
        b = add_block(p, size);
    at = b->data + b->used;
    b->used += size;
    return at;
}

void *pool_alloc(struct pool *p, size_t size)
{
    return memset(take(p, size), 0, size);
}

void *pool_memdup(struct pool *p, const void *data, size_t n)
{
    char *to = take(p, n + 1);

    if (n > 0)
        memcpy(to, data, n);
    to[n] = '\0';
    return to;
}

char *pool_strdup(struct pool *p, const char *s)
{
    return pool_memdup(p, s, strlen(s));
}

char *pool_strndup(struct pool *p, const char *s, size_t n)
{
    return pool_memdup(p, s, strnlen(s, n));
}

char *pool_printf(struct pool *p, const char *fmt, ...)
{
    va_list ap;
    int n;
    char *s;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    BUG_ON(n < 0);
    s = pool_alloc(p, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(s, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return s;
}

size_t pool_footprint(const struct pool *p)
{
    return p->footprint;
}
