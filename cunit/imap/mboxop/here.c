/* What is done here alone, while a mailbox moves between servers: the master is not told until MUPDATEPUSH. */
#include <stdlib.h>
#include <string.h>

#include "cunit/imap/mboxop/fake.h"
#include "cunit/imap/mboxop/node.h"
#include "cunit/unit.h"
#include "imap/mboxop/push.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

#define ELSEWHERE "be2!default"

static struct node node;

static void begin(bool murder)
{
    node_wipe();
    fake_reset();
    node_open(&node, murder);
    CU_ASSERT_EQUAL_FATAL(node_create(&node, "user.fred"), 0);
    CU_ASSERT_EQUAL_FATAL(node_create(&node, "user.fred.a"), 0);
}

/* All is as the invariants want it. */
static void finish(void)
{
    struct buf wrong = BUF_INIT;

    node_check(&node, &wrong);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&wrong), "");
    buf_free(&wrong);
    node_close(&node);
}

static unsigned flags_of(const char *name)
{
    struct pool *pool = pool_new(0);
    struct mboxlist_record record = {0};

    CU_ASSERT_EQUAL(mboxlist_lookup(node.env.list, name, pool, &record), 0);
    pool_free(&pool);
    return record.flags;
}

static void expect_names(const char *names)
{
    struct buf b = BUF_INIT;

    node_names(&node, &b);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), names);
    buf_free(&b);
}

static int push(void)
{
    const struct push_options quiet = {.report = NULL};

    return mboxop_push(&node.env, &quiet, NULL);
}

/* The whole way of a mailbox that comes: made here while another server has it, left alone by pushes, published once
 * that server has let go. */
static void test_arrival(void)
{
    begin(true);
    fake_put("user.zoe", MUPDATE_IS_RESERVED, ELSEWHERE, "");
    CU_ASSERT_EQUAL(node_run(mboxop_create_here(&node.env, "user.zoe", "default")), 0);
    CU_ASSERT_EQUAL(flags_of("user.zoe"), MBOXLIST_MOVING);
    CU_ASSERT_EQUAL(fake_state("user.zoe"), MUPDATE_IS_RESERVED);
    CU_ASSERT_EQUAL(push(), 0);
    CU_ASSERT_EQUAL(fake_state("user.zoe"), MUPDATE_IS_RESERVED);
    CU_ASSERT_EQUAL(flags_of("user.zoe"), MBOXLIST_MOVING);
    CU_ASSERT_EQUAL(node_run(mboxop_publish(&node.env, "user.zoe")), 0);
    CU_ASSERT_EQUAL(flags_of("user.zoe"), 0);
    expect_names("user.fred+ user.fred.a+ user.zoe+");
    CU_ASSERT_EQUAL(node_run(mboxop_publish(&node.env, "user.zoe")), 0); /* again does no harm */
    finish();
}

/* One that is active elsewhere is not taken, and can be given up again. */
static void test_refused(void)
{
    begin(true);
    fake_put("user.zoe", MUPDATE_ACTIVE, ELSEWHERE, "zoe\tlrs\t");
    CU_ASSERT_EQUAL(node_run(mboxop_create_here(&node.env, "user.zoe", NULL)), 0);
    CU_ASSERT_EQUAL(node_run(mboxop_publish(&node.env, "user.zoe")), ERR_CONFLICT);
    CU_ASSERT_EQUAL(flags_of("user.zoe"), MBOXLIST_MOVING);
    CU_ASSERT_EQUAL(push(), 0);
    expect_names("user.fred+ user.fred.a+ user.zoe+");
    CU_ASSERT_EQUAL(node_run(mboxop_delete_here(&node.env, "user.zoe")), 0);
    CU_ASSERT_EQUAL(fake_state("user.zoe"), MUPDATE_ACTIVE);
    fake_put("user.zoe", MUPDATE_ABSENT, "", "");
    expect_names("user.fred+ user.fred.a+");
    finish();
}

/* A mailbox that has gone: its files go at once, what is below it stays, and the master is not asked. */
static void test_departure(void)
{
    begin(true);
    fake_put("user.fred", MUPDATE_ACTIVE, ELSEWHERE, "fred\tlrswipkxtecdan\t");
    CU_ASSERT_EQUAL(node_run(mboxop_delete_here(&node.env, "user.fred")), 0);
    CU_ASSERT_EQUAL(fake_state("user.fred"), MUPDATE_ACTIVE);
    expect_names("user.fred.a+");
    fake_put("user.fred", MUPDATE_ABSENT, "", "");
    finish();
}

/* Made and unmade without a master; only publishing needs one. */
static void test_master_away(void)
{
    begin(true);
    fake_set_up(false);
    CU_ASSERT_EQUAL(node_run(mboxop_create_here(&node.env, "user.zoe", NULL)), 0);
    CU_ASSERT_EQUAL(node_run(mboxop_publish(&node.env, "user.zoe")), ERR_UNAVAILABLE);
    CU_ASSERT_EQUAL(flags_of("user.zoe"), MBOXLIST_MOVING);
    CU_ASSERT_EQUAL(node_run(mboxop_delete_here(&node.env, "user.zoe")), 0);
    fake_set_up(true);
    finish();
}

static void test_errors(void)
{
    begin(true);
    CU_ASSERT_EQUAL(node_run(mboxop_create_here(&node.env, "user.fred.a", NULL)), ERR_EXISTS);
    CU_ASSERT_EQUAL(node_run(mboxop_create_here(&node.env, "a..b", NULL)), ERR_BADNAME);
    CU_ASSERT_EQUAL(node_run(mboxop_create_here(&node.env, "user.zoe", "nonesuch")), ERR_INVALID);
    CU_ASSERT_EQUAL(node_run(mboxop_delete_here(&node.env, "user.zoe")), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(node_run(mboxop_publish(&node.env, "user.zoe")), ERR_NOTFOUND);
    finish();
}

/* Without a murder there is nothing to wait for. */
static void test_standalone(void)
{
    begin(false);
    CU_ASSERT_EQUAL(node_run(mboxop_create_here(&node.env, "user.zoe", NULL)), 0);
    CU_ASSERT_EQUAL(flags_of("user.zoe"), 0);
    CU_ASSERT_EQUAL(node_run(mboxop_publish(&node.env, "user.zoe")), ERR_UNSUPPORTED);
    CU_ASSERT_EQUAL(node_run(mboxop_delete_here(&node.env, "user.zoe")), 0);
    finish();
}

static const struct unit_case cases[] = {
    {"arrival", test_arrival},
    {"refused", test_refused},
    {"departure", test_departure},
    {"master away", test_master_away},
    {"errors", test_errors},
    {"standalone", test_standalone},
    {NULL, NULL},
};

extern const struct unit_suite here_suite;
const struct unit_suite here_suite = {"here alone", cases};
