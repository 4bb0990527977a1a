/* utf8.h: one character of UTF-8 at a time. */
#ifndef LIB_CHARSET_UTF8_H
#define LIB_CHARSET_UTF8_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

enum { UTF8_REPLACEMENT = 0xfffd };

/* Appends a code point (a Unicode scalar value). */
void utf8_append(struct buf *to, uint32_t c);

/* Reads the character at s[0..n), n > 0; returns how many bytes it takes (at least 1).  What is no
 * valid UTF-8 gives U+FFFD for its first byte. */
size_t utf8_next(const char *s, size_t n, uint32_t *c_r);

/* Could s[0..n) be the beginning of a longer valid character (so: wait for more)? */
int utf8_is_partial(const char *s, size_t n);

#endif
