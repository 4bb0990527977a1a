#include "cunit/unit.h"

extern const struct unit_suite args_suite, out_suite, response_suite, seqset_suite, url_suite;

const struct unit_suite *const unit_suites[] = {&args_suite,   &out_suite, &response_suite,
                                                &seqset_suite, &url_suite, NULL};
