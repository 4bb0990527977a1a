/* header-private.h: the fields of the message as the script sees them: with its edits (RFC 5293). */
#ifndef LIB_SIEVE_HEADER_PRIVATE_H
#define LIB_SIEVE_HEADER_PRIVATE_H

#include "lib/mail/header.h"
#include "lib/sieve/run-private.h"

/* The occurrences of the named fields that a test looks at, in the order of the names: all, or the one of them that
 * :index and :last say (RFC 5260 6).  The names are run_strings() of `names`. */
struct field_list {
    struct mail_field *items;
    size_t count;
};
/* 0, or an error: the run takes too long. */
int header_fields(struct sieve_run *run, const struct sieve_node *node, const struct sieve_strings *names,
                  struct field_list *list_r);

/* A field's value for people: unfolded, encoded words decoded, no blanks at its ends. */
struct sieve_string header_value(struct sieve_run *run, const struct mail_field *field);

/* The first field of that name, as header_value(); false: there is none. */
bool header_first(struct sieve_run *run, const char *name, struct sieve_string *value_r);

#endif
