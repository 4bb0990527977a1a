#include "lib/base/hash.h"

#include <stdint.h>
#include <stdio.h>

#include "cunit/unit.h"
#include "lib/base/mem.h"

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

/* Every byte, the length and both halves of the seed count. */
static void test_bytes(void)
{
    static const uint64_t seeds[][2] = {{1, 2}, {1, 3}, {2, 2}};
    static const char text[] = "\0\0\0\0abcdefghijklm";
    uint64_t had[3 * sizeof(text)];
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(seeds); i++) {
        for (size_t len = 0; len < sizeof(text); len++) {
            uint64_t hash = hash_bytes(seeds[i], text, len);

            CU_ASSERT_EQUAL(hash_bytes(seeds[i], text, len), hash);
            for (size_t k = 0; k < n; k++)
                CU_ASSERT_NOT_EQUAL(had[k], hash);
            had[n++] = hash;
        }
    }
}

static const struct unit_case cases[] = {
    {"set, get, delete", test_set_get_delete},
    {"many", test_many},
    {"bytes", test_bytes},
    {NULL, NULL},
};

extern const struct unit_suite hash_suite;
const struct unit_suite hash_suite = {"hash", cases};
