#include "imap/store/uidset.h"

#include <stdlib.h>
#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"

/* Adds "first:last" pairs and compares the formatted set. */
static void check(const uint32_t (*ranges)[2], size_t n, const char *expected)
{
    struct uid_set set = UID_SET_INIT, again = UID_SET_INIT;
    struct buf text = BUF_INIT, stored = BUF_INIT;

    for (size_t i = 0; i < n; i++)
        CU_ASSERT_EQUAL(uid_set_add(&set, ranges[i][0], ranges[i][1]), 0);
    uid_set_format(&set, &text);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&text), expected);
    uid_set_encode(&set, &stored);
    CU_ASSERT_EQUAL(uid_set_decode(&again, stored.data, stored.len), 0);
    buf_reset(&text);
    uid_set_format(&again, &text);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&text), expected);
    for (size_t cut = 1; cut < stored.len; cut++) { /* never read beyond, never accept half a range */
        int r = uid_set_decode(&again, stored.data, cut);

        CU_ASSERT(r == ERR_CORRUPT || uid_set_size(&again) < uid_set_size(&set));
    }
    uid_set_free(&set);
    uid_set_free(&again);
    buf_free(&text);
    buf_free(&stored);
}

static void test_add(void)
{
    static const uint32_t sorted[][2] = {{1, 1}, {2, 2}, {3, 3}, {7, 7}, {9, 12}};
    static const uint32_t mixed[][2] = {{9, 12}, {1, 3}, {20, 30}, {7, 7}, {4, 6}, {8, 8}};
    static const uint32_t over[][2] = {{5, 10}, {8, 20}, {1, 100}};
    static const uint32_t ends[][2] = {{1, 1}, {4294967295u, 4294967295u}};
    static const uint32_t all[][2] = {{2, 4294967295u}, {1, 1}};
    struct uid_set set = UID_SET_INIT;

    check(sorted, 5, "1:3,7,9:12");
    check(mixed, 6, "1:12,20:30");
    check(over, 3, "1:100");
    check(ends, 2, "1,4294967295");
    check(all, 2, "1:4294967295");
    check(NULL, 0, "");
    CU_ASSERT_EQUAL(uid_set_add(&set, 0, 5), ERR_INVALID);
    CU_ASSERT_EQUAL(uid_set_add(&set, 5, 4), ERR_INVALID);
    CU_ASSERT_EQUAL(uid_set_first(&set), 0);
}

static void test_decode_damage(void)
{
    static const char *const bad[] = {"\x00\x01", "\x80", "\x01", "\xff\xff\xff\xff\xff\x01\x01",
                                      "\x01\xff\xff\xff\xff\x0f"};
    static const size_t sizes[] = {2, 1, 1, 7, 6};
    struct uid_set set = UID_SET_INIT;

    for (size_t i = 0; i < 5; i++) {
        CU_ASSERT_EQUAL(uid_set_decode(&set, bad[i], sizes[i]), ERR_CORRUPT);
        CU_ASSERT_EQUAL(set.count, 0);
    }
    uid_set_free(&set);
}

/* Against a bitmap. */
static void test_random(void)
{
    enum { N = 200 };
    struct uid_set set = UID_SET_INIT;
    bool model[N + 2] = {false};
    unsigned seed = 7;

    for (int i = 0; i < 3000; i++) {
        uint32_t first = (uint32_t)rand_r(&seed) % N + 1, last = first + (uint32_t)rand_r(&seed) % 10;
        bool add = rand_r(&seed) % 2;
        uint64_t size = 0;
        int wrong = 0;

        if (last > N)
            last = N;
        CU_ASSERT_EQUAL(add ? uid_set_add(&set, first, last) : uid_set_remove(&set, first, last), 0);
        for (uint32_t u = first; u <= last; u++)
            model[u] = add;
        for (uint32_t u = 1; u <= N; u++) {
            size += model[u];
            wrong += uid_set_has(&set, u) != model[u];
        }
        CU_ASSERT_EQUAL(wrong, 0);
        CU_ASSERT_EQUAL(uid_set_size(&set), size);
        for (size_t k = 1; k < set.count; k++) /* neither overlapping nor adjacent */
            wrong += set.ranges[k].first <= set.ranges[k - 1].last + 1;
        CU_ASSERT_EQUAL(wrong, 0);
    }
    uid_set_free(&set);
}

static const struct unit_case cases[] = {
    {"add", test_add},
    {"decode damage", test_decode_damage},
    {"random against a bitmap", test_random},
    {NULL, NULL},
};

extern const struct unit_suite uidset_suite;
const struct unit_suite uidset_suite = {"uidset", cases};
