#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cunit/lib/mboxlist/fixture.h"
#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static void fill(struct fixture *f)
{
    static const char *const rows[][2] = {
        {"archive", "anyone\tlrs\t"},
        {"archive.x", "anyone\tlrs\tfred\t0\t"},
        {"user.bob", "bob\tlrswip\t"},
        {"user.bob.for-fred", "bob\tlrs\tfred\tlr\t"},
        {"user.bob.post", "bob\tlrs\tanyone\tp\t"},
        {"user.fred", "fred\tlrswip\t"},
        {"user.fred-x", "fred-x\tlrs\t"},
        {"user.fred.Sent", "fred\tlrs\tanyone\tl\tgroup:staff\tl\t"},
        {"user.fred2", "fred2\tlrs\t-fred\tl\t"},
        {"staff", "group:staff\tlrs\tfred\tlrs\tanyone\tlr\t"},
        {"d.org!user.fred", "fred@d.org\tlrs\t"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        fixture_put(f, rows[i][0], rows[i][1]);
}

static void test_all(void)
{
    static const struct {
        const char *prefix, *names;
    } rows[] = {
        {NULL, "archive archive.x d.org!user.fred staff user.bob user.bob.for-fred user.bob.post user.fred "
               "user.fred.Sent user.fred-x user.fred2"},
        {"user.fred", "user.fred user.fred.Sent user.fred-x user.fred2"},
        {"user.fred.", "user.fred.Sent"},
        {"nothing", ""},
        {"d.org!", "d.org!user.fred"},
    };
    struct fixture f;

    fixture_open(&f);
    fill(&f);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        CU_ASSERT_STRING_EQUAL(
            fixture_names(&f, mboxlist_iter_all(f.list, rows[i].prefix, MBOXLIST_TYPES_ALL)), rows[i].names);
    CU_ASSERT_STRING_EQUAL(
        fixture_names(&f, mboxlist_iter_all(f.list, NULL, MBOXLIST_TYPE_BIT(MBOXLIST_REMOTE))), "");
    fixture_close(&f);
}

static void test_visible(void)
{
    static const char *const fred[] = {"fred", "anyone", NULL},
                             *const staff[] = {"al", "group:staff", "anyone", NULL}, *const nobody[] = {NULL};
    static const struct {
        const char *prefix, *tree;
        const char *const *identifiers;
        const char *names;
    } rows[] = {
        {NULL, "user.fred", fred, "archive archive.x staff user.bob.for-fred user.fred user.fred.Sent"},
        {NULL, "user.al", staff, "archive archive.x staff user.fred.Sent"},
        {NULL, NULL, nobody, ""},
        {NULL, "user.fred", nobody, "user.fred user.fred.Sent"},
        {"user.", "user.fred", fred, "user.bob.for-fred user.fred user.fred.Sent"},
        {"user.fred.S", "user.fred", fred, "user.fred.Sent"},
        {"user.fred-", "user.fred", fred, ""},
        {"user.bob", "user.fred", fred, "user.bob.for-fred"},
        {"arch", "user.fred", fred, "archive archive.x"},
        {"d.org!", "d.org!user.fred", nobody, "d.org!user.fred"},
    };
    struct fixture f;

    fixture_open(&f);
    fill(&f);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        CU_ASSERT_STRING_EQUAL(
            fixture_names(&f, mboxlist_iter_visible(f.list, rows[i].prefix, rows[i].tree, rows[i].identifiers,
                                                    MBOXLIST_TYPES_ALL)),
            rows[i].names);
    fixture_put(&f, "staff", "group:staff\tlrs\tfred\tr\t"); /* the ACL changes: the rows follow */
    CU_ASSERT_STRING_EQUAL(
        fixture_names(&f, mboxlist_iter_visible(f.list, "s", NULL, fred, MBOXLIST_TYPES_ALL)), "");
    fixture_close(&f);
}

static void test_long_identifier(void)
{
    static const char *const longs[] = {"a-very-long-user-name@with.a.long.domain.example", NULL};
    struct fixture f;

    fixture_open(&f);
    fixture_put(&f, "shared.x", "a-very-long-user-name@with.a.long.domain.example\tlrs\t");
    fixture_put(&f, "shared.y", "a-very-long-user-name@with.a.long.domain.exampl\tlrs\t");
    CU_ASSERT_STRING_EQUAL(
        fixture_names(&f, mboxlist_iter_visible(f.list, NULL, NULL, longs, MBOXLIST_TYPES_ALL)), "shared.x");
    fixture_close(&f);
}

/* Many batches, and changes while going through: what was there all the time is seen exactly once. */
static void test_batches(void)
{
    enum { COUNT = 3000 };
    static const char *const anyone[] = {"anyone", NULL};
    const struct mboxlist_record *record;
    struct mboxlist_iter *it;
    struct mboxlist_txn *txn;
    struct fixture f;
    unsigned seen = 0;
    char name[64];
    int r;

    fixture_open(&f);
    CU_ASSERT_EQUAL(mboxlist_begin(f.list, &txn), 0);
    for (unsigned i = 0; i < COUNT; i++) {
        struct mboxlist_record put = {
            .name = name, .type = MBOXLIST_REMOTE, .server = "b", .acl = "anyone\tl\t"};

        snprintf(name, sizeof(name), "s%04u", i);
        CU_ASSERT_EQUAL(mboxlist_txn_put(txn, &put), 0);
    }
    CU_ASSERT_EQUAL(mboxlist_commit(&txn), 0);
    it = mboxlist_iter_visible(f.list, NULL, NULL, anyone, MBOXLIST_TYPES_ALL);
    while ((r = mboxlist_iter_next(it, &record)) > 0) {
        snprintf(name, sizeof(name), "s%04u", seen++);
        CU_ASSERT_STRING_EQUAL(record->name, name);
        if (seen % 500 == 0) {
            CU_ASSERT_EQUAL(mboxlist_begin(f.list, &txn), 0);
            snprintf(name, sizeof(name), "s%04u", seen - 100);
            CU_ASSERT_EQUAL(mboxlist_txn_delete(txn, name, false), 0);
            CU_ASSERT_EQUAL(mboxlist_commit(&txn), 0);
        }
    }
    CU_ASSERT_EQUAL(r, 0);
    CU_ASSERT_EQUAL(seen, COUNT);
    mboxlist_iter_free(&it);
    fixture_close(&f);
}

static void test_seek(void)
{
    const struct mboxlist_record *record;
    struct mboxlist_iter *it;
    struct fixture f;

    fixture_open(&f);
    fill(&f);
    it = mboxlist_iter_all(f.list, NULL, MBOXLIST_TYPES_ALL);
    mboxlist_iter_seek(it, "staff");
    CU_ASSERT_EQUAL_FATAL(mboxlist_iter_next(it, &record), 1);
    CU_ASSERT_STRING_EQUAL(record->name, "staff");
    CU_ASSERT_EQUAL_FATAL(mboxlist_iter_next(it, &record), 1);
    CU_ASSERT_STRING_EQUAL(record->name, "user.bob");
    mboxlist_iter_skip_below(it, "user.bob");
    CU_ASSERT_EQUAL_FATAL(mboxlist_iter_next(it, &record), 1);
    CU_ASSERT_STRING_EQUAL(record->name, "user.fred");
    mboxlist_iter_seek(it, "archive"); /* never backwards */
    CU_ASSERT_EQUAL_FATAL(mboxlist_iter_next(it, &record), 1);
    CU_ASSERT_STRING_EQUAL(record->name, "user.fred.Sent");
    mboxlist_iter_seek(it, "zzz");
    CU_ASSERT_EQUAL(mboxlist_iter_next(it, &record), 0);
    mboxlist_iter_free(&it);
    fixture_close(&f);
}

static void test_order(void)
{
    static const char *const ordered[] = {"a",    "a.b", "a.b.c", "a.c", "a b", "a-b", "a^",
                                          "a^.b", "a^b", "a0",    "aB",  "a_b", "ab",  "b"};

    for (size_t i = 0; i < ARRAY_SIZE(ordered); i++)
        for (size_t j = 0; j < ARRAY_SIZE(ordered); j++) {
            int order = mboxlist_name_compare(ordered[i], ordered[j]);

            CU_ASSERT((order < 0) == (i < j) && (order > 0) == (i > j));
        }
}

static const struct unit_case cases[] = {
    {"all", test_all},
    {"visible", test_visible},
    {"long identifier", test_long_identifier},
    {"batches", test_batches},
    {"seek", test_seek},
    {"order", test_order},
    {NULL, NULL},
};

extern const struct unit_suite iter_suite;
const struct unit_suite iter_suite = {"iter", cases};
