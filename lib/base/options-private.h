/* options-private.h: what config.c and options.c share. */
#ifndef LIB_BASE_OPTIONS_PRIVATE_H
#define LIB_BASE_OPTIONS_PRIVATE_H

#include "lib/base/buf.h"
#include "lib/base/options.h"

/* Sets every option from what `get` finds (NULL: not given).  ERR_CONFIG with "NAME: what is wrong"
 * in *error_r (malloc'ed) at the first value that cannot be. */
int options_load(const char *(*get)(const char *name), char **error_r);

/* Does code read it (options-used.def)? */
bool option_is_used(enum option o);
/* STRINGLIST or BITFIELD: was it given with a word that the table does not have? */
bool option_has_unknown_word(enum option o);

#endif
