#include <stdio.h>
#include <string.h>

#include "cunit/lib/mboxlist/fixture.h"
#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

/* The value of version 1, as doc/formats/mailboxes.md shows it: it never changes. */
static const char golden[] = "0101400001000000" /* version, type, header's size, flags */
                             "0700000000000000" /* uidvalidity */
                             "0900000000000000" /* created modseq */
                             "0a00000000000000" /* folder modseq */
                             "0b00000000000000" /* mtime */
                             "000000000000000000000000000000000000000000000000"
                             "09000000757365722e66726564"       /* name */
                             "050000006162633132"               /* id */
                             "00000000"                         /* server */
                             "0700000064656661756c74"           /* partition */
                             "0c00000066726564096c727377697009" /* ACL */
                             "0b00000066726564095c53656e7409";  /* special use */

static void test_record_golden(void)
{
    const struct mboxlist_record record = {.name = "user.fred",
                                           .type = MBOXLIST_LOCAL,
                                           .flags = MBOXLIST_MOVING,
                                           .id = "abc12",
                                           .partition = "default",
                                           .acl = "fred\tlrswip\t",
                                           .special_use = "fred\t\\Sent\t",
                                           .uidvalidity = 7,
                                           .created_modseq = 9,
                                           .folder_modseq = 10,
                                           .mtime = 11};
    struct pool *pool = pool_new(0);
    struct mboxlist_record back;
    struct buf value = BUF_INIT;
    char hex[1024];

    mboxlist_record_encode(&record, &value);
    str_hex(hex, value.data, value.len);
    CU_ASSERT_STRING_EQUAL(hex, golden);
    CU_ASSERT_EQUAL(mboxlist_record_decode(value.data, value.len, pool, &back), 0);
    CU_ASSERT_STRING_EQUAL(back.name, "user.fred");
    CU_ASSERT_STRING_EQUAL(back.acl, record.acl);
    CU_ASSERT_STRING_EQUAL(back.server, "");
    CU_ASSERT_STRING_EQUAL(mboxlist_special_use(&back, "fred", pool), "\\Sent");
    CU_ASSERT_STRING_EQUAL(mboxlist_special_use(&back, "bob", pool), "");
    CU_ASSERT(back.type == MBOXLIST_LOCAL && back.flags == MBOXLIST_MOVING && back.uidvalidity == 7);
    CU_ASSERT(back.created_modseq == 9 && back.folder_modseq == 10 && back.mtime == 11);
    for (size_t n = 1; n < value.len; n++)
        CU_ASSERT_EQUAL(mboxlist_record_decode(value.data, n, pool, &back), ERR_CORRUPT);
    value.data[0] = 2;
    CU_ASSERT_EQUAL(mboxlist_record_decode(value.data, value.len, pool, &back), ERR_VERSION);
    buf_free(&value);
    pool_free(&pool);
}

static void test_record_check(void)
{
    static const struct {
        const char *name;
        int r;
    } rows[] = {
        {"user.fred", 0},
        {"user.fred.#sieve", 0},
        {"a!user.b", 0},
        {"user.R&AOk-", 0},
        {"user.a b", 0},
        {"", ERR_BADNAME},
        {".a", ERR_BADNAME},
        {"a.", ERR_BADNAME},
        {"a..b", ERR_BADNAME},
        {"a\tb", ERR_BADNAME},
        {"a\x1f"
         "b",
         ERR_BADNAME},
        {"\xc3\xa9", ERR_BADNAME},
    };
    struct mboxlist_record record = {.type = MBOXLIST_LOCAL};
    char name[MBOXLIST_NAME_MAX + 2];

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        record.name = rows[i].name;
        CU_ASSERT_EQUAL(mboxlist_record_check(&record), rows[i].r);
    }
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    record.name = name;
    CU_ASSERT_EQUAL(mboxlist_record_check(&record), ERR_BADNAME);
    record.name = name + 1;
    CU_ASSERT_EQUAL(mboxlist_record_check(&record), 0);
    record.id = name;
    CU_ASSERT_EQUAL(mboxlist_record_check(&record), ERR_TOOBIG);
    record = (struct mboxlist_record){.name = "a", .type = MBOXLIST_LOCAL, .server = "be\r\n1"};
    CU_ASSERT_EQUAL(mboxlist_record_check(&record), ERR_INVALID);
    record.server = "be1.lab:2143";
    CU_ASSERT_EQUAL(mboxlist_record_check(&record), 0);
    record.partition = "p\x7f";
    CU_ASSERT_EQUAL(mboxlist_record_check(&record), ERR_INVALID);
}

static void test_location(void)
{
    struct pool *pool = pool_new(0);
    struct mboxlist_record record = {.type = MBOXLIST_LOCAL, .partition = "p1", .server = ""};
    struct buf text = BUF_INIT;
    const char *server, *partition;

    mboxlist_record_location(&record, "me.lab:2143", &text);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&text), "me.lab:2143!p1");
    mboxlist_location_split(pool, buf_cstr(&text), &server, &partition);
    CU_ASSERT_STRING_EQUAL(server, "me.lab:2143");
    CU_ASSERT_STRING_EQUAL(partition, "p1");
    mboxlist_location_split(pool, "be1.lab", &server, &partition);
    CU_ASSERT_STRING_EQUAL(server, "be1.lab");
    CU_ASSERT_STRING_EQUAL(partition, "");
    buf_free(&text);
    pool_free(&pool);
}

static void test_put_lookup_delete(void)
{
    struct mboxlist_record record, twin = {.name = "user.bob", .type = MBOXLIST_LOCAL, .id = "id-user.fred"};
    struct mboxlist_txn *txn;
    struct fixture f;
    uint64_t count;

    fixture_open(&f);
    fixture_put(&f, "user.fred", "fred\tlrs\t");
    CU_ASSERT_EQUAL(mboxlist_lookup(f.list, "user.fred", f.pool, &record), 0);
    CU_ASSERT_STRING_EQUAL(record.partition, "default");
    CU_ASSERT_EQUAL(mboxlist_lookup_id(f.list, "id-user.fred", f.pool, &record), 0);
    CU_ASSERT_STRING_EQUAL(record.name, "user.fred");
    CU_ASSERT_EQUAL(mboxlist_lookup(f.list, "user.fre", f.pool, &record), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(mboxlist_lookup(f.list, "", f.pool, &record), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(mboxlist_lookup_id(f.list, "", f.pool, &record), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(mboxlist_has_children(f.list, "user.fred"), 0);
    fixture_put(&f, "user.fred-x", "");
    CU_ASSERT_EQUAL(mboxlist_has_children(f.list, "user.fred"), 0);
    fixture_put(&f, "user.fred.a.b", "");
    CU_ASSERT_EQUAL(mboxlist_has_children(f.list, "user.fred"), 1);

    CU_ASSERT_EQUAL(mboxlist_begin(f.list, &txn), 0);
    CU_ASSERT_EQUAL(mboxlist_txn_put(txn, &twin), ERR_EXISTS);
    CU_ASSERT_EQUAL(mboxlist_txn_delete(txn, "user.nobody", true), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(mboxlist_txn_delete(txn, "user.fred", true), 0);
    mboxlist_abort(&txn);
    CU_ASSERT_EQUAL(fixture_type(&f, "user.fred"), MBOXLIST_LOCAL);

    CU_ASSERT_EQUAL(mboxlist_begin(f.list, &txn), 0);
    CU_ASSERT_EQUAL(mboxlist_txn_delete(txn, "user.fred", true), 0);
    CU_ASSERT_EQUAL(mboxlist_txn_put(txn, &twin), 0);
    CU_ASSERT_EQUAL(mboxlist_commit(&txn), 0);
    CU_ASSERT_EQUAL(fixture_type(&f, "user.fred"), 0);
    CU_ASSERT_EQUAL(mboxlist_tombstone(f.list, "user.fred", f.pool, &record), 0);
    CU_ASSERT(record.uidvalidity == 7 && record.type == MBOXLIST_DELETED);
    CU_ASSERT_STRING_EQUAL(record.id, "id-user.fred");
    CU_ASSERT_EQUAL(mboxlist_count(f.list, &count), 0);
    CU_ASSERT_EQUAL(count, 3);
    CU_ASSERT_EQUAL(mboxlist_tombstones_expire(f.list, record.mtime), 0);
    CU_ASSERT_EQUAL(mboxlist_tombstones_expire(f.list, record.mtime + 1), 1);
    CU_ASSERT_EQUAL(mboxlist_tombstone(f.list, "user.fred", f.pool, &record), ERR_NOTFOUND);
    fixture_close(&f);
}

static void test_rename(void)
{
    static const char *const bob[] = {"bob", NULL};
    struct mboxlist_record record;
    struct mboxlist_txn *txn;
    struct fixture f;

    fixture_open(&f);
    fixture_put(&f, "user.fred.a", "fred\tlrs\tbob\tl\t");
    fixture_put(&f, "user.fred.b", "fred\tlrs\t");
    CU_ASSERT_EQUAL(mboxlist_begin(f.list, &txn), 0);
    CU_ASSERT_EQUAL(mboxlist_txn_rename(txn, "user.fred.a", "user.fred.b"), ERR_EXISTS);
    CU_ASSERT_EQUAL(mboxlist_txn_rename(txn, "user.fred.x", "user.fred.y"), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(mboxlist_txn_rename(txn, "user.fred.a", "shared"), 0);
    CU_ASSERT_EQUAL(mboxlist_commit(&txn), 0);
    CU_ASSERT_EQUAL(fixture_type(&f, "user.fred.a"), 0);
    CU_ASSERT_EQUAL(mboxlist_lookup_id(f.list, "id-user.fred.a", f.pool, &record), 0);
    CU_ASSERT_STRING_EQUAL(record.name, "shared");
    CU_ASSERT_EQUAL(mboxlist_tombstone(f.list, "user.fred.a", f.pool, &record), 0);
    CU_ASSERT_STRING_EQUAL(
        fixture_names(&f, mboxlist_iter_visible(f.list, NULL, NULL, bob, MBOXLIST_TYPES_ALL)), "shared");
    fixture_close(&f);
}

static void test_uidvalidity(void)
{
    static const struct {
        int64_t now;
        uint32_t want;
    } rows[] = {{100, 100}, {100, 101}, {90, 102}, {103, 103}, {500, 500}, {-1, 501}, {1LL << 40, 502}};
    struct mboxlist_txn *txn;
    struct fixture f;
    uint32_t v;

    fixture_open(&f);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CU_ASSERT_EQUAL(mboxlist_begin(f.list, &txn), 0);
        CU_ASSERT_EQUAL(mboxlist_txn_uidvalidity(txn, rows[i].now, &v), 0);
        CU_ASSERT_EQUAL(v, rows[i].want);
        CU_ASSERT_EQUAL(mboxlist_commit(&txn), 0);
    }
    fixture_close(&f);
}

static const struct unit_case cases[] = {
    {"record, golden", test_record_golden},
    {"record, bounds", test_record_check},
    {"location", test_location},
    {"put, lookup, delete", test_put_lookup_delete},
    {"rename", test_rename},
    {"uidvalidity", test_uidvalidity},
    {NULL, NULL},
};

extern const struct unit_suite list_suite;
const struct unit_suite list_suite = {"list", cases};
