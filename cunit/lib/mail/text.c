#include "lib/mail/text.h"

#include <string.h>

#include "cunit/unit.h"
#include "lib/base/mem.h"

static void test_base_subject(void)
{
    static const struct {
        const char *subject, *base;
        bool reply;
    } rows[] = {
        {"", "", false},
        {"hello", "hello", false},
        {"  hello \t\r\n  world ", "hello world", false},
        {"Re: hello", "hello", true},
        {"RE : re:hello", "hello", true},
        {"Fwd: Re[2]: hello", "hello", true},
        {"fw: hello (fwd) (FWD)", "hello", true},
        {"[list] hello", "hello", false},
        {"[list] Re: [list] [b] hello", "hello", true},
        {"Re: [list]", "[list]", true},
        {"[a][b]", "[b]", false},
        {"[a] [b] ", "[b]", false},
        {"[fwd: hello]", "hello", true},
        {"[Fwd: Re: [x] hello (fwd)] (fwd)", "hello", true},
        {"[fwd: hello", "[fwd: hello", false},
        {"Request", "Request", false},
        {"re", "re", false},
        {"Re:", "", true},
        {"(fwd)", "", true},
        {"[a[b] x", "[a[b] x", false},
        {"=?utf-8?q?Re=3A_h=C3=A4llo?=", "h\xc3\xa4llo", true},
    };
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        bool reply = !rows[i].reply;

        buf_reset(&b);
        mail_base_subject(rows[i].subject, strlen(rows[i].subject), &b, &reply);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].base);
        CU_ASSERT_EQUAL(reply, rows[i].reply);
    }
    buf_free(&b);
}

static void test_hostile_subject(void)
{
    static const char *const patterns[] = {"[a]", "Re:", "[fwd:", "(fwd)", "[", "[]"};
    struct buf text = BUF_INIT, b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
        buf_reset(&text);
        buf_reset(&b);
        while (text.len < 1000 * 1000)
            buf_puts(&text, patterns[i]);
        mail_base_subject(text.data, text.len, &b, NULL);
        CU_ASSERT(b.len <= text.len);
    }
    buf_free(&text);
    buf_free(&b);
}

static void test_message_ids(void)
{
    static const struct {
        const char *value, *ids;
    } rows[] = {
        {"", ""},
        {"<a@b>", "<a@b>"},
        {" <a@b>\r\n\t<c@d>", "<a@b><c@d>"},
        {"Your message of (date <no@no>) <a@b>, \"quoted\"", "<a@b>"},
        {"<\"01KF8JCEOCBS0045PS\"@xxx.yyy.com>", "<01KF8JCEOCBS0045PS@xxx.yyy.com>"}, /* RFC 5256 section 3 */
        {"< a @ b >", "<a@b>"},
        {"<a@b\r\n c>", "<a@bc>"},
        {"<noat>", "<noat>"},
        {"<>", ""},
        {"<a <b@c> d>", "<b@c>"},
        {"<unclosed", ""},
        {"a@b", ""},
    };
    struct pool *pool = pool_new(0);

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char **ids = mail_message_ids(pool, rows[i].value, strlen(rows[i].value));
        const char *first = mail_message_id(pool, rows[i].value, strlen(rows[i].value));
        struct buf b = BUF_INIT;

        CU_ASSERT((first == NULL) == (ids[0] == NULL));
        CU_ASSERT(first == NULL || strcmp(first, ids[0]) == 0);
        for (; *ids != NULL; ids++)
            buf_puts(&b, *ids);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].ids);
        buf_free(&b);
    }
    pool_free(&pool);
}

static void test_many_ids(void)
{
    struct pool *pool = pool_new(0);
    struct buf b = BUF_INIT;
    char **ids;

    for (int i = 0; i < 3 * MAIL_IDS_MAX; i++)
        buf_puts(&b, "<a@b>");
    ids = mail_message_ids(pool, b.data, b.len);
    CU_ASSERT_PTR_NOT_NULL(ids[MAIL_IDS_MAX - 1]);
    CU_ASSERT_PTR_NULL(ids[MAIL_IDS_MAX]);
    buf_free(&b);
    pool_free(&pool);
}

static const struct unit_case cases[] = {
    {"base subject", test_base_subject},
    {"hostile subject", test_hostile_subject},
    {"message ids", test_message_ids},
    {"many ids", test_many_ids},
    {NULL, NULL},
};
const struct unit_suite text_suite = {"lib/mail/text", cases};
