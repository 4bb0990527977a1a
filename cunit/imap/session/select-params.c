#include "imap/session/select-params.h"

#include <stdlib.h>
#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static int parse(struct pool *pool, const char *text, size_t n, struct select_params *params)
{
    struct imap_args args;

    imap_args_init(&args, pool, text, n);
    return select_params_parse(&args, params);
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void test_parse(void)
{
    static const struct {
        const char *in;
        bool ok, condstore;
        uint32_t uidvalidity; /* 0: no QRESYNC */
        uint64_t modseq;
        const char *known, *seqs, *uids;
    } rows[] = {
        {"", true, false, 0, 0, NULL, NULL, NULL},
        {" (CONDSTORE)", true, true, 0, 0, NULL, NULL, NULL},
        {" (qresync (7 9223372036854775807))", true, false, 7, INT64_MAX, NULL, NULL, NULL},
        {" (QRESYNC (7 8 1:3,9) condstore)", true, true, 7, 8, "1:3,9", NULL, NULL},
        {" (QRESYNC (7 8 (1,3 5,7)))", true, false, 7, 8, NULL, "1,3", "5,7"},
        {" (QRESYNC (7 8 1 (1:3 5,7,9)))", true, false, 7, 8, "1", "1:3", "5,7,9"},
        {"(CONDSTORE)", false, false, 0, 0, NULL, NULL, NULL},
        {" CONDSTORE", false, false, 0, 0, NULL, NULL, NULL},
        {" ()", false, false, 0, 0, NULL, NULL, NULL},
        {" (CONDSTORES)", false, false, 0, 0, NULL, NULL, NULL},
        {" (CONDSTORE CONDSTORE)", false, false, 0, 0, NULL, NULL, NULL},
        {" (CONDSTORE )", false, false, 0, 0, NULL, NULL, NULL},
        {" (CONDSTORE) x", false, false, 0, 0, NULL, NULL, NULL},
        {" (QRESYNC 7 8)", false, false, 0, 0, NULL, NULL, NULL},
        {" (QRESYNC (7 0))", false, false, 0, 0, NULL, NULL, NULL},
        {" (QRESYNC (0 7))", false, false, 0, 0, NULL, NULL, NULL},
        {" (QRESYNC (4294967296 7))", false, false, 0, 0, NULL, NULL, NULL},
        {" (QRESYNC (7 9223372036854775808))", false, false, 0, 0, NULL, NULL, NULL},
        {" (QRESYNC (7 8 1:*))", false, false, 0, 0, NULL, NULL, NULL},
        {" (QRESYNC (7 8 1 (1:* 1)))", false, false, 0, 0, NULL, NULL, NULL},
        {" (QRESYNC (7 8 1 (1:2 1)))", false, false, 0, 0, NULL, NULL, NULL},
        {" (QRESYNC (7 8 1 (1 1) 2))", false, false, 0, 0, NULL, NULL, NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pool *pool = pool_new(0);
        struct select_params p;
        int r = parse(pool, rows[i].in, strlen(rows[i].in), &p);

        CU_ASSERT_EQUAL(r, rows[i].ok ? 0 : ERR_SYNTAX);
        if (r == 0) {
            CU_ASSERT_EQUAL(p.condstore, rows[i].condstore);
            CU_ASSERT_EQUAL(p.qresync, rows[i].uidvalidity != 0);
            CU_ASSERT_EQUAL(p.uidvalidity, rows[i].uidvalidity);
            CU_ASSERT_EQUAL(p.modseq, rows[i].modseq);
            CU_ASSERT(same(p.known_uids, rows[i].known));
            CU_ASSERT(same(p.match_seqs, rows[i].seqs));
            CU_ASSERT(same(p.match_uids, rows[i].uids));
        }
        pool_free(&pool);
    }
}

/* Cut off anywhere it is an error, never a read beyond the end. */
static void test_truncated(void)
{
    static const char whole[] = " (CONDSTORE QRESYNC (7 8 1:3 (1:2 5,7)))";

    for (size_t n = 2; n < strlen(whole); n++) {
        struct pool *pool = pool_new(0);
        char *copy = xmalloc(n);
        struct select_params p;

        memcpy(copy, whole, n);
        CU_ASSERT_EQUAL(parse(pool, copy, n, &p), ERR_SYNTAX);
        free(copy);
        pool_free(&pool);
    }
}

static const struct unit_case cases[] = {{"parse", test_parse}, {"truncated", test_truncated}, {NULL, NULL}};

extern const struct unit_suite select_params_suite;
const struct unit_suite select_params_suite = {"select-params", cases};
