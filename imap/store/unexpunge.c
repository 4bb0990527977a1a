/* unexpunge.c: expunged messages come back as new ones. */
#include "imap/store/unexpunge.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "imap/store/annotate-private.h"
#include "imap/store/arrive-private.h"
#include "imap/store/mailbox-private.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

struct unexpunging {
    struct mailbox *m;
    const struct unexpunge_what *what;
    struct mailbox_record *records; /* the old ones */
    uint32_t *numbers;
    size_t count, room;
};

typedef int record_fn(struct mailbox *m, uint32_t number, const struct mailbox_record *record, void *context);

/* Every record from the first that is expunged on: what came back stands behind. */
static int each_record(struct mailbox *m, record_fn *fn, void *context)
{
    const struct mailbox_header *h = m->lock != NULL ? &m->next : &m->header;
    struct mailbox_record batch[RECORD_BATCH];
    uint32_t at = h->expunged == 0 ? h->records : h->first_expunged;
    int r = 0;

    for (; r == 0 && at < h->records; at += RECORD_BATCH) {
        uint32_t n = h->records - at < RECORD_BATCH ? h->records - at : RECORD_BATCH;

        r = mailbox_read_records(m, at, n, batch);
        for (uint32_t i = 0; r == 0 && i < n; i++)
            r = fn(m, at + i, &batch[i], context);
    }
    return r;
}

struct search {
    struct uid_set returned; /* the UIDs under which messages were expunged that have come back */
    record_fn *fn;
    void *context;
};

static int note_returned(struct mailbox *m, uint32_t number, const struct mailbox_record *r, void *context)
{
    struct search *s = context;

    (void)m;
    (void)number;
    return r->former_uid != 0 ? uid_set_add(&s->returned, r->former_uid, r->former_uid) : 0;
}

/* One that has come back is not there to come back once more: a call that was killed may have left it so. */
static int pass_expunged(struct mailbox *m, uint32_t number, const struct mailbox_record *r, void *context)
{
    struct search *s = context;

    if (!(r->system & RECORD_EXPUNGED) || (r->system & RECORD_UNLINKED) ||
        uid_set_has(&s->returned, r->uid) || !message_file_exists(m, r->uid))
        return 0;
    return s->fn(m, number, r, s->context);
}

int mailbox_expunged_each(struct mailbox *m,
                          int (*fn)(struct mailbox *mailbox, uint32_t number,
                                    const struct mailbox_record *record, void *context),
                          void *context)
{
    struct search s = {.fn = fn, .context = context};
    int r = each_record(m, note_returned, &s);

    if (r == 0)
        r = each_record(m, pass_expunged, &s);
    uid_set_free(&s.returned);
    return r;
}

/* ---- under the lock ---- */

static int take(struct mailbox *m, uint32_t number, const struct mailbox_record *record, void *context)
{
    struct unexpunging *u = context;

    (void)m;
    if (u->what->uids != NULL && !uid_set_has(u->what->uids, record->uid))
        return 0;
    if (record->last_updated < u->what->since)
        return 0;
    if (u->count == u->room) {
        u->room = u->room * 2 + 16;
        u->records = xreallocarray(u->records, u->room, sizeof(*u->records));
        u->numbers = xreallocarray(u->numbers, u->room, sizeof(*u->numbers));
    }
    u->numbers[u->count] = number;
    u->records[u->count++] = *record;
    return 0;
}

static int link_again(struct arrivals *a, size_t i, struct mailbox *m, uint32_t uid)
{
    const struct unexpunging *u = a->context;
    int fd = message_file_open(m, u->records[i].uid), r;

    if (fd < 0)
        return fd;
    r = message_file_link(m, uid, fd);
    close(fd);
    return r;
}

static int sync_names(struct arrivals *a, struct mailbox *m)
{
    int dir = mailbox_dir_fd(m);

    (void)a;
    return dir < 0 ? dir : store_sync_dir(m->store, dir);
}

static int fill(struct arrivals *a, size_t i, struct mailbox *m, struct mailbox_record *to)
{
    const struct unexpunging *u = a->context;
    const struct mailbox_record *from = &u->records[i];
    int r = arrive_flags(m, u->what->system, u->what->keywords, to);

    record_copy_message(to, from);
    to->save_date = from->save_date;
    to->former_uid = from->uid; /* one commit says that it is here and that it has gone from there */
    to->system |= from->system & (RECORD_SYSTEM_FLAGS | RECORD_REBUILT);
    if (u->what->undelete)
        to->system &= ~(uint32_t)RECORD_DELETED;
    for (unsigned k = 0; k < USER_FLAGS_BYTES; k++)
        to->user[k] |= from->user[k];
    return r;
}

static void entry(struct arrivals *a, size_t i, struct mailbox *m, struct buf *to)
{
    const struct unexpunging *u = a->context;

    if (cache_read(m, &u->records[i], to) < 0)
        buf_reset(to); /* made anew when it is asked for */
}

/* Everybody's. */
static int annotations(struct arrivals *a, size_t i, struct buf *to)
{
    const struct unexpunging *u = a->context;
    int r = annotate_read_raw(u->m, &u->records[i], to);

    return r == ERR_CORRUPT ? 0 : r;
}

/* The old names of the files may go now; without this compaction removes them. */
static int retire(struct unexpunging *u)
{
    int r = index_mark_dirty(u->m);

    for (size_t i = 0; r == 0 && i < u->count; i++) {
        u->records[i].system |= RECORD_UNLINKED;
        u->m->next.expunged_storage -= u->records[i].size;
        r = records_write(u->m, u->numbers[i], 1, &u->records[i]);
    }
    return r == 0 ? index_commit(u->m, true) : r;
}

static int unexpunge_locked(struct unexpunging *u, struct arrivals *a)
{
    int r = mailbox_expunged_each(u->m, take, u);

    a->count = u->count;
    if (r == 0 && u->count > 0)
        r = arrive_locked(u->m, a);
    if (r == 0 && u->count > 0)
        r = retire(u);
    return r;
}

/* ---- the whole ---- */

static int tell(const struct unexpunging *u, const struct arrivals *a, struct copy_result *result)
{
    int r = 0;

    result->uidvalidity = u->m->header.uidvalidity;
    result->modseq = a->modseq;
    for (size_t i = 0; r == 0 && i < u->count; i++)
        r = uid_set_add(&result->source, u->records[i].uid, u->records[i].uid);
    if (r == 0 && u->count > 0)
        r = uid_set_add(&result->destination, a->first_uid, a->first_uid + (uint32_t)u->count - 1);
    return r;
}

int mailbox_unexpunge(struct mailbox *m, const struct unexpunge_what *what, struct copy_result *result_r)
{
    struct unexpunging u = {.m = m, .what = what};
    struct arrivals a = {
        .quota = QUOTA_IGNORE,
        .link = link_again,
        .sync = sync_names,
        .fill = fill,
        .entry = entry,
        .annotate = annotations,
        .context = &u,
    };
    int r = index_begin(m, m->store->options.lock_ms);

    memset(result_r, 0, sizeof(*result_r));
    if (r < 0)
        return r;
    r = unexpunge_locked(&u, &a);
    index_end(m);
    for (size_t i = 0; r == 0 && i < u.count; i++)
        message_file_unlink(m, u.records[i].uid);
    if (r == 0)
        r = tell(&u, &a, result_r);
    if (r < 0)
        copy_result_free(result_r);
    free(u.records);
    free(u.numbers);
    return r;
}
