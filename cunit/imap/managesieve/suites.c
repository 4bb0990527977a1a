#include "cunit/unit.h"

extern const struct unit_suite parse_suite;

const struct unit_suite *const unit_suites[] = {&parse_suite, NULL};
