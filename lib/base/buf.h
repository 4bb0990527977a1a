/* buf.h: a growing byte string.
 *
 * data[len] is always NUL once anything was appended, so a buf without NUL
 * bytes is also a C string; buf_cstr() gives "" for an empty one. */
#ifndef LIB_BASE_BUF_H
#define LIB_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data; /* owned; NULL until the first append */
    size_t len; /* bytes in use */
    size_t cap; /* bytes allocated, the NUL included */
};

#define BUF_INIT                                                                                             \
    {                                                                                                        \
        NULL, 0, 0                                                                                           \
    }

void buf_init(struct buf *b);

/* Frees the memory; the buf is empty and usable afterwards. */
void buf_free(struct buf *b);

/* Forgets the content and keeps the memory. */
void buf_reset(struct buf *b);

/* Makes room for `more` bytes after len and returns where they go; the caller
 * adds what it wrote there with buf_added(). */
char *buf_reserve(struct buf *b, size_t more);
void buf_added(struct buf *b, size_t n);

void buf_append(struct buf *b, const void *data, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A number in decimal: lists of some thousand of them are written. */
void buf_number(struct buf *b, uint64_t n);
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/* Inline: decoders write bytes one by one. */
static inline void buf_putc(struct buf *b, char c)
{
    if (b->cap - b->len < 2)
        buf_reserve(b, 1);
    b->data[b->len++] = c;
    b->data[b->len] = '\0';
}

/* Drops n bytes at the front (n <= len) or all behind the first n. */
void buf_consume(struct buf *b, size_t n);
void buf_truncate(struct buf *b, size_t n);

/* The content as a C string, owned by the buf, valid until it changes. */
const char *buf_cstr(const struct buf *b);

/* The content as a malloc'ed C string that the caller frees; empties the buf. */
char *buf_steal(struct buf *b);

#endif
