#include "cunit/unit.h"

extern const struct unit_suite reply_suite, lmtp_suite;

const struct unit_suite *const unit_suites[] = {&reply_suite, &lmtp_suite, NULL};
