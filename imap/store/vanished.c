/* vanished.c: which messages are gone since a mod-sequence (RFC 7162 section 3.2.6). */
#include "imap/store/view-private.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

struct vanished {
    struct view *view;
    const struct uid_set *wanted;
    size_t range; /* of wanted: no earlier one can match any more */
    uint64_t since;
    uint32_t above;
    struct uid_set *gone;
};

/* Adds what of [first, last] is wanted.  Called with ascending ranges. */
static int add_range(struct vanished *v, uint32_t first, uint32_t last)
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
            r = uid_set_add(v->gone, from, to);
    }
    return r;
}

/* Records of the map's holes, as many as lie side by side. */
static int add_holes(struct vanished *v, uint32_t *at)
{
    const struct view_map *map = &v->view->map;
    struct mailbox_record batch[RECORD_BATCH];
    uint32_t first = map->holes[*at], n = 1;
    int r;

    while (n < RECORD_BATCH && *at + n < map->hole_count && map->holes[*at + n] == first + n)
        n++;
    r = mailbox_read_records(v->view->mailbox, first, n, batch);
    for (uint32_t i = 0; r == 0 && i < n; i++) {
        if (batch[i].modseq > v->since)
            r = add_range(v, batch[i].uid, batch[i].uid);
    }
    *at += n;
    return r;
}

/* What is expunged and not in the view any more is what the map leaves out. */
static int add_expunged(struct vanished *v)
{
    int r = 0;

    for (uint32_t at = 0; r == 0 && at < v->view->map.hole_count;)
        r = add_holes(v, &at);
    return r;
}

/* Every UID that no message of the view has. */
static int add_missing(struct vanished *v)
{
    struct view_message batch[RECORD_BATCH];
    uint32_t next = 1, got;
    int r = 0;

    for (uint32_t seq = 1; r == 0 && seq <= v->view->exists; seq += got) {
        r = view_read(v->view, seq, RECORD_BATCH, batch, &got);
        if (r == 0 && got == 0)
            r = ERR_CORRUPT;
        for (uint32_t i = 0; r == 0 && i < got; i++) {
            if (batch[i].record.uid > next)
                r = add_range(v, next, batch[i].record.uid - 1);
            next = batch[i].record.uid + 1;
        }
    }
    return r == 0 && next < v->view->uidnext ? add_range(v, next, v->view->uidnext - 1) : r;
}

int view_vanished(struct view *view, const struct uid_set *wanted, uint64_t since, uint32_t above,
                  struct uid_set *gone_r)
{
    struct vanished v = {.view = view, .wanted = wanted, .since = since, .above = above, .gone = gone_r};
    int r = view_ready(view);

    *gone_r = (struct uid_set)UID_SET_INIT;
    if (r == 0)
        r = since < view->mailbox->header.purged_modseq ? add_missing(&v) : add_expunged(&v);
    if (r < 0)
        uid_set_free(gone_r);
    return r;
}
