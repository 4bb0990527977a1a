#include "mupdate/recent.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cunit/unit.h"
#include "lib/base/mem.h"

enum { BYTES = RECENT_PLACE_BYTES - 4, MANY = 2 * RECENT_PLACES };

static struct buf key_of(const char *text)
{
    struct buf key = BUF_INIT;

    buf_puts(&key, text);
    return key;
}

static void put(struct recent *recent, const char *name, const char *value)
{
    struct buf key = key_of(name);

    recent_put(recent, &key, value, strlen(value));
    buf_free(&key);
}

static void drop(struct recent *recent, const char *name)
{
    struct buf key = key_of(name);

    recent_drop(recent, &key);
    buf_free(&key);
}

/* NULL: nothing. */
static const char *get(struct recent *recent, struct pool *pool, const char *name)
{
    struct buf key = key_of(name);
    size_t len;
    const char *value = recent_get(recent, &key, pool, &len);

    if (value != NULL)
        value = pool_strndup(pool, value, len);
    buf_free(&key);
    return value;
}

static void test_table(void)
{
    struct recent *recent = recent_new();
    struct pool *pool = pool_new(0);

    CU_ASSERT_PTR_NULL(get(recent, pool, "a"));
    drop(recent, "a");
    put(recent, "a", "1");
    put(recent, "ab", "2");
    CU_ASSERT_STRING_EQUAL_FATAL(get(recent, pool, "a"), "1");
    put(recent, "a", "10");
    CU_ASSERT_STRING_EQUAL_FATAL(get(recent, pool, "a"), "10");
    CU_ASSERT_STRING_EQUAL_FATAL(get(recent, pool, "ab"), "2");
    put(recent, "empty", "");
    CU_ASSERT_STRING_EQUAL_FATAL(get(recent, pool, "empty"), "");
    drop(recent, "a");
    CU_ASSERT_PTR_NULL(get(recent, pool, "a"));
    CU_ASSERT_PTR_NOT_NULL(get(recent, pool, "ab"));
    pool_free(&pool);
    recent_free(&recent);
    recent_free(&recent);
}

/* What fits just so, and what does not. */
static void test_sizes(void)
{
    static const struct {
        size_t key, value;
        bool kept;
    } rows[] = {{1, BYTES - 1, true}, {1, BYTES, false},    {BYTES, 0, true},        {BYTES + 1, 0, false},
                {BYTES, 1, false},    {511, 100000, false}, {100, BYTES - 100, true}};
    struct recent *recent = recent_new();

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pool *pool = pool_new(0);
        char *name = pool_alloc(pool, rows[i].key + 1), *value = pool_alloc(pool, rows[i].value + 1);

        memset(name, 'a' + (int)i, rows[i].key);
        memset(value, 'v', rows[i].value);
        put(recent, name, value);
        CU_ASSERT_EQUAL(get(recent, pool, name) != NULL, rows[i].kept);
        if (rows[i].kept)
            CU_ASSERT_STRING_EQUAL(get(recent, pool, name), value);
        pool_free(&pool);
    }
    recent_free(&recent);
}

/* However many there were: most of the places are taken, each by what was put in under its own name, and the last one
 * is there. */
static void test_bound(void)
{
    struct recent *recent = recent_new();
    struct pool *pool = pool_new(0);
    unsigned there = 0;
    char name[16];

    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        put(recent, name, name);
        if (i % 1000 == 0)
            CU_ASSERT_PTR_NOT_NULL(get(recent, pool, name));
    }
    for (unsigned i = 0; i < MANY; i++) {
        const char *value;

        snprintf(name, sizeof(name), "n%u", i);
        value = get(recent, pool, name);
        if (value != NULL && strcmp(value, name) == 0)
            there++;
        else
            CU_ASSERT_PTR_NULL(value);
        pool_reset(pool);
    }
    CU_ASSERT(there > RECENT_PLACES * 3 / 4 && there <= RECENT_PLACES);
    pool_free(&pool);
    recent_free(&recent);
}

static const struct unit_case cases[] = {
    {"table", test_table}, {"sizes", test_sizes}, {"bound", test_bound}, {NULL, NULL}};

extern const struct unit_suite recent_suite;
const struct unit_suite recent_suite = {"recent", cases};
