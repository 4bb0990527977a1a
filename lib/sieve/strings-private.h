/* strings-private.h: what is written inside strings: encoded characters and variables. */
#ifndef LIB_SIEVE_STRINGS_PRIVATE_H
#define LIB_SIEVE_STRINGS_PRIVATE_H

#include "lib/sieve/sieve.h"

/* Replaces ${hex: 41 ..} and ${unicode: e9 ..} (RFC 5228 2.4.2.4); what is none stays.  NULL, or what is wrong. */
const char *strings_decode_characters(struct pool *pool, struct sieve_string *s);

/* Is there a ${name} in it (RFC 5229 3)? */
bool strings_has_variable(const struct sieve_string *s);

/* The next reference to a variable at or behind *at: true with its name (n bytes, namespace included), where it begins
 * and, in *at, the byte behind it. */
bool strings_next_variable(const struct sieve_string *s, size_t *at, size_t *begin_r, const char **name_r,
                           size_t *n_r);

/* Is it a name that a variable can have: a letter or underscore, then those and digits? */
bool strings_is_name(const char *s, size_t n);

#endif
