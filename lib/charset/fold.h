/* fold.h: comparison of text without regard to case: i;ascii-casemap (RFC 4790 9.2) and
 * i;unicode-casemap (RFC 5051), and searching with them. */
#ifndef LIB_CHARSET_FOLD_H
#define LIB_CHARSET_FOLD_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"

enum fold { FOLD_OCTET, FOLD_ASCII, FOLD_UNICODE };

/* Appends the folded form, on which octets are compared: ASCII letters in upper case; by Unicode:
 * title case, then fully decomposed, as UTF-8.  Invalid UTF-8 becomes U+FFFD. */
void fold_text(enum fold fold, const char *s, size_t n, struct buf *to);

/* Orders two strings by their folded forms: <0, 0, >0. */
int fold_compare(enum fold fold, const char *a, size_t a_len, const char *b, size_t b_len);

/* Is UTF-8 text in Unicode's Normalization Form C, as Net-Unicode wants it (RFC 5198 section 3)? */
bool fold_is_nfc(const char *s, size_t n);

/* ---- substring search over text that comes in pieces (UTF-8) ---- */

struct searcher;

/* Compiles what is searched (UTF-8).  The empty string is found everywhere. */
struct searcher *searcher_new(enum fold fold, const char *needle, size_t n);
void searcher_free(struct searcher **s);

/* The next piece; pieces may end inside a character.  True once it has been found (and from then on). */
bool searcher_feed(struct searcher *s, const char *text, size_t n);
/* Forgets the text, for the next one. */
void searcher_reset(struct searcher *s);
/* The same on one whole string (resets before and after). */
bool searcher_find(struct searcher *s, const char *text, size_t n);

#endif
