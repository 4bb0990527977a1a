#include "cunit/unit.h"

extern const struct unit_suite db_suite, kill_suite;

/* The kill test first: it forks, and nothing may be open or threaded then. */
const struct unit_suite *const unit_suites[] = {&kill_suite, &db_suite, NULL};
