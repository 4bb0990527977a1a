#include "cunit/unit.h"

extern const struct unit_suite conflicts_suite, follow_suite, journal_suite, names_group_suite, names_suite,
    raft_suite, recent_suite, slave_suite, takeover_suite;

const struct unit_suite *const unit_suites[] = {
    &conflicts_suite, &journal_suite, &names_suite,  &names_group_suite, &takeover_suite,
    &raft_suite,      &recent_suite,  &follow_suite, &slave_suite,       NULL};
