#include "cunit/unit.h"

extern const struct unit_suite conf_suite, cron_suite, listen_suite, rate_suite, status_pipe_suite;

const struct unit_suite *const unit_suites[] = {
    &conf_suite, &cron_suite, &listen_suite, &rate_suite, &status_pipe_suite, NULL,
};
