/* flags-private.h: lists of IMAP flags (RFC 5232 2). */
#ifndef LIB_SIEVE_FLAGS_PRIVATE_H
#define LIB_SIEVE_FLAGS_PRIVATE_H

#include "lib/sieve/run-private.h"

enum { FLAGS_MAX = 128 };

/* Words of strings, each once whatever its case, what no client may set left out. */
struct flag_list {
    const char *items[FLAGS_MAX + 1]; /* NULL-terminated, in the run's pool */
    size_t count;
};

void flags_add(struct sieve_run *run, struct flag_list *list, const struct sieve_string *words);

/* For an action: those of :flags, else of the internal variable; NULL where the script has no imap4flags. */
const char *const *flags_of(struct sieve_run *run, const struct sieve_node *node);

#endif
