#include "lib/base/pool.h"

#include <stdint.h>
#include <string.h>

#include "cunit/unit.h"

static void test_alloc(void)
{
    struct pool *p = pool_new(0);
    char *first = pool_alloc(p, 3);

    CU_ASSERT_EQUAL((uintptr_t)first % 16, 0);
    for (int i = 0; i < 2000; i++) {
        char *s = pool_alloc(p, (size_t)i % 97 + 1);

        CU_ASSERT_EQUAL_FATAL((uintptr_t)s % 16, 0);
        CU_ASSERT_EQUAL_FATAL(s[i % 97], 0);
        memset(s, 0xff, (size_t)i % 97 + 1);
    }
    pool_alloc(p, 1000000);
    CU_ASSERT(pool_footprint(p) > 1000000);
    pool_reset(p);
    CU_ASSERT(pool_footprint(p) < 2000);
    CU_ASSERT_PTR_EQUAL(pool_alloc(p, 1), first);
    pool_free(&p);
    CU_ASSERT_PTR_NULL(p);
    pool_free(&p);
}

static void test_strings(void)
{
    struct pool *p = pool_new(0);

    CU_ASSERT_STRING_EQUAL(pool_strdup(p, "abc"), "abc");
    CU_ASSERT_STRING_EQUAL(pool_strndup(p, "abc", 2), "ab");
    CU_ASSERT_STRING_EQUAL(pool_strndup(p, "abc", 9), "abc");
    CU_ASSERT_STRING_EQUAL(pool_printf(p, "%s-%d", "x", 5), "x-5");
    pool_free(&p);
}

static const struct unit_case cases[] = {
    {"alloc and reset", test_alloc},
    {"strings", test_strings},
    {NULL, NULL},
};

extern const struct unit_suite pool_suite;
const struct unit_suite pool_suite = {"pool", cases};
