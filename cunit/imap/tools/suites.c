#include "cunit/unit.h"

extern const struct unit_suite tools_suite;

const struct unit_suite *const unit_suites[] = {&tools_suite, NULL};
