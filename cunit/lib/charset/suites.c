#include "cunit/unit.h"

extern const struct unit_suite utf7_suite;

const struct unit_suite *const unit_suites[] = {&utf7_suite, NULL};
