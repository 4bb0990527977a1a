#include "lib/name/mboxname.h"

#include <string.h>

#include "cunit/lib/name/config.h"
#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static void test_check(void)
{
    static const struct {
        const char *name;
        int check, check_new;
    } rows[] = {
        {"user.fred", 0, 0},
        {"user.fred.Sent", 0, 0},
        {"user.john^doe.a b", 0, 0},
        {"example.com!user.fred", 0, 0},
        {"archive", 0, 0},
        {"user.fred.&ZeVnLIqe-", 0, 0},
        {"user.fred.x&-y", 0, 0},
        {"user.fred.INBOX.x", 0, 0},
        {"user.fred.INBOX", 0, ERR_BADNAME},
        {"user.fred.inbox.x", 0, ERR_BADNAME},
        {"user.inbox", 0, 0},
        {"INBOX", 0, ERR_BADNAME},
        {"inbox.x", 0, ERR_BADNAME},
        {"user", 0, ERR_BADNAME},
        {"DELETED.user.fred.6B01FFBC", 0, ERR_BADNAME},
        {"user.fred.a&b", 0, ERR_BADNAME},
        {"user.fred.&AGE-", 0, ERR_BADNAME},
        {"", ERR_BADNAME, ERR_BADNAME},
        {".a", ERR_BADNAME, ERR_BADNAME},
        {"a.", ERR_BADNAME, ERR_BADNAME},
        {"a..b", ERR_BADNAME, ERR_BADNAME},
        {"a/b", ERR_BADNAME, ERR_BADNAME},
        {"a*", ERR_BADNAME, ERR_BADNAME},
        {"a%", ERR_BADNAME, ERR_BADNAME},
        {"a\tb", ERR_BADNAME, ERR_BADNAME},
        {"a\x7f", ERR_BADNAME, ERR_BADNAME},
        {"caf\xc3\xa9", ERR_BADNAME, ERR_BADNAME},
        {"!user.fred", ERR_BADNAME, ERR_BADNAME},
        {"example.com!", ERR_BADNAME, ERR_BADNAME},
        {"Example.com!a", ERR_BADNAME, ERR_BADNAME},
        {"a!b!c", ERR_BADNAME, ERR_BADNAME},
    };
    const struct name_config config = TEST_CONFIG(.separator = '.');
    char name[MBOXNAME_MAX + 2];

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CU_ASSERT_EQUAL(mboxname_check(rows[i].name), rows[i].check);
        CU_ASSERT_EQUAL(mboxname_check_new(&config, rows[i].name), rows[i].check_new);
    }
    memset(name, 'a', sizeof(name));
    name[MBOXNAME_MAX + 1] = '\0';
    CU_ASSERT_EQUAL(mboxname_check(name), ERR_TOOBIG);
    name[MBOXNAME_MAX] = '\0';
    CU_ASSERT_EQUAL(mboxname_check(name), 0);
    CU_ASSERT_EQUAL(mboxname_check_new(&config, name), ERR_TOOBIG);
    name[MBOXNAME_MAX - 17] = '\0';
    CU_ASSERT_EQUAL(mboxname_check_new(&config, name), 0);
}

static void test_users(void)
{
    static const struct {
        enum opt_virtdomains virtdomains;
        const char *userid, *inbox, *owner; /* inbox NULL: ERR_BADNAME; owner: of what is below it */
    } rows[] = {
        {VIRTDOMAINS_OFF, "fred", "user.fred", "fred"},
        {VIRTDOMAINS_OFF, "john.doe", "user.john^doe", "john.doe"},
        {VIRTDOMAINS_OFF, "fred@example.com", "user.fred@example^com", "fred@example.com"},
        {VIRTDOMAINS_USERID, "fred@Example.com", "example.com!user.fred", "fred@example.com"},
        {VIRTDOMAINS_ON, "a@b@example.com", "example.com!user.a@b", "a@b@example.com"},
        {VIRTDOMAINS_ON, "fred@internal", "user.fred", "fred"},
        {VIRTDOMAINS_ON, "fred", "user.fred", "fred"},
        {VIRTDOMAINS_ON, "fred@", NULL, NULL},
        {VIRTDOMAINS_ON, "@example.com", NULL, NULL},
        {VIRTDOMAINS_ON, "fred@ex!ample", NULL, NULL},
        {VIRTDOMAINS_OFF, "", NULL, NULL},
        {VIRTDOMAINS_OFF, "a/b", NULL, NULL},
        {VIRTDOMAINS_OFF, "a^b", NULL, NULL},
        {VIRTDOMAINS_OFF, "a!b", NULL, NULL},
        {VIRTDOMAINS_OFF, "a%", NULL, NULL},
        {VIRTDOMAINS_OFF, "a\n", NULL, NULL},
    };
    struct buf name = BUF_INIT, owner = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct name_config config = TEST_CONFIG(.virtdomains = rows[i].virtdomains);

        buf_reset(&name);
        buf_reset(&owner);
        CU_ASSERT_EQUAL(mboxname_inbox(&config, rows[i].userid, &name),
                        rows[i].inbox != NULL ? 0 : ERR_BADNAME);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&name), rows[i].inbox != NULL ? rows[i].inbox : "");
        if (rows[i].inbox == NULL)
            continue;
        CU_ASSERT(mboxname_is_inbox(name.data));
        buf_puts(&name, ".a.b");
        CU_ASSERT(!mboxname_is_inbox(name.data) && mboxname_is_user(name.data));
        CU_ASSERT(mboxname_owner(&config, name.data, &owner));
        CU_ASSERT_STRING_EQUAL(buf_cstr(&owner), rows[i].owner);
        CU_ASSERT(mboxname_is_owner(&config, name.data, rows[i].owner));
        CU_ASSERT(!mboxname_is_owner(&config, name.data, "frediie"));
    }
    buf_free(&name);
    buf_free(&owner);
}

static void test_no_owner(void)
{
    static const char *const rows[] = {"archive", "user", "userx.fred", "d.org!archive.user.fred", "DELETED"};
    const struct name_config config = TEST_CONFIG(.separator = '.');
    struct buf owner = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CU_ASSERT(!mboxname_owner(&config, rows[i], &owner));
        CU_ASSERT_EQUAL(owner.len, 0);
        CU_ASSERT(!mboxname_is_user(rows[i]));
    }
    buf_free(&owner);
}

static void test_tree(void)
{
    static const char *const parents[][2] = {{"a.b.c", "a.b"},        {"a", NULL},
                                             {"user.fred", NULL},     {"user.fred.x", "user.fred"},
                                             {"d.org!a", NULL},       {"d.org!user.fred", NULL},
                                             {"d.org!a.b", "d.org!a"}};
    struct buf b = BUF_INIT;
    char name[MBOXNAME_MAX + 1];

    for (size_t i = 0; i < ARRAY_SIZE(parents); i++) {
        buf_reset(&b);
        CU_ASSERT_EQUAL(mboxname_parent(parents[i][0], &b), parents[i][1] != NULL);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), parents[i][1] != NULL ? parents[i][1] : "");
    }
    CU_ASSERT(mboxname_is_below("a.b", "a") && !mboxname_is_below("a", "a") &&
              !mboxname_is_below("ab.c", "a"));
    buf_reset(&b);
    CU_ASSERT_EQUAL(mboxname_rebase("user.fred.a.b", "user.fred", "d.org!user.al", &b), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "d.org!user.al.a.b");
    memset(name, 'x', sizeof(name));
    name[MBOXNAME_MAX] = '\0';
    buf_reset(&b);
    CU_ASSERT_EQUAL(mboxname_rebase("a.b", "a", name, &b), ERR_TOOBIG);
    CU_ASSERT_EQUAL(b.len, 0);
    buf_free(&b);
}

static void test_deleted(void)
{
    static const struct {
        const char *name, *deleted;
        int64_t when;
    } rows[] = {
        {"user.user1.new", "DELETED.user.user1.new.6B01FFBD", 0x6b01ffbd},
        {"d.org!user.al", "d.org!DELETED.user.al.00000001", 1},
        {"a", "DELETED.a.123456789", 0x123456789},
    };
    static const char *const bad[] = {"user.fred.6B01FFBD", "DELETED.6B01FFBD", "DELETED.a.6b01ffbd",
                                      "DELETED.a.1",        "DELETED",          "DELETED."};
    const struct name_config config = TEST_CONFIG(.separator = '.');
    struct buf b = BUF_INIT;
    int64_t when;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        buf_reset(&b);
        CU_ASSERT_EQUAL(mboxname_to_deleted(&config, rows[i].name, rows[i].when, &b), 0);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].deleted);
        buf_reset(&b);
        CU_ASSERT(mboxname_is_deleted(&config, rows[i].deleted));
        CU_ASSERT(!mboxname_is_deleted(&config, rows[i].name));
        CU_ASSERT(mboxname_from_deleted(&config, rows[i].deleted, &b, &when));
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].name);
        CU_ASSERT_EQUAL(when, rows[i].when);
    }
    buf_reset(&b);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        CU_ASSERT(!mboxname_from_deleted(&config, bad[i], &b, &when));
    CU_ASSERT(mboxname_owner(&config, "d.org!DELETED.user.al.x.6B01FFBD", &b));
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "al@d.org");
    buf_free(&b);
}

static const struct unit_case cases[] = {
    {"validity", test_check}, {"users", test_users},     {"no owner", test_no_owner},
    {"the tree", test_tree},  {"DELETED", test_deleted}, {NULL, NULL},
};

extern const struct unit_suite mboxname_suite;
const struct unit_suite mboxname_suite = {"mboxname", cases};
