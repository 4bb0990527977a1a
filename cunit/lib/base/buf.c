#include "lib/base/buf.h"

#include <stdlib.h>
#include <string.h>

#include "cunit/unit.h"

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
    {"consume, truncate, steal", test_consume},
    {NULL, NULL},
};

extern const struct unit_suite buf_suite;
const struct unit_suite buf_suite = {"buf", cases};
