#include "cunit/unit.h"

extern const struct unit_suite mboxop_power_suite;

const struct unit_suite *const unit_suites[] = {&mboxop_power_suite, NULL};
