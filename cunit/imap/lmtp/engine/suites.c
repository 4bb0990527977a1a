#include "cunit/unit.h"

extern const struct unit_suite address_suite, data_suite, header_suite;

const struct unit_suite *const unit_suites[] = {&address_suite, &data_suite, &header_suite, NULL};
