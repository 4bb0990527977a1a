/* conflicts.h: names that a server has claimed while they were active on another: what an administrator must know of
 * until one of the two gives the name up.  In memory: servers claim what they have again whenever they connect, and the
 * members of a group tell one another. */
#ifndef MUPDATE_CONFLICTS_H
#define MUPDATE_CONFLICTS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/pool.h"

struct conflicts;

enum {
    CONFLICTS_MAX = 1000,                   /* then the oldest is forgotten */
    CONFLICTS_KEPT_MS = 24 * 60 * 60 * 1000 /* after the last claim */
};

struct conflicts *conflicts_new(void);
void conflicts_free(struct conflicts **conflicts); /* *conflicts may be NULL */

/* The server of `claimant`, a location, was refused the name at `now` (clock.h).  All functions: any thread. */
void conflicts_note(struct conflicts *conflicts, const char *name, const char *claimant, int64_t now);

/* The same as another member of a group knows it: so many claims, the last one then. */
void conflicts_learn(struct conflicts *conflicts, const char *name, const char *claimant, uint64_t count,
                     int64_t last);

/* Another number whenever there may be something new. */
uint64_t conflicts_version(struct conflicts *conflicts);

/* The name is no longer claimed by that server, or by no other than its holder. */
void conflicts_forget(struct conflicts *conflicts, const char *name, const char *claimant);

struct conflict {
    const char *name, *claimant; /* the last location of that server */
    uint64_t count;              /* claims */
    int64_t last;                /* clock.h */
};

/* What is known at `now`, in the pool, in the order of the first claims; how many in *count_r. */
struct conflict *conflicts_list(struct conflicts *conflicts, int64_t now, struct pool *pool, size_t *count_r);

#endif
