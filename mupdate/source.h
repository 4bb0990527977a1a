/* source.h: where a MUPDATE server has its names from: the master's database, or a slave's copy of the list.
 *
 * A source counts its changes: sequence() is the last one that is durable; changes() tells what happened behind
 * a sequence.  A reader that notes the sequence, goes through the list, which may change meanwhile, and then takes
 * the changes from the noted sequence on has everything, without a snapshot.  What changes() hands out is durable
 * when it has returned, a list when it has ended, so that nobody is at a sequence whose names he knows otherwise than
 * the source does after a crash.  Lists are in the order of mboxlist_name_compare().  All functions: any thread. */
#ifndef MUPDATE_SOURCE_H
#define MUPDATE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/pool.h"
#include "lib/mupdate/link.h"

struct entry {
    enum mupdate_state state; /* MUPDATE_ABSENT: it is gone (in changes) */
    const char *name, *location, *acl;
    struct mupdate_details details; /* of an active one: never NULL, "" where nothing is known */
    uint64_t sequence;              /* of its last change, where it is known; 0 */
};

typedef void entry_fn(const struct entry *entry, void *context);

struct source;
struct cursor; /* a place in the list, between two batches; holds no transaction */

struct source_ops {
    /* 0 with the entry in the pool; ERR_NOTFOUND. */
    int (*find)(struct source *source, const char *name, struct pool *pool, struct entry *entry_r);
    struct cursor *(*list_begin)(struct source *source);
    /* Hands out at most `most` entries: 1: there may be more; 0: that was all; or an error. */
    int (*list_next)(struct cursor *cursor, unsigned most, entry_fn *fn, void *context);
    void (*list_end)(struct cursor **cursor);
    /* At random, for the life of what counts the changes: sequences of different epochs have nothing to do with each
     * other. */
    uint64_t (*epoch)(struct source *source);
    uint64_t (*sequence)(struct source *source);
    /* Hands out the present state of names that changed behind *after, at most `most`, and advances *after.
     * 0; ERR_EXPUNGED: what happened there is forgotten: the list must be read anew.  With `most` 0 it only looks
     * whether it is. */
    int (*changes)(struct source *source, uint64_t *after, unsigned most, entry_fn *fn, void *context);
};

/* First member of a source. */
struct source {
    const struct source_ops *ops;
};

#endif
