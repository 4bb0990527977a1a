#include "imap/local/fetch.h"

#include <stdlib.h>
#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static const struct {
    const char *in;
    const char *names; /* joined by blanks; NULL: a syntax error */
    bool flags, seen, peer;
} parse_rows[] = {
    {"FLAGS", "FLAGS", true, false, false},
    {"(uid Flags)", "UID FLAGS", true, false, false},
    {"FAST", "FLAGS INTERNALDATE RFC822.SIZE", true, false, false},
    {"all", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE", true, false, false},
    {"FULL", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY", true, false, false},
    {"BODY", "BODY", false, false, false},
    {"BODY[]", "BODY[]", false, true, false},
    {"BODY.PEEK[]", "BODY[]", false, false, false},
    {"body.peek[text]<0.5>", "BODY[TEXT]<0>", false, false, false},
    {"BODY.PEEK[]<9223372036854775807.9223372036854775807>", "BODY[]<9223372036854775807>", false, false,
     false},
    {"BODY.PEEK[]<9223372036854775808.1>", NULL, false, false, false},
    {"BODY.PEEK[]<1.0>", NULL, false, false, false},
    {"BODY[1.2.MIME]", "BODY[1.2.MIME]", false, true, false},
    {"BODY.PEEK[HEADER.FIELDS (To \"X Y\" {2}\r\nab)]", "BODY[HEADER.FIELDS (To \"X Y\" ab)]", false, false,
     false},
    {"(RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE)", "RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE", false,
     true, false},
    {"RFC822.HEADER", "RFC822.HEADER", false, false, false},
    {"(UID RFC822.PEEK)", "UID RFC822", false, false, true},
    {"rfc822.peek", "RFC822", false, false, true},
    {"(Rfc822.peek RFC822)", "RFC822 RFC822", false, true, true},
    {"RFC822.PEEK", NULL, false, false, false},
    {"(FLAGS RFC822.PEEK)", NULL, false, false, false},
    {"BINARY[1.2]", "BINARY[1.2]", false, true, false},
    {"(BINARY.PEEK[]<5.6> binary.size[3])", "BINARY[]<5> BINARY.SIZE[3]", false, false, false},
    {"BINARY", NULL, false, false, false},
    {"BINARY[TEXT]", NULL, false, false, false},
    {"BINARY[1.MIME]", NULL, false, false, false},
    {"BINARY.SIZE[1]<0.1>", NULL, false, false, false},
    {"RFC822.PEEKS", NULL, false, false, true},
    {"", NULL, false, false, false},
    {"()", NULL, false, false, false},
    {"(FLAGS", NULL, false, false, false},
    {"FLAGS UID", NULL, false, false, false},
    {"(FAST)", NULL, false, false, false},
    {"BODY[", NULL, false, false, false},
    {"BODY[]]", NULL, false, false, false},
    {"BODY[]<1>", NULL, false, false, false},
    {"BODY[]<1.0>", NULL, false, false, false},
    {"BODY[]<1.2", NULL, false, false, false},
    {"BODY[HEADER.FIELDS]", NULL, false, false, false},
    {"BODY[HEADER.FIELDS ()]", NULL, false, false, false},
    {"BODY[HEADER (To)]", NULL, false, false, false},
    {"ENVELOPE[]", NULL, false, false, false},
    {"BODY.PEEK", NULL, false, false, false},
    {"(modseq UID)", "MODSEQ UID", false, false, false},
    {"FLAGS (CHANGEDSINCE 5)", "FLAGS MODSEQ", true, false, false},
    {"(MODSEQ) (changedsince 9223372036854775807 Vanished)", "MODSEQ", false, false, false},
    {"FAST (VANISHED CHANGEDSINCE 1)", "FLAGS INTERNALDATE RFC822.SIZE MODSEQ", true, false, false},
    {"FLAGS (CHANGEDSINCE 0)", NULL, false, false, false},
    {"FLAGS (CHANGEDSINCE 9223372036854775808)", NULL, false, false, false},
    {"FLAGS (CHANGEDSINCE)", NULL, false, false, false},
    {"FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 1)", NULL, false, false, false},
    {"FLAGS (VANISHED)", NULL, false, false, false},
    {"FLAGS ()", NULL, false, false, false},
    {"FLAGS(CHANGEDSINCE 1)", NULL, false, false, false},
    {"FLAGS (CHANGEDSINCE 1) x", NULL, false, false, false},
    {"(EMAILID threadid Savedate)", "EMAILID THREADID SAVEDATE", false, false, false},
    {"preview", "PREVIEW", false, false, false},
    {"PREVIEW (LAZY)", "PREVIEW", false, false, false},
    {"(PREVIEW (lazy LAZY) UID)", "PREVIEW UID", false, false, false}, /* RFC 8970 section 6 */
    {"PREVIEW (CHANGEDSINCE 1)", "PREVIEW MODSEQ", false, false, false},
    {"PREVIEW (LAZY) (PARTIAL 1:2)", "PREVIEW", false, false, false},
    {"PREVIEW ()", NULL, false, false, false},
    {"PREVIEW (LAZY ", NULL, false, false, false},
    {"PREVIEW (LAZY )", NULL, false, false, false},
    {"PREVIEW (LAZY FUZZY)", NULL, false, false, false},
    {"PREVIEW(LAZY)", NULL, false, false, false},
    {"(PREVIEW (CHANGEDSINCE 1))", NULL, false, false, false},
};

static void test_parse(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(parse_rows); i++) {
        struct pool *pool = pool_new(0);
        struct buf names = BUF_INIT;
        struct fetch_items items;
        struct imap_args args;
        int r;

        imap_args_init(&args, pool, parse_rows[i].in, strlen(parse_rows[i].in));
        r = fetch_parse(&args, parse_rows[i].peer, &items);
        CU_ASSERT_EQUAL(r, parse_rows[i].names != NULL ? 0 : ERR_SYNTAX);
        if (r == 0 && parse_rows[i].names != NULL) {
            for (struct fetch_item *f = items.first; f != NULL; f = f->next)
                buf_printf(&names, "%s%s", names.len > 0 ? " " : "", f->name);
            CU_ASSERT_STRING_EQUAL(buf_cstr(&names), parse_rows[i].names);
            CU_ASSERT_EQUAL(items.flags, parse_rows[i].flags);
            CU_ASSERT_EQUAL(items.sets_seen, parse_rows[i].seen);
        }
        buf_free(&names);
        pool_free(&pool);
    }
}

/* RFC 9394 section 4: the range, in either order, and other modifiers beside it. */
static void test_partial(void)
{
    static const struct {
        const char *in;
        uint32_t first, last; /* 0: a syntax error */
        bool from_end;
        uint64_t changed_since;
    } rows[] = {
        {"FLAGS (PARTIAL 1:5)", 1, 5, false, 0},
        {"(UID FLAGS) (partial 500:400)", 400, 500, false, 0},
        {"FAST (PARTIAL 7:7)", 7, 7, false, 0},
        {"FLAGS (PARTIAL 1:4294967295)", 1, UINT32_MAX, false, 0},
        {"FLAGS (PARTIAL -1:-3)", 1, 3, true, 0},
        {"FLAGS (PARTIAL -500:-400)", 400, 500, true, 0},
        {"FLAGS (PARTIAL -1:-30 CHANGEDSINCE 98305)", 1, 30, true, 98305},
        {"FLAGS (CHANGEDSINCE 98305 PARTIAL -1:-30)", 1, 30, true, 98305},
        {"FLAGS (CHANGEDSINCE 2 PARTIAL 3:4 VANISHED)", 3, 4, false, 2},
        {"FLAGS (PARTIAL)", 0, 0, false, 0},
        {"FLAGS (PARTIAL )", 0, 0, false, 0},
        {"FLAGS (PARTIAL 1)", 0, 0, false, 0},
        {"FLAGS (PARTIAL 1:)", 0, 0, false, 0},
        {"FLAGS (PARTIAL :1)", 0, 0, false, 0},
        {"FLAGS (PARTIAL 0:1)", 0, 0, false, 0},
        {"FLAGS (PARTIAL 1:0)", 0, 0, false, 0},
        {"FLAGS (PARTIAL -0:-1)", 0, 0, false, 0},
        {"FLAGS (PARTIAL 1:*)", 0, 0, false, 0},
        {"FLAGS (PARTIAL 1:-2)", 0, 0, false, 0},
        {"FLAGS (PARTIAL -1:2)", 0, 0, false, 0},
        {"FLAGS (PARTIAL --1:-2)", 0, 0, false, 0},
        {"FLAGS (PARTIAL 1:2,4)", 0, 0, false, 0},
        {"FLAGS (PARTIAL (1:2))", 0, 0, false, 0},
        {"FLAGS (PARTIAL 1:4294967296)", 0, 0, false, 0},
        {"FLAGS (PARTIAL  1:2)", 0, 0, false, 0},
        {"FLAGS (PARTIAL 1:2 )", 0, 0, false, 0},
        {"FLAGS (PARTIAL 1:2", 0, 0, false, 0},
        {"FLAGS (PARTIAL 1:2 PARTIAL 1:2)", 0, 0, false, 0},
        {"FLAGS PARTIAL 1:2", 0, 0, false, 0},
        {"FLAGS (PARTIAL 1:2) (CHANGEDSINCE 1)", 0, 0, false, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pool *pool = pool_new(0);
        struct fetch_items items;
        struct imap_args args;
        int r;

        imap_args_init(&args, pool, rows[i].in, strlen(rows[i].in));
        r = fetch_parse(&args, false, &items);
        CU_ASSERT_EQUAL(r, rows[i].first != 0 ? 0 : ERR_SYNTAX);
        if (r == 0) {
            CU_ASSERT_EQUAL(items.partial_first, rows[i].first);
            CU_ASSERT_EQUAL(items.partial_last, rows[i].last);
            CU_ASSERT_EQUAL(items.partial_from_end, rows[i].from_end);
            CU_ASSERT_EQUAL(items.changed_since, rows[i].changed_since);
        }
        pool_free(&pool);
    }
}

/* Cut off anywhere it is an error (or a shorter item), never a read beyond the end. */
static void test_truncated(void)
{
    static const char items_only[] = "(FLAGS BODY.PEEK[1.HEADER.FIELDS.NOT (To {3}\r\nabc)]<10.20> UID)";
    static const char whole[] = "(FLAGS BODY.PEEK[1.HEADER.FIELDS.NOT (To {3}\r\nabc)]<10.20> UID) "
                                "(CHANGEDSINCE 1 VANISHED PARTIAL -12:-34)";
    size_t complete = sizeof(items_only) - 1;

    for (size_t n = 0; n < sizeof(whole) - 1; n++) {
        char *copy = xmalloc(n + 1);
        struct pool *pool = pool_new(0);
        struct fetch_items items;
        struct imap_args args;

        memcpy(copy, whole, n);
        imap_args_init(&args, pool, copy, n);
        CU_ASSERT_EQUAL(fetch_parse(&args, n % 2 == 0, &items),
                        n == complete || n == complete + 1 ? 0 : ERR_SYNTAX);
        pool_free(&pool);
        free(copy);
    }
}

static const struct unit_case cases[] = {
    {"parse", test_parse}, {"partial", test_partial}, {"truncated", test_truncated}, {NULL, NULL}};

extern const struct unit_suite fetch_suite;
const struct unit_suite fetch_suite = {"fetch", cases};
