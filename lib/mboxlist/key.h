/* key.h: how names and identifiers stand in keys (doc/formats/mailboxes.md). */
#ifndef LIB_MBOXLIST_KEY_H
#define LIB_MBOXLIST_KEY_H

#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/pool.h"

/* The separator of components in keys: below every character of a name, so that children follow their parent. */
#define KEY_SEPARATOR '\x1f'

/* How a byte of a name stands in its key.  A dot within a component, `^` in names, is one: so is the order of a Cyrus,
 * whose tools give up when a MUPDATE master's list has another. */
char key_char(char c);

/* Appends the key of a name (also of a prefix of names): of the same length. */
void key_name(struct buf *key, const char *name);
/* The other way, in the pool. */
const char *key_to_name(struct pool *pool, const char *key, size_t len);

enum { KEY_OWNER_MAX = 20 };
/* Appends what precedes the names that belong to a user or identifier: at most KEY_OWNER_MAX + 1 bytes. */
void key_owner(struct buf *key, const char *identifier);

#endif
