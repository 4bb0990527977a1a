#include "lib/name/namespace.h"

#include <string.h>

#include "cunit/lib/name/config.h"
#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/name/mboxname.h"

enum { ROUND = 0, IN, OUT }; /* both ways; only to internal; only to external */

struct row {
    int direction;
    const char *external, *internal; /* NULL: none */
};

static void run_in(const struct name_config *config, const char *userid, bool is_admin, bool utf8,
                   const struct row *rows, size_t n)
{
    struct pool *pool = pool_new(0);
    struct namespace ns;
    struct buf b = BUF_INIT;

    namespace_init(&ns, config, userid, is_admin, pool);
    ns.utf8 = utf8;
    for (size_t i = 0; i < n; i++) {
        if (rows[i].direction != OUT) { /* into an empty buf, too */
            int r;

            buf_free(&b);
            namespace_to_internal(&ns, rows[i].external, &b);
            buf_reset(&b);
            buf_puts(&b, "=");
            r = namespace_to_internal(&ns, rows[i].external, &b);

            CU_ASSERT_EQUAL(r, rows[i].internal != NULL ? 0 : ERR_BADNAME);
            CU_ASSERT_STRING_EQUAL(buf_cstr(&b) + 1, rows[i].internal != NULL ? rows[i].internal : "");
        }
        buf_reset(&b);
        buf_puts(&b, "=");
        if (rows[i].direction != IN) {
            int r = namespace_to_external(&ns, rows[i].internal, &b);

            CU_ASSERT_EQUAL(r, rows[i].external != NULL ? 0 : ERR_NOTFOUND);
            CU_ASSERT_STRING_EQUAL(buf_cstr(&b) + 1, rows[i].external != NULL ? rows[i].external : "");
        }
    }
    buf_free(&b);
    pool_free(&pool);
}

static void run(const struct name_config *config, const char *userid, bool is_admin, const struct row *rows,
                size_t n)
{
    run_in(config, userid, is_admin, false, rows, n);
}

/* RFC 6855 3 */
static void test_utf8(void)
{
    static const struct row rows[] = {
        {ROUND, "INBOX", "user.fred"},
        {ROUND, "Entw\xc3\xbcrfe", "user.fred.Entw&APw-rfe"},
        {ROUND, "\xc3\xbc\xc3\xbc/v1.\xf0\x9f\x98\x80", "user.fred.&APwA,A-.v1^&2D3eAA-"},
        {ROUND, "a&b", "user.fred.a&-b"},
        {ROUND, "&APw-", "user.fred.&-APw-"},
        {ROUND, "Andere \xc3\xa4/bob/\xc3\xb6", "user.bob.&APY-"},
        {ROUND, "Gem&/x", "x"},
        {IN, "Gem&-/x", "user.fred.Gem&--.x"},
        {OUT, NULL, "user.fred.a&b"}, /* no modified UTF-7 */
        {OUT, NULL, "user.fred.caf\xc3\xa9"},
        {OUT, NULL, "user.fred.&ICg-"}, /* a line separator */
        {IN, "a\xc3", NULL},
        {IN, "a\xe4", NULL},
        {IN, "a\x1f", NULL},
        {IN, "a\x7f", NULL},
        {IN, "a\xc2\x80", NULL},
        {IN, "a\xc2\x9f", NULL},
        {IN, "a\xe2\x80\xa8", NULL},
        {IN, "a\xe2\x80\xa9", NULL},
        {IN, "a\xed\xa0\x80", NULL}, /* half of a pair */
        {ROUND, "a\xc2\xa0", "user.fred.a&AKA-"},
    };
    const struct name_config config = TEST_CONFIG(.separator = '/', .altnamespace = true,
                                                  .userprefix = "Andere &AOQ-", .sharedprefix = "Gem&-");

    run_in(&config, "fred", false, true, rows, ARRAY_SIZE(rows));
}

/* What a longer name would begin with in modified UTF-7. */
static void test_utf8_begin(void)
{
    static const struct {
        const char *literal, *prefix;
    } rows[] = {
        {"Se", "user.fred.Se"}, {"Se/\xc3\xbc", "user.fred.Se."},
        {"\xc3\xbc", ""}, /* INBOX and the prefixes are looked for too */
        {"R&D", "user.fred.R"}, {"Andere \xc3\xa4/b", ""},
        {"Gem&/b", ""},         {"Gemx", "user.fred.Gemx"},
    };
    const struct name_config config = TEST_CONFIG(.separator = '/', .altnamespace = true,
                                                  .userprefix = "Andere &AOQ-", .sharedprefix = "Gem&-");
    struct pool *pool = pool_new(0);
    struct buf b = BUF_INIT;
    struct namespace ns;

    namespace_init(&ns, &config, "fred", false, pool);
    ns.utf8 = true;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        buf_reset(&b);
        namespace_scan_prefix(&ns, rows[i].literal, &b);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].prefix);
    }
    buf_reset(&b);
    namespace_response(&ns, true, &b);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "((\"\" \"/\")) ((\"Andere \xc3\xa4/\" \"/\")) ((\"Gem&/\" \"/\"))");
    buf_free(&b);
    pool_free(&pool);
}

static void test_standard_dot(void)
{
    static const struct row rows[] = {
        {ROUND, "INBOX", "user.fred"},
        {IN, "inBox", "user.fred"},
        {IN, "user.fred", "user.fred"},
        {IN, "user.fred.Sent", "user.fred.Sent"},
        {ROUND, "INBOX.Sent", "user.fred.Sent"},
        {IN, "inbox.Sent", "user.fred.Sent"},
        {ROUND, "INBOX.INBOX", "user.fred.INBOX"},
        {ROUND, "INBOXES", "INBOXES"},
        {ROUND, "user.bob", "user.bob"},
        {ROUND, "user.john^doe.x", "user.john^doe.x"},
        {ROUND, "archive.x", "archive.x"},
        {ROUND, "Other Users.x", "Other Users.x"},
        {ROUND, "user.freddy", "user.freddy"},
        {OUT, NULL, "d.org!user.bob"},
        {OUT, NULL, "INBOX.x"},
        {IN, "a/b", NULL},
        {IN, "a!b", NULL},
        {IN, "", NULL},
        {IN, "INBOX.", NULL},
        {IN, "a..b", NULL},
    };
    const struct name_config config = TEST_CONFIG(.separator = '.');

    run(&config, "fred", false, rows, ARRAY_SIZE(rows));
}

static void test_standard_slash(void)
{
    static const struct row rows[] = {
        {ROUND, "INBOX", "user.john^doe"},
        {ROUND, "INBOX/v1.2", "user.john^doe.v1^2"},
        {ROUND, "user/fred.x/y", "user.fred^x.y"},
        {ROUND, "archive/x", "archive.x"},
        {IN, "user/john.doe/a", "user.john^doe.a"},
        {IN, "a^b", NULL},
        {IN, "user//x", NULL},
        {IN, "/a", NULL},
        {ROUND, "INBOX.x", "INBOX^x"},
    };
    const struct name_config config = TEST_CONFIG(.separator = '/');

    run(&config, "john.doe", false, rows, ARRAY_SIZE(rows));
}

static void test_alternate_slash(void)
{
    static const struct row rows[] = {
        {ROUND, "INBOX", "user.fred"},
        {ROUND, "Sent", "user.fred.Sent"},
        {ROUND, "Sent/2026", "user.fred.Sent.2026"},
        {ROUND, "v1.2", "user.fred.v1^2"},
        {ROUND, "INBOX/x", "user.fred.INBOX.x"},
        {IN, "inbox/x", "user.fred.INBOX.x"},
        {OUT, NULL, "user.fred.INBOX"},
        {OUT, NULL, "user.fred.Inbox.x"},
        {OUT, NULL, "user.fred.Other Users.x"},
        {OUT, NULL, "user.fred.Shared Folders"},
        {ROUND, "Other Users/bob", "user.bob"},
        {ROUND, "Other Users/bob/x", "user.bob.x"},
        {ROUND, "Other Users/j.d/x", "user.j^d.x"},
        {IN, "Other Users/fred/x", "user.fred.x"},
        {IN, "Other Users", NULL},
        {IN, "Other Users/", NULL},
        {ROUND, "Other Userss", "user.fred.Other Userss"},
        {ROUND, "Shared Folders/archive/x", "archive.x"},
        {IN, "Shared Folders", NULL},
        {IN, "Shared Folders/", NULL},
        {IN, "Shared Folders/user/bob", NULL},
        {IN, "Shared Folders/user", NULL},
        {IN, "Shared Folders/INBOX", NULL},
        {ROUND, "Shared Folders/users", "users"},
        {ROUND, "user/bob", "user.fred.user.bob"},
        {OUT, NULL, "d.org!user.fred"},
        {IN, "a^b", NULL},
    };
    const struct name_config config = TEST_CONFIG(.separator = '/', .altnamespace = true);

    run(&config, "fred", false, rows, ARRAY_SIZE(rows));
}

static void test_alternate_dot(void)
{
    static const struct row rows[] = {
        {ROUND, "INBOX", "user.fred"},
        {ROUND, "Sent.x", "user.fred.Sent.x"},
        {ROUND, "a^b", "user.fred.a^b"},
        {ROUND, "Other Users.j^d.x", "user.j^d.x"},
        {ROUND, "Shared Folders.archive", "archive"},
        {IN, "a/b", NULL},
    };
    const struct name_config config = TEST_CONFIG(.altnamespace = true);

    run(&config, "fred", false, rows, ARRAY_SIZE(rows));
}

static void test_admin(void)
{
    static const struct row rows[] = {
        {ROUND, "INBOX", "user.cyrus"},
        {ROUND, "user/fred", "user.fred"},
        {ROUND, "user/j.d/x", "user.j^d.x"},
        {ROUND, "archive/x", "archive.x"},
        {ROUND, "Sent", "Sent"},
        {ROUND, "DELETED/user/f/6B01FFBC", "DELETED.user.f.6B01FFBC"},
        {ROUND, "user/a@b", "user.a@b"},
        {OUT, NULL, "d.org!user.al"},
    };
    const struct name_config config = TEST_CONFIG(.separator = '/', .altnamespace = true);

    run(&config, "cyrus", true, rows, ARRAY_SIZE(rows));
}

static void test_domains(void)
{
    static const struct row user[] = {
        {ROUND, "INBOX", "d.org!user.al"},      {ROUND, "Sent", "d.org!user.al.Sent"},
        {ROUND, "x@y", "d.org!user.al.x@y"},    {ROUND, "Other Users/bob/x", "d.org!user.bob.x"},
        {ROUND, "Shared Folders/s", "d.org!s"}, {OUT, NULL, "user.bob"},
        {OUT, NULL, "e.org!user.al"},
    };
    static const struct row admin[] = {
        {ROUND, "INBOX", "user.cyrus"},
        {ROUND, "user/bob", "user.bob"},
        {IN, "user/bob@internal", "user.bob"},
        {ROUND, "user/al@d.org", "d.org!user.al"},
        {IN, "user/al@D.ORG", "d.org!user.al"},
        {ROUND, "user/al/a.b@d.org", "d.org!user.al.a^b"},
        {ROUND, "user/bob/x@y@internal", "user.bob.x@y"},
        {ROUND, "user/al/x@y@d.org", "d.org!user.al.x@y"},
        {ROUND, "DELETED/user/al/6B01FFBC@d.org", "d.org!DELETED.user.al.6B01FFBC"},
        {IN, "INBOX@d.org", NULL},
        {IN, "@d.org", NULL},
        {IN, "a@d..org/x", NULL},
    };
    static const struct row domain_admin[] = {
        {ROUND, "user/bob", "d.org!user.bob"},
        {ROUND, "s", "d.org!s"},
        {OUT, NULL, "user.bob"},
        {ROUND, "a@e.org", "d.org!a@e^org"},
        /* his own domain may stand there, as all administrators write it */
        {IN, "user/bob@d.org", "d.org!user.bob"},
        {IN, "user/bob/x@D.Org", "d.org!user.bob.x"},
        {IN, "@d.org", NULL},
        {ROUND, "a@d.org@d.org", "d.org!a@d^org"},
        {ROUND, "user/bob/a@D.org@d.org", "d.org!user.bob.a@D^org"},
    };
    const struct name_config config =
        TEST_CONFIG(.separator = '/', .altnamespace = true, .virtdomains = VIRTDOMAINS_USERID);

    run(&config, "al@d.org", false, user, ARRAY_SIZE(user));
    run(&config, "cyrus", true, admin, ARRAY_SIZE(admin));
    run(&config, "root@d.org", true, domain_admin, ARRAY_SIZE(domain_admin));
}

static void test_nobody(void)
{
    static const struct row rows[] = {
        {IN, "INBOX", NULL},
        {IN, "x", NULL},
        {ROUND, "Other Users/bob", "user.bob"},
        {ROUND, "Shared Folders/s", "s"},
    };
    const struct name_config config = TEST_CONFIG(.separator = '/', .altnamespace = true);

    run(&config, NULL, false, rows, ARRAY_SIZE(rows));
}

static void test_too_long(void)
{
    const struct name_config config = TEST_CONFIG(.separator = '/');
    char name[2 * MBOXNAME_MAX + 2];
    struct pool *pool = pool_new(0);
    struct namespace ns;
    struct buf b = BUF_INIT;

    namespace_init(&ns, &config, "fred", false, pool);
    memset(name, 'a', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    CU_ASSERT_EQUAL(namespace_to_internal(&ns, name, &b), ERR_TOOBIG);
    name[MBOXNAME_MAX + 1] = '\0';
    CU_ASSERT_EQUAL(namespace_to_internal(&ns, name, &b), ERR_TOOBIG);
    name[MBOXNAME_MAX] = '\0';
    CU_ASSERT_EQUAL(namespace_to_internal(&ns, name, &b), 0);
    buf_free(&b);
    pool_free(&pool);
}

static void test_scan_prefix(void)
{
    static const struct {
        bool alt;
        const char *userid, *literal, *prefix;
    } rows[] = {
        {false, "fred", "", ""},
        {false, "fred", "inb", ""},
        {false, "fred", "INBOX", ""},
        {false, "fred", "INBOX/S", "user.fred.S"},
        {false, "fred", "user/", "user."},
        {false, "fred", "arch", "arch"},
        {false, "al@d.org", "arch", "d.org!arch"},
        {false, "al@d.org", "", "d.org!"},
        {false, "fred", "a^b", "a"},
        {true, "fred", "", ""},
        {true, "fred", "Se", "user.fred.Se"},
        {true, "fred", "Oth", ""},
        {true, "fred", "Other Users/", "user."},
        {true, "fred", "Other Users/b.o", "user.b^o"},
        {true, "fred", "Shared Folders/x/", "x."},
        {true, "fred", "Shared Foldersx", "user.fred.Shared Foldersx"},
        {true, "fred", "INBOX/", "user.fred.INBOX."},
        {true, "al@d.org", "Other Users/b", "d.org!user.b"},
    };
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct name_config config =
            TEST_CONFIG(.separator = '/', .altnamespace = rows[i].alt, .virtdomains = VIRTDOMAINS_ON);
        struct pool *pool = pool_new(0);
        struct namespace ns;

        namespace_init(&ns, &config, rows[i].userid, false, pool);
        buf_reset(&b);
        namespace_scan_prefix(&ns, rows[i].literal, &b);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].prefix);
        pool_free(&pool);
    }
    buf_free(&b);
}

static void test_response(void)
{
    static const struct {
        struct name_config config;
        bool admin, inbox;
        const char *text;
    } rows[] = {
        {{.separator = '.'}, false, true, "((\"INBOX.\" \".\")) ((\"user.\" \".\")) ((\"\" \".\"))"},
        {{.separator = '.'}, true, false, "NIL ((\"user.\" \".\")) ((\"\" \".\"))"},
        {{.separator = '/', .altnamespace = true, .userprefix = "Other Users", .sharedprefix = "A \"B\""},
         false,
         true,
         "((\"\" \"/\")) ((\"Other Users/\" \"/\")) ((\"A \\\"B\\\"/\" \"/\"))"},
        {{.separator = '/', .altnamespace = true, .userprefix = "O", .sharedprefix = "S"},
         true,
         true,
         "((\"INBOX/\" \"/\")) ((\"user/\" \"/\")) ((\"\" \"/\"))"},
    };
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pool *pool = pool_new(0);
        struct namespace ns;

        namespace_init(&ns, &rows[i].config, "fred", rows[i].admin, pool);
        buf_reset(&b);
        namespace_response(&ns, rows[i].inbox, &b);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].text);
        pool_free(&pool);
    }
    buf_free(&b);
}

static const struct unit_case cases[] = {
    {"standard, dot", test_standard_dot},
    {"standard, slash", test_standard_slash},
    {"alternate, slash", test_alternate_slash},
    {"alternate, dot", test_alternate_dot},
    {"administrator", test_admin},
    {"virtual domains", test_domains},
    {"nobody", test_nobody},
    {"too long", test_too_long},
    {"UTF-8", test_utf8},
    {"UTF-8, scan prefix, NAMESPACE", test_utf8_begin},
    {"scan prefix", test_scan_prefix},
    {"NAMESPACE response", test_response},
    {NULL, NULL},
};

extern const struct unit_suite namespace_suite;
const struct unit_suite namespace_suite = {"namespace", cases};
