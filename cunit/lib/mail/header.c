#include "lib/mail/header.h"

#include <string.h>

#include "cunit/unit.h"
#include "lib/base/mem.h"

static const char sample[] = "From someone Sat Nov 21 12:00:00 2026\r\n"
                             "Subject:  one\r\n two\r\n"
                             "X-Odd \t: blank before the colon\r\n"
                             "Empty:\r\n"
                             "Received: a\r\n"
                             "no colon here\r\n"
                             "RECEIVED: b;\r\n\tc\r\n"
                             "\r\n"
                             "Subject: in the body\r\n";

static void test_size(void)
{
    static const struct {
        const char *text;
        size_t size;
    } rows[] = {
        {"", 0},          {"a: b", 4},       {"a: b\r\n", 6}, {"a: b\r\n\r\nx", 8},
        {"a: b\n\nx", 6}, {"\r\nbody", 2},   {"\nbody", 1},   {"a\r\n \r\nb", 7},
        {"\r", 1},        {"a: b\r\n\r", 7},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        CU_ASSERT_EQUAL(mail_header_size(rows[i].text, strlen(rows[i].text)), rows[i].size);
}

static void test_iterate(void)
{
    static const char *const names[] = {"", "Subject", "X-Odd", "Empty", "Received", "", "RECEIVED"};
    struct mail_header_iter it;
    struct mail_field f;
    size_t i = 0, total = 0;

    for (mail_header_begin(&it, sample, strlen(sample)); mail_header_next(&it, &f); i++) {
        CU_ASSERT_FATAL(i < ARRAY_SIZE(names));
        CU_ASSERT_EQUAL(f.name_len, strlen(names[i]));
        CU_ASSERT_EQUAL(memcmp(f.name, names[i], f.name_len), 0);
        total += f.raw_len;
    }
    CU_ASSERT_EQUAL(i, ARRAY_SIZE(names));
    CU_ASSERT_EQUAL(total + 2, mail_header_size(sample, strlen(sample)));
}

static void test_get(void)
{
    struct pool *pool = pool_new(0);
    char **all = mail_header_get_all(pool, sample, strlen(sample), "received");

    CU_ASSERT_STRING_EQUAL(mail_header_get(pool, sample, strlen(sample), "SUBJECT"), "one two");
    CU_ASSERT_STRING_EQUAL(mail_header_get(pool, sample, strlen(sample), "x-odd"), "blank before the colon");
    CU_ASSERT_STRING_EQUAL(mail_header_get(pool, sample, strlen(sample), "Empty"), "");
    CU_ASSERT_PTR_NULL(mail_header_get(pool, sample, strlen(sample), "Subjec"));
    CU_ASSERT_STRING_EQUAL(all[0], "a");
    CU_ASSERT_STRING_EQUAL(all[1], "b;\tc");
    CU_ASSERT_PTR_NULL(all[2]);
    CU_ASSERT_PTR_NULL(mail_header_get_all(pool, sample, strlen(sample), "To")[0]);
    pool_free(&pool);
}

static void test_unfold(void)
{
    static const struct {
        const char *value, *unfolded;
    } rows[] = {
        {"", ""},         {" a ", "a"},     {"a\r\n b", "a b"}, {"\r\n a", "a"}, {"a\r\n\t \r\n", "a"},
        {"a\rb", "a\rb"}, {"a\n b", "a b"},
    };
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct mail_field f = {.value = rows[i].value, .value_len = strlen(rows[i].value)};

        buf_reset(&b);
        mail_field_unfold(&f, &b);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i].unfolded);
    }
    buf_free(&b);
}

static void test_select(void)
{
    static const char *const names[] = {"received", "Subject", "Absent"};
    struct buf b = BUF_INIT;

    mail_header_select(sample, strlen(sample), names, 3, false, &b);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b),
                           "Subject:  one\r\n two\r\nReceived: a\r\nRECEIVED: b;\r\n\tc\r\n\r\n");
    buf_reset(&b);
    mail_header_select(sample, strlen(sample), names, 3, true, &b);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "X-Odd \t: blank before the colon\r\nEmpty:\r\n\r\n");
    buf_reset(&b);
    mail_header_select("To: x", 5, (const char *const[]){"to"}, 1, false, &b);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "To: x\r\n\r\n");
    buf_reset(&b);
    mail_header_select("", 0, names, 3, false, &b);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "\r\n");
    buf_free(&b);
}

static const struct unit_case cases[] = {
    {"size", test_size},     {"iterate", test_iterate}, {"get", test_get},
    {"unfold", test_unfold}, {"select", test_select},   {NULL, NULL},
};
const struct unit_suite header_suite = {"lib/mail/header", cases};
