#include "cunit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include <CUnit/Basic.h>

#ifdef __SANITIZE_ADDRESS__
/* Debian's DIGEST-MD5 plugin never frees the ciphers it fetches. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libdigestmd5.so\n";
}

/* Its frames are found only by the slow unwinder. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "fast_unwind_on_malloc=0";
}
#endif

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
