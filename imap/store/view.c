/* view.c: a session's view: numbers, and the messages behind them. */
#include "imap/store/view.h"

#include <stdlib.h>
#include <string.h>

#include "imap/store/expunge.h"
#include "imap/store/seen.h"
#include "imap/store/view-private.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

/* ---- life ---- */

/* What SELECT does to \Recent: the messages since the last session that selected are this one's. */
static void claim_recent(struct view *view)
{
    const struct mailbox_header *h = mailbox_header(view->mailbox);

    if (view->seen.userid != NULL) {
        if (!view->read_only && view->recent_uid < h->last_uid)
            view_seen_recent(view, h->last_uid);
        return;
    }
    view->recent_uid = h->recent_uid;
    if (!view->read_only && h->recent_uid < h->last_uid)
        (void)mailbox_claim_recent(view->mailbox, &view->recent_uid);
}

static void take_numbers(struct view *view)
{
    const struct mailbox_header *h = mailbox_header(view->mailbox);

    view->uidvalidity = h->uidvalidity;
    view->uidnext = h->last_uid + 1;
    view->exists = h->exists;
    view->flags_modseq = view->expunge_modseq = h->highest_modseq;
}

int view_of(struct mailbox **mailbox, const struct mailbox_reader *reader, bool read_only,
            struct view **view_r)
{
    struct view *view = xcalloc(1, sizeof(*view));
    int r = 0;

    view->magic = VIEW_MAGIC;
    view->mailbox = *mailbox;
    *mailbox = NULL;
    view->store = mailbox_store(view->mailbox);
    view->partition = xstrdup(mailbox_partition(view->mailbox));
    view->read_only = read_only;
    view->seen.deadline = CLOCK_NEVER;
    str_copy(view->id, sizeof(view->id), mailbox_id(view->mailbox));
    if (reader != NULL && reader->userid != NULL) {
        view->seen.userid = xstrdup(reader->userid);
        r = view_seen_load(view);
    }
    if (r == 0) {
        take_numbers(view);
        claim_recent(view);
    } else {
        view_close(&view);
    }
    *view_r = view;
    return r;
}

int view_open(struct store *store, const char *partition, const char *id, const struct mailbox_reader *reader,
              bool read_only, struct view **view_r)
{
    struct mailbox *mailbox;
    int r = mailbox_open(store, partition, id, &mailbox);

    *view_r = NULL;
    return r < 0 ? r : view_of(&mailbox, reader, read_only, view_r);
}

static void drop_map(struct view *view)
{
    free(view->map.holes);
    memset(&view->map, 0, sizeof(view->map));
}

void view_close(struct view **vp)
{
    struct view *view = *vp;

    if (view == NULL)
        return;
    MAGIC_CHECK(view, VIEW_MAGIC);
    (void)view_write_seen(view);
    view_seen_free(view);
    drop_map(view);
    if (view->mailbox != NULL && !view->read_only)
        (void)mailbox_maintain(view->mailbox);
    mailbox_close(&view->mailbox);
    free(view->partition);
    view->magic = 0;
    free(view);
    *vp = NULL;
}

int64_t view_park(struct view *view)
{
    MAGIC_CHECK(view, VIEW_MAGIC);
    if (view->seen.deadline <= clock_ms())
        (void)view_write_seen(view);
    drop_map(view);
    mailbox_close(&view->mailbox);
    return view->seen.deadline;
}

int view_mailbox(struct view *view, struct mailbox **mailbox_r)
{
    int r = 0;

    MAGIC_CHECK(view, VIEW_MAGIC);
    if (view->mailbox == NULL) {
        r = mailbox_open(view->store, view->partition, view->id, &view->mailbox);
        if (r == 0 && view->mailbox->header.uidvalidity != view->uidvalidity) {
            mailbox_close(&view->mailbox);
            r = ERR_NOTFOUND;
        }
    }
    *mailbox_r = view->mailbox;
    return r;
}

/* ---- the map ---- */

static void add_hole(struct view_map *map, uint32_t number)
{
    if (map->hole_count == map->hole_room) {
        map->hole_room = map->hole_room * 2 + 16;
        map->holes = xreallocarray(map->holes, map->hole_room, sizeof(*map->holes));
    }
    map->holes[map->hole_count++] = number;
}

bool view_has(const struct view *view, const struct mailbox_record *record)
{
    if (record->uid >= view->uidnext)
        return false;
    return !(record->system & RECORD_EXPUNGED) || record->modseq > view->expunge_modseq;
}

static int find_holes(struct view *view)
{
    struct mailbox_record batch[RECORD_BATCH];
    struct view_map *map = &view->map;
    uint32_t at = view->mailbox->header.first_expunged;

    while (at < map->end) {
        uint32_t n = map->end - at < RECORD_BATCH ? map->end - at : RECORD_BATCH;
        int r = mailbox_read_records(view->mailbox, at, n, batch);

        if (r < 0)
            return r;
        for (uint32_t i = 0; i < n; i++) {
            if (!view_has(view, &batch[i]))
                add_hole(map, at + i);
        }
        at += n;
    }
    return 0;
}

static int build_map(struct view *view)
{
    struct mailbox *m = view->mailbox;
    int r = 0;

    drop_map(view);
    if (m->header.purged_modseq > view->expunge_modseq)
        return ERR_EXPUNGED;
    if (m->header.last_uid < view->uidnext)
        view->map.end = m->header.records;
    else
        r = mailbox_find_uid(m, view->uidnext, &view->map.end);
    if (r == 0 && m->header.expunged > 0)
        r = find_holes(view);
    if (r < 0)
        return r;
    /* whatever happened to the files: a wrong sequence number is worse than the end of the session */
    if (view->map.end - view->map.hole_count != view->exists)
        return ERR_EXPUNGED;
    view->map.incarnation = m->incarnation;
    view->map.valid = true;
    return 0;
}

int view_ready(struct view *view)
{
    struct mailbox *m;
    int r = view_mailbox(view, &m);

    if (r < 0)
        return r;
    if (view->map.valid && view->map.incarnation == m->incarnation)
        return 0;
    return build_map(view);
}

/* How many holes lie before the record of sequence number `seq`: holes[i] - i records of the view lie before
 * hole i. */
static uint32_t holes_before(const struct view_map *map, uint32_t seq)
{
    uint32_t low = 0, high = map->hole_count;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (map->holes[mid] - mid < seq)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

uint32_t view_number(const struct view *view, uint32_t seq)
{
    return seq - 1 + holes_before(&view->map, seq);
}

/* Of a record in the view; of another one, that of the next. */
uint32_t view_seq(const struct view *view, uint32_t number)
{
    const struct view_map *map = &view->map;
    uint32_t low = 0, high = map->hole_count;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (map->holes[mid] < number)
            low = mid + 1;
        else
            high = mid;
    }
    return number - low + 1;
}

/* ---- what SELECT tells ---- */

uint32_t view_exists(const struct view *view)
{
    return view->exists;
}

uint32_t view_uidnext(const struct view *view)
{
    return view->uidnext;
}

uint32_t view_uidvalidity(const struct view *view)
{
    return view->uidvalidity;
}

uint64_t view_highest_modseq(const struct view *view)
{
    return view->flags_modseq < view->expunge_modseq ? view->flags_modseq : view->expunge_modseq;
}

void view_allow_changes(struct view *view)
{
    view->read_only = false;
}

bool view_is_read_only(const struct view *view)
{
    return view->read_only;
}

const char *view_userid(const struct view *view)
{
    return view->seen.userid;
}

uint32_t view_recent(struct view *view)
{
    uint32_t low, high;

    if (view->recent_uid + 1 >= view->uidnext)
        return 0;
    if (view_uids_to_seqs(view, view->recent_uid + 1, view->uidnext - 1, &low, &high) < 0 || low == 0)
        return 0;
    return high - low + 1;
}

/* The first UID from `uid` on that a private reader has not seen. */
static uint32_t skip_seen(const struct uid_set *seen, uint32_t uid)
{
    for (size_t i = 0; i < seen->count; i++) {
        if (seen->ranges[i].first <= uid && uid <= seen->ranges[i].last)
            return seen->ranges[i].last + 1;
    }
    return uid;
}

static int first_unseen_private(struct view *view, uint32_t *seq_r)
{
    struct view_message message;
    uint32_t uid = 1, low, high, got;

    for (;;) {
        int r;

        uid = skip_seen(&view->seen.uids, uid);
        if (uid >= view->uidnext)
            return 0;
        r = view_uids_to_seqs(view, uid, view->uidnext - 1, &low, &high);
        if (r < 0 || low == 0)
            return r;
        r = view_read(view, low, 1, &message, &got);
        if (r < 0)
            return r;
        if (!(message.record.system & RECORD_SEEN)) {
            *seq_r = low;
            return 0;
        }
        uid = message.record.uid;
    }
}

/* A search from a stale hint may be long: the next one begins where it ended. */
static void improve_hint(struct view *view, const struct view_message *first)
{
    struct mailbox *m = view->mailbox;

    if (first->number - m->header.first_unseen < 16 * RECORD_BATCH || index_begin(m, 0) < 0)
        return;
    if (m->incarnation == view->map.incarnation && m->next.highest_modseq == view->flags_modseq) {
        m->next.first_unseen = first->number;
        m->next.first_unseen_uid = first->record.uid;
        (void)index_commit(m, false);
    }
    index_end(m);
}

int view_first_unseen(struct view *view, uint32_t *seq_r)
{
    struct view_message batch[RECORD_BATCH];
    uint32_t seq, got, want = 1; /* the hint is right, as a rule */
    int r = view_ready(view);

    *seq_r = 0;
    if (r < 0)
        return r;
    if (view->seen.userid != NULL)
        return first_unseen_private(view, seq_r);
    if (view->mailbox->header.unseen == 0)
        return 0;
    for (seq = view_seq(view, view->mailbox->header.first_unseen); seq <= view->exists; seq += got) {
        r = view_read(view, seq, want, batch, &got);
        if (r < 0 || got == 0)
            return r;
        for (uint32_t i = 0; i < got; i++) {
            if (batch[i].record.system & (RECORD_SEEN | RECORD_EXPUNGED))
                continue;
            *seq_r = batch[i].seq;
            improve_hint(view, &batch[i]);
            return 0;
        }
        want = RECORD_BATCH;
    }
    return 0;
}

/* ---- messages ---- */

static void fill_message(const struct view *view, uint32_t number, const struct mailbox_record *record,
                         struct view_message *message)
{
    message->seq = view_seq(view, number);
    message->number = number;
    message->recent = record->uid > view->recent_uid;
    message->record = *record;
    view_seen_apply(view, &message->record);
}

static bool is_hole(const struct view_map *map, uint32_t *at, uint32_t number)
{
    while (*at < map->hole_count && map->holes[*at] < number)
        ++*at;
    return *at < map->hole_count && map->holes[*at] == number;
}

int view_read(struct view *view, uint32_t seq, uint32_t count, struct view_message *messages, uint32_t *got_r)
{
    struct mailbox_record batch[RECORD_BATCH];
    uint32_t number, hole;
    int r = view_ready(view);

    *got_r = 0;
    if (r < 0)
        return r;
    if (seq == 0)
        return ERR_INVALID;
    if (seq > view->exists)
        return 0;
    number = view_number(view, seq);
    hole = holes_before(&view->map, seq);
    while (*got_r < count && number < view->map.end) {
        uint32_t n = view->map.end - number, want = count - *got_r;

        n = n < want ? n : want;
        n = n < RECORD_BATCH ? n : RECORD_BATCH;
        r = mailbox_read_records(view->mailbox, number, n, batch);
        if (r < 0)
            return r;
        for (uint32_t i = 0; i < n; i++) {
            if (!is_hole(&view->map, &hole, number + i))
                fill_message(view, number + i, &batch[i], &messages[(*got_r)++]);
        }
        number += n;
    }
    return 0;
}

/* Closes the gaps that n records from `number` on have. */
static uint32_t drop_holes(const struct view_map *map, uint32_t *hole, uint32_t number, uint32_t n,
                           unsigned char *raw, uint32_t *numbers)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (is_hole(map, hole, number + i))
            continue;
        if (kept != i)
            memcpy(raw + (size_t)kept * INDEX_RECORD_SIZE, raw + (size_t)i * INDEX_RECORD_SIZE,
                   INDEX_RECORD_SIZE);
        numbers[kept++] = number + i;
    }
    return kept;
}

int view_read_raw(struct view *view, uint32_t seq, uint32_t count, unsigned char *raw, uint32_t *numbers,
                  uint32_t *got_r)
{
    uint32_t number, hole;
    int r = view_ready(view);

    *got_r = 0;
    if (r < 0)
        return r;
    if (seq == 0)
        return ERR_INVALID;
    if (seq > view->exists)
        return 0;
    number = view_number(view, seq);
    hole = holes_before(&view->map, seq);
    while (*got_r < count && number < view->map.end) {
        uint32_t n = view->map.end - number, want = count - *got_r;
        unsigned char *to = raw + (size_t)*got_r * INDEX_RECORD_SIZE;

        n = n < want ? n : want;
        r = mailbox_read_raw(view->mailbox, number, n, to);
        if (r < 0)
            return r;
        *got_r += drop_holes(&view->map, &hole, number, n, to, numbers + *got_r);
        number += n;
    }
    return 0;
}

void view_take_raw(const struct view *view, uint32_t seq, uint32_t number, const unsigned char *raw,
                   struct view_message *message_r)
{
    message_r->seq = seq;
    message_r->number = number;
    record_take(raw, &message_r->record);
    message_r->recent = message_r->record.uid > view->recent_uid;
    view_seen_apply(view, &message_r->record);
}

int view_uids_to_seqs(struct view *view, uint32_t first, uint32_t last, uint32_t *low_r, uint32_t *high_r)
{
    uint32_t from, to;
    int r = view_ready(view);

    *low_r = *high_r = 0;
    if (r < 0)
        return r;
    if (last >= view->uidnext)
        last = view->uidnext - 1;
    if (first > last)
        return 0;
    r = mailbox_find_uid(view->mailbox, first, &from);
    if (r == 0 && last + 1 == view->uidnext)
        to = view->map.end;
    else if (r == 0)
        r = mailbox_find_uid(view->mailbox, last + 1, &to);
    if (r < 0)
        return r;
    from = view_seq(view, from < view->map.end ? from : view->map.end);
    to = view_seq(view, to < view->map.end ? to : view->map.end);
    if (from < to) {
        *low_r = from;
        *high_r = to - 1;
    }
    return 0;
}

int view_read_uid(struct view *view, uint32_t uid, struct view_message *message_r)
{
    uint32_t low, high, got;
    int r = view_uids_to_seqs(view, uid, uid, &low, &high);

    if (r < 0)
        return r;
    if (low == 0)
        return ERR_NOTFOUND;
    r = view_read(view, low, 1, message_r, &got);
    if (r == 0 && got == 0)
        r = ERR_NOTFOUND;
    return r;
}

int view_seqs_span(struct view *view, uint32_t low, uint32_t high, uint32_t *first_r, uint32_t *last_r)
{
    struct view_message first, last;
    uint32_t got;
    int r;

    if (low == 0 || low > high || high > view->exists)
        return ERR_INVALID;
    r = view_read(view, low, 1, &first, &got);
    if (r == 0 && got == 1)
        r = view_read(view, high, 1, &last, &got);
    if (r == 0 && got != 1)
        r = ERR_CORRUPT; /* view_ready() has counted them */
    if (r < 0)
        return r;
    *first_r = first.record.uid;
    *last_r = last.record.uid;
    return 0;
}

int view_seqs_to_uids(struct view *view, uint32_t low, uint32_t high, struct uid_set *to)
{
    struct view_message batch[RECORD_BATCH];
    uint32_t first, last;
    int span = view_seqs_span(view, low, high, &first, &last);

    if (span < 0)
        return span;
    if (last - first == high - low) /* no UID between them is of another */
        return uid_set_add(to, first, last);
    while (low <= high) {
        uint32_t want = high - low + 1, got;
        int r = view_read(view, low, want < RECORD_BATCH ? want : RECORD_BATCH, batch, &got);

        if (r < 0)
            return r;
        for (uint32_t i = 0; r == 0 && i < got; i++)
            r = uid_set_add(to, batch[i].record.uid, batch[i].record.uid);
        if (r < 0)
            return r;
        low += got;
    }
    return 0;
}
