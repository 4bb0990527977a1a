/* unit.h: the frame around CUnit that every unit-test program shares. */
#ifndef CUNIT_UNIT_H
#define CUNIT_UNIT_H

#include <CUnit/CUnit.h>

struct unit_case {
    const char *name;
    void (*run)(void);
};

/* One per source file of the room under test.  `cases` ends with {NULL, NULL}. */
struct unit_suite {
    const char *name;
    const struct unit_case *cases;
};

/* Each test program defines this list, ended by NULL (suites.c of its folder). */
extern const struct unit_suite *const unit_suites[];

#endif
