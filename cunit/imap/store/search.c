#include "imap/store/search.h"

#include <stdlib.h>
#include <string.h>

#include "cunit/imap/store/fixture.h"
#include "cunit/unit.h"
#include "imap/store/mailbox-private.h"
#include "imap/store/message.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/mail/date.h"

static struct fixture f;

static const char *const texts[] = {
    "Date: Sat, 21 Nov 2026 23:30:00 -0500\r\nFrom: =?utf-8?q?Fr=C3=A9d?= <fred@example.com>\r\n"
    "Subject: Budget\r\nX-Odd: strange\r\n\r\nplain text about money\r\n",
    "Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nFrom: mary@example.com\r\nSubject: lunch\r\n"
    "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    "caf=E9 at no=\r\non\r\n",
    "From: bob@example.com\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\naGlkZGVuIHRyZWFzdXJl\r\n--b\r\n"
    "Content-Type: image/png\r\n\r\ncarrot money\r\n--b--\r\n",
};

static void append_texts(struct mailbox *m)
{
    static const uint32_t flags[] = {RECORD_SEEN, RECORD_FLAGGED, RECORD_SEEN | RECORD_ANSWERED};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct append_message how = {.system = flags[i],
                                     .internal_date = 1795300000 + (int64_t)i * 86400,
                                     .internal_zone = 60,
                                     .has_internal_date = true};
        struct stage *s = fixture_stage(&f, "one", texts[i]);
        struct append *a;

        append_begin(m, NULL, &a);
        CU_ASSERT_EQUAL(append_add(a, &s, &how), 0);
        CU_ASSERT_EQUAL(append_commit(&a, QUOTA_STRICT, NULL), 0);
    }
}

/* The hits of a program, as a sequence set. */
static void check(struct view *view, struct search_node *program, const char *expected)
{
    struct uid_set hits = UID_SET_INIT;
    struct buf text = BUF_INIT;
    struct search *s;
    int r;

    CU_ASSERT_EQUAL_FATAL(search_begin(view, program, &s), 0);
    while ((r = search_step(s, 1, false, &hits)) == 1)
        ;
    CU_ASSERT_EQUAL(r, 0);
    search_end(&s);
    uid_set_format(&hits, &text);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&text), expected);
    uid_set_free(&hits);
    buf_free(&text);
}

static void test_keys(void)
{
    static const struct {
        struct search_node node;
        const char *expected;
    } rows[] = {
        {{.op = SEARCH_ALL}, "1:3"},
        {{.op = SEARCH_FLAG, .number = RECORD_SEEN}, "1,3"},
        {{.op = SEARCH_KEYWORD, .text = "$LAB"}, "2"},
        {{.op = SEARCH_KEYWORD, .text = "$none"}, ""},
        {{.op = SEARCH_LARGER, .number = 200}, "3"},
        {{.op = SEARCH_SMALLER, .number = 200}, "1:2"},
        {{.op = SEARCH_HEADER, .name = "from", .text = "FRÉD"}, "1"},
        {{.op = SEARCH_HEADER, .name = "Subject", .text = ""}, "1:2"},
        {{.op = SEARCH_HEADER, .name = "subject", .text = "UNC"}, "2"},
        {{.op = SEARCH_HEADER, .name = "X-Odd", .text = "range"}, "1"}, /* not in the cache */
        {{.op = SEARCH_HEADER, .name = "X-Odd", .text = "fred"}, ""},
        {{.op = SEARCH_BODY, .text = "MONEY"}, "1"}, /* the image is not text */
        {{.op = SEARCH_BODY, .text = "CAFÉ"}, "2"},
        {{.op = SEARCH_BODY, .text = "noon"}, "2"},
        {{.op = SEARCH_BODY, .text = "hidden treasure"}, "3"},
        {{.op = SEARCH_BODY, .text = "lunch"}, ""},
        {{.op = SEARCH_TEXT, .text = "lunch"}, "2"},
        {{.op = SEARCH_TEXT, .text = "example.com"}, "1:3"},
        {{.op = SEARCH_MODSEQ, .number = 4}, "2:3"}, /* 2 has got a keyword since */
        {{.op = SEARCH_RECENT}, "1:3"},
    };
    struct mailbox *m;
    struct view *view;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    append_texts(m);
    view = fixture_view(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(fixture_store(view, 2, FLAGS_ADD, 0, "$lab"), 0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct search_node node = rows[i].node;

        check(view, &node, rows[i].expected);
    }
    view_close(&view);
    mailbox_close(&m);
    fixture_end(&f);
}

static void test_dates(void)
{
    static const struct {
        enum search_op op;
        const char *day, *expected;
    } rows[] = {
        /* the day as written, whatever the zone: 21 Nov 23:30 -0500 is the 21st */
        {SEARCH_SENTON, "21-Nov-2026", "1"},      {SEARCH_SENTBEFORE, "22-Nov-2026", "1"},
        {SEARCH_SENTSINCE, "22-Nov-2026", "2:3"}, {SEARCH_ON, "21-Nov-2026", "1"},
        {SEARCH_ON, "22-Nov-2026", "2"},          {SEARCH_BEFORE, "23-Nov-2026", "1:2"},
        {SEARCH_SINCE, "23-Nov-2026", "3"},
    };
    struct mailbox *m;
    struct view *view;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    append_texts(m);
    view = fixture_view(&f, FIXTURE_ID);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct search_node node = {.op = rows[i].op};

        CU_ASSERT_EQUAL(mail_date_day_parse(rows[i].day, strlen(rows[i].day), &node.day), 0);
        check(view, &node, rows[i].expected);
    }
    view_close(&view);
    mailbox_close(&m);
    fixture_end(&f);
}

static void test_trees(void)
{
    struct search_node body, seen, uids, both, no;
    struct mailbox *m;
    struct view *view;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    append_texts(m);
    view = fixture_view(&f, FIXTURE_ID);
    body = (struct search_node){.op = SEARCH_BODY, .text = "treasure"};
    seen = (struct search_node){.op = SEARCH_FLAG, .number = RECORD_SEEN, .next = NULL};
    body.next = &seen;
    both = (struct search_node){.op = SEARCH_AND, .children = &body};
    check(view, &both, "3");
    CU_ASSERT_PTR_EQUAL(both.children, &seen); /* the cheap one first */
    both.op = SEARCH_OR;
    check(view, &both, "1,3");
    no = (struct search_node){.op = SEARCH_NOT, .children = &both};
    check(view, &no, "2");
    uids = (struct search_node){.op = SEARCH_UIDS};
    uid_set_add(&uids.set, 2, 4000000000u);
    check(view, &uids, "2:3");
    no.children = &uids;
    check(view, &no, "1"); /* the bounds of a set under NOT bound nothing */
    uids.op = SEARCH_SEQS;
    check(view, &uids, "2:3");
    uid_set_free(&uids.set);
    check(view, &uids, "");
    both = (struct search_node){.op = SEARCH_AND};
    check(view, &both, "1:3");
    view_close(&view);
    mailbox_close(&m);
    fixture_end(&f);
}

/* A batch gives what single messages give, whatever the order and gaps of the cache. */
static void test_batch(void)
{
    struct mailbox_record records[50];
    uint32_t numbers[50];
    struct message_batch *batch;
    struct mailbox *m;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    fixture_append(m, 0, 50, 0);
    CU_ASSERT_EQUAL(mailbox_read_records(m, 0, 50, records), 0);
    records[7].cache_offset = 5;         /* no such place */
    records[20].cache_size = 0xffffffff; /* too much */
    records[30].cache_offset += 3;       /* wrong */
    for (uint32_t i = 0; i < 50; i++)
        numbers[i] = i;
    CU_ASSERT_EQUAL(message_batch_open(m, records, numbers, 50, &batch), 0);
    for (uint32_t i = 0; i < 50; i++) {
        const char *data;
        char want[64];
        size_t len;

        for (int item = 0; item < CACHE_ITEMS; item++)
            CU_ASSERT_EQUAL(message_item(message_batch_get(batch, i), (enum cache_item)item, &data, &len), 0);
        CU_ASSERT_EQUAL(message_item(message_batch_get(batch, i), CACHE_ENVELOPE, &data, &len), 0);
        snprintf(want, sizeof(want), "\"message %u\"", i);
        CU_ASSERT(memmem(data, len, want, strlen(want)) != NULL);
    }
    message_batch_close(&batch);
    mailbox_close(&m);
    fixture_end(&f);
}

static const struct unit_case cases[] = {
    {"keys", test_keys}, {"dates", test_dates}, {"trees", test_trees}, {"batch", test_batch}, {NULL, NULL},
};

extern const struct unit_suite search_suite;
const struct unit_suite search_suite = {"search", cases};
