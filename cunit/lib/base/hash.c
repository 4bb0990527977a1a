#include "lib/base/hash.h"

#include <stdint.h>
#include <stdio.h>

#include "cunit/unit.h"

static unsigned freed;

static void count_free(void *value)
{
    (void)value;
    freed++;
}

static void test_set_get_delete(void)
{
    struct hash *h = hash_new(count_free);
    int a, b;

    freed = 0;
    CU_ASSERT_PTR_NULL(hash_get(h, "x"));
    hash_set(h, "x", &a);
    hash_set(h, "", &b);
    CU_ASSERT_PTR_EQUAL(hash_get(h, "x"), &a);
    CU_ASSERT_PTR_EQUAL(hash_get(h, ""), &b);
    hash_set(h, "x", &a);
    CU_ASSERT_EQUAL(freed, 0);
    hash_set(h, "x", &b);
    CU_ASSERT_EQUAL(freed, 1);
    CU_ASSERT_PTR_EQUAL(hash_get(h, "x"), &b);
    CU_ASSERT_EQUAL(hash_count(h), 2);
    CU_ASSERT_EQUAL(hash_delete(h, "x"), 1);
    CU_ASSERT_EQUAL(hash_delete(h, "x"), 0);
    CU_ASSERT_EQUAL(hash_count(h), 1);
    hash_free(&h);
    CU_ASSERT_PTR_NULL(h);
    CU_ASSERT_EQUAL(freed, 3);
    hash_free(&h);
}

static void sum(const char *key, void *value, void *context)
{
    (void)key;
    *(uintptr_t *)context += (uintptr_t)value;
}

static void test_many(void)
{
    struct hash *h = hash_new(NULL);
    uintptr_t total = 0;
    char key[40];
    int wrong = 0;

    for (int i = 1; i <= 5000; i++) {
        snprintf(key, sizeof(key), "user.%0*d", i % 30 + 1, i);
        hash_set(h, key, (void *)(uintptr_t)i);
    }
    CU_ASSERT_EQUAL(hash_count(h), 5000);
    for (int i = 1; i <= 5000; i++) {
        snprintf(key, sizeof(key), "user.%0*d", i % 30 + 1, i);
        wrong += hash_get(h, key) != (void *)(uintptr_t)i;
        if (i % 2)
            wrong += !hash_delete(h, key);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    hash_each(h, sum, &total);
    CU_ASSERT_EQUAL(total, 2 * (2500 * 2501 / 2));
    hash_free(&h);
}

static const struct unit_case cases[] = {
    {"set, get, delete", test_set_get_delete},
    {"many", test_many},
    {NULL, NULL},
};

extern const struct unit_suite hash_suite;
const struct unit_suite hash_suite = {"hash", cases};
