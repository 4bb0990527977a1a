/* flags.c: STORE. */
#include "imap/store/flags.h"

#include <string.h>

#include "imap/store/view-private.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

/* A STORE under way. */
struct storing {
    struct view *view;
    struct mailbox *m;
    enum flag_operation operation;
    uint32_t system, may_system;
    unsigned char user[USER_FLAGS_BYTES];
    bool may_user;
    bool has_unchanged_since;
    uint64_t unchanged_since;
    bool private_seen, seen; /* \Seen is asked for, and is the reader's own */
    bool only_keywords;      /* a change of keywords by + or - */
    uint64_t modseq;         /* of this commit */
    int64_t now;
    struct uid_set seen_add, seen_remove;
    struct flag_result *result;
};

/* Keywords to bits.  What is only taken away needs no slot. */
static int resolve_keywords(struct storing *s, const struct flag_change *change)
{
    for (const char *const *k = change->keywords; k != NULL && *k != NULL; k++) {
        int n = change->operation == FLAGS_REMOVE ? mailbox_flag_number(s->m, *k) : index_flag_slot(s->m, *k);

        if (n == ERR_NOTFOUND)
            continue;
        if (n < 0)
            return n;
        s->user[n / 8] |= (unsigned char)(1u << (n % 8));
    }
    return 0;
}

static uint32_t new_system(const struct storing *s, uint32_t old)
{
    uint32_t wanted = s->system & s->may_system, keep = old & ~s->may_system;

    switch (s->operation) {
    case FLAGS_ADD:
        return old | wanted;
    case FLAGS_REMOVE:
        return old & ~wanted;
    case FLAGS_REPLACE:
        return keep | wanted;
    }
    return old;
}

static void change_user(const struct storing *s, unsigned char user[USER_FLAGS_BYTES])
{
    for (unsigned i = 0; s->may_user && i < USER_FLAGS_BYTES; i++) {
        if (s->operation == FLAGS_ADD)
            user[i] |= s->user[i];
        else if (s->operation == FLAGS_REMOVE)
            user[i] &= (unsigned char)~s->user[i];
        else
            user[i] = s->user[i];
    }
}

/* The reader's own \Seen: noted, to be written later. */
static int store_private_seen(struct storing *s, uint32_t uid)
{
    bool want = s->seen;

    if (!s->private_seen || (!want && s->operation == FLAGS_ADD))
        return 0;
    if (s->operation == FLAGS_REMOVE) {
        if (!want)
            return 0;
        want = false;
    }
    if (uid_set_has(&s->view->seen.uids, uid) == want)
        return 0;
    return uid_set_add(want ? &s->seen_add : &s->seen_remove, uid, uid);
}

/* UNCHANGEDSINCE (RFC 7162 3.1.3): 0 asks for keywords that the message does not have yet; system flags are always
 * there. */
static bool fails_condition(const struct storing *s, const struct mailbox_record *record)
{
    if (!s->has_unchanged_since || record->modseq <= s->unchanged_since)
        return false;
    for (unsigned i = 0; i < USER_FLAGS_BYTES; i++)
        if ((record->user[i] & s->user[i]) != 0)
            return true;
    return s->unchanged_since != 0 || !s->only_keywords;
}

/* 1: the record was changed. */
static int store_record(struct storing *s, uint32_t number, struct mailbox_record *record)
{
    struct mailbox_record old = *record;
    int r;

    if (!view_has(s->view, record))
        return 0;
    if (record->system & RECORD_EXPUNGED) {
        s->result->expunged = true;
        return 0;
    }
    if (fails_condition(s, record))
        return uid_set_add(&s->result->modified, record->uid, record->uid);
    r = store_private_seen(s, record->uid);
    if (r < 0)
        return r;
    record->system = new_system(s, record->system);
    change_user(s, record->user);
    if (record->system == old.system && memcmp(record->user, old.user, sizeof(old.user)) == 0)
        return 0;
    record->modseq = s->modseq;
    record->last_updated = s->now;
    s->m->next.highest_modseq = s->modseq;
    totals_remove(&s->m->next, &old);
    totals_add(&s->m->next, record, number);
    ring_push(&s->m->next, number);
    return 1;
}

/* The records [number, number + n) as far as their UIDs are at most `last`. */
static int store_batch(struct storing *s, uint32_t number, uint32_t n, uint32_t last)
{
    struct mailbox_record batch[RECORD_BATCH];
    bool changed = false;
    int r = mailbox_read_records(s->m, number, n, batch);

    for (uint32_t i = 0; r >= 0 && i < n && batch[i].uid <= last; i++) {
        r = store_record(s, number + i, &batch[i]);
        changed |= r == 1;
    }
    if (r < 0 || !changed)
        return r < 0 ? r : 0;
    r = index_mark_dirty(s->m);
    return r == 0 ? records_write(s->m, number, n, batch) : r;
}

static int store_range(struct storing *s, const struct uid_range *range)
{
    uint32_t last = range->last < s->view->uidnext ? range->last : s->view->uidnext - 1;
    uint32_t number, end;
    int r = 0;

    if (range->first > last)
        return 0;
    r = mailbox_find_uid(s->m, range->first, &number);
    if (r == 0)
        r = mailbox_find_uid(s->m, last + 1, &end);
    while (r == 0 && number < end) {
        uint32_t n = end - number < RECORD_BATCH ? end - number : RECORD_BATCH;

        r = store_batch(s, number, n, last);
        number += n;
    }
    return r;
}

static int store_locked(struct storing *s, const struct uid_set *uids, const struct flag_change *change)
{
    int r = resolve_keywords(s, change);

    s->result->before = s->result->after = s->m->next.highest_modseq;
    s->modseq = s->m->next.highest_modseq + 1;
    s->now = clock_wall();
    for (size_t i = 0; r == 0 && i < uids->count; i++)
        r = store_range(s, &uids->ranges[i]);
    if (r == 0 && s->m->dirty) {
        r = index_commit(s->m, true);
        if (r == 0)
            s->result->after = s->modseq;
    }
    return r;
}

static void begin(struct storing *s, const struct flag_change *change)
{
    s->operation = change->operation;
    s->system = change->system & RECORD_SYSTEM_FLAGS;
    s->may_system = change->may_system & RECORD_SYSTEM_FLAGS;
    s->may_user = change->may_keywords;
    s->has_unchanged_since = change->has_unchanged_since;
    s->unchanged_since = change->unchanged_since;
    s->only_keywords = change->operation != FLAGS_REPLACE && s->system == 0 && change->keywords != NULL &&
                       change->keywords[0] != NULL;
    if (s->view->seen.userid == NULL)
        return;
    s->private_seen = (s->may_system & RECORD_SEEN) != 0;
    s->seen = (s->system & RECORD_SEEN) != 0;
    s->may_system &= ~(uint32_t)RECORD_SEEN;
}

int flags_store(struct view *view, const struct uid_set *uids, const struct flag_change *change,
                struct flag_result *result_r)
{
    struct storing s = {.view = view, .result = result_r};
    int r;

    memset(result_r, 0, sizeof(*result_r));
    if (view->read_only)
        return ERR_READONLY;
    r = view_mailbox(view, &s.m);
    if (r == 0)
        r = index_begin(s.m, view->store->options.lock_ms);
    if (r < 0)
        return r;
    begin(&s, change);
    r = store_locked(&s, uids, change);
    index_end(s.m);
    if (r == 0)
        r = view_seen_change(view, &s.seen_add, true);
    if (r == 0)
        r = view_seen_change(view, &s.seen_remove, false);
    uid_set_free(&s.seen_add);
    uid_set_free(&s.seen_remove);
    return r;
}

/* Most of what is fetched has been seen before: that needs no lock. */
static int unseen_of(struct view *view, const struct uid_set *uids, struct uid_set *unseen)
{
    struct view_message batch[RECORD_BATCH];
    int r = 0;

    for (size_t i = 0; r == 0 && i < uids->count; i++) {
        uint32_t low, high, got = 0;

        r = view_uids_to_seqs(view, uids->ranges[i].first, uids->ranges[i].last, &low, &high);
        for (; r == 0 && low != 0 && low <= high; low += got) {
            uint32_t want = high - low + 1;

            r = view_read(view, low, want < RECORD_BATCH ? want : RECORD_BATCH, batch, &got);
            if (r < 0 || got == 0)
                break;
            for (uint32_t k = 0; r == 0 && k < got; k++) {
                if (!(batch[k].record.system & (RECORD_SEEN | RECORD_EXPUNGED)))
                    r = uid_set_add(unseen, batch[k].record.uid, batch[k].record.uid);
            }
        }
    }
    return r;
}

int flags_set_seen(struct view *view, const struct uid_set *uids, uint64_t *before_r, uint64_t *after_r)
{
    const struct flag_change change = {
        .operation = FLAGS_ADD, .system = RECORD_SEEN, .may_system = RECORD_SEEN};
    struct uid_set unseen = UID_SET_INIT;
    struct flag_result result = {0};
    int r = view->read_only ? ERR_READONLY : unseen_of(view, uids, &unseen);

    *before_r = *after_r = 0;
    if (r == 0 && unseen.count > 0) {
        r = flags_store(view, &unseen, &change, &result);
        *before_r = result.before;
        *after_r = result.after;
        uid_set_free(&result.modified);
    }
    uid_set_free(&unseen);
    return r;
}
