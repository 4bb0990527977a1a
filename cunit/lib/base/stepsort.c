#include "lib/base/stepsort.h"

#include <stdlib.h>

#include "cunit/unit.h"
#include "lib/base/mem.h"

static unsigned long compared;

static int compare(const void *a, const void *b, void *context)
{
    const uint32_t *keys = context, *x = a, *y = b;

    compared++;
    return (keys[*x] > keys[*y]) - (keys[*x] < keys[*y]);
}

/* Sorts the numbers 0 to n - 1 by their keys, `work` at a time; every number must be there, none before a lesser one. */
static void sort(struct stepsort *s, const uint32_t *keys, uint32_t n, size_t work)
{
    unsigned char *seen = xcalloc(n + 1, 1);
    size_t wrong = 0, left = work, steps = 1;
    unsigned long most = 0;

    stepsort_begin(s, compare, (void *)(uintptr_t)keys);
    for (uint32_t i = 0; i < n; i++)
        stepsort_add(s, i);
    compared = 0;
    while (!stepsort_step(s, &left)) {
        CU_ASSERT_EQUAL(left, 0);
        most = compared > most ? compared : most;
        compared = 0;
        left = work;
        steps++;
    }
    CU_ASSERT_EQUAL(s->count, n);
    for (uint32_t i = 0; i < n; i++) {
        wrong += seen[s->items[i]] != 0 || (i > 0 && keys[s->items[i - 1]] > keys[s->items[i]]);
        seen[s->items[i]] = 1;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    /* no step may do much more than it was told */
    CU_ASSERT(most <= (work + 1024) * 11); /* an item of a run takes ten comparisons */
    CU_ASSERT(n < 4096 || work > 4096 || steps >= n / work);
    free(seen);
}

static void test_sort(void)
{
    static const uint32_t counts[] = {0, 1, 2, 3, 1023, 1024, 1025, 2048, 2049, 5000, 40000};
    static const size_t works[] = {1, 700, 4096, 1000000};
    struct stepsort s = {0};
    uint32_t *keys = xcalloc(40000, sizeof(*keys)), x = 1;

    for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
        for (unsigned kind = 0; kind < 3; kind++) {
            for (uint32_t k = 0; k < counts[i]; k++) {
                x = x * 1664525 + 1013904223;
                keys[k] = kind == 0 ? counts[i] - k : kind == 1 ? x >> 8 : x >> 30;
            }
            for (size_t w = counts[i] > 5000; w < ARRAY_SIZE(works); w++)
                sort(&s, keys, counts[i], works[w]);
        }
    }
    stepsort_free(&s);
    CU_ASSERT_PTR_NULL(s.items);
    free(keys);
}

static const struct unit_case cases[] = {{"sort", test_sort}, {NULL, NULL}};

extern const struct unit_suite stepsort_suite;
const struct unit_suite stepsort_suite = {"stepsort", cases};
