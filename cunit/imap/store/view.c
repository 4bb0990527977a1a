/* Sessions on one mailbox do random things; each keeps what a client would believe (its list of messages by
 * sequence number, with their flags), fed by nothing but what the store tells.  A belief may be old, never
 * wrong. */
#include "imap/store/view.h"

#include <stdlib.h>
#include <string.h>

#include "cunit/imap/store/fixture.h"
#include "cunit/unit.h"
#include "imap/store/mailbox-private.h"
#include "imap/store/seen.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/db/db.h"

enum { SESSIONS = 4, MESSAGES_MAX = 4000 };

static struct fixture f;
static unsigned seed;

static unsigned roll(unsigned n)
{
    return (unsigned)rand_r(&seed) % n;
}

/* What is true: the messages that are not expunged. */
static struct {
    uint32_t uid[MESSAGES_MAX], flags[MESSAGES_MAX];
    unsigned count;
} truth;

struct client {
    struct view *view;
    uint32_t uid[MESSAGES_MAX], flags[MESSAGES_MAX];
    unsigned count;
    uint64_t highest;
};

static unsigned wrong; /* asserts are too slow for each step */

static void check(bool ok)
{
    wrong += !ok;
}

/* Reads messages [from, to) by sequence number and takes their UIDs and flags over. */
static void client_fetch(struct client *c, unsigned from, unsigned to)
{
    struct view_message batch[100];

    while (from < to) {
        uint32_t got = 0, want = to - from < 100 ? to - from : 100;

        check(view_read(c->view, from + 1, want, batch, &got) == 0 && got == want);
        for (unsigned i = 0; i < got; i++) {
            check(batch[i].seq == from + i + 1);
            c->uid[from + i] = batch[i].record.uid;
            c->flags[from + i] = batch[i].record.system & RECORD_SYSTEM_FLAGS;
        }
        if (got == 0)
            return;
        from += got;
    }
}

/* Is every sequence number still the message that the client thinks? */
static void client_verify(struct client *c)
{
    struct view_message batch[100];

    check(view_exists(c->view) == c->count);
    for (unsigned at = 0; at < c->count;) {
        uint32_t got = 0;

        check(view_read(c->view, at + 1, 1 + roll(100), batch, &got) == 0 && got > 0);
        for (unsigned i = 0; i < got; i++)
            check(batch[i].record.uid == c->uid[at + i] && batch[i].seq == at + i + 1);
        if (got == 0)
            return;
        at += got;
    }
    for (unsigned i = 0; i < 5 && c->count > 0; i++) {
        unsigned n = roll(c->count);
        uint32_t low, high;

        check(view_uids_to_seqs(c->view, c->uid[n], c->uid[n], &low, &high) == 0 && low == n + 1 &&
              high == low);
    }
}

static void client_apply(struct client *c, const struct view_news *news)
{
    for (uint32_t i = 0; i < news->expunged_count; i++) {
        uint32_t seq = news->expunged[i];

        check(seq >= 1 && seq <= c->count);
        if (seq < 1 || seq > c->count)
            return;
        check(c->uid[seq - 1] == news->expunged_uids[i]);
        memmove(&c->uid[seq - 1], &c->uid[seq], (c->count - seq) * sizeof(c->uid[0]));
        memmove(&c->flags[seq - 1], &c->flags[seq], (c->count - seq) * sizeof(c->flags[0]));
        c->count--;
    }
    if (news->exists_changed) {
        unsigned before = c->count;

        check(news->exists > before && news->exists < MESSAGES_MAX);
        c->count = news->exists;
        client_fetch(c, before, c->count);
    }
    check(news->exists == c->count);
    for (uint32_t i = 0; i < news->flag_count; i++) {
        uint32_t seq = news->flags[i].seq;

        check(seq >= 1 && seq <= c->count && c->uid[seq - 1] == news->flags[i].record.uid);
        if (seq >= 1 && seq <= c->count)
            c->flags[seq - 1] = news->flags[i].record.system & RECORD_SYSTEM_FLAGS;
    }
}

static int client_refresh(struct client *c, bool allowed)
{
    struct pool *pool = pool_new(0);
    struct view_news news;
    int r = view_refresh(c->view, allowed, pool, &news);

    if (r == 0) {
        check(allowed || news.expunged_count == 0);
        client_apply(c, &news);
        check(view_highest_modseq(c->view) >= c->highest);
        c->highest = view_highest_modseq(c->view);
    }
    pool_free(&pool);
    return r;
}

static void client_begin(struct client *c)
{
    c->view = fixture_view(&f, FIXTURE_ID);
    c->count = view_exists(c->view);
    c->highest = 0;
    client_fetch(c, 0, c->count);
}

static bool client_is_right(const struct client *c)
{
    return c->count == truth.count && memcmp(c->uid, truth.uid, c->count * sizeof(c->uid[0])) == 0 &&
           memcmp(c->flags, truth.flags, c->count * sizeof(c->flags[0])) == 0;
}

/* ---- what happens ---- */

static void do_append(struct mailbox *m)
{
    unsigned n = 1 + roll(5);
    uint32_t flags = roll(2) ? RECORD_SEEN : 0;
    int64_t uid = fixture_append(m, truth.count, n, flags);

    check(uid > 0);
    for (unsigned i = 0; i < n; i++) {
        truth.uid[truth.count] = (uint32_t)uid + i;
        truth.flags[truth.count++] = flags;
    }
}

static struct uid_set random_uids(const struct client *c)
{
    struct uid_set set = UID_SET_INIT;
    unsigned n = 1 + roll(4);

    while (n-- > 0 && c->count > 0) {
        uint32_t first = c->uid[roll(c->count)];

        uid_set_add(&set, first, first + roll(4));
    }
    return set;
}

static void do_store(struct client *c)
{
    static const uint32_t flags[] = {RECORD_SEEN, RECORD_DELETED, RECORD_FLAGGED,
                                     RECORD_DELETED | RECORD_ANSWERED};
    struct flag_change change = {.operation = (enum flag_operation)roll(3),
                                 .system = flags[roll(4)],
                                 .may_system = RECORD_SYSTEM_FLAGS,
                                 .may_keywords = true};
    struct uid_set set = random_uids(c);
    struct flag_result result;

    check(flags_store(c->view, &set, &change, &result) == 0);
    /* its own answers: flags of each message as they are now */
    for (unsigned i = 0; i < c->count; i++) {
        if (uid_set_has(&set, c->uid[i]))
            client_fetch(c, i, i + 1);
    }
    view_absorb(c->view, result.before, result.after);
    for (unsigned i = 0; i < truth.count; i++) {
        uint32_t *t = &truth.flags[i];

        if (!uid_set_has(&set, truth.uid[i]) || truth.uid[i] >= view_uidnext(c->view))
            continue;
        if (change.operation == FLAGS_ADD)
            *t |= change.system;
        else if (change.operation == FLAGS_REMOVE)
            *t &= ~change.system;
        else
            *t = change.system;
    }
    uid_set_free(&result.modified);
    uid_set_free(&set);
}

static void do_expunge(struct client *c)
{
    struct uid_set gone, some = random_uids(c);
    struct expunge_what what = {.uids = roll(2) ? &some : NULL};
    unsigned k = 0;

    check(expunge_messages(c->view, &what, &gone) == 0);
    for (unsigned i = 0; i < truth.count; i++) {
        bool goes = (truth.flags[i] & RECORD_DELETED) && truth.uid[i] < view_uidnext(c->view) &&
                    (what.uids == NULL || uid_set_has(what.uids, truth.uid[i]));

        check(goes == uid_set_has(&gone, truth.uid[i]));
        if (goes)
            continue;
        truth.uid[k] = truth.uid[i];
        truth.flags[k++] = truth.flags[i];
    }
    truth.count = k;
    uid_set_free(&gone);
    uid_set_free(&some);
}

/* Whoever is older than what is removed must begin anew (BYE). */
static void do_compact(struct client *clients, struct mailbox *m)
{
    uint32_t removed = 0;

    check(mailbox_compact(m, INT64_MAX, &removed) == 0);
    for (unsigned i = 0; i < SESSIONS; i++) {
        int r = client_refresh(&clients[i], true);

        check(r == 0 || (r == ERR_EXPUNGED && removed > 0));
        if (r == 0)
            continue;
        view_close(&clients[i].view);
        client_begin(&clients[i]);
    }
}

static void step(struct client *clients, struct mailbox *m)
{
    struct client *c = &clients[roll(SESSIONS)];
    unsigned what = roll(100);

    if (what < 15 && truth.count < MESSAGES_MAX / 2)
        do_append(m);
    else if (what < 40)
        do_store(c);
    else if (what < 55)
        do_expunge(c);
    else if (what < 70)
        check(client_refresh(c, false) == 0);
    else if (what < 85)
        check(client_refresh(c, true) == 0);
    else if (what < 95)
        view_park(c->view);
    else if (what < 96)
        do_compact(clients, m);
    else
        client_verify(c);
}

static void finish(struct client *clients)
{
    for (unsigned i = 0; i < SESSIONS; i++) {
        client_verify(&clients[i]);
        check(client_refresh(&clients[i], true) == 0);
        CU_ASSERT(client_is_right(&clients[i]));
        CU_ASSERT_EQUAL(client_refresh(&clients[i], true), 0); /* nothing more */
        CU_ASSERT(client_is_right(&clients[i]));
    }
}

static void run_sessions(unsigned s, unsigned steps, enum store_expunge_mode mode)
{
    struct client *clients = xcalloc(SESSIONS, sizeof(*clients));
    struct mailbox *m;

    seed = s;
    truth.count = 0;
    wrong = 0;
    fixture_begin(&f);
    f.options.expunge_mode = mode;
    f.options.session_ms = -2000; /* compaction takes what was expunged just now */
    fixture_reopen(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    for (unsigned i = 0; i < SESSIONS; i++)
        client_begin(&clients[i]);
    for (unsigned i = 0; i < steps && wrong == 0; i++)
        step(clients, m);
    CU_ASSERT_EQUAL(wrong, 0);
    if (wrong == 0)
        finish(clients);
    for (unsigned i = 0; i < SESSIONS; i++)
        view_close(&clients[i].view);
    mailbox_close(&m);
    free(clients);
    fixture_end(&f);
}

static void test_sessions(void)
{
    const char *more = getenv("STORE_TEST_SEEDS");
    unsigned seeds = more != NULL ? (unsigned)atoi(more) : 2;

    for (unsigned s = 1; s <= seeds; s++)
        run_sessions(s, 400, s % 2 ? STORE_EXPUNGE_IMMEDIATE : STORE_EXPUNGE_DELAYED);
}

/* ---- single answers ---- */

static void test_recent(void)
{
    struct mailbox *m;
    struct view *a, *b, *look;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    fixture_append(m, 0, 3, 0);
    CU_ASSERT_EQUAL(view_open(f.store, "one", FIXTURE_ID, NULL, true, &look), 0);
    a = fixture_view(&f, FIXTURE_ID);
    b = fixture_view(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(view_recent(look), 3); /* EXAMINE changes nothing */
    CU_ASSERT_EQUAL(view_recent(a), 3);
    CU_ASSERT_EQUAL(view_recent(b), 0);
    CU_ASSERT(view_is_read_only(look) && !view_is_read_only(a));
    CU_ASSERT_EQUAL(fixture_store(look, 1, FLAGS_ADD, RECORD_SEEN, NULL), ERR_READONLY);
    view_close(&a);
    view_close(&b);
    view_close(&look);
    mailbox_close(&m);
    fixture_end(&f);
}

static void test_unseen(void)
{
    struct mailbox *m;
    struct view *view;
    uint32_t seq;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    view = fixture_view(&f, FIXTURE_ID);
    CU_ASSERT(view_first_unseen(view, &seq) == 0 && seq == 0);
    view_close(&view);
    fixture_append(m, 0, 2000, RECORD_SEEN);
    fixture_append(m, 0, 10, 0);
    view = fixture_view(&f, FIXTURE_ID);
    CU_ASSERT(view_first_unseen(view, &seq) == 0 && seq == 2001);
    CU_ASSERT_EQUAL(fixture_store(view, 1500, FLAGS_REMOVE, RECORD_SEEN, NULL), 0);
    CU_ASSERT(view_first_unseen(view, &seq) == 0 && seq == 1500);
    CU_ASSERT_EQUAL(fixture_store(view, 1500, FLAGS_ADD, RECORD_SEEN, NULL), 0);
    CU_ASSERT(view_first_unseen(view, &seq) == 0 && seq == 2001);
    view_close(&view);
    mailbox_close(&m);
    fixture_end(&f);
}

static void test_private_seen(void)
{
    const struct mailbox_reader mary = {"mary"};
    struct mailbox_status status;
    struct uid_set set = UID_SET_INIT;
    struct view *owner, *view, *other;
    struct pool *pool = pool_new(0);
    struct view_news news;
    struct mailbox *m;
    uint32_t seq;
    uint64_t before, after;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    fixture_append(m, 0, 10, RECORD_SEEN);
    CU_ASSERT_EQUAL(mailbox_status(m, &mary, &status), 0);
    CU_ASSERT(status.unseen == 10 && status.recent == 10);
    owner = fixture_view(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(view_open(f.store, "one", FIXTURE_ID, &mary, false, &view), 0);
    CU_ASSERT_EQUAL(view_open(f.store, "one", FIXTURE_ID, &mary, false, &other), 0);
    uid_set_add(&set, 1, 4);
    CU_ASSERT_EQUAL(flags_set_seen(view, &set, &before, &after), 0);
    CU_ASSERT_EQUAL(before, after); /* nothing in the index yet */
    CU_ASSERT(view_first_unseen(view, &seq) == 0 && seq == 5);
    CU_ASSERT(view_first_unseen(other, &seq) == 0 && seq == 1);
    CU_ASSERT(view_seen_deadline(view) != CLOCK_NEVER);
    CU_ASSERT_EQUAL(view_write_seen(view), 0);
    CU_ASSERT_EQUAL(view_seen_deadline(view), CLOCK_NEVER);
    CU_ASSERT_EQUAL(view_refresh(view, true, pool, &news), 0);
    CU_ASSERT_EQUAL(news.flag_count, 0); /* its own change */
    CU_ASSERT_EQUAL(view_refresh(other, true, pool, &news), 0);
    CU_ASSERT_EQUAL(news.flag_count, 4);
    CU_ASSERT(news.flags[0].seq == 1 && (news.flags[0].record.system & RECORD_SEEN));
    CU_ASSERT_EQUAL(fixture_store(owner, 2, FLAGS_REMOVE, RECORD_SEEN, NULL), 0);
    CU_ASSERT_EQUAL(mailbox_status(m, &mary, &status), 0);
    CU_ASSERT(status.unseen == 6 && status.recent == 0);
    CU_ASSERT_EQUAL(mailbox_status(m, NULL, &status), 0);
    CU_ASSERT_EQUAL(status.unseen, 1);
    CU_ASSERT_EQUAL(fixture_store(other, 3, FLAGS_REMOVE, RECORD_SEEN, NULL), 0);
    CU_ASSERT_EQUAL(fixture_store(other, 9, FLAGS_ADD, RECORD_SEEN | RECORD_FLAGGED, NULL), 0);
    view_close(&other); /* writes */
    CU_ASSERT_EQUAL(mailbox_status(m, &mary, &status), 0);
    CU_ASSERT_EQUAL(status.unseen, 6);
    CU_ASSERT_EQUAL(seen_merge(f.store, FIXTURE_ID, "mary", "fred"), 0);
    CU_ASSERT_EQUAL(seen_forget_user(f.store, "mary"), 0);
    CU_ASSERT_EQUAL(mailbox_status(m, &mary, &status), 0);
    CU_ASSERT_EQUAL(status.unseen, 10);
    CU_ASSERT_EQUAL(mailbox_status(m, &(struct mailbox_reader){"fred"}, &status), 0);
    CU_ASSERT_EQUAL(status.unseen, 6);
    view_close(&owner);
    view_close(&view);
    uid_set_free(&set);
    pool_free(&pool);
    mailbox_close(&m);
    CU_ASSERT_EQUAL(mailbox_delete(f.store, "one", FIXTURE_ID), 0);
    fixture_end(&f);
}

/* What could not be written is kept, and written at the next try. */
static void test_private_seen_later(void)
{
    const struct mailbox_reader mary = {"mary"};
    static const char key[] = FIXTURE_ID "\0mary";
    unsigned table;
    struct mailbox_status status;
    struct uid_set set = UID_SET_INIT;
    uint64_t before, after;
    struct db_txn *txn;
    struct mailbox *m;
    struct view *view;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    fixture_append(m, 0, 3, 0);
    CU_ASSERT_EQUAL(view_open(f.store, "one", FIXTURE_ID, &mary, false, &view), 0);
    uid_set_add(&set, 2, 2);
    CU_ASSERT_EQUAL(flags_set_seen(view, &set, &before, &after), 0);
    table = db_table(f.store->seen, "seen");
    for (int i = 0; i < 2; i++) { /* a row of a version to come, then none */
        CU_ASSERT_EQUAL(db_begin(f.store->seen, true, &txn), 0);
        CU_ASSERT_EQUAL(i == 0 ? db_put(txn, table, key, sizeof(key) - 1, "\11xxxxxxxxxxxxxxxxxxxxxxx", 24)
                               : db_delete(txn, table, key, sizeof(key) - 1),
                        0);
        CU_ASSERT_EQUAL(db_commit(&txn), 0);
        CU_ASSERT_EQUAL(view_write_seen(view), i == 0 ? ERR_VERSION : 0);
        CU_ASSERT_EQUAL(view_seen_deadline(view) != CLOCK_NEVER, i == 0);
    }
    CU_ASSERT_EQUAL(mailbox_status(m, &mary, &status), 0);
    CU_ASSERT_EQUAL(status.unseen, 2);
    view_close(&view);
    uid_set_free(&set);
    mailbox_close(&m);
    fixture_end(&f);
}

/* Whatever gaps there are between UIDs, a number is where a look at all of them finds it. */
static void check_numbers(struct mailbox *m)
{
    uint32_t records = mailbox_header(m)->records, last = mailbox_header(m)->last_uid;
    struct mailbox_record all[400];

    CU_ASSERT_FATAL(records <= 400 && mailbox_read_records(m, 0, records, all) == 0);
    for (uint32_t uid = 0; uid <= last + 3; uid++) {
        uint32_t number = UINT32_MAX, want = 0;

        while (want < records && all[want].uid < uid)
            want++;
        check(mailbox_find_uid(m, uid, &number) == 0 && number == want);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_find_uid(void)
{
    const struct mailbox_create how = {
        .partition = "one", .id = "22222222-2222-4333-8444-555555555555", .uidvalidity = 7, .uidnext = 1000};
    struct uid_set set = UID_SET_INIT;
    struct mailbox *m;

    wrong = 0;
    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    check_numbers(m);
    fixture_append(m, 0, 300, 0);
    check_numbers(m);
    for (uint32_t uid = 3; uid <= 300; uid += uid % 5 + 2)
        CU_ASSERT_EQUAL(uid_set_add(&set, uid, uid), 0);
    CU_ASSERT_EQUAL(expunge_uids(m, &set, NULL), 0);
    f.store->options.session_ms = -2000;
    CU_ASSERT_EQUAL(mailbox_compact(m, INT64_MAX, NULL), 0);
    CU_ASSERT(mailbox_header(m)->records < 300);
    check_numbers(m);
    fixture_append(m, 300, 100, 0);
    check_numbers(m);
    mailbox_close(&m);
    CU_ASSERT_EQUAL(mailbox_create(f.store, &how, &m), 0);
    fixture_append(m, 0, 5, 0);
    check_numbers(m);
    mailbox_close(&m);
    uid_set_free(&set);
    fixture_end(&f);
}

/* The ends of a range of messages, and its UIDs one by one where others are between them. */
static void test_spans(void)
{
    struct uid_set set = UID_SET_INIT;
    struct mailbox *m;
    struct view *view;
    uint32_t first, last;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    fixture_append(m, 0, 10, 0);
    uid_set_add(&set, 4, 4);
    uid_set_add(&set, 7, 8);
    CU_ASSERT_EQUAL(expunge_uids(m, &set, NULL), 0);
    uid_set_free(&set);
    view = fixture_view(&f, FIXTURE_ID); /* 1 2 3 5 6 9 10 */
    CU_ASSERT(view_seqs_span(view, 2, 6, &first, &last) == 0 && first == 2 && last == 9);
    CU_ASSERT(view_seqs_span(view, 7, 7, &first, &last) == 0 && first == 10 && last == 10);
    CU_ASSERT_EQUAL(view_seqs_span(view, 0, 1, &first, &last), ERR_INVALID);
    CU_ASSERT_EQUAL(view_seqs_span(view, 3, 2, &first, &last), ERR_INVALID);
    CU_ASSERT_EQUAL(view_seqs_span(view, 1, 8, &first, &last), ERR_INVALID);
    CU_ASSERT_EQUAL(view_seqs_to_uids(view, 1, 3, &set), 0);
    CU_ASSERT(set.count == 1 && uid_set_size(&set) == 3);
    CU_ASSERT_EQUAL(view_seqs_to_uids(view, 3, 6, &set), 0);
    CU_ASSERT(set.count == 3 && uid_set_size(&set) == 6 && !uid_set_has(&set, 4) && uid_set_has(&set, 9));
    uid_set_free(&set);
    view_close(&view);
    mailbox_close(&m);
    fixture_end(&f);
}

/* A settled view may be told of a change by another handle at once or the next time, and of its own never. */
static void test_settled(void)
{
    struct pool *pool = pool_new(0);
    struct view_news first, second;
    struct mailbox *m;
    struct view *view, *other;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    fixture_append(m, 0, 5, 0);
    view = fixture_view(&f, FIXTURE_ID);
    other = fixture_view(&f, FIXTURE_ID);
    for (uint32_t uid = 1; uid <= 5; uid++) {
        view_settle(view);
        CU_ASSERT_EQUAL(fixture_store(other, uid, FLAGS_ADD, RECORD_FLAGGED, NULL), 0);
        CU_ASSERT_EQUAL(view_refresh(view, true, pool, &first), 0);
        CU_ASSERT_EQUAL(view_refresh(view, true, pool, &second), 0);
        CU_ASSERT_EQUAL(first.flag_count + second.flag_count, 1);
        CU_ASSERT_EQUAL((first.flag_count == 1 ? first : second).flags[0].record.uid, uid);
    }
    pool_free(&pool);
    view_close(&view);
    view_close(&other);
    mailbox_close(&m);
    fixture_end(&f);
}

static const struct unit_case cases[] = {
    {"sessions against a model", test_sessions},
    {"recent", test_recent},
    {"first unseen", test_unseen},
    {"private seen", test_private_seen},
    {"private seen, later", test_private_seen_later},
    {"numbers of UIDs", test_find_uid},
    {"spans of UIDs", test_spans},
    {"settled", test_settled},
    {NULL, NULL},
};

extern const struct unit_suite view_suite;
const struct unit_suite view_suite = {"view", cases};
