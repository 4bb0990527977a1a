#include "cunit/unit.h"

extern const struct unit_suite adopt_suite, here_suite, kill_suite, random_suite, ops_suite, permit_suite,
    push_suite;

const struct unit_suite *const unit_suites[] = {&ops_suite,  &adopt_suite, &here_suite,   &permit_suite,
                                                &push_suite, &kill_suite,  &random_suite, NULL};
