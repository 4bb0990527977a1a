/* record.c: a record of the mailbox list, in memory and as a stored value. */
#include "lib/mboxlist/record.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/mboxlist/mboxlist-private.h"

enum { RECORD_VERSION = 1, RECORD_HEADER = 64, RECORD_FIXED = 40 /* of the header, in use */ };

static const char *or_empty(const char *s)
{
    return s == NULL ? "" : s;
}

void mboxlist_record_location(const struct mboxlist_record *record, const char *own, struct buf *location)
{
    bool local = record->type == MBOXLIST_LOCAL || record->type == MBOXLIST_INTERMEDIATE;

    buf_printf(location, "%s!%s", local ? own : or_empty(record->server), or_empty(record->partition));
}

void mboxlist_location_split(struct pool *pool, const char *location, const char **server_r,
                             const char **partition_r)
{
    size_t server = strcspn(location, "!");

    *server_r = pool_strndup(pool, location, server);
    *partition_r = location[server] == '!' ? pool_strdup(pool, location + server + 1) : "";
}

/* Printable ASCII, components not empty: what can be a key and travel in MUPDATE. */
static bool name_ok(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len > MBOXLIST_NAME_MAX || name[0] == '.' || name[len - 1] == '.')
        return false;
    for (const char *p = name; *p != '\0'; p++)
        if (*p < ' ' || *p > '~' || (*p == '.' && p[1] == '.'))
            return false;
    return true;
}

/* What becomes a host's name, and a word of referrals and log lines. */
static bool place_ok(const char *place)
{
    for (; *place != '\0'; place++)
        if ((unsigned char)*place < ' ' || *place == 0x7f)
            return false;
    return true;
}

int mboxlist_record_check(const struct mboxlist_record *record)
{
    if (!name_ok(record->name))
        return ERR_BADNAME;
    if (!place_ok(or_empty(record->server)) || !place_ok(or_empty(record->partition)))
        return ERR_INVALID;
    if (record->type < MBOXLIST_LOCAL || record->type > MBOXLIST_DELETED)
        return ERR_INVALID;
    if (strlen(or_empty(record->id)) > MBOXLIST_ID_MAX)
        return ERR_TOOBIG;
    if (strlen(or_empty(record->server)) + strlen(or_empty(record->partition)) >= MBOXLIST_LOCATION_MAX)
        return ERR_TOOBIG;
    if (strlen(or_empty(record->acl)) > MBOXLIST_ACL_MAX ||
        strlen(or_empty(record->special_use)) > MBOXLIST_SPECIAL_USE_MAX)
        return ERR_TOOBIG;
    return 0;
}

void mboxlist_record_encode(const struct mboxlist_record *record, struct buf *value)
{
    pack_u8(value, RECORD_VERSION);
    pack_u8(value, record->type);
    pack_u16(value, RECORD_HEADER);
    pack_u32(value, record->flags);
    pack_u32(value, record->uidvalidity);
    pack_u32(value, 0);
    pack_u64(value, record->created_modseq);
    pack_u64(value, record->folder_modseq);
    pack_u64(value, (uint64_t)(record->mtime != 0 ? record->mtime : clock_wall()));
    pack_zeros(value, RECORD_HEADER - RECORD_FIXED);
    pack_string(value, record->name);
    pack_string(value, record->id);
    pack_string(value, record->server);
    pack_string(value, record->partition);
    pack_string(value, record->acl);
    pack_string(value, record->special_use);
}

int mboxlist_record_decode(const void *value, size_t len, struct pool *pool, struct mboxlist_record *record_r)
{
    struct packed r = {.at = value, .left = len};
    size_t header;

    if (unpack(&r, 1) != RECORD_VERSION)
        return ERR_VERSION;
    *record_r = (struct mboxlist_record){.type = (enum mboxlist_type)unpack(&r, 1)};
    header = (size_t)unpack(&r, 2);
    record_r->flags = (unsigned)unpack(&r, 4);
    record_r->uidvalidity = (uint32_t)unpack(&r, 4);
    unpack_skip(&r, 4);
    record_r->created_modseq = unpack(&r, 8);
    record_r->folder_modseq = unpack(&r, 8);
    record_r->mtime = (int64_t)unpack(&r, 8);
    if (header < RECORD_FIXED)
        return ERR_CORRUPT;
    unpack_skip(&r, header - RECORD_FIXED);
    record_r->name = unpack_string(&r, pool);
    record_r->id = unpack_string(&r, pool);
    record_r->server = unpack_string(&r, pool);
    record_r->partition = unpack_string(&r, pool);
    record_r->acl = unpack_string(&r, pool);
    record_r->special_use = unpack_string(&r, pool);
    return r.bad ? ERR_CORRUPT : 0;
}

const char *mboxlist_special_use(const struct mboxlist_record *record, const char *userid, struct pool *pool)
{
    struct str_list words = str_split(pool, or_empty(record->special_use), "\t");

    for (size_t i = 0; i + 1 < words.count; i += 2)
        if (strcmp(words.items[i], userid) == 0)
            return words.items[i + 1];
    return "";
}
