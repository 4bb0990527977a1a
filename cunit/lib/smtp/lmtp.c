/* Whole transactions with a scripted server at the other end of a socket pair. */
#include "lib/smtp/lmtp.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cunit/unit.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/stream/stream.h"

/* A script is a list of steps: "<text" waits for exactly these bytes, ">text" sends. */
struct server {
    int fd;
    const char *const *script;
    struct buf in;
    size_t sent;   /* bytes of the current ">" */
    size_t step;   /* bytes a round */
    bool mismatch; /* it got other bytes than it expected */
};

/* One round.  False at the script's end, or after a mismatch. */
static bool serve(struct server *v)
{
    const char *text = *v->script;
    char piece[4096];
    ssize_t k;
    size_t n;

    while ((k = read(v->fd, piece, sizeof(piece))) > 0)
        buf_append(&v->in, piece, (size_t)k);
    if (text == NULL || v->mismatch)
        return false;
    n = strlen(text + 1);
    if (text[0] == '<') {
        size_t have = v->in.len < n ? v->in.len : n;

        v->mismatch = have > 0 && memcmp(v->in.data, text + 1, have) != 0;
        if (v->mismatch)
            printf("\n    expected \"%s\"\n    got \"%s\"\n", text + 1, buf_cstr(&v->in));
        if (v->in.len < n || v->mismatch)
            return !v->mismatch;
        buf_consume(&v->in, n);
    } else {
        k = send(v->fd, text + 1 + v->sent, n - v->sent < v->step ? n - v->sent : v->step, MSG_NOSIGNAL);
        v->sent += k > 0 ? (size_t)k : 0;
        if (v->sent < n)
            return true;
        v->sent = 0;
    }
    v->script++;
    return true;
}

struct source {
    const char *text;
    size_t n;
    int fail_at; /* an error instead of the piece at this offset; 0: never */
};

static ssize_t read_source(void *context, int64_t offset, void *to, size_t n)
{
    const struct source *s = context;

    if (s->fail_at > 0 && offset >= s->fail_at)
        return ERR_IO;
    if (n > 5)
        n = 5 + (size_t)offset % 1000; /* pieces of all sizes */
    if (n > s->n - (size_t)offset)
        n = s->n - (size_t)offset;
    if (n > 8192)
        n = 8192;
    memcpy(to, s->text + offset, n);
    return (ssize_t)n;
}

/* Steps the client and the server until the client has a verdict; the server closes at its
 * script's end. */
static int run(struct lmtp *c, struct server *v)
{
    int r, idle = 0;

    while ((r = lmtp_step(c)) > 0) {
        bool goes_on = serve(v);

        if (!goes_on && v->fd >= 0 && *v->script == NULL && r == LMTP_WAIT && idle++ > 2) {
            close(v->fd);
            v->fd = -1;
        }
        CU_ASSERT_FATAL(idle < 10000);
        if (v->mismatch)
            return ERR_INTERNAL;
    }
    for (int i = 0; i < 1000 && v->fd >= 0 && serve(v); i++)
        ;
    return r;
}

static struct stream *open_server(struct server *v, const char *const *script, size_t step)
{
    int fds[2];

    BUG_ON(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0);
    fcntl(fds[1], F_SETFL, O_NONBLOCK);
    *v = (struct server){.fd = fds[1], .script = script, .step = step};
    return stream_new(fds[0]);
}

static void close_server(struct server *v)
{
    if (v->fd >= 0)
        close(v->fd);
    buf_free(&v->in);
}

#define TEXT    "Subject: x\r\n\r\n.dot\r\n..two\r\nend\r\n"
#define STUFFED "Subject: x\r\n\r\n..dot\r\n...two\r\nend\r\n.\r\n"

static const struct smtp_caps all = {.pipelining = true,
                                     .eightbitmime = true,
                                     .enhanced = true,
                                     .starttls = true,
                                     .ignorequota = true,
                                     .auth_param = true,
                                     .smtputf8 = true,
                                     .size = true};
static const struct smtp_caps none = {0}, ours = {.xorcpt = true}, smtp = {0},
                              counted = {.chunking = true, .binarymime = true};

static const struct {
    const char *what;
    const struct smtp_caps *caps; /* NULL: the client says LHLO */
    const char *from, *text;
    const char *rcpts[4];
    int r;
    int codes[4];
    const char *enhanced[4];
    const char *script[24];
} dialogues[] = {
    {"SMTP: one reply, for those who were not refused",
     &smtp,
     "s",
     TEXT,
     {"a", "b", "c"},
     0,
     {250, 550, 250},
     {"2.0.0", "", "2.0.0"},
     {"<MAIL FROM:<s>\r\n", ">250 x\r\n", "<RCPT TO:<a>\r\n", ">250 a\r\n", "<RCPT TO:<b>\r\n", ">550 b\r\n",
      "<RCPT TO:<c>\r\n", ">250 c\r\n", "<DATA\r\n", ">354 go\r\n", "<" STUFFED, ">250 2.0.0 queued\r\n"}},
    {"SMTP: refused as a whole",
     &smtp,
     "s",
     TEXT,
     {"a", "b"},
     0,
     {554, 554},
     {"5.7.1", "5.7.1"},
     {"<MAIL FROM:<s>\r\n", ">250 x\r\n", "<RCPT TO:<a>\r\n", ">250 a\r\n", "<RCPT TO:<b>\r\n", ">250 b\r\n",
      "<DATA\r\n", ">354 go\r\n", "<" STUFFED, ">554 5.7.1 spam\r\n"}},
    {"ORCPT to who announces it",
     &ours,
     "s",
     TEXT,
     {"a@internal"},
     0,
     {250},
     {""},
     {"<MAIL FROM:<s>\r\n", ">250 x\r\n", "<RCPT TO:<a@internal> ORCPT=rfc822;a+2Bb@x\r\n", ">250 a\r\n",
      "<DATA\r\n", ">354 go\r\n", "<" STUFFED, ">250 ok\r\n"}},
    {"everything announced",
     &all,
     "sender@example.org",
     TEXT,
     {"user1@internal", "user2@internal"},
     0,
     {250, 250},
     {"2.1.5", "2.1.5"},
     {"<MAIL FROM:<sender@example.org> SIZE=77 BODY=8BITMIME SMTPUTF8 AUTH=<>\r\nRCPT TO:<user1@internal> "
      "IGNOREQUOTA\r\n"
      "RCPT TO:<user2@internal> IGNOREQUOTA\r\n",
      ">250 2.1.0 ok\r\n250 2.1.5 ok\r\n250 2.1.5 ok\r\n", "<DATA\r\n", ">354 go ahead\r\n", "<" STUFFED,
      ">250 2.1.5 Success\r\n250 2.1.5 Success\r\n"}},
    {"nothing announced",
     &none,
     "",
     TEXT,
     {"a", "b"},
     0,
     {250, 452},
     {"", "4.2.2"},
     {"<MAIL FROM:<>\r\n", ">250 ok\r\n", "<RCPT TO:<a>\r\n", ">250 ok\r\n", "<RCPT TO:<b>\r\n",
      ">250-very\r\n250 ok\r\n", "<DATA\r\n", ">354 go\r\n", "<" STUFFED,
      ">250 a\r\n452-4.2.2 no\r\n452 room\r\n"}},
    {"LHLO",
     NULL,
     "s",
     TEXT,
     {"a"},
     0,
     {250},
     {""},
     {">220-be1\r\n220 ready\r\n", "<LHLO me\r\n", ">250-be1\r\n250-SIZE\r\n250 PIPELINING\r\n",
      "<MAIL FROM:<s> SIZE=77\r\nRCPT TO:<a>\r\n", ">250 x\r\n250 y\r\n", "<DATA\r\n", ">354 go\r\n",
      "<" STUFFED, ">250 z\r\n"}},
    {"some refused",
     &all,
     "s",
     TEXT,
     {"a", "b", "c"},
     0,
     {550, 250, 451},
     {"5.1.1", "", "4.3.0"},
     {"<MAIL FROM:<s> SIZE=77 BODY=8BITMIME SMTPUTF8 AUTH=<>\r\nRCPT TO:<a> IGNOREQUOTA\r\nRCPT TO:<b> "
      "IGNOREQUOTA\r\n"
      "RCPT TO:<c> IGNOREQUOTA\r\n",
      ">250 x\r\n550-no\r\n550 5.1.1 such user\r\n250 b\r\n250 c\r\n", "<DATA\r\n", ">354 go\r\n",
      "<" STUFFED, ">250 b\r\n451 4.3.0 c\r\n"}},
    {"all refused",
     &none,
     "s",
     TEXT,
     {"a", "b"},
     0,
     {550, 450},
     {"", ""},
     {"<MAIL FROM:<s>\r\n", ">250 x\r\n", "<RCPT TO:<a>\r\n", ">550 a\r\n", "<RCPT TO:<b>\r\n",
      ">450 b\r\n"}},
    {"MAIL refused, pipelined",
     &all,
     "s",
     TEXT,
     {"a", "b"},
     0,
     {501, 501},
     {"5.1.7", "5.1.7"},
     {"<MAIL FROM:<s> SIZE=77 BODY=8BITMIME SMTPUTF8 AUTH=<>\r\nRCPT TO:<a> IGNOREQUOTA\r\nRCPT TO:<b> "
      "IGNOREQUOTA\r\n",
      ">501 5.1.7 bad\r\n503 no\r\n503 no\r\n"}},
    {"MAIL refused",
     &none,
     "s",
     TEXT,
     {"a", "b"},
     0,
     {452, 452},
     {"", ""},
     {"<MAIL FROM:<s>\r\n", ">452 full\r\n"}},
    {"DATA refused",
     &none,
     "s",
     TEXT,
     {"a", "b"},
     0,
     {451, 550},
     {"", ""},
     {"<MAIL FROM:<s>\r\n", ">250 x\r\n", "<RCPT TO:<a>\r\n", ">250 a\r\n", "<RCPT TO:<b>\r\n", ">550 b\r\n",
      "<DATA\r\n", ">451 no\r\n"}},
    {"no CRLF at the end",
     &none,
     "s",
     "a\r\nb",
     {"a"},
     0,
     {250},
     {""},
     {"<MAIL FROM:<s>\r\n", ">250 x\r\n", "<RCPT TO:<a>\r\n", ">250 a\r\n", "<DATA\r\n", ">354 go\r\n",
      "<a\r\nb\r\n.\r\n", ">250 z\r\n"}},
    {"empty",
     &none,
     "s",
     "",
     {"a"},
     0,
     {250},
     {""},
     {"<MAIL FROM:<s>\r\n", ">250 x\r\n", "<RCPT TO:<a>\r\n", ">250 a\r\n", "<DATA\r\n", ">354 go\r\n",
      "<.\r\n", ">250 z\r\n"}},
    {"a bare LF makes no end",
     &none,
     "s",
     "a\n.\nb\r\n.\r\n",
     {"a"},
     0,
     {250},
     {""},
     {"<MAIL FROM:<s>\r\n", ">250 x\r\n", "<RCPT TO:<a>\r\n", ">250 a\r\n", "<DATA\r\n", ">354 go\r\n",
      "<a\n..\nb\r\n..\r\n.\r\n", ">250 z\r\n"}},
    {"by BDAT",
     &counted,
     "s",
     "a\n.\r\r\n.\r\n.",
     {"a", "b", "c"},
     0,
     {250, 550, 452},
     {"", "", "4.2.2"},
     {"<MAIL FROM:<s> BODY=BINARYMIME\r\n", ">250 x\r\n", "<RCPT TO:<a>\r\n", ">250 a\r\n",
      "<RCPT TO:<b>\r\n", ">550 b\r\n", "<RCPT TO:<c>\r\n", ">250 c\r\n", "<BDAT 10 LAST\r\na\n.\r\r\n.\r\n.",
      ">250 z\r\n452 4.2.2 full\r\n"}},
    {"an empty one by BDAT",
     &counted,
     "s",
     "",
     {"a"},
     0,
     {250},
     {""},
     {"<MAIL FROM:<s> BODY=BINARYMIME\r\n", ">250 x\r\n", "<RCPT TO:<a>\r\n", ">250 a\r\n",
      "<BDAT 0 LAST\r\n", ">250 z\r\n"}},
    {"no BDAT without a recipient",
     &counted,
     "s",
     TEXT,
     {"a"},
     0,
     {550},
     {""},
     {"<MAIL FROM:<s> BODY=BINARYMIME\r\n", ">250 x\r\n", "<RCPT TO:<a>\r\n", ">550 a\r\n"}},
    {"421 in between",
     &none,
     "s",
     TEXT,
     {"a", "b"},
     ERR_UNAVAILABLE,
     {550, 421},
     {"", "4.3.2"},
     {"<MAIL FROM:<s>\r\n", ">250 x\r\n", "<RCPT TO:<a>\r\n", ">550 a\r\n", "<RCPT TO:<b>\r\n",
      ">421 4.3.2 going down\r\n"}},
    {"a refusal at the door is temporary",
     NULL,
     "s",
     TEXT,
     {"a"},
     ERR_UNAVAILABLE,
     {451},
     {"4.4.0"},
     {">554 go away\r\n"}},
    {"lost after a 550",
     &none,
     "s",
     TEXT,
     {"a", "b"},
     ERR_EOF,
     {550, 451},
     {"", "4.4.2"},
     {"<MAIL FROM:<s>\r\n", ">250 x\r\n", "<RCPT TO:<a>\r\n", ">550 a\r\n"}},
    {"lost between the last replies",
     &none,
     "s",
     TEXT,
     {"a", "b"},
     ERR_EOF,
     {250, 451},
     {"", "4.4.2"},
     {"<MAIL FROM:<s>\r\n", ">250 x\r\n", "<RCPT TO:<a>\r\n", ">250 a\r\n", "<RCPT TO:<b>\r\n", ">250 b\r\n",
      "<DATA\r\n", ">354 go\r\n", "<" STUFFED, ">250 z\r\n550-half a re"}},
    {"nonsense",
     &none,
     "s",
     TEXT,
     {"a"},
     ERR_PROTOCOL,
     {451},
     {"4.4.2"},
     {"<MAIL FROM:<s>\r\n", ">hello\r\n"}},
    {"answers ahead of commands",
     &none,
     "s",
     TEXT,
     {"a"},
     ERR_PROTOCOL,
     {451},
     {"4.4.0"},
     {"<MAIL FROM:<s>\r\n", ">250 x\r\n250 y\r\n250 z\r\n"}},
    {"250 to DATA",
     &none,
     "s",
     TEXT,
     {"a"},
     ERR_PROTOCOL,
     {451},
     {"4.4.0"},
     {"<MAIL FROM:<s>\r\n", ">250 x\r\n", "<RCPT TO:<a>\r\n", ">250 a\r\n", "<DATA\r\n", ">250 go\r\n"}},
};

static unsigned give(struct lmtp *c, size_t i, struct source *source)
{
    struct lmtp_message m = {.from = dialogues[i].from,
                             .body_8bit = true,
                             .utf8 = true,
                             .auth_empty = true,
                             .ignore_quota = true,
                             .one_reply = dialogues[i].caps == &smtp,
                             .chunked = true,
                             .binary = dialogues[i].caps == &counted,
                             .size = dialogues[i].caps == &counted ? strlen(dialogues[i].text) : 77,
                             .read = read_source,
                             .context = source,
                             .step_ms = 60000};
    unsigned n;

    *source = (struct source){.text = dialogues[i].text, .n = strlen(dialogues[i].text)};
    CU_ASSERT_EQUAL(lmtp_begin(c, &m), 0);
    for (n = 0; n < 4 && dialogues[i].rcpts[n] != NULL; n++)
        CU_ASSERT_EQUAL(lmtp_rcpt_from(c, dialogues[i].rcpts[n], n == 0 ? "a+b@x" : NULL), (int)n);
    return n;
}

static void run_dialogue(size_t i, size_t step)
{
    struct server v;
    struct source source;
    struct stream *s = open_server(&v, dialogues[i].script, step);
    struct lmtp *c = lmtp_new(s, dialogues[i].caps, "me");
    unsigned n = give(c, i, &source);
    int r = run(c, &v);

    if (r != dialogues[i].r || *v.script != NULL)
        printf("\n    %s: %d, then \"%s\"\n", dialogues[i].what, r, *v.script != NULL ? *v.script : "");
    CU_ASSERT_EQUAL(r, dialogues[i].r);
    CU_ASSERT(!v.mismatch && (r != 0 || v.in.len == 0) && *v.script == NULL);
    for (unsigned k = 0; k < n && !v.mismatch; k++) {
        struct lmtp_result result = lmtp_result_get(c, k);

        CU_ASSERT_EQUAL(result.code, dialogues[i].codes[k]);
        CU_ASSERT_STRING_EQUAL(result.enhanced, dialogues[i].enhanced[k]);
        CU_ASSERT_EQUAL(result.accepted, dialogues[i].codes[k] == 250);
        CU_ASSERT_STRING_NOT_EQUAL(result.text, "");
    }
    lmtp_free(&c);
    stream_free(&s);
    close_server(&v);
}

static void test_dialogues(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(dialogues); i++) {
        run_dialogue(i, 1);
        run_dialogue(i, 10000);
    }
}

/* The server leaves after each step of a good transaction: all recipients have a temporary reply, but
 * those whose own had come. */
static void test_dying_server(void)
{
    for (size_t i = 0; i < 4; i++) {
        for (size_t n = 0; dialogues[i].script[n + 1] != NULL; n++) {
            const char *cut[24] = {NULL};
            struct server v;
            struct source source;
            struct stream *s;
            struct lmtp *c;
            unsigned rcpts;
            int r;

            memcpy(cut, dialogues[i].script, n * sizeof(cut[0]));
            s = open_server(&v, cut, 10000);
            c = lmtp_new(s, dialogues[i].caps, "me");
            rcpts = give(c, i, &source);
            r = run(c, &v);
            CU_ASSERT(r == ERR_EOF || r == ERR_IO);
            CU_ASSERT_EQUAL(lmtp_step(c), r);
            for (unsigned k = 0; k < rcpts; k++) {
                struct lmtp_result result = lmtp_result_get(c, k);

                CU_ASSERT(!result.accepted && (result.code == 451 || result.code == dialogues[i].codes[k]));
            }
            lmtp_free(&c);
            stream_free(&s);
            close_server(&v);
        }
    }
}

/* A second transaction on the connection begins with RSET. */
static void test_reuse(void)
{
    static const char *const script[] = {"<MAIL FROM:<s>\r\n",
                                         ">250 x\r\n",
                                         "<RCPT TO:<a>\r\n",
                                         ">550 a\r\n",
                                         "<RSET\r\n",
                                         ">250 ok\r\n",
                                         "<MAIL FROM:<s>\r\n",
                                         ">250 x\r\n",
                                         "<RCPT TO:<a>\r\n",
                                         ">250 a\r\n",
                                         "<DATA\r\n",
                                         ">354 go\r\n",
                                         "<.\r\n",
                                         ">250 2.1.5 there\r\n",
                                         "<RSET\r\n",
                                         ">500 what\r\n",
                                         NULL};
    struct server v;
    struct source source = {.text = "", .n = 0};
    struct stream *s = open_server(&v, script, 3);
    struct lmtp *c = lmtp_new(s, &none, NULL);
    struct lmtp_message m = {.from = "s", .read = read_source, .context = &source, .step_ms = 60000};
    static const int verdicts[] = {0, 0, ERR_UNAVAILABLE, ERR_UNAVAILABLE}, codes[] = {550, 250, 451, 451};

    for (int i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(lmtp_begin(c, &m), 0);
        CU_ASSERT_EQUAL(lmtp_rcpt(c, "a"), 0);
        CU_ASSERT_EQUAL(run(c, &v), verdicts[i]);
        CU_ASSERT_EQUAL(lmtp_result_get(c, 0).code, codes[i]);
    }
    lmtp_free(&c);
    stream_free(&s);
    close_server(&v);
}

static void test_input_checks(void)
{
    struct server v;
    struct stream *s = open_server(&v, NULL, 1);
    struct lmtp *c = lmtp_new(s, &none, NULL);

    CU_ASSERT_EQUAL(lmtp_begin(c, &(struct lmtp_message){.from = "a>\r\nDATA"}), ERR_INVALID);
    CU_ASSERT_EQUAL(lmtp_begin(c, &(struct lmtp_message){.from = "a", .step_ms = 1}), 0);
    CU_ASSERT_EQUAL(lmtp_rcpt(c, "b\nRSET"), ERR_INVALID);
    for (int i = 0; i < LMTP_RCPTS_MAX; i++)
        CU_ASSERT_EQUAL(lmtp_rcpt(c, "b"), i);
    CU_ASSERT_EQUAL(lmtp_rcpt(c, "b"), ERR_LIMIT);
    lmtp_free(&c);
    stream_free(&s);
    close_server(&v);
}

static void test_silence(void)
{
    static const char *const script[] = {"<MAIL FROM:<s>\r\n", ">250-x\r\n", NULL};
    struct server v;
    struct source source = {.text = "", .n = 0};
    struct stream *s = open_server(&v, script, 100);
    struct lmtp *c = lmtp_new(s, &none, NULL);
    int64_t began = clock_ms();
    int r;

    lmtp_begin(c,
               &(struct lmtp_message){.from = "s", .read = read_source, .context = &source, .step_ms = 40});
    lmtp_rcpt(c, "a");
    while ((r = lmtp_step(c)) > 0) {
        struct pollfd p = {.fd = stream_fd(s), .events = (short)lmtp_events(c)};

        if (*v.script != NULL)
            serve(&v);
        else
            poll(&p, 1, clock_left(lmtp_deadline(c)));
    }
    CU_ASSERT_EQUAL(r, ERR_TIMEOUT);
    CU_ASSERT(clock_ms() - began >= 39 && clock_ms() - began < 30000);
    CU_ASSERT_EQUAL(lmtp_result_get(c, 0).code, 451);
    CU_ASSERT_STRING_EQUAL(lmtp_result_get(c, 0).text, "no answer in time");
    lmtp_free(&c);
    stream_free(&s);
    close_server(&v);
}

/* A large body to a server that takes it slowly; one whose source fails: no final dot is sent. */
static void test_body(void)
{
    enum { SIZE = 1500000 };
    static const char *const script[] = {
        "<MAIL FROM:<s>\r\n", ">250 x\r\n", "<RCPT TO:<a>\r\n", ">250 a\r\n", "<DATA\r\n",
        ">354 go\r\n",        NULL};
    char *text = xmalloc(SIZE);

    for (int i = 0; i < SIZE; i++)
        text[i] = i % 70 == 68 ? '\r' : i % 70 == 69 ? '\n' : i % 70 == 0 && i % 3 == 0 ? '.' : 'x';
    for (int fails = 0; fails < 2; fails++) {
        struct server v;
        struct source source = {.text = text, .n = SIZE, .fail_at = fails ? SIZE / 2 : 0};
        struct stream *s = open_server(&v, script, 100);
        struct lmtp *c = lmtp_new(s, &none, NULL);
        size_t dots = 0, want = 0;
        int r;

        lmtp_begin(c, &(struct lmtp_message){
                          .from = "s", .read = read_source, .context = &source, .step_ms = 60000});
        lmtp_rcpt(c, "a");
        while ((r = lmtp_step(c)) > 0) {
            CU_ASSERT(stream_unsent(s) < STREAM_OUT_HIGH + 2 * 8192 + 100);
            serve(&v);
            if (v.in.len >= 3 && memcmp(v.in.data + v.in.len - 3, ".\r\n", 3) == 0 &&
                v.in.data[v.in.len - 4] == '\n' && v.in.len > SIZE)
                CU_ASSERT_EQUAL(write(v.fd, "250 ok\r\n", 8), 8);
        }
        CU_ASSERT_EQUAL(r, fails ? ERR_IO : 0);
        CU_ASSERT_EQUAL(lmtp_result_get(c, 0).accepted, !fails);
        for (size_t i = 0; i + 1 < v.in.len; i++)
            dots += v.in.data[i] == '.' && v.in.data[i + 1] == '.';
        for (int i = 0; i < SIZE; i++)
            want += text[i] == '.';
        if (fails) {
            CU_ASSERT(v.in.len < SIZE && strstr(buf_cstr(&v.in), "\r\n.\r\n") == NULL);
        } else {
            CU_ASSERT(dots == want && v.in.len > SIZE + want);
        }
        lmtp_free(&c);
        stream_free(&s);
        close_server(&v);
    }
    free(text);
}

/* A source that ends before its time, or fails: the server is left in the middle of the piece. */
static void test_broken_chunk(void)
{
    static const char *const script[] = {"<MAIL FROM:<s> BODY=BINARYMIME\r\n", ">250 x\r\n",
                                         "<RCPT TO:<a>\r\n", ">250 a\r\n", NULL};

    for (int fails = 0; fails < 2; fails++) {
        struct server v;
        struct source source = {.text = TEXT, .n = strlen(TEXT), .fail_at = fails ? 5 : 0};
        struct stream *s = open_server(&v, script, 100);
        struct lmtp *c = lmtp_new(s, &counted, NULL);

        lmtp_begin(c, &(struct lmtp_message){.from = "s",
                                             .read = read_source,
                                             .context = &source,
                                             .chunked = true,
                                             .binary = true,
                                             .size = strlen(TEXT) + 1,
                                             .step_ms = 60000});
        lmtp_rcpt(c, "a");
        CU_ASSERT_EQUAL(run(c, &v), ERR_IO);
        CU_ASSERT_EQUAL(lmtp_result_get(c, 0).code, 451);
        lmtp_free(&c);
        stream_free(&s);
        close_server(&v);
    }
}

static void test_quit(void)
{
    static const char *const script[] = {"<QUIT\r\n", NULL};
    struct server v;
    struct stream *s = open_server(&v, script, 100);
    struct lmtp *c = lmtp_new(s, &none, NULL);

    lmtp_quit(c);
    CU_ASSERT(serve(&v) && *v.script == NULL);
    lmtp_free(&c);
    stream_free(&s);
    close_server(&v);
}

static const struct unit_case cases[] = {
    {"dialogues", test_dialogues},
    {"a server that dies", test_dying_server},
    {"one connection, several transactions", test_reuse},
    {"input is checked", test_input_checks},
    {"silence", test_silence},
    {"large and broken bodies", test_body},
    {"a piece that is not what was said", test_broken_chunk},
    {"QUIT", test_quit},
    {NULL, NULL},
};

extern const struct unit_suite lmtp_suite;
const struct unit_suite lmtp_suite = {"lmtp", cases};
