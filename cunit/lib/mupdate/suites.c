#include "cunit/unit.h"

extern const struct unit_suite wire_suite, link_suite;

const struct unit_suite *const unit_suites[] = {&wire_suite, &link_suite, NULL};
