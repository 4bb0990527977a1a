/* uri-private.h: what notify may be told to use: mailto: (RFC 5436, RFC 6068). */
#ifndef LIB_SIEVE_URI_PRIVATE_H
#define LIB_SIEVE_URI_PRIVATE_H

#include "lib/sieve/sieve.h"

/* NULL, or what is wrong with it as a notification method. */
const char *uri_check_mailto(const struct sieve_string *uri);

#endif
