#include "cunit/unit.h"

extern const struct unit_suite fetch_suite, preview_suite, search_suite;

const struct unit_suite *const unit_suites[] = {&fetch_suite, &preview_suite, &search_suite, NULL};
