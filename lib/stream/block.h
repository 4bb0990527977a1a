/* block.h: the blocks that I/O buffers are made of, and a byte queue in them.
 *
 * Blocks come from a small cache of the thread: a session that is run takes what the one
 * before gave back, and a parked one holds none. */
#ifndef LIB_STREAM_BLOCK_H
#define LIB_STREAM_BLOCK_H

#include <stddef.h>

enum { BLOCK_SIZE = 16 * 1024 };

/* A block of BLOCK_SIZE bytes; given back to any thread's cache. */
char *block_get(void);
void block_put(char *block);

/* A queue: data[pos..len) is in it.  All zero is an empty one. */
struct sbuf {
    char *data; /* a block when cap == BLOCK_SIZE, else malloc'ed; NULL when cap is 0 */
    size_t pos, len, cap;
};

static inline size_t sbuf_used(const struct sbuf *b)
{
    return b->len - b->pos;
}

static inline char *sbuf_head(const struct sbuf *b)
{
    return b->data != NULL ? b->data + b->pos : NULL;
}

/* At least n free bytes behind the content, which may move; then sbuf_added(). */
char *sbuf_reserve(struct sbuf *b, size_t n);
/* How many there are without moving anything. */
static inline size_t sbuf_room(const struct sbuf *b)
{
    return b->cap - b->len;
}
static inline void sbuf_added(struct sbuf *b, size_t n)
{
    b->len += n;
}

void sbuf_append(struct sbuf *b, const void *data, size_t n);

/* Drops n bytes at the head; the memory stays as it is until the next append. */
void sbuf_consume(struct sbuf *b, size_t n);

/* Appends the content of `from` and empties that. */
void sbuf_take(struct sbuf *b, struct sbuf *from);

/* Keeps the content in memory of its own size, frees the rest.  sbuf_free forgets it too. */
void sbuf_park(struct sbuf *b);
void sbuf_free(struct sbuf *b);

#endif
