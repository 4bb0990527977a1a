/* language-private.h: the extensions that scripts of this server may use. */
#ifndef IMAP_SIEVEHOST_LANGUAGE_PRIVATE_H
#define IMAP_SIEVEHOST_LANGUAGE_PRIVATE_H

#include <stdbool.h>

/* By sieve_extensions and by what this server can do; what is part of the language itself (comparators, encoded
 * characters) always. */
bool language_allows(const char *extension);

#endif
