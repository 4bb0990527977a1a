/* fixture.h: a list in a directory of its own. */
#ifndef CUNIT_LIB_MBOXLIST_FIXTURE_H
#define CUNIT_LIB_MBOXLIST_FIXTURE_H

#include "lib/mboxlist/mboxlist.h"

struct fixture {
    char dir[64];
    struct mboxlist *list;
    struct pool *pool;
};

void fixture_open(struct fixture *f);
void fixture_close(struct fixture *f);

/* Puts a local record, id and partition made up from the name. */
void fixture_put(struct fixture *f, const char *name, const char *acl);

/* The type of a name's record; 0: none. */
int fixture_type(struct fixture *f, const char *name);

/* The names that an iterator gives, blank-separated, in the fixture's pool; frees it. */
const char *fixture_names(struct fixture *f, struct mboxlist_iter *it);

#endif
