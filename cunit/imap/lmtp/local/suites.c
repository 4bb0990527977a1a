#include "cunit/unit.h"

extern const struct unit_suite duplicate_suite;

const struct unit_suite *const unit_suites[] = {&duplicate_suite, NULL};
