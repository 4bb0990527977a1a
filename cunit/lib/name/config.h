/* config.h: configurations that the tests of lib/name share. */
#ifndef CUNIT_LIB_NAME_CONFIG_H
#define CUNIT_LIB_NAME_CONFIG_H

#include "lib/name/name-config.h"

/* A test's own values come after the defaults. */
#pragma GCC diagnostic ignored "-Woverride-init"
#define TEST_CONFIG(...)                                                                                     \
    ((const struct name_config){.separator = '.',                                                            \
                                .userprefix = "Other Users",                                                 \
                                .sharedprefix = "Shared Folders",                                            \
                                .defaultdomain = "internal",                                                 \
                                .deletedprefix = "DELETED",                                                  \
                                .admins = "cyrus murder",                                                    \
                                .implicit_owner_rights = "lkxan",                                            \
                                .defaultacl = "anyone lrs",                                                  \
                                __VA_ARGS__})

#endif
