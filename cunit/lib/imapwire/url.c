#include "lib/imapwire/url.h"

#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

struct row {
    const char *url;
    int result;
    const char *mailbox;
    uint32_t uidvalidity, uid;
    const char *section, *printed; /* NULL: the URL itself */
};

static void check(const struct row *row, struct pool *pool)
{
    struct buf b = BUF_INIT;
    struct imap_url url;

    CU_ASSERT_EQUAL(imap_url_parse(row->url, pool, &url), row->result);
    if (row->result < 0)
        return;
    CU_ASSERT_STRING_EQUAL(url.mailbox != NULL ? url.mailbox : "(none)",
                           row->mailbox != NULL ? row->mailbox : "(none)");
    CU_ASSERT_EQUAL(url.uidvalidity, row->uidvalidity);
    CU_ASSERT_EQUAL(url.uid, row->uid);
    CU_ASSERT_STRING_EQUAL(url.section, row->section);
    if (url.mailbox == NULL)
        return;
    imap_url_print(&url, &b);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), row->printed != NULL ? row->printed : row->url);
    buf_free(&b);
}

static void run(const struct row *rows, size_t n)
{
    struct pool *pool = pool_new(0);

    for (size_t i = 0; i < n; i++)
        check(&rows[i], pool);
    pool_free(&pool);
}

static void test_messages(void)
{
    static const struct row rows[] = {
        {"/INBOX/;UID=20", 0, "INBOX", 0, 20, "", NULL},
        {"/Drafts;UIDVALIDITY=385759045/;UID=20", 0, "Drafts", 385759045, 20, "", NULL},
        {"/a/b.c/;uid=1", 0, "a/b.c", 0, 1, "", "/a/b.c/;UID=1"},
        {"/a%20b%3B%2525/;UID=1", 0, "a b;%25", 0, 1, "", NULL},
        {"/%c3%bc/;UID=1", 0, "\xc3\xbc", 0, 1, "", "/%C3%BC/;UID=1"},
        {"/a%2Fb/;UID=1", 0, "a/b", 0, 1, "", "/a/b/;UID=1"},
        {"/%2Fb/;UID=1", 0, "/b", 0, 1, "", NULL},
        {"/x%0D%0Aa%22%5C/;UID=1", 0, "x\r\na\"\\", 0, 1, "", NULL},
        {"/a!$'()*+,&=:@~/;UID=1", 0, "a!$'()*+,&=:@~", 0, 1, "",
         "/a%21%24%27%28%29%2A%2B%2C%26%3D%3A%40~/;UID=1"},
        {";UID=4294967295", 0, NULL, 0, 4294967295, "", NULL},
        {"/a/./b/../c/;UID=1", 0, "a/c", 0, 1, "", "/a/c/;UID=1"},
        {"/../a/;UID=1", 0, "a", 0, 1, "", "/a/;UID=1"},
        {"/a/;UID=1/../;UID=2", 0, "a", 0, 2, "", "/a/;UID=2"},
        {"/%2E%2E/b/;UID=1", 0, "../b", 0, 1, "", "/%2E./b/;UID=1"},
        {"", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/", ERR_UNSUPPORTED, NULL, 0, 0, NULL, NULL},
        {"/INBOX", ERR_UNSUPPORTED, NULL, 0, 0, NULL, NULL},
        {"/INBOX/;UID=20/..", ERR_UNSUPPORTED, NULL, 0, 0, NULL, NULL},
        {"/INBOX?ALL", ERR_UNSUPPORTED, NULL, 0, 0, NULL, NULL},
        {"//host/INBOX/;UID=1", ERR_UNSUPPORTED, NULL, 0, 0, NULL, NULL},
        {"imap://host/INBOX/;UID=1", ERR_UNSUPPORTED, NULL, 0, 0, NULL, NULL},
        {"IMAP:/INBOX/;UID=1", ERR_UNSUPPORTED, NULL, 0, 0, NULL, NULL},
        {"/INBOX/;UID=1;urlauth=anonymous:internal:00", ERR_UNSUPPORTED, NULL, 0, 0, NULL, NULL},
        {"INBOX/;UID=1", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/;UID=1", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/INBOX/;UID=0", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/INBOX/;UID=01", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/INBOX/;UID=4294967296", ERR_TOOBIG, NULL, 0, 0, NULL, NULL},
        {"/INBOX/;UID=1:2", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/INBOX/;UID=", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/INBOX/;UID=1/", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/INBOX/;UID=1/x", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/INBOX;UIDVALIDITY=0/;UID=1", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/IN;UIDVALIDITY=1/BOX/;UID=1", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/IN;X=1/;UID=1", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/a b/;UID=1", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/a\"b/;UID=1", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/a\r\nb/;UID=1", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/\xc3\xbc/;UID=1", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/%fc/;UID=1", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/%00/;UID=1", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/%/;UID=1", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/%4", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/%4g/;UID=1", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
    };

    run(rows, ARRAY_SIZE(rows));
}

static void test_sections(void)
{
    static const struct row rows[] = {
        {"/a/;UID=1/;SECTION=1.2", 0, "a", 0, 1, "1.2", NULL},
        {"/a/;UID=1/;section=text", 0, "a", 0, 1, "TEXT", "/a/;UID=1/;SECTION=TEXT"},
        {"/a/;UID=1/;SECTION=1.mime", 0, "a", 0, 1, "1.MIME", "/a/;UID=1/;SECTION=1.MIME"},
        {";UID=1/;SECTION=3.1.HEADER", 0, NULL, 0, 1, "3.1.HEADER", NULL},
        {"/a/;UID=1/;SECTION=HEADER.FIELDS%20%28To%20%22From%22)", 0, "a", 0, 1, "HEADER.FIELDS (To From)",
         "/a/;UID=1/;SECTION=HEADER.FIELDS%20%28To%20From%29"},
        {"/a/;UID=1/;SECTION=2.Header.Fields.Not%20(X-A)", 0, "a", 0, 1, "2.HEADER.FIELDS.NOT (X-A)",
         "/a/;UID=1/;SECTION=2.HEADER.FIELDS.NOT%20%28X-A%29"},
        {"/a/;UID=1/;SECTION=", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/a/;UID=1/;SECTION=MIME", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/a/;UID=1/;SECTION=1.", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/a/;UID=1/;SECTION=0", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/a/;UID=1/;SECTION=1..2", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/a/;UID=1/;SECTION=4294967296", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/a/;UID=1/;SECTION=1%5D%0D%0Ax%20LOGOUT%0D%0A", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/a/;UID=1/;SECTION=HEADER.FIELDS", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/a/;UID=1/;SECTION=HEADER.FIELDS%20()", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/a/;UID=1/;SECTION=HEADER.FIELDS%20(a)b", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/a/;UID=1/;SECTION=HEADER.FIELDS%20(%22%22)", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/a/;UID=1/;SECTION=HEADER.FIELDS%20(%22a%5Db%22)", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/a/;UID=1/;SECTION=HEADER.FIELDS%20(%22a)b%22)", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/a/;UID=1/;SECTION=HEADER.FIELDS%20(%7B1%7D%0D%0Aa)", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/a/;UID=1/;SECTION=HEADER.FIELDS%20(%C3%BC)", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
        {"/a/;UID=1/;PARTIAL=1/;SECTION=1", ERR_SYNTAX, NULL, 0, 0, NULL, NULL},
    };

    run(rows, ARRAY_SIZE(rows));
}

/* RFC 5092 section 11, partial-range */
static void test_partial(void)
{
    static const struct {
        const char *url;
        int result;
        uint64_t offset, size;
    } rows[] = {
        {"/a/;UID=1/;PARTIAL=0.1024", 0, 0, 1024},      {"/a/;UID=1/;PARTIAL=7", 0, 7, 0},
        {"/a/;UID=1/;SECTION=1/;PARTIAL=7.1", 0, 7, 1}, {"/a/;UID=1/;PARTIAL=", ERR_SYNTAX, 0, 0},
        {"/a/;UID=1/;PARTIAL=1.", ERR_SYNTAX, 0, 0},    {"/a/;UID=1/;PARTIAL=1.0", ERR_SYNTAX, 0, 0},
        {"/a/;UID=1/;PARTIAL=1-2", ERR_SYNTAX, 0, 0},   {"/a/;UID=1/;PARTIAL=4294967296", ERR_SYNTAX, 0, 0},
    };
    struct pool *pool = pool_new(0);
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct imap_url url;

        CU_ASSERT_EQUAL(imap_url_parse(rows[i].url, pool, &url), rows[i].result);
        if (rows[i].result < 0)
            continue;
        CU_ASSERT_TRUE(url.has_partial);
        CU_ASSERT_EQUAL(url.offset, rows[i].offset);
        CU_ASSERT_EQUAL(url.size, rows[i].size);
        buf_reset(&b);
        imap_url_print(&url, &b);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].url);
    }
    buf_free(&b);
    pool_free(&pool);
}

static void test_bounds(void)
{
    struct pool *pool = pool_new(0);
    struct buf b = BUF_INIT;
    struct imap_url url;

    buf_puts(&b, "/");
    for (int i = 0; i < IMAP_URL_MAX - 8; i++)
        buf_putc(&b, 'a');
    buf_puts(&b, "/;UID=1");
    CU_ASSERT_EQUAL(b.len, IMAP_URL_MAX);
    CU_ASSERT_EQUAL(imap_url_parse(buf_cstr(&b), pool, &url), 0);
    buf_puts(&b, "1");
    CU_ASSERT_EQUAL(imap_url_parse(buf_cstr(&b), pool, &url), ERR_TOOBIG);
    buf_reset(&b);
    buf_puts(&b, "/a/;UID=1/;SECTION=HEADER.FIELDS%20(x");
    for (int i = 1; i < IMAP_URL_FIELDS_MAX; i++)
        buf_puts(&b, "%20x");
    buf_puts(&b, ")");
    CU_ASSERT_EQUAL(imap_url_parse(buf_cstr(&b), pool, &url), 0);
    b.len--;
    buf_puts(&b, "%20x)");
    CU_ASSERT_EQUAL(imap_url_parse(buf_cstr(&b), pool, &url), ERR_SYNTAX);
    buf_free(&b);
    pool_free(&pool);
}

/* Cut off anywhere it is no URL of a message, or one of fewer digits. */
static void test_truncated(void)
{
    static const char whole[] = "/%C3%BC/b;UIDVALIDITY=7/;UID=12/;SECTION=1.MIME/;PARTIAL=1.2";
    struct pool *pool = pool_new(0);

    for (size_t n = 0; n < sizeof(whole) - 1; n++) {
        const char *url = pool_strndup(pool, whole, n);
        struct imap_url parsed;
        struct buf b = BUF_INIT;

        if (imap_url_parse(url, pool, &parsed) == 0) {
            imap_url_print(&parsed, &b);
            CU_ASSERT_STRING_EQUAL(buf_cstr(&b), url);
        }
        buf_free(&b);
    }
    pool_free(&pool);
}

static const struct unit_case cases[] = {{"messages", test_messages},   {"sections", test_sections},
                                         {"partial", test_partial},     {"bounds", test_bounds},
                                         {"truncated", test_truncated}, {NULL, NULL}};

extern const struct unit_suite url_suite;
const struct unit_suite url_suite = {"url", cases};
