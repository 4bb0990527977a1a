#include "lib/mail/content.h"

#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static struct mail_content parse(struct pool *pool, const char *header, bool digest)
{
    struct mail_content c;

    mail_content_parse(pool, header, strlen(header), digest, &c);
    return c;
}

static void show_params(struct buf *to, const struct mail_param *p)
{
    for (; p != NULL; p = p->next)
        buf_printf(to, ";%s=%s", p->name, p->value);
}

static void test_type(void)
{
    static const struct {
        const char *header, *shown;
    } rows[] = {
        {"", "TEXT/PLAIN;CHARSET=us-ascii"},
        {"Content-Type: text/html", "TEXT/HTML"},
        {"Content-Type: Text/Plain; charset=UTF-8; format=flowed\r\n",
         "TEXT/PLAIN;CHARSET=UTF-8;FORMAT=flowed"},
        {"Content-Type: text/plain; charset=us-ascii (Plain text)", "TEXT/PLAIN;CHARSET=us-ascii"},
        {"Content-Type: text / plain;\r\n\tcharset = \"us-\\ascii\"", "TEXT/PLAIN;CHARSET=us-ascii"},
        {"Content-Type: text/plain;; charset=x ;", "TEXT/PLAIN;CHARSET=x"},
        {"Content-Type: application/pdf; name=two words.pdf; x=y", "APPLICATION/PDF;NAME=two words.pdf;X=y"},
        {"Content-Type: application/pdf; name=\"a;b\"; =z; q; w=", "APPLICATION/PDF;NAME=a;b;W="},
        {"Content-Type: application/pdf; name=\"unclosed", "APPLICATION/PDF;NAME=\"unclosed"},
        {"Content-Type: text", "TEXT/PLAIN;CHARSET=us-ascii"},
        {"Content-Type: /plain; charset=x", "TEXT/PLAIN;CHARSET=us-ascii"},
        {"Content-Type:", "TEXT/PLAIN;CHARSET=us-ascii"},
        {"Content-Type: a/b\r\nContent-Type: c/d", "A/B"},
        /* RFC 2231 sections 3, 4 and 4.1 */
        {"Content-Type: message/external-body; access-type=URL;\r\n URL*0=\"ftp://\";\r\n "
         "URL*1=\"cs.utk.edu/pub\"",
         "MESSAGE/EXTERNAL-BODY;ACCESS-TYPE=URL;URL=ftp://cs.utk.edu/pub"},
        {"Content-Type: application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
         "APPLICATION/X-STUFF;TITLE*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A"},
        {"Content-Type: application/x-stuff\r\n ;title*1*=%2A%2A%2Afun%2A%2A%2A%20\r\n ;title*2=\"isn't it!\""
         "\r\n ;title*0*=us-ascii'en'This%20is%20even%20more%20",
         "APPLICATION/X-STUFF;TITLE*=us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20"
         "isn%27t%20it!"},
        {"Content-Type: a/b; n*0=x; n*2=z", "A/B;N=x;N*2=z"},
        {"Content-Type: a/b; n*1=y", "A/B;N*1=y"},
        {"Content-Type: a/b; n*0=x; n*1=y; n*0=z", "A/B;N=xy;N=z"},
        {"Content-Type: a/b; n*0=x; n*1*=%41", "A/B;N*=''x%41"},
        {"Content-Type: a/b; *0=x; n**=y; n*99999999999=z", "A/B;*0=x;N**=y;N*99999999999=z"},
    };
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pool *pool = pool_new(0);
        struct mail_content c = parse(pool, rows[i].header, false);

        buf_reset(&b);
        buf_printf(&b, "%s/%s", c.type, c.subtype);
        show_params(&b, c.params);
        if (strcmp(buf_cstr(&b), rows[i].shown) != 0)
            printf("\n  %s\n  gives %s\n", rows[i].header, buf_cstr(&b));
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].shown);
        pool_free(&pool);
    }
    buf_free(&b);
}

static void test_digest(void)
{
    struct pool *pool = pool_new(0);
    struct mail_content c = parse(pool, "Subject: x", true);

    CU_ASSERT(mail_content_is(&c, "message", "rfc822"));
    CU_ASSERT(!mail_content_is(&c, "message", "rfc82"));
    c = parse(pool, "Content-Type: broken", true);
    CU_ASSERT(mail_content_is(&c, "text", NULL));
    pool_free(&pool);
}

static void test_encoding(void)
{
    static const struct {
        const char *header, *name;
        enum decode_encoding decoding;
    } rows[] = {
        {"", "7BIT", DECODE_IDENTITY},
        {"Content-Transfer-Encoding: base64", "BASE64", DECODE_BASE64},
        {"Content-Transfer-Encoding:  Quoted-Printable ; x", "QUOTED-PRINTABLE", DECODE_QUOTED_PRINTABLE},
        {"Content-Transfer-Encoding: 8bit", "8BIT", DECODE_IDENTITY},
        {"Content-Transfer-Encoding: x-uuencode", "X-UUENCODE", DECODE_UNKNOWN},
        {"Content-Transfer-Encoding:", "7BIT", DECODE_IDENTITY},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pool *pool = pool_new(0);
        struct mail_content c = parse(pool, rows[i].header, false);

        CU_ASSERT_STRING_EQUAL(c.encoding, rows[i].name);
        CU_ASSERT_EQUAL(c.decoding, rows[i].decoding);
        pool_free(&pool);
    }
}

static void test_other_fields(void)
{
    static const char header[] = "Content-ID:  <a@b>\r\n"
                                 "Content-Description: two\r\n words\r\n"
                                 "Content-MD5: Q2hlY2sg\r\n SW50\r\n"
                                 "Content-Location: http://a/\r\n b\r\n"
                                 "Content-Language: en, (mostly) de-AT,\r\n"
                                 "Content-Disposition: Attachment; filename=\"x y.txt\"\r\n\r\n"
                                 "Content-Base: no\r\n";
    struct pool *pool = pool_new(0);
    struct mail_content c = parse(pool, header, false);

    CU_ASSERT_STRING_EQUAL(c.id, "<a@b>");
    CU_ASSERT_STRING_EQUAL(c.description, "two words");
    CU_ASSERT_STRING_EQUAL(c.md5, "Q2hlY2sgSW50");
    CU_ASSERT_STRING_EQUAL(c.location, "http://a/b");
    CU_ASSERT_STRING_EQUAL(c.languages->name, "EN");
    CU_ASSERT_STRING_EQUAL(c.languages->next->name, "DE-AT");
    CU_ASSERT_PTR_NULL(c.languages->next->next);
    CU_ASSERT_STRING_EQUAL(c.disposition, "ATTACHMENT");
    CU_ASSERT_STRING_EQUAL(mail_param_get(c.disposition_params, "filename"), "x y.txt");
    CU_ASSERT_PTR_NULL(mail_param_get(c.disposition_params, "file"));
    pool_free(&pool);
}

static void test_utf8(void)
{
    static const struct {
        const char *params;
        int result;
        const char *value;
    } rows[] = {
        {"filename=plain", 0, "plain"},
        {"filename*=utf-8''%e2%82%ac%20rates", 0, "\xe2\x82\xac rates"},
        {"filename*0*=iso-8859-1''%e4; filename*1=b", 0,
         "\xc3\xa4"
         "b"},
        {"filename=\"=?utf-8?q?=c3=a4?=\"", 0, "\xc3\xa4"},
        {"filename*=broken; filename=kept", 0, "kept"},
        {"name=other", ERR_NOTFOUND, ""},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pool *pool = pool_new(0);
        struct buf b = BUF_INIT;
        struct mail_content c =
            parse(pool, pool_printf(pool, "Content-Type: a/b; %s", rows[i].params), false);

        CU_ASSERT_EQUAL(mail_param_utf8(c.params, "filename", &b), rows[i].result);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].value);
        buf_free(&b);
        pool_free(&pool);
    }
}

static void test_limits(void)
{
    struct pool *pool = pool_new(0);
    struct buf b = BUF_INIT;
    struct mail_content c;
    unsigned n = 0;

    buf_puts(&b, "Content-Type: a/b");
    for (int i = 0; i < 5000; i++)
        buf_printf(&b, "; x%d=y", i);
    buf_puts(&b, "\r\nContent-Language: ");
    for (int i = 0; i < 5000; i++)
        buf_puts(&b, "en,");
    mail_content_parse(pool, b.data, b.len, false, &c);
    for (const struct mail_param *p = c.params; p != NULL; p = p->next)
        n++;
    CU_ASSERT_EQUAL(n, MAIL_PARAMS_MAX);
    for (const struct mail_param *p = c.languages; p != NULL; p = p->next)
        n++;
    CU_ASSERT_EQUAL(n, 2 * MAIL_PARAMS_MAX);
    buf_free(&b);
    pool_free(&pool);
}

static const struct unit_case cases[] = {
    {"type", test_type},
    {"digest", test_digest},
    {"encoding", test_encoding},
    {"others", test_other_fields},
    {"utf8", test_utf8},
    {"limits", test_limits},
    {NULL, NULL},
};
const struct unit_suite content_suite = {"lib/mail/content", cases};
