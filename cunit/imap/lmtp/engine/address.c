#include "imap/lmtp/engine/address.h"

#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static void test_path(void)
{
    static const struct {
        const char *s;
        int r;
        const char *path;
        size_t used;
    } rows[] = {
        {"<>", 0, "", 2},
        {"<fred@example.org> SIZE=1", 0, "fred@example.org", 18},
        {"<\"a>b\"@c>", 0, "\"a>b\"@c", 9},
        {"<\"a\\\">b\"@c>x", 0, "\"a\\\">b\"@c", 11},
        {"<@a,@b:fred@c>", 0, "fred@c", 14},
        {"<@a>", ERR_SYNTAX, "", 0},
        {"fred", ERR_SYNTAX, "", 0},
        {"<fred", ERR_SYNTAX, "", 0},
        {"<\"fred>", ERR_SYNTAX, "", 0},
        {"<fr\ted>", ERR_SYNTAX, "", 0},
        {"", ERR_SYNTAX, "", 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf path = BUF_INIT;
        size_t used = 0;

        CU_ASSERT_EQUAL(lmtpd_path_parse(rows[i].s, strlen(rows[i].s), &path, &used), rows[i].r);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&path), rows[i].path);
        CU_ASSERT_EQUAL(used, rows[i].used);
        buf_free(&path);
    }
}

static void test_long_path(void)
{
    struct buf s = BUF_INIT, path = BUF_INIT;
    size_t used;

    buf_putc(&s, '<');
    for (int i = 0; i <= LMTPD_PATH_MAX; i++)
        buf_putc(&s, 'x');
    buf_putc(&s, '>');
    CU_ASSERT_EQUAL(lmtpd_path_parse(s.data, s.len, &path, &used), ERR_TOOBIG);
    buf_free(&s);
    buf_free(&path);
}

static struct name_config config(char separator, enum opt_virtdomains virtdomains)
{
    return (struct name_config){.separator = separator,
                                .virtdomains = virtdomains,
                                .userprefix = "Other Users",
                                .sharedprefix = "Shared Folders",
                                .defaultdomain = "example.com",
                                .deletedprefix = "DELETED",
                                .admins = "",
                                .proxyservers = "",
                                .implicit_owner_rights = "lkxan",
                                .defaultacl = "anyone lrs"};
}

static const char *or_none(const char *s)
{
    return s != NULL ? s : "-";
}

static void test_names(void)
{
    static const struct {
        const char *path;
        char separator;
        enum opt_virtdomains virtdomains;
        int r;
        const char *userid, *mailbox, *folder, *forward;
    } rows[] = {
        {"fred", '/', 0, 0, "fred", "user.fred", "-", "fred@internal"},
        {"Fred@Example.ORG", '/', 0, 0, "fred", "user.fred", "-", "fred@internal"},
        {"fred@internal", '/', 2, 0, "fred", "user.fred", "-", "fred@internal"},
        {"Fred+Lists/x", '/', 0, 0, "fred", "user.fred", "user.fred.Lists.x", "fred+Lists/x@internal"},
        {"fred+a.b", '.', 0, 0, "fred", "user.fred", "user.fred.a.b", "fred+a.b@internal"},
        {"fred+a.b", '/', 0, 0, "fred", "user.fred", "user.fred.a^b", "fred+a.b@internal"},
        {"fred+a+b", '/', 0, 0, "fred", "user.fred", "user.fred.a+b", "fred+a+b@internal"},
        {"fred+", '/', 0, 0, "fred", "user.fred", "-", "fred+@internal"},
        {"fred+*", '/', 0, 0, "fred", "user.fred", "-", "fred+*@internal"},
        {"john.doe", '/', 0, 0, "john.doe", "user.john^doe", "-", "john.doe@internal"},
        {"\"fred\"+x", '/', 0, 0, "fred", "user.fred", "user.fred.x", "fred+x@internal"},
        {"\"fred+two words\"@x", '/', 0, 0, "fred", "user.fred", "user.fred.two words",
         "\"fred+two words\"@internal"},
        {"fred+\xc3\x9c"
         "bung/a",
         '/', 0, 0, "fred", "user.fred", "user.fred.&ANw-bung.a",
         "fred+\xc3\x9c"
         "bung/a@internal"},
        {"fred+\xff", '/', 0, 0, "fred", "user.fred", "-", "fred+\xff@internal"},
        {"fred@other.org", '/', 1, 0, "fred@other.org", "other.org!user.fred", "-", "fred@other.org"},
        {"fred+x@other.org", '/', 1, 0, "fred@other.org", "other.org!user.fred", "other.org!user.fred.x",
         "fred+x@other.org"},
        {"fred@example.com", '/', 1, 0, "fred", "user.fred", "-", "fred@example.com"},
        {"+archive/cyrus", '/', 0, 0, "-", "archive.cyrus", "-", "+archive/cyrus@internal"},
        {"bb+archive@example.org", '/', 0, 0, "-", "archive", "-", "+archive@internal"},
        {"+archive@other.org", '/', 1, 0, "-", "other.org!archive", "-", "+archive@other.org"},
        {"+user/fred", '/', 0, ERR_BADNAME, NULL, NULL, NULL, NULL},
        {"+", '/', 0, ERR_BADNAME, NULL, NULL, NULL, NULL},
        {"fred@", '/', 0, ERR_SYNTAX, NULL, NULL, NULL, NULL},
        {"fr%ed", '/', 0, ERR_BADNAME, NULL, NULL, NULL, NULL},
        {"\"\"@x", '/', 0, ERR_BADNAME, NULL, NULL, NULL, NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct name_config c = config(rows[i].separator, rows[i].virtdomains);
        struct lmtpd_naming naming = {.names = &c, .downcase = true, .postuser = "bb"};
        struct pool *pool = pool_new(0);
        struct lmtpd_names names;
        int r = lmtpd_names_resolve(&naming, pool, rows[i].path, &names);

        if (r != rows[i].r)
            printf("\n  %s: %d\n", rows[i].path, r);
        CU_ASSERT_EQUAL(r, rows[i].r);
        if (r == 0 && rows[i].r == 0) {
            CU_ASSERT_STRING_EQUAL(or_none(names.userid), rows[i].userid);
            CU_ASSERT_STRING_EQUAL(names.mailbox, rows[i].mailbox);
            CU_ASSERT_STRING_EQUAL(or_none(names.folder), rows[i].folder);
            CU_ASSERT_STRING_EQUAL(names.forward, rows[i].forward);
        }
        pool_free(&pool);
    }
}

static void test_case_kept(void)
{
    struct name_config c = config('/', VIRTDOMAINS_OFF);
    struct lmtpd_naming naming = {.names = &c, .downcase = false, .postuser = ""};
    struct pool *pool = pool_new(0);
    struct lmtpd_names names;

    CU_ASSERT_EQUAL(lmtpd_names_resolve(&naming, pool, "Fred", &names), 0);
    CU_ASSERT_STRING_EQUAL(names.userid, "Fred");
    pool_free(&pool);
}

static const struct unit_case cases[] = {{"path", test_path},
                                         {"long path", test_long_path},
                                         {"names", test_names},
                                         {"case", test_case_kept},
                                         {NULL, NULL}};
const struct unit_suite address_suite = {"imap/lmtp/address", cases};
