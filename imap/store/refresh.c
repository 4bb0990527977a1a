/* refresh.c: what has happened in a mailbox since a session was told last (RFC 3501 section 7.4.1). */
#include <stdlib.h>
#include <string.h>

#include "imap/store/view-private.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

enum { SETTLED_MS = 5 };

/* A refresh under way.  Everything is judged by one header, whatever is written meanwhile. */
struct refresh {
    struct view *view;
    struct mailbox *m;
    struct mailbox_header h;
    bool expunge_allowed;
    bool holds;     /* there are expunges that may not be told now */
    uint64_t since; /* changes above this modseq are looked at */
    struct changed {
        uint32_t number;
        struct mailbox_record record;
    } * expunged, *flags;
    uint32_t expunged_count, expunged_room, flag_count, flag_room;
};

static void note(struct changed **list, uint32_t *count, uint32_t *room, uint32_t number,
                 const struct mailbox_record *record)
{
    if (*count == *room) {
        *room = *room * 2 + 16;
        *list = xreallocarray(*list, *room, sizeof(**list));
    }
    (*list)[(*count)++] = (struct changed){number, *record};
}

static void look_at(struct refresh *f, uint32_t number, const struct mailbox_record *r)
{
    if (r->uid >= f->view->uidnext)
        return;
    if (r->system & RECORD_EXPUNGED) {
        /* a later one is of a commit that is under way */
        if (r->modseq <= f->view->expunge_modseq || r->modseq > f->h.highest_modseq)
            return;
        if (f->expunge_allowed)
            note(&f->expunged, &f->expunged_count, &f->expunged_room, number, r);
        else
            f->holds = true;
    } else if (r->modseq > f->view->flags_modseq) {
        note(&f->flags, &f->flag_count, &f->flag_room, number, r);
    }
}

static int compare_numbers(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static int look_at_ring(struct refresh *f, uint32_t *numbers, int count)
{
    struct mailbox_record record;

    qsort(numbers, (size_t)count, sizeof(*numbers), compare_numbers);
    for (int i = 0; i < count; i++) {
        int r;

        if (i > 0 && numbers[i] == numbers[i - 1])
            continue;
        r = mailbox_read_records(f->m, numbers[i], 1, &record);
        if (r < 0)
            return r;
        look_at(f, numbers[i], &record);
    }
    return 0;
}

static int look_at_all(struct refresh *f)
{
    struct mailbox_record batch[RECORD_BATCH];

    for (uint32_t at = 0; at < f->h.records; at += RECORD_BATCH) {
        uint32_t n = f->h.records - at < RECORD_BATCH ? f->h.records - at : RECORD_BATCH;
        int r = mailbox_read_records(f->m, at, n, batch);

        if (r < 0)
            return r;
        for (uint32_t i = 0; i < n; i++) {
            if (batch[i].modseq > f->since)
                look_at(f, at + i, &batch[i]);
        }
    }
    return 0;
}

static int find_changes(struct refresh *f)
{
    uint32_t numbers[INDEX_RING];
    int n;

    if (f->h.highest_modseq <= f->since)
        return 0;
    n = ring_since(&f->h, f->since, numbers);
    return n < 0 ? look_at_all(f) : look_at_ring(f, numbers, n);
}

/* How many messages come into the view behind its old end. */
static int count_new(struct refresh *f, uint32_t end, uint32_t *count_r)
{
    struct mailbox_record batch[RECORD_BATCH];
    uint64_t mark = f->expunge_allowed ? f->h.highest_modseq : f->view->expunge_modseq;

    *count_r = 0;
    if (f->h.expunged == 0) {
        *count_r = f->h.records - end;
        return 0;
    }
    for (uint32_t at = end; at < f->h.records; at += RECORD_BATCH) {
        uint32_t n = f->h.records - at < RECORD_BATCH ? f->h.records - at : RECORD_BATCH;
        int r = mailbox_read_records(f->m, at, n, batch);

        if (r < 0)
            return r;
        for (uint32_t i = 0; i < n; i++)
            *count_r += !(batch[i].system & RECORD_EXPUNGED) || batch[i].modseq > mark;
    }
    return 0;
}

static void tell_expunged(struct refresh *f, struct pool *pool, struct view_news *news)
{
    uint32_t n = f->expunged_count;

    if (n == 0)
        return;
    news->expunged = pool_alloc(pool, n * sizeof(*news->expunged));
    news->expunged_uids = pool_alloc(pool, n * sizeof(*news->expunged_uids));
    for (uint32_t i = 0; i < n; i++) { /* descending: none lowers another */
        news->expunged[i] = view_seq(f->view, f->expunged[n - 1 - i].number);
        news->expunged_uids[i] = f->expunged[n - 1 - i].record.uid;
    }
    news->expunged_count = n;
}

/* With the old map: a message's number is lowered by the ones before it that go. */
static void tell_flags(struct refresh *f, struct pool *pool, struct view_news *news)
{
    const struct view *view = f->view;
    uint32_t gone = 0;

    if (f->flag_count == 0)
        return;
    news->flags = pool_alloc(pool, f->flag_count * sizeof(*news->flags));
    for (uint32_t i = 0; i < f->flag_count; i++) {
        struct view_message *to = &news->flags[i];

        while (gone < f->expunged_count && f->expunged[gone].number < f->flags[i].number)
            gone++;
        to->number = f->flags[i].number;
        to->seq = view_seq(view, to->number) - gone;
        to->record = f->flags[i].record;
        to->recent = to->record.uid > view->recent_uid;
        view_seen_apply(view, &to->record);
    }
    news->flag_count = f->flag_count;
}

static void advance(struct refresh *f, uint32_t arrived, struct view_news *news)
{
    struct view *view = f->view;

    view->exists += arrived - f->expunged_count;
    view->uidnext = f->h.last_uid + 1;
    view->flags_modseq = f->h.highest_modseq;
    if (f->expunge_allowed)
        view->expunge_modseq = f->h.highest_modseq;
    view->holds = !f->expunge_allowed;
    view->map.valid = false;
    news->exists_changed = arrived > 0;
    news->exists = view->exists;
    news->recent = 0;
}

/* Other sessions shall not call \Recent what this one was told of. */
static void claim_recent(struct refresh *f)
{
    uint32_t before;

    if (f->view->read_only)
        return;
    if (f->view->seen.userid != NULL)
        view_seen_recent(f->view, f->h.last_uid);
    else if (f->h.recent_uid < f->h.last_uid)
        (void)mailbox_claim_recent(f->m, &before);
}

/* Of a private reader: another session of his may have written. */
static int reload_seen(struct refresh *f)
{
    return f->view->seen.userid == NULL ? 0 : view_seen_load(f->view);
}

static int gather(struct refresh *f, struct pool *pool, struct view_news *news)
{
    uint32_t arrived = 0;
    int r = reload_seen(f);

    if (r == 0)
        r = find_changes(f);
    if (r == 0 && !f->holds)
        f->expunge_allowed = true; /* there is none: both marks go on */
    if (r == 0 && (f->expunged_count > 0 || f->flag_count > 0 || f->h.last_uid >= f->view->uidnext))
        r = view_ready(f->view);
    if (r == 0 && f->h.last_uid >= f->view->uidnext)
        r = count_new(f, f->view->map.end, &arrived);
    if (r < 0)
        return r;
    tell_expunged(f, pool, news);
    tell_flags(f, pool, news);
    advance(f, arrived, news);
    if (arrived > 0)
        claim_recent(f);
    if (arrived > 0 || news->expunged_count > 0)
        news->recent = view_recent(f->view);
    return 0;
}

/* Is there anything that this view has not been told? */
static bool is_current(const struct refresh *f)
{
    const struct view *view = f->view;

    return f->h.highest_modseq == view->flags_modseq && f->h.last_uid + 1 == view->uidnext &&
           (!f->expunge_allowed || view->expunge_modseq == view->flags_modseq);
}

/* The header that a handle has is as new as it must be. */
static bool will_do(struct refresh *f, bool was_open)
{
    bool settled = f->view->is_settled;

    f->view->is_settled = false;
    return !was_open || (settled && f->m->fd >= 0 && clock_ms() - f->m->loaded <= SETTLED_MS);
}

static int read_header(struct refresh *f)
{
    bool was_open = f->view->mailbox != NULL;
    int r = view_mailbox(f->view, &f->m);

    if (r == 0 && !will_do(f, was_open))
        r = mailbox_refresh(f->m);
    if (r < 0)
        return r;
    f->h = *mailbox_header(f->m);
    if (f->h.uidvalidity != f->view->uidvalidity)
        return ERR_NOTFOUND;
    if (f->h.purged_modseq > f->view->expunge_modseq)
        return ERR_EXPUNGED;
    f->since = f->view->flags_modseq;
    f->holds = !f->expunge_allowed && f->view->holds;
    if (!f->holds && f->view->expunge_modseq < f->since)
        f->since = f->view->expunge_modseq;
    return 0;
}

int view_refresh(struct view *view, bool expunge_allowed, struct pool *pool, struct view_news *news_r)
{
    struct refresh f = {.view = view};
    int r, tries = 0;

    MAGIC_CHECK(view, VIEW_MAGIC);
    do {
        memset(news_r, 0, sizeof(*news_r));
        news_r->exists = view->exists;
        f.expunged_count = f.flag_count = 0;
        f.expunge_allowed = expunge_allowed;
        r = read_header(&f);
        if (r == 0 && !is_current(&f))
            r = gather(&f, pool, news_r);
    } while (r == ERR_AGAIN && ++tries < READ_TRIES);
    free(f.expunged);
    free(f.flags);
    return r == ERR_AGAIN ? ERR_CORRUPT : r;
}

void view_settle(struct view *view)
{
    view->is_settled = true;
}

void view_absorb(struct view *view, uint64_t before, uint64_t after)
{
    if (view->flags_modseq != before || after <= before)
        return;
    view->flags_modseq = after;
    if (view->expunge_modseq == before)
        view->expunge_modseq = after;
}
