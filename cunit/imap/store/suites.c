#include "cunit/unit.h"

extern const struct unit_suite annotate_suite, append_suite, crash_suite, damage_suite, flags_suite,
    format_suite, listed_suite, metadata_suite, metapartition_suite, order_suite, relocate_suite,
    replace_suite, search_suite, uidset_suite, unexpunge_suite, vanished_suite, view_suite;

const struct unit_suite *const unit_suites[] = {
    &uidset_suite,   &format_suite, &append_suite,  &flags_suite,     &view_suite,          &metadata_suite,
    &search_suite,   &damage_suite, &crash_suite,   &unexpunge_suite, &relocate_suite,      &vanished_suite,
    &annotate_suite, &order_suite,  &replace_suite, &listed_suite,    &metapartition_suite, NULL};
