#include "lib/name/acl.h"

#include <string.h>

#include "cunit/lib/name/config.h"
#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static char *const no_groups[] = {NULL};
static char *const staff[] = {(char *)"staff", (char *)"users", NULL};

#define WHO(id, ...)                                                                                         \
    (&(const struct identity){.userid = (char *)(id), .groups = (char **)no_groups, __VA_ARGS__})

static void test_rights(void)
{
    static const struct {
        bool delete_is_d;
        const char *text, *written; /* NULL: a syntax error */
    } rows[] = {
        {false, "lrswipkxtecdan", "lrswipkxtecdan"},
        {false, "", ""},
        {false, "x", "xc"},
        {false, "k", "kc"},
        {false, "c", "kxc"},
        {false, "d", "ted"},
        {false, "e", "ed"},
        {false, "lrswipkxte", "lrswipkxtecd"},
        {false, "al", "la"},
        {false, "ll", "l"},
        {false, "0lr9", "lr09"},
        {true, "x", "xd"},
        {true, "c", "kc"},
        {true, "d", "xted"},
        {false, "z", NULL},
        {false, "L", NULL},
        {false, "l r", NULL},
    };
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct name_config config = TEST_CONFIG(.delete_is_d = rows[i].delete_is_d);
        rights_t rights;

        CU_ASSERT_EQUAL(acl_parse_rights(&config, rows[i].text, &rights),
                        rows[i].written != NULL ? 0 : ERR_SYNTAX);
        if (rows[i].written == NULL)
            continue;
        buf_reset(&b);
        acl_format_rights(&config, rights, &b);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].written);
    }
    buf_free(&b);
}

static void test_evaluate(void)
{
    static const char acl[] =
        "fred\tlrswipkxtecdan\tanyone\tlr\tgroup:staff\tlrsp\t-bob\tp\t-group:users\tr\t"
        "anonymous\tp\tola\tcd\txavi\txc\t";
    const struct name_config config = TEST_CONFIG(.separator = '.');
    const struct {
        const struct identity *who;
        const char *rights;
    } rows[] = {
        {WHO("fred"), "lrswipkxtecdan"},
        {WHO("eve"), "lr"},
        {WHO("anonymous", .is_anonymous = true), "lrp"},
        {WHO("zoe", .groups = (char **)staff, .group_count = 1), "lrsp"},
        {WHO("zoe", .groups = (char **)staff, .group_count = 2), "lsp"},
        {WHO("bob", .groups = (char **)staff, .group_count = 1), "lrs"},
        {WHO("ola"), "lrkxtecd"}, /* older than RFC 4314: the virtual rights alone */
        {WHO("xavi"), "lrxc"},    /* c was written for x: no k */
        {WHO("staff"), "lr"},
    };
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        buf_reset(&b);
        acl_format_rights(&config, acl_rights(&config, acl, rows[i].who), &b);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].rights);
    }
    buf_free(&b);
}

static void test_implicit(void)
{
    const struct name_config config = TEST_CONFIG(.separator = '.');
    const struct {
        const struct identity *who;
        const char *acl, *mailbox, *rights;
    } rows[] = {
        {WHO("fred"), "", "user.fred.x", "lkxcan"},
        {WHO("fred"), "-fred\tlan\t", "user.fred", "lkxcan"},
        {WHO("fred"), "fred\tr\t", "user.fred", "lrkxcan"},
        {WHO("fred"), "", "user.bob", ""},
        {WHO("fred"), "", "archive", ""},
        {WHO("fred"), NULL, "user.fred", "lkxcan"},
        {WHO("cyrus", .is_admin = true), "", "user.fred", "la"},
        {WHO("cyrus", .is_admin = true), NULL, "archive", "la"},
        {WHO("cyrus", .is_admin = true), "cyrus\txc\t", "user.fred", "lxca"},
        {WHO("anonymous", .is_anonymous = true), "", "user.anonymous", ""},
    };
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        buf_reset(&b);
        acl_format_rights(&config, identity_rights(&config, rows[i].acl, rows[i].who, rows[i].mailbox), &b);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].rights);
    }
    buf_free(&b);
}

static void test_edit(void)
{
    static const struct {
        const char *acl, *identifier, *edit, *result;
    } rows[] = {
        {"", "fred", "lrs", "fred\tlrs\t"},
        {"fred\tlrs\t", "fred", "+w", "fred\tlrsw\t"},
        {"fred\tlrs\t", "fred", "-rs", "fred\tl\t"},
        {"fred\tlrs\tbob\tl\t", "fred", "", "bob\tl\t"},
        {"fred\tlrs\tbob\tl\t", "fred", "-lrs", "bob\tl\t"},
        {"fred\tlrs\tbob\tl\t", "bob", "x", "fred\tlrs\tbob\txc\t"},
        {"fred\txc\t", "fred", "+l", "fred\tlxc\t"},
        {"fred\tlrsd\t", "fred", "-e", "fred\tlrstd\t"},
        {"fred\tl\tfred\tr\t", "fred", "+s", "fred\tls\t"},
        {"fred\tlrs\t", "-fred", "s", "fred\tlrs\t-fred\ts\t"},
        {"fred\tlrs\t", "zoe", "", "fred\tlrs\t"},
        {"fred\tlrs", "zoe", "l", "fred\tlrs\tzoe\tl\t"},
        {"fred\tlrs\t", "anyone", "+lr", "fred\tlrs\tanyone\tlr\t"},
    };
    const struct name_config config = TEST_CONFIG(.separator = '.');
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        enum acl_edit edit;
        rights_t rights;

        CU_ASSERT_EQUAL(acl_parse_edit(&config, rows[i].edit, &edit, &rights), 0);
        buf_reset(&b);
        CU_ASSERT_EQUAL(acl_set(&config, rows[i].acl, rows[i].identifier, edit, rights, &b), 0);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].result);
        CU_ASSERT_EQUAL(acl_check(&config, buf_cstr(&b)), 0);
    }
    buf_free(&b);
}

static void test_bad(void)
{
    static const char *const identifiers[] = {"", "-", "a\tb", "a\nb", "\xff", "a\x7f"};
    static const char *const lists[] = {"fred", "\tlr\t", "fred\tlz\t", "fred\tlr\tbob"};
    const struct name_config config = TEST_CONFIG(.separator = '.');
    struct buf b = BUF_INIT, big = BUF_INIT;
    enum acl_edit edit;
    rights_t rights;

    for (size_t i = 0; i < ARRAY_SIZE(identifiers); i++)
        CU_ASSERT_EQUAL(acl_set(&config, "", identifiers[i], ACL_ADD, ACL_READ, &b), ERR_INVALID);
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        CU_ASSERT_EQUAL(acl_check(&config, lists[i]), ERR_SYNTAX);
    CU_ASSERT_EQUAL(acl_parse_edit(&config, "+q", &edit, &rights), ERR_SYNTAX);
    while (big.len <= ACL_MAX - 10)
        buf_printf(&big, "u%zu\tlrs\t", big.len);
    CU_ASSERT_EQUAL(acl_check(&config, big.data), 0);
    CU_ASSERT_EQUAL(acl_set(&config, big.data, "another-one", ACL_ADD, ACL_READ, &b), ERR_TOOBIG);
    CU_ASSERT_EQUAL(b.len, 0);
    buf_free(&b);
    buf_free(&big);
}

static void test_listrights(void)
{
    static const struct {
        const char *mailbox, *identifier, *text;
    } rows[] = {
        /* as Cyrus 3.6 answers */
        {"user.user1.newer", "user2", "\"\" l r s w i p k x t e c d a n 0 1 2 3 4 5 6 7 8 9"},
        {"user.user1.newer", "user1", "lkxcan r s w i p t e d 0 1 2 3 4 5 6 7 8 9"},
        {"archive", "user1", "\"\" l r s w i p k x t e c d a n 0 1 2 3 4 5 6 7 8 9"},
    };
    const struct name_config config = TEST_CONFIG(.separator = '.');
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        buf_reset(&b);
        acl_listrights(&config, rows[i].mailbox, rows[i].identifier, &b);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].text);
    }
    buf_free(&b);
}

static void test_new(void)
{
    static const struct {
        const char *mailbox, *ancestor, *acl;
    } rows[] = {
        {"user.fred", NULL, "fred\tlrswipkxtecdan\t"},
        {"user.j^d", "anyone\tlrs\t", "j.d\tlrswipkxtecdan\t"},
        {"user.fred.x", "fred\tlr\tbob\tl\t", "fred\tlr\tbob\tl\t"},
        {"user.fred.x", "", ""},
        {"user.fred.x", NULL, "fred\tlrswipkxtecdan\t"},
        {"d.org!user.al", NULL, "al@d.org\tlrswipkxtecdan\t"},
        {"archive", NULL, "anyone\tlrs\tgroup:staff\tlrsp\t"},
        {"archive.x", "bob\tl\t", "bob\tl\t"},
    };
    const struct name_config config = TEST_CONFIG(.defaultacl = "anyone lrs group:staff lrsp  odd");
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        buf_reset(&b);
        acl_for_new(&config, rows[i].mailbox, rows[i].ancestor, &b);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].acl);
    }
    buf_free(&b);
}

static bool note(const char *identifier, const char *rights, void *context)
{
    buf_printf(context, "%s=%s;", identifier, rights);
    return strcmp(identifier, "c") != 0;
}

static void test_each(void)
{
    struct buf b = BUF_INIT;

    acl_each("a\tl\tb\t\tc\tlr\td\tx\t", note, &b);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "a=l;b=;c=lr;");
    buf_free(&b);
}

static const struct unit_case cases[] = {
    {"rights", test_rights},     {"evaluate", test_evaluate}, {"implicit rights", test_implicit},
    {"edit", test_edit},         {"refused", test_bad},       {"LISTRIGHTS", test_listrights},
    {"new mailboxes", test_new}, {"each", test_each},         {NULL, NULL},
};

extern const struct unit_suite acl_suite;
const struct unit_suite acl_suite = {"acl", cases};
