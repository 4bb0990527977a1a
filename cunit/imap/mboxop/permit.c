#include <string.h>

#include "cunit/imap/mboxop/fake.h"
#include "cunit/imap/mboxop/node.h"
#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

enum { FRED, BOB, ADMIN, PEOPLE };

static struct identity *people[PEOPLE];
static struct node node;

static void begin(void)
{
    static const char *const names[] = {"user.fred", "user.fred.a", "user.bob", "archive"};

    node_wipe();
    fake_reset();
    node_open(&node, false);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        CU_ASSERT_EQUAL_FATAL(node_create(&node, names[i]), 0);
    CU_ASSERT_EQUAL(node_run(mboxop_setacl(&node.env, "user.fred.a", "bob", ACL_ADD,
                                           ACL_LOOKUP | ACL_CREATE | ACL_DELETE_MBOX)),
                    0);
    people[FRED] = identity_new(&node_config, "fred");
    people[BOB] = identity_new(&node_config, "bob");
    people[ADMIN] = identity_new(&node_config, "cyrus");
}

static void finish(void)
{
    for (int i = 0; i < PEOPLE; i++)
        identity_free(&people[i]);
    node_close(&node);
}

static void test_create(void)
{
    static const struct {
        int who;
        const char *name;
        int result;
    } rows[] = {
        {FRED, "user.fred.new", 0},
        {FRED, "user.fred.a.b.c", 0},
        {FRED, "user.fred.a", ERR_EXISTS},
        {FRED, "user.fred.a..b", ERR_BADNAME},
        {FRED, "user.bob.x", ERR_DENIED},
        {FRED, "user.bob", ERR_DENIED}, /* he may not see it */
        {FRED, "archive.x", ERR_DENIED},
        {FRED, "archive", ERR_EXISTS},
        {FRED, "new", ERR_DENIED},
        {FRED, "user.zoe", ERR_DENIED},
        {BOB, "user.fred.a.b", 0},
        {BOB, "user.fred.b", ERR_DENIED},
        {ADMIN, "user.zoe", 0},
        {ADMIN, "new.x.y", 0},
        {ADMIN, "user.fred.b", 0},
    };

    begin();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        CU_ASSERT_EQUAL(mboxop_may_create(&node.env, people[rows[i].who], rows[i].name), rows[i].result);
    finish();
}

static void test_delete(void)
{
    static const struct {
        int who;
        const char *name;
        int result;
    } rows[] = {
        {FRED, "user.fred.a", 0},
        {FRED, "user.fred", ERR_DENIED},
        {FRED, "user.fred.x", ERR_NOTFOUND},
        {FRED, "user.bob", ERR_NOTFOUND},
        {FRED, "archive", ERR_DENIED},
        {BOB, "user.fred.a", 0},
        {ADMIN, "user.fred", ERR_DENIED},
        {ADMIN, "archive", ERR_DENIED},
    };

    begin();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        CU_ASSERT_EQUAL(mboxop_may_delete(&node.env, people[rows[i].who], rows[i].name), rows[i].result);
    CU_ASSERT_EQUAL(node_run(mboxop_setacl(&node.env, "user.fred", "cyrus", ACL_ADD, ACL_DELETE_MBOX)), 0);
    CU_ASSERT_EQUAL(mboxop_may_delete(&node.env, people[ADMIN], "user.fred"), 0);
    finish();
}

static void test_rename(void)
{
    static const struct {
        int who;
        const char *from, *to;
        int result;
    } rows[] = {
        {FRED, "user.fred.a", "user.fred.b", 0},      {FRED, "user.fred.a", "user.bob.b", ERR_DENIED},
        {FRED, "user.fred.a", "archive", ERR_EXISTS}, {FRED, "user.fred", "user.fred.old", 0},
        {FRED, "user.fred", "user.zoe", ERR_DENIED},  {FRED, "user.fred.x", "user.fred.y", ERR_NOTFOUND},
        {BOB, "user.fred.a", "user.bob.a", 0},        {BOB, "user.fred", "user.bob.a", ERR_NOTFOUND},
        {ADMIN, "user.fred", "user.zoe", 0},          {ADMIN, "user.fred.a", "user.bob", ERR_EXISTS},
    };

    begin();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        CU_ASSERT_EQUAL(mboxop_may_rename(&node.env, people[rows[i].who], rows[i].from, rows[i].to),
                        rows[i].result);
    finish();
}

static void test_setacl(void)
{
    static const struct {
        int who;
        const char *name, *identifier;
        rights_t rights;
        int result;
    } rows[] = {
        {FRED, "user.fred", "bob", ACL_READ, 0},
        {FRED, "user.fred", "anyone", ACL_READ, ERR_DENIED}, /* anyoneuseracl: no */
        {FRED, "user.fred", "anyone", 0, 0},
        {FRED, "archive", "bob", ACL_READ, ERR_DENIED},
        {FRED, "user.bob", "bob", ACL_READ, ERR_NOTFOUND},
        {BOB, "user.fred.a", "bob", ACL_READ, ERR_DENIED},
        {ADMIN, "user.fred", "anyone", ACL_READ, 0},
        {ADMIN, "nonesuch", "anyone", ACL_READ, ERR_NOTFOUND},
    };

    begin();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        CU_ASSERT_EQUAL(mboxop_may_setacl(&node.env, people[rows[i].who], rows[i].name, rows[i].identifier,
                                          rows[i].rights),
                        rows[i].result);
    finish();
}

static const struct unit_case cases[] = {
    {"create", test_create},
    {"delete", test_delete},
    {"rename", test_rename},
    {"setacl", test_setacl},
    {NULL, NULL},
};

extern const struct unit_suite permit_suite;
const struct unit_suite permit_suite = {"permission", cases};
