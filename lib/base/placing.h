/* placing.h: where a new mailbox goes that nothing else places: partition_select_mode among partitions,
 * serverlist_select_mode among servers.  Pure functions; any thread. */
#ifndef LIB_BASE_PLACING_H
#define LIB_BASE_PLACING_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/options.h"

struct placing_candidate {
    const char *name;
    uint64_t total, free; /* in the same unit for all; total 0: nobody knows */
};

struct placing_rule {
    enum opt_select_mode mode;
    unsigned
        limit; /* candidates used by more than this percentage are left out while there are others; 0: none */
};

/* The index of the chosen one of `count` candidates (at least one).  `luck` is a random number, evenly spread
 * over [0, 1).  Of those whose space nobody knows only `random` takes one while there are others; the first of
 * equals is taken. */
size_t placing_choose(const struct placing_rule *rule, const struct placing_candidate *candidates,
                      size_t count, double luck);

/* Such a number. */
double placing_luck(void);

#endif
