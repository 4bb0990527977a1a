/* utf7.h: modified UTF-7 of mailbox names (RFC 3501 5.1.3), strictly. */
#ifndef LIB_CHARSET_UTF7_H
#define LIB_CHARSET_UTF7_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"

/* Is s[0..n) well-formed: printable ASCII and closed shifts, no null or superfluous shift, no printable
 * ASCII in base64, padding bits zero, valid UTF-16? */
bool utf7_is_valid(const char *s, size_t n);

/* Appends the UTF-8 of a well-formed name; ERR_SYNTAX (nothing appended) otherwise. */
int utf7_to_utf8(const char *s, size_t n, struct buf *to);

/* Appends the one modified UTF-7 form of well-formed UTF-8; ERR_SYNTAX otherwise. */
int utf7_from_utf8(const char *s, size_t n, struct buf *to);

#endif
