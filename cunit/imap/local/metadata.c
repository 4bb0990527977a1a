#include "imap/local/metadata.h"

#include <stdlib.h>
#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/mboxlist/annotations.h"

/* "mailbox depth maxsize p/name=value ...": what was understood. */
static const char *shown(struct pool *pool, const struct metadata_request *r)
{
    struct buf text = BUF_INIT;
    const char *result;

    buf_printf(&text, "%s %d %d", r->mailbox, (int)r->depth, r->has_maxsize ? (int)r->maxsize : -1);
    for (size_t i = 0; i < r->count; i++) {
        const struct metadata_entry *e = &r->entries[i];

        buf_printf(&text, " %s%s", e->is_private ? "p" : "s", e->name);
        if (e->value != NULL)
            buf_printf(&text, "=%s", e->value);
    }
    result = pool_strdup(pool, buf_cstr(&text));
    buf_free(&text);
    return result;
}

struct row {
    const char *in, *want; /* NULL: a syntax error */
};

static void check_rows(const struct row *rows, size_t count,
                       int (*parse)(struct imap_args *args, struct metadata_request *request_r))
{
    for (size_t i = 0; i < count; i++) {
        struct pool *pool = pool_new(0);
        struct metadata_request request;
        struct imap_args args;
        int r;

        imap_args_init(&args, pool, rows[i].in, strlen(rows[i].in));
        r = parse(&args, &request);
        CU_ASSERT_EQUAL(r, rows[i].want != NULL ? 0 : ERR_SYNTAX);
        if (r == 0 && rows[i].want != NULL)
            CU_ASSERT_STRING_EQUAL(shown(pool, &request), rows[i].want);
        pool_free(&pool);
    }
}

static void test_get(void)
{
    static const struct row rows[] = {
        {"INBOX /private/comment", "INBOX 0 -1 p/comment"},
        {"\"\" /shared/Comment", " 0 -1 s/comment"},
        {"inbox (/shared/comment /PRIVATE/comment)", "INBOX 0 -1 s/comment p/comment"},
        {"a (\"/shared/comment\" {8}\r\n/private)", "a 0 -1 s/comment p"},
        {"a (MAXSIZE 10) (/shared/x)", "a 0 10 s/x"},
        {"a (maxsize 0 depth 1) /shared/x", "a 1 0 s/x"},
        {"(DEPTH infinity) a (/shared)", "a 2 -1 s"},
        {"(DEPTH 0) a /shared", "a 0 -1 s"},
        {"", NULL},
        {"a", NULL},
        {"a ", NULL},
        {"a ()", NULL},
        {"a (/shared/x", NULL},
        {"a (/shared/x )", NULL},
        {"a /shared/x /shared/y", NULL},
        {"a (/shared/x) (DEPTH 1)", NULL},
        {"(DEPTH 1) a (DEPTH 1) /shared/x", NULL},
        {"(DEPTH 2) a /shared/x", NULL},
        {"(DEPTH) a /shared/x", NULL},
        {"(MAXSIZE) a /shared/x", NULL},
        {"(MAXSIZE -1) a /shared/x", NULL},
        {"(MAXSIZE 4294967296) a /shared/x", NULL},
        {"(FROB 1) a /shared/x", NULL},
        {"() a /shared/x", NULL},
        {"a (DEPTH 1)", NULL},
        {"a /comment", NULL},
        {"a comment", NULL},
        {"a /sharedx/comment", NULL},
        {"a /shared/", NULL},
        {"a /shared//x", NULL},
        {"a \"/shared/x*\"", NULL},
        {"a \"/shared/x%\"", NULL},
        {"a {11}\r\n/shared/\xc3\xa9x", NULL},
        {"a {10}\r\n/shared/\tx", NULL},
        {"a NIL", NULL},
    };

    check_rows(rows, ARRAY_SIZE(rows), metadata_parse_get);
}

static void test_set(void)
{
    static const struct row rows[] = {
        {"INBOX (/private/comment \"mine\")", "INBOX 0 -1 p/comment=mine"},
        {"\"\" (/shared/Comment NIL)", " 0 -1 s/comment"},
        {"a (/shared/x {3}\r\na\r\n /private/vendor/tok/y \"\")", "a 0 -1 s/x=a\r\n p/vendor/tok/y="},
        {"a (/shared/x ~{2}\r\nab)", "a 0 -1 s/x=ab"},
        {"a /shared/x NIL", NULL},
        {"a ()", NULL},
        {"a (/shared/x)", NULL},
        {"a (/shared/x )", NULL},
        {"a (/shared/x atom)", NULL},
        {"a (/shared/x NIL", NULL},
        {"a (/shared/x NIL )", NULL},
        {"a (/shared/x NIL) x", NULL},
        {"a (/shared NIL)", NULL},
        {"a (/shared/vendor NIL)", NULL},
        {"a (/shared/vendor/token NIL)", NULL},
        {"a (/shared/vendors NIL)", "a 0 -1 s/vendors"},
        {"(DEPTH 1) a (/shared/x NIL)", NULL},
        {"a (/shared/x ~\"a\")", NULL},
    };

    check_rows(rows, ARRAY_SIZE(rows), metadata_parse_set);
}

/* Every beginning of a command is an error, and nothing is read behind it. */
static void test_truncated(void)
{
    static const char get[] = "a (DEPTH infinity MAXSIZE 1024) (/shared/x {10}\r\n/private/x)";
    static const char set[] = "a (/shared/x {3}\r\nabc /private/y ~{2}\r\na\0)";
    static const struct {
        const char *text;
        size_t len;
        int (*parse)(struct imap_args *args, struct metadata_request *request_r);
    } rows[] = {{get, sizeof(get) - 1, metadata_parse_get}, {set, sizeof(set) - 1, metadata_parse_set}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        for (size_t n = 0; n <= rows[i].len; n++) {
            struct pool *pool = pool_new(0);
            char *copy = memcpy(xmalloc(n + 1), rows[i].text, n);
            struct metadata_request request;
            struct imap_args args;

            imap_args_init(&args, pool, copy, n);
            CU_ASSERT_EQUAL(rows[i].parse(&args, &request), n == rows[i].len ? 0 : ERR_SYNTAX);
            pool_free(&pool);
            free(copy);
        }
    }
}

/* As many entries as may be, and as long as may be; then one more. */
static void test_bounds(void)
{
    for (int more = 0; more < 2; more++) {
        struct pool *pool = pool_new(0);
        struct buf text = BUF_INIT, name = BUF_INIT;
        struct metadata_request request;
        struct imap_args args;

        buf_puts(&text, "a (/shared/x");
        for (int i = 1; i < METADATA_ENTRIES_MAX + more; i++)
            buf_puts(&text, " /shared/x");
        buf_puts(&text, ")");
        imap_args_init(&args, pool, text.data, text.len);
        CU_ASSERT_EQUAL(metadata_parse_get(&args, &request), more ? ERR_SYNTAX : 0);

        buf_puts(&name, "a /shared/");
        for (int i = 1; i < ANNOTATION_ENTRY_MAX + more; i++)
            buf_putc(&name, 'x');
        imap_args_init(&args, pool, name.data, name.len);
        CU_ASSERT_EQUAL(metadata_parse_get(&args, &request), more ? ERR_SYNTAX : 0);
        buf_free(&text);
        buf_free(&name);
        pool_free(&pool);
    }
}

static void test_below(void)
{
    static const struct {
        const char *name, *base;
        bool one, all;
    } rows[] = {
        {"/a", "", true, true},        {"/a/b", "", false, true},        {"/a/b", "/a", true, true},
        {"/a/b/c", "/a", false, true}, {"/a", "/a", false, false},       {"/ab", "/a", false, false},
        {"/b", "/a", false, false},    {"/a/b", "/a/b/c", false, false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CU_ASSERT_FALSE(metadata_is_below(rows[i].name, rows[i].base, METADATA_DEPTH_0));
        CU_ASSERT_EQUAL(metadata_is_below(rows[i].name, rows[i].base, METADATA_DEPTH_1), rows[i].one);
        CU_ASSERT_EQUAL(metadata_is_below(rows[i].name, rows[i].base, METADATA_DEPTH_INFINITY), rows[i].all);
    }
}

static void test_values(void)
{
    static const struct {
        enum metadata_kind kind;
        const char *good, *bad; /* separated by | */
    } rows[] = {
        {METADATA_TEXT, "|a|a b", NULL},
        {METADATA_URI, "mailto:a@example.org|tel:+1-2|x-y.z+1:1", "|a|:|a:|1a:b|a b:c|mailto:a b|\xc3\xa9:a"},
        {METADATA_BOOLEAN, "true|FALSE|0|1", "|yes|2|truex|true "},
        {METADATA_SHAREDSEEN, "true|false", "|maybe"},
        {METADATA_DUPDELIVER, "true|false", "|maybe"},
        {METADATA_INT, "0|-1|42", "|-|1.5|+1|9999999999999999999999"},
        {METADATA_UINT, "0|42", "|-1|1x"},
        {METADATA_DAYS, "0|30|12h|1d12h", "|-1|x|3x|d"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        for (int bad = 0; bad < 2; bad++) {
            const char *s = bad ? rows[i].bad : rows[i].good;

            for (; s != NULL; s = strchr(s, '|') != NULL ? strchr(s, '|') + 1 : NULL) {
                char *value = xstrndup(s, strcspn(s, "|"));

                CU_ASSERT_EQUAL(metadata_check(rows[i].kind, value, strlen(value)), bad ? ERR_INVALID : 0);
                free(value);
            }
        }
    }
    CU_ASSERT_EQUAL(metadata_check(METADATA_DAYS, "3\0d", 3), ERR_INVALID);
    CU_ASSERT_TRUE(metadata_is_true("True", 4));
    CU_ASSERT_FALSE(metadata_is_true("false", 5));
}

/* The table: each entry is found where it is, and only there; names are in lower case, no row is hidden by another. */
static void test_table(void)
{
    const struct metadata_def *def;
    size_t n;

    for (n = 0; (def = metadata_def(n)) != NULL; n++) {
        for (const char *p = def->name; *p != '\0'; p++)
            CU_ASSERT_FALSE(*p >= 'A' && *p <= 'Z');
        CU_ASSERT_TRUE(def->where != 0 && def->scopes != 0);
        for (unsigned where = OF_SERVER; where <= OF_MAILBOX; where *= 2)
            for (unsigned scope = SHARED; scope <= PRIVATE; scope *= 2)
                CU_ASSERT_PTR_EQUAL(metadata_find(def->name, where, scope),
                                    (def->where & where) && (def->scopes & scope) ? def : NULL);
    }
    CU_ASSERT_TRUE(n > 5);
    CU_ASSERT_PTR_NULL(metadata_find("/commen", OF_MAILBOX, SHARED));
}

static void test_definitions(void)
{
    static const char good[] =
        "# ours\n"
        "/vendor/acme/Blurdy,mailbox,string,backend,value.shared value.priv,\n"
        "\n"
        "  /vendor/acme/on , server , boolean , proxy_and_backend , value.shared , a \r\n"
        "/vendor/acme/n,mailbox,uint,proxy,value\n"
        "/vendor/acme/m,message,int,backend,value,";
    static const struct {
        const char *text;
        unsigned line;
    } bad[] = {
        {"x", 1},
        {"\n/a,mailbox,string,backend", 2},
        {"a,mailbox,string,backend,value,", 1},
        {"/a,box,string,backend,value,", 1},
        {"/a,mailbox,text,backend,value,", 1},
        {"/a,mailbox,string,frontend,value,", 1},
        {"/a,mailbox,string,backend,size,", 1},
        {"/a,mailbox,string,backend,value,!", 1},
        {"/a,mailbox,string,backend,value,a,b", 1},
    };
    const struct metadata_def *def;
    unsigned line;

    CU_ASSERT_EQUAL(metadata_define(good, &line), 0);
    def = metadata_find("/vendor/acme/blurdy", OF_MAILBOX, PRIVATE);
    CU_ASSERT_PTR_NOT_NULL_FATAL(def);
    CU_ASSERT_EQUAL(def->kind, METADATA_TEXT);
    CU_ASSERT_EQUAL(def->needs, 0);
    CU_ASSERT_PTR_NULL(metadata_find("/vendor/acme/blurdy", OF_SERVER, SHARED));
    def = metadata_find("/vendor/acme/on", OF_SERVER, SHARED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(def);
    CU_ASSERT_EQUAL(def->kind, METADATA_BOOLEAN);
    CU_ASSERT_EQUAL(def->needs, ACL_ADMIN);
    CU_ASSERT_PTR_NULL(metadata_find("/vendor/acme/on", OF_SERVER, PRIVATE));
    def = metadata_find("/vendor/acme/n", OF_MAILBOX, SHARED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(def);
    CU_ASSERT_EQUAL(def->kind, METADATA_UINT);
    CU_ASSERT_PTR_NULL(metadata_find("/vendor/acme/m", OF_MAILBOX, SHARED));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        CU_ASSERT_EQUAL(metadata_define(bad[i].text, &line), ERR_SYNTAX);
        CU_ASSERT_EQUAL(line, bad[i].line);
    }
    CU_ASSERT_EQUAL(metadata_define("", &line), 0);
    CU_ASSERT_PTR_NULL(metadata_find("/vendor/acme/on", OF_SERVER, SHARED));
}

static const struct unit_case cases[] = {
    {"get", test_get},
    {"set", test_set},
    {"truncated", test_truncated},
    {"bounds", test_bounds},
    {"below", test_below},
    {"values", test_values},
    {"table", test_table},
    {"definitions", test_definitions},
    {NULL, NULL},
};

extern const struct unit_suite metadata_suite;
const struct unit_suite metadata_suite = {"metadata", cases};
