/* search.c: SEARCH keys, cheapest first: flags, records, cached headers, header, body. */
#include "imap/store/search.h"

#include <stdlib.h>
#include <string.h>

#include "imap/store/le-private.h"
#include "imap/store/search-private.h"
#include "imap/store/view-private.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/mail/date.h"

#define STEP_BYTES (4 * 1024 * 1024) /* of message files read in one step, about */

/* ---- preparation: the order of keys ---- */

static bool looks_into_messages(enum search_op op)
{
    return op == SEARCH_HEADER || op == SEARCH_BODY || op == SEARCH_TEXT;
}

static unsigned cost(const struct search_node *n)
{
    unsigned most = 0;

    switch (n->op) {
    case SEARCH_BODY:
    case SEARCH_TEXT:
        return 3;
    case SEARCH_HEADER:
        return message_header_is_cached(n->name) ? 1 : 2;
    case SEARCH_ANNOTATION:
        return 1;
    default:
        break;
    }
    for (const struct search_node *c = n->children; c != NULL; c = c->next) {
        unsigned k = cost(c);

        most = k > most ? k : most;
    }
    return most;
}

/* Stable, by cost. */
static void order_children(struct search_node *n)
{
    struct search_node *sorted = NULL, **tail = &sorted;

    for (unsigned k = 0; k <= 3; k++) {
        for (struct search_node **at = &n->children; *at != NULL;) {
            struct search_node *c = *at;

            if (cost(c) != k) {
                at = &c->next;
                continue;
            }
            *at = c->next;
            c->next = NULL;
            *tail = c;
            tail = &c->next;
        }
    }
    n->children = sorted;
}

static void add_searcher(struct search *s, struct search_node *n)
{
    if (s->searcher_count == s->searcher_room) {
        s->searcher_room = s->searcher_room * 2 + 4;
        s->searchers = xreallocarray(s->searchers, s->searcher_room, sizeof(*s->searchers));
    }
    n->number = s->searcher_count;
    s->searchers[s->searcher_count++] = searcher_new(FOLD_UNICODE, n->text, strlen(n->text));
    s->reads = true;
}

static int find_keyword(struct search *s, struct search_node *n)
{
    struct mailbox *m;
    int r = view_mailbox(s->view, &m);

    if (r == 0)
        r = mailbox_flag_number(m, n->text);
    if (r < 0 && r != ERR_NOTFOUND)
        return r;
    n->number = r < 0 ? UINT64_MAX : (uint64_t)r;
    return 0;
}

static int prepare(struct search *s, struct search_node *n)
{
    int r = n->op == SEARCH_KEYWORD ? find_keyword(s, n) : 0;

    s->reads = s->reads || n->op == SEARCH_ANNOTATION;
    if (looks_into_messages(n->op) || (n->op == SEARCH_ANNOTATION && n->text != NULL))
        add_searcher(s, n);
    order_children(n);
    for (struct search_node *c = n->children; r == 0 && c != NULL; c = c->next)
        r = prepare(s, c);
    return r;
}

/* ---- preparation: which messages ---- */

static void narrow(struct search *s, uint32_t first, uint32_t last)
{
    if (first > s->seq)
        s->seq = first;
    if (last < s->last)
        s->last = last;
}

/* A set that every hit is in bounds what must be looked at. */
static int set_bounds(struct search *s, const struct search_node *n)
{
    uint32_t low, high;
    int r = 0;

    if (n->op == SEARCH_SEQS) {
        narrow(s, uid_set_first(&n->set), uid_set_last(&n->set));
    } else if (n->op == SEARCH_UIDS && n->set.count == 0) {
        s->last = 0;
    } else if (n->op == SEARCH_UIDS) {
        r = view_uids_to_seqs(s->view, uid_set_first(&n->set), uid_set_last(&n->set), &low, &high);
        narrow(s, low, high);
    }
    for (const struct search_node *c = n->children; r == 0 && n->op == SEARCH_AND && c != NULL; c = c->next)
        r = set_bounds(s, c);
    return r;
}

/* ---- preparation: what flags decide ---- */

static void test_system(struct raw_test *t, uint32_t bit, bool set)
{
    if ((t->mask & bit) != 0 && ((t->value & bit) != 0) != set)
        t->never = true;
    t->mask |= bit;
    t->value |= set ? bit : 0;
}

static void test_user(struct raw_test *t, uint64_t number, bool set)
{
    unsigned char bit = (unsigned char)(1u << number % 8);
    size_t at = number / 8;

    if (number >= USER_FLAGS_MAX) {
        t->never |= set;
        return;
    }
    if ((t->user_mask[at] & bit) != 0 && ((t->user_value[at] & bit) != 0) != set)
        t->never = true;
    t->has_user = true;
    t->user_mask[at] |= bit;
    t->user_value[at] |= set ? bit : 0;
}

/* Takes what every hit must fulfil into the test; true if nothing else is in the node. */
static bool take_test(struct search *s, const struct search_node *n, bool set)
{
    bool whole = true;

    switch (n->op) {
    case SEARCH_ALL:
        s->test.never |= !set;
        return true;
    case SEARCH_NOT:
        return n->children->op != SEARCH_AND && take_test(s, n->children, !set);
    case SEARCH_FLAG:
        if (n->number == RECORD_SEEN && view_userid(s->view) != NULL)
            return false; /* it is not the index's */
        test_system(&s->test, (uint32_t)n->number, set);
        return true;
    case SEARCH_KEYWORD:
        test_user(&s->test, n->number, set);
        return true;
    case SEARCH_AND:
        for (const struct search_node *c = n->children; c != NULL; c = c->next)
            whole &= take_test(s, c, true);
        return whole;
    default:
        return false;
    }
}

int search_begin(struct view *view, struct search_node *program, enum search_wants wants,
                 struct search **search_r)
{
    struct search *s = xcalloc(1, sizeof(*s));
    int r;

    s->view = view;
    s->program = program;
    s->wants = wants;
    s->seq = 1;
    s->last = view_exists(view);
    s->raw = xreallocarray(NULL, SEARCH_RAW, INDEX_RECORD_SIZE);
    r = prepare(s, program);
    if (r == 0)
        r = set_bounds(s, program);
    if (r == 0)
        s->by_test = take_test(s, program, true);
    if (r < 0)
        search_end(&s);
    *search_r = s;
    return r;
}

void search_read_if(struct search *s, search_needs_fn *needs, void *context)
{
    s->needs = needs;
    s->needs_context = context;
}

void search_end(struct search **search)
{
    struct search *s = *search;

    if (s == NULL)
        return;
    for (size_t i = 0; i < s->searcher_count; i++)
        searcher_free(&s->searchers[i]);
    free(s->searchers);
    free(s->raw);
    message_batch_close(&s->batch);
    buf_free(&s->file);
    buf_free(&s->unfolded);
    buf_free(&s->decoded);
    buf_free(&s->plain);
    free(s);
    *search = NULL;
}

/* ---- keys of the record ---- */

static bool match_date(const struct mailbox_record *r, const struct search_node *n)
{
    int64_t day, internal = mail_date_day(r->internal_date, r->internal_zone);
    int64_t sent = mail_date_day(r->sent_date, r->sent_zone);

    day = n->op >= SEARCH_SENTBEFORE ? sent : internal;
    if (n->op >= SEARCH_SAVEDBEFORE)
        day = mail_date_day(r->save_date, 0);
    switch (n->op) {
    case SEARCH_BEFORE:
    case SEARCH_SENTBEFORE:
    case SEARCH_SAVEDBEFORE:
        return day < n->day;
    case SEARCH_ON:
    case SEARCH_SENTON:
    case SEARCH_SAVEDON:
        return day == n->day;
    default:
        return day >= n->day;
    }
}

static bool match_record(const struct view_message *m, const struct search_node *n)
{
    const struct mailbox_record *r = &m->record;

    switch (n->op) {
    case SEARCH_ALL:
        return true;
    case SEARCH_SEQS:
        return uid_set_has(&n->set, m->seq);
    case SEARCH_UIDS:
        return uid_set_has(&n->set, r->uid);
    case SEARCH_FLAG:
        return (r->system & n->number) != 0;
    case SEARCH_RECENT:
        return m->recent;
    case SEARCH_KEYWORD:
        return n->number < USER_FLAGS_MAX && record_has_user_flag(r, (unsigned)n->number);
    case SEARCH_LARGER:
        return r->size > n->number;
    case SEARCH_SMALLER:
        return r->size < n->number;
    case SEARCH_MODSEQ:
        return r->modseq >= n->number;
    case SEARCH_OLDER:
        return r->internal_date <= n->day;
    case SEARCH_YOUNGER:
        return r->internal_date >= n->day;
    case SEARCH_THREAD:
        return n->number != 0 && m->record.thread_id == n->number;
    case SEARCH_GUID:
        return n->name != NULL && memcmp(r->guid, n->name, GUID_SIZE) == 0;
    default:
        return match_date(r, n);
    }
}

/* ---- the tree ---- */

enum verdict { NO, YES, MAYBE }; /* MAYBE: the message must be looked into */

static enum verdict judge(struct candidate *c, const struct search_node *n);

static enum verdict judge_children(struct candidate *c, const struct search_node *n)
{
    enum verdict ends = n->op == SEARCH_OR ? YES : NO, all = n->op == SEARCH_OR ? NO : YES;

    for (const struct search_node *child = n->children; child != NULL; child = child->next) {
        enum verdict v = judge(c, child);

        if (v == ends)
            return v;
        if (v == MAYBE)
            all = MAYBE;
    }
    return all;
}

/* MAYBE only as long as the candidate has no message. */
static enum verdict judge(struct candidate *c, const struct search_node *n)
{
    enum verdict v;

    switch (n->op) {
    case SEARCH_AND:
    case SEARCH_OR:
        return judge_children(c, n);
    case SEARCH_NOT:
        v = judge(c, n->children);
        return v == MAYBE ? MAYBE : (v == YES ? NO : YES);
    case SEARCH_HEADER:
        return c->message == NULL ? MAYBE : (search_match_header(c, n) ? YES : NO);
    case SEARCH_BODY:
    case SEARCH_TEXT:
        return c->message == NULL ? MAYBE : (search_match_text(c, n) ? YES : NO);
    case SEARCH_ANNOTATION:
        return search_match_annotation(c, n) ? YES : NO;
    default:
        return match_record(c->seen, n) ? YES : NO;
    }
}

/* ---- going through the view ---- */

static int tell(struct search *s, const struct search_hit *hit, search_hit_fn *fn, void *context)
{
    int r = fn(context, hit);

    s->over |= r == 1;
    return r < 0 ? r : 0;
}

/* Does a record pass the test of flags? */
static inline bool passes(const struct raw_test *t, const unsigned char *raw)
{
    if (((le_get32(raw + RECORD_AT_system) ^ t->value) & t->mask) != 0)
        return false;
    for (unsigned i = 0; t->has_user && i < USER_FLAGS_BYTES; i++) {
        if (((raw[RECORD_AT_user + i] ^ t->user_value[i]) & t->user_mask[i]) != 0)
            return false;
    }
    return true;
}

/* Reads ahead for those of the group that must be looked into, in order: places[i] is that of the i-th. */
static int read_ahead(struct search *s, const uint32_t *places, uint32_t count)
{
    struct mailbox_record records[SEARCH_GROUP];
    uint32_t numbers[SEARCH_GROUP];
    struct mailbox *m;
    int r = view_mailbox(s->view, &m);

    if (r < 0 || count == 0)
        return r;
    for (uint32_t i = 0; i < count; i++) {
        records[i] = s->group[places[i]].record;
        numbers[i] = s->group[places[i]].number;
    }
    if (s->batch == NULL)
        return message_batch_open(m, records, numbers, count, &s->batch);
    message_batch_refill(s->batch, m, records, numbers, count);
    return 0;
}

static bool hit_is_read(const struct search *s, const struct view_message *seen)
{
    return s->wants == SEARCH_MESSAGES && (s->needs == NULL || s->needs(s->needs_context, seen));
}

/* What the records alone say of the group.  How many messages must be read, their places in places_r. */
static uint32_t judge_records(struct search *s, enum verdict verdicts_r[SEARCH_GROUP],
                              uint32_t places_r[SEARCH_GROUP])
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < s->grouped; i++) {
        struct candidate c = {.search = s, .seen = &s->group[i]};

        verdicts_r[i] = s->by_test ? YES : judge(&c, s->program);
        if (verdicts_r[i] == MAYBE || (verdicts_r[i] == YES && hit_is_read(s, &s->group[i])))
            places_r[count++] = i;
    }
    return count;
}

/* Decides on the group and empties it.  If much had to be read, s->seq is where to go on. */
static int finish_group(struct search *s, search_hit_fn *fn, void *context)
{
    enum verdict verdicts[SEARCH_GROUP];
    uint32_t places[SEARCH_GROUP], count = judge_records(s, verdicts, places), at = 0;
    int r = read_ahead(s, places, count);

    for (uint32_t i = 0; r == 0 && i < s->grouped && !s->over && s->bytes < STEP_BYTES; i++) {
        struct candidate c = {.search = s, .seen = &s->group[i]};
        struct search_hit hit = {c.seen->seq, c.seen->record.uid, c.seen, NULL};

        if (at < count && places[at] == i)
            c.message = hit.message = message_batch_get(s->batch, at++);
        if (verdicts[i] == MAYBE)
            verdicts[i] = judge(&c, s->program);
        if (verdicts[i] == YES)
            r = tell(s, &hit, fn, context);
        search_candidate_close(&c);
        s->seq = c.seen->seq + 1;
    }
    s->grouped = 0;
    return r;
}

/* One record: a hit, a member of the group, or nothing. */
static int take_record(struct search *s, uint32_t seq, uint32_t i, search_hit_fn *fn, void *context)
{
    const unsigned char *raw = s->raw + (size_t)i * INDEX_RECORD_SIZE;
    struct search_hit hit = {seq, le_get32(raw + RECORD_AT_uid), NULL, NULL};

    if (!passes(&s->test, raw))
        return 0;
    if (s->by_test && s->wants == SEARCH_NUMBERS)
        return tell(s, &hit, fn, context);
    view_take_raw(s->view, seq, s->numbers[i], raw, &s->group[s->grouped++]);
    return s->grouped == SEARCH_GROUP ? finish_group(s, fn, context) : 0;
}

/* One read of the index. */
static int take_records(struct search *s, uint32_t count, search_hit_fn *fn, void *context)
{
    uint32_t first = s->seq, got;
    int r = view_read_raw(s->view, first, count, s->raw, s->numbers, &got);

    if (r == 0 && got == 0)
        s->over = true;
    for (uint32_t i = 0; r == 0 && i < got && !s->over && s->bytes < STEP_BYTES; i++)
        r = take_record(s, first + i, i, fn, context);
    if (r == 0 && s->grouped > 0)
        r = finish_group(s, fn, context);
    if (s->bytes < STEP_BYTES)
        s->seq = first + got;
    return r;
}

int search_step(struct search *s, uint32_t count, search_hit_fn *fn, void *context)
{
    /* what looks into messages may have to stop in the middle and read these records again */
    uint32_t most = s->reads ? SEARCH_GROUP : SEARCH_RAW;

    s->bytes = 0;
    while (count > 0 && s->seq <= s->last && !s->over && !s->test.never && s->bytes < STEP_BYTES) {
        uint32_t want = s->last - s->seq + 1, before = s->seq;
        int r;

        want = want < most ? want : most;
        r = take_records(s, want < count ? want : count, fn, context);
        r = r == 0 ? s->error : r;
        if (r < 0)
            return r;
        count -= s->seq - before < count ? s->seq - before : count;
    }
    return s->seq <= s->last && !s->over && !s->test.never ? 1 : 0;
}
