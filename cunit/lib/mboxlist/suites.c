#include "cunit/unit.h"

extern const struct unit_suite list_suite, iter_suite, remote_suite, beside_suite, dump_suite,
    annotations_suite, journal_suite, special_use_suite;

const struct unit_suite *const unit_suites[] = {&list_suite,    &iter_suite,        &remote_suite,
                                                &beside_suite,  &dump_suite,        &annotations_suite,
                                                &journal_suite, &special_use_suite, NULL};
