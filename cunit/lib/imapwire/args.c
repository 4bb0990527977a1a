#include "lib/imapwire/args.h"

#include <stdlib.h>
#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

typedef int (*string_reader)(struct imap_args *a, const char **s_r);

struct string_row {
    const char *in;
    const char *out;  /* NULL: a syntax error */
    const char *left; /* what is not taken */
};

static void run_strings(string_reader reader, const struct string_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct pool *pool = pool_new(0);
        struct imap_args a;
        const char *s = NULL;
        int r;

        imap_args_init(&a, pool, rows[i].in, strlen(rows[i].in));
        r = reader(&a, &s);
        CU_ASSERT_EQUAL(r, rows[i].out != NULL ? 0 : ERR_SYNTAX);
        if (r == 0 && rows[i].out != NULL) {
            CU_ASSERT_STRING_EQUAL(s, rows[i].out);
            CU_ASSERT_STRING_EQUAL(a.at, rows[i].left);
        } else {
            CU_ASSERT(strlen(imap_args_error(&a)) > 0);
        }
        pool_free(&pool);
    }
}

static void test_astring(void)
{
    static const struct string_row rows[] = {
        {"abc def", "abc", " def"},
        {"a]b", "a]b", ""},
        {"\"a b\" c", "a b", " c"},
        {"\"\"", "", ""},
        {"\"a\\\"b\\\\c\"", "a\"b\\c", ""},
        {"{3}\r\nabc x", "abc", " x"},
        {"{3+}\r\nabc", "abc", ""},
        {"{0}\r\n", "", ""},
        {"{5}\r\na\r\nbc)", "a\r\nbc", ")"},
        {"NIL", "NIL", ""},
        {"", NULL, NULL},
        {" a", NULL, NULL},
        {"(a", NULL, NULL},
        {"%", NULL, NULL},
        {"*", NULL, NULL},
        {"\"abc", NULL, NULL},
        {"\"a\\b\"", NULL, NULL},
        {"\"a\rb\"", NULL, NULL},
        {"{4}\r\nabc", NULL, NULL},
        {"{3}abc", NULL, NULL},
        {"{}\r\n", NULL, NULL},
        {"{99999999999999999999}\r\nx", NULL, NULL},
        {"\xc3\xa9", NULL, NULL},
    };

    run_strings(imap_args_astring, rows, ARRAY_SIZE(rows));
}

static void test_other_strings(void)
{
    static const struct string_row atoms[] = {
        {"ab", "ab", ""}, {"a]", "a", "]"}, {"\"a\"", NULL, NULL}, {"\\Seen", NULL, NULL}};
    static const struct string_row lists[] = {
        {"*", "*", ""}, {"a.%", "a.%", ""}, {"\"% *\"", "% *", ""}, {"{1}\r\n*", "*", ""}, {"(", NULL, NULL}};
    static const struct string_row mailboxes[] = {
        {"inbox", "INBOX", ""}, {"\"InBox\" x", "INBOX", " x"}, {"inbox.x", "inbox.x", ""}};
    static const struct string_row items[] = {{"BODY.PEEK[", "BODY.PEEK", "["},
                                              {"UID)", "UID", ")"},
                                              {"1.2.HEADER.FIELDS (", "1.2.HEADER.FIELDS", " ("},
                                              {"[", NULL, NULL}};
    static const struct string_row dates[] = {
        {"1-Feb-1994 x", "1-Feb-1994", " x"}, {"\"1-Feb-1994\"", "1-Feb-1994", ""}, {"", NULL, NULL}};
    static const struct string_row sets[] = {
        {"1:*,3 x", "1:*,3", " x"}, {"0", NULL, NULL}, {"1:", NULL, NULL}, {"x", NULL, NULL}};

    run_strings(imap_args_atom, atoms, ARRAY_SIZE(atoms));
    run_strings(imap_args_list_mailbox, lists, ARRAY_SIZE(lists));
    run_strings(imap_args_mailbox, mailboxes, ARRAY_SIZE(mailboxes));
    run_strings(imap_args_item, items, ARRAY_SIZE(items));
    run_strings(imap_args_date, dates, ARRAY_SIZE(dates));
    run_strings(imap_args_seqset, sets, ARRAY_SIZE(sets));
}

static void test_nul(void)
{
    struct pool *pool = pool_new(0);
    struct imap_args a;
    const char *s;

    imap_args_init(&a, pool, "{3}\r\na\0b", 8);
    CU_ASSERT_EQUAL(imap_args_astring(&a, &s), ERR_SYNTAX);
    CU_ASSERT_STRING_EQUAL(imap_args_error(&a), "NUL byte in literal");
    imap_args_init(&a, pool, "a\0b", 3);
    CU_ASSERT_EQUAL(imap_args_atom(&a, &s), 0);
    CU_ASSERT(!imap_args_at_end(&a));
    pool_free(&pool);
}

static void test_limits(void)
{
    struct pool *pool = pool_new(0);
    struct imap_args a;
    const char *s;

    imap_args_init(&a, pool, "abcd \"abcd\"", 11);
    a.max_word = 4;
    a.max_quoted = 3;
    CU_ASSERT_EQUAL(imap_args_atom(&a, &s), 0);
    CU_ASSERT_EQUAL(imap_args_space(&a), 0);
    CU_ASSERT_EQUAL(imap_args_astring(&a, &s), ERR_SYNTAX);
    imap_args_init(&a, pool, "abcde", 5);
    a.max_word = 4;
    CU_ASSERT_EQUAL(imap_args_atom(&a, &s), ERR_SYNTAX);
    pool_free(&pool);
}

/* RFC 6855 3 */
static void test_utf8(void)
{
    static const struct {
        const char *text;
        bool utf8;
        int result;
    } rows[] = {
        {"\"\xc3\xa9\"", true, 0},      {"\"\xe9\"", true, ERR_SYNTAX},         {"\"\xe9\"", false, 0},
        {"\"\xc3\"", true, ERR_SYNTAX}, {"\"\xed\xa0\x80\"", true, ERR_SYNTAX}, {"{1}\r\n\xe9", true, 0},
        {"\xc3\xa9", true, ERR_SYNTAX}, /* no atom */
    };
    struct pool *pool = pool_new(0);
    struct imap_args a;
    const char *s;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        imap_args_init(&a, pool, rows[i].text, strlen(rows[i].text));
        a.utf8 = rows[i].utf8;
        CU_ASSERT_EQUAL(imap_args_astring(&a, &s), rows[i].result);
    }
    pool_free(&pool);
}

static void test_nstring(void)
{
    struct pool *pool = pool_new(0);
    struct imap_args a;
    const char *s = "x";

    imap_args_init(&a, pool, "nil)", 4);
    CU_ASSERT_EQUAL(imap_args_nstring(&a, &s), 0);
    CU_ASSERT_PTR_NULL(s);
    imap_args_init(&a, pool, "NILS", 4);
    CU_ASSERT_EQUAL(imap_args_nstring(&a, &s), ERR_SYNTAX);
    imap_args_init(&a, pool, "\"NIL\"", 5);
    CU_ASSERT_EQUAL(imap_args_nstring(&a, &s), 0);
    CU_ASSERT_STRING_EQUAL(s, "NIL");
    pool_free(&pool);
}

/* A literal8 may have NULs, nothing else may. */
static void test_nstring8(void)
{
    static const struct {
        const char *in;
        size_t in_len;
        const char *want; /* NULL: NIL */
        size_t len;
        int r;
    } rows[] = {
        {"NIL", 3, NULL, 0, 0},
        {"\"a\"", 3, "a", 1, 0},
        {"{2}\r\nab", 7, "ab", 2, 0},
        {"~{3}\r\na\0b", 9, "a\0b", 3, 0},
        {"~{3+}\r\na\0b", 10, "a\0b", 3, 0},
        {"~{0}\r\n", 6, "", 0, 0},
        {"{3}\r\na\0b", 8, NULL, 0, ERR_SYNTAX},
        {"~{4}\r\na\0b", 9, NULL, 0, ERR_SYNTAX},
        {"~\"a\"", 4, NULL, 0, ERR_SYNTAX},
        {"~", 1, NULL, 0, ERR_SYNTAX},
        {"a", 1, NULL, 0, ERR_SYNTAX},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pool *pool = pool_new(0);
        const char *s = "x";
        struct imap_args a;
        size_t len = 99;

        imap_args_init(&a, pool, rows[i].in, rows[i].in_len);
        CU_ASSERT_EQUAL(imap_args_nstring8(&a, &s, &len), rows[i].r);
        if (rows[i].r == 0) {
            CU_ASSERT_EQUAL(len, rows[i].len);
            CU_ASSERT((s == NULL) == (rows[i].want == NULL));
            CU_ASSERT(s == NULL || memcmp(s, rows[i].want, len + 1) == 0);
            CU_ASSERT_PTR_EQUAL(a.at, a.end);
        }
        pool_free(&pool);
    }
}

static void test_numbers(void)
{
    static const struct {
        const char *in;
        int number, nz, number64;
    } rows[] = {
        {"0", 0, ERR_SYNTAX, 0},
        {"7 ", 0, 0, 0},
        {"4294967295", 0, 0, 0},
        {"4294967296", ERR_SYNTAX, ERR_SYNTAX, 0},
        {"9223372036854775807", ERR_SYNTAX, ERR_SYNTAX, 0},
        {"9223372036854775808", ERR_SYNTAX, ERR_SYNTAX, ERR_SYNTAX},
        {"18446744073709551616", ERR_SYNTAX, ERR_SYNTAX, ERR_SYNTAX},
        {"", ERR_SYNTAX, ERR_SYNTAX, ERR_SYNTAX},
        {"-1", ERR_SYNTAX, ERR_SYNTAX, ERR_SYNTAX},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct imap_args a;
        uint32_t n;
        uint64_t n64;

        imap_args_init(&a, NULL, rows[i].in, strlen(rows[i].in));
        CU_ASSERT_EQUAL(imap_args_number(&a, &n), rows[i].number);
        imap_args_init(&a, NULL, rows[i].in, strlen(rows[i].in));
        CU_ASSERT_EQUAL(imap_args_nz_number(&a, &n), rows[i].nz);
        imap_args_init(&a, NULL, rows[i].in, strlen(rows[i].in));
        CU_ASSERT_EQUAL(imap_args_number64(&a, &n64), rows[i].number64);
    }
}

/* "(f0 f1 ...)": as many different ones, each twice. */
static void flags_of_a_number(int n, int expected)
{
    struct pool *pool = pool_new(0);
    struct buf text = BUF_INIT;
    const char *const *flags;
    struct imap_args a;
    size_t count;

    for (int i = 0; i < 2 * n; i++)
        buf_printf(&text, "%sf%d", i == 0 ? "(" : " ", i % n);
    buf_putc(&text, ')');
    imap_args_init(&a, pool, buf_cstr(&text), text.len);
    CU_ASSERT_EQUAL(imap_args_flags(&a, false, &flags, &count), expected);
    CU_ASSERT(expected != 0 || count == (size_t)n);
    CU_ASSERT(expected == 0 || strcmp(imap_args_error(&a), "Too many flags") == 0);
    buf_free(&text);
    pool_free(&pool);
}

static void test_number_of_flags(void)
{
    flags_of_a_number(IMAP_FLAGS_MAX, 0);
    flags_of_a_number(IMAP_FLAGS_MAX + 1, ERR_SYNTAX);
}

static void test_flags(void)
{
    static const struct {
        const char *in;
        bool bare;
        int count; /* -1: syntax error */
        const char *first, *left;
    } rows[] = {
        {"()", false, 0, NULL, ""},
        {"(\\seen)", false, 1, "\\Seen", ""},
        {"(\\Seen $x \\SEEN) \"d\"", false, 2, "\\Seen", " \"d\""},
        {"\\Deleted", true, 1, "\\Deleted", ""},
        {"a b", true, 2, "a", ""},
        {"()", true, 0, NULL, ""},
        {"\\Deleted", false, -1, NULL, NULL},
        {"(\\Recent)", false, -1, NULL, NULL},
        {"(\\*)", false, -1, NULL, NULL},
        {"(a", false, -1, NULL, NULL},
        {"(a  b)", false, -1, NULL, NULL},
        {"", true, -1, NULL, NULL},
        {"(a(b))", false, -1, NULL, NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pool *pool = pool_new(0);
        const char *const *flags;
        struct imap_args a;
        size_t count;
        int r;

        imap_args_init(&a, pool, rows[i].in, strlen(rows[i].in));
        r = imap_args_flags(&a, rows[i].bare, &flags, &count);
        CU_ASSERT_EQUAL(r, rows[i].count < 0 ? ERR_SYNTAX : 0);
        if (r == 0 && rows[i].count >= 0) {
            CU_ASSERT_EQUAL(count, (size_t)rows[i].count);
            CU_ASSERT_PTR_NULL(flags[count]);
            CU_ASSERT_STRING_EQUAL(a.at, rows[i].left);
            if (count > 0)
                CU_ASSERT_STRING_EQUAL(flags[0], rows[i].first);
        }
        pool_free(&pool);
    }
}

static void test_skip_value(void)
{
    static const struct string_row rows[] = {
        {"abc d", "", " d"},    {"(a (b \"c\") {2}\r\n)( () d) e", "", " e"},
        {"((a)(b c))", "", ""}, {"(\\Seen \\*)", "", ""},
        {"(a", NULL, NULL},     {"(a b", NULL, NULL},
        {")", NULL, NULL},
    };
    char deep[200];

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pool *pool = pool_new(0);
        struct imap_args a;

        imap_args_init(&a, pool, rows[i].in, strlen(rows[i].in));
        CU_ASSERT_EQUAL(imap_args_skip_value(&a), rows[i].out != NULL ? 0 : ERR_SYNTAX);
        if (rows[i].out != NULL)
            CU_ASSERT_STRING_EQUAL(a.at, rows[i].left);
        pool_free(&pool);
    }
    memset(deep, '(', sizeof(deep));
    struct imap_args a;
    imap_args_init(&a, NULL, deep, sizeof(deep));
    CU_ASSERT_EQUAL(imap_args_skip_value(&a), ERR_SYNTAX);
}

static void test_structure(void)
{
    struct imap_args a;

    imap_args_init(&a, NULL, "NOT(x) ", 7);
    CU_ASSERT(!imap_args_word(&a, "NO"));
    CU_ASSERT(imap_args_word(&a, "not"));
    CU_ASSERT_EQUAL(imap_args_space(&a), ERR_SYNTAX);
    CU_ASSERT_EQUAL(imap_args_char(&a, '('), 0);
    CU_ASSERT(!imap_args_skip(&a, 'y'));
    CU_ASSERT(imap_args_skip(&a, 'x'));
    CU_ASSERT_EQUAL(imap_args_end(&a), ERR_SYNTAX);
    CU_ASSERT_EQUAL(imap_args_char(&a, ')'), 0);
    CU_ASSERT_EQUAL(imap_args_end(&a), 0);
    CU_ASSERT_EQUAL(imap_args_space(&a), ERR_SYNTAX);
}

static void test_literal_at_end(void)
{
    static const struct {
        const char *line;
        int r;
        uint64_t size;
        bool synchronising;
        size_t at;
    } rows[] = {
        {"a LOGIN {4}", 1, 4, true, 8},
        {"a LOGIN {4+}", 1, 4, false, 8},
        {"{0}", 1, 0, true, 0},
        {"a APPEND x ~{4}", 1, 4, true, 11},
        {"~{4+}", 1, 4, false, 0},
        {"~", 0, 0, true, 0},
        {"a ~{}", 0, 0, true, 0},
        {"{18446744073709551615}", 1, UINT64_MAX, true, 0},
        {"{18446744073709551616}", ERR_TOOBIG, 0, true, 0},
        {"{}", 0, 0, true, 0},
        {"{+}", 0, 0, true, 0},
        {"4}", 0, 0, true, 0},
        {"{4} ", 0, 0, true, 0},
        {"{4-}", 0, 0, true, 0},
        {"", 0, 0, true, 0},
        {"x {a4}", 0, 0, true, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct imap_literal l = {.at = 0};

        CU_ASSERT_EQUAL(imap_literal_at_end(rows[i].line, strlen(rows[i].line), &l), rows[i].r);
        if (rows[i].r == 1) {
            CU_ASSERT_EQUAL(l.size, rows[i].size);
            CU_ASSERT_EQUAL(l.synchronising, rows[i].synchronising);
            CU_ASSERT_EQUAL(l.at, rows[i].at);
            CU_ASSERT_EQUAL(l.binary, rows[i].line[l.at] == '~');
        }
    }
}

/* Whatever is cut off anywhere is an error or a shorter value, never a read beyond the end. */
static void test_truncated(void)
{
#define LIST "(a (\"b\\\"c\" {3}\r\nxyz) \\Seen)"
    static const char whole[] = LIST " 1:3,* \"x\"";

    for (size_t n = 0; n < sizeof(whole); n++) {
        char *copy = xmalloc(n + 1);
        struct pool *pool = pool_new(0);
        struct imap_args a;
        const char *s;
        int r;

        memcpy(copy, whole, n);
        imap_args_init(&a, pool, copy, n);
        r = imap_args_skip_value(&a);
        CU_ASSERT_EQUAL(r, n >= sizeof(LIST) - 1 ? 0 : ERR_SYNTAX);
        if (r == 0 && imap_args_space(&a) == 0)
            (void)(imap_args_seqset(&a, &s) == 0 && imap_args_space(&a) == 0 &&
                   imap_args_string(&a, &s) == 0);
        CU_ASSERT(a.at <= a.end);
        pool_free(&pool);
        free(copy);
    }
}

static const struct unit_case cases[] = {
    {"astring", test_astring},
    {"other strings", test_other_strings},
    {"UTF-8", test_utf8},
    {"NUL", test_nul},
    {"limits", test_limits},
    {"nstring", test_nstring},
    {"nstring8", test_nstring8},
    {"numbers", test_numbers},
    {"flags", test_flags},
    {"number of flags", test_number_of_flags},
    {"skip value", test_skip_value},
    {"structure", test_structure},
    {"literal at end", test_literal_at_end},
    {"truncated", test_truncated},
    {NULL, NULL},
};

extern const struct unit_suite args_suite;
const struct unit_suite args_suite = {"args", cases};
