#include <string.h>

#include "cunit/unit.h"
#include "imap/session/annotate-args.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

/* "entry p|s=value" of each; NIL is -, a NUL byte is 0. */
static const char *shown(struct pool *pool, const struct annotate_list *list)
{
    struct buf text = BUF_INIT;
    const char *result;

    for (size_t i = 0; i < list->count; i++) {
        const struct annotate_value *v = &list->values[i];

        buf_printf(&text, "%s%s %c=", i > 0 ? " " : "", v->entry, v->is_private ? 'p' : 's');
        for (size_t k = 0; k < v->len; k++)
            buf_putc(&text, v->value[k] != '\0' ? v->value[k] : '0');
        if (v->value == NULL)
            buf_putc(&text, '-');
    }
    result = pool_strdup(pool, buf_cstr(&text));
    buf_free(&text);
    return result;
}

static int read_list(struct pool *pool, const char *text, size_t len, struct annotate_list *list)
{
    struct annotate_reader reader;
    struct imap_args args;
    int r;

    imap_args_init(&args, pool, text, len);
    annotate_reader_init(&reader, list);
    r = annotate_reader_next(&reader, &args, false);
    return r == 0 ? imap_args_end(&args) : r;
}

static void test_read(void)
{
    static const struct {
        const char *text, *want; /* NULL: a syntax error */
    } rows[] = {
        {"(/comment (value.priv \"x\"))", "/comment p=x"},
        {"(/comment (value.priv \"x\" value.shared NIL) \"/altsubject\" (value.shared \"\"))",
         "/comment p=x /comment s=- /altsubject s="},
        {"({8}\r\n/comment (value.priv {4}\r\na\r\nb))", "/comment p=a\r\nb"},
        {"(/vendor/x/y ({10+}\r\nvalue.priv \"y\") /1.2/comment (value.priv \"z\"))",
         "/vendor/x/y p=y /1.2/comment p=z"},
        {"(/1/flags/seen (value.priv \"0\" value.shared \"1\"))", "/1/flags/seen p=0 /1/flags/seen s=1"},
        {"(/1/flags/seen (value.priv NIL))", "/1/flags/seen p=-"},
        {"(/1/flags/seen (value.priv \"2\"))", NULL},
        {"(/1/flags/seen (value.priv \"\"))", NULL},
        {"(/1/flags/recent (value.priv \"1\"))", NULL},
        {"()", NULL},
        {"(/comment)", NULL},
        {"(/comment ())", NULL},
        {"(/comment  (value.priv \"x\"))", NULL},
        {"(/comment (value.priv  \"x\"))", NULL},
        {"(/comment (value.priv x))", NULL},
        {"(/comment (value.priv \"x\" ))", NULL},
        {"(/comment (value.priv \"x\") )", NULL},
        {"(/comment (value.priv \"x\")(/altsubject (value.priv \"x\")))", NULL},
        {"/comment (value.priv \"x\")", NULL},
        {"(/comment (value \"x\"))", NULL},
        {"(/comment (size.priv \"1\"))", NULL},
        {"(/Comment (value.priv \"x\"))", NULL},
        {"(/comment/ (value.priv \"x\"))", NULL},
        {"(/flags/x (value.priv \"x\"))", NULL},
        {"(/vendor (value.priv \"x\"))", NULL},
        {"(/01/comment (value.priv \"x\"))", NULL},
        {"(/1./comment (value.priv \"x\"))", NULL},
        {"(/1 (value.priv \"x\"))", NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pool *pool = pool_new(0);
        struct annotate_list list;
        int r = read_list(pool, rows[i].text, strlen(rows[i].text), &list);

        CU_ASSERT((r == 0) == (rows[i].want != NULL));
        if (r == 0 && rows[i].want != NULL) {
            CU_ASSERT_STRING_EQUAL(shown(pool, &list), rows[i].want);
            for (size_t n = 0; n < strlen(rows[i].text); n++)
                CU_ASSERT(read_list(pool, rows[i].text, n, &list) < 0);
        }
        pool_free(&pool);
    }
}

static void test_binary(void)
{
    static const char text[] = "(/comment (value.priv ~{3}\r\na\0b))";
    struct pool *pool = pool_new(0);
    struct annotate_list list, again;
    struct buf out = BUF_INIT;

    CU_ASSERT_EQUAL(read_list(pool, text, sizeof(text) - 1, &list), 0);
    CU_ASSERT_STRING_EQUAL(shown(pool, &list), "/comment p=a0b");
    annotate_list_put(&list, &out);
    CU_ASSERT_EQUAL(memcmp(out.data, " ANNOTATION (/comment (value.priv ~{3+}\r\na\0b))", out.len), 0);
    CU_ASSERT_EQUAL(read_list(pool, out.data + 12, out.len - 12, &again), 0);
    CU_ASSERT_STRING_EQUAL(shown(pool, &again), "/comment p=a0b");
    buf_free(&out);
    pool_free(&pool);
}

/* What is sent to another server means the same there. */
static void test_put(void)
{
    static const char text[] =
        "(/comment (value.priv \"a\\\"b\\\\\" value.shared NIL) /altsubject (value.shared {3}\r\n\r\nx))";
    struct pool *pool = pool_new(0);
    struct annotate_list list, again;
    struct buf out = BUF_INIT;

    CU_ASSERT_EQUAL(read_list(pool, text, sizeof(text) - 1, &list), 0);
    annotate_list_put(&list, &out);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&out), " ANNOTATION (/comment (value.priv \"a\\\"b\\\\\") /comment "
                                           "(value.shared NIL) /altsubject (value.shared {3+}\r\n\r\nx))");
    CU_ASSERT_EQUAL(read_list(pool, out.data + 12, out.len - 12, &again), 0);
    CU_ASSERT_STRING_EQUAL(shown(pool, &again), shown(pool, &list));
    buf_free(&out);
    pool_free(&pool);
}

/* APPEND's literals are not in the text. */
static void test_pieces(void)
{
    static const char *const texts[] = {"(/comment (value.priv ", " value.shared ",
                                        ") /altsubject (value.priv ", ")) rest"};
    struct pool *pool = pool_new(0);
    struct annotate_reader reader;
    struct annotate_list list;
    const char *error;

    annotate_reader_init(&reader, &list);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct imap_args args;
        int r;

        imap_args_init(&args, pool, texts[i], strlen(texts[i]));
        r = annotate_reader_next(&reader, &args, i + 1 < ARRAY_SIZE(texts));
        CU_ASSERT_EQUAL(r, i + 1 < ARRAY_SIZE(texts) ? 1 : 0);
        if (r == 1) {
            CU_ASSERT_EQUAL(annotate_reader_value(&reader, pool, "lit", 3, &error), 0);
        } else {
            CU_ASSERT(imap_args_skip(&args, ' ') && imap_args_word(&args, "rest"));
        }
    }
    CU_ASSERT_STRING_EQUAL(shown(pool, &list), "/comment p=lit /comment s=lit /altsubject p=lit");
    pool_free(&pool);
}

static void test_many(void)
{
    struct pool *pool = pool_new(0);
    struct annotate_list list;
    struct buf text = BUF_INIT;

    buf_puts(&text, "(");
    for (int i = 0; i < ANNOTATE_ARGS_MAX; i++)
        buf_printf(&text, "%s/vendor/x/%d (value.priv \"x\")", i > 0 ? " " : "", i);
    buf_puts(&text, ")");
    CU_ASSERT_EQUAL(read_list(pool, text.data, text.len, &list), 0);
    CU_ASSERT_EQUAL(list.count, ANNOTATE_ARGS_MAX);
    buf_truncate(&text, text.len - 1);
    buf_puts(&text, " /comment (value.priv \"x\"))");
    CU_ASSERT_EQUAL(read_list(pool, text.data, text.len, &list), ERR_SYNTAX);
    buf_free(&text);
    pool_free(&pool);
}

static void test_part(void)
{
    static const struct {
        const char *entry, *part;
    } rows[] = {{"/1/comment", "1"}, {"/1.2.3/vendor/x", "1.2.3"}, {"/comment", NULL},
                {"/1", NULL},        {"/1x/comment", NULL},        {"/0/comment", NULL}};
    struct pool *pool = pool_new(0);

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *part = annotate_part(rows[i].entry, pool);

        CU_ASSERT((part == NULL) == (rows[i].part == NULL));
        if (part != NULL && rows[i].part != NULL)
            CU_ASSERT_STRING_EQUAL(part, rows[i].part);
    }
    pool_free(&pool);
}

static const struct unit_case cases[] = {
    {"lists", test_read}, {"binary", test_binary}, {"written", test_put}, {"literals", test_pieces},
    {"many", test_many},  {"parts", test_part},    {NULL, NULL}};
extern const struct unit_suite annotate_suite;
const struct unit_suite annotate_suite = {"annotate", cases};
