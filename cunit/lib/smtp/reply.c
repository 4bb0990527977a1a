#include "lib/smtp/reply.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/stream/stream.h"

static struct stream *pair(int *peer)
{
    int fds[2];

    BUG_ON(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0);
    *peer = fds[1];
    return stream_new(fds[0]);
}

static void test_replies(void)
{
    static const struct {
        const char *input;
        int r, code;
        const char *enhanced, *text;
    } rows[] = {
        {"250 ok\r\n", 1, 250, "", "ok"},
        {"250\r\n", 1, 250, "", ""},
        {"250 \r\n", 1, 250, "", ""},
        {"250 2.1.5 Success SESSIONID=<x>\r\n", 1, 250, "2.1.5", "Success SESSIONID=<x>"},
        {"250 2.1.5\r\n", 1, 250, "2.1.5", ""},
        {"550-Mailbox unknown.  Either there is\r\n550-none.\r\n550 5.1.1 User unknown\r\n", 1, 550, "5.1.1",
         "Mailbox unknown.  Either there is\nnone.\nUser unknown"},
        {"250-5.7.1 other class\r\n250 2.1.5.6 no\r\n", 1, 250, "", "5.7.1 other class\n2.1.5.6 no"},
        {"250 2..5 no\r\n", 1, 250, "", "2..5 no"},
        {"250 2.1.5x\r\n", 1, 250, "", "2.1.5x"},
        {"450 4.123.456 x\r\n", 1, 450, "4.123.456", "x"},
        {"354 go ahead\r\n", 1, 354, "", "go ahead"},
        {"250-one\n250 two\n", 1, 250, "", "one\ntwo"},
        {"250-one\r\n", 0, 250, "", "one"},
        {"250-one\r\n251 two\r\n", ERR_PROTOCOL, 250, "", "one"},
        {"25\r\n", ERR_PROTOCOL, 0, "", ""},
        {"\r\n", ERR_PROTOCOL, 0, "", ""},
        {"* OK hello\r\n", ERR_PROTOCOL, 0, "", ""},
        {"150 x\r\n", ERR_PROTOCOL, 0, "", ""},
        {"600 x\r\n", ERR_PROTOCOL, 0, "", ""},
        {"250x\r\n", ERR_PROTOCOL, 0, "", ""},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct smtp_reply reply;
        int peer, r = 0;
        struct stream *s = pair(&peer);

        smtp_reply_init(&reply);
        for (const char *p = rows[i].input; *p != '\0' && r == 0; p++) {
            CU_ASSERT_EQUAL(write(peer, p, 1), 1);
            CU_ASSERT_EQUAL(stream_fill(s), 1);
            r = smtp_reply_read(&reply, s);
        }
        CU_ASSERT_EQUAL(r, rows[i].r);
        CU_ASSERT_EQUAL(reply.code, rows[i].code);
        CU_ASSERT_STRING_EQUAL(reply.enhanced, rows[i].enhanced);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&reply.text), rows[i].text);
        smtp_reply_free(&reply);
        stream_free(&s);
        close(peer);
    }
}

/* Lines, and replies, have an end. */
static void test_bounds(void)
{
    char line[1002] = "250-";
    struct smtp_reply reply;
    int peer, r = 0;
    struct stream *s = pair(&peer);

    smtp_reply_init(&reply);
    memset(line + 4, 'x', 996);
    line[1000] = '\r';
    line[1001] = '\n';
    for (int i = 0; i < 40 && r == 0; i++) {
        CU_ASSERT_EQUAL(write(peer, line, sizeof(line)), sizeof(line));
        CU_ASSERT(stream_fill(s) > 0);
        r = smtp_reply_read(&reply, s);
    }
    CU_ASSERT_EQUAL(r, ERR_TOOBIG);
    CU_ASSERT(reply.text.len <= SMTP_REPLY_MAX);
    CU_ASSERT_EQUAL(write(peer, line, 1000), 1000);
    CU_ASSERT_EQUAL(write(peer, line, 1000), 1000);
    CU_ASSERT_EQUAL(write(peer, line, 1000), 1000);
    stream_fill(s);
    CU_ASSERT_EQUAL(smtp_reply_read(&reply, s), ERR_TOOBIG);
    smtp_reply_free(&reply);
    stream_free(&s);
    close(peer);
}

static void test_caps(void)
{
    struct smtp_caps caps;

    smtp_caps_parse(&caps, "8BITMIME\nENHANCEDSTATUSCODES\nSIZE 1000\nAUTH PLAIN LOGIN\nIGNOREQUOTA\nOk");
    CU_ASSERT(!caps.pipelining);
    CU_ASSERT(caps.eightbitmime && caps.enhanced && caps.size && caps.auth_param && caps.ignorequota &&
              !caps.starttls && !caps.smtputf8);
    CU_ASSERT_EQUAL(caps.size_max, 1000);
    smtp_caps_parse(&caps, "pipelining\nSIZE\nSIZES 7\nAUTH=PLAIN\nstarttls\nsmtputf8");
    CU_ASSERT(caps.pipelining && caps.size && caps.auth_param && caps.starttls && caps.smtputf8 &&
              !caps.eightbitmime);
    CU_ASSERT_EQUAL(caps.size_max, 0);
    CU_ASSERT(!caps.chunking && !caps.binarymime);
    smtp_caps_parse(&caps, "CHUNKING\nBINARYMIME");
    CU_ASSERT(caps.chunking && caps.binarymime);
    smtp_caps_parse(&caps, "");
    CU_ASSERT(!caps.pipelining && !caps.size);
}

static const struct unit_case cases[] = {
    {"replies", test_replies},
    {"bounds", test_bounds},
    {"capabilities", test_caps},
    {NULL, NULL},
};

extern const struct unit_suite reply_suite;
const struct unit_suite reply_suite = {"reply", cases};
