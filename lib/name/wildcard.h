/* wildcard.h: the patterns of LIST and LSUB (RFC 3501 6.3.8) over external names.
 *
 * Compiled once; a match costs one step a byte whatever the pattern. */
#ifndef LIB_NAME_WILDCARD_H
#define LIB_NAME_WILDCARD_H

#include <stdbool.h>
#include <stddef.h>

struct wildcard;

enum { WILDCARD_MAX = 1000 /* literal bytes in a pattern */ };

/* Compiles reference and pattern put together.  0; ERR_TOOBIG.  Freed with wildcard_free(). */
int wildcard_new(char separator, const char *reference, const char *pattern, struct wildcard **w_r);
void wildcard_free(struct wildcard **w);

/* Does the whole of name[0..len) match?  The component INBOX at the front matches in any case. */
bool wildcard_match(const struct wildcard *w, const char *name, size_t len);

/* What stands before the first wildcard; all of it when there is none. */
const char *wildcard_literal(const struct wildcard *w);
bool wildcard_is_literal(const struct wildcard *w);

/* Does it end in '%'?  (Then LIST shows missing levels of the hierarchy, LSUB too.) */
bool wildcard_ends_in_percent(const struct wildcard *w);

#endif
