#include "cunit/lib/mboxlist/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/file.h"

void fixture_open(struct fixture *f)
{
    char *error = NULL;

    snprintf(f->dir, sizeof(f->dir), "/tmp/iatlas-list.XXXXXX");
    CU_ASSERT_FATAL(mkdtemp(f->dir) != NULL);
    f->pool = pool_new(0);
    CU_ASSERT_EQUAL_FATAL(mboxlist_open(f->dir, &f->list, &error), 0);
    CU_ASSERT_PTR_NULL(error);
}

void fixture_close(struct fixture *f)
{
    mboxlist_close(&f->list);
    pool_free(&f->pool);
    CU_ASSERT_EQUAL(file_remove_tree(f->dir), 0);
}

void fixture_put(struct fixture *f, const char *name, const char *acl)
{
    struct mboxlist_record record = {.name = name,
                                     .type = MBOXLIST_LOCAL,
                                     .id = pool_printf(f->pool, "id-%s", name),
                                     .partition = "default",
                                     .acl = acl,
                                     .uidvalidity = 7};
    struct mboxlist_txn *txn;

    CU_ASSERT_EQUAL_FATAL(mboxlist_begin(f->list, &txn), 0);
    CU_ASSERT_EQUAL(mboxlist_txn_put(txn, &record), 0);
    CU_ASSERT_EQUAL(mboxlist_commit(&txn), 0);
}

int fixture_type(struct fixture *f, const char *name)
{
    struct mboxlist_record record;
    int r = mboxlist_lookup(f->list, name, f->pool, &record);

    CU_ASSERT(r == 0 || r == ERR_NOTFOUND);
    return r == 0 ? (int)record.type : 0;
}

const char *fixture_names(struct fixture *f, struct mboxlist_iter *it)
{
    const struct mboxlist_record *record;
    struct buf names = BUF_INIT;
    const char *result;
    int r;

    while ((r = mboxlist_iter_next(it, &record)) > 0)
        buf_printf(&names, "%s%s", names.len > 0 ? " " : "", record->name);
    CU_ASSERT_EQUAL(r, 0);
    mboxlist_iter_free(&it);
    CU_ASSERT_PTR_NULL(it);
    result = pool_strdup(f->pool, buf_cstr(&names));
    buf_free(&names);
    return result;
}
