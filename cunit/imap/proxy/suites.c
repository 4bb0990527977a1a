#include "cunit/unit.h"

extern const struct unit_suite offers_suite;

const struct unit_suite *const unit_suites[] = {&offers_suite, NULL};
