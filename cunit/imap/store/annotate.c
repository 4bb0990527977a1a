/* annotations of messages: their bytes, STORE, and what becomes of them */
#include "imap/store/annotate.h"

#include <stdlib.h>
#include <string.h>

#include "cunit/imap/store/fixture.h"
#include "cunit/unit.h"
#include "imap/store/annotate-private.h"
#include "imap/store/copy.h"
#include "imap/store/recover.h"
#include "imap/store/relocate.h"
#include "imap/store/unexpunge.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#define OTHER_ID "22222222-2222-4333-8444-555555555555"

/* "owner/entry=value ..." with "-" for what was removed. */
static const char *shown(struct pool *pool, const struct annotate_items *items)
{
    struct buf text = BUF_INIT;
    const char *result;

    for (size_t i = 0; i < items->count; i++)
        buf_printf(&text, "%s%s%s=%s", i > 0 ? " " : "", items->items[i].owner, items->items[i].entry,
                   items->items[i].value != NULL ? items->items[i].value : "-");
    result = pool_strdup(pool, buf_cstr(&text));
    buf_free(&text);
    return result;
}

static struct annotate_change change(const char *owner, const char *entry, const char *value)
{
    return (struct annotate_change){owner, entry, value, value != NULL ? strlen(value) : 0};
}

/* ---- bytes ---- */

static void test_bytes(void)
{
    static const char golden[] =
        "4941414e570000006df48c090700000001000000020000000000000000000000050000000000000003000000000008"
        "002f636f6d6d656e746100620900000000000000ffffffff04000800667265642f636f6d6d656e74";
    const struct annotate_change changes[] = {{"", "/comment", "a\0b", 3}, {"fred", "/comment", "x", 1}};
    struct annotate_items items = {0}, again;
    struct pool *pool = pool_new(0);
    struct buf bytes = BUF_INIT;
    char *hex;

    CU_ASSERT(annotate_apply(&items, changes, 2, 5, pool));
    CU_ASSERT(annotate_apply(&items, &(struct annotate_change){"fred", "/comment", NULL, 0}, 1, 9, pool));
    annotate_encode(&items, &bytes);
    annotate_stamp(&bytes, 7);
    hex = xcalloc(2, bytes.len + 1);
    str_hex(hex, (const unsigned char *)bytes.data, bytes.len);
    CU_ASSERT_STRING_EQUAL(hex, golden);
    CU_ASSERT_EQUAL(annotate_verify((unsigned char *)bytes.data, bytes.len, 7), 0);
    CU_ASSERT_EQUAL(annotate_verify((unsigned char *)bytes.data, bytes.len, 0), 0);
    CU_ASSERT_EQUAL(annotate_verify((unsigned char *)bytes.data, bytes.len, 8), ERR_CORRUPT);
    CU_ASSERT_EQUAL(annotate_decode((unsigned char *)bytes.data, bytes.len, pool, &again), 0);
    CU_ASSERT_EQUAL(again.count, 2);
    CU_ASSERT_EQUAL(again.items[0].len, 3);
    CU_ASSERT_EQUAL(memcmp(again.items[0].value, "a\0b", 4), 0);
    CU_ASSERT_EQUAL(again.items[1].modseq, 9);
    CU_ASSERT_PTR_NULL(again.items[1].value);
    for (size_t n = 0; n < bytes.len; n++) {
        CU_ASSERT_EQUAL(annotate_verify((unsigned char *)bytes.data, n, 7), ERR_CORRUPT);
        bytes.data[n] ^= 1;
        CU_ASSERT_EQUAL(annotate_verify((unsigned char *)bytes.data, bytes.len, 7), ERR_CORRUPT);
        if (n >= ANNOTATE_HEAD_SIZE) /* whatever the items are, they do not reach beyond the end */
            annotate_decode((unsigned char *)bytes.data, bytes.len, pool, &again);
        bytes.data[n] ^= 1;
    }
    free(hex);
    buf_free(&bytes);
    pool_free(&pool);
}

static void test_changes(void)
{
    static const struct {
        const char *owner, *entry, *value;
        bool changes;
        const char *want;
    } rows[] = {
        {"", "/comment", "a", true, "/comment=a"},
        {"", "/comment", "a", false, "/comment=a"},
        {"fred", "/comment", "b", true, "/comment=a fred/comment=b"},
        {"", "/altsubject", "", true, "/altsubject= /comment=a fred/comment=b"},
        {"bob", "/comment", NULL, false, "/altsubject= /comment=a fred/comment=b"},
        {"", "/comment", NULL, true, "/altsubject= /comment=- fred/comment=b"},
        {"", "/comment", NULL, false, "/altsubject= /comment=- fred/comment=b"},
        {"", "/comment", "c", true, "/altsubject= /comment=c fred/comment=b"},
    };
    struct annotate_items items = {0};
    struct pool *pool = pool_new(0);

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct annotate_change c = change(rows[i].owner, rows[i].entry, rows[i].value);

        CU_ASSERT_EQUAL(annotate_apply(&items, &c, 1, i + 1, pool), rows[i].changes);
        CU_ASSERT_STRING_EQUAL(shown(pool, &items), rows[i].want);
    }
    CU_ASSERT_PTR_NULL(annotate_find(&items, "bob", "/comment"));
    CU_ASSERT_STRING_EQUAL(annotate_find(&items, "", "/comment")->value, "c");
    for (int i = 0; i < 40; i++) { /* removed ones are not remembered for ever */
        const char *entry = pool_printf(pool, "/vendor/x/%02d", i);
        struct annotate_change c = change("", entry, "x");

        annotate_apply(&items, &c, 1, 100 + (unsigned)i, pool);
        c.value = NULL;
        annotate_apply(&items, &c, 1, 100 + (unsigned)i, pool);
    }
    CU_ASSERT_EQUAL(items.count, 3 + ANNOTATE_GONE_MAX);
    CU_ASSERT_STRING_EQUAL(items.items[3].entry, "/vendor/x/24");
    pool_free(&pool);
}

static void test_bounds(void)
{
    struct annotate_change changes[ANNOTATE_ENTRIES_MAX + 1];
    struct pool *pool = pool_new(0);
    char *value = pool_alloc(pool, ANNOTATE_VALUE_MAX + 2);

    memset(value, 'x', ANNOTATE_VALUE_MAX + 1);
    for (int i = 0; i <= ANNOTATE_ENTRIES_MAX; i++)
        changes[i] =
            (struct annotate_change){"", pool_printf(pool, "/vendor/x/%d", i), value, ANNOTATE_VALUE_MAX};
    CU_ASSERT_EQUAL(annotate_check(changes, ANNOTATE_ENTRIES_MAX), 0);
    CU_ASSERT_EQUAL(annotate_check(changes, ANNOTATE_ENTRIES_MAX + 1), ERR_LIMIT);
    changes[0].owner = "fred";
    CU_ASSERT_EQUAL(annotate_check(changes, ANNOTATE_ENTRIES_MAX + 1), 0);
    changes[0].len++;
    CU_ASSERT_EQUAL(annotate_check(changes, 1), ERR_TOOBIG);
    for (int i = 0; i <= ANNOTATE_ENTRIES_MAX; i++) /* of many users together */
        changes[i] = (struct annotate_change){pool_printf(pool, "user%d", i / 2), changes[i].entry, value,
                                              ANNOTATE_VALUE_MAX};
    CU_ASSERT_EQUAL(annotate_check(changes, ANNOTATE_ENTRIES_MAX + 1), 0);
    pool_free(&pool);
}

/* ---- in a mailbox ---- */

static int store(struct view *view, uint32_t first, uint32_t last, const char *owner, const char *entry,
                 const char *value, struct flag_result *result)
{
    struct annotate_change c = change(owner, entry, value);
    struct annotate_changes what = {.changes = &c, .count = 1};
    struct uid_set uids = UID_SET_INIT;
    int r;

    uid_set_add(&uids, first, last);
    r = annotate_store(view, &uids, &what, result);
    uid_set_free(&uids);
    return r;
}

/* What the message of a UID has, in *pool; it must be there. */
static const char *of(struct fixture *f, const char *id, uint32_t uid, struct pool *pool)
{
    struct annotate_items items = {0};
    struct view_message message;
    struct view *view = fixture_view(f, id);

    CU_ASSERT_EQUAL(view_read_uid(view, uid, &message), 0);
    CU_ASSERT_EQUAL(annotate_read_view(view, &message, pool, &items), 0);
    view_close(&view);
    return shown(pool, &items);
}

static uint64_t storage(struct fixture *f, const char *id)
{
    struct mailbox *m;
    uint64_t n;

    CU_ASSERT_EQUAL_FATAL(mailbox_open(f->store, "one", id, &m), 0);
    n = mailbox_header(m)->annotation_storage;
    mailbox_close(&m);
    return n;
}

static void test_store(void)
{
    struct fixture f;
    struct mailbox *m;
    struct view *view;
    struct flag_result result;
    struct store_counters before, after;
    struct pool *pool = pool_new(0);

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(fixture_append(m, 1, 4, 0), 1);
    view = fixture_view(&f, FIXTURE_ID);
    store_counters(f.store, &before);
    CU_ASSERT_EQUAL(store(view, 1, 3, "", "/comment", "hello", &result), 0);
    store_counters(f.store, &after);
    CU_ASSERT_EQUAL(after.file_syncs - before.file_syncs, 1);
    CU_ASSERT_EQUAL(after.index_syncs - before.index_syncs, 1);
    CU_ASSERT_EQUAL(result.after, result.before + 1);
    CU_ASSERT_EQUAL(store(view, 1, 3, "", "/comment", "hello", &result), 0); /* as it is */
    CU_ASSERT_EQUAL(result.after, result.before);
    CU_ASSERT_EQUAL(store(view, 2, 2, "fred", "/comment", "mine", &result), 0);
    CU_ASSERT_STRING_EQUAL(of(&f, FIXTURE_ID, 1, pool), "/comment=hello");
    CU_ASSERT_STRING_EQUAL(of(&f, FIXTURE_ID, 2, pool), "/comment=hello fred/comment=mine");
    CU_ASSERT_STRING_EQUAL(of(&f, FIXTURE_ID, 4, pool), "");
    CU_ASSERT(storage(&f, FIXTURE_ID) > 3 * ANNOTATE_HEAD_SIZE);
    view_close(&view);
    mailbox_close(&m);
    fixture_end(&f);
    pool_free(&pool);
}

/* All or none, for a bound of one of the messages; UNCHANGEDSINCE. */
static void test_refused(void)
{
    struct fixture f;
    struct mailbox *m;
    struct view *view;
    struct flag_result result;
    struct pool *pool = pool_new(0);
    struct annotate_change c = change("", "/comment", "late");
    struct annotate_changes what = {.changes = &c, .count = 1, .has_unchanged_since = true};
    struct uid_set uids = UID_SET_INIT;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(fixture_append(m, 1, 2, 0), 1);
    view = fixture_view(&f, FIXTURE_ID);
    for (int i = 0; i < ANNOTATE_ENTRIES_MAX; i++)
        CU_ASSERT_EQUAL(store(view, 2, 2, "", pool_printf(pool, "/vendor/x/%d", i), "x", &result), 0);
    CU_ASSERT_EQUAL(store(view, 1, 2, "", "/comment", "x", &result), ERR_LIMIT);
    CU_ASSERT_STRING_EQUAL(of(&f, FIXTURE_ID, 1, pool), "");
    what.unchanged_since = result.before - 1;
    uid_set_add(&uids, 1, 2);
    CU_ASSERT_EQUAL(annotate_store(view, &uids, &what, &result), 0);
    CU_ASSERT(uid_set_has(&result.modified, 2) && !uid_set_has(&result.modified, 1));
    CU_ASSERT_STRING_EQUAL(of(&f, FIXTURE_ID, 1, pool), "/comment=late");
    uid_set_free(&result.modified);
    uid_set_free(&uids);
    view_close(&view);
    mailbox_close(&m);
    fixture_end(&f);
    pool_free(&pool);
}

static void test_copy(void)
{
    struct copy_options options = {.may_annotate = true, .annotator = "fred"};
    struct fixture f;
    struct mailbox *m, *other;
    struct view *view;
    struct flag_result result;
    struct copy_result copied;
    struct pool *pool = pool_new(0);
    struct uid_set uids = UID_SET_INIT;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    other = fixture_mailbox(&f, OTHER_ID);
    CU_ASSERT_EQUAL(fixture_append(m, 1, 3, 0), 1);
    view = fixture_view(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(store(view, 2, 2, "", "/comment", "all", &result), 0);
    CU_ASSERT_EQUAL(store(view, 2, 2, "fred", "/comment", "mine", &result), 0);
    CU_ASSERT_EQUAL(store(view, 2, 2, "bob", "/comment", "his", &result), 0);
    CU_ASSERT_EQUAL(store(view, 2, 2, "", "/altsubject", "gone", &result), 0);
    CU_ASSERT_EQUAL(store(view, 2, 2, "", "/altsubject", NULL, &result), 0);
    uid_set_add(&uids, 1, 3);
    CU_ASSERT_EQUAL(copy_messages(view, &uids, other, &options, &copied), 0);
    copy_result_free(&copied);
    CU_ASSERT_STRING_EQUAL(of(&f, OTHER_ID, 1, pool), "");
    CU_ASSERT_STRING_EQUAL(of(&f, OTHER_ID, 2, pool), "/comment=all fred/comment=mine");
    options = (struct copy_options){.annotator = "bob"};
    CU_ASSERT_EQUAL(copy_messages(view, &uids, other, &options, &copied), 0);
    copy_result_free(&copied);
    CU_ASSERT_STRING_EQUAL(of(&f, OTHER_ID, 5, pool), "bob/comment=his");
    uid_set_free(&uids);
    view_close(&view);
    mailbox_close(&other);
    mailbox_close(&m);
    fixture_end(&f);
    pool_free(&pool);
}

/* Append, expunge and unexpunge, compaction, another partition, reconstruction. */
static void test_life(void)
{
    struct fixture f;
    struct mailbox *m;
    struct view *view;
    struct flag_result result;
    struct pool *pool = pool_new(0);
    struct reconstruct_report report;
    struct uid_set one = UID_SET_INIT;
    struct copy_result back;
    struct stage *stage;
    struct append *append;
    struct append_result appended;
    struct relocation *relocation;
    struct annotate_change c = change("", "/comment", "born with");
    char *text = fixture_text(4);
    uint64_t kept;

    fixture_begin(&f);
    f.options.session_ms = -2000;
    f.options.expunge_mode = STORE_EXPUNGE_DELAYED;
    fixture_reopen(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(fixture_append(m, 1, 3, 0), 1);
    append_begin(m, NULL, &append);
    stage = fixture_stage(&f, "one", text);
    free(text);
    CU_ASSERT_EQUAL(
        append_add(append, &stage, &(struct append_message){.annotations = &c, .annotation_count = 1}), 0);
    CU_ASSERT_EQUAL(append_commit(&append, QUOTA_IGNORE, &appended), 0);
    uid_set_free(&appended.uids);
    view = fixture_view(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(store(view, 1, 2, "", "/comment", "first", &result), 0);
    CU_ASSERT_EQUAL(store(view, 1, 2, "fred", "/comment", "second", &result), 0);
    view_close(&view);
    kept = storage(&f, FIXTURE_ID);
    uid_set_add(&one, 1, 1);
    CU_ASSERT_EQUAL(expunge_uids(m, &one, NULL), 0);
    CU_ASSERT(storage(&f, FIXTURE_ID) < kept);
    CU_ASSERT_EQUAL(mailbox_unexpunge(m, &(struct unexpunge_what){.uids = &one}, &back), 0);
    copy_result_free(&back);
    CU_ASSERT_STRING_EQUAL(of(&f, FIXTURE_ID, 5, pool), "/comment=first fred/comment=second");
    CU_ASSERT_EQUAL(storage(&f, FIXTURE_ID), kept);
    uid_set_free(&one);
    uid_set_add(&one, 2, 2);
    CU_ASSERT_EQUAL(expunge_uids(m, &one, NULL), 0);
    CU_ASSERT_EQUAL(mailbox_compact(m, INT64_MAX, NULL), 0);
    CU_ASSERT_STRING_EQUAL(of(&f, FIXTURE_ID, 4, pool), "/comment=born with");
    CU_ASSERT_STRING_EQUAL(of(&f, FIXTURE_ID, 5, pool), "/comment=first fred/comment=second");
    mailbox_close(&m);
    CU_ASSERT_EQUAL(mailbox_reconstruct(f.store, "one", FIXTURE_ID, 1, &report), 0);
    CU_ASSERT_STRING_EQUAL(of(&f, FIXTURE_ID, 5, pool), "/comment=first fred/comment=second");
    fixture_scribble(&f, FIXTURE_ID, "index", 0, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 40);
    fixture_scribble(&f, FIXTURE_ID, "index", INDEX_HEADER_B, "xxxxxxxxxxxxxxxxxxxx", 20);
    CU_ASSERT_EQUAL(mailbox_reconstruct(f.store, "one", FIXTURE_ID, 1, &report), 0);
    CU_ASSERT_STRING_EQUAL(of(&f, FIXTURE_ID, 4, pool), "/comment=born with");
    CU_ASSERT_EQUAL(relocate_begin(f.store, FIXTURE_ID, "one", "two", &relocation), 0);
    while (relocate_copy(relocation) == 1)
        ;
    CU_ASSERT_EQUAL(relocate_close(relocation), 0);
    relocate_finish(&relocation);
    CU_ASSERT_EQUAL(view_open(f.store, "two", FIXTURE_ID, NULL, true, &view), 0);
    if (view != NULL) {
        struct annotate_items items = {0};
        struct view_message message;

        CU_ASSERT_EQUAL(view_read_uid(view, 5, &message), 0);
        CU_ASSERT_EQUAL(annotate_read_view(view, &message, pool, &items), 0);
        CU_ASSERT_EQUAL(items.count, 2);
        view_close(&view);
    }
    uid_set_free(&one);
    fixture_end(&f);
    pool_free(&pool);
}

/* A record of which only the fixed part is left finds what was written last; a place that is wrong is said to be. */
static void test_damage(void)
{
    struct fixture f;
    struct mailbox *m;
    struct view *view;
    struct view_message message;
    struct flag_result result;
    struct annotate_items items;
    struct pool *pool = pool_new(0);

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(fixture_append(m, 1, 2, 0), 1);
    view = fixture_view(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(store(view, 1, 2, "", "/comment", "one", &result), 0);
    CU_ASSERT_EQUAL(store(view, 1, 2, "", "/comment", "two", &result), 0);
    view_close(&view);
    mailbox_close(&m);
    fixture_scribble(&f, FIXTURE_ID, "index", INDEX_RECORDS_AT + 140, "xxxxxxxxxxxxxxxx", 16);
    CU_ASSERT_STRING_EQUAL(of(&f, FIXTURE_ID, 1, pool), "/comment=two");
    CU_ASSERT_STRING_EQUAL(of(&f, FIXTURE_ID, 2, pool), "/comment=two");
    view = fixture_view(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(view_read_uid(view, 2, &message), 0);
    fixture_scribble(&f, FIXTURE_ID, "annotations.1", (int64_t)message.record.annotation_offset + 50, "?", 1);
    CU_ASSERT_EQUAL(annotate_read_view(view, &message, pool, &items), ERR_CORRUPT);
    CU_ASSERT_EQUAL(store(view, 2, 2, "", "/comment", "three", &result), 0); /* what comes is taken */
    CU_ASSERT_STRING_EQUAL(of(&f, FIXTURE_ID, 2, pool), "/comment=three");
    view_close(&view);
    fixture_end(&f);
    pool_free(&pool);
}

/* What was there before does not pile up. */
static void test_waste(void)
{
    struct fixture f;
    struct mailbox *m;
    struct view *view;
    struct flag_result result;
    struct pool *pool = pool_new(0);
    char *value = pool_alloc(pool, ANNOTATE_VALUE_MAX + 1);

    fixture_begin(&f);
    f.options.session_ms = -2000;
    fixture_reopen(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(fixture_append(m, 1, 100, 0), 1);
    for (int i = 0; i < 4; i++) {
        memset(value, 'a' + i, ANNOTATE_VALUE_MAX);
        view = fixture_view(&f, FIXTURE_ID);
        CU_ASSERT_EQUAL(store(view, 1, 99, "", "/comment", value, &result), 0);
        view_close(&view);
    }
    CU_ASSERT_EQUAL(mailbox_refresh(m), 0);
    CU_ASSERT(!annotate_is_wasteful(m)); /* a quarter counts */
    view = fixture_view(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(store(view, 1, 99, "", "/comment", "short", &result), 0);
    view_close(&view);
    CU_ASSERT_EQUAL(mailbox_refresh(m), 0);
    CU_ASSERT(!annotate_is_wasteful(m)); /* whoever made it so has seen to it */
    CU_ASSERT(mailbox_header(m)->cache_generation > 1);
    CU_ASSERT_STRING_EQUAL(of(&f, FIXTURE_ID, 99, pool), "/comment=short");
    mailbox_close(&m);
    fixture_end(&f);
    pool_free(&pool);
}

/* A user gets another name: his are that name's, and nothing else changes. */
static void test_rekey(void)
{
    struct uid_set one = UID_SET_INIT;
    struct pool *pool = pool_new(0);
    struct annotate_items items;
    struct mailbox_record gone;
    struct flag_result result;
    struct fixture f;
    struct mailbox *m;
    struct view *view;
    uint64_t modseq, bytes;

    fixture_begin(&f);
    f.options.expunge_mode = STORE_EXPUNGE_DELAYED;
    fixture_reopen(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(annotate_rekey(m, "fred", "al"), 0); /* has none at all */
    CU_ASSERT_EQUAL(fixture_append(m, 1, 4, 0), 1);
    view = fixture_view(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(store(view, 1, 3, "fred", "/comment", "his", &result), 0);
    CU_ASSERT_EQUAL(store(view, 1, 1, "al", "/comment", "a dead one's", &result), 0);
    CU_ASSERT_EQUAL(store(view, 1, 1, "bob", "/comment", "bob's", &result), 0);
    CU_ASSERT_EQUAL(store(view, 2, 2, "fred", "/altsubject", NULL, &result), 0);
    CU_ASSERT_EQUAL(store(view, 4, 4, "bob", "/comment", "bob's", &result), 0);
    uid_set_add(&one, 3, 3);
    CU_ASSERT_EQUAL(expunge_uids(m, &one, NULL), 0);
    modseq = mailbox_header(m)->highest_modseq;
    CU_ASSERT_EQUAL(annotate_rekey(m, "fred", "al"), 0);
    CU_ASSERT_STRING_EQUAL(of(&f, FIXTURE_ID, 1, pool), "al/comment=his bob/comment=bob's");
    CU_ASSERT_STRING_EQUAL(of(&f, FIXTURE_ID, 2, pool), "al/comment=his");
    CU_ASSERT(mailbox_read_records(m, 2, 1, &gone) == 0 && annotate_read(m, &gone, pool, &items) == 0);
    CU_ASSERT_STRING_EQUAL(shown(pool, &items), "al/comment=his"); /* unexpunge may bring it back */
    CU_ASSERT_STRING_EQUAL(of(&f, FIXTURE_ID, 4, pool), "bob/comment=bob's");
    CU_ASSERT_EQUAL(mailbox_header(m)->highest_modseq, modseq);
    bytes = storage(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(annotate_rekey(m, "fred", "al"), 0); /* again, after a crash */
    CU_ASSERT_STRING_EQUAL(of(&f, FIXTURE_ID, 1, pool), "al/comment=his bob/comment=bob's");
    CU_ASSERT_EQUAL(mailbox_recover(m), 0);
    CU_ASSERT_EQUAL(storage(&f, FIXTURE_ID), bytes); /* the total was right */
    uid_set_free(&one);
    view_close(&view);
    mailbox_close(&m);
    pool_free(&pool);
    fixture_end(&f);
}

static const struct unit_case cases[] = {{"bytes", test_bytes},
                                         {"changes", test_changes},
                                         {"bounds", test_bounds},
                                         {"STORE", test_store},
                                         {"refused", test_refused},
                                         {"COPY", test_copy},
                                         {"life", test_life},
                                         {"damage", test_damage},
                                         {"waste", test_waste},
                                         {"rekey", test_rekey},
                                         {NULL, NULL}};
extern const struct unit_suite annotate_suite;
const struct unit_suite annotate_suite = {"annotate", cases};
