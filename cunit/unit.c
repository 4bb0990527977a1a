#include "cunit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include <CUnit/Basic.h>

static void add_suite(const struct unit_suite *suite)
{
    CU_pSuite s = CU_add_suite(suite->name, NULL, NULL);

    for (const struct unit_case *c = suite->cases; s != NULL && c->name != NULL; c++) {
        if (CU_add_test(s, c->name, c->run) == NULL)
            exit(99);
    }
}

int main(void)
{
    unsigned failed;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 99;
    for (const struct unit_suite *const *s = unit_suites; *s != NULL; s++)
        add_suite(*s);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    failed = CU_get_number_of_tests_failed() + CU_get_number_of_suites_failed();
    if (CU_get_number_of_tests_run() == 0)
        failed = 1;
    CU_cleanup_registry();
    return failed ? 1 : 0;
}
