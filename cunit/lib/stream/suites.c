#include "cunit/unit.h"

extern const struct unit_suite stream_suite, layers_suite, pump_suite, tls_suite, tickets_suite;

const struct unit_suite *const unit_suites[] = {&stream_suite, &layers_suite,  &pump_suite,
                                                &tls_suite,    &tickets_suite, NULL};
