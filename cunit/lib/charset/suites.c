#include "cunit/unit.h"

extern const struct unit_suite convert_suite, decode_suite, fold_suite, utf7_suite, words_suite;

const struct unit_suite *const unit_suites[] = {
    &utf7_suite, &decode_suite, &convert_suite, &fold_suite, &words_suite, NULL,
};
