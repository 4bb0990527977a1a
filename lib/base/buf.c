#include "lib/base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

void buf_init(struct buf *b)
{
    *b = (struct buf)BUF_INIT;
}

void buf_free(struct buf *b)
{
    free(b->data);
    buf_init(b);
}

void buf_reset(struct buf *b)
{
    buf_truncate(b, 0);
}

char *buf_reserve(struct buf *b, size_t more)
{
    size_t need = b->len + more + 1;
    size_t cap = b->cap ? b->cap : 64;

    BUG_ON(more > SIZE_MAX / 4);
    if (need > b->cap) {
        while (cap < need)
            cap *= 2;
        b->data = xreallocarray(b->data, cap, 1);
        b->cap = cap;
        b->data[b->len] = '\0';
    }
    return b->data + b->len;
}

void buf_added(struct buf *b, size_t n)
{
    BUG_ON(b->len + n >= b->cap);
    b->len += n;
    b->data[b->len] = '\0';
}

void buf_append(struct buf *b, const void *data, size_t n)
{
    if (n == 0)
        return;
    memcpy(buf_reserve(b, n), data, n);
    buf_added(b, n);
}

void buf_puts(struct buf *b, const char *s)
{
    buf_append(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(b, fmt, ap);
    va_end(ap);
}

void buf_number(struct buf *b, uint64_t n)
{
    char digits[20], *at = digits + sizeof(digits);

    do {
        *--at = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    buf_append(b, at, (size_t)(digits + sizeof(digits) - at));
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
    size_t room = 128;
    int n;

    for (;;) {
        va_list copy;
        char *to = buf_reserve(b, room);

        va_copy(copy, ap);
        n = vsnprintf(to, room + 1, fmt, copy);
        va_end(copy);
        BUG_ON(n < 0);
        if ((size_t)n <= room)
            break;
        room = (size_t)n;
    }
    buf_added(b, (size_t)n);
}

void buf_consume(struct buf *b, size_t n)
{
    BUG_ON(n > b->len);
    if (n == 0)
        return;
    b->len -= n;
    memmove(b->data, b->data + n, b->len + 1);
}

void buf_truncate(struct buf *b, size_t n)
{
    BUG_ON(n > b->len);
    b->len = n;
    if (b->data != NULL)
        b->data[n] = '\0';
}

const char *buf_cstr(const struct buf *b)
{
    return b->data != NULL ? b->data : "";
}

char *buf_steal(struct buf *b)
{
    char *s = b->data != NULL ? b->data : xstrdup("");

    buf_init(b);
    return s;
}
