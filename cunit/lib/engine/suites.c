#include "cunit/unit.h"

extern const struct unit_suite session_suite, stress_suite, workers_suite;

const struct unit_suite *const unit_suites[] = {&session_suite, &stress_suite, &workers_suite, NULL};
