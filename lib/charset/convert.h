/* convert.h: any character set to UTF-8, in pieces.
 *
 * A converter belongs to one thread.  Input that is not valid in its charset becomes U+FFFD. */
#ifndef LIB_CHARSET_CONVERT_H
#define LIB_CHARSET_CONVERT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"

struct converter;

/* Is the charset (MIME name or alias, any case) known?  "" and NULL are US-ASCII. */
bool charset_is_known(const char *name);

/* Appends the registered names of the charsets that are known, separated by blanks, UTF-8 and US-ASCII first.  There are
 * many more aliases. */
void charset_names(struct buf *to);

/* 0; ERR_UNSUPPORTED: unknown charset. */
int converter_new(const char *charset, struct converter **c_r);
void converter_free(struct converter **c);

/* Appends UTF-8; an unfinished character is kept for the next piece. */
void converter_feed(struct converter *c, const char *data, size_t n, struct buf *to);
/* The end of the input (an unfinished character becomes U+FFFD); it can be fed anew afterwards. */
void converter_finish(struct converter *c, struct buf *to);
/* Has any input been invalid so far? */
bool converter_had_errors(const struct converter *c);

/* All at once.  0; ERR_UNSUPPORTED; ERR_SYNTAX: something was invalid (U+FFFD was put there). */
int charset_to_utf8(const char *charset, const char *data, size_t n, struct buf *to);

/* Appends s[0..n) with every byte that is not part of valid UTF-8 replaced by U+FFFD. */
void charset_repair_utf8(const char *s, size_t n, struct buf *to);

#endif
