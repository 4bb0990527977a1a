/* words.h: text in header fields: encoded words (RFC 2047) and parameter values (RFC 2231 4). */
#ifndef LIB_CHARSET_WORDS_H
#define LIB_CHARSET_WORDS_H

#include <stddef.h>

#include "lib/base/buf.h"

/* Appends a header field's value as UTF-8: folding white space unfolded, encoded words decoded (blanks
 * between two of them dropped; a character may be split over several of one charset), raw 8-bit text
 * taken as UTF-8 (else U+FFFD).  A word of an unknown charset stays as it is. */
void words_decode(const char *value, size_t n, struct buf *to);

/* Appends an extended parameter value `charset'language'percent-encoded` (RFC 2231 4) as UTF-8;
 * ERR_SYNTAX (nothing appended) when it is not of that form or its charset is unknown. */
int words_decode_parameter(const char *value, size_t n, struct buf *to);

#endif
