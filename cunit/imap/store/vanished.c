/* What is gone since a mod-sequence, and which mod-sequence may be told while EXPUNGE may not. */
#include <stdio.h>
#include <string.h>

#include "cunit/imap/store/fixture.h"
#include "cunit/unit.h"
#include "imap/store/mailbox-private.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static struct fixture f;

static void expunge(struct view *view, uint32_t first, uint32_t last)
{
    struct uid_set uids = UID_SET_INIT;
    struct expunge_what what = {&uids, true};

    uid_set_add(&uids, first, last);
    CU_ASSERT_EQUAL(expunge_messages(view, &what, NULL), 0);
    uid_set_free(&uids);
}

static void refresh(struct view *view, bool expunge_allowed, uint32_t expunged)
{
    struct pool *pool = pool_new(0);
    struct view_news news;

    CU_ASSERT_EQUAL(view_refresh(view, expunge_allowed, pool, &news), 0);
    CU_ASSERT_EQUAL(news.expunged_count, expunged);
    pool_free(&pool);
}

/* In steps of `batch` records; how many steps there were. */
static unsigned find(struct view *view, const struct uid_set *set, uint64_t since, uint32_t above,
                     uint32_t batch, struct uid_set *gone_r)
{
    struct view_vanished v = {.view = view, .wanted = set, .since = since, .above = above};
    unsigned steps = 1;
    int r;

    while ((r = view_vanished_step(&v, batch)) == 1)
        steps++;
    CU_ASSERT_EQUAL(r, 0);
    *gone_r = v.gone;
    return steps;
}

static void check(struct view *view, const char *wanted, uint64_t since, uint32_t above, const char *expected)
{
    struct uid_set set = UID_SET_INIT, gone;
    struct buf text = BUF_INIT;
    uint32_t first, last;

    for (const char *s = wanted; s != NULL; s = strchr(s, ',') != NULL ? strchr(s, ',') + 1 : NULL) {
        int n = sscanf(s, "%u:%u", &first, &last);

        uid_set_add(&set, first, n == 2 ? last : first);
    }
    for (uint32_t batch = 1; batch <= 1000; batch = batch * 31 + 1) {
        find(view, &set, since, above, batch, &gone);
        buf_reset(&text);
        uid_set_format(&gone, &text);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&text), expected);
        uid_set_free(&gone);
    }
    buf_free(&text);
    uid_set_free(&set);
}

static void test_vanished(void)
{
    struct mailbox *m;
    struct view *view, *late;
    uint64_t first, second;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    fixture_append(m, 0, 20, 0);
    view = fixture_view(&f, FIXTURE_ID);
    late = fixture_view(&f, FIXTURE_ID);
    first = view_highest_modseq(view);
    check(view, "1:20", first, 0, "");
    expunge(view, 3, 5);
    refresh(view, true, 3);
    second = view_highest_modseq(view);
    CU_ASSERT(second > first);
    expunge(view, 10, 10);
    expunge(view, 20, 20);
    refresh(view, true, 2);
    check(view, "1:20", first, 0, "3:5,10,20");
    check(view, "1:20", second, 0, "10,20");
    check(view, "1:20", first, 4, "5,10,20");
    check(view, "1:3,5,11:4294967295", first, 0, "3,5,20");
    check(view, "1:20", view_highest_modseq(view), 0, "");
    /* a session that has not been told still has them */
    check(late, "1:20", first, 0, "");
    refresh(late, true, 5);
    check(late, "1:20", first, 0, "3:5,10,20");
    view_close(&view);
    view_close(&late);
    mailbox_close(&m);
    fixture_end(&f);
}

/* What compaction has removed is known only by its absence. */
static void test_purged(void)
{
    struct mailbox *m;
    struct view *view;
    uint64_t first, purged;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    fixture_append(m, 0, 300, 0);
    view = fixture_view(&f, FIXTURE_ID);
    first = view_highest_modseq(view);
    expunge(view, 1, 1);
    expunge(view, 100, 120);
    expunge(view, 300, 300);
    refresh(view, true, 23);
    purged = view_highest_modseq(view);
    view_close(&view);
    f.store->options.session_ms = -2000;
    CU_ASSERT_EQUAL(mailbox_compact(m, INT64_MAX, NULL), 0);
    view = fixture_view(&f, FIXTURE_ID);
    expunge(view, 50, 50);
    refresh(view, true, 1);
    check(view, "1:500", first, 0, "1,50,100:120,300");
    check(view, "1:500", purged - 1, 0, "1,50,100:120,300");
    check(view, "2:49,110:299", first, 0, "110:120");
    check(view, "1:500", first, 100, "101:120,300");
    check(view, "1:500", purged, 0, "50");
    view_close(&view);
    mailbox_close(&m);
    fixture_end(&f);
}

/* No step looks at more than it may, and a compaction between two of them changes nothing. */
static void test_steps(void)
{
    struct view_vanished v = {.wanted = NULL};
    struct uid_set set = UID_SET_INIT, gone;
    struct buf text = BUF_INIT;
    struct mailbox *m;
    struct view *view;
    uint64_t first;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    fixture_append(m, 0, 900, 0);
    view = fixture_view(&f, FIXTURE_ID);
    first = view_highest_modseq(view);
    for (uint32_t uid = 1; uid < 900; uid += 100)
        expunge(view, uid, uid + 49);
    refresh(view, true, 450);
    uid_set_add(&set, 1, 900);
    CU_ASSERT(find(view, &set, first, 0, 100, &gone) >= 5);
    uid_set_free(&gone);
    CU_ASSERT_EQUAL(find(view, &set, first, 0, 1000, &gone), 1);
    uid_set_free(&gone);
    v = (struct view_vanished){.view = view, .wanted = &set, .since = first};
    CU_ASSERT_EQUAL(view_vanished_step(&v, 100), 1);
    CU_ASSERT(uid_set_size(&v.gone) > 0 && uid_set_size(&v.gone) < 450);
    f.store->options.session_ms = -2000;
    CU_ASSERT_EQUAL(mailbox_compact(m, INT64_MAX, NULL), 0);
    refresh(view, true, 0);
    while (view_vanished_step(&v, 100) == 1)
        continue;
    uid_set_format(&v.gone, &text);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&text),
                           "1:50,101:150,201:250,301:350,401:450,501:550,601:650,701:750,801:850");
    uid_set_free(&v.gone);
    uid_set_free(&set);
    buf_free(&text);
    view_close(&view);
    mailbox_close(&m);
    fixture_end(&f);
}

/* Flags may be told where EXPUNGE may not; the mod-sequence that a client may take for known stays behind only if
 * there is an expunge to tell. */
static void test_marks(void)
{
    struct mailbox *m;
    struct view *view, *other;
    uint64_t before;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    fixture_append(m, 0, 5, 0);
    view = fixture_view(&f, FIXTURE_ID);
    other = fixture_view(&f, FIXTURE_ID);
    before = view_highest_modseq(view);
    CU_ASSERT_EQUAL(fixture_store(other, 1, FLAGS_ADD, RECORD_FLAGGED, NULL), 0);
    refresh(view, false, 0);
    CU_ASSERT_EQUAL(view_highest_modseq(view), before + 1);
    expunge(other, 2, 2);
    CU_ASSERT_EQUAL(fixture_store(other, 1, FLAGS_REMOVE, RECORD_FLAGGED, NULL), 0);
    refresh(view, false, 0);
    CU_ASSERT_EQUAL(view_highest_modseq(view), before + 1);
    CU_ASSERT_EQUAL(fixture_store(other, 3, FLAGS_ADD, RECORD_FLAGGED, NULL), 0);
    refresh(view, false, 0);
    CU_ASSERT_EQUAL(view_highest_modseq(view), before + 1);
    CU_ASSERT_EQUAL(view_exists(view), 5);
    refresh(view, true, 1);
    CU_ASSERT_EQUAL(view_highest_modseq(view), before + 4);
    /* what came and went between two looks is nobody's business */
    fixture_append(m, 10, 1, 0);
    refresh(other, true, 1);
    expunge(other, 6, 6);
    refresh(view, false, 0);
    CU_ASSERT_EQUAL(view_exists(view), 4);
    CU_ASSERT_EQUAL(view_highest_modseq(view),
                    mailbox_refresh(m) == 0 ? mailbox_header(m)->highest_modseq : 0);
    refresh(view, true, 0);
    view_close(&view);
    view_close(&other);
    mailbox_close(&m);
    fixture_end(&f);
}

static const struct unit_case cases[] = {
    {"vanished", test_vanished},
    {"purged", test_purged},
    {"steps", test_steps},
    {"marks", test_marks},
    {NULL, NULL},
};

extern const struct unit_suite vanished_suite;
const struct unit_suite vanished_suite = {"vanished", cases};
