#include "imap/local/search.h"

#include <stdlib.h>
#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/charset/convert.h"
#include "lib/imapwire/seqset.h"

enum { EVERYTHING = RETURN_MIN | RETURN_MAX | RETURN_ALL | RETURN_COUNT | RETURN_SAVE | RETURN_PARTIAL };

static int parse(const char *text, size_t n, unsigned allowed, struct search_return *ret)
{
    struct pool *pool = pool_new(0);
    struct imap_args args;
    int r;

    imap_args_init(&args, pool, text, n);
    r = search_parse_return(&args, allowed, ret);
    if (r == 0 && ret->extended)
        CU_ASSERT(imap_args_word(&args, "ALL"));
    pool_free(&pool);
    return r;
}

static void test_return(void)
{
    static const struct {
        const char *in;
        int result;
        unsigned options;
        uint32_t first, last;
        bool from_end;
    } rows[] = {
        {"ALL", 0, 0, 0, 0, false},
        {"RETURN () ALL", 0, RETURN_ALL, 0, 0, false},
        {"return (min Max) ALL", 0, RETURN_MIN | RETURN_MAX, 0, 0, false},
        {"RETURN (SAVE) ALL", 0, RETURN_SAVE, 0, 0, false},
        {"RETURN (COUNT ALL SAVE) ALL", 0, RETURN_COUNT | RETURN_ALL | RETURN_SAVE, 0, 0, false},
        {"RETURN (PARTIAL 500:1) ALL", 0, RETURN_PARTIAL, 1, 500, false},
        {"RETURN (PARTIAL -1:-100 MIN) ALL", 0, RETURN_PARTIAL | RETURN_MIN, 1, 100, true},
        {"RETURN (ALL PARTIAL 1:2) ALL", ERR_SYNTAX, 0, 0, 0, false},
        {"RETURN (PARTIAL 1:2 PARTIAL 3:4) ALL", ERR_SYNTAX, 0, 0, 0, false},
        {"RETURN (PARTIAL 1:-2) ALL", ERR_SYNTAX, 0, 0, 0, false},
        {"RETURN (PARTIAL -1:2) ALL", ERR_SYNTAX, 0, 0, 0, false},
        {"RETURN (PARTIAL 0:2) ALL", ERR_SYNTAX, 0, 0, 0, false},
        {"RETURN (PARTIAL 1:*) ALL", ERR_SYNTAX, 0, 0, 0, false},
        {"RETURN (PARTIAL) ALL", ERR_SYNTAX, 0, 0, 0, false},
        {"RETURN (NONSENSE) ALL", ERR_SYNTAX, 0, 0, 0, false},
        {"RETURN (MIN  MAX) ALL", ERR_SYNTAX, 0, 0, 0, false},
        {"RETURN ( MIN) ALL", ERR_SYNTAX, 0, 0, 0, false},
        {"RETURN (MIN", ERR_SYNTAX, 0, 0, 0, false},
        {"RETURN MIN ALL", ERR_SYNTAX, 0, 0, 0, false},
        {"RETURN ()", ERR_SYNTAX, 0, 0, 0, false},
    };
    struct search_return ret;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CU_ASSERT_EQUAL(parse(rows[i].in, strlen(rows[i].in), EVERYTHING, &ret), rows[i].result);
        if (rows[i].result < 0)
            continue;
        CU_ASSERT_EQUAL(ret.options, rows[i].options);
        CU_ASSERT_EQUAL(ret.first, rows[i].first);
        CU_ASSERT_EQUAL(ret.last, rows[i].last);
        CU_ASSERT_EQUAL(ret.from_end, rows[i].from_end);
    }
    CU_ASSERT_EQUAL(parse("RETURN (PARTIAL 1:2) ALL", 24, EVERYTHING & ~RETURN_PARTIAL, &ret), ERR_SYNTAX);
}

static void test_truncated(void)
{
    static const char whole[] = "RETURN (MIN PARTIAL -10:-20 SAVE) ";
    struct search_return ret;

    for (size_t n = 7; n < sizeof(whole) - 1; n++) {
        char *copy = xmalloc(n + 1);

        memcpy(copy, whole, n);
        CU_ASSERT_EQUAL(parse(copy, n, EVERYTHING, &ret), ERR_SYNTAX);
        free(copy);
    }
}

static void make_set(const char *text, struct uid_set *to)
{
    struct pool *pool = pool_new(0);
    struct seqset set;

    seqset_init(&set, pool);
    if (*text != '\0')
        CU_ASSERT_EQUAL(seqset_parse(&set, text, strlen(text), 0), 0);
    for (size_t i = 0; i < set.count; i++)
        CU_ASSERT_EQUAL(uid_set_add(to, set.ranges[i].first, set.ranges[i].last), 0);
    pool_free(&pool);
}

static void test_slice(void)
{
    static const struct {
        const char *hits;
        uint32_t first, last;
        bool from_end;
        const char *expected;
    } rows[] = {
        {"2:5,9,20:30", 1, 3, false, "2:4"},
        {"2:5,9,20:30", 4, 6, false, "5,9,20"},
        {"2:5,9,20:30", 5, 5, false, "9"},
        {"2:5,9,20:30", 16, 99, false, "30"},
        {"2:5,9,20:30", 17, 99, false, ""},
        {"2:5,9,20:30", 1, 4294967295u, false, "2:5,9,20:30"},
        {"2:5,9,20:30", 1, 1, true, "30"},
        {"2:5,9,20:30", 10, 13, true, "5,9,20:21"},
        {"2:5,9,20:30", 12, 100, true, "2:5,9"},
        {"2:5,9,20:30", 17, 100, true, ""},
        {"", 1, 5, false, ""},
        {"", 1, 5, true, ""},
        {"1:4294967294", 4294967294u, 4294967295u, false, "4294967294"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct search_return ret = {
            .first = rows[i].first, .last = rows[i].last, .from_end = rows[i].from_end};
        struct uid_set hits = UID_SET_INIT, slice;
        struct buf text = BUF_INIT;

        make_set(rows[i].hits, &hits);
        CU_ASSERT_EQUAL(search_slice(&ret, &hits, &slice), 0);
        uid_set_format(&slice, &text);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&text), rows[i].expected);
        uid_set_free(&hits);
        uid_set_free(&slice);
        buf_free(&text);
    }
}

/* RFC 5182 section 2.4, RFC 9394 section 3.2. */
static void test_saved(void)
{
    static const struct {
        unsigned options;
        const char *expected;
    } rows[] = {
        {RETURN_SAVE, "2:9,20"},
        {RETURN_SAVE | RETURN_MIN, "2"},
        {RETURN_SAVE | RETURN_MAX, "20"},
        {RETURN_SAVE | RETURN_MIN | RETURN_MAX, "2,20"},
        {RETURN_SAVE | RETURN_MIN | RETURN_COUNT, "2:9,20"},
        {RETURN_SAVE | RETURN_MAX | RETURN_ALL, "2:9,20"},
        {RETURN_SAVE | RETURN_PARTIAL, "3:4"},
        {RETURN_SAVE | RETURN_PARTIAL | RETURN_MIN, "2:4"},
        {RETURN_SAVE | RETURN_PARTIAL | RETURN_MIN | RETURN_MAX, "2:4,20"},
        {RETURN_SAVE | RETURN_PARTIAL | RETURN_COUNT, "2:9,20"},
    };
    struct uid_set hits = UID_SET_INIT;
    struct local_leg l = {0};

    make_set("2:9,20", &hits);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct search_return ret = {.options = rows[i].options, .first = 2, .last = 3};
        struct buf text = BUF_INIT;

        CU_ASSERT_EQUAL(search_save(&l, &ret, &hits), 0);
        uid_set_format(&l.saved, &text);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&text), rows[i].expected);
        buf_free(&text);
    }
    uid_set_free(&hits);
    for (uint32_t i = 1; i < 140000; i += 2)
        CU_ASSERT_EQUAL(uid_set_add(&hits, i, i), 0);
    CU_ASSERT_EQUAL(search_save(&l, &(struct search_return){.options = RETURN_SAVE}, &hits), ERR_LIMIT);
    CU_ASSERT_EQUAL(l.saved.count, 0);
    uid_set_free(&hits);
    uid_set_free(&l.saved);
}

/* What BADCHARSET lists is known, and can stand in a response as it is. */
static void test_charset_names(void)
{
    struct buf names = BUF_INIT;
    unsigned count = 0;
    char *rest = NULL;

    charset_names(&names);
    for (char *s = strtok_r(names.data, " ", &rest); s != NULL; s = strtok_r(NULL, " ", &rest), count++) {
        CU_ASSERT(charset_is_known(s));
        CU_ASSERT_EQUAL(strcspn(s, "(){%*\"\\]"), strlen(s));
    }
    CU_ASSERT(count > 40);
    buf_free(&names);
}

static const struct unit_case cases[] = {
    {"return options", test_return}, {"truncated", test_truncated},         {"slice", test_slice},
    {"saved", test_saved},           {"charset names", test_charset_names}, {NULL, NULL},
};

extern const struct unit_suite search_suite;
const struct unit_suite search_suite = {"search", cases};
