#include "cunit/unit.h"

extern const struct unit_suite spool_suite;

const struct unit_suite *const unit_suites[] = {&spool_suite, NULL};
