#include "cunit/unit.h"

extern const struct unit_suite conflicts_suite, follow_suite, names_suite, recent_suite, slave_suite;

const struct unit_suite *const unit_suites[] = {&conflicts_suite, &names_suite, &recent_suite,
                                                &follow_suite,    &slave_suite, NULL};
