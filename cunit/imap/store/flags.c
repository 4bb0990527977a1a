#include "imap/store/flags.h"

#include <stdlib.h>
#include <string.h>

#include "cunit/imap/store/fixture.h"
#include "cunit/unit.h"
#include "imap/store/mailbox-private.h"
#include "imap/store/quota.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/mboxlist/mboxlist.h"

static struct fixture f;

static uint64_t index_syncs(void)
{
    struct store_counters c;

    store_counters(f.store, &c);
    return c.index_syncs;
}

static uint32_t system_of(struct mailbox *m, uint32_t number)
{
    struct mailbox_record record = {0};

    CU_ASSERT_EQUAL(mailbox_read_records(m, number, 1, &record), 0);
    return record.system;
}

static void test_operations(void)
{
    static const struct {
        uint32_t old;
        enum flag_operation operation;
        uint32_t given, may, expected;
    } rows[] = {
        {0, FLAGS_ADD, RECORD_SEEN, RECORD_SYSTEM_FLAGS, RECORD_SEEN},
        {RECORD_SEEN, FLAGS_REMOVE, RECORD_SEEN, RECORD_SYSTEM_FLAGS, 0},
        {RECORD_SEEN | RECORD_DRAFT, FLAGS_REPLACE, RECORD_FLAGGED, RECORD_SYSTEM_FLAGS, RECORD_FLAGGED},
        /* RFC 4314 section 4: without the right a flag stays as it is */
        {RECORD_SEEN | RECORD_DRAFT, FLAGS_REPLACE, RECORD_FLAGGED | RECORD_DELETED,
         RECORD_FLAGGED | RECORD_DRAFT, RECORD_SEEN | RECORD_FLAGGED},
        {0, FLAGS_ADD, RECORD_DELETED, RECORD_SEEN, 0},
        {RECORD_DELETED, FLAGS_REMOVE, RECORD_DELETED, RECORD_SEEN, RECORD_DELETED},
        /* bits that are no client's */
        {0, FLAGS_ADD, (uint32_t)RECORD_EXPUNGED | RECORD_SEEN, UINT32_MAX, RECORD_SEEN},
    };
    struct mailbox *m;
    struct view *view;
    uint32_t uid = 0;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct flag_change change = {
            .operation = rows[i].operation, .system = rows[i].given, .may_system = rows[i].may};
        struct uid_set set = UID_SET_INIT;
        struct flag_result result;

        CU_ASSERT_EQUAL(fixture_append(m, 0, 1, rows[i].old), ++uid);
        view = fixture_view(&f, FIXTURE_ID);
        uid_set_add(&set, uid, uid);
        CU_ASSERT_EQUAL(flags_store(view, &set, &change, &result), 0);
        CU_ASSERT_EQUAL(system_of(m, uid - 1), rows[i].expected);
        CU_ASSERT_EQUAL(result.after != result.before, rows[i].expected != rows[i].old);
        uid_set_free(&result.modified);
        uid_set_free(&set);
        view_close(&view);
    }
    mailbox_close(&m);
    fixture_end(&f);
}

static void test_keywords(void)
{
    struct mailbox *m;
    struct view *view;
    const char *names[USER_FLAGS_MAX];
    char longest[USER_FLAG_NAME_MAX + 2];

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    fixture_append(m, 0, 1, 0);
    view = fixture_view(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(fixture_store(view, 1, FLAGS_REMOVE, 0, "$never"), 0); /* takes no slot */
    for (int i = 0; i < USER_FLAGS_MAX; i++) {
        char name[16];

        snprintf(name, sizeof(name), "$k%d", i);
        CU_ASSERT_EQUAL(fixture_store(view, 1, FLAGS_ADD, 0, name), 0);
    }
    CU_ASSERT_EQUAL(fixture_store(view, 1, FLAGS_ADD, RECORD_SEEN, "$k128"), ERR_LIMIT);
    CU_ASSERT_EQUAL(system_of(m, 0) & RECORD_SEEN, 0); /* nothing changed */
    CU_ASSERT_EQUAL(fixture_store(view, 1, FLAGS_ADD, 0, "$K7"), 0);
    CU_ASSERT_EQUAL(mailbox_refresh(m), 0);
    CU_ASSERT_EQUAL(mailbox_flag_names(m, names), 0);
    CU_ASSERT_STRING_EQUAL(names[127], "$k127");
    CU_ASSERT_EQUAL(mailbox_header(m)->flag_totals[7], 1);
    CU_ASSERT_EQUAL(mailbox_flag_number(m, "$K99"), 99);
    CU_ASSERT_EQUAL(fixture_store(view, 1, FLAGS_REMOVE, 0, "$k7"), 0);
    CU_ASSERT_EQUAL(mailbox_refresh(m), 0);
    CU_ASSERT_EQUAL(mailbox_header(m)->flag_totals[7], 0);
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    CU_ASSERT_EQUAL(fixture_store(view, 1, FLAGS_ADD, 0, longest), ERR_LIMIT);
    view_close(&view);
    mailbox_close(&m);
    fixture_end(&f);
}

/* A slot that was given in a transaction without a commit may become another name's in another process. */
static void test_slot_not_committed(void)
{
    struct mailbox *m, *other;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(mailbox_open(f.store, "one", FIXTURE_ID, &other), 0);
    CU_ASSERT_EQUAL(index_begin(m, 1000), 0);
    CU_ASSERT_EQUAL(index_flag_slot(m, "$mine"), 0);
    index_end(m);
    CU_ASSERT_EQUAL(index_begin(other, 1000), 0);
    CU_ASSERT_EQUAL(index_flag_slot(other, "$theirs"), 0);
    CU_ASSERT_EQUAL(index_commit(other, true), 0);
    index_end(other);
    CU_ASSERT_EQUAL(mailbox_refresh(m), 0);
    CU_ASSERT_EQUAL(mailbox_flag_number(m, "$mine"), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(mailbox_flag_number(m, "$theirs"), 0);
    mailbox_close(&m);
    mailbox_close(&other);
    fixture_end(&f);
}

static void test_unchanged_since(void)
{
    struct flag_change change = {.operation = FLAGS_ADD,
                                 .system = RECORD_FLAGGED,
                                 .may_system = RECORD_SYSTEM_FLAGS,
                                 .has_unchanged_since = true};
    struct uid_set all = UID_SET_INIT;
    struct flag_result result;
    struct buf text = BUF_INIT;
    struct mailbox *m;
    struct view *view;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    fixture_append(m, 0, 5, 0);
    view = fixture_view(&f, FIXTURE_ID);
    change.unchanged_since = view_highest_modseq(view);
    CU_ASSERT_EQUAL(fixture_store(view, 2, FLAGS_ADD, RECORD_SEEN, NULL), 0);
    CU_ASSERT_EQUAL(fixture_store(view, 4, FLAGS_ADD, RECORD_SEEN, NULL), 0);
    uid_set_add(&all, 1, 5);
    CU_ASSERT_EQUAL(flags_store(view, &all, &change, &result), 0);
    uid_set_format(&result.modified, &text);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&text), "2,4");
    CU_ASSERT_EQUAL(system_of(m, 0), RECORD_FLAGGED);
    CU_ASSERT_EQUAL(system_of(m, 1), RECORD_SEEN);
    uid_set_free(&result.modified);
    uid_set_free(&all);
    buf_free(&text);
    view_close(&view);
    mailbox_close(&m);
    fixture_end(&f);
}

/* However many messages: one sync; no change: none. */
static void test_syncs(void)
{
    struct uid_set all = UID_SET_INIT;
    uint64_t before, from, to;
    struct mailbox *m;
    struct view *view;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    fixture_append(m, 0, 500, 0);
    view = fixture_view(&f, FIXTURE_ID);
    uid_set_add(&all, 1, 500);
    before = index_syncs();
    CU_ASSERT_EQUAL(flags_set_seen(view, &all, &from, &to), 0);
    CU_ASSERT_EQUAL(index_syncs(), before + 1);
    CU_ASSERT_EQUAL(to, from + 1);
    CU_ASSERT_EQUAL(flags_set_seen(view, &all, &from, &to), 0);
    CU_ASSERT_EQUAL(fixture_store(view, 9, FLAGS_ADD, RECORD_SEEN, NULL), 0);
    CU_ASSERT_EQUAL(index_syncs(), before + 1);
    CU_ASSERT_EQUAL(mailbox_refresh(m), 0);
    CU_ASSERT_EQUAL(mailbox_header(m)->unseen, 0);
    uid_set_free(&all);
    view_close(&view);
    mailbox_close(&m);
    fixture_end(&f);
}

/* ---- expunge and compaction ---- */

static void test_expunge(void)
{
    static const enum store_expunge_mode modes[] = {STORE_EXPUNGE_IMMEDIATE, STORE_EXPUNGE_DELAYED};
    struct buf text = BUF_INIT;

    for (int i = 0; i < 2; i++) {
        struct uid_set gone, some = UID_SET_INIT;
        uint32_t removed;
        struct mailbox *m;
        struct view *view;
        uint64_t before;

        fixture_begin(&f);
        f.store->options.expunge_mode = modes[i];
        m = fixture_mailbox(&f, FIXTURE_ID);
        fixture_append(m, 0, 4, 0);
        fixture_append(m, 4, 6, RECORD_DELETED);
        view = fixture_view(&f, FIXTURE_ID);
        uid_set_add(&some, 3, 7);
        before = index_syncs();
        CU_ASSERT_EQUAL(expunge_messages(view, &(struct expunge_what){&some, false}, &gone), 0);
        CU_ASSERT_EQUAL(index_syncs(), before + 1);
        buf_reset(&text);
        uid_set_format(&gone, &text);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&text), "5:7"); /* \Deleted and in the set */
        CU_ASSERT_EQUAL(mailbox_refresh(m), 0);
        CU_ASSERT(mailbox_header(m)->exists == 7 && mailbox_header(m)->expunged == 3);
        CU_ASSERT_EQUAL(message_file_exists(m, 6), modes[i] == STORE_EXPUNGE_DELAYED);
        CU_ASSERT_EQUAL(mailbox_header(m)->expunged_storage > 0, modes[i] == STORE_EXPUNGE_DELAYED);
        CU_ASSERT_EQUAL(view_exists(view), 10); /* until it is told */
        f.store->options.session_ms = 3600 * 1000;
        CU_ASSERT_EQUAL(mailbox_compact(m, INT64_MAX, &removed), 0);
        CU_ASSERT_EQUAL(removed, 0); /* some session may not have heard */
        f.store->options.session_ms = -2000;
        CU_ASSERT_EQUAL(mailbox_compact(m, clock_wall() - 10, &removed), 0);
        CU_ASSERT_EQUAL(removed, 0); /* not old enough */
        CU_ASSERT_EQUAL(mailbox_compact(m, INT64_MAX, &removed), 0);
        CU_ASSERT_EQUAL(removed, 3);
        CU_ASSERT(mailbox_header(m)->records == 7 && mailbox_header(m)->expunged == 0);
        CU_ASSERT_EQUAL(mailbox_header(m)->purged_modseq, 4);
        CU_ASSERT(!message_file_exists(m, 6) && message_file_exists(m, 8));
        CU_ASSERT_EQUAL(fixture_append(m, 20, 1, 0), 11);
        uid_set_free(&gone);
        uid_set_free(&some);
        view_close(&view);
        mailbox_close(&m);
        fixture_end(&f);
    }
    buf_free(&text);
}

/* Flags of expunged messages stay as long as these; another handle learns that a slot is another's. */
static void test_drop_flags(void)
{
    const char *names[USER_FLAGS_MAX];
    struct mailbox *m, *other;
    struct uid_set gone = UID_SET_INIT;
    struct view *view;
    uint32_t dropped;
    int first;

    fixture_begin(&f);
    f.store->options.session_ms = -2000;
    f.store->options.expunge_mode = STORE_EXPUNGE_DELAYED;
    m = fixture_mailbox(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL_FATAL(mailbox_open(f.store, "one", FIXTURE_ID, &other), 0);
    fixture_append(m, 0, 3, 0);
    view = fixture_view(&f, FIXTURE_ID);
    fixture_store(view, 1, FLAGS_ADD, 0, "first");
    fixture_store(view, 2, FLAGS_ADD, 0, "second");
    fixture_store(view, 3, FLAGS_ADD, 0, "third");
    CU_ASSERT_EQUAL(mailbox_drop_flags(m, &dropped), 0);
    CU_ASSERT_EQUAL(dropped, 0);
    CU_ASSERT_EQUAL(mailbox_refresh(other), 0);
    first = mailbox_flag_number(other, "first");
    CU_ASSERT(first >= 0);
    uid_set_add(&gone, 2, 2);
    CU_ASSERT_EQUAL(expunge_uids(m, &gone, NULL), 0);
    fixture_store(view, 1, FLAGS_REMOVE, 0, "first");
    CU_ASSERT_EQUAL(mailbox_drop_flags(m, &dropped), 0);
    CU_ASSERT_EQUAL(dropped, 1);
    CU_ASSERT_EQUAL(mailbox_flag_number(m, "first"), ERR_NOTFOUND);
    CU_ASSERT(mailbox_flag_number(m, "second") >= 0 && mailbox_flag_number(m, "third") >= 0);
    fixture_store(view, 3, FLAGS_ADD, 0, "fresh");
    CU_ASSERT_EQUAL(mailbox_refresh(other), 0);
    CU_ASSERT_EQUAL(mailbox_flag_names(other, names), 0);
    CU_ASSERT_STRING_EQUAL(names[first], "fresh");
    CU_ASSERT_EQUAL(mailbox_compact(m, INT64_MAX, NULL), 0);
    CU_ASSERT_EQUAL(mailbox_drop_flags(m, &dropped), 0);
    CU_ASSERT_EQUAL(dropped, 1); /* "second" */
    uid_set_free(&gone);
    view_close(&view);
    mailbox_close(&other);
    mailbox_close(&m);
    fixture_end(&f);
}

static void test_maintain(void)
{
    struct mailbox *m;
    struct uid_set all = UID_SET_INIT;

    fixture_begin(&f);
    f.store->options.session_ms = -2000;
    m = fixture_mailbox(&f, FIXTURE_ID);
    fixture_append(m, 0, 300, 0);
    uid_set_add(&all, 1, 50);
    CU_ASSERT_EQUAL(expunge_uids(m, &all, NULL), 0);
    CU_ASSERT_EQUAL(mailbox_maintain(m), 0);
    CU_ASSERT_EQUAL(mailbox_header(m)->records, 300); /* not worth it */
    uid_set_add(&all, 1, 200);
    CU_ASSERT_EQUAL(expunge_uids(m, &all, NULL), 0);
    CU_ASSERT_EQUAL(mailbox_maintain(m), 0);
    CU_ASSERT_EQUAL(mailbox_header(m)->records, 100);
    uid_set_free(&all);
    mailbox_close(&m);
    fixture_end(&f);
}

/* ---- quota ---- */

static void set_mailboxes(const char *root, int64_t mailboxes)
{
    struct quota_limits limits;

    CU_ASSERT_EQUAL(quota_limits_get(store_mboxlist(f.store), root, &limits), 0);
    limits.limit[QUOTA_MAILBOX] = mailboxes;
    CU_ASSERT_EQUAL(quota_limits_set(store_mboxlist(f.store), root, &limits), 0);
}

static void set_limits(const char *root, int64_t storage, int64_t messages)
{
    struct quota_limits limits;

    for (int i = 0; i < QUOTA_RESOURCES; i++)
        limits.limit[i] = QUOTA_UNLIMITED;
    limits.limit[QUOTA_STORAGE] = storage;
    limits.limit[QUOTA_MESSAGE] = messages;
    CU_ASSERT_EQUAL(quota_limits_set(store_mboxlist(f.store), root, &limits), 0);
}

static void list_mailbox(const char *name, const char *id)
{
    struct mboxlist_record record = {
        .name = name, .type = MBOXLIST_LOCAL, .id = id, .partition = "one", .uidvalidity = 1000};
    struct mboxlist_txn *txn;

    CU_ASSERT_EQUAL(mboxlist_begin(store_mboxlist(f.store), &txn), 0);
    CU_ASSERT_EQUAL(mboxlist_txn_put(txn, &record), 0);
    CU_ASSERT_EQUAL(mboxlist_commit(&txn), 0);
}

static void test_quota(void)
{
    struct mailbox *a, *b;
    struct quota_usage usage;
    struct uid_set one = UID_SET_INIT;
    char *text = fixture_text(0);
    int64_t size = (int64_t)strlen(text);

    fixture_begin(&f);
    a = fixture_mailbox(&f, FIXTURE_ID);
    b = fixture_mailbox(&f, "other-mailbox");
    list_mailbox("user.fred", FIXTURE_ID);
    list_mailbox("user.fred.x", "other-mailbox");
    set_limits("user.fred", 10 * size, 4);
    fixture_append(a, 0, 2, 0);
    CU_ASSERT_EQUAL(mailbox_set_quota_root(a, "user.fred"), 0);
    CU_ASSERT_EQUAL(mailbox_set_quota_root(b, "user.fred"), 0);
    CU_ASSERT_EQUAL(store_quota_usage(f.store, "user.fred", &usage), 0);
    CU_ASSERT(usage.used[QUOTA_STORAGE] == 2 * size && usage.used[QUOTA_MESSAGE] == 2);
    CU_ASSERT_EQUAL(usage.used[QUOTA_MAILBOX], 2);
    CU_ASSERT_EQUAL(store_quota_check_mailboxes(f.store, "user.fred", 1000), 0); /* no limit */
    set_mailboxes("user.fred", 3);
    CU_ASSERT_EQUAL(store_quota_check_mailboxes(f.store, "user.fred", 1), 0);
    CU_ASSERT_EQUAL(store_quota_check_mailboxes(f.store, "user.fred", 2), ERR_OVERQUOTA);
    CU_ASSERT_EQUAL(store_quota_check_mailboxes(f.store, "user.mary", 2), 0);
    CU_ASSERT_EQUAL(fixture_append(b, 0, 3, 0), ERR_OVERQUOTA); /* 5 messages */
    CU_ASSERT_EQUAL(mailbox_refresh(b), 0);
    CU_ASSERT(mailbox_header(b)->exists == 0 && !message_file_exists(b, 1));
    CU_ASSERT_EQUAL(fixture_append(b, 0, 2, 0), 1);
    CU_ASSERT_EQUAL(store_quota_check(f.store, "user.fred", QUOTA_STRICT, 1, 1), ERR_OVERQUOTA);
    CU_ASSERT_EQUAL(store_quota_check(f.store, "user.fred", QUOTA_ALREADY, 1, 1), ERR_OVERQUOTA);
    CU_ASSERT_EQUAL(store_quota_check(f.store, "user.fred", QUOTA_IGNORE, 1, 1), 0);
    CU_ASSERT_EQUAL(store_quota_check(f.store, "user.mary", QUOTA_STRICT, 1, 1), 0); /* no such root */
    uid_set_add(&one, 1, 1);
    CU_ASSERT_EQUAL(expunge_uids(b, &one, NULL), 0);
    CU_ASSERT_EQUAL(store_quota_usage(f.store, "user.fred", &usage), 0);
    CU_ASSERT(usage.used[QUOTA_STORAGE] == 3 * size && usage.used[QUOTA_MESSAGE] == 3);
    set_limits("user.fred", 3 * size + 5, QUOTA_UNLIMITED);
    CU_ASSERT_EQUAL(store_quota_check(f.store, "user.fred", QUOTA_STRICT, 5, 1), 0);
    CU_ASSERT_EQUAL(store_quota_check(f.store, "user.fred", QUOTA_STRICT, 6, 1), ERR_OVERQUOTA);
    CU_ASSERT_EQUAL(store_quota_check(f.store, "user.fred", QUOTA_ALREADY, 600, 1), 0);
    CU_ASSERT_EQUAL(quota_usage_drop(store_volatile(f.store), FIXTURE_ID), 0); /* counted wrong */
    CU_ASSERT_EQUAL(store_quota_recount(f.store, NULL), 2);
    CU_ASSERT_EQUAL(store_quota_usage(f.store, "user.fred", &usage), 0);
    CU_ASSERT_EQUAL(usage.used[QUOTA_MESSAGE], 3);
    mailbox_close(&b);
    CU_ASSERT_EQUAL(mailbox_delete(f.store, "one", "other-mailbox"), 0);
    CU_ASSERT_EQUAL(store_quota_usage(f.store, "user.fred", &usage), 0);
    CU_ASSERT(usage.used[QUOTA_MESSAGE] == 2 && usage.used[QUOTA_MAILBOX] == 1);
    uid_set_free(&one);
    free(text);
    mailbox_close(&a);
    fixture_end(&f);
}

/* While one thread counts all mailboxes, others go on delivering. */
static void test_quota_counting(void)
{
    struct quota_usage usage;
    bool complete = true;
    struct mailbox *m;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    list_mailbox("user.fred", FIXTURE_ID);
    set_limits("user.fred", 1000000, 4);
    CU_ASSERT_EQUAL(mailbox_set_quota_root(m, "user.fred"), 0);
    pthread_mutex_lock(&f.store->counting);
    CU_ASSERT_EQUAL(fixture_append(m, 0, 1, 0), 1);
    CU_ASSERT_EQUAL(quota_usage_complete(f.store->volatile_env, &complete), 0);
    CU_ASSERT_FALSE(complete);
    pthread_mutex_unlock(&f.store->counting);
    CU_ASSERT_EQUAL(store_quota_usage(f.store, "user.fred", &usage), 0);
    CU_ASSERT_EQUAL(usage.used[QUOTA_MESSAGE], 1);
    CU_ASSERT_EQUAL(quota_usage_complete(f.store->volatile_env, &complete), 0);
    CU_ASSERT_TRUE(complete);
    mailbox_close(&m);
    fixture_end(&f);
}

static const struct unit_case cases[] = {
    {"operations and rights", test_operations},
    {"keywords", test_keywords},
    {"slot not committed", test_slot_not_committed},
    {"unchangedsince", test_unchanged_since},
    {"syncs", test_syncs},
    {"expunge, compact", test_expunge},
    {"unused flags", test_drop_flags},
    {"maintain", test_maintain},
    {"quota", test_quota},
    {"quota, counting", test_quota_counting},
    {NULL, NULL},
};

extern const struct unit_suite flags_suite;
const struct unit_suite flags_suite = {"flags", cases};
