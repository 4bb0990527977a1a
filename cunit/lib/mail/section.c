#include "lib/mail/section.h"

#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

/* The example of RFC 3501 section 6.4.5. */
static const char example[] =
    "Content-Type: multipart/mixed; boundary=a\r\n\r\n"
    "--a\r\nX: 1\r\n\r\none\r\n"
    "--a\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\ntwo\r\n"
    "--a\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    "--b\r\nX: 31\r\n\r\nthree-one\r\n--b\r\nX: 32\r\n\r\nthree-two\r\n--b--\r\n"
    "--a\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"
    "--c\r\nContent-Type: image/gif\r\nX: 41\r\n\r\nfour-one\r\n"
    "--c\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=d\r\n\r\n"
    "--d\r\nContent-Type: text/x; charset=utf-8\r\n\r\nfour-two-one\r\n"
    "--d\r\nContent-Type: multipart/alternative; boundary=e\r\n\r\n"
    "--e\r\n\r\n4221\r\n--e\r\nContent-Type: text/richtext\r\n\r\n4222\r\n--e--\r\n"
    "--d--\r\n--c--\r\n"
    "--a\r\nContent-Type: message/rfc822\r\n\r\nSubject: single\r\n\r\nfive-one\r\n"
    "--a--\r\n";

static void encode(struct buf *table, const char *text)
{
    struct pool *pool = pool_new(0);

    mail_table_encode(table, mail_parse(pool, text, strlen(text)));
    pool_free(&pool);
}

static void test_locate(void)
{
    static const struct {
        const char *section, *bytes; /* bytes: NULL, there is no such section */
    } rows[] = {
        {"HEADER", "Content-Type: multipart/mixed; boundary=a\r\n\r\n"},
        {"1", "one"},
        {"1.MIME", "X: 1\r\n\r\n"},
        {"1.HEADER", NULL},
        {"1.TEXT", NULL},
        {"1.1", NULL},
        {"2", "two"},
        {"3.HEADER", "Content-Type: multipart/mixed; boundary=b\r\n\r\n"},
        {"3.HEADER.FIELDS", "Content-Type: multipart/mixed; boundary=b\r\n\r\n"},
        {"3.MIME", "Content-Type: message/rfc822\r\n\r\n"},
        {"3.TEXT", "--b\r\nX: 31\r\n\r\nthree-one\r\n--b\r\nX: 32\r\n\r\nthree-two\r\n--b--"},
        {"3.1", "three-one"},
        {"3.2", "three-two"},
        {"3.2.MIME", "X: 32\r\n\r\n"},
        {"3.3", NULL},
        {"4.HEADER", NULL},
        {"4.1", "four-one"},
        {"4.1.MIME", "Content-Type: image/gif\r\nX: 41\r\n\r\n"},
        {"4.2.HEADER", "Content-Type: multipart/mixed; boundary=d\r\n\r\n"},
        {"4.2.1", "four-two-one"},
        {"4.2.2", "--e\r\n\r\n4221\r\n--e\r\nContent-Type: text/richtext\r\n\r\n4222\r\n--e--"},
        {"4.2.2.1", "4221"},
        {"4.2.2.2", "4222"},
        {"4.2.2.2.1", NULL},
        {"5", "Subject: single\r\n\r\nfive-one"},
        {"5.1", "five-one"},
        {"5.TEXT", "five-one"},
        {"5.1.MIME", "Subject: single\r\n\r\n"},
        {"5.2", NULL},
        {"5.1.1", NULL},
        {"6", NULL},
        {"4294967295", NULL},
    };
    struct buf table = BUF_INIT;

    encode(&table, example);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct mail_section s;
        struct mail_range range = {0};
        int r;

        CU_ASSERT_EQUAL(mail_section_parse(rows[i].section, strlen(rows[i].section), &s), 0);
        r = mail_section_locate(table.data, table.len, &s, &range);
        CU_ASSERT_EQUAL(r, rows[i].bytes == NULL ? ERR_NOTFOUND : 0);
        if (rows[i].bytes == NULL)
            continue;
        CU_ASSERT_EQUAL(range.size, strlen(rows[i].bytes));
        CU_ASSERT_EQUAL(memcmp(example + range.start, rows[i].bytes, strlen(rows[i].bytes)), 0);
    }
    buf_free(&table);
}

static void test_single(void)
{
    static const char text[] = "Subject: x\r\n\r\nbody\r\n";
    static const struct {
        const char *section;
        int result;
        uint64_t start, size;
    } rows[] = {{"", 0, 0, 20},
                {"TEXT", 0, 14, 6},
                {"1", 0, 14, 6},
                {"1.MIME", 0, 0, 14},
                {"HEADER", 0, 0, 14},
                {"2", ERR_NOTFOUND, 0, 0},
                {"1.1", ERR_NOTFOUND, 0, 0},
                {"1.TEXT", ERR_NOTFOUND, 0, 0}};
    struct buf table = BUF_INIT;

    encode(&table, text);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct mail_section s;
        struct mail_range range = {0};

        CU_ASSERT_EQUAL(mail_section_parse(rows[i].section, strlen(rows[i].section), &s), 0);
        CU_ASSERT_EQUAL(mail_section_locate(table.data, table.len, &s, &range), rows[i].result);
        CU_ASSERT_EQUAL(range.start, rows[i].start);
        CU_ASSERT_EQUAL(range.size, rows[i].size);
    }
    buf_free(&table);
}

static void test_syntax(void)
{
    static const char *const bad[] = {"0",     "01",         "1.",      "1.0",          ".1",
                                      "MIME",  "1..2",       "HEADERS", "HEADER.FIELD", "TEXT.1",
                                      "1.FOO", "4294967296", "-1",      "1.HEADER.",    " 1"};
    struct mail_section s;
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        CU_ASSERT_EQUAL(mail_section_parse(bad[i], strlen(bad[i]), &s), ERR_SYNTAX);
    for (int i = 0; i <= MAIL_DEPTH_MAX; i++)
        buf_puts(&b, "1.");
    CU_ASSERT_EQUAL(mail_section_parse(b.data, b.len - 1, &s), ERR_TOOBIG);
    buf_reset(&b);
    CU_ASSERT_EQUAL(mail_section_parse("1.2.header.fields.not", 21, &s), 0);
    s.fields = (const char *const[]){"To", "Subject"};
    s.field_count = 2;
    mail_section_format(&s, &b);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "1.2.HEADER.FIELDS.NOT (To Subject)");
    buf_free(&b);
}

/* The bytes of doc/formats/part-table.md. */
static void test_golden(void)
{
    static const char text[] = "Content-Type: multipart/x; boundary=b\r\n\r\n"
                               "--b\r\nContent-Transfer-Encoding: base64\r\n\r\naGk=\r\n"
                               "--b\r\nContent-Type: application/x\r\n\r\nhi\r\n--b--\r\n";
    static const unsigned char golden[] = {
        1,                                                                   /* version */
        0x01, 2,    0,  41, 0x5f, 9,                                         /* multipart */
        0x18, 46,   37, 4,  0,    8, 'u', 's', '-', 'a', 's', 'c', 'i', 'i', /* text/plain, base64 */
        0x00, 0x5e, 31, 2,  0,                                               /* application/x */
    };
    struct buf table = BUF_INIT;

    encode(&table, text);
    CU_ASSERT_EQUAL(table.len, sizeof(golden));
    CU_ASSERT_EQUAL(memcmp(table.data, golden, sizeof(golden)), 0);
    buf_free(&table);
}

/* Damaged tables give errors, never a crash or an endless walk. */
static void test_damage(void)
{
    struct buf table = BUF_INIT;
    struct mail_section s;
    struct mail_range range;

    encode(&table, example);
    CU_ASSERT_EQUAL(mail_section_parse("5.1", 3, &s), 0);
    for (size_t n = 0; n < table.len; n++)
        CU_ASSERT(mail_section_locate(table.data, n, &s, &range) < 0);
    for (size_t i = 0; i < table.len; i++) {
        char before = table.data[i];

        for (int bit = 0; bit < 8; bit++) {
            struct mail_table_iter it;
            struct mail_entry e;

            table.data[i] = (char)(before ^ (1 << bit));
            mail_section_locate(table.data, table.len, &s, &range);
            if (mail_table_begin(&it, table.data, table.len) == 0) {
                while (mail_table_next(&it, &e, NULL) > 0)
                    ;
            }
        }
        table.data[i] = before;
    }
    table.data[0] = 2;
    CU_ASSERT_EQUAL(mail_section_locate(table.data, table.len, &s, &range), ERR_VERSION);
    buf_free(&table);
}

static const struct unit_case cases[] = {
    {"locate", test_locate}, {"single", test_single}, {"syntax", test_syntax},
    {"golden", test_golden}, {"damage", test_damage}, {NULL, NULL},
};
const struct unit_suite section_suite = {"lib/mail/section", cases};
