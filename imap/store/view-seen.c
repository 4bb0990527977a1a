/* view-seen.c: private \Seen of a view: kept in memory, written in batches. */
#include <stdlib.h>
#include <string.h>

#include "imap/store/seen.h"
#include "imap/store/view-private.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

static int apply_sets(struct uid_set *to, const struct uid_set *add, const struct uid_set *remove)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < add->count; i++)
        r = uid_set_add(to, add->ranges[i].first, add->ranges[i].last);
    for (size_t i = 0; r == 0 && i < remove->count; i++)
        r = uid_set_remove(to, remove->ranges[i].first, remove->ranges[i].last);
    return r;
}

/* What the database has, and over it what is not written yet. */
int view_seen_load(struct view *view)
{
    struct view_seen *s = &view->seen;
    struct seen_state state;
    int r = seen_get(view->store, view->id, s->userid, &state);

    if (r == ERR_CORRUPT)
        r = 0; /* the next writing replaces it */
    if (r < 0)
        return r;
    uid_set_free(&s->uids);
    s->uids = state.uids;
    if (view->uidnext == 0) /* at the beginning; later \Recent stays as told */
        view->recent_uid = state.recent_uid;
    return apply_sets(&s->uids, &s->add, &s->remove);
}

void view_seen_free(struct view *view)
{
    uid_set_free(&view->seen.uids);
    uid_set_free(&view->seen.add);
    uid_set_free(&view->seen.remove);
    free(view->seen.userid);
    view->seen.userid = NULL;
}

void view_seen_apply(const struct view *view, struct mailbox_record *record)
{
    if (view->seen.userid == NULL)
        return;
    record->system &= ~(uint32_t)RECORD_SEEN;
    if (uid_set_has(&view->seen.uids, record->uid))
        record->system |= RECORD_SEEN;
}

static void set_deadline(struct view *view)
{
    if (view->seen.deadline == CLOCK_NEVER)
        view->seen.deadline = clock_deadline(view->store->options.seen_batch_ms);
}

void view_seen_recent(struct view *view, uint32_t uid)
{
    view->seen.recent_uid = uid;
    set_deadline(view);
}

int view_seen_change(struct view *view, const struct uid_set *uids, bool seen)
{
    struct view_seen *s = &view->seen;
    struct uid_set *to = seen ? &s->add : &s->remove, *from = seen ? &s->remove : &s->add;
    int r = 0;

    for (size_t i = 0; r == 0 && i < uids->count; i++) {
        const struct uid_range *range = &uids->ranges[i];

        r = uid_set_add(to, range->first, range->last);
        if (r == 0)
            r = uid_set_remove(from, range->first, range->last);
        if (r == 0 && seen)
            r = uid_set_add(&s->uids, range->first, range->last);
        else if (r == 0)
            r = uid_set_remove(&s->uids, range->first, range->last);
    }
    if (uids->count > 0)
        set_deadline(view);
    return r;
}

int64_t view_seen_deadline(const struct view *view)
{
    return view->seen.deadline;
}

/* Gives the messages of a range a new modseq: this reader's other sessions and clients see the change. */
static int bump_range(struct view *view, const struct uid_range *range, uint64_t modseq)
{
    struct mailbox *m = view->mailbox;
    struct mailbox_record record;
    uint32_t number;
    int r = mailbox_find_uid(m, range->first, &number);

    for (; r == 0 && number < m->next.records; number++) {
        r = mailbox_read_records(m, number, 1, &record);
        if (r < 0 || record.uid > range->last)
            break;
        if (record.system & RECORD_EXPUNGED)
            continue;
        r = index_mark_dirty(m);
        record.modseq = modseq;
        record.last_updated = clock_wall();
        m->next.highest_modseq = modseq;
        if (r == 0)
            r = records_write(m, number, 1, &record);
        ring_push(&m->next, number);
    }
    return r;
}

static int bump(struct view *view, uint64_t *before_r, uint64_t *after_r)
{
    struct view_seen *s = &view->seen;
    struct mailbox *m;
    int r = view_mailbox(view, &m);

    if (r == 0)
        r = index_begin(m, view->store->options.lock_ms);
    if (r < 0)
        return r;
    *before_r = m->next.highest_modseq;
    for (size_t i = 0; r == 0 && i < s->add.count; i++)
        r = bump_range(view, &s->add.ranges[i], *before_r + 1);
    for (size_t i = 0; r == 0 && i < s->remove.count; i++)
        r = bump_range(view, &s->remove.ranges[i], *before_r + 1);
    if (r == 0 && m->dirty)
        r = index_commit(m, true);
    *after_r = m->header.highest_modseq;
    index_end(m);
    return r;
}

int view_write_seen(struct view *view)
{
    struct view_seen *s = &view->seen;
    uint64_t before = 0, after = 0;
    int r;

    if (s->userid == NULL || s->deadline == CLOCK_NEVER)
        return 0;
    s->deadline = CLOCK_NEVER;
    r = seen_change(view->store, view->id, s->userid, &s->add, &s->remove, s->recent_uid);
    if (r < 0) { /* kept, and tried again */
        LOG(LOG_WARNING, STORE_SEEN, LOG_STR(MAILBOX, view->id), LOG_STR(USER, s->userid), LOG_ERROR(r));
        set_deadline(view);
        return r;
    }
    if (s->add.count + s->remove.count > 0)
        r = bump(view, &before, &after);
    if (r == 0)
        view_absorb(view, before, after);
    else if (r != ERR_NOTFOUND)
        LOG(LOG_WARNING, STORE_SEEN, LOG_STR(MAILBOX, view->id), LOG_STR(USER, s->userid), LOG_ERROR(r));
    uid_set_free(&s->add);
    uid_set_free(&s->remove);
    s->recent_uid = 0;
    return r;
}
