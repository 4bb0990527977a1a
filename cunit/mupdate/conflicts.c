#include "mupdate/conflicts.h"

#include <stdio.h>

#include "cunit/unit.h"
#include "lib/base/buf.h"

/* "name claimant count last " of each. */
static const char *show(struct conflicts *conflicts, int64_t now)
{
    static struct buf text;
    struct pool *pool = pool_new(0);
    size_t count;
    struct conflict *list = conflicts_list(conflicts, now, pool, &count);

    buf_reset(&text);
    for (size_t i = 0; i < count; i++)
        buf_printf(&text, "%s %s %u %d ", list[i].name, list[i].claimant, (unsigned)list[i].count,
                   (int)list[i].last);
    pool_free(&pool);
    return buf_cstr(&text);
}

static void test_claims(void)
{
    struct conflicts *c = conflicts_new();

    CU_ASSERT_STRING_EQUAL(show(c, 0), "");
    conflicts_note(c, "a", "be1!p", 1);
    conflicts_note(c, "a", "be2!p", 2);
    conflicts_note(c, "b", "be1!p", 3);
    conflicts_note(c, "a", "be1!q", 4); /* the same server */
    conflicts_note(c, "a", "be1", 5);
    conflicts_note(c, "a", "be11!p", 6);
    CU_ASSERT_STRING_EQUAL(show(c, 7), "a be1 3 5 a be2!p 1 2 b be1!p 1 3 a be11!p 1 6 ");
    conflicts_forget(c, "a", "be1!x");
    conflicts_forget(c, "b", "be9!p");
    CU_ASSERT_STRING_EQUAL(show(c, 7), "a be2!p 1 2 b be1!p 1 3 a be11!p 1 6 ");
    CU_ASSERT_STRING_EQUAL(show(c, CONFLICTS_KEPT_MS + 3), "b be1!p 1 3 a be11!p 1 6 ");
    conflicts_free(&c);
    CU_ASSERT_PTR_NULL(c);
    conflicts_free(&c);
}

/* The one that was claimed longest ago goes. */
static void test_bound(void)
{
    struct conflicts *c = conflicts_new();
    struct pool *pool = pool_new(0);
    char name[16];
    size_t count;
    struct conflict *list;

    for (int i = 0; i < CONFLICTS_MAX; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        conflicts_note(c, name, "be1!p", i);
    }
    conflicts_note(c, "n0", "be1!p", CONFLICTS_MAX);
    conflicts_note(c, "new", "be1!p", CONFLICTS_MAX);
    list = conflicts_list(c, CONFLICTS_MAX, pool, &count);
    CU_ASSERT_EQUAL_FATAL(count, CONFLICTS_MAX);
    CU_ASSERT_STRING_EQUAL(list[0].name, "n0");
    CU_ASSERT_STRING_EQUAL(list[1].name, "n2");
    CU_ASSERT_STRING_EQUAL(list[count - 1].name, "new");
    pool_free(&pool);
    conflicts_free(&c);
}

/* What another member knows is taken over as often as it is told, and is no news for others. */
static void test_learnt(void)
{
    struct conflicts *c = conflicts_new(), *other = conflicts_new();
    uint64_t before = conflicts_version(c);

    CU_ASSERT_NOT_EQUAL(conflicts_version(other), before);
    conflicts_note(c, "a", "be1!p", 1);
    CU_ASSERT_NOT_EQUAL(conflicts_version(c), before);
    before = conflicts_version(c);
    for (int i = 0; i < 2; i++) {
        conflicts_learn(c, "a", "be1!q", 3, 7);
        conflicts_learn(c, "b", "be2!p", 2, 5);
        conflicts_learn(c, "a", "be1!r", 2, 6);
    }
    CU_ASSERT_EQUAL(conflicts_version(c), before);
    CU_ASSERT_STRING_EQUAL(show(c, 8), "a be1!r 3 7 b be2!p 2 5 ");
    conflicts_free(&c);
    conflicts_free(&other);
}

static const struct unit_case cases[] = {
    {"claims", test_claims}, {"bound", test_bound}, {"learnt", test_learnt}, {NULL, NULL}};

extern const struct unit_suite conflicts_suite;
const struct unit_suite conflicts_suite = {"conflicts", cases};
