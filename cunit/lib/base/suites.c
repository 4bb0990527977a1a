#include "cunit/unit.h"

extern const struct unit_suite away_suite, buf_suite, config_suite, digest_suite, hash_suite, lock_suite,
    log_suite, placing_suite, pool_suite, stepsort_suite, str_suite, ticker_suite;

const struct unit_suite *const unit_suites[] = {
    &away_suite,    &buf_suite,  &config_suite,   &digest_suite, &hash_suite,   &lock_suite, &log_suite,
    &placing_suite, &pool_suite, &stepsort_suite, &str_suite,    &ticker_suite, NULL,
};
