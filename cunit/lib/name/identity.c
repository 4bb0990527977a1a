#include "lib/name/identity.h"

#include "cunit/lib/name/config.h"
#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static void test_roles(void)
{
    static const struct {
        const char *userid;
        bool admin, proxy, anonymous;
    } rows[] = {
        {"cyrus", true, false, false},     {"murder", true, true, false},   {"fred", false, false, false},
        {"cyru", false, false, false},     {"anyone", false, false, false}, {NULL, false, false, true},
        {"anonymous", false, false, true},
    };
    const struct name_config config =
        TEST_CONFIG(.admins = "cyrus  murder anyone anonymous", .proxyservers = "murder");

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct identity *id = identity_new(&config, rows[i].userid);

        CU_ASSERT_EQUAL(id->is_admin, rows[i].admin);
        CU_ASSERT_EQUAL(id->is_proxy, rows[i].proxy);
        CU_ASSERT_EQUAL(id->is_anonymous, rows[i].anonymous);
        CU_ASSERT(identity_is(id, "anyone"));
        CU_ASSERT_EQUAL(identity_is(id, "anonymous"), rows[i].anonymous);
        identity_free(&id);
        CU_ASSERT_PTR_NULL(id);
    }
}

/* The machine's own root is in root's group; the second answer comes from the cache. */
static void test_groups(void)
{
    const struct name_config on = TEST_CONFIG(.unix_groups = true, .admins = "group:root");
    const struct name_config off = TEST_CONFIG(.unix_groups = false, .admins = "group:root");

    for (int i = 0; i < 2; i++) {
        struct identity *id = identity_new(&on, "root");

        CU_ASSERT(identity_is(id, "group:root") && id->is_admin);
        CU_ASSERT(!identity_is(id, "group:roo") && !identity_is(id, "group:"));
        identity_free(&id);
    }
    for (int i = 0; i < 2; i++) {
        struct identity *id = identity_new(i == 0 ? &off : &on, i == 0 ? "root" : "no-such-user-here");

        CU_ASSERT(!identity_is(id, "group:root") && !id->is_admin);
        identity_free(&id);
    }
}

static void test_canonical(void)
{
    static const struct {
        const char *given;
        bool tolower;
        const char *userid; /* NULL: ERR_BADNAME */
    } rows[] = {
        {"Fred", true, "fred"},
        {"Fred", false, "Fred"},
        {"Fred@D.Org", false, "Fred@d.org"},
        {"fred@Internal", true, "fred"},
        {"a@B@d.org", true, "a@b@d.org"},
        {"fr/ed", true, NULL},
        {"", true, NULL},
        {"fred@", true, NULL},
    };
    const struct name_config config = TEST_CONFIG(.virtdomains = VIRTDOMAINS_ON);
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        buf_reset(&b);
        CU_ASSERT_EQUAL(identity_canonical(&config, rows[i].given, rows[i].tolower, &b),
                        rows[i].userid != NULL ? 0 : ERR_BADNAME);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].userid != NULL ? rows[i].userid : "");
    }
    buf_free(&b);
}

static void test_identifiers(void)
{
    static const struct {
        const char *given;
        bool tolower;
        const char *kept;
    } rows[] = {
        {"Fred", true, "fred"},
        {"Fred", false, "Fred"},
        {"-Fred@D.Org", true, "-fred@d.org"},
        {"fred@Internal", true, "fred"},
        {"-fred@internal", false, "-fred"},
        {"Anyone", true, "anyone"},
        {"group:Staff", true, "group:Staff"},
        {"-group:Domain Users", true, "-group:Domain Users"},
        {"No/Name", true, "No/Name"}, /* refused, or harmless */
        {"-", true, "-"},
        {"", true, ""},
    };
    const struct name_config config = TEST_CONFIG(.virtdomains = VIRTDOMAINS_USERID);
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        buf_reset(&b);
        identity_canonical_identifier(&config, rows[i].given, rows[i].tolower, &b);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].kept);
    }
    buf_free(&b);
}

static void test_may_be(void)
{
    const struct name_config on = TEST_CONFIG(.unix_groups = true), off = TEST_CONFIG(.unix_groups = false);

    CU_ASSERT(identity_may_be(&on, "fred") && identity_may_be(&on, "-anyone"));
    CU_ASSERT(identity_may_be(&on, "group:root") && identity_may_be(&on, "-group:root"));
    CU_ASSERT(!identity_may_be(&on, "group:roo") && !identity_may_be(&on, "-group:roo"));
    CU_ASSERT(!identity_may_be(&on, "group:"));
    CU_ASSERT(identity_may_be(&off, "group:roo")); /* nobody looks */
}

static const struct unit_case cases[] = {
    {"roles", test_roles},         {"groups", test_groups},
    {"canonical", test_canonical}, {"identifiers", test_identifiers},
    {"may be", test_may_be},       {NULL, NULL},
};

extern const struct unit_suite identity_suite;
const struct unit_suite identity_suite = {"identity", cases};
