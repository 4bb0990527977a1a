/* What an index remembers of the mailbox list. */
#include "imap/store/listed.h"

#include <string.h>

#include "cunit/imap/store/fixture.h"
#include "cunit/unit.h"
#include "imap/store/recover.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

#define A100                                                                                                 \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
    struct mailbox_listed listed;
    const char *text;
} encoded[] = {
    {{"user.fred", "fred\tlrs\t", "", false, {{0}}}, "user.fred\nfred\tlrs\t\n\n?"},
    {{"user.fred.x", "", "fred\t\\Sent\t", true, {{5, -1, -1, 7}}},
     "user.fred.x\n\nfred\t\\Sent\t\n5 -1 -1 7"},
    {{"a", A100 A100 "\tlrs\t", A100 A100 A100, true, {{1, 2, 3, 4}}}, "a\n" A100 A100 "\tlrs\t\n?\n1 2 3 4"},
    {{"a", A100 A100 A100 A100 A100 "\tlrs\t", "x\ty\t", true, {{1, 2, 3, 4}}}, "a\n?\nx\ty\t\n1 2 3 4"},
    {{"a", "x\nb", "", false, {{0}}}, "a\n?\n\n?"},
    {{A100 A100 A100 A100 "b",
      NULL,
      NULL,
      true,
      {{1000000000000, 1000000000000, 1000000000000, 1000000000000}}},
     A100 A100 A100 A100 "b\n?\n?\n?"},
    {{A100 A100 A100 A100 A100, "x\tl\t", "", false, {{0}}}, ""},
};

static void test_encode(void)
{
    struct pool *pool = pool_new(0);
    char text[MAILBOX_LISTED_SIZE];

    for (size_t i = 0; i < ARRAY_SIZE(encoded); i++) {
        struct mailbox_listed again;

        listed_encode(text, &encoded[i].listed);
        CU_ASSERT_STRING_EQUAL(text, encoded[i].text);
        CU_ASSERT_EQUAL(listed_decode(text, pool, &again), text[0] != '\0');
        if (text[0] != '\0')
            CU_ASSERT_STRING_EQUAL(again.name, encoded[i].listed.name);
    }
    pool_free(&pool);
}

static void test_decode(void)
{
    static const char *const bad[] = {"", "a", "a\n", "a\n\n", "\n\n\n", "a\nb\nc\nd\ne", "?"};
    static const struct {
        const char *text;
        bool limits;
    } numbers[] = {{"1 2 3 4", true},    {"-1 -1 -1 -1", true}, {"1 2 3", false},
                   {"1 2 3 4 5", false}, {"-2 1 1 1", false},   {"99999999999999999999 1 1 1", false},
                   {"1  2 3 4x", false}, {"", false},           {"?", false}};
    struct pool *pool = pool_new(0);
    struct mailbox_listed listed;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        CU_ASSERT_FALSE(listed_decode(bad[i], pool, &listed));
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        CU_ASSERT_TRUE(listed_decode(pool_printf(pool, "n\n?\n?\n%s", numbers[i].text), pool, &listed));
        CU_ASSERT_EQUAL(listed.has_limits, numbers[i].limits);
        CU_ASSERT_PTR_NULL(listed.acl);
    }
    CU_ASSERT_TRUE(listed_decode("n\na\tl\t\nu\n1 2 3 4", pool, &listed));
    CU_ASSERT_STRING_EQUAL(listed.acl, "a\tl\t");
    CU_ASSERT_EQUAL(listed.limits.limit[3], 4);
    pool_free(&pool);
}

/* One sync, none for what is there already; compaction and reconstruct keep it. */
static void test_header(void)
{
    const struct mailbox_listed listed = {"user.fred", "fred\tlrs\t", "", true, {{1, 2, 3, 4}}};
    struct store_counters before, after;
    struct reconstruct_report report;
    struct mailbox_listed again;
    struct mailbox_header header;
    struct pool *pool = pool_new(0);
    struct mailbox *m;
    struct fixture f;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(mailbox_listed_read(f.store, "one", FIXTURE_ID, pool, &again, &header), 0);
    CU_ASSERT_PTR_NULL(again.name);
    store_counters(f.store, &before);
    CU_ASSERT_EQUAL(mailbox_set_listed(m, &listed, "user.fred", 0), 0);
    CU_ASSERT_EQUAL(mailbox_set_listed(m, &listed, "user.fred", 0), 0);
    store_counters(f.store, &after);
    CU_ASSERT_EQUAL(after.index_syncs - before.index_syncs, 1);
    CU_ASSERT_EQUAL(mailbox_header(m)->uidvalidity, 1000);
    CU_ASSERT_EQUAL(mailbox_set_listed(m, &listed, NULL, 1001), 0);
    CU_ASSERT_EQUAL(mailbox_header(m)->uidvalidity, 1001);
    CU_ASSERT_STRING_EQUAL(mailbox_header(m)->quota_root, "");
    mailbox_close(&m);
    CU_ASSERT_EQUAL(mailbox_reconstruct(f.store, "one", FIXTURE_ID, 7, &report), 0);
    CU_ASSERT_EQUAL(mailbox_listed_read(f.store, "one", FIXTURE_ID, pool, &again, &header), 0);
    CU_ASSERT_STRING_EQUAL(again.name, "user.fred");
    CU_ASSERT_EQUAL(header.uidvalidity, 1001);
    CU_ASSERT_EQUAL(mailbox_listed_read(f.store, "one", "not-there", pool, &again, &header), ERR_NOTFOUND);
    fixture_scribble(&f, FIXTURE_ID, "index", 0, header.ring_record, 1000);
    fixture_scribble(&f, FIXTURE_ID, "index", 4096, header.ring_record, 1000);
    CU_ASSERT_EQUAL(mailbox_listed_read(f.store, "one", FIXTURE_ID, pool, &again, &header), ERR_CORRUPT);
    pool_free(&pool);
    fixture_end(&f);
}

/* Message files of another directory become new messages behind those that are there. */
static void test_take(void)
{
    static const char other[] = "other-mailbox";
    struct reconstruct_report report;
    struct mailbox_record record;
    struct buf dir = BUF_INIT;
    struct mailbox *m;
    struct fixture f;

    fixture_begin(&f);
    m = fixture_mailbox(&f, other);
    CU_ASSERT_EQUAL(fixture_append(m, 1, 3, RECORD_FLAGGED), 1);
    mailbox_close(&m);
    m = fixture_mailbox(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(fixture_append(m, 9, 2, 0), 1);
    CU_ASSERT_EQUAL(mailbox_dir(f.store, "one", other, &dir), 0);
    CU_ASSERT_EQUAL(mailbox_take_files(f.store, "one", FIXTURE_ID, buf_cstr(&dir), &report), 0);
    CU_ASSERT_EQUAL(report.messages, 5);
    CU_ASSERT_EQUAL(mailbox_refresh(m), 0);
    CU_ASSERT_EQUAL(mailbox_header(m)->uidvalidity, 1000);
    for (uint32_t i = 0; i < 5; i++) {
        CU_ASSERT_EQUAL(mailbox_read_records(m, i, 1, &record), 0);
        CU_ASSERT_EQUAL(record.uid, i + 1);
        CU_ASSERT_TRUE(fixture_has_text(m, i, &record, i < 2 ? 9 + i : i - 1));
        CU_ASSERT_FALSE(record.system & RECORD_FLAGGED);
    }
    CU_ASSERT_EQUAL(mailbox_take_files(f.store, "one", FIXTURE_ID, "/nowhere", &report), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(mailbox_has_files(f.store, "one", other), 1);
    CU_ASSERT_EQUAL(mailbox_delete(f.store, "one", other), 0);
    CU_ASSERT_EQUAL(mailbox_has_files(f.store, "one", other), 0);
    buf_free(&dir);
    mailbox_close(&m);
    fixture_end(&f);
}

static const struct unit_case cases[] = {
    {"encode", test_encode},
    {"decode", test_decode},
    {"header", test_header},
    {"take", test_take},
    {NULL, NULL},
};

extern const struct unit_suite listed_suite;
const struct unit_suite listed_suite = {"listed", cases};
