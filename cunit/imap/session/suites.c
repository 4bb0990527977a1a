#include "cunit/unit.h"

extern const struct unit_suite commands_suite, input_suite;

const struct unit_suite *const unit_suites[] = {&commands_suite, &input_suite, NULL};
