#include "cunit/unit.h"

extern const struct unit_suite sieve_actions_suite, sieve_compile_suite, sieve_control_suite,
    sieve_print_suite, sieve_limits_suite, sieve_match_suite, sieve_message_suite, sieve_world_suite;

const struct unit_suite *const unit_suites[] = {
    &sieve_print_suite, &sieve_compile_suite, &sieve_control_suite,
    &sieve_match_suite, &sieve_message_suite, &sieve_actions_suite,
    &sieve_world_suite, &sieve_limits_suite,  NULL,
};
