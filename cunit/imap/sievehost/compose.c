#include "imap/sievehost/compose.h"

#include <stdio.h>
#include <string.h>

#include "cunit/unit.h"
#include "imap/sievehost/outgoing.h"
#include "lib/base/mem.h"
#include "lib/mail/header.h"

#define HEADER                                                                                               \
    "Return-Path: <a@b>\r\nReturn-Path: <old>\r\nReceived: from x\r\n\tby y\r\nMessage-ID: <1@x>\r\n"        \
    "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nReferences: <0@x>\r\n\r\n"

static struct compose context(struct pool *pool, const char *header)
{
    return (struct compose){.pool = pool,
                            .header = header,
                            .header_len = strlen(header),
                            .owner = "fred@example.org",
                            .host = "be1.lab",
                            .now = 1000000000,
                            .id = "x1"};
}

/* The header's value, unfolded; "" where there is none. */
static const char *value(struct pool *pool, const struct buf *message, const char *name)
{
    char *found = mail_header_get(pool, message->data, message->len, name);

    return found != NULL ? found : "";
}

static void test_vacation(void)
{
    static const struct {
        const char *header, *subject, *from, *reason;
        bool mime;
        const char *subject_out, *from_out, *references, *body;
    } rows[] = {
        {HEADER, NULL, NULL, "away\nfor long", false, "=?UTF-8?B?QXV0bzogR3LDvMOfZQ==?=",
         "<fred@example.org>", "<0@x> <1@x>", "\r\n\r\naway\r\nfor long\r\n"},
        {"\r\n", NULL, NULL, "x", false, "Automated reply", "<fred@example.org>", "", "\r\n\r\nx\r\n"},
        {"Subject:   \r\n\r\n", NULL, NULL, "x", false, "Automated reply", "<fred@example.org>", "",
         "\r\n\r\nx\r\n"},
        {HEADER, "Gone\r\nBcc: x@y", "Fred <f@x.org>", "\xc3\xbc", false, "=?UTF-8?B?R29uZSAgQmNjOiB4QHk=?=",
         "\"Fred\" <f@x.org>", "<0@x> <1@x>", "base64\r\n\r\nw7wNCg==\r\n"},
        {HEADER, "s", "\xc3\x9c <f@x.org>", "Content-Type: text/html\n\n<b>", true, "s",
         "=?UTF-8?B?w5w=?= <f@x.org>", "<0@x> <1@x>",
         "MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<b>\r\n"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pool *pool = pool_new(0);
        struct compose c = context(pool, rows[i].header);
        struct sieve_action action = {.kind = SIEVE_VACATION,
                                      .address = "s@else.where",
                                      .subject = rows[i].subject,
                                      .from = rows[i].from,
                                      .mime = rows[i].mime,
                                      .reason = {rows[i].reason, strlen(rows[i].reason)}};
        struct buf m = BUF_INIT;

        compose_vacation(&c, &action, &m);
        CU_ASSERT_STRING_EQUAL(value(pool, &m, "Subject"), rows[i].subject_out);
        CU_ASSERT_STRING_EQUAL(value(pool, &m, "From"), rows[i].from_out);
        CU_ASSERT_STRING_EQUAL(value(pool, &m, "To"), "<s@else.where>");
        CU_ASSERT_STRING_EQUAL(value(pool, &m, "References"), rows[i].references);
        CU_ASSERT_STRING_EQUAL(value(pool, &m, "Message-ID"), "<x1@be1.lab>");
        CU_ASSERT_STRING_EQUAL(value(pool, &m, "Bcc"), "");
        CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&m), rows[i].body));
        buf_free(&m);
        pool_free(&pool);
    }
}

/* Long words, many references: lines stay within RFC 5322 2.1.1. */
static void test_bounds(void)
{
    struct pool *pool = pool_new(0);
    struct buf header = BUF_INIT, m = BUF_INIT, reason = BUF_INIT;
    struct sieve_action action = {.kind = SIEVE_VACATION, .address = "s@x"};
    struct buf from = BUF_INIT;
    struct compose c;
    size_t line = 0;

    buf_puts(&header, "Message-ID: <1@x>\r\nSubject: ");
    for (int i = 0; i < 3000; i++)
        buf_puts(&header, "\xc3\xbc");
    buf_puts(&header, "\r\nReferences:");
    for (int i = 0; i < 500; i++)
        buf_printf(&header, " <%d@x>\r\n", i);
    buf_puts(&header, "\r\n");
    for (int i = 0; i < 3000; i++)
        buf_putc(&reason, 'r');
    action.reason = (struct sieve_string){reason.data, reason.len};
    buf_printf(&from, "%s <f@x.org>", buf_cstr(&reason));
    action.from = buf_cstr(&from);
    c = context(pool, buf_cstr(&header));
    compose_vacation(&c, &action, &m);
    for (size_t i = 0; i < m.len; i++) {
        line = m.data[i] == '\n' ? 0 : line + 1;
        CU_ASSERT_FATAL(line <= 998);
    }
    CU_ASSERT(m.len < 18 * 1024);
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&m), " <f@x.org>\r\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(value(pool, &m, "References"), "<499@x> <1@x>"));
    buf_free(&header);
    buf_free(&reason);
    buf_free(&from);
    buf_free(&m);
    pool_free(&pool);
}

static void test_refusal(void)
{
    struct pool *pool = pool_new(0);
    struct compose c = context(pool, HEADER);
    struct buf m = BUF_INIT;

    compose_refusal(&c, "postmaster@be1.lab", "s@else.where", &(struct sieve_string){"nein, \xc3\xbc", 8},
                    &m);
    CU_ASSERT_STRING_EQUAL(value(pool, &m, "From"), "<postmaster@be1.lab>");
    CU_ASSERT_STRING_EQUAL(value(pool, &m, "Content-Type"),
                           "multipart/report; report-type=disposition-notification; boundary=\"=_x1\"");
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&m), "Final-Recipient: rfc822; fred@example.org\r\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&m), "Original-Message-ID: <1@x>\r\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&m), "\r\n--=_x1--\r\n"));
    buf_free(&m);
    pool_free(&pool);
}

static void test_mailto(void)
{
    static const struct {
        const char *uri, *to, *subject, *body;
    } rows[] = {
        {"mailto:a@b", "a@b", NULL, NULL},
        {"mailto:a@b,c@d", "a@b c@d", NULL, NULL},
        {"MAILTO:a%40b", "a@b", NULL, NULL},
        {"mailto:?to=a@b&cc=c%40d", "a@b c@d", NULL, NULL},
        {"mailto:a@b?subject=x%20y&body=l1%0D%0Al2", "a@b", "x y", "l1\r\nl2"},
        {"mailto:a@b?subject=x%0D%0ABcc:%20z@z", "a@b", "xBcc: z@z", NULL},
        {"mailto:a@b?from=z@z&auto-submitted=no&bcc=q@q", "a@b", NULL, NULL},
        {"mailto:nobody", "", NULL, NULL},
        {"mailto:a@b#?to=c@d", "a@b", NULL, NULL},
        {"mailto:a@b?to=c@d#x", "a@b c@d", NULL, NULL},
        {"mailto:a@b?subject=%", "a@b", "%", NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pool *pool = pool_new(0);
        struct buf to = BUF_INIT;
        struct mailto m;

        mailto_parse(pool, rows[i].uri, &m);
        for (size_t k = 0; k < m.count; k++)
            buf_printf(&to, "%s%s", k > 0 ? " " : "", m.to[k]);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&to), rows[i].to);
        CU_ASSERT_STRING_EQUAL(m.subject != NULL ? m.subject : "-",
                               rows[i].subject != NULL ? rows[i].subject : "-");
        CU_ASSERT_STRING_EQUAL(m.body != NULL ? m.body : "-", rows[i].body != NULL ? rows[i].body : "-");
        CU_ASSERT_PTR_NULL(m.to[m.count]);
        buf_free(&to);
        pool_free(&pool);
    }
}

static void test_return_path(void)
{
    size_t at = compose_skip_return_path(HEADER, strlen(HEADER));

    CU_ASSERT_EQUAL(strncmp(HEADER + at, "Received:", 9), 0);
    CU_ASSERT_EQUAL(compose_skip_return_path("Subject: x\r\nReturn-Path: y\r\n\r\n", 30), 0);
    CU_ASSERT_EQUAL(compose_skip_return_path("", 0), 0);
}

static void test_server(void)
{
    static const struct {
        const char *option, *server;
        unsigned port;
        struct outgoing_flags flags;
    } rows[] = {
        {"localhost", "localhost", 587, {false, false}},
        {"mx:25", "mx", 25, {false, false}},
        {"[::1]", "[::1]", 587, {false, false}},
        {"[::1]:2525", "[::1]", 2525, {false, false}},
        {"mx/tls", "mx", 587, {true, false}},
        {"mx/NOAUTH/tls/tlsx", "mx", 587, {true, true}},
        {"mx/notls/", "mx", 587, {false, false}},
        {"mx:26/noauth", "mx", 26, {false, true}},
        {"mx:0", NULL, 0, {false, false}},
        {"mx:x", NULL, 0, {false, false}},
        {"", NULL, 0, {false, false}},
        {":25", NULL, 0, {false, false}},
        {"mx:70000", NULL, 0, {false, false}},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf server = BUF_INIT;
        struct outgoing_flags flags;
        unsigned port;
        int r = outgoing_server(rows[i].option, &server, &port, &flags);

        CU_ASSERT_EQUAL(r == 0, rows[i].server != NULL);
        if (r == 0 && rows[i].server != NULL) {
            CU_ASSERT_STRING_EQUAL(buf_cstr(&server), rows[i].server);
            CU_ASSERT_EQUAL(port, rows[i].port);
            CU_ASSERT(flags.tls == rows[i].flags.tls && flags.noauth == rows[i].flags.noauth);
        }
        buf_free(&server);
    }
}

static const struct unit_case cases[] = {
    {"vacation", test_vacation},
    {"bounds", test_bounds},
    {"refusal", test_refusal},
    {"mailto", test_mailto},
    {"return path", test_return_path},
    {"server", test_server},
    {NULL, NULL},
};

const struct unit_suite sievehost_compose_suite = {"imap/sievehost/compose", cases};
