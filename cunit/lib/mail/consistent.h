/* consistent.h: what must hold for any bytes taken as a message: for the corpus and for the fuzzer. */
#ifndef CUNIT_LIB_MAIL_CONSISTENT_H
#define CUNIT_LIB_MAIL_CONSISTENT_H

#include <stddef.h>

/* NULL, or what does not hold (static). */
const char *mail_consistent(const char *data, size_t n);

/* Is it one or more values of the IMAP grammar (lists, strings, NIL, numbers; RFC 3501 section 4)? */
int mail_wire_is_wellformed(const char *s, size_t n);

#endif
