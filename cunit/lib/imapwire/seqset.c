#include "lib/imapwire/seqset.h"

#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static void test_parse(void)
{
    static const struct {
        const char *in;
        uint32_t max;
        const char *out; /* NULL: a syntax error */
    } rows[] = {
        {"1", 10, "1"},
        {"*", 10, "10"},
        {"2:4", 10, "2:4"},
        {"4:2", 10, "2:4"},
        {"1,3,2", 10, "1:3"},
        {"5:*", 10, "5:10"},
        {"*:5", 10, "5:10"},
        {"559:*", 10, "10:559"},
        {"*:*", 3, "3"},
        {"1:*", 0, ""},
        {"*", 0, ""},
        {"7,*", 0, "7"},
        {"1:3,2:5,9", 10, "1:5,9"},
        {"9,1:3,5,4", 10, "1:5,9"},
        {"4294967295", 10, "4294967295"},
        {"1:4294967295", 10, "1:4294967295"},
        {"4294967294,4294967295", 10, "4294967294:4294967295"},
        {"", 10, NULL},
        {"0", 10, NULL},
        {"1:", 10, NULL},
        {":1", 10, NULL},
        {"1,", 10, NULL},
        {",1", 10, NULL},
        {"1,,2", 10, NULL},
        {"1:2:3", 10, NULL},
        {"4294967296", 10, NULL},
        {"a", 10, NULL},
        {"1 2", 10, NULL},
        {"**", 10, NULL},
        {"1*", 10, NULL},
        {"-1", 10, NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pool *pool = pool_new(0);
        struct buf b = BUF_INIT;
        struct seqset set;
        int expected = rows[i].out != NULL ? 0 : ERR_SYNTAX;

        seqset_init(&set, pool);
        CU_ASSERT_EQUAL(seqset_check(rows[i].in, strlen(rows[i].in)), expected);
        CU_ASSERT_EQUAL(seqset_parse(&set, rows[i].in, strlen(rows[i].in), rows[i].max), expected);
        if (expected == 0) {
            seqset_print(&set, &b);
            CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].out);
        }
        buf_free(&b);
        pool_free(&pool);
    }
}

/* Against a plain array of bits, with a small generator of its own. */
static void test_against_bits(void)
{
    enum { N = 64 };
    uint32_t seed = 12345;

    for (int round = 0; round < 200; round++) {
        struct pool *pool = pool_new(0);
        bool bits[N + 1] = {false};
        struct seqset set;
        struct seqset_iter it;
        uint32_t n, count = 0, seen = 0;

        seqset_init(&set, pool);
        for (int i = 0; i < 12; i++) {
            uint32_t a, b;

            seed = seed * 1664525u + 1013904223u;
            a = 1 + (seed >> 16) % N;
            b = a + (seed >> 8) % 4;
            b = b > N ? N : b;
            seqset_add_range(&set, a, b);
            for (uint32_t k = a; k <= b; k++)
                bits[k] = true;
        }
        for (n = 1; n <= N; n++) {
            CU_ASSERT_EQUAL(seqset_contains(&set, n), bits[n]);
            count += bits[n];
        }
        CU_ASSERT_EQUAL(seqset_count(&set), count);
        for (size_t i = 1; i < set.count; i++)
            CU_ASSERT(set.ranges[i].first > set.ranges[i - 1].last + 1);
        seqset_iter_init(&it, &set);
        while (seqset_iter_next(&it, &n)) {
            CU_ASSERT(bits[n]);
            seen++;
        }
        CU_ASSERT_EQUAL(seen, count);
        pool_free(&pool);
    }
}

static void test_bounds(void)
{
    struct pool *pool = pool_new(0);
    struct seqset set, other;

    seqset_init(&set, pool);
    CU_ASSERT(seqset_is_empty(&set));
    CU_ASSERT_EQUAL(seqset_min(&set), 0);
    CU_ASSERT_EQUAL(seqset_max(&set), 0);
    seqset_add(&set, UINT32_MAX);
    seqset_add(&set, 1);
    CU_ASSERT_EQUAL(seqset_min(&set), 1);
    CU_ASSERT_EQUAL(seqset_max(&set), UINT32_MAX);
    CU_ASSERT(!seqset_contains(&set, 2));
    seqset_init(&other, pool);
    seqset_add_range(&other, 2, UINT32_MAX - 1);
    seqset_add_set(&set, &other);
    CU_ASSERT_EQUAL(set.count, 1);
    CU_ASSERT_EQUAL(seqset_count(&set), UINT32_MAX);
    pool_free(&pool);
}

static const struct unit_case cases[] = {
    {"parse", test_parse}, {"against bits", test_against_bits}, {"bounds", test_bounds}, {NULL, NULL}};

extern const struct unit_suite seqset_suite;
const struct unit_suite seqset_suite = {"seqset", cases};
