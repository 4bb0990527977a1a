#include "cunit/unit.h"

extern const struct unit_suite names_suite, follow_suite, slave_suite;

const struct unit_suite *const unit_suites[] = {&names_suite, &follow_suite, &slave_suite, NULL};
