#include "cunit/unit.h"

extern const struct unit_suite acl_suite, identity_suite, mboxname_suite, namespace_suite, wildcard_suite;

const struct unit_suite *const unit_suites[] = {
    &mboxname_suite, &namespace_suite, &wildcard_suite, &acl_suite, &identity_suite, NULL,
};
