/* resync.c: what a client that was away has missed: SELECT's QRESYNC parameter (RFC 7162 section 3.2.5), and VANISHED
 * (section 3.2.10). */
#include <string.h>

#include "imap/local/local-private.h"
#include "imap/session/select-params.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/stream/stream.h"

enum { VANISHED_RANGES = 500 /* of a line, which stays below 16 KiB */ };

/* ---- VANISHED ---- */

bool local_tell_vanished(struct local_leg *l, const struct uid_set *gone, size_t *range, bool earlier)
{
    struct stream *out = l->leg.client->stream;

    while (*range < gone->count) {
        size_t n = gone->count - *range < VANISHED_RANGES ? gone->count - *range : VANISHED_RANGES;
        struct uid_set piece = {gone->ranges + *range, n, n};
        struct buf line = BUF_INIT;

        if (stream_unsent(out) >= STREAM_OUT_HIGH)
            return false;
        buf_printf(&line, "* VANISHED %s", earlier ? "(EARLIER) " : "");
        uid_set_format(&piece, &line);
        buf_puts(&line, "\r\n");
        stream_write(out, line.data, line.len);
        buf_free(&line);
        *range += n;
    }
    return true;
}

static int add_all(struct uid_set *to, const struct uid_set *from)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < from->count; i++)
        r = uid_set_add(to, from->ranges[i].first, from->ranges[i].last);
    return r;
}

int local_known_uids(struct local_leg *l, struct pool *pool, const char *set, struct uid_set *uids_r)
{
    uint32_t last = view_uidnext(l->view) - 1;
    struct seqset ranges;
    int r;

    *uids_r = (struct uid_set)UID_SET_INIT;
    if (last == 0)
        return 0;
    if (set != NULL && strcmp(set, "$") == 0)
        return add_all(uids_r, &l->saved);
    seqset_init(&ranges, pool);
    r = seqset_parse(&ranges, set != NULL ? set : "1:*", set != NULL ? strlen(set) : 3, last);
    for (size_t i = 0; r == 0 && i < ranges.count && ranges.ranges[i].first <= last; i++)
        r = uid_set_add(uids_r, ranges.ranges[i].first,
                        ranges.ranges[i].last < last ? ranges.ranges[i].last : last);
    if (r < 0)
        uid_set_free(uids_r);
    return r;
}

static int highest_of(struct view *view, uint32_t low, uint32_t high, uint64_t *modseq)
{
    struct view_message batch[LOCAL_BATCH];
    uint32_t got = 0;
    int r = 0;

    for (; r == 0 && low != 0 && low <= high; low += got) {
        r = view_read(view, low, high - low < LOCAL_BATCH ? high - low + 1 : LOCAL_BATCH, batch, &got);
        if (r == 0 && got == 0)
            return 0;
        for (uint32_t i = 0; r == 0 && i < got; i++)
            if (batch[i].record.modseq > *modseq)
                *modseq = batch[i].record.modseq;
    }
    return r;
}

int local_highest_modseq(struct view *view, const struct uid_set *messages, bool uid, uint64_t *modseq_r)
{
    int r = 0;

    *modseq_r = 0;
    for (size_t i = 0; r == 0 && i < messages->count; i++) {
        uint32_t low = messages->ranges[i].first, high = messages->ranges[i].last;

        if (uid)
            r = view_uids_to_seqs(view, low, high, &low, &high);
        if (r == 0)
            r = highest_of(view, low, high, modseq_r);
    }
    return r;
}

/* ---- SELECT (QRESYNC ...) ---- */

enum { MATCH_MAX = 4096 /* pairs that are looked at */ };

struct resync {
    struct uid_set known;
    struct view_vanished vanished;
    bool vanishing; /* what of the known ones is gone is still looked for */
    size_t range;
    struct local_walk walk;
    const char *code; /* of the tagged OK */
};

struct pair {
    uint32_t seq, uid;
};

static size_t read_pairs(struct pool *pool, const struct select_params *params, struct pair *pairs)
{
    struct seqset seqs, uids;
    struct seqset_iter s, u;
    size_t n = 0;

    seqset_init(&seqs, pool);
    seqset_init(&uids, pool);
    if (seqset_parse(&seqs, params->match_seqs, strlen(params->match_seqs), 0) < 0 ||
        seqset_parse(&uids, params->match_uids, strlen(params->match_uids), 0) < 0)
        return 0;
    seqset_iter_init(&s, &seqs);
    seqset_iter_init(&u, &uids);
    while (n < MATCH_MAX && seqset_iter_next(&s, &pairs[n].seq) && seqset_iter_next(&u, &pairs[n].uid))
        n++;
    return n;
}

/* The highest UID up to which the client knows what is there.  Messages only go: where one pair still matches, those
 * before it do too. */
static int matched_uid(struct local_leg *l, struct pool *pool, const struct select_params *params,
                       uint32_t *uid_r)
{
    struct pair *pairs;
    size_t low = 0, high;

    *uid_r = 0;
    if (params->match_seqs == NULL)
        return 0;
    pairs = pool_alloc(pool, MATCH_MAX * sizeof(*pairs));
    high = read_pairs(pool, params, pairs);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        uint32_t seq, last;
        int r = view_uids_to_seqs(l->view, pairs[mid].uid, pairs[mid].uid, &seq, &last);

        if (r < 0)
            return r;
        if (seq == pairs[mid].seq) {
            *uid_r = pairs[mid].uid;
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return 0;
}

static void resync_cleanup(struct command *cmd)
{
    struct resync *s = cmd->state;

    uid_set_free(&s->known);
    uid_set_free(&s->vanished.gone);
}

/* The mailbox is not selected after all. */
static enum step resync_fail(struct command *cmd, int error)
{
    local_drop_view(local_of(cmd));
    client_unselected(cmd->client);
    return command_error(cmd, error);
}

static enum step resync_step(struct command *cmd)
{
    struct local_leg *l = local_of(cmd);
    struct resync *s = cmd->state;
    struct view_message messages[LOCAL_BATCH];
    struct mailbox *mailbox;
    uint32_t count;
    int r;

    if (s->vanishing) {
        r = view_vanished_step(&s->vanished, LOCAL_VANISHED_BATCH);
        s->vanishing = r > 0;
        return r < 0 ? resync_fail(cmd, r) : STEP_MORE;
    }
    if (!local_tell_vanished(l, &s->vanished.gone, &s->range, true))
        return STEP_MORE;
    r = local_walk_next(l, &s->walk, messages, &count);
    if (r == 0)
        r = view_mailbox(l->view, &mailbox);
    if (r < 0)
        return resync_fail(cmd, r);
    if (count == 0)
        return command_ok(cmd, s->code, "Completed");
    for (uint32_t i = 0; i < count; i++)
        if (messages[i].record.modseq > s->vanished.since)
            local_tell_message(l, mailbox, &messages[i], LOCAL_TELL_UID | LOCAL_TELL_FLAGS);
    return STEP_MORE;
}

/* The messages of the known UIDs, as sequence numbers. */
static int walk_known(struct local_leg *l, struct pool *pool, const struct uid_set *known,
                      struct seqset *seqs)
{
    int r = 0;

    seqset_init(seqs, pool);
    for (size_t i = 0; r == 0 && i < known->count; i++) {
        uint32_t low, high;

        r = view_uids_to_seqs(l->view, known->ranges[i].first, known->ranges[i].last, &low, &high);
        if (r == 0 && low != 0)
            seqset_add_range(seqs, low, high);
    }
    return r;
}

enum step local_resync(struct command *cmd, const struct select_params *params, const char *code)
{
    struct local_leg *l = local_of(cmd);
    struct resync *s = pool_alloc(cmd->pool, sizeof(*s));
    int r;

    s->vanished = (struct view_vanished){.view = l->view, .wanted = &s->known, .since = params->modseq};
    s->vanishing = true;
    s->code = code;
    cmd->state = s;
    cmd->cleanup = resync_cleanup;
    r = local_known_uids(l, cmd->pool, params->known_uids, &s->known);
    if (r == 0)
        r = matched_uid(l, cmd->pool, params, &s->vanished.above);
    if (r == 0)
        r = walk_known(l, cmd->pool, &s->known, &s->walk.seqs);
    if (r < 0)
        return resync_fail(cmd, r);
    cmd->step = resync_step;
    return resync_step(cmd);
}
