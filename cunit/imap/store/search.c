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

static int take_hit(void *context, const struct search_hit *hit)
{
    CU_ASSERT(hit->uid >= hit->seq);
    return uid_set_add(context, hit->seq, hit->seq);
}

/* The hits of a program, as a sequence set. */
static void check(struct view *view, struct search_node *program, const char *expected)
{
    struct uid_set hits = UID_SET_INIT;
    struct buf text = BUF_INIT;
    struct search *s;
    int r;

    CU_ASSERT_EQUAL_FATAL(search_begin(view, program, SEARCH_NUMBERS, &s), 0);
    while ((r = search_step(s, 1, take_hit, &hits)) == 1)
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
        {{.op = SEARCH_OLDER, .day = 1795300000}, "1"},
        {{.op = SEARCH_OLDER, .day = 1795299999}, ""},
        {{.op = SEARCH_YOUNGER, .day = 1795300000 + 86400}, "2:3"},
        {{.op = SEARCH_YOUNGER, .day = 1795300001 + 2 * 86400}, ""},
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

/* What is mislabelled, of no known charset, or in a message within the message. */
static void test_charsets(void)
{
    static const struct {
        const char *header, *body, *needle, *expected;
    } rows[] = {
        {"Content-Type: text/plain; charset=us-ascii\r\n", "caf\xc3\xa9", "CAF\xc3\x89", "1"},
        {"Content-Type: text/plain; charset=koi8-r\r\n", "\xe6\xc9\xc7\xc1", "\xd1\x84\xd0\xb8\xd0\xb3", "1"},
        {"Content-Type: text/plain; charset=x-unheard-of\r\n", "Plain \xc3\xa9", "PLAIN \xc3\xa9", "1"},
        {"Content-Type: text/plain; charset=x-unheard-of\r\n", "\xe6", "\xc3\xa6", ""},
        {"Content-Type: text/plain; charset=gb18030\r\n", "\xff bad \xe6\x97\xa5", "\xe6\x97\xa5", "1"},
        {"Content-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n", "//5oAOkA",
         "H\xc3\x89", "1"},
        {"Content-Type: message/rfc822\r\n", "Subject: =?utf-8?q?b=C3=B6se?=\r\n\r\ninner text\r\n",
         "B\xc3\x96SE", "1"},
        {"Content-Type: message/rfc822\r\n", "Subject: x\r\n\r\ninner text\r\n", "INNER", "1"},
        {"X-Outer: shell\r\n", "nut", "shell", ""},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct search_node node = {.op = SEARCH_BODY, .text = rows[i].needle};
        struct buf text = BUF_INIT;
        struct mailbox *m;
        struct view *view;
        struct stage *s;
        struct append *a;

        fixture_begin(&f);
        m = fixture_mailbox(&f, FIXTURE_ID);
        buf_printf(&text, "%s\r\n%s", rows[i].header, rows[i].body);
        s = fixture_stage(&f, "one", buf_cstr(&text));
        append_begin(m, NULL, &a);
        CU_ASSERT_EQUAL(append_add(a, &s, &(struct append_message){0}), 0);
        CU_ASSERT_EQUAL(append_commit(&a, QUOTA_STRICT, NULL), 0);
        view = fixture_view(&f, FIXTURE_ID);
        check(view, &node, rows[i].expected);
        view_close(&view);
        mailbox_close(&m);
        fixture_end(&f);
        buf_free(&text);
    }
}

static int see_hit(void *context, const struct search_hit *hit)
{
    unsigned *seen = context;
    const char *data;
    size_t len;

    CU_ASSERT_EQUAL(hit->seen->seq, hit->seq);
    CU_ASSERT_EQUAL(hit->seen->record.uid, hit->uid);
    CU_ASSERT_EQUAL(message_item(hit->message, CACHE_ENVELOPE, &data, &len), 0);
    ++*seen;
    return *seen == 30 ? 1 : 0;
}

/* Over several reads of the index, with messages expunged in it; a hit may end it. */
static void test_many(void)
{
    struct search_node flagged = {.op = SEARCH_FLAG, .number = RECORD_FLAGGED}, all = {.op = SEARCH_ALL};
    struct search_node answered = {.op = SEARCH_FLAG, .number = RECORD_ANSWERED}, no, both;
    struct uid_set gone = UID_SET_INIT;
    struct expunge_what what = {&gone, true};
    unsigned seen = 0;
    struct mailbox *m;
    struct view *view;
    struct search *s;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    fixture_append(m, 0, 700, 0);
    fixture_append(m, 0, 800, RECORD_FLAGGED);
    fixture_append(m, 0, 10, RECORD_FLAGGED | RECORD_ANSWERED);
    view = fixture_view(&f, FIXTURE_ID);
    uid_set_add(&gone, 1, 1);
    uid_set_add(&gone, 699, 702);
    uid_set_add(&gone, 1024, 1024);
    CU_ASSERT_EQUAL(expunge_messages(view, &what, NULL), 0);
    uid_set_free(&gone);
    view_close(&view);
    view = fixture_view(&f, FIXTURE_ID);
    check(view, &flagged, "698:1504");
    no = (struct search_node){.op = SEARCH_NOT, .children = &flagged};
    check(view, &no, "1:697");
    flagged.next = &answered;
    both = (struct search_node){.op = SEARCH_AND, .children = &flagged};
    check(view, &both, "1495:1504");
    flagged.next = &no;
    no.children = &answered;
    check(view, &both, "698:1494");
    no.children = &flagged;
    flagged.next = NULL;
    answered.next = NULL;
    CU_ASSERT_EQUAL_FATAL(search_begin(view, &all, SEARCH_MESSAGES, &s), 0);
    CU_ASSERT_EQUAL(search_step(s, 10000, see_hit, &seen), 0);
    CU_ASSERT_EQUAL(seen, 30);
    search_end(&s);
    view_close(&view);
    mailbox_close(&m);
    fixture_end(&f);
}

/* \Seen of another reader is not the index's. */
static void test_private_seen(void)
{
    struct search_node seen = {.op = SEARCH_FLAG, .number = RECORD_SEEN};
    struct mailbox_reader reader = {"bob"};
    struct mailbox *m;
    struct view *view;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    fixture_append(m, 0, 5, RECORD_SEEN);
    CU_ASSERT_EQUAL(view_open(f.store, "one", FIXTURE_ID, &reader, false, &view), 0);
    check(view, &seen, "");
    CU_ASSERT_EQUAL(fixture_store(view, 4, FLAGS_ADD, RECORD_SEEN, NULL), 0);
    check(view, &seen, "4");
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
    message_batch_refill(batch, m, records + 40, numbers + 40, 10);
    for (uint32_t i = 0; i < 10; i++) {
        const char *data;
        char want[64];
        size_t len;

        CU_ASSERT_EQUAL(message_item(message_batch_get(batch, i), CACHE_ENVELOPE, &data, &len), 0);
        snprintf(want, sizeof(want), "\"message %u\"", i + 40);
        CU_ASSERT(memmem(data, len, want, strlen(want)) != NULL);
    }
    message_batch_close(&batch);
    mailbox_close(&m);
    fixture_end(&f);
}

static const struct unit_case cases[] = {
    {"keys", test_keys},
    {"dates", test_dates},
    {"charsets", test_charsets},
    {"many", test_many},
    {"private seen", test_private_seen},
    {"trees", test_trees},
    {"batch", test_batch},
    {NULL, NULL},
};

extern const struct unit_suite search_suite;
const struct unit_suite search_suite = {"search", cases};
