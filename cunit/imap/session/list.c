#include "imap/session/list.h"

#include <string.h>

#include "cunit/unit.h"
#include "imap/session/create-args.h"
#include "imap/session/referral.h"
#include "imap/session/status-items.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

/* ---- options ---- */

enum {
    SUBSCRIBED = 1,
    REMOTE = 2,
    RECURSIVE = 4,
    SPECIAL = 8,
    TOLD_SUBSCRIBED = 16,
    TOLD_SPECIAL = 32,
    RIGHTS = 64
};

static unsigned bits_of(const struct list_options *o)
{
    return (o->only_subscribed ? SUBSCRIBED : 0) | (o->remote ? REMOTE : 0) | (o->recursive ? RECURSIVE : 0) |
           (o->only_special ? SPECIAL : 0) | (o->subscribed ? TOLD_SUBSCRIBED : 0) |
           (o->special ? TOLD_SPECIAL : 0) | (o->myrights ? RIGHTS : 0);
}

static int read_select(const char *text, size_t len, struct list_options *o)
{
    struct pool *pool = pool_new(0);
    struct imap_args args;
    int r;

    *o = (struct list_options){0};
    imap_args_init(&args, pool, text, len);
    r = list_options_select(&args, o);
    if (r == 0 && imap_args_peek(&args) != 'x') /* it stops before the reference */
        r = ERR_PROTOCOL;
    pool_free(&pool);
    return r;
}

static void test_select(void)
{
    static const struct {
        const char *text;
        int result;
        unsigned bits;
    } rows[] = {
        {"x", 0, 0},
        {"() x", 0, 0},
        {"(SUBSCRIBED) x", 0, SUBSCRIBED | TOLD_SUBSCRIBED},
        {"(subscribed Subscribed) x", 0, SUBSCRIBED | TOLD_SUBSCRIBED},
        {"(REMOTE) x", 0, REMOTE},
        {"(RECURSIVEMATCH SUBSCRIBED) x", 0, RECURSIVE | SUBSCRIBED | TOLD_SUBSCRIBED},
        {"(SPECIAL-USE) x", 0, SPECIAL | TOLD_SPECIAL},
        {"(REMOTE SUBSCRIBED SPECIAL-USE) x", 0,
         REMOTE | SUBSCRIBED | SPECIAL | TOLD_SUBSCRIBED | TOLD_SPECIAL},
        {"(RECURSIVEMATCH) x", ERR_SYNTAX, 0},
        {"(RECURSIVEMATCH REMOTE) x", ERR_SYNTAX, 0},
        {"(RECURSIVEMATCH SPECIAL-USE) x", ERR_SYNTAX, 0},
        {"(SUBSCRIBED", ERR_SYNTAX, 0},
        {"(SUBSCRIBED x", ERR_SYNTAX, 0},
        {"(SUBSCRIBED)x", ERR_SYNTAX, 0},
        {"(SUBSCRIBED  REMOTE) x", ERR_SYNTAX, 0},
        {"(SUBSCRIBED ) x", ERR_SYNTAX, 0},
        {"(CHILDREN) x", ERR_SYNTAX, 0},
        {"(", ERR_SYNTAX, 0},
    };
    struct list_options o;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int r = read_select(rows[i].text, strlen(rows[i].text), &o);

        CU_ASSERT_EQUAL(r, rows[i].result);
        if (r == 0) {
            CU_ASSERT_EQUAL(bits_of(&o), rows[i].bits);
            CU_ASSERT_EQUAL(o.extended, i > 0);
        }
        for (size_t n = 0; n < strlen(rows[i].text); n++)
            CU_ASSERT_NOT_EQUAL(read_select(rows[i].text, n, &o), 0);
    }
}

static void test_return(void)
{
    static const struct {
        const char *text;
        int result;
        unsigned bits;
        const char *status;
    } rows[] = {
        {"", 0, 0, NULL},
        {" RETURN ()", 0, 0, NULL},
        {" return (children)", 0, 0, NULL},
        {" RETURN (SUBSCRIBED CHILDREN MYRIGHTS SPECIAL-USE)", 0, TOLD_SUBSCRIBED | RIGHTS | TOLD_SPECIAL,
         NULL},
        {" RETURN (STATUS (MESSAGES size) SUBSCRIBED)", 0, TOLD_SUBSCRIBED, "(MESSAGES size)"},
        {" RETURN (STATUS (UNSEEN))", 0, 0, "(UNSEEN)"},
        {" RETURN", ERR_SYNTAX, 0, NULL},
        {" RETURN (", ERR_SYNTAX, 0, NULL},
        {" RETURN (REMOTE)", ERR_SYNTAX, 0, NULL},
        {" RETURN (CHILDREN) ()", ERR_SYNTAX, 0, NULL},
        {" RETURN (STATUS)", ERR_SYNTAX, 0, NULL},
        {" RETURN (STATUS ())", ERR_SYNTAX, 0, NULL},
        {" RETURN (STATUS (FROB))", ERR_SYNTAX, 0, NULL},
        {" RETURN (STATUS (UNSEEN)", ERR_SYNTAX, 0, NULL},
        {" FROB", ERR_SYNTAX, 0, NULL},
        {"x", ERR_SYNTAX, 0, NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pool *pool = pool_new(0);
        struct list_options o = {0};
        struct imap_args args;
        int r;

        imap_args_init(&args, pool, rows[i].text, strlen(rows[i].text));
        r = list_options_return(&args, &o);
        CU_ASSERT_EQUAL(r, rows[i].result);
        if (r == 0) {
            CU_ASSERT_EQUAL(bits_of(&o), rows[i].bits);
            CU_ASSERT_EQUAL(o.extended, i > 0);
            CU_ASSERT_EQUAL(o.status != NULL, rows[i].status != NULL);
            CU_ASSERT(o.status == NULL || strcmp(o.status, rows[i].status) == 0);
        }
        pool_free(&pool);
    }
}

/* ---- patterns ---- */

static int read_patterns(struct pool *pool, const char *text, struct list_patterns *p)
{
    struct imap_args args;
    int r;

    imap_args_init(&args, pool, text, strlen(text));
    r = list_patterns_read(&args, true, p);
    if (r == 0)
        r = imap_args_end(&args);
    return r < 0 ? r : list_patterns_compile(p, '/', p->several);
}

static bool matches(const struct list_patterns *p, const char *name)
{
    return list_matches(p, name, strlen(name));
}

static void test_patterns(void)
{
    struct pool *pool = pool_new(0);
    struct buf text = BUF_INIT;
    struct list_patterns p;

    CU_ASSERT_EQUAL(read_patterns(pool, "a/ (b% \"c\" \"\")", &p), 0);
    CU_ASSERT(p.several && p.count == 2);
    CU_ASSERT(matches(&p, "a/b") && matches(&p, "a/bx") && matches(&p, "a/c"));
    CU_ASSERT(!matches(&p, "a/b/c") && !matches(&p, "a/") && !matches(&p, "c") && !matches(&p, ""));
    list_patterns_free(&p);
    CU_ASSERT_EQUAL(read_patterns(pool, "\"\" *", &p), 0);
    CU_ASSERT(!p.several && p.count == 1 && matches(&p, "x/y"));
    list_patterns_free(&p);
    CU_ASSERT_EQUAL(read_patterns(pool, "\"\" ()", &p), ERR_SYNTAX);
    CU_ASSERT_EQUAL(read_patterns(pool, "\"\" (a", &p), ERR_SYNTAX);
    CU_ASSERT_EQUAL(read_patterns(pool, "\"\" (a  b)", &p), ERR_SYNTAX);
    CU_ASSERT_EQUAL(read_patterns(pool, "\"\"", &p), ERR_SYNTAX);

    for (int n = LIST_PATTERNS_MAX; n <= LIST_PATTERNS_MAX + 1; n++) {
        buf_reset(&text);
        buf_puts(&text, "\"\" (");
        for (int i = 0; i < n; i++)
            buf_printf(&text, "%sp%d", i > 0 ? " " : "", i);
        buf_putc(&text, ')');
        CU_ASSERT_EQUAL(read_patterns(pool, buf_cstr(&text), &p), n <= LIST_PATTERNS_MAX ? 0 : ERR_LIMIT);
        CU_ASSERT(n > LIST_PATTERNS_MAX || (p.count == LIST_PATTERNS_MAX && matches(&p, "p31")));
        list_patterns_free(&p);
    }
    buf_free(&text);
    pool_free(&pool);
}

/* ---- CREATE ---- */

static void test_create_args(void)
{
    static const struct {
        const char *text;
        int result;
        const char *place, *uses;
    } rows[] = {
        {"", 0, NULL, NULL},
        {" ", 0, NULL, NULL},
        {" be1!p", 0, "be1!p", NULL},
        {" \"part\"", 0, "part", NULL},
        {" (USE ())", 0, NULL, ""},
        {" (use (\\Sent))", 0, NULL, "\\Sent"},
        {" (USE (\\Drafts \\Sent))", 0, NULL, "\\Drafts \\Sent"},
        {" (USE (Sent))", ERR_SYNTAX, NULL, NULL},
        {" (USE (\\))", ERR_SYNTAX, NULL, NULL},
        {" (USE (\\Sent)", ERR_SYNTAX, NULL, NULL},
        {" (USE (\\Sent", ERR_SYNTAX, NULL, NULL},
        {" (USE (\\Sent)) x", ERR_SYNTAX, NULL, NULL},
        {" (USE)", ERR_SYNTAX, NULL, NULL},
        {" (FROB ())", ERR_SYNTAX, NULL, NULL},
        {" a b", ERR_SYNTAX, NULL, NULL},
        {"x", ERR_SYNTAX, NULL, NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pool *pool = pool_new(0);
        struct create_args create;
        struct imap_args args;
        int r;

        imap_args_init(&args, pool, rows[i].text, strlen(rows[i].text));
        r = create_args_read(&args, &create);
        CU_ASSERT_EQUAL(r, rows[i].result);
        if (r == 0) {
            CU_ASSERT_STRING_EQUAL(create.place != NULL ? create.place : "-",
                                   rows[i].place != NULL ? rows[i].place : "-");
            CU_ASSERT_STRING_EQUAL(create.uses != NULL ? create.uses : "-",
                                   rows[i].uses != NULL ? rows[i].uses : "-");
        }
        pool_free(&pool);
    }
}

/* ---- referrals ---- */

static void test_referral_url(void)
{
    static const struct {
        const char *userid, *server, *external, *url;
    } rows[] = {
        {"fred", "be1", "INBOX", "imap://fred;AUTH=*@be1/INBOX"},
        {"fred@a.org", "be1:2143", "Other Users/bob",
         "imap://fred%40a.org;AUTH=*@be1:2143/Other%20Users/bob"},
        {"f", "b", "a&AOQ-]x", "imap://f;AUTH=*@b/a%C3%A4%5Dx"},
        {"f;g", "b", "50%25;UID=1?", "imap://f%3Bg;AUTH=*@b/50%2525%3BUID%3D1%3F"},
    };
    struct buf url = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        buf_reset(&url);
        referral_url(rows[i].userid, rows[i].server, rows[i].external, &url);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&url), rows[i].url);
    }
    buf_free(&url);
}

/* ---- STATUS ---- */

static void test_status_items(void)
{
    static const struct {
        const char *text;
        int result;
        unsigned items;
    } rows[] = {
        {"(MESSAGES)", 0, 1u << STATUS_MESSAGES},
        {"(unseen SIZE unseen)", 0, 1u << STATUS_UNSEEN | 1u << STATUS_SIZE},
        {"(DELETED RECENT UIDNEXT UIDVALIDITY)", 0,
         1u << STATUS_DELETED | 1u << STATUS_RECENT | 1u << STATUS_UIDNEXT | 1u << STATUS_UIDVALIDITY},
        {"()", ERR_SYNTAX, 0},
        {"MESSAGES", ERR_SYNTAX, 0},
        {"(MESSAGES", ERR_SYNTAX, 0},
        {"(MESSAGES )", ERR_SYNTAX, 0},
        {"(MESSAGESX)", ERR_SYNTAX, 0},
        {"", ERR_SYNTAX, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pool *pool = pool_new(0);
        struct imap_args args;
        unsigned items;

        imap_args_init(&args, pool, rows[i].text, strlen(rows[i].text));
        CU_ASSERT_EQUAL(status_items_read(&args, &items), rows[i].result);
        CU_ASSERT(rows[i].result < 0 || items == rows[i].items);
        pool_free(&pool);
    }
    CU_ASSERT_STRING_EQUAL(status_item_name(STATUS_SIZE), "SIZE");
}

static const struct unit_case cases[] = {{"select", test_select},
                                         {"return", test_return},
                                         {"patterns", test_patterns},
                                         {"create args", test_create_args},
                                         {"referral url", test_referral_url},
                                         {"status items", test_status_items},
                                         {NULL, NULL}};

extern const struct unit_suite list_suite;
const struct unit_suite list_suite = {"list", cases};
