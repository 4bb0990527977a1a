/* journal.c: what changes leave behind for those who watch. */
#include "lib/mboxlist/journal.h"

#include <string.h>

#include "cunit/lib/mboxlist/fixture.h"
#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/db/db.h"
#include "lib/mboxlist/annotations.h"
#include "lib/mboxlist/mboxlist-private.h"
#include "lib/mboxlist/remote.h"
#include "lib/mboxlist/subs.h"

#define ACL "fred\tlr\t"

static int put_row(const struct journal_row *row, void *context)
{
    struct buf *to = context;

    buf_printf(to, "%u%s%s %s<%s %s %s %s|%s;", row->kind, row->was ? "w" : "", row->is ? "i" : "", row->name,
               row->from, row->userid, row->entry, row->acl_before, row->acl_after);
    return 0;
}

/* All rows behind *at, as a text in the fixture's pool; *at goes on. */
static const char *rows(struct fixture *f, uint64_t *at)
{
    struct buf text = BUF_INIT;
    const char *result;

    CU_ASSERT_EQUAL(journal_each(f->list, *at, put_row, &text), 0);
    CU_ASSERT_EQUAL(journal_last(f->list, at), 0);
    result = pool_strdup(f->pool, buf_cstr(&text));
    buf_free(&text);
    return result;
}

static void rename_to(struct fixture *f, const char *from, const char *to)
{
    struct mboxlist_txn *txn;

    CU_ASSERT_EQUAL_FATAL(mboxlist_begin(f->list, &txn), 0);
    CU_ASSERT_EQUAL(mboxlist_txn_rename(txn, from, to), 0);
    CU_ASSERT_EQUAL(mboxlist_commit(&txn), 0);
}

static void test_names(void)
{
    struct mboxlist_txn *txn;
    struct fixture f;
    uint64_t at = 0;

    fixture_open(&f);
    CU_ASSERT_STRING_EQUAL(rows(&f, &at), "");
    fixture_put(&f, "a", ACL);
    CU_ASSERT_STRING_EQUAL(rows(&f, &at), "1i a<   |" ACL ";");
    fixture_put(&f, "a", ACL); /* nothing that could be seen */
    CU_ASSERT_STRING_EQUAL(rows(&f, &at), "");
    fixture_put(&f, "a", "");
    CU_ASSERT_STRING_EQUAL(rows(&f, &at), "1wi a<   " ACL "|;");
    rename_to(&f, "a", "b");
    CU_ASSERT_STRING_EQUAL(rows(&f, &at), "1i b<a   |;");
    CU_ASSERT_EQUAL_FATAL(mboxlist_begin(f.list, &txn), 0);
    CU_ASSERT_EQUAL(mboxlist_txn_delete(txn, "b", true), 0);
    mboxlist_abort(&txn); /* it has not happened */
    CU_ASSERT_STRING_EQUAL(rows(&f, &at), "");
    CU_ASSERT_EQUAL_FATAL(mboxlist_begin(f.list, &txn), 0);
    CU_ASSERT_EQUAL(mboxlist_txn_delete(txn, "b", true), 0);
    CU_ASSERT_EQUAL(mboxlist_commit(&txn), 0);
    CU_ASSERT_STRING_EQUAL(rows(&f, &at), "1w b<   |;");
    fixture_close(&f);
}

static void test_beside(void)
{
    struct mboxlist_txn *txn;
    struct fixture f;
    uint64_t at = 0;

    fixture_open(&f);
    CU_ASSERT_EQUAL(mboxlist_subscribe(f.list, "fred", "a.b", true), 0);
    CU_ASSERT_EQUAL(mboxlist_subscribe(f.list, "fred", "a.b", true), 0);
    CU_ASSERT_STRING_EQUAL(rows(&f, &at), "2i a.b< fred  |;");
    CU_ASSERT_EQUAL(mboxlist_subscribe(f.list, "fred", "a.b", false), 0);
    CU_ASSERT_STRING_EQUAL(rows(&f, &at), "2 a.b< fred  |;");
    CU_ASSERT_EQUAL_FATAL(mboxlist_begin(f.list, &txn), 0);
    CU_ASSERT_EQUAL(annotation_txn_set(txn, "id-1", "fred", "/comment", "x", 1), 0);
    CU_ASSERT_EQUAL(annotation_txn_set(txn, "", "", "/motd", "x", 1), 0);
    CU_ASSERT_EQUAL(annotation_txn_set(txn, "", "", "/motd", NULL, 0), 0);
    CU_ASSERT_EQUAL(annotation_txn_set(txn, "", "", "/motd", NULL, 0), 0); /* was not there */
    CU_ASSERT_EQUAL(mboxlist_commit(&txn), 0);
    CU_ASSERT_STRING_EQUAL(rows(&f, &at), "3i id-1< fred /comment |;3i <  /motd |;3 <  /motd |;");
    fixture_close(&f);
}

/* A master's rename comes as a new name and the end of the old one: the id tells. */
static void test_remote(void)
{
    struct mboxlist_change put = {MBOXLIST_CHANGE_MAILBOX, "a", "be1!default", ACL, "id-1", NULL};
    struct mboxlist_change gone = {.type = MBOXLIST_CHANGE_DELETE, .name = "a"};
    struct mboxlist_remote *remote;
    struct fixture f;
    uint64_t at = 0;

    fixture_open(&f);
    remote = mboxlist_remote_new(f.list, "fe");
    CU_ASSERT_EQUAL(mboxlist_remote_add(remote, &put), 0);
    CU_ASSERT_EQUAL(mboxlist_remote_flush(remote), 0);
    CU_ASSERT_STRING_EQUAL(rows(&f, &at), "1i a<   |" ACL ";");
    put.name = "b";
    CU_ASSERT_EQUAL(mboxlist_remote_add(remote, &put), 0);
    CU_ASSERT_EQUAL(mboxlist_remote_add(remote, &gone), 0);
    CU_ASSERT_EQUAL(mboxlist_remote_flush(remote), 0);
    CU_ASSERT_STRING_EQUAL(rows(&f, &at), "1i b<a   |" ACL ";1w a<   " ACL "|;");
    put.location = "be2!default"; /* it has moved */
    CU_ASSERT_EQUAL(mboxlist_remote_add(remote, &put), 0);
    CU_ASSERT_EQUAL(mboxlist_remote_flush(remote), 0);
    CU_ASSERT_STRING_EQUAL(rows(&f, &at), "1wi b<   " ACL "|" ACL ";");
    mboxlist_remote_free(&remote);
    fixture_close(&f);
}

static int count_row(const struct journal_row *row, void *context)
{
    unsigned *counts = context;

    counts[row->kind]++;
    return 0;
}

/* Too much in one transaction is not told name by name; what is old is not kept. */
static void test_bounds(void)
{
    unsigned counts[JOURNAL_LOST + 1] = {0};
    struct fixture f;
    uint64_t last;

    fixture_open(&f);
    for (unsigned n = 0; n < 5; n++) {
        struct mboxlist_txn *txn;

        CU_ASSERT_EQUAL_FATAL(mboxlist_begin(f.list, &txn), 0);
        for (unsigned i = 0; i < JOURNAL_TXN_ROWS + 10; i++) {
            const struct mboxlist_record record = {
                .name = pool_printf(f.pool, "n%u-%u", n, i), .type = MBOXLIST_REMOTE, .server = "be1"};

            CU_ASSERT_EQUAL(mboxlist_txn_put(txn, &record), 0);
        }
        CU_ASSERT_EQUAL(mboxlist_commit(&txn), 0);
    }
    CU_ASSERT_EQUAL(journal_last(f.list, &last), 0);
    CU_ASSERT_EQUAL(last, 5 * (JOURNAL_TXN_ROWS + 1));
    CU_ASSERT_EQUAL(journal_each(f.list, last - JOURNAL_ROWS, count_row, counts), 0);
    CU_ASSERT_EQUAL(counts[JOURNAL_NAME], JOURNAL_ROWS - 4);
    CU_ASSERT_EQUAL(counts[JOURNAL_LOST], 4);
    CU_ASSERT_EQUAL(journal_each(f.list, last - JOURNAL_ROWS - 1, count_row, counts), ERR_LIMIT);
    CU_ASSERT_EQUAL(journal_each(f.list, 0, count_row, counts), ERR_LIMIT);
    CU_ASSERT_EQUAL(journal_each(f.list, last, count_row, counts), 0);
    fixture_close(&f);
}

static void test_golden(void)
{
    static const char key[] = "\0\0\0\0\0\0\0\1";
    static const char value[] = "\1\1\2\0\0\0\0\0"
                                "\1\0\0\0a"
                                "\0\0\0\0"
                                "\0\0\0\0"
                                "\0\0\0\0"
                                "\0\0\0\0"
                                "\x08\0\0\0fred\tlr\t";
    struct db_value got;
    struct fixture f;
    struct db_txn *txn;
    uint64_t at;

    fixture_open(&f);
    fixture_put(&f, "a", ACL);
    CU_ASSERT_EQUAL_FATAL(db_begin(f.list->env, true, &txn), 0);
    CU_ASSERT_EQUAL_FATAL(db_get(txn, f.list->tables[TABLE_JOURNAL], key, sizeof(key) - 1, &got), 0);
    CU_ASSERT_EQUAL_FATAL(got.len, sizeof(value) - 1);
    CU_ASSERT_EQUAL(memcmp(got.data, value, got.len), 0);
    db_abort(&txn);
    for (size_t len = 0; len < sizeof(value) - 1; len++) { /* cut off, it is an error */
        CU_ASSERT_EQUAL_FATAL(db_begin(f.list->env, true, &txn), 0);
        CU_ASSERT_EQUAL(db_put(txn, f.list->tables[TABLE_JOURNAL], key, sizeof(key) - 1, value, len), 0);
        CU_ASSERT_EQUAL(db_commit(&txn), 0);
        CU_ASSERT_EQUAL(journal_each(f.list, 0, count_row, &at), len == 0 ? ERR_VERSION : ERR_CORRUPT);
    }
    fixture_close(&f);
}

static const struct unit_case cases[] = {
    {"names", test_names},   {"beside names", test_beside}, {"a master's names", test_remote},
    {"bounds", test_bounds}, {"golden value", test_golden}, {NULL, NULL},
};

extern const struct unit_suite journal_suite;
const struct unit_suite journal_suite = {"journal", cases};
