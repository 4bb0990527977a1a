#include "master/status-pipe.h"

#include "cunit/unit.h"
#include "lib/base/mem.h"

static void test_load(void)
{
    static const struct {
        unsigned sessions;
        bool full;
        unsigned told;
    } rows[] = {{0, false, 0},
                {0, true, 0},
                {1, true, 1},
                {100000, false, 100000},
                {0x7fffff, true, 0x7fffff},
                {0x800000, false, 0x7fffff}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        unsigned sessions = 99;
        bool full = !rows[i].full;

        CU_ASSERT(status_is_load(status_load(rows[i].sessions, rows[i].full), &sessions, &full));
        CU_ASSERT_EQUAL(sessions, rows[i].told);
        CU_ASSERT_EQUAL(full, rows[i].full);
    }
    for (int32_t m = -5; m < 100; m++) {
        unsigned sessions;
        bool full;

        CU_ASSERT(!status_is_load(m, &sessions, &full));
    }
    CU_ASSERT_EQUAL(sizeof(struct status_message), 8);
}

static const struct unit_case cases[] = {{"load reports", test_load}, {NULL, NULL}};

extern const struct unit_suite status_pipe_suite;
const struct unit_suite status_pipe_suite = {"status pipe", cases};
