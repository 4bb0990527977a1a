/* memory.h: what scripts remember from one message to the next: LMDB environment `<configdirectory>/sieve`
 * (doc/formats/sieve-memory.md).  Any thread. */
#ifndef IMAP_SIEVEHOST_MEMORY_H
#define IMAP_SIEVEHOST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory;

/* Values are part of the format. */
enum memory_kind {
    MEMORY_VACATION = 'v',  /* who has got which answer (RFC 5230 4.2) */
    MEMORY_DUPLICATE = 'd', /* which messages the test duplicate has seen (RFC 7352) */
    MEMORY_DONE = 's',      /* which of a message's actions have been done: it may come again */
};

/* 0, or a database's error with text in *error_r (malloc'ed). */
int memory_open(struct memory **memory_r, char **error_r);
void memory_close(struct memory **memory); /* *memory may be NULL */

/* Is it remembered, for that user, at that time (seconds of the epoch)?  A database that does not answer says no. */
bool memory_knows(struct memory *memory, enum memory_kind kind, const char *userid, const void *what,
                  size_t n, int64_t now);

/* Remembers it until then.  With `now` not 0: ERR_EXISTS if it is remembered already.  0, or a database's error. */
int memory_mark(struct memory *memory, enum memory_kind kind, const char *userid, const void *what, size_t n,
                int64_t until, int64_t now);

void memory_forget(struct memory *memory, enum memory_kind kind, const char *userid, const void *what,
                   size_t n);

/* Removes what need not be remembered any more; how many, or a database's error. */
int memory_expire(struct memory *memory, int64_t now);

#endif
