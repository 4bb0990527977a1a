#include "lib/base/buf.h"

#include <stdlib.h>
#include <string.h>

#include "cunit/unit.h"
#include "lib/base/mem.h"

static void test_append(void)
{
    struct buf b = BUF_INIT;

    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "");
    buf_puts(&b, "one");
    buf_putc(&b, ' ');
    buf_printf(&b, "%0300d", 7);
    CU_ASSERT_EQUAL(b.len, 304);
    CU_ASSERT_EQUAL(b.data[303], '7');
    CU_ASSERT_EQUAL(b.data[304], '\0');
    buf_free(&b);
    CU_ASSERT_PTR_NULL(b.data);
}

static void test_number(void)
{
    static const struct {
        uint64_t n;
        const char *expected;
    } rows[] = {
        {0, "0"}, {9, "9"}, {10, "10"}, {4294967295u, "4294967295"}, {UINT64_MAX, "18446744073709551615"}};
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        buf_reset(&b);
        buf_number(&b, rows[i].n);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].expected);
    }
    buf_free(&b);
}

static void test_consume(void)
{
    struct buf b = BUF_INIT;
    char *s;

    buf_puts(&b, "abcdef");
    buf_consume(&b, 2);
    buf_truncate(&b, 3);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "cde");
    buf_reset(&b);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "");
    buf_puts(&b, "x");
    s = buf_steal(&b);
    CU_ASSERT_STRING_EQUAL(s, "x");
    CU_ASSERT_EQUAL(b.len, 0);
    free(s);
}

static const struct unit_case cases[] = {
    {"append", test_append},
    {"number", test_number},
    {"consume, truncate, steal", test_consume},
    {NULL, NULL},
};

extern const struct unit_suite buf_suite;
const struct unit_suite buf_suite = {"buf", cases};
