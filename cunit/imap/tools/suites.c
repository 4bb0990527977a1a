#include "cunit/unit.h"

extern const struct unit_suite imtest_suite;
extern const struct unit_suite tools_suite;

const struct unit_suite *const unit_suites[] = {&imtest_suite, &tools_suite, NULL};
