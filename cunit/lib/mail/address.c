#include "lib/mail/address.h"

#include <string.h>

#include "cunit/unit.h"
#include "lib/base/mem.h"

static void put(struct buf *to, const char *s, char end)
{
    buf_puts(to, s != NULL ? s : "-");
    buf_putc(to, end);
}

/* name|route|mailbox|host; groups as G name; and /G; */
static void show(struct buf *to, const struct mail_address *a)
{
    for (; a != NULL; a = a->next) {
        if (a->kind == MAIL_GROUP_BEGIN)
            buf_printf(to, "G %s;", a->mailbox);
        if (a->kind == MAIL_GROUP_END)
            buf_puts(to, "/G;");
        if (a->kind != MAIL_ADDRESS)
            continue;
        put(to, a->name, '|');
        put(to, a->route, '|');
        put(to, a->mailbox, '|');
        put(to, a->host, ';');
    }
}

static void test_parse(void)
{
    static const struct {
        const char *text, *shown;
    } rows[] = {
        {"", ""},
        {"  \r\n ", ""},
        {"fred@example.org", "-|-|fred|example.org;"},
        {"Fred Foobar <fred@example.org>", "Fred Foobar|-|fred|example.org;"},
        {"fred@example.org (Fred Foobar)", "Fred Foobar|-|fred|example.org;"},
        /* RFC 5322 appendix A.1.2, A.1.3, A.5, A.6.1 */
        {"\"Joe Q. Public\" <john.q.public@example.com>", "Joe Q. Public|-|john.q.public|example.com;"},
        {"Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
         "Mary Smith|-|mary|x.test;-|-|jdoe|example.org;Who?|-|one|y.test;"},
        {"<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
         "-|-|boss|nil.test;Giant; \"Big\" Box|-|sysservices|example.net;"},
        {"A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
         "G A Group;Ed Jones|-|c|a.test;-|-|joe|where.test;John|-|jdoe|one.test;/G;"},
        {"Undisclosed recipients:;", "G Undisclosed recipients;/G;"},
        {"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "Pete|-|pete|silly.test;"},
        {"A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,\r\n joe@example.org,"
         "\r\n  John <jdoe@one.test> (my dear friend); (the end of the group)",
         "G A Group;Chris Jones|-|c|public.example;-|-|joe|example.org;John|-|jdoe|one.test;/G;"},
        {"(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", "G Hidden recipients;/G;"},
        {"Joe Q. Public <john.q.public@example.com>", "Joe Q. Public|-|john.q.public|example.com;"},
        {"Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
         "Mary Smith|@node.test|mary|example.net;-|-|jdoe|test.example;"},
        {"john . doe @ example . org", "-|-|john.doe|example.org;"},
        {"\"fred flint\"@example.org", "-|-|fred flint|example.org;"},
        {"fred@[IPv6:2001:db8::1]", "-|-|fred|[IPv6:2001:db8::1];"},
        /* broken ones */
        {"fred", "-|-|fred|-;"},
        {"Fred <fred>", "Fred|-|fred|-;"},
        {"<>", ""},
        {"fred@", "-|-|fred|;"},
        {"@example.org", "-|-||example.org;"},
        {"fred@example.org <fred@example.org>", "fred@example.org|-|fred|example.org;"},
        {"a@b@c", "-|-|a@b|c;"},
        {"Fred <fred@example.org", "Fred|-|fred|example.org;"},
        {"Fred < fred@example.org > junk, next@x", "Fred|-|fred|example.org;-|-|next|x;"},
        {"fred@x some words, b@c", "-|-|fred|x;-|-|b|c;"},
        {"\"Fred <fred@example.org>", "Fred|-|fred|example.org;"},
        {"Fred (unclosed <fred@example.org>", "unclosed <fred@example.org>|-|Fred|-;"},
        {"<a@b> <c@d>, x", "-|-|a|b;-|-|c|d;-|-|x|-;"},
        {"a:b:c@d;", "G a;-|-|bc|d;/G;"},
        {"a@b;c@d", "-|-|a|b;-|-|c|d;"},
        {"group:a@b", "G group;-|-|a|b;/G;"},
        {">)]\\,;:<", "-|-|]\\|-;"},
        {"\xff\xfe <\x80@\x81>", "\xff\xfe|-|\x80|\x81;"},
    };
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pool *pool = pool_new(0);

        buf_reset(&b);
        show(&b, mail_addresses_parse(pool, rows[i].text, strlen(rows[i].text), 100));
        if (strcmp(buf_cstr(&b), rows[i].shown) != 0)
            printf("\n  %s\n  gives %s\n", rows[i].text, buf_cstr(&b));
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].shown);
        pool_free(&pool);
    }
    buf_free(&b);
}

static void test_limit(void)
{
    struct buf text = BUF_INIT, shown = BUF_INIT;
    struct pool *pool = pool_new(0);

    for (int i = 0; i < 1000; i++)
        buf_puts(&text, "g:a@b;,");
    show(&shown, mail_addresses_parse(pool, text.data, text.len, 4));
    CU_ASSERT_STRING_EQUAL(buf_cstr(&shown), "G g;-|-|a|b;/G;G g;");
    CU_ASSERT_PTR_NULL(mail_addresses_parse(pool, text.data, text.len, 0));
    pool_free(&pool);
    buf_free(&text);
    buf_free(&shown);
}

/* Deep and unclosed constructs take linear time: a megabyte of each is over at once. */
static void test_hostile(void)
{
    static const char *const patterns[] = {"(", "\"", "\\\"", "<", "@", ":", "<@a", "a:", "\"\\", "[", "a "};
    struct buf text = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
        struct pool *pool = pool_new(0);

        buf_reset(&text);
        while (text.len < 1000 * 1000)
            buf_puts(&text, patterns[i]);
        mail_addresses_parse(pool, text.data, text.len, MAIL_ADDRESSES_MAX);
        CU_ASSERT(pool_footprint(pool) < 64 * 1000 * 1000);
        pool_free(&pool);
    }
    buf_free(&text);
}

static void test_spec(void)
{
    static const struct {
        const char *mailbox, *host, *spec;
    } rows[] = {
        {"fred", "example.org", "fred@example.org"},
        {"fred.f", NULL, "fred.f"},
        {"fred f", "x", "\"fred f\"@x"},
        {"a\"b\\", "x", "\"a\\\"b\\\\\"@x"},
        {"", "x", "\"\"@x"},
        {".a", "x", "\".a\"@x"},
        {"a..b", "x", "\"a..b\"@x"},
        {"a.", "x", "\"a.\"@x"},
    };
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct mail_address a = {.mailbox = rows[i].mailbox, .host = rows[i].host};

        buf_reset(&b);
        mail_address_spec(&a, &b);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].spec);
    }
    buf_free(&b);
}

static const struct unit_case cases[] = {
    {"parse", test_parse}, {"limit", test_limit}, {"hostile", test_hostile},
    {"spec", test_spec},   {NULL, NULL},
};
const struct unit_suite address_suite = {"lib/mail/address", cases};
