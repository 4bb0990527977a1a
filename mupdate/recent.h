/* recent.h: names that FIND found lately, as the database has them.
 *
 * A bounded table: four places for the names of one hash, and who comes later takes one of them.  It never knows better than the
 * database does: what is remembered was read in a transaction that is still open, and who changes a name drops it in his
 * own, so that the lock between the two keeps an old state from coming back.  Any thread. */
#ifndef MUPDATE_RECENT_H
#define MUPDATE_RECENT_H

#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/pool.h"

struct recent;

enum {
    RECENT_PLACES = 65536,   /* names, at most */
    RECENT_PLACE_BYTES = 256 /* of memory each: what does not fit with its key is not remembered */
};

struct recent *recent_new(void);
void recent_free(struct recent **recent); /* *recent may be NULL */

/* The value of a key, in the pool; NULL: it is not remembered.  A key has at least one byte. */
const void *recent_get(struct recent *recent, const struct buf *key, struct pool *pool, size_t *len_r);
void recent_put(struct recent *recent, const struct buf *key, const void *value, size_t len);
void recent_drop(struct recent *recent, const struct buf *key);

#endif
