#include "lib/mail/wire.h"

#include <string.h>

#include "cunit/lib/mail/consistent.h"
#include "cunit/unit.h"
#include "lib/base/mem.h"

typedef int (*render_fn)(struct buf *, const char *, const struct mail_part *, enum mail_wire_mode);

static void expect(render_fn render, const char *text, enum mail_wire_mode mode, const char *wanted,
                   int result)
{
    struct pool *pool = pool_new(0);
    struct buf b = BUF_INIT;

    CU_ASSERT_EQUAL(render(&b, text, mail_parse(pool, text, strlen(text)), mode), result);
    if (strcmp(buf_cstr(&b), wanted) != 0)
        printf("\n  gives %s\n", buf_cstr(&b));
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), wanted);
    buf_free(&b);
    pool_free(&pool);
}

/* RFC 3501 section 8. */
static const char rfc3501[] = "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n"
                              "From: Terry Gray <gray@cac.washington.edu>\r\n"
                              "Subject: IMAP4rev1 WG mtg summary and minutes\r\n"
                              "To: imap@cac.washington.edu\r\n"
                              "cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
                              "Message-Id: <B27397-0100000@cac.washington.edu>\r\n"
                              "MIME-Version: 1.0\r\n"
                              "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n"
                              "\r\n"
                              "hello\r\n";

static void test_rfc3501(void)
{
    expect(mail_wire_envelope, rfc3501, MAIL_WIRE_PLAIN,
           "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev1 WG mtg summary and minutes\" "
           "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
           "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
           "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
           "((NIL NIL \"imap\" \"cac.washington.edu\")) "
           "((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) "
           "NIL NIL \"<B27397-0100000@cac.washington.edu>\")",
           MAIL_WIRE_7BIT);
    expect(mail_wire_body, rfc3501, MAIL_WIRE_PLAIN,
           "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 7 1)", MAIL_WIRE_7BIT);
}

static void test_envelope(void)
{
    static const struct {
        const char *text, *wanted;
        int result;
    } rows[] = {
        {"", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)", 0},
        {"Subject:\r\n\r\n", "(NIL \"\" NIL NIL NIL NIL NIL NIL NIL NIL)", 0},
        {"Subject: a \"q\" \\ b\r\n folded\r\nSubject: second\r\n",
         "(NIL \"a \\\"q\\\" \\\\ b folded\" NIL NIL NIL NIL NIL NIL NIL NIL)", 0},
        {"Subject: \xc3\xa4\r\n", "(NIL {2}\r\n\xc3\xa4 NIL NIL NIL NIL NIL NIL NIL NIL)", 1},
        {"Subject: a\rb\r\n", "(NIL {3}\r\na\rb NIL NIL NIL NIL NIL NIL NIL NIL)", 0},
        {"To: g: a@b;\r\nTo: c\r\nSender:\r\nFrom: x@y\r\n",
         "(NIL NIL ((NIL NIL \"x\" \"y\")) ((NIL NIL \"x\" \"y\")) ((NIL NIL \"x\" \"y\")) "
         "((NIL NIL \"g\" NIL)(NIL NIL \"a\" \"b\")(NIL NIL NIL NIL)(NIL NIL \"c\" \"unspecified-domain\")) "
         "NIL NIL NIL NIL)",
         0},
        {"Cc: <@r1,@r2:a@b>\r\nIn-Reply-To: <x@y>\r\n",
         "(NIL NIL NIL NIL NIL NIL ((NIL \"@r1,@r2\" \"a\" \"b\")) NIL \"<x@y>\" NIL)", 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        expect(mail_wire_envelope, rows[i].text, MAIL_WIRE_PLAIN, rows[i].wanted, rows[i].result);
}

static void test_utf8(void)
{
    expect(mail_wire_envelope, "Subject: \xc3\xa4\r\n", MAIL_WIRE_UTF8,
           "(NIL \"\xc3\xa4\" NIL NIL NIL NIL NIL NIL NIL NIL)", MAIL_WIRE_8BIT);
    expect(mail_wire_envelope, "Subject: \xe4\r\n", MAIL_WIRE_UTF8,
           "(NIL {1}\r\n\xe4 NIL NIL NIL NIL NIL NIL NIL NIL)", MAIL_WIRE_8BIT);
}

static void test_bodystructure(void)
{
    static const char text[] = "Content-Type: multipart/mixed; boundary=b\r\nContent-Language: en, de\r\n\r\n"
                               "--b\r\nContent-Type: text/html\r\nContent-Language: fr\r\n"
                               "Content-Disposition: inline\r\n\r\nx\r\ny\r\n"
                               "--b\r\nContent-Type: message/rfc822\r\nContent-ID: <1>\r\n"
                               "Content-Description: d\r\n\r\nSubject: s\r\n\r\nz\r\n\r\n"
                               "--b\r\nContent-Type: image/gif; name=\"a b\"\r\n"
                               "Content-Transfer-Encoding: base64\r\nContent-MD5: m\r\n"
                               "Content-Location: l\r\n"
                               "Content-Disposition: attachment; filename=f; size=3\r\n\r\nabc\r\n--b--\r\n";

    expect(mail_wire_bodystructure, text, MAIL_WIRE_PLAIN,
           "((\"TEXT\" \"HTML\" NIL NIL NIL \"7BIT\" 4 1 NIL (\"INLINE\" NIL) \"FR\" NIL)"
           "(\"MESSAGE\" \"RFC822\" NIL \"<1>\" \"d\" \"7BIT\" 17 "
           "(NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL) "
           "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"us-ascii\") NIL NIL \"7BIT\" 3 1 NIL NIL NIL NIL) 3 "
           "NIL NIL NIL NIL)"
           "(\"IMAGE\" \"GIF\" (\"NAME\" \"a b\") NIL NIL \"BASE64\" 3 \"m\" "
           "(\"ATTACHMENT\" (\"FILENAME\" \"f\" \"SIZE\" \"3\")) NIL \"l\") "
           "\"MIXED\" (\"BOUNDARY\" \"b\") NIL (\"EN\" \"DE\") NIL)",
           MAIL_WIRE_7BIT);
    expect(mail_wire_body, text, MAIL_WIRE_PLAIN,
           "((\"TEXT\" \"HTML\" NIL NIL NIL \"7BIT\" 4 1)"
           "(\"MESSAGE\" \"RFC822\" NIL \"<1>\" \"d\" \"7BIT\" 17 "
           "(NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL) "
           "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"us-ascii\") NIL NIL \"7BIT\" 3 1) 3)"
           "(\"IMAGE\" \"GIF\" (\"NAME\" \"a b\") NIL NIL \"BASE64\" 3) \"MIXED\")",
           MAIL_WIRE_7BIT);
}

static void test_strings(void)
{
    struct buf b = BUF_INIT;
    char longest[1001];

    mail_wire_nstring(&b, NULL, MAIL_WIRE_PLAIN);
    mail_wire_string(&b, "a\0b\x01", 4, MAIL_WIRE_PLAIN);
    mail_wire_string(&b, "\r\0\n", 3, MAIL_WIRE_PLAIN);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "NIL\"ab\x01\"{2}\r\n\r\n");
    memset(longest, 'x', sizeof(longest));
    buf_reset(&b);
    mail_wire_string(&b, longest, 1000, MAIL_WIRE_PLAIN);
    CU_ASSERT(b.len == 1002 && b.data[0] == '"');
    buf_reset(&b);
    mail_wire_string(&b, longest, 1001, MAIL_WIRE_PLAIN);
    CU_ASSERT(b.len == 1009 && b.data[0] == '{');
    buf_free(&b);
}

/* A small message cannot make a huge envelope. */
static void test_amplification(void)
{
    struct pool *pool = pool_new(0);
    struct buf text = BUF_INIT, b = BUF_INIT;

    for (int i = 0; i < 20; i++) {
        buf_puts(&text, "Content-Type: message/rfc822\r\nTo: ");
        for (int k = 0; k < 20000; k++)
            buf_puts(&text, "a,");
        buf_puts(&text, "\r\n\r\n");
    }
    mail_wire_body(&b, text.data, mail_parse(pool, text.data, text.len), MAIL_WIRE_PLAIN);
    CU_ASSERT(b.len < 20000 * 40);
    CU_ASSERT(mail_wire_is_wellformed(b.data, b.len));
    pool_free(&pool);
    buf_free(&text);
    buf_free(&b);
}

/* The checker of well-formedness must find what is wrong, or it proves nothing. */
static void test_checker(void)
{
    static const char good[] = "(NIL {1}\r\n( \"\\\"\" 12)";
    static const char *const bad[] = {"(",         ")",       "\"a",       "\"a\rb\"", "{3}\r\nab", "{1}ab",
                                      "(\"\\a\")", "{1\r\na", "{1}\r\n\0", "a%",       ""};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        CU_ASSERT(!mail_wire_is_wellformed(bad[i], strlen(bad[i])));
    CU_ASSERT(mail_wire_is_wellformed(good, strlen(good)));
}

static const struct unit_case cases[] = {
    {"rfc3501", test_rfc3501}, {"envelope", test_envelope},
    {"utf8", test_utf8},       {"structure", test_bodystructure},
    {"strings", test_strings}, {"amplification", test_amplification},
    {"checker", test_checker}, {NULL, NULL},
};
const struct unit_suite wire_suite = {"lib/mail/wire", cases};
