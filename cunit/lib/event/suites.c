#include "cunit/unit.h"

extern const struct unit_suite loop_suite;

const struct unit_suite *const unit_suites[] = {&loop_suite, NULL};
