#include "cunit/unit.h"

extern const struct unit_suite append_suite, uidset_suite;

const struct unit_suite *const unit_suites[] = {&uidset_suite, &append_suite, NULL};
