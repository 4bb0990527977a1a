#include "cunit/unit.h"

extern const struct unit_suite power_suite;

const struct unit_suite *const unit_suites[] = {&power_suite, NULL};
