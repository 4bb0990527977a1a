#include "cunit/unit.h"

extern const struct unit_suite scores_suite, sievehost_compose_suite, sievehost_courier_suite,
    sievehost_memory_suite, sievehost_scripts_suite;

const struct unit_suite *const unit_suites[] = {&sievehost_scripts_suite,
                                                &sievehost_compose_suite,
                                                &sievehost_memory_suite,
                                                &sievehost_courier_suite,
                                                &scores_suite,
                                                NULL};
