/* annotate.c: STORE of annotations. */
#include "imap/store/annotate.h"

#include <stdlib.h>
#include <string.h>

#include "imap/store/annotate-private.h"
#include "imap/store/quota.h"
#include "imap/store/view-private.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

int annotate_read_view(struct view *view, const struct view_message *message, struct pool *pool,
                       struct annotate_items *items_r)
{
    struct view_message again;
    struct mailbox *m;
    int r;

    *items_r = (struct annotate_items){0};
    if (message->record.annotation_size == 0)
        return 0;
    r = view_mailbox(view, &m);
    if (r == 0)
        r = annotate_read(m, &message->record, pool, items_r);
    if (r != ERR_CORRUPT)
        return r;
    *items_r = (struct annotate_items){0};
    r = mailbox_refresh(m);
    if (r == 0)
        r = view_read_uid(view, message->record.uid, &again);
    if (r == 0)
        r = annotate_read(m, &again.record, pool, items_r);
    if (r < 0)
        *items_r = (struct annotate_items){0};
    return r;
}

/* A record that gets another place. */
struct moved {
    uint32_t number, size;
    uint64_t offset;
};

struct annotating {
    struct view *view;
    struct mailbox *m;
    const struct annotate_changes *what;
    struct flag_result *result;
    uint64_t modseq; /* of this commit */
    struct moved *moved;
    size_t count, room;
    struct pool *pool; /* of one message */
    struct buf bytes;
};

static void note_moved(struct annotating *a, uint32_t number, const struct mailbox_record *record)
{
    if (a->count == a->room) {
        a->room = a->room * 2 + 16;
        a->moved = xreallocarray(a->moved, a->room, sizeof(*a->moved));
    }
    a->moved[a->count++] = (struct moved){number, record->annotation_size, record->annotation_offset};
}

/* Writes what the message will have; its record is not touched yet. */
static int write_message(struct annotating *a, uint32_t number, struct mailbox_record record)
{
    struct annotate_items items;
    int r = annotate_read(a->m, &record, a->pool, &items);

    if (r == ERR_CORRUPT)
        r = 0; /* what is lost is no reason to refuse what comes */
    if (r < 0 || !annotate_apply(&items, a->what->changes, a->what->count, a->modseq, a->pool))
        return r;
    r = annotate_judge(&items);
    if (r < 0)
        return r;
    buf_reset(&a->bytes);
    annotate_encode(&items, &a->bytes);
    r = annotate_append(a->m, &a->bytes, &record);
    if (r == 0)
        note_moved(a, number, &record);
    return r;
}

static int take_record(struct annotating *a, uint32_t number, const struct mailbox_record *record)
{
    int r;

    if (!view_has(a->view, record))
        return 0;
    if (record->system & RECORD_EXPUNGED) {
        a->result->expunged = true;
        return 0;
    }
    if (a->what->has_unchanged_since && record->modseq > a->what->unchanged_since)
        return uid_set_add(&a->result->modified, record->uid, record->uid);
    r = write_message(a, number, *record);
    pool_reset(a->pool);
    return r;
}

static int take_range(struct annotating *a, const struct uid_range *range)
{
    uint32_t last = range->last < a->view->uidnext ? range->last : a->view->uidnext - 1;
    struct mailbox_record batch[RECORD_BATCH];
    uint32_t number, end;
    int r;

    if (range->first > last)
        return 0;
    r = mailbox_find_uid(a->m, range->first, &number);
    if (r == 0)
        r = mailbox_find_uid(a->m, last + 1, &end);
    while (r == 0 && number < end) {
        uint32_t n = end - number < RECORD_BATCH ? end - number : RECORD_BATCH;

        r = mailbox_read_records(a->m, number, n, batch);
        for (uint32_t i = 0; r == 0 && i < n; i++)
            r = take_record(a, number + i, &batch[i]);
        number += n;
    }
    return r;
}

static int move_record(struct annotating *a, const struct moved *moved)
{
    struct mailbox_record record;
    int r = mailbox_read_records(a->m, moved->number, 1, &record);

    if (r < 0)
        return r;
    totals_remove(&a->m->next, &record);
    record.annotation_offset = moved->offset;
    record.annotation_size = moved->size;
    record.modseq = a->modseq;
    record.last_updated = clock_wall();
    totals_add(&a->m->next, &record, moved->number);
    ring_push(&a->m->next, moved->number);
    return records_write(a->m, moved->number, 1, &record);
}

/* The values are on the disk before a record says where they are. */
static int commit(struct annotating *a)
{
    int r = annotate_sync(a->m);

    a->m->next.highest_modseq = a->modseq;
    if (r == 0)
        r = index_mark_dirty(a->m);
    for (size_t i = 0; r == 0 && i < a->count; i++)
        r = move_record(a, &a->moved[i]);
    if (r == 0)
        r = index_commit(a->m, true);
    if (r == 0) {
        a->result->after = a->modseq;
        (void)mailbox_quota_commit(a->m);
    }
    return r;
}

static int store_locked(struct annotating *a, const struct uid_set *uids)
{
    int r = 0;

    a->result->before = a->result->after = a->m->next.highest_modseq;
    a->modseq = a->m->next.highest_modseq + 1;
    for (size_t i = 0; r == 0 && i < uids->count; i++)
        r = take_range(a, &uids->ranges[i]);
    return r == 0 && a->count > 0 ? commit(a) : r;
}

int annotate_store(struct view *view, const struct uid_set *uids, const struct annotate_changes *what,
                   struct flag_result *result_r)
{
    struct annotating a = {.view = view, .what = what, .result = result_r};
    int r = annotate_check(what->changes, what->count);

    memset(result_r, 0, sizeof(*result_r));
    if (r == 0)
        r = view_mailbox(view, &a.m);
    if (r == 0)
        r = index_begin(a.m, view->store->options.lock_ms);
    if (r < 0)
        return r;
    a.pool = pool_new(0);
    r = store_locked(&a, uids);
    index_end(a.m);
    pool_free(&a.pool);
    buf_free(&a.bytes);
    free(a.moved);
    return r;
}
