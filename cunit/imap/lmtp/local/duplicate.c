#include "imap/lmtp/local/duplicate.h"

#include <stdlib.h>
#include <string.h>

#include "cunit/unit.h"
#include "lib/base/buf.h"
#include "lib/base/file.h"
#include "lib/db/db.h"
#include "lib/mboxlist/quota.h"

static char dir[32];

static struct db_env *open_env(void)
{
    struct db_env *env = NULL;
    char *error = NULL;

    strcpy(dir, "/tmp/ia-dup-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    CU_ASSERT_EQUAL_FATAL(volatile_open(dir, &env, &error), 0);
    return env;
}

static void close_env(struct db_env *env)
{
    db_close(&env);
    file_remove_tree(dir);
}

static void test_mark(void)
{
    struct db_env *env = open_env();

    CU_ASSERT(!duplicate_is_known(env, "mailbox-1", "<a@b>"));
    CU_ASSERT_EQUAL(duplicate_mark(env, "mailbox-1", "<a@b>", 1000), 0);
    CU_ASSERT(duplicate_is_known(env, "mailbox-1", "<a@b>"));
    CU_ASSERT(!duplicate_is_known(env, "mailbox-2", "<a@b>"));
    CU_ASSERT(!duplicate_is_known(env, "mailbox-1", "<a@c>"));
    close_env(env);
}

/* Ids of any length, told apart behind the length of a key too. */
static void test_long_ids(void)
{
    struct db_env *env = open_env();
    char id[5001];

    memset(id, 'x', sizeof(id));
    id[5000] = '\0';
    CU_ASSERT_EQUAL(duplicate_mark(env, "mailbox-1", id, 1000), 0);
    CU_ASSERT(duplicate_is_known(env, "mailbox-1", id));
    id[4999] = 'y';
    CU_ASSERT(!duplicate_is_known(env, "mailbox-1", id));
    close_env(env);
}

/* More than one batch, old and new ones mixed. */
static void test_expire(void)
{
    struct db_env *env = open_env();
    struct buf id = BUF_INIT;

    for (int i = 0; i < 2500; i++) {
        buf_reset(&id);
        buf_printf(&id, "<%d@x>", i);
        CU_ASSERT_EQUAL(duplicate_mark(env, "mailbox-1", buf_cstr(&id), i % 2 == 0 ? 1000 : 3000), 0);
    }
    CU_ASSERT_EQUAL(duplicate_expire(env, 1000), 0);
    CU_ASSERT_EQUAL(duplicate_expire(env, 2000), 1250);
    CU_ASSERT_EQUAL(duplicate_expire(env, 2000), 0);
    CU_ASSERT(!duplicate_is_known(env, "mailbox-1", "<2498@x>"));
    CU_ASSERT(duplicate_is_known(env, "mailbox-1", "<2499@x>"));
    CU_ASSERT_EQUAL(duplicate_expire(env, 4000), 1250);
    buf_free(&id);
    close_env(env);
}

static const struct unit_case cases[] = {
    {"mark", test_mark}, {"long ids", test_long_ids}, {"expire", test_expire}, {NULL, NULL}};
const struct unit_suite duplicate_suite = {"imap/lmtp/duplicate", cases};
