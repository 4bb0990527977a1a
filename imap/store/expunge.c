/* expunge.c: EXPUNGE: records are marked; compaction removes them. */
#include "imap/store/expunge.h"

#include <string.h>

#include "imap/store/quota.h"
#include "imap/store/view-private.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

struct expunging {
    struct mailbox *m;
    const struct view *view;    /* NULL: every message of the mailbox */
    const struct uid_set *uids; /* NULL: all */
    bool any;
    bool unlink;
    uint64_t modseq; /* of this commit */
    int64_t now;
    struct uid_set gone;
};

static bool is_wanted(const struct expunging *e, const struct mailbox_record *r)
{
    if ((r->system & RECORD_EXPUNGED) || (e->view != NULL && !view_has(e->view, r)))
        return false;
    if (e->uids != NULL && !uid_set_has(e->uids, r->uid))
        return false;
    return e->any || (r->system & RECORD_DELETED);
}

static int expunge_record(struct expunging *e, uint32_t number, struct mailbox_record *r)
{
    struct mailbox_header *h = &e->m->next;

    h->highest_modseq = e->modseq;
    totals_remove(h, r);
    r->system |= RECORD_EXPUNGED | (e->unlink ? RECORD_UNLINKED : 0u);
    r->modseq = e->modseq;
    r->last_updated = e->now;
    totals_add_expunged(h, r, number);
    ring_push(h, number);
    return uid_set_add(&e->gone, r->uid, r->uid);
}

static int expunge_batch(struct expunging *e, uint32_t number, uint32_t n)
{
    struct mailbox_record batch[RECORD_BATCH];
    bool changed = false;
    int r = mailbox_read_records(e->m, number, n, batch);

    for (uint32_t i = 0; r == 0 && i < n; i++) {
        if (!is_wanted(e, &batch[i]))
            continue;
        r = expunge_record(e, number + i, &batch[i]);
        changed = true;
    }
    if (r == 0 && changed)
        r = index_mark_dirty(e->m);
    if (r == 0 && changed)
        r = records_write(e->m, number, n, batch);
    return r;
}

static int expunge_numbers(struct expunging *e, uint32_t from, uint32_t to)
{
    int r = 0;

    while (r == 0 && from < to) {
        uint32_t n = to - from < RECORD_BATCH ? to - from : RECORD_BATCH;

        r = expunge_batch(e, from, n);
        from += n;
    }
    return r;
}

/* Only where the UIDs are, if they are given. */
static int expunge_locked(struct expunging *e)
{
    int r = 0;

    e->modseq = e->m->next.highest_modseq + 1;
    e->now = clock_wall();
    if (!e->any && e->m->next.deleted == 0)
        return 0;
    if (e->uids == NULL)
        r = expunge_numbers(e, 0, e->m->next.records);
    for (size_t i = 0; r == 0 && e->uids != NULL && i < e->uids->count; i++) {
        uint32_t from, to = e->m->next.records;

        r = mailbox_find_uid(e->m, e->uids->ranges[i].first, &from);
        if (r == 0 && e->uids->ranges[i].last != UINT32_MAX)
            r = mailbox_find_uid(e->m, e->uids->ranges[i].last + 1, &to);
        if (r == 0)
            r = expunge_numbers(e, from, to);
    }
    if (r == 0 && e->m->dirty) {
        r = index_commit(e->m, true);
        if (r == 0)
            (void)mailbox_quota_commit(e->m);
    }
    return r;
}

/* The UIDs are never given again, so no lock is needed. */
static void unlink_gone(const struct expunging *e)
{
    for (size_t i = 0; i < e->gone.count; i++) {
        for (uint64_t uid = e->gone.ranges[i].first; uid <= e->gone.ranges[i].last; uid++)
            message_file_unlink(e->m, (uint32_t)uid);
    }
}

static int expunge(struct expunging *e, struct uid_set *expunged_r)
{
    int r = index_begin(e->m, e->m->store->options.lock_ms);

    if (r == 0) {
        e->unlink = e->m->store->options.expunge_mode == STORE_EXPUNGE_IMMEDIATE;
        r = expunge_locked(e);
        index_end(e->m);
    }
    if (r == 0 && e->unlink)
        unlink_gone(e);
    if (expunged_r != NULL) {
        *expunged_r = (struct uid_set)UID_SET_INIT;
        if (r == 0) {
            *expunged_r = e->gone;
            return 0;
        }
    }
    uid_set_free(&e->gone);
    return r;
}

int expunge_messages(struct view *view, const struct expunge_what *what, struct uid_set *expunged_r)
{
    struct expunging e = {.view = view, .uids = what->uids, .any = what->any};
    int r;

    if (expunged_r != NULL)
        *expunged_r = (struct uid_set)UID_SET_INIT;
    if (view->read_only)
        return ERR_READONLY;
    r = view_mailbox(view, &e.m);
    return r < 0 ? r : expunge(&e, expunged_r);
}

int expunge_uids(struct mailbox *mailbox, const struct uid_set *uids, struct uid_set *expunged_r)
{
    struct expunging e = {.m = mailbox, .uids = uids, .any = true};

    return expunge(&e, expunged_r);
}
