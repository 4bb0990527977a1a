/* vanished.c: which messages are gone since a mod-sequence (RFC 7162 section 3.2.6). */
#include "imap/store/view-private.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

/* Adds what of [first, last] is wanted.  Called with ascending ranges. */
static int add_range(struct view_vanished *v, uint32_t first, uint32_t last)
{
    int r = 0;

    if (first <= v->above)
        first = v->above + 1;
    while (v->range < v->wanted->count && v->wanted->ranges[v->range].last < first)
        v->range++;
    for (size_t i = v->range; r == 0 && i < v->wanted->count && v->wanted->ranges[i].first <= last; i++) {
        const struct uid_range *w = &v->wanted->ranges[i];
        uint32_t from = w->first > first ? w->first : first, to = w->last < last ? w->last : last;

        if (from <= to)
            r = uid_set_add(&v->gone, from, to);
    }
    return r;
}

/* Records of the map's holes, as many as lie side by side. */
static int add_holes(struct view_vanished *v)
{
    const struct view_map *map = &v->view->map;
    struct mailbox_record batch[RECORD_BATCH];
    uint32_t first = map->holes[v->at], n = 1;
    int r;

    while (n < RECORD_BATCH && v->at + n < map->hole_count && map->holes[v->at + n] == first + n)
        n++;
    r = mailbox_read_records(v->view->mailbox, first, n, batch);
    for (uint32_t i = 0; r == 0 && i < n; i++) {
        if (batch[i].modseq > v->since)
            r = add_range(v, batch[i].uid, batch[i].uid);
    }
    v->at += n;
    return r;
}

/* What is expunged and not in the view any more is what the map leaves out. */
static int add_expunged(struct view_vanished *v, uint32_t batch)
{
    uint32_t begin = v->at;
    int r = 0;

    while (r == 0 && v->at < v->view->map.hole_count && v->at - begin < batch)
        r = add_holes(v);
    return r < 0 ? r : v->at < v->view->map.hole_count;
}

/* UIDs between those of the next messages of the view. */
static int add_between(struct view_vanished *v)
{
    struct view_message batch[RECORD_BATCH];
    uint32_t got;
    int r = view_read(v->view, v->at, RECORD_BATCH, batch, &got);

    if (r == 0 && got == 0)
        r = ERR_CORRUPT;
    for (uint32_t i = 0; r == 0 && i < got; i++) {
        if (batch[i].record.uid > v->next)
            r = add_range(v, v->next, batch[i].record.uid - 1);
        v->next = batch[i].record.uid + 1;
    }
    v->at += got;
    return r;
}

/* Every UID that no message of the view has. */
static int add_missing(struct view_vanished *v, uint32_t batch)
{
    uint32_t begin = v->at;
    int r = 0;

    while (r == 0 && v->at <= v->view->exists && v->at - begin < batch)
        r = add_between(v);
    if (r < 0 || v->at <= v->view->exists)
        return r < 0 ? r : 1;
    return v->next < v->view->uidnext ? add_range(v, v->next, v->view->uidnext - 1) : 0;
}

/* From the beginning: also where a compaction has come between, as it renumbers records and removes some. */
static void begin(struct view_vanished *v)
{
    const struct mailbox *m = v->view->mailbox;

    uid_set_free(&v->gone);
    v->begun = true;
    v->incarnation = m->incarnation;
    v->missing = v->since < m->header.purged_modseq;
    v->at = v->missing ? 1 : 0;
    v->next = 1;
    v->range = 0;
}

int view_vanished_step(struct view_vanished *v, uint32_t batch)
{
    int r = view_ready(v->view);

    if (r < 0)
        return r;
    if (!v->begun || v->incarnation != v->view->mailbox->incarnation)
        begin(v);
    return v->missing ? add_missing(v, batch) : add_expunged(v, batch);
}
