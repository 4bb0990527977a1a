#include "cunit/unit.h"

extern const struct unit_suite annotate_suite, append_suite, capability_suite, commands_suite, input_suite,
    list_suite, metadata_suite, notify_suite, select_params_suite, sources_suite, spread_suite;

const struct unit_suite *const unit_suites[] = {
    &annotate_suite, &append_suite, &capability_suite,    &commands_suite, &input_suite,  &list_suite,
    &metadata_suite, &notify_suite, &select_params_suite, &sources_suite,  &spread_suite, NULL};
