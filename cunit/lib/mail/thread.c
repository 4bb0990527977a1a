#include "lib/mail/thread.h"

#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

/* A mailbox: message n is row n - 1.  sent: an hour; references: blank-separated. */
struct row {
    int sent, arrived;
    const char *id, *references, *subject;
    bool is_reply;
};

enum { ROWS = 12, REFERENCES = 8 };

/* "<a>" is 1. */
static uint32_t id_of(const char *id)
{
    return id != NULL ? (uint32_t)(id[1] - 'a' + 1) : 0;
}

static void add_row(struct threads *t, uint32_t number, const struct row *row)
{
    struct thread_message m = {.number = number,
                               .sent = row->sent,
                               .arrived = row->arrived,
                               .id = id_of(row->id),
                               .subject = (unsigned char)row->subject[0],
                               .is_reply = row->is_reply};
    uint32_t references[REFERENCES];

    m.references = references;
    for (const char *s = row->references; s != NULL && (s = strchr(s, '<')) != NULL; s++)
        references[m.reference_count++] = id_of(s);
    CU_ASSERT_EQUAL(threads_add(t, &m), 0);
}

static void check(enum thread_algorithm algorithm, const struct row *rows, const char *expected)
{
    struct threads *t = threads_new(algorithm, 26);
    struct buf text = BUF_INIT;

    for (uint32_t i = 0; i < ROWS && rows[i].subject != NULL; i++)
        add_row(t, i + 1, &rows[i]);
    while (threads_step(t) > 0)
        ;
    CU_ASSERT_FALSE(threads_write(t, &text));
    CU_ASSERT_STRING_EQUAL(buf_cstr(&text), expected);
    buf_free(&text);
    threads_free(&t);
    CU_ASSERT_PTR_NULL(t);
}

static void test_references(void)
{
    static const struct {
        const char *expected;
        struct row rows[ROWS];
    } cases[] = {
        {"", {{0}}},
        {"(1)(2)", {{1, 0, "<a>", NULL, "A", 0}, {2, 0, "<b>", NULL, "B", 0}}},
        /* a chain, a branch; siblings and heads by sent date, not by number */
        {"(4)(1 2 (6)(3 5))",
         {{2, 0, "<a>", NULL, "A", 0},
          {3, 0, "<b>", "<a>", "A", 1},
          {5, 0, "<c>", "<a> <b>", "A", 1},
          {1, 0, "<d>", NULL, "D", 0},
          {6, 0, "<e>", "<a> <b> <c>", "A", 1},
          {4, 0, "<f>", "<b>", "A", 1}}},
        /* the parent comes later than the child */
        {"(2 1)", {{2, 0, "<b>", "<a>", "A", 1}, {1, 0, "<a>", NULL, "A", 0}}},
        /* a parent that is not there: one child is promoted, two stay together */
        {"(1)(2)", {{1, 0, "<a>", "<x>", "A", 0}, {2, 0, "<b>", "<y>", "B", 0}}},
        {"((1)(2))", {{1, 0, "<a>", "<x>", "A", 0}, {2, 0, "<b>", "<x>", "B", 0}}},
        /* dummies between messages vanish */
        {"(1 (2)(3))",
         {{1, 0, "<a>", NULL, "A", 0},
          {2, 0, "<b>", "<a> <x>", "B", 0},
          {3, 0, "<c>", "<a> <x> <y>", "C", 0}}},
        /* a head that is a dummy with but one dummy below: its children stand together */
        {"((1)(2))", {{1, 0, "<a>", "<x> <y>", "A", 0}, {2, 0, "<b>", "<x> <y>", "B", 0}}},
        /* loops */
        {"(1)", {{1, 0, "<a>", "<a>", "A", 0}}},
        {"(2 1)", {{1, 0, "<a>", "<b>", "A", 0}, {2, 0, "<b>", "<a>", "B", 0}}},
        {"(3 1 2)",
         {{1, 0, "<a>", "<c>", "A", 0}, {2, 0, "<b>", "<a>", "B", 0}, {3, 0, "<c>", "<b>", "C", 0}}},
        /* a dummy without children, whose loop was refused */
        {"(1)", {{1, 0, "<a>", "<x> <a> <x>", "A", 0}}},
        /* two messages with one id: the first has it */
        {"(2)(1 3)",
         {{2, 0, "<a>", NULL, "A", 0}, {1, 0, "<a>", NULL, "B", 0}, {3, 0, "<c>", "<a>", "C", 0}}},
        /* a truncated References field is believed over what others said */
        {"(1)(3 2)",
         {{1, 0, "<a>", NULL, "A", 0}, {3, 0, "<c>", "<b>", "C", 0}, {2, 0, "<b>", NULL, "B", 0}}},
        /* one subject: a reply goes below what is none, equals below a dummy; an empty subject joins nothing */
        {"(1 2)", {{1, 0, "<a>", NULL, "S", 0}, {2, 0, "<b>", NULL, "S", 1}}},
        {"(2 1)", {{1, 0, "<a>", NULL, "S", 1}, {2, 0, "<b>", NULL, "S", 0}}},
        {"((1)(2))", {{1, 0, "<a>", NULL, "S", 0}, {2, 0, "<b>", NULL, "S", 0}}},
        {"((1)(2)(3))",
         {{1, 0, "<a>", NULL, "S", 1}, {2, 0, "<b>", NULL, "S", 1}, {3, 0, "<c>", NULL, "S", 1}}},
        {"(1)(2)", {{1, 0, "<a>", NULL, "", 0}, {2, 0, "<b>", NULL, "", 1}}},
        {"((1)(2)(3)(4))",
         {{1, 0, "<a>", "<x>", "S", 0},
          {2, 0, "<b>", "<x>", "T", 0},
          {3, 0, "<c>", "<y>", "S", 0},
          {4, 0, "<d>", "<y>", "U", 0}}},
        {"((1)(2)(3))",
         {{1, 0, "<a>", "<x>", "S", 0}, {2, 0, "<b>", "<x>", "T", 0}, {3, 0, "<c>", NULL, "S", 0}}},
        /* no ids at all */
        {"(1)(2)", {{1, 0, NULL, NULL, "A", 0}, {2, 0, NULL, NULL, "B", 0}}},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        check(THREAD_REFERENCES, cases[i].rows, cases[i].expected);
}

static void test_refs(void)
{
    static const struct row rows[ROWS] = {
        {1, 50, "<a>", NULL, "S", 0},      {2, 60, "<b>", NULL, "S", 1},  {9, 10, "<c>", "<a>", "S", 1},
        {3, 70, "<d>", "<a>", "other", 1}, {4, 65, "<e>", "<x>", "T", 0}, {5, 20, "<f>", "<x>", "U", 0},
    };

    /* subjects count for nothing; the thread that arrived last comes last; within it the sent date orders */
    check(THREAD_REFS, rows, "(2)((5)(6))(1 (4)(3))");
}

static void test_ordered_subject(void)
{
    static const struct row rows[ROWS] = {
        {5, 0, "<a>", NULL, "B", 0}, {2, 0, "<b>", NULL, "A", 1}, {1, 0, "<c>", "<a>", "B", 0},
        {3, 0, "<d>", NULL, "A", 0}, {4, 0, "<e>", NULL, "A", 0}, {3, 0, "<f>", NULL, "", 0},
        {6, 0, "<g>", NULL, "", 0},
    };

    check(THREAD_ORDEREDSUBJECT, rows, "(3 1)(2 (4)(5))(6 7)");
    check(THREAD_ORDEREDSUBJECT, (const struct row[ROWS]){{0}}, "");
}

enum { DEEP = 20000 };

/* Each message answers the one before; the first one what is not there, whose id is DEEP + 1. */
static struct threads *make_chain(void)
{
    struct threads *t = threads_new(THREAD_REFERENCES, DEEP + 1);
    uint32_t before = DEEP + 1;
    int r = 0;

    for (uint32_t i = 1; i <= DEEP && r == 0; i++) {
        r = threads_add(
            t, &(struct thread_message){.number = i, .id = i, .references = &before, .reference_count = 1});
        before = i;
    }
    CU_ASSERT_EQUAL(r, 0);
    return t;
}

/* Written in pieces and without recursion. */
static void test_deep(void)
{
    struct threads *t = make_chain();
    struct buf text = BUF_INIT;
    unsigned pieces = 1;

    while (threads_step(t) > 0)
        ;
    for (; threads_write(t, &text); pieces++)
        ;
    CU_ASSERT(pieces > 2);
    CU_ASSERT_EQUAL(strncmp(buf_cstr(&text), "(1 2 3 ", 7), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&text) + text.len - 7, " 20000)");
    buf_free(&text);
    threads_free(&t);
}

/* Messages that claim the first one of a chain to be below the last: looking for the loop costs the whole chain. */
static void test_work(void)
{
    static const uint32_t references[] = {DEEP, DEEP + 1};
    struct threads *t = make_chain();
    uint32_t i = 0;
    int r = 0;

    while (r == 0 && i++ < 2 * THREAD_WORK_MAX / DEEP)
        r = threads_add(
            t, &(struct thread_message){.number = i, .references = references, .reference_count = 2});
    CU_ASSERT_EQUAL(r, ERR_LIMIT);
    CU_ASSERT(i > 100);
    threads_free(&t);
}

enum { WIDE = 50000 };

static uint32_t number_at(const char **s)
{
    uint32_t n = 0;

    while (**s != '\0' && (**s < '0' || **s > '9'))
        ++*s;
    for (; **s >= '0' && **s <= '9'; ++*s)
        n = n * 10 + (uint32_t)(**s - '0');
    return n;
}

/* Very many threads, or very many answers to one message: in order, and in steps. */
static void wide(enum thread_algorithm algorithm, bool answers)
{
    static int64_t when[WIDE + 1];
    struct threads *t = threads_new(algorithm, WIDE);
    struct buf text = BUF_INIT;
    unsigned steps = 0, wrong = 0;
    static const uint32_t first = 1;
    const char *s;
    uint32_t x = 7, last = 0;

    for (uint32_t i = 1; i <= WIDE; i++) {
        struct thread_message m = {.number = i, .id = i, .subject = i, .references = &first};

        x = x * 1664525 + 1013904223;
        when[i] = i == 1 ? -1 : (int64_t)(x >> 12); /* some are equal */
        m.sent = m.arrived = when[i];
        m.reference_count = answers && i > 1;
        CU_ASSERT_EQUAL(threads_add(t, &m), 0);
    }
    while (threads_step(t) > 0)
        steps++;
    CU_ASSERT(steps > 10);
    while (threads_write(t, &text))
        ;
    s = buf_cstr(&text);
    for (uint32_t i = 1, n; i <= WIDE; i++, last = n) {
        n = number_at(&s);
        wrong += n == 0 || n > WIDE || (last != 0 && when[n] < when[last]) ||
                 (last != 0 && when[n] == when[last] && n < last);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(number_at(&s), 0);
    buf_free(&text);
    threads_free(&t);
}

static void test_wide(void)
{
    wide(THREAD_REFERENCES, false);
    wide(THREAD_REFERENCES, true);
    wide(THREAD_REFS, false);
    wide(THREAD_REFS, true);
    wide(THREAD_ORDEREDSUBJECT, false);
}

static const struct unit_case cases[] = {
    {"references", test_references},
    {"refs", test_refs},
    {"ordered subject", test_ordered_subject},
    {"deep", test_deep},
    {"work", test_work},
    {"wide", test_wide},
    {NULL, NULL},
};

extern const struct unit_suite thread_suite;
const struct unit_suite thread_suite = {"thread", cases};
