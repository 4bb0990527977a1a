/* arrive.c: messages come into a mailbox: all or nothing, on disk at the end. */
#include "imap/store/arrive-private.h"

#include <stdlib.h>
#include <string.h>

#include "imap/store/annotate-private.h"
#include "imap/store/replace-private.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static int link_all(struct arrivals *a, struct mailbox *m, uint32_t *linked_r)
{
    for (*linked_r = 0; *linked_r < a->count; ++*linked_r) {
        int r = a->link(a, *linked_r, m, a->first_uid + *linked_r);

        if (r < 0)
            return r;
    }
    return a->sync(a, m);
}

/* ---- annotations: on the disk before any record ---- */

static int write_annotations(struct arrivals *a, struct mailbox *m, struct annotate_place *places)
{
    struct buf bytes = BUF_INIT;
    bool some = false;
    int r = 0;

    for (size_t i = 0; r == 0 && i < a->count; i++) {
        struct mailbox_record record = {.uid = a->first_uid + (uint32_t)i};

        buf_reset(&bytes);
        r = a->annotate(a, i, &bytes);
        if (r == 0)
            r = annotate_append(m, &bytes, &record);
        places[i] = (struct annotate_place){record.uid, record.annotation_size, record.annotation_offset};
        some |= bytes.len > 0;
    }
    buf_free(&bytes);
    return r == 0 && some ? annotate_sync(m) : r;
}

/* ---- records ---- */

/* Records [from, from + n) of the arrivals, with their cache entries. */
static int write_batch(struct arrivals *a, struct mailbox *m, const struct annotate_place *places,
                       size_t from, uint32_t n)
{
    struct mailbox_record batch[RECORD_BATCH];
    struct buf entry = BUF_INIT;
    int64_t now = clock_wall();
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < n; i++) {
        struct mailbox_record *record = &batch[i];

        memset(record, 0, sizeof(*record));
        record->uid = a->first_uid + (uint32_t)(from + i);
        r = a->fill(a, from + i, m, record);
        if (r < 0)
            break;
        record->modseq = record->created_modseq = a->modseq;
        record->replaces = a->replaces;
        if (places != NULL) {
            record->annotation_offset = places[from + i].offset;
            record->annotation_size = places[from + i].size;
        }
        record->last_updated = now;
        if (record->save_date == 0)
            record->save_date = now;
        buf_reset(&entry);
        a->entry(a, from + i, m, &entry);
        if (entry.len > 0)
            r = cache_append(m, &entry, record);
        totals_add(&m->next, record, m->next.records + i);
    }
    if (r == 0)
        r = records_write(m, m->next.records, n, batch);
    m->next.records += n;
    buf_free(&entry);
    return r;
}

/* old: what goes; NULL: nothing. */
static int write_index(struct arrivals *a, struct mailbox *m, const struct replaced *old)
{
    struct annotate_place *places = a->annotate != NULL ? xcalloc(a->count, sizeof(*places)) : NULL;
    int r = places != NULL ? write_annotations(a, m, places) : 0;

    m->next.highest_modseq = a->modseq;
    for (size_t at = 0; r == 0 && at < a->count; at += RECORD_BATCH)
        r = write_batch(a, m, places, at,
                        (uint32_t)(a->count - at < RECORD_BATCH ? a->count - at : RECORD_BATCH));
    free(places);
    if (r < 0)
        return r;
    m->next.last_uid += (uint32_t)a->count;
    m->next.last_append = clock_wall();
    if (old != NULL)
        replace_note(m, old, a->modseq);
    r = index_commit(m, true);
    if (r == 0 && old != NULL)
        replace_finish(m, old);
    return r;
}

/* RFC 8508 section 3.4: only the net counts. */
static int check_quota(struct arrivals *a, struct mailbox *m, const struct replaced *old)
{
    uint64_t gone = old != NULL ? old->record.size : 0, bytes = a->bytes > gone ? a->bytes - gone : 0;
    uint64_t count = a->count - (old != NULL);

    if (m->next.quota_root[0] == '\0' || (bytes == 0 && count == 0))
        return 0;
    return store_quota_check(m->store, m->next.quota_root, a->quota, bytes, count);
}

static int check(struct arrivals *a, struct mailbox *m, const struct replaced *old)
{
    int r;

    if (a->count > UID_MAX - m->next.last_uid || a->count > UINT32_MAX / 2 - m->next.records)
        return ERR_LIMIT;
    r = check_quota(a, m, old);
    if (r == 0 && a->admit != NULL)
        r = a->admit(a);
    return r;
}

static int find_replaced(struct arrivals *a, struct mailbox *m, struct replaced *old)
{
    int r = replace_find(m, a->replaces, old);

    return r == 0 ? replace_settle(m) : r;
}

int arrive_locked(struct mailbox *m, struct arrivals *a)
{
    struct replaced old;
    uint32_t linked = 0;
    int r = a->replaces != 0 ? find_replaced(a, m, &old) : 0;

    if (r == 0)
        r = check(a, m, a->replaces != 0 ? &old : NULL);
    if (r != 0)
        return r;
    a->uidvalidity = m->next.uidvalidity;
    a->first_uid = m->next.last_uid + 1;
    a->modseq = m->next.highest_modseq + 1;
    r = link_all(a, m, &linked);
    if (r == 0)
        r = write_index(a, m, a->replaces != 0 ? &old : NULL);
    if (r < 0) {
        for (uint32_t i = 0; i < linked; i++)
            message_file_unlink(m, a->first_uid + i);
        return r;
    }
    (void)mailbox_quota_commit(m);
    if (a->done != NULL)
        a->done(a);
    return 0;
}

int arrive(struct mailbox *m, struct arrivals *a)
{
    int r;

    if (a->quota != QUOTA_IGNORE && m->header.quota_root[0] != '\0')
        (void)store_quota_prepare(m->store);
    r = index_begin(m, m->store->options.lock_ms);
    if (r < 0)
        return r;
    r = arrive_locked(m, a);
    index_end(m);
    return r;
}

int arrive_flags(struct mailbox *m, uint32_t system, const char *const *keywords,
                 struct mailbox_record *record)
{
    record->system = system & RECORD_SYSTEM_FLAGS;
    for (; keywords != NULL && *keywords != NULL; keywords++) {
        int n = index_flag_slot(m, *keywords);

        if (n < 0)
            return n;
        record->user[n / 8] |= (unsigned char)(1u << (n % 8));
    }
    return 0;
}
