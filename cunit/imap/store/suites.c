#include "cunit/unit.h"

extern const struct unit_suite append_suite, uidset_suite, view_suite;

const struct unit_suite *const unit_suites[] = {&uidset_suite, &append_suite, &view_suite, NULL};
