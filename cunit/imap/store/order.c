#include "imap/store/order.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cunit/imap/store/fixture.h"
#include "cunit/unit.h"
#include "imap/store/kept.h"
#include "imap/store/links.h"
#include "imap/store/mailbox-private.h"
#include "imap/store/recover.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static struct fixture f;
static atomic_uint reads, link_reads; /* of what was not known */

/* The text of a message, as if it had been read from it: depends on its bytes alone; many are alike, some empty or the beginning of
 * another. */
static void text_of(const struct mailbox_record *record, struct buf *to)
{
    unsigned n = record->guid[GUID_SIZE - 1] % 40;

    buf_reset(to);
    if (n > 0)
        buf_printf(to, "%.*s%u", (int)(n % 12), "SUBJECTSUBJECT", n % 7);
    if (n % 5 == 0)
        buf_putc(to, '\0'); /* behind a text without: counts */
}

struct answer {
    struct buf text;
    uint64_t value;
    uint32_t token;
};

static uint32_t ask(struct order_query *q, const struct mailbox_record *record, struct buf *text)
{
    uint32_t token;

    text_of(record, text);
    if (order_knows(q, record, &token))
        return token;
    CU_ASSERT_FALSE(order_knows(q, record, &token));
    reads++;
    return order_add(q, record, buf_cstr(text), text->len, true);
}

static int compare_answers(const struct answer *a, const struct answer *b)
{
    size_t n = a->text.len < b->text.len ? a->text.len : b->text.len;
    int r = memcmp(buf_cstr(&a->text), buf_cstr(&b->text), n);

    return r != 0 ? r : (a->text.len > b->text.len) - (a->text.len < b->text.len);
}

static int sign(int n)
{
    return (n > 0) - (n < 0);
}

/* The values of count messages from `first` on order them as their texts do, each pair of them. */
static void check_range(struct view *view, uint32_t first, uint32_t count)
{
    struct view_message *seen = xcalloc(count, sizeof(*seen));
    struct answer *answers = xcalloc(count, sizeof(*answers));
    struct order_query *q = order_begin(view, "TEST");
    uint32_t got;

    CU_ASSERT_EQUAL_FATAL(view_read(view, first, count, seen, &got), 0);
    for (uint32_t i = 0; i < got; i++)
        answers[i].token = ask(q, &seen[i].record, &answers[i].text);
    while (order_step(q) > 0)
        ;
    for (uint32_t i = 0; i < got; i++) {
        answers[i].value = order_value(q, answers[i].token);
        CU_ASSERT_EQUAL(answers[i].value == 0, answers[i].text.len == 0);
    }
    for (uint32_t i = 0; i < got; i++) {
        for (uint32_t k = 0; k < i; k++) {
            const struct answer *a = &answers[i], *b = &answers[k];

            if ((a->value > b->value) - (a->value < b->value) != sign(compare_answers(a, b)))
                CU_FAIL("order");
        }
    }
    order_end(&q);
    CU_ASSERT_PTR_NULL(q);
    for (uint32_t i = 0; i < got; i++)
        buf_free(&answers[i].text);
    free(answers);
    free(seen);
}

/* ---- links ---- */

enum { NAMES = 40 };

/* What a message is called and which it names, by its bytes alone. */
struct spoken {
    char id[8], named[3][8];
    const char *references[4];
    bool is_reply;
};

static void spoken_of(const struct mailbox_record *record, struct spoken *s)
{
    const unsigned char *g = record->guid + GUID_SIZE;

    *s = (struct spoken){.is_reply = (g[-6] & 1) != 0};
    snprintf(s->id, sizeof(s->id), "<%u>", g[-1] % NAMES);
    for (unsigned i = 0; i < g[-2] % 4u; i++) {
        snprintf(s->named[i], sizeof(s->named[i]), "<%u>", g[-3 - (int)i] % NAMES);
        s->references[i] = s->named[i];
    }
}

static uint32_t ask_links(struct links_query *q, const struct mailbox_record *record)
{
    struct links_news news = {.keep = true};
    struct spoken s;
    uint32_t token;

    if (links_knows(q, record, &token))
        return token;
    spoken_of(record, &s);
    news.id = record->guid[GUID_SIZE - 1] % 7 == 0 ? NULL : s.id;
    news.references = s.references;
    news.is_reply = s.is_reply;
    link_reads++;
    CU_ASSERT_EQUAL(links_add(q, record, &news, &token), 0);
    return token;
}

/* An id has one number, and no other has it. */
static void check_number(uint32_t of[NAMES], const char *id, uint32_t number)
{
    unsigned n = (unsigned)atoi(id + 1);

    if (of[n] == 0) {
        for (unsigned i = 0; i < NAMES; i++)
            CU_ASSERT_NOT_EQUAL(of[i], number);
        of[n] = number;
    }
    CU_ASSERT_EQUAL(of[n], number);
}

static void check_links(const struct links_query *q, const struct mailbox_record *record, uint32_t token,
                        uint32_t of[NAMES])
{
    struct spoken s;
    struct links links;

    spoken_of(record, &s);
    links_get(q, token, &links);
    CU_ASSERT_EQUAL(links.is_reply, s.is_reply);
    CU_ASSERT(links.id <= links_ids(q));
    CU_ASSERT_EQUAL(links.id == 0, record->guid[GUID_SIZE - 1] % 7 == 0);
    if (links.id != 0)
        check_number(of, s.id, links.id);
    CU_ASSERT_EQUAL_FATAL(links.reference_count, record->guid[GUID_SIZE - 2] % 4u);
    for (uint32_t i = 0; i < links.reference_count; i++) {
        CU_ASSERT(links.references[i] <= links_ids(q));
        check_number(of, s.references[i], links.references[i]);
    }
}

static void check_range_links(struct view *view, uint32_t first, uint32_t count)
{
    struct view_message *seen = xcalloc(count, sizeof(*seen));
    uint32_t *tokens = xcalloc(count, sizeof(*tokens));
    struct links_query *q = links_begin(view);
    uint32_t of[NAMES] = {0}, got;

    CU_ASSERT_EQUAL_FATAL(view_read(view, first, count, seen, &got), 0);
    for (uint32_t i = 0; i < got; i++)
        tokens[i] = ask_links(q, &seen[i].record);
    links_keep(q);
    for (uint32_t i = 0; i < got; i++)
        check_links(q, &seen[i].record, tokens[i], of);
    links_end(&q);
    CU_ASSERT_PTR_NULL(q);
    free(tokens);
    free(seen);
}

static void check_all(struct view *view)
{
    check_range(view, 1, view_exists(view));
    check_range_links(view, 1, view_exists(view));
}

static size_t kept_count(void)
{
    size_t count;

    (void)kept_bytes(f.store->kept, &count);
    return count;
}

/* What is known is not read again; a little that is new is read each time until it is worth it. */
static void test_reads(void)
{
    struct mailbox *m;
    struct view *view;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    CU_ASSERT(fixture_append(m, 1, KEPT_SHARE * 2, 0) > 0);
    view = fixture_view(&f, FIXTURE_ID);
    reads = link_reads = 0;
    check_all(view);
    CU_ASSERT_EQUAL(reads, KEPT_SHARE * 2);
    check_all(view);
    CU_ASSERT_EQUAL(reads, KEPT_SHARE * 2);
    view_close(&view);
    for (unsigned i = 0; i < 3; i++) {
        CU_ASSERT(fixture_append(m, 1000 + i, 1, 0) > 0);
        view = fixture_view(&f, FIXTURE_ID);
        reads = 0;
        check_all(view);
        CU_ASSERT_EQUAL(reads, i + 1);
        view_close(&view);
    }
    view = fixture_view(&f, FIXTURE_ID);
    reads = 0;
    check_all(view);
    CU_ASSERT_EQUAL(reads, 0);
    CU_ASSERT_EQUAL(link_reads, KEPT_SHARE * 2 + 6); /* one message was read three times, one twice */
    CU_ASSERT_EQUAL(kept_count(), 2);
    kept_expire(f.store->kept, clock_ms() + 1);
    CU_ASSERT_EQUAL(kept_count(), 0);
    check_all(view);
    CU_ASSERT_EQUAL(reads, KEPT_SHARE * 2 + 3);
    view_close(&view);
    mailbox_close(&m);
    fixture_end(&f);
}

/* A mailbox that is deleted and made anew under its id, or has another UIDVALIDITY, has nothing of the old one. */
static void test_made_anew(void)
{
    struct mailbox *m;
    struct view *view;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    CU_ASSERT(fixture_append(m, 1, 100, 0) > 0);
    view = fixture_view(&f, FIXTURE_ID);
    check_all(view);
    view_close(&view);
    mailbox_close(&m);
    CU_ASSERT_EQUAL(mailbox_delete(f.store, "one", FIXTURE_ID), 0);
    m = fixture_mailbox(&f, FIXTURE_ID);
    CU_ASSERT(fixture_append(m, 51, 100, 0) > 0);
    view = fixture_view(&f, FIXTURE_ID);
    reads = 0;
    check_all(view);
    CU_ASSERT_EQUAL(reads, 100);
    reads = 0;
    check_all(view);
    CU_ASSERT_EQUAL(reads, 0);
    view_close(&view);
    mailbox_close(&m);
    fixture_end(&f);
}

/* ---- at random ---- */

static unsigned state;

static unsigned roll(unsigned n)
{
    return (unsigned)rand_r(&state) % n;
}

static void expunge_some(struct mailbox *m)
{
    struct view *view = fixture_view(&f, FIXTURE_ID);
    struct uid_set uids = UID_SET_INIT, gone = UID_SET_INIT;
    unsigned of = 2 + roll(20);

    for (uint32_t seq = 1; seq <= view_exists(view); seq++) {
        if (roll(of) == 0)
            CU_ASSERT_EQUAL(view_seqs_to_uids(view, seq, seq, &uids), 0);
    }
    view_close(&view);
    CU_ASSERT_EQUAL(expunge_uids(m, &uids, &gone), 0);
    uid_set_free(&uids);
    uid_set_free(&gone);
}

static char *path_of(const struct mailbox *m, const char *name)
{
    return xstrprintf("%s/%s", m->dir, name);
}

/* Two messages change places, the index is lost, and all is made anew from the files. */
static void rebuild(struct mailbox **mp)
{
    struct view *view = fixture_view(&f, FIXTURE_ID);
    char *aside = path_of(*mp, "aside"), name[MESSAGE_NAME_SIZE];
    uint32_t count = view_exists(view);
    struct reconstruct_report report;
    struct view_message seen[2];
    struct buf index = BUF_INIT;
    char *files[2];
    uint32_t got;

    for (int i = 0; i < 2 && count > 0; i++) {
        CU_ASSERT_EQUAL(view_read(view, roll(count) + 1, 1, &seen[i], &got), 0);
        message_name(name, seen[i].record.uid);
        files[i] = path_of(*mp, name);
    }
    if (count > 0 && seen[0].record.uid != seen[1].record.uid)
        CU_ASSERT(rename(files[0], aside) == 0 && rename(files[1], files[0]) == 0 &&
                  rename(aside, files[1]) == 0);
    for (int i = 0; i < 2 && count > 0; i++)
        free(files[i]);
    view_close(&view);
    mailbox_index_path(*mp, &index);
    mailbox_close(mp);
    CU_ASSERT_EQUAL(unlink(buf_cstr(&index)), 0);
    CU_ASSERT_EQUAL(mailbox_reconstruct(f.store, "one", FIXTURE_ID, 2000 + roll(1000), &report), 0);
    CU_ASSERT_EQUAL_FATAL(mailbox_open(f.store, "one", FIXTURE_ID, mp), 0);
    buf_free(&index);
    free(aside);
}

static void make_anew(struct mailbox **mp)
{
    mailbox_close(mp);
    CU_ASSERT_EQUAL(mailbox_delete(f.store, "one", FIXTURE_ID), 0);
    *mp = fixture_mailbox(&f, FIXTURE_ID);
}

static void change(struct mailbox **mp)
{
    uint32_t removed;

    switch (roll(16)) {
    case 0:
        make_anew(mp);
        break;
    case 1:
    case 2:
        rebuild(mp);
        break;
    case 3:
        CU_ASSERT_EQUAL(mailbox_compact(*mp, clock_wall() + 10, &removed), 0);
        break;
    case 4:
    case 5:
    case 6:
        expunge_some(*mp);
        break;
    default:
        CU_ASSERT(fixture_append(*mp, roll(10000), 1 + roll(20), 0) > 0);
    }
}

static void check_some(void)
{
    struct view *view = fixture_view(&f, FIXTURE_ID);
    uint32_t count = view_exists(view);

    if (roll(2) == 0)
        check_all(view);
    else if (count > 0)
        check_range(view, roll(count) + 1, roll(count) + 1);
    if (count > 0)
        check_range_links(view, roll(count) + 1, roll(count) + 1);
    view_close(&view);
}

static void test_random(void)
{
    const char *more = getenv("STORE_TEST_ORDER");
    struct mailbox *m;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    state = more != NULL ? (unsigned)clock_ms() : 1;
    for (int i = more != NULL ? atoi(more) : 150; i > 0; i--) {
        change(&m);
        check_some();
    }
    mailbox_close(&m);
    fixture_end(&f);
}

/* ---- at once ---- */

static void *query_all(void *unused)
{
    (void)unused;
    for (int i = 0; i < 20; i++) {
        struct view *view = fixture_view(&f, FIXTURE_ID);

        check_all(view);
        view_close(&view);
        if (i % 7 == 0)
            kept_expire(f.store->kept, clock_ms() + 1);
    }
    return NULL;
}

static void test_threads(void)
{
    pthread_t threads[3];
    struct mailbox *m;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        CU_ASSERT_EQUAL(pthread_create(&threads[i], NULL, query_all, NULL), 0);
    for (unsigned i = 0; i < 20; i++)
        CU_ASSERT(fixture_append(m, i * 5, 5, 0) > 0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        pthread_join(threads[i], NULL);
    mailbox_close(&m);
    fixture_end(&f);
}

/* ---- what is kept ---- */

struct thing {
    struct kept kept;
    int *freed;
};

static void thing_destroy(struct kept *kept)
{
    ++*((struct thing *)kept)->freed;
    free(kept);
}

static struct kept *make_thing(uint32_t count, size_t bytes, int *freed)
{
    struct thing *t = xcalloc(1, sizeof(*t));

    t->kept = (struct kept){1, count, bytes, thing_destroy};
    t->freed = freed;
    return &t->kept;
}

static void put(struct mailbox *m, const char *what, struct kept *base, uint32_t count, size_t bytes,
                int *freed)
{
    struct kept *thing = make_thing(count, bytes, freed);

    kept_put(m, what, base, thing);
    kept_release(&thing);
    CU_ASSERT_PTR_NULL(thing);
}

/* Who knows more wins, and who was made from what there is; what is held stays. */
static void test_replaced(void)
{
    struct mailbox *m;
    struct kept *held, *now;
    int freed = 0;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    CU_ASSERT_PTR_NULL(kept_find(m, "a"));
    put(m, "a", NULL, 5, 100, &freed);
    put(m, "a", NULL, 5, 100, &freed);
    CU_ASSERT_EQUAL(freed, 1); /* knew no more */
    held = kept_find(m, "a");
    CU_ASSERT_PTR_NULL(kept_find(m, "b"));
    put(m, "a", held, 3, 100, &freed);
    CU_ASSERT_EQUAL(freed, 1);
    now = kept_find(m, "a");
    CU_ASSERT_EQUAL(now->count, 3);
    kept_release(&now);
    kept_release(&held);
    CU_ASSERT_EQUAL(freed, 2);
    mailbox_close(&m);
    fixture_end(&f);
    CU_ASSERT_EQUAL(freed, 3);
}

/* No more than so many bytes, those used longest ago go first; one that is too large does not come in. */
static void test_bounds(void)
{
    struct mailbox *m;
    struct kept *held;
    int freed = 0;
    size_t count;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    put(m, "large", NULL, 1, KEPT_ONE_BYTES + 1, &freed);
    CU_ASSERT_EQUAL(kept_bytes(f.store->kept, &count), 0);
    put(m, "a", NULL, 1, KEPT_BYTES / 3, &freed);
    put(m, "b", NULL, 1, KEPT_BYTES / 3, &freed);
    held = kept_find(m, "a");
    kept_release(&held);
    put(m, "c", NULL, 1, KEPT_BYTES / 3, &freed);
    CU_ASSERT(kept_bytes(f.store->kept, &count) <= KEPT_BYTES);
    CU_ASSERT_EQUAL(count, 2);
    CU_ASSERT_PTR_NULL(kept_find(m, "b"));
    held = kept_find(m, "a");
    CU_ASSERT_PTR_NOT_NULL(held);
    kept_expire(f.store->kept, clock_ms() + 1);
    CU_ASSERT_EQUAL(kept_bytes(f.store->kept, &count), 0);
    CU_ASSERT_EQUAL(freed, 3);
    kept_release(&held);
    CU_ASSERT_EQUAL(freed, 4);
    mailbox_close(&m);
    fixture_end(&f);
}

static const struct unit_case cases[] = {
    {"what is kept is replaced", test_replaced},
    {"what is kept is bounded", test_bounds},
    {"orders are kept", test_reads},
    {"orders of a mailbox made anew", test_made_anew},
    {"orders at random", test_random},
    {"orders at once", test_threads},
    {NULL, NULL},
};

extern const struct unit_suite order_suite;
const struct unit_suite order_suite = {"order", cases};
