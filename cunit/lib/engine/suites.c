#include "cunit/unit.h"

extern const struct unit_suite layers_suite, parked_suite, session_suite, stress_suite, workers_suite;

const struct unit_suite *const unit_suites[] = {&layers_suite, &parked_suite,  &session_suite,
                                                &stress_suite, &workers_suite, NULL};
