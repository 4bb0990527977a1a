/* compact.c: index and cache without what was expunged long ago. */
#include <stdlib.h>

#include "imap/store/annotate-private.h"
#include "imap/store/expunge.h"
#include "imap/store/mailbox-private.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

/* Compaction on its own is worth it when a quarter of the records is dead weight. */
#define MAINTAIN_MIN   64
#define MAINTAIN_EVERY (10 * 60) /* seconds at least between two looks */

struct compaction {
    struct rewriter w;
    struct mailbox *m;
    int64_t before;
    bool flags; /* look for user flags that no record has */
    unsigned char used[USER_FLAGS_BYTES];
    uint32_t unused; /* how many slots no record needs */
    struct uid_set removed;
    uint64_t purged;
    struct buf entry;
};

static bool goes(const struct compaction *c, const struct mailbox_record *r)
{
    return (r->system & RECORD_EXPUNGED) && r->last_updated < c->before;
}

typedef int each_fn(struct compaction *c, struct mailbox_record *record);

static int each_record(struct compaction *c, uint32_t from, each_fn *fn)
{
    struct mailbox_record batch[RECORD_BATCH];
    int r = 0;

    for (; r == 0 && from < c->m->next.records; from += RECORD_BATCH) {
        uint32_t n = c->m->next.records - from;

        n = n < RECORD_BATCH ? n : RECORD_BATCH;
        r = mailbox_read_records(c->m, from, n, batch);
        for (uint32_t i = 0; r == 0 && i < n; i++)
            r = fn(c, &batch[i]);
    }
    return r;
}

static int find_removed(struct compaction *c, struct mailbox_record *record)
{
    if (!goes(c, record)) {
        for (unsigned i = 0; i < USER_FLAGS_BYTES; i++)
            c->used[i] |= record->user[i];
        return 0;
    }
    if (record->modseq > c->purged)
        c->purged = record->modseq;
    return uid_set_add(&c->removed, record->uid, record->uid);
}

static int keep_rest(struct compaction *c, struct mailbox_record *record)
{
    if (goes(c, record))
        return 0;
    /* without an entry it is made when somebody asks for it */
    if (cache_read(c->m, record, &c->entry) < 0)
        buf_reset(&c->entry);
    return rewrite_add(&c->w, record, &c->entry);
}

/* Before their records go: of a file that is left behind nobody would know that it was expunged. */
static void unlink_removed(struct compaction *c)
{
    for (size_t i = 0; i < c->removed.count; i++) {
        for (uint64_t uid = c->removed.ranges[i].first; uid <= c->removed.ranges[i].last; uid++)
            message_file_unlink(c->m, (uint32_t)uid);
    }
}

/* Every record is looked at for its flags, expunged ones too: unexpunge brings them back. */
static int look(struct compaction *c)
{
    const struct mailbox_header *h = &c->m->next;
    int r = 0;

    if (c->flags)
        r = each_record(c, 0, find_removed);
    else if (h->expunged != 0)
        r = each_record(c, h->first_expunged, find_removed);
    for (unsigned i = 0; c->flags && i < USER_FLAGS_BYTES; i++)
        c->unused += (uint32_t)__builtin_popcount(h->flag_slots[i] & (unsigned char)~c->used[i]);
    return r;
}

static int compact_locked(struct compaction *c)
{
    int r = look(c);

    if (r < 0 || (c->removed.count == 0 && c->unused == 0 && !annotate_is_wasteful(c->m)))
        return r;
    r = rewrite_begin(c->m, c->m->apart, &c->w);
    if (r < 0)
        return r;
    for (unsigned i = 0; c->unused != 0 && i < USER_FLAGS_BYTES; i++)
        c->w.header.flag_slots[i] &= c->used[i];
    if (c->purged > c->w.header.purged_modseq)
        c->w.header.purged_modseq = c->purged;
    c->w.header.last_compact = clock_wall();
    r = each_record(c, 0, keep_rest);
    if (r < 0) {
        rewrite_abort(&c->w);
        return r;
    }
    unlink_removed(c);
    return rewrite_finish(&c->w);
}

static int compact(struct mailbox *m, int64_t before, bool flags, int64_t timeout_ms, uint32_t *removed_r,
                   uint32_t *flags_r)
{
    struct compaction *c = xcalloc(1, sizeof(*c));
    int64_t keep = clock_wall() - m->store->options.session_ms / 1000;
    int r = index_begin(m, timeout_ms);

    c->m = m;
    c->before = before < keep ? before : keep;
    c->flags = flags;
    if (r == 0) {
        r = compact_locked(c);
        index_end(m);
    }
    if (removed_r != NULL)
        *removed_r = r == 0 ? (uint32_t)uid_set_size(&c->removed) : 0;
    if (flags_r != NULL)
        *flags_r = r == 0 ? c->unused : 0;
    uid_set_free(&c->removed);
    buf_free(&c->entry);
    free(c);
    return r;
}

int mailbox_compact(struct mailbox *m, int64_t before, uint32_t *removed_r)
{
    return compact(m, before, false, m->store->options.lock_ms, removed_r, NULL);
}

int mailbox_drop_flags(struct mailbox *m, uint32_t *dropped_r)
{
    return compact(m, INT64_MIN, true, m->store->options.lock_ms, NULL, dropped_r);
}

int mailbox_maintain(struct mailbox *m)
{
    const struct mailbox_header *h = mailbox_header(m);

    bool expunged = m->store->options.expunge_mode == STORE_EXPUNGE_IMMEDIATE &&
                    h->expunged >= MAINTAIN_MIN && h->expunged >= h->records / 4;

    if (h->last_compact > clock_wall() - MAINTAIN_EVERY)
        return 0;
    if (!expunged && (m->annotate_fd < 0 || !annotate_is_wasteful(m)))
        return 0;
    return compact(m, expunged ? INT64_MAX : INT64_MIN, false, 0, NULL, NULL);
}
