/* beside.c: subscriptions, quota, intents: what stands beside the names. */
#include <stdio.h>
#include <string.h>

#include "cunit/lib/mboxlist/fixture.h"
#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/db/db.h"
#include "lib/base/str.h"
#include "lib/mboxlist/intent.h"
#include "lib/mboxlist/mboxlist-private.h"
#include "lib/mboxlist/quota.h"
#include "lib/mboxlist/subs.h"

static int collect(const char *name, void *context)
{
    buf_printf(context, "%s ", name);
    return 0;
}

static void check_subs(struct fixture *f, const char *userid, const char *prefix, const char *want)
{
    struct buf names = BUF_INIT;

    CU_ASSERT_EQUAL(mboxlist_subs_each(f->list, userid, prefix, collect, &names), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&names), want);
    buf_free(&names);
}

/* Puts `n` subscriptions of a user in at once. */
static void subscribe_much(struct fixture *f, const char *userid, int n)
{
    struct db_env *env = f->list->env;
    unsigned table = db_table(env, "subscriptions");
    struct db_txn *txn;

    CU_ASSERT_EQUAL_FATAL(db_begin(env, true, &txn), 0);
    for (int i = 0; i < n; i++) {
        struct buf key = BUF_INIT;

        key_owner(&key, userid);
        buf_printf(&key, "x%d", i);
        CU_ASSERT_EQUAL(db_put(txn, table, key.data, key.len, "", 0), 0);
        buf_free(&key);
    }
    CU_ASSERT_EQUAL(db_commit(&txn), 0);
}

static void test_number_of_subscriptions(void)
{
    struct fixture f;

    fixture_open(&f);
    subscribe_much(&f, "fred", MBOXLIST_SUBS_MAX - 1);
    CU_ASSERT_EQUAL(mboxlist_subscribe(f.list, "fred", "last", true), 0);
    CU_ASSERT_EQUAL(mboxlist_subscribe(f.list, "fred", "more", true), ERR_LIMIT);
    CU_ASSERT_EQUAL(mboxlist_subscribe(f.list, "fred", "last", true), 0);
    CU_ASSERT_EQUAL(mboxlist_subscribe(f.list, "freda", "more", true), 0);
    CU_ASSERT_EQUAL(mboxlist_subscribe(f.list, "fred", "x1", false), 0);
    CU_ASSERT_EQUAL(mboxlist_subscribe(f.list, "fred", "more", true), 0);
    fixture_close(&f);
}

static void test_subscriptions(void)
{
    static const char *const names[] = {"user.fred", "user.fred.Sent", "user.fred-x", "archive.y"};
    struct mboxlist_txn *txn;
    struct fixture f;

    fixture_open(&f);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        for (unsigned twice = 0; twice < 2; twice++)
            CU_ASSERT_EQUAL(mboxlist_subscribe(f.list, "fred", names[i], true), 0);
    CU_ASSERT_EQUAL(mboxlist_subscribe(f.list, "freda", "z", true), 0);
    CU_ASSERT_EQUAL(mboxlist_subscribe(f.list, "fred", "", true), ERR_BADNAME);
    check_subs(&f, "fred", NULL, "archive.y user.fred user.fred.Sent user.fred-x ");
    check_subs(&f, "fred", "user.fred.", "user.fred.Sent ");
    CU_ASSERT_EQUAL(mboxlist_subscribed(f.list, "fred", "user.fred"), 1);
    CU_ASSERT_EQUAL(mboxlist_subscribed(f.list, "fre", "user.fred"), 0);
    CU_ASSERT_EQUAL(mboxlist_subscribe(f.list, "fred", "archive.y", false), 0);
    CU_ASSERT_EQUAL(mboxlist_subscribe(f.list, "fred", "archive.y", false), 0);

    CU_ASSERT_EQUAL(mboxlist_begin(f.list, &txn), 0);
    CU_ASSERT_EQUAL(mboxlist_txn_subs_rekey(txn, "fred", "bob"), 0);
    CU_ASSERT_EQUAL(mboxlist_txn_subs_rename(txn, "bob", "user.fred", "user.bob"), 0);
    CU_ASSERT_EQUAL(mboxlist_commit(&txn), 0);
    check_subs(&f, "fred", NULL, "");
    check_subs(&f, "bob", NULL, "user.bob user.bob.Sent user.fred-x ");
    CU_ASSERT_EQUAL(mboxlist_begin(f.list, &txn), 0);
    CU_ASSERT_EQUAL(mboxlist_txn_subs_rekey(txn, "bob", NULL), 0);
    CU_ASSERT_EQUAL(mboxlist_commit(&txn), 0);
    check_subs(&f, "bob", NULL, "");
    check_subs(&f, "freda", NULL, "z ");
    fixture_close(&f);
}

static const struct quota_limits limits = {{1000, QUOTA_UNLIMITED, QUOTA_UNLIMITED, 5}};

static int collect_root(const char *root, const struct quota_limits *l, void *context)
{
    CU_ASSERT_EQUAL(memcmp(l, &limits, sizeof(limits)), 0);
    buf_printf(context, "%s ", root);
    return 0;
}

static void test_roots(void)
{
    static const struct {
        const char *name, *root; /* NULL: none */
    } rows[] = {
        {"user.fred", "user.fred"},
        {"user.fred.a.b", "user.fred"},
        {"user.fred-x", NULL},
        {"user.fred.big.c", "user.fred.big"},
        {"user", NULL},
        {"d.org!user.x", "d.org!"},
        {"d.org!user.x.y", "d.org!"},
        {"e.org!user.x", NULL},
        {"", NULL},
    };
    struct quota_limits got;
    struct buf root = BUF_INIT;
    struct mboxlist_txn *txn;
    struct fixture f;

    fixture_open(&f);
    CU_ASSERT_EQUAL(quota_limits_set(f.list, "user.fred", &limits), 0);
    CU_ASSERT_EQUAL(quota_limits_set(f.list, "user.fred.big", &limits), 0);
    CU_ASSERT_EQUAL(quota_limits_set(f.list, "d.org!", &limits), 0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        buf_reset(&root);
        CU_ASSERT_EQUAL(quota_root_of(f.list, rows[i].name, &root), rows[i].root != NULL ? 0 : ERR_NOTFOUND);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&root), rows[i].root != NULL ? rows[i].root : "");
    }
    CU_ASSERT_EQUAL(quota_limits_get(f.list, "user.fred", &got), 0);
    CU_ASSERT_EQUAL(memcmp(&got, &limits, sizeof(got)), 0);
    CU_ASSERT_EQUAL(quota_limits_get(f.list, "user.fred.a", &got), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(mboxlist_begin(f.list, &txn), 0);
    CU_ASSERT_EQUAL(quota_txn_roots_rename(txn, "user.fred", "user.bob"), 0);
    CU_ASSERT_EQUAL(mboxlist_commit(&txn), 0);
    CU_ASSERT_EQUAL(quota_root_delete(f.list, "d.org!"), 0);
    CU_ASSERT_EQUAL(quota_root_delete(f.list, "d.org!"), ERR_NOTFOUND);
    buf_reset(&root);
    CU_ASSERT_EQUAL(quota_roots_each(f.list, NULL, collect_root, &root), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&root), "user.bob user.bob.big ");
    buf_free(&root);
    fixture_close(&f);
}

static int64_t used(struct db_env *env, const char *root)
{
    struct quota_usage usage;

    CU_ASSERT_EQUAL(quota_usage_get(env, root, &usage), 0);
    return usage.used[QUOTA_STORAGE];
}

static void test_usage(void)
{
    const struct quota_usage ten = {{10, 1, 0, 1}}, four = {{4, 1, 0, 1}};
    struct db_env *env, *again;
    struct fixture f;
    char boot[128];
    bool complete;

    fixture_open(&f);
    CU_ASSERT_EQUAL_FATAL(volatile_open(f.dir, &env, NULL), 0);
    CU_ASSERT_EQUAL(quota_usage_complete(env, &complete), 0);
    CU_ASSERT_FALSE(complete);
    CU_ASSERT_EQUAL(quota_usage_set_complete(env), 0);
    for (unsigned twice = 0; twice < 2; twice++) { /* repeating is harmless */
        CU_ASSERT_EQUAL(quota_usage_set(env, "m1", "user.fred", &ten), 0);
        CU_ASSERT_EQUAL(quota_usage_set(env, "m2", "user.fred", &four), 0);
    }
    CU_ASSERT_EQUAL(used(env, "user.fred"), 14);
    CU_ASSERT_EQUAL(quota_usage_set(env, "m2", "user.bob", &four), 0); /* leaves the old root */
    CU_ASSERT(used(env, "user.fred") == 10 && used(env, "user.bob") == 4);
    CU_ASSERT_EQUAL(quota_usage_set(env, "m2", "", &four), 0);
    CU_ASSERT_EQUAL(used(env, "user.bob"), 0);
    CU_ASSERT_EQUAL(quota_usage_recompute(env), 0);
    CU_ASSERT_EQUAL(quota_usage_drop(env, "m1"), 0);
    CU_ASSERT_EQUAL(quota_usage_drop(env, "m1"), 0);
    CU_ASSERT_EQUAL(used(env, "user.fred"), 0);
    CU_ASSERT_EQUAL(quota_usage_set(env, "m1", "user.fred", &ten), 0);
    CU_ASSERT_EQUAL(volatile_open(f.dir, &again, NULL), 0);
    CU_ASSERT_PTR_EQUAL(env, again);
    db_close(&again);
    db_close(&env);

    CU_ASSERT_EQUAL_FATAL(volatile_open(f.dir, &env, NULL), 0); /* the same boot: kept */
    CU_ASSERT_EQUAL(used(env, "user.fred"), 10);
    CU_ASSERT_EQUAL(quota_usage_complete(env, &complete), 0);
    CU_ASSERT_TRUE(complete);
    db_close(&env);
    snprintf(boot, sizeof(boot), "%s/volatile/boot-id", f.dir);
    CU_ASSERT_EQUAL(file_replace(boot, "another boot\n", 13, 0600), 0);
    CU_ASSERT_EQUAL_FATAL(volatile_open(f.dir, &env, NULL), 0);
    CU_ASSERT_EQUAL(used(env, "user.fred"), 0);
    CU_ASSERT_EQUAL(quota_usage_complete(env, &complete), 0);
    CU_ASSERT_FALSE(complete);
    db_close(&env);
    fixture_close(&f);
}

/* A sum that a bug made wrong is found. */
static void test_recompute(void)
{
    const struct quota_usage ten = {{10, 1, 0, 1}};
    struct db_value value;
    struct db_txn *txn;
    struct db_env *env;
    struct fixture f;
    char copy[256];

    fixture_open(&f);
    CU_ASSERT_EQUAL_FATAL(volatile_open(f.dir, &env, NULL), 0);
    CU_ASSERT_EQUAL(quota_usage_set(env, "m1", "r", &ten), 0);
    CU_ASSERT_EQUAL(db_begin(env, true, &txn), 0);
    CU_ASSERT_EQUAL_FATAL(db_get(txn, db_table(env, "usage"), "rr", 2, &value), 0);
    CU_ASSERT_FATAL(value.len < sizeof(copy));
    memcpy(copy, value.data, value.len);
    copy[8] = 99;
    CU_ASSERT_EQUAL(db_put(txn, db_table(env, "usage"), "rr", 2, copy, value.len), 0);
    CU_ASSERT_EQUAL(db_commit(&txn), 0);
    CU_ASSERT_EQUAL(used(env, "r"), 99);
    CU_ASSERT_EQUAL(quota_usage_recompute(env), 1);
    CU_ASSERT_EQUAL(used(env, "r"), 10);
    db_close(&env);
    fixture_close(&f);
}

static int collect_intent(const struct intent *intent, void *context)
{
    buf_printf(context, "%d:%s:%u ", intent->operation, intent->name, intent->phase);
    return 0;
}

static void test_intents(void)
{
    struct intent create = {.operation = INTENT_CREATE, .name = "user.a", .id = "x"},
                  rename = {.operation = INTENT_RENAME, .name = "user.b", .new_name = "user.c", .acl = "old"},
                  found;
    struct buf all = BUF_INIT;
    struct mboxlist_txn *txn;
    struct fixture f;

    fixture_open(&f);
    CU_ASSERT_EQUAL(intent_add(f.list, &create), 0);
    CU_ASSERT_EQUAL(intent_add(f.list, &rename), 0);
    CU_ASSERT(create.number > 0 && rename.number > create.number && rename.time > 0);
    CU_ASSERT_EQUAL(intent_find(f.list, "user.c", f.pool, &found), 0);
    CU_ASSERT_STRING_EQUAL(found.acl, "old");
    CU_ASSERT_STRING_EQUAL(found.location, "");
    CU_ASSERT_EQUAL(intent_find(f.list, "user.d", f.pool, &found), ERR_NOTFOUND);
    rename.phase = 3;
    CU_ASSERT_EQUAL(mboxlist_begin(f.list, &txn), 0);
    CU_ASSERT_EQUAL(intent_txn_update(txn, &rename), 0);
    CU_ASSERT_EQUAL(mboxlist_commit(&txn), 0);
    CU_ASSERT_EQUAL(intent_each(f.list, collect_intent, &all), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&all), "1:user.a:0 3:user.b:3 ");
    CU_ASSERT_EQUAL(intent_remove(f.list, rename.number), 0);
    CU_ASSERT_EQUAL(intent_remove(f.list, rename.number), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(mboxlist_begin(f.list, &txn), 0);
    CU_ASSERT_EQUAL(intent_txn_update(txn, &rename), ERR_NOTFOUND);
    mboxlist_abort(&txn);
    CU_ASSERT_EQUAL(intent_add(f.list, &found), 0);
    CU_ASSERT(found.number > rename.number); /* numbers are never used again */
    buf_free(&all);
    fixture_close(&f);
}

/* Appends "key value\n" in hexadecimal. */
static int show(const struct db_value *key, const struct db_value *value, void *context)
{
    char hex[1024];

    str_hex(hex, key->data, key->len);
    buf_printf(context, "%s ", hex);
    str_hex(hex, value->data, value->len);
    buf_printf(context, "%s\n", hex);
    return 0;
}

/* The rows of version 1, as doc/formats/mailboxes.md shows them: they never change. */
static void test_golden(void)
{
    static const char *const golden =
        "6672656400757365721f62 01000000000000000400000066726564\n"
        "757365721f66726564 01000000000000000004000000000000ffffffffffffffff0500000000000"
        "0000600000000000000fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
        "fff000000000000000000000000000000000000000000000000\n"
        "0000000000000001 010302000000000001000000000000000b00000000000000000000000000000"
        "006000000757365722e6206000000757365722e630200000078310b0000006265312164656661756"
        "c740500000062096c7209\n"
        "696e74656e74 0100000000000000\n"
        "6a6f75726e616c 0100000000000000\n";
    static const enum mboxlist_table tables[] = {TABLE_SUBSCRIPTIONS, TABLE_QUOTA, TABLE_INTENTS, TABLE_META};
    const struct quota_limits quota = {{1024, QUOTA_UNLIMITED, 5, 6}};
    struct intent intent = {.operation = INTENT_RENAME,
                            .phase = 2,
                            .name = "user.b",
                            .new_name = "user.c",
                            .id = "x1",
                            .location = "be1!default",
                            .acl = "b\tlr\t"};
    struct buf rows = BUF_INIT;
    struct mboxlist_txn *txn;
    struct fixture f;

    fixture_open(&f);
    CU_ASSERT_EQUAL(mboxlist_subscribe(f.list, "fred", "user.b", true), 0);
    CU_ASSERT_EQUAL(quota_limits_set(f.list, "user.fred", &quota), 0);
    CU_ASSERT_EQUAL(intent_add(f.list, &intent), 0);
    intent.time = 11;
    CU_ASSERT_EQUAL(mboxlist_begin(f.list, &txn), 0);
    CU_ASSERT_EQUAL(intent_txn_update(txn, &intent), 0);
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
        CU_ASSERT_EQUAL(db_scan(txn->db, f.list->tables[tables[i]], NULL, 0, NULL, 0, show, &rows), 0);
    CU_ASSERT_EQUAL(mboxlist_commit(&txn), 0);
    if (strcmp(buf_cstr(&rows), golden) != 0)
        printf("\n%s", buf_cstr(&rows));
    CU_ASSERT_STRING_EQUAL(buf_cstr(&rows), golden);
    buf_free(&rows);
    fixture_close(&f);
}

static void test_seen_env(void)
{
    struct db_env *env;
    struct fixture f;

    fixture_open(&f);
    CU_ASSERT_EQUAL_FATAL(seen_open(f.dir, &env, NULL), 0);
    CU_ASSERT_EQUAL(db_table(env, "seen"), 0);
    db_close(&env);
    fixture_close(&f);
}

static const struct unit_case cases[] = {
    {"subscriptions", test_subscriptions},
    {"number of subscriptions", test_number_of_subscriptions},
    {"quota roots", test_roots},
    {"usage", test_usage},
    {"recompute", test_recompute},
    {"intents", test_intents},
    {"golden", test_golden},
    {"seen", test_seen_env},
    {NULL, NULL},
};

extern const struct unit_suite beside_suite;
const struct unit_suite beside_suite = {"beside the names", cases};
