#include "lib/stream/block.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

enum { CACHE_MAX = 8 };

struct cache {
    char *blocks[CACHE_MAX];
    unsigned count;
    bool ending; /* the thread's end has begun: keep nothing */
};

static _Thread_local struct cache cache;
static pthread_key_t cache_key;
static pthread_once_t cache_once = PTHREAD_ONCE_INIT;

static void cache_end(void *value)
{
    struct cache *c = value;

    c->ending = true;
    while (c->count > 0)
        free(c->blocks[--c->count]);
}

static void cache_key_make(void)
{
    BUG_ON(pthread_key_create(&cache_key, cache_end) != 0);
}

char *block_get(void)
{
    if (cache.count > 0)
        return cache.blocks[--cache.count];
    return xmalloc(BLOCK_SIZE);
}

void block_put(char *block)
{
    if (cache.count == CACHE_MAX || cache.ending) {
        free(block);
        return;
    }
    if (cache.count == 0) { /* so that the thread's end frees them */
        pthread_once(&cache_once, cache_key_make);
        pthread_setspecific(cache_key, &cache);
    }
    cache.blocks[cache.count++] = block;
}

static void memory_free(struct sbuf *b)
{
    if (b->cap == BLOCK_SIZE)
        block_put(b->data);
    else
        free(b->data);
}

/* Moves the content to the front of other memory. */
static void change_memory(struct sbuf *b, char *data, size_t cap)
{
    size_t used = sbuf_used(b);

    if (used > 0)
        memcpy(data, sbuf_head(b), used);
    memory_free(b);
    *b = (struct sbuf){.data = data, .len = used, .cap = cap};
}

char *sbuf_reserve(struct sbuf *b, size_t n)
{
    size_t used = sbuf_used(b), cap = BLOCK_SIZE;

    if (b->cap - b->len >= n && b->cap > 0)
        return b->data + b->len;
    if (b->cap - used >= n && b->cap > 0) {
        memmove(b->data, sbuf_head(b), used);
        b->pos = 0;
        b->len = used;
        return b->data + used;
    }
    while (cap - used < n || cap < used) /* sizes are bounded by the callers far below overflow */
        cap *= 2;
    change_memory(b, cap == BLOCK_SIZE ? block_get() : xmalloc(cap), cap);
    return b->data + b->len;
}

void sbuf_append(struct sbuf *b, const void *data, size_t n)
{
    if (n == 0)
        return;
    memcpy(sbuf_reserve(b, n), data, n);
    sbuf_added(b, n);
}

void sbuf_consume(struct sbuf *b, size_t n)
{
    BUG_ON(n > sbuf_used(b));
    b->pos += n;
    if (b->pos == b->len)
        b->pos = b->len = 0;
}

void sbuf_take(struct sbuf *b, struct sbuf *from)
{
    if (sbuf_used(b) == 0) {
        struct sbuf empty = *b;

        empty.pos = empty.len = 0;
        *b = *from;
        *from = empty;
        return;
    }
    sbuf_append(b, sbuf_head(from), sbuf_used(from));
    sbuf_consume(from, sbuf_used(from));
}

void sbuf_park(struct sbuf *b)
{
    size_t used = sbuf_used(b);

    if (used == 0)
        sbuf_free(b);
    else if (used != b->cap && used != BLOCK_SIZE) /* a size of BLOCK_SIZE would look like a block */
        change_memory(b, xmalloc(used), used);
}

void sbuf_free(struct sbuf *b)
{
    memory_free(b);
    *b = (struct sbuf){0};
}
