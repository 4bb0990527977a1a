#include "imap/lmtp/relay/spool.h"

#include <stdbool.h>
#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static char pattern(int64_t offset)
{
    return (char)(offset % 251);
}

static void fill(struct spool *s, int64_t size, size_t piece)
{
    char data[4096];

    while (s->size < size) {
        size_t n = (int64_t)piece < size - s->size ? piece : (size_t)(size - s->size);

        for (size_t i = 0; i < n; i++)
            data[i] = pattern(s->size + (int64_t)i);
        CU_ASSERT_EQUAL(spool_write(s, data, n), 0);
    }
}

static void expect(const struct spool *s, int64_t size)
{
    char data[1000];
    int64_t at = 0;
    ssize_t n;
    bool same = true;

    while ((n = spool_read(s, at, data, sizeof(data))) > 0) {
        for (ssize_t i = 0; i < n; i++)
            same &= data[i] == pattern(at + i);
        at += n;
    }
    CU_ASSERT_EQUAL(n, 0);
    CU_ASSERT_EQUAL(at, size);
    CU_ASSERT(same);
}

static void test_sizes(void)
{
    static const struct {
        int64_t size;
        bool in_file;
    } rows[] = {{0, false},
                {1, false},
                {SPOOL_MEMORY, false},
                {SPOOL_MEMORY + 1, true},
                {5 * SPOOL_MEMORY + 7, true}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct spool s;

        spool_init(&s, "/tmp");
        fill(&s, rows[i].size, 997);
        CU_ASSERT_EQUAL(s.size, rows[i].size);
        CU_ASSERT_EQUAL(s.fd >= 0, rows[i].in_file);
        expect(&s, rows[i].size);
        spool_free(&s);
    }
}

static void test_no_directory(void)
{
    struct spool s;
    char data[SPOOL_MEMORY] = {0};

    spool_init(&s, "/nowhere/at/all");
    CU_ASSERT_EQUAL(spool_write(&s, data, sizeof(data)), 0);
    CU_ASSERT_EQUAL(spool_write(&s, data, 1), ERR_NOTFOUND);
    spool_free(&s);
}

static const struct unit_case cases[] = {
    {"sizes", test_sizes}, {"no directory", test_no_directory}, {NULL, NULL}};
const struct unit_suite spool_suite = {"imap/lmtp/spool", cases};
