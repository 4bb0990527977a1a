#include "imap/session/metadata-args.h"

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

static void test_entries(void)
{
    static const struct {
        const char *in, *text, *rest; /* text NULL: a syntax error */
    } rows[] = {
        {"/shared/comment)", "(\"/shared/comment\")", ")"},
        {"(/shared/Comment {10}\r\n/private/x) x", "(\"/shared/Comment\" \"/private/x\")", " x"},
        {"(\"/private/a\\\\b\\\"\")", "(\"/private/a\\\\b\\\"\")", ""},
        {"()", NULL, NULL},
        {"(/shared/comment", NULL, NULL},
        {"(/comment)", NULL, NULL},
        {"", NULL, NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pool *pool = pool_new(0);
        struct metadata_request request;
        struct imap_args args;
        int r;

        imap_args_init(&args, pool, rows[i].in, strlen(rows[i].in));
        r = metadata_parse_entries(&args, &request);
        CU_ASSERT_EQUAL(r, rows[i].text != NULL ? 0 : ERR_SYNTAX);
        if (r == 0 && rows[i].text != NULL) {
            CU_ASSERT_STRING_EQUAL(metadata_entries_text(&request, pool), rows[i].text);
            CU_ASSERT_STRING_EQUAL(args.at, rows[i].rest);
        }
        pool_free(&pool);
    }
}

static const struct unit_case cases[] = {{"get", test_get},
                                         {"set", test_set},
                                         {"truncated", test_truncated},
                                         {"bounds", test_bounds},
                                         {"below", test_below},
                                         {"entries", test_entries},
                                         {NULL, NULL}};

extern const struct unit_suite metadata_suite;
const struct unit_suite metadata_suite = {"metadata", cases};
