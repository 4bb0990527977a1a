/* annotate-rekey.c: the private annotations of a user who has got another name. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "imap/store/annotate-private.h"
#include "imap/store/quota.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

struct rekeying {
    struct mailbox *m;
    const char *from, *to;
    struct place {
        uint32_t number, size;
        uint64_t offset;
    } * places; /* of records whose annotations are others now */
    size_t count, room;
    struct pool *pool; /* of one message */
    struct buf bytes;
};

static int compare(const void *a, const void *b)
{
    const struct annotate_item *x = a, *y = b;
    int order = strcmp(x->entry, y->entry);

    return order != 0 ? order : strcmp(x->owner, y->owner);
}

static bool has_of(const struct annotate_items *items, const char *owner, const char *entry)
{
    for (size_t i = 0; i < items->count; i++)
        if (strcmp(items->items[i].owner, owner) == 0 && strcmp(items->items[i].entry, entry) == 0)
            return true;
    return false;
}

/* What another user of the new name may have left gives way.  false: there is nothing of the user. */
static bool rename_owner(const struct rekeying *k, struct annotate_items *items)
{
    size_t kept = 0;
    bool some = false;

    for (size_t i = 0; i < items->count; i++)
        some = some || strcmp(items->items[i].owner, k->from) == 0;
    if (!some)
        return false;
    for (size_t i = 0; i < items->count; i++) {
        if (strcmp(items->items[i].owner, k->to) != 0 || !has_of(items, k->from, items->items[i].entry))
            items->items[kept++] = items->items[i];
    }
    items->count = kept;
    for (size_t i = 0; i < items->count; i++)
        if (strcmp(items->items[i].owner, k->from) == 0)
            items->items[i].owner = k->to;
    qsort(items->items, items->count, sizeof(*items->items), compare);
    return true;
}

static int rekey_record(struct rekeying *k, uint32_t number, struct mailbox_record *record)
{
    struct annotate_items items;
    int r = annotate_read(k->m, record, k->pool, &items);

    if (r == ERR_CORRUPT)
        return 0;
    if (r < 0 || !rename_owner(k, &items))
        return r;
    buf_reset(&k->bytes);
    annotate_encode(&items, &k->bytes);
    r = annotate_append(k->m, &k->bytes, record);
    if (r < 0)
        return r;
    if (k->count == k->room) {
        k->room = k->room * 2 + 16;
        k->places = xreallocarray(k->places, k->room, sizeof(*k->places));
    }
    k->places[k->count++] = (struct place){number, record->annotation_size, record->annotation_offset};
    return 0;
}

/* Nobody who has the mailbox open is told: what he may see is the same.  So the modseq stays. */
static int move_record(struct rekeying *k, const struct place *place)
{
    struct mailbox_record record;
    int r = mailbox_read_records(k->m, place->number, 1, &record);

    if (r < 0)
        return r;
    if (!(record.system & RECORD_EXPUNGED))
        k->m->next.annotation_storage += (uint64_t)place->size - record.annotation_size;
    record.annotation_offset = place->offset;
    record.annotation_size = place->size;
    return records_write(k->m, place->number, 1, &record);
}

/* As with STORE: the values are on the disk before a record says where they are. */
static int commit(struct rekeying *k)
{
    int r = annotate_sync(k->m);

    if (r == 0)
        r = index_mark_dirty(k->m);
    for (size_t i = 0; r == 0 && i < k->count; i++)
        r = move_record(k, &k->places[i]);
    if (r == 0)
        r = index_commit(k->m, true);
    if (r == 0)
        (void)mailbox_quota_commit(k->m);
    return r;
}

static int rekey_locked(struct rekeying *k)
{
    struct mailbox_record batch[RECORD_BATCH];
    uint32_t records = k->m->next.records;
    int r = 0;

    for (uint32_t at = 0; r == 0 && at < records; at += RECORD_BATCH) {
        uint32_t n = records - at < RECORD_BATCH ? records - at : RECORD_BATCH;

        r = mailbox_read_records(k->m, at, n, batch);
        for (uint32_t i = 0; r == 0 && i < n; i++) {
            if (batch[i].annotation_size > 0)
                r = rekey_record(k, at + i, &batch[i]);
            pool_reset(k->pool);
        }
    }
    return r == 0 && k->count > 0 ? commit(k) : r;
}

static bool has_file(struct mailbox *m)
{
    int dir = mailbox_metadata_fd(m);
    char name[32];

    annotate_name(name, m->header.cache_generation);
    return dir >= 0 && faccessat(dir, name, F_OK, 0) == 0;
}

int annotate_rekey(struct mailbox *mailbox, const char *from, const char *to)
{
    struct rekeying k = {.m = mailbox, .from = from, .to = to};
    int r;

    if (!has_file(mailbox))
        return 0;
    r = index_begin(mailbox, mailbox->store->options.lock_ms);
    if (r < 0)
        return r;
    k.pool = pool_new(0);
    r = rekey_locked(&k);
    index_end(mailbox);
    pool_free(&k.pool);
    buf_free(&k.bytes);
    free(k.places);
    return r;
}
