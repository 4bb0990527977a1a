/* entry.h: a name's value in the master's database (doc/formats/mupdate.md). */
#ifndef MUPDATE_ENTRY_H
#define MUPDATE_ENTRY_H

#include "lib/base/buf.h"
#include "lib/db/db.h"
#include "mupdate/source.h"

/* Appends the value; `sequence`: of the change that makes it so. */
void entry_encode(const struct entry *entry, uint64_t sequence, struct buf *value);

/* All but the name, in the pool.  0; ERR_VERSION, ERR_CORRUPT. */
int entry_decode(const struct db_value *value, struct pool *pool, struct entry *entry_r);

#endif
