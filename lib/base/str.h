/* str.h: strings of ASCII protocols: comparison, numbers, words, base64, hex. */
#ifndef LIB_BASE_STR_H
#define LIB_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/pool.h"

/* ASCII only, whatever the locale. */
char str_lower_c(char c);
char str_upper_c(char c);
void str_lower(char *s);
bool str_ieq(const char *a, const char *b);
bool str_ieq_n(const char *a, const char *b, size_t n); /* as strncasecmp() == 0 */
bool str_has_prefix(const char *s, const char *prefix);
bool str_has_iprefix(const char *s, const char *prefix);
bool str_has_suffix(const char *s, const char *suffix);

/* Decimal digits only, the whole of s[0..n): no sign, no blank, no overflow.
 * 0, or ERR_SYNTAX, or ERR_TOOBIG when the value does not fit. */
int str_parse_u32(const char *s, size_t n, uint32_t *value_r);
int str_parse_u64(const char *s, size_t n, uint64_t *value_r);

/* A word list: the words of s between any of `separators`, empty ones left out. */
struct str_list {
    char **items; /* NULL-terminated, in the pool */
    size_t count;
};
struct str_list str_split(struct pool *pool, const char *s, const char *separators);
bool str_list_has(const struct str_list *list, const char *s);

/* Constant-time comparison of secrets. */
bool str_secret_eq(const char *a, const char *b);

/* RFC 4648 section 4.  Encoding appends to `to`.  Decoding appends too and takes
 * padded input only; ERR_SYNTAX for anything else (nothing appended then). */
void str_base64_encode(struct buf *to, const void *data, size_t n);
int str_base64_decode(struct buf *to, const char *s, size_t n);

/* Lower-case hex.  `to` has room for 2 * n + 1 bytes. */
void str_hex(char *to, const void *data, size_t n);
/* s[0..2n) into n bytes; ERR_SYNTAX when it is not hex. */
int str_unhex(void *to, const char *s, size_t n);

/* strlcpy: copies what fits, always terminates; false when it was cut. */
bool str_copy(char *to, size_t size, const char *from);

/* Is it well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms)? */
bool str_is_utf8(const char *s, size_t n);
/* Only bytes below 0x80? */
bool str_is_ascii(const char *s, size_t n);

#endif
