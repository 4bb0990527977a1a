/* annotations.c: annotations of mailboxes and of the server. */
#include "lib/mboxlist/annotations.h"

#include <stdio.h>
#include <string.h>

#include "cunit/lib/mboxlist/fixture.h"
#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/db/db.h"
#include "lib/mboxlist/mboxlist-private.h"

#define LONG_USER  "somebody.with.a.name.of.many.bytes@example.com"
#define LONG_OTHER "somebody.with.a.name.of.many.bytes@example.org"

static int set(struct fixture *f, const char *id, const char *userid, const char *entry, const char *value)
{
    struct mboxlist_txn *txn;
    int r;

    CU_ASSERT_EQUAL_FATAL(mboxlist_begin(f->list, &txn), 0);
    r = annotation_txn_set(txn, id, userid, entry, value, value != NULL ? strlen(value) : 0);
    if (r != 0) {
        mboxlist_abort(&txn);
        return r;
    }
    return mboxlist_commit(&txn);
}

static int append(const struct annotation *a, void *context)
{
    buf_printf(context, "%s=%s ", a->entry, a->value);
    CU_ASSERT_EQUAL(strlen(a->value), a->len);
    return 0;
}

static void check(struct fixture *f, const char *id, const char *userid, const char *below, const char *want)
{
    struct buf all = BUF_INIT;

    CU_ASSERT_EQUAL(annotations_each(f->list, id, userid, below, append, &all), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&all), want);
    buf_free(&all);
}

static uint64_t rows(struct fixture *f)
{
    struct db_txn *txn;
    uint64_t count = 0;

    CU_ASSERT_EQUAL_FATAL(db_begin(f->list->env, false, &txn), 0);
    CU_ASSERT_EQUAL(db_count(txn, db_table(f->list->env, "annotations"), &count), 0);
    db_abort(&txn);
    return count;
}

static void test_set(void)
{
    struct annotation a;
    struct fixture f;

    fixture_open(&f);
    CU_ASSERT_EQUAL(annotation_get(f.list, "id-1", "", "/comment", f.pool, &a), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(set(&f, "id-1", "", "/Comment", "one"), 0);
    CU_ASSERT_EQUAL(set(&f, "id-1", "fred", "/comment", "his"), 0);
    CU_ASSERT_EQUAL(set(&f, "id-1", LONG_USER, "/comment", "hers"), 0);
    CU_ASSERT_EQUAL(set(&f, "id-12", "", "/comment", "other"), 0);
    CU_ASSERT_EQUAL(set(&f, "", "", "/comment", "server"), 0);
    CU_ASSERT_EQUAL(annotation_get(f.list, "id-1", "", "/COMMENT", f.pool, &a), 0);
    CU_ASSERT_STRING_EQUAL(a.value, "one");
    CU_ASSERT_STRING_EQUAL(a.entry, "/comment");
    check(&f, "id-1", "", "", "/comment=one ");
    check(&f, "id-1", "fred", "", "/comment=his ");
    check(&f, "id-1", LONG_USER, "", "/comment=hers ");
    check(&f, "id-1", LONG_OTHER, "", "");
    check(&f, "id-1", "fre", "", "");
    check(&f, "", "", "", "/comment=server ");
    CU_ASSERT_EQUAL(set(&f, "id-1", "", "/comment", ""), 0);
    check(&f, "id-1", "", "", "/comment= ");
    CU_ASSERT_EQUAL(set(&f, "id-1", "", "/comment", NULL), 0);
    CU_ASSERT_EQUAL(set(&f, "id-1", "", "/comment", NULL), 0);
    check(&f, "id-1", "", "", "");
    fixture_close(&f);
}

static void test_below(void)
{
    static const char *const entries[] = {"/a", "/a/b", "/a/b/c", "/ab", "/b"};
    struct fixture f;

    fixture_open(&f);
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
        CU_ASSERT_EQUAL(set(&f, "id-1", "", entries[i], "x"), 0);
    check(&f, "id-1", "", "", "/a=x /a/b=x /a/b/c=x /ab=x /b=x ");
    check(&f, "id-1", "", "/A", "/a=x /a/b=x /a/b/c=x ");
    check(&f, "id-1", "", "/a/b", "/a/b=x /a/b/c=x ");
    check(&f, "id-1", "", "/c", "");
    fixture_close(&f);
}

static void test_bytes_and_bounds(void)
{
    char entry[ANNOTATION_ENTRY_MAX + 2], *value;
    struct mboxlist_txn *txn;
    struct annotation a;
    struct fixture f;

    fixture_open(&f);
    memset(entry, 'x', sizeof(entry));
    entry[0] = '/';
    entry[ANNOTATION_ENTRY_MAX + 1] = '\0';
    CU_ASSERT_EQUAL(set(&f, "id-1", LONG_USER, entry, "v"), ERR_TOOBIG);
    CU_ASSERT_EQUAL(annotation_get(f.list, "id-1", LONG_USER, entry, f.pool, &a), ERR_NOTFOUND);
    entry[ANNOTATION_ENTRY_MAX] = '\0';
    CU_ASSERT_EQUAL(set(&f, "id-1", LONG_USER, entry, "v"), 0);
    CU_ASSERT_EQUAL(annotation_get(f.list, "id-1", LONG_USER, entry, f.pool, &a), 0);
    CU_ASSERT_STRING_EQUAL(a.entry, entry);

    value = pool_alloc(f.pool, ANNOTATION_VALUE_MAX + 1);
    memset(value, 0, ANNOTATION_VALUE_MAX + 1);
    value[ANNOTATION_VALUE_MAX - 1] = 'z';
    CU_ASSERT_EQUAL(mboxlist_begin(f.list, &txn), 0);
    CU_ASSERT_EQUAL(annotation_txn_set(txn, "id-1", "", "/big", value, ANNOTATION_VALUE_MAX + 1), ERR_TOOBIG);
    CU_ASSERT_EQUAL(annotation_txn_set(txn, "id-1", "", "/big", value, ANNOTATION_VALUE_MAX), 0);
    CU_ASSERT_EQUAL(mboxlist_commit(&txn), 0);
    CU_ASSERT_EQUAL(annotation_get(f.list, "id-1", "", "/big", f.pool, &a), 0);
    CU_ASSERT_EQUAL(a.len, ANNOTATION_VALUE_MAX);
    CU_ASSERT_EQUAL(memcmp(a.value, value, a.len), 0);
    fixture_close(&f);
}

static void test_number(void)
{
    struct mboxlist_txn *txn;
    struct fixture f;
    char entry[32];

    fixture_open(&f);
    CU_ASSERT_EQUAL(mboxlist_begin(f.list, &txn), 0);
    for (int i = 0; i < ANNOTATIONS_MAX; i++) {
        snprintf(entry, sizeof(entry), "/e%d", i);
        CU_ASSERT_EQUAL(annotation_txn_set(txn, "id-1", "", entry, "v", 1), 0);
    }
    CU_ASSERT_EQUAL(mboxlist_commit(&txn), 0);
    CU_ASSERT_EQUAL(set(&f, "id-1", "", "/more", "v"), ERR_LIMIT);
    CU_ASSERT_EQUAL(set(&f, "id-1", "", "/e7", "changed"), 0);
    CU_ASSERT_EQUAL(set(&f, "id-1", "fred", "/more", "v"), 0);
    CU_ASSERT_EQUAL(set(&f, "id-2", "", "/more", "v"), 0);
    CU_ASSERT_EQUAL(set(&f, "id-1", "", "/e8", NULL), 0);
    CU_ASSERT_EQUAL(set(&f, "id-1", "", "/more", "v"), 0);
    fixture_close(&f);
}

/* A mailbox that goes takes everybody's along and nobody else's; a copy gets everybody's. */
static void test_mailboxes(void)
{
    struct mboxlist_txn *txn;
    struct fixture f;

    fixture_open(&f);
    set(&f, "id-1", "", "/comment", "s");
    set(&f, "id-1", "fred", "/comment", "f");
    set(&f, "id-1", LONG_USER, "/a", "l");
    set(&f, "id-12", "fred", "/comment", "other");
    set(&f, "", "", "/comment", "server");
    CU_ASSERT_EQUAL(mboxlist_begin(f.list, &txn), 0);
    CU_ASSERT_EQUAL(annotations_txn_copy(txn, "id-1", "id-2"), 0);
    CU_ASSERT_EQUAL(annotations_txn_drop(txn, "id-1"), 0);
    CU_ASSERT_EQUAL(annotations_txn_drop(txn, ""), 0);
    CU_ASSERT_EQUAL(mboxlist_commit(&txn), 0);
    check(&f, "id-1", "", "", "");
    check(&f, "id-1", "fred", "", "");
    check(&f, "id-1", LONG_USER, "", "");
    check(&f, "id-2", "", "", "/comment=s ");
    check(&f, "id-2", "fred", "", "/comment=f ");
    check(&f, "id-2", LONG_USER, "", "/a=l ");
    check(&f, "id-12", "fred", "", "/comment=other ");
    check(&f, "", "", "", "/comment=server ");
    CU_ASSERT_EQUAL(rows(&f), 5 + 3); /* and a row for each of the three users of a mailbox */
    fixture_close(&f);
}

static void rekey(struct fixture *f, const char *from, const char *to)
{
    struct mboxlist_txn *txn;

    CU_ASSERT_EQUAL_FATAL(mboxlist_begin(f->list, &txn), 0);
    CU_ASSERT_EQUAL(annotations_txn_rekey(txn, from, to), 0);
    CU_ASSERT_EQUAL(mboxlist_commit(&txn), 0);
}

static void test_users(void)
{
    static const char *const names[] = {"fred", LONG_USER, "bob", NULL};
    struct fixture f;

    fixture_open(&f);
    set(&f, "id-1", "", "/comment", "shared");
    set(&f, "id-1", "fred", "/comment", "1");
    set(&f, "id-2", "fred", "/comment", "2");
    set(&f, "", "fred", "/comment", "0");
    set(&f, "id-2", "freda", "/comment", "a");
    set(&f, "id-2", "bob", "/old", "left by another bob");
    for (size_t i = 1; names[i - 1] != NULL; i++) {
        check(&f, "id-1", names[i - 1], "", "/comment=1 ");
        check(&f, "id-2", names[i - 1], "", "/comment=2 ");
        check(&f, "", names[i - 1], "", "/comment=0 ");
        rekey(&f, names[i - 1], names[i]);
        check(&f, "id-1", names[i - 1], "", "");
        check(&f, "id-2", names[i - 1], "", "");
    }
    check(&f, "id-1", "", "", "/comment=shared ");
    check(&f, "id-2", "freda", "", "/comment=a ");
    CU_ASSERT_EQUAL(rows(&f), 3);
    fixture_close(&f);
}

/* The format, doc/formats/mailboxes.md. */
static void test_golden(void)
{
    static const char key[] = "mid-1\0fred\0/comment", user[] = "ufred\0id-1";
    static const char value[] = "\x01\0\0\0\0\0\0\0\x04\0\0\0fred\x02\0\0\0hi",
                      user_value[] = "\x01\0\0\0\0\0\0\0\x04\0\0\0fred\x04\0\0\0id-1";
    struct db_value got;
    struct db_txn *txn;
    struct fixture f;
    unsigned table;

    fixture_open(&f);
    table = db_table(f.list->env, "annotations");
    CU_ASSERT_EQUAL(set(&f, "id-1", "fred", "/comment", "hi"), 0);
    CU_ASSERT_EQUAL_FATAL(db_begin(f.list->env, false, &txn), 0);
    CU_ASSERT_EQUAL_FATAL(db_get(txn, table, key, sizeof(key) - 1, &got), 0);
    CU_ASSERT_TRUE(got.len == sizeof(value) - 1 && memcmp(got.data, value, got.len) == 0);
    CU_ASSERT_EQUAL_FATAL(db_get(txn, table, user, sizeof(user) - 1, &got), 0);
    CU_ASSERT_TRUE(got.len == sizeof(user_value) - 1 && memcmp(got.data, user_value, got.len) == 0);
    db_abort(&txn);
    fixture_close(&f);
}

/* What somebody has scribbled over is an error, whatever its length. */
static void test_damage(void)
{
    static const char key[] = "mid-1\0\0/comment";
    static const char value[] = "\x01\0\0\0\0\0\0\0\0\0\0\0\x02\0\0\0hi";
    struct annotation a;
    struct fixture f;

    fixture_open(&f);
    for (size_t len = 0; len < sizeof(value); len++) {
        struct db_txn *txn;

        CU_ASSERT_EQUAL_FATAL(db_begin(f.list->env, true, &txn), 0);
        CU_ASSERT_EQUAL(db_put(txn, db_table(f.list->env, "annotations"), key, sizeof(key) - 1, value, len),
                        0);
        CU_ASSERT_EQUAL(db_commit(&txn), 0);
        CU_ASSERT_EQUAL(annotation_get(f.list, "id-1", "", "/comment", f.pool, &a), len == sizeof(value) - 1
                                                                                        ? 0
                                                                                    : len == 0 ? ERR_VERSION
                                                                                               : ERR_CORRUPT);
    }
    fixture_close(&f);
}

static const struct unit_case cases[] = {
    {"set", test_set},
    {"below", test_below},
    {"bytes and bounds", test_bytes_and_bounds},
    {"number", test_number},
    {"users", test_users},
    {"mailboxes", test_mailboxes},
    {"golden value", test_golden},
    {"damage", test_damage},
    {NULL, NULL},
};

extern const struct unit_suite annotations_suite;
const struct unit_suite annotations_suite = {"annotations", cases};
