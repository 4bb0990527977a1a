#include "lib/mboxlist/special-use.h"

#include <string.h>

#include "cunit/lib/mboxlist/fixture.h"
#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static void test_read(void)
{
    static const struct {
        const char *text;
        int result;
        const char *uses;
        bool settable;
    } rows[] = {
        {"", 0, "", true},
        {"\\Sent", 0, "\\Sent", true},
        {"\\sent \\DRAFTS \\Sent", 0, "\\Drafts \\Sent", true},
        {"\\Important \\Memos", 0, "\\Important \\Memos", true},
        {"\\All", 0, "\\All", false},
        {"\\Sent \\Flagged", 0, "\\Flagged \\Sent", false},
        {"\\Frob", ERR_INVALID, "", false},
        {"Sent", ERR_INVALID, "", false},
        {"\\HasChildren", ERR_INVALID, "", false},
    };
    struct pool *pool = pool_new(0);

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *uses;

        CU_ASSERT_EQUAL(special_use_read(rows[i].text, pool, &uses), rows[i].result);
        CU_ASSERT_STRING_EQUAL(uses, rows[i].uses);
        CU_ASSERT_EQUAL(special_use_is_settable(rows[i].text), rows[i].settable);
    }
    CU_ASSERT(special_use_overlap("\\Sent \\Junk", "\\junk") && !special_use_overlap("\\Sent", "\\Junk"));
    CU_ASSERT(special_use_is_known("\\trash") && !special_use_is_known("\\Marked"));
    pool_free(&pool);
}

static void test_replace(void)
{
    struct pool *pool = pool_new(0);
    const char *list = special_use_replace("", "fred", "\\Sent", pool);

    CU_ASSERT_STRING_EQUAL(list, "fred\t\\Sent\t");
    list = special_use_replace(list, "bob", "\\Junk \\Trash", pool);
    CU_ASSERT_STRING_EQUAL(list, "fred\t\\Sent\tbob\t\\Junk \\Trash\t");
    CU_ASSERT_STRING_EQUAL(special_use_replace(list, "fred", "", pool), "bob\t\\Junk \\Trash\t");
    CU_ASSERT_STRING_EQUAL(special_use_replace(list, "bob", "\\Sent", pool), "fred\t\\Sent\tbob\t\\Sent\t");
    pool_free(&pool);
}

static void put(struct fixture *f, const char *name, const char *special_use)
{
    struct mboxlist_record record;
    struct mboxlist_txn *txn;

    fixture_put(f, name, "fred\tlrs\t");
    CU_ASSERT_EQUAL_FATAL(mboxlist_lookup(f->list, name, f->pool, &record), 0);
    record.special_use = special_use;
    CU_ASSERT_EQUAL_FATAL(mboxlist_begin(f->list, &txn), 0);
    CU_ASSERT_EQUAL(mboxlist_txn_put(txn, &record), 0);
    CU_ASSERT_EQUAL(mboxlist_commit(&txn), 0);
}

static void test_holder(void)
{
    const char *name = "";
    struct fixture f;

    fixture_open(&f);
    put(&f, "user.fred", "");
    put(&f, "user.fred.Sent", "fred\t\\Sent \\Junk\t");
    put(&f, "user.fredx.Trash", "fred\t\\Trash\t"); /* another's */
    put(&f, "user.fred.Old", "bob\t\\Drafts\t");
    CU_ASSERT_EQUAL(special_use_holder(f.list, "user.fred", "fred", "\\Junk \\Trash", NULL, f.pool, &name),
                    0);
    CU_ASSERT_STRING_EQUAL(name, "user.fred.Sent");
    CU_ASSERT_EQUAL(
        special_use_holder(f.list, "user.fred", "fred", "\\Junk", "user.fred.Sent", f.pool, &name),
        ERR_NOTFOUND);
    CU_ASSERT_EQUAL(special_use_holder(f.list, "user.fred", "fred", "\\Trash", NULL, f.pool, &name),
                    ERR_NOTFOUND);
    CU_ASSERT_EQUAL(special_use_holder(f.list, "user.fred", "fred", "\\Drafts", NULL, f.pool, &name),
                    ERR_NOTFOUND);
    CU_ASSERT_EQUAL(special_use_holder(f.list, "user.fred", "fred", "", NULL, f.pool, &name), ERR_NOTFOUND);
    fixture_close(&f);
}

static const struct unit_case cases[] = {
    {"read", test_read}, {"replace", test_replace}, {"holder", test_holder}, {NULL, NULL}};

extern const struct unit_suite special_use_suite;
const struct unit_suite special_use_suite = {"special use", cases};
