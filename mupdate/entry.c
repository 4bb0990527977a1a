/* entry.c: a name's value in the master's database (doc/formats/mupdate.md). */
#include "mupdate/entry.h"

#include "lib/base/error.h"
#include "lib/db/pack.h"

enum { ENTRY_VERSION = 1 };

static bool has_details(const struct mupdate_details *d)
{
    return (d->id != NULL && *d->id != '\0') || (d->type != NULL && *d->type != '\0') ||
           (d->special_use != NULL && *d->special_use != '\0');
}

void entry_encode(const struct entry *entry, uint64_t sequence, struct buf *value)
{
    pack_u8(value, ENTRY_VERSION);
    pack_u8(value, entry->state);
    pack_zeros(value, 6);
    pack_u64(value, sequence);
    pack_zeros(value, 16);
    pack_string(value, entry->location);
    pack_string(value, entry->acl);
    if (has_details(&entry->details)) {
        pack_string(value, entry->details.id);
        pack_string(value, entry->details.type);
        pack_string(value, entry->details.special_use);
    }
}

int entry_decode(const struct db_value *value, struct pool *pool, struct entry *entry_r)
{
    struct packed p = {.at = value->data, .left = value->len};

    if (unpack(&p, 1) != ENTRY_VERSION)
        return ERR_VERSION;
    entry_r->state = (enum mupdate_state)unpack(&p, 1);
    unpack_skip(&p, 6);
    entry_r->sequence = unpack(&p, 8);
    unpack_skip(&p, 16);
    entry_r->location = unpack_string(&p, pool);
    entry_r->acl = unpack_string(&p, pool);
    entry_r->details = (struct mupdate_details){"", "", ""};
    if (p.left > 0) {
        entry_r->details.id = unpack_string(&p, pool);
        entry_r->details.type = unpack_string(&p, pool);
        entry_r->details.special_use = unpack_string(&p, pool);
    }
    return p.bad ? ERR_CORRUPT : 0;
}
