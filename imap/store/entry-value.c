/* entry-value.c: the values of METADATA's entries: what is kept, and what is as it is. */
#include <string.h>

#include "imap/store/mailbox.h"
#include "imap/store/metadata.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/mail/date.h"
#include "lib/mboxlist/annotations.h"
#include "lib/mboxlist/special-use.h"

int metadata_open(struct metadata_place *place)
{
    struct mboxlist_record record;
    struct pool *pool;
    int r = 0;

    if (place->mailbox == NULL)
        r = mailbox_open(place->store, place->record->partition, place->record->id, &place->mailbox);
    if (r != ERR_NOTFOUND)
        return r;
    /* it may have gone to another partition since the list was looked at */
    pool = pool_new(0);
    if (mboxlist_lookup_id(place->list, place->record->id, pool, &record) == 0 &&
        record.type == MBOXLIST_LOCAL)
        r = record.flags & MBOXLIST_MOVING
                ? ERR_BUSY
                : mailbox_open(place->store, record.partition, record.id, &place->mailbox);
    pool_free(&pool);
    return r;
}

static const char *truth(uint64_t options, uint64_t bit)
{
    return (options & bit) != 0 ? "true" : "false";
}

/* What stands in the index. */
static int value_of_index(struct metadata_place *place, enum metadata_kind kind, struct pool *pool,
                          const char **value_r)
{
    const struct mailbox_header *header;
    char *date;
    int r = metadata_open(place);

    if (r < 0)
        return r;
    header = mailbox_header(place->mailbox);
    switch (kind) {
    case METADATA_DUPDELIVER:
        *value_r = truth(header->options, MAILBOX_OPT_DUPDELIVER);
        break;
    case METADATA_SHAREDSEEN:
        *value_r = truth(header->options, MAILBOX_OPT_SHARED_SEEN);
        break;
    case METADATA_LASTUPDATE:
        *value_r = date = pool_alloc(pool, MAIL_DATE_SIZE);
        mail_date_time_format(date, (int64_t)(header->change_time_ns / 1000000000), 0);
        break;
    default:
        *value_r = pool_printf(pool, "%llu", (unsigned long long)header->storage);
        break;
    }
    return 0;
}

/* NULL: none. */
static const char *special_uses(const struct metadata_place *place, struct pool *pool)
{
    const char *holder = specialuse_holder(place->who, place->record->name, pool), *uses;

    if (holder == NULL)
        return NULL;
    uses = mboxlist_special_use(place->record, holder, pool);
    return *uses != '\0' ? uses : NULL;
}

static int value_of_kind(struct metadata_place *place, enum metadata_kind kind, struct pool *pool,
                         const char **value_r)
{
    switch (kind) {
    case METADATA_FREE_MOST:
    case METADATA_FREE_TOTAL:
        *value_r = freespace_text(pool, kind == METADATA_FREE_MOST);
        return 0;
    case METADATA_PARTITION:
        *value_r = place->record->partition;
        return 0;
    case METADATA_SERVER:
        *value_r = config_servername();
        return 0;
    case METADATA_UNIQUEID:
        *value_r = place->record->id;
        return 0;
    case METADATA_SPECIALUSE:
        *value_r = special_uses(place, pool);
        return 0;
    default:
        return value_of_index(place, kind, pool, value_r);
    }
}

int metadata_value(struct metadata_place *place, const char *name, bool is_private, struct pool *pool,
                   struct annotation *annotation_r)
{
    enum metadata_where where = place->record != NULL ? OF_MAILBOX : OF_SERVER;
    const struct metadata_def *def = metadata_find(name, where, is_private ? PRIVATE : SHARED);
    int r;

    *annotation_r = (struct annotation){.entry = name};
    if (def != NULL && def->kind > METADATA_KEPT) {
        r = value_of_kind(place, def->kind, pool, &annotation_r->value);
        annotation_r->len = r == 0 && annotation_r->value != NULL ? strlen(annotation_r->value) : 0;
        return r;
    }
    r = annotation_get(place->list, place->record != NULL ? place->record->id : "",
                       is_private ? place->who->userid : "", name, pool, annotation_r);
    return r == ERR_NOTFOUND ? 0 : r;
}
