#include "imap/mboxop/push.h"

#include <stdio.h>
#include <string.h>

#include "cunit/imap/mboxop/fake.h"
#include "cunit/imap/mboxop/node.h"
#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/mboxlist/subs.h"

static struct node node;
static struct buf said; /* by the reports of a push */

static void begin(void)
{
    static const char *const names[] = {"user.fred", "user.fred.a", "user.bob", "archive"};

    node_wipe();
    fake_reset();
    node_open(&node, true);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        CU_ASSERT_EQUAL_FATAL(node_create(&node, names[i]), 0);
    CU_ASSERT_EQUAL(node_run(mboxop_delete(&node.env, "user.fred.a", 0)), 0);
    CU_ASSERT_EQUAL(node_create(&node, "user.fred.a"), 0);
    buf_reset(&said);
}

static void finish(bool in_order)
{
    struct buf wrong = BUF_INIT;

    node_check(&node, &wrong);
    if (in_order)
        CU_ASSERT_STRING_EQUAL(buf_cstr(&wrong), "");
    buf_free(&wrong);
    buf_free(&said);
    node_close(&node);
}

static void note(enum push_finding finding, const char *name, const char *location, int result, void *context)
{
    static const char *const words[] = {"here", "elsewhere", "there"};

    (void)context;
    buf_printf(&said, "%s %s %s%s;", words[finding], name, location, result != 0 ? " failed" : "");
}

static bool refuse(enum push_finding finding, const char *name, const char *location, void *context)
{
    (void)finding;
    (void)location;
    (void)context;
    return strcmp(name, "user.bob") != 0;
}

static const struct push_options plain = {.report = note};

static void test_nothing(void)
{
    begin();
    CU_ASSERT_EQUAL(mboxop_push(&node.env, &plain, NULL), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&said), "");
    finish(true);
}

/* A master that has lost everything. */
static void test_all(void)
{
    uint64_t counts[PUSH_FINDINGS];

    begin();
    fake_reset();
    CU_ASSERT_EQUAL(mboxop_push(&node.env, &plain, counts), 0);
    CU_ASSERT_EQUAL(counts[PUSH_ONLY_HERE], 5);
    finish(true);
}

static void test_different(void)
{
    begin();
    fake_put("user.fred.a", MUPDATE_ACTIVE, "be1!default", "anyone\tlrs\t");
    fake_put("user.bob", MUPDATE_IS_RESERVED, "be1!default", NULL);
    fake_put("archive", MUPDATE_ACTIVE, "be1!", "anyone\tlrs\t");
    CU_ASSERT_EQUAL(mboxop_push(&node.env, &plain, NULL), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&said), "here archive ;here user.bob ;here user.fred.a ;");
    finish(true);
}

static void test_only_there(void)
{
    begin();
    fake_put("user.zoe", MUPDATE_ACTIVE, "be1!default", "zoe\tlrs\t");
    fake_put("user.amy", MUPDATE_ACTIVE, "be10!default", "amy\tlrs\t");
    fake_put("half.made", MUPDATE_IS_RESERVED, "be1!default", NULL);
    CU_ASSERT_EQUAL(mboxop_push(&node.env, &plain, NULL), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&said), "there user.zoe be1;there half.made be1;");
    CU_ASSERT_EQUAL(fake_state("user.amy"), MUPDATE_ACTIVE);
    fake_put("user.amy", MUPDATE_ABSENT, "", NULL);
    finish(true);
}

static unsigned limits;

static int push_and_count(const struct mboxop_env *env, void *context)
{
    int r = mboxop_push(env, &plain, NULL);

    (void)context;
    limits += r == ERR_LIMIT;
    return r;
}

/* More than half of what the master has, and more than 20 names, is not here: nothing is done, and the keeper says so
 * once. */
static void test_shrunk(void)
{
    struct mboxop_keeper *keeper;
    char name[16];

    begin();
    for (unsigned i = 0; i < 21; i++) {
        snprintf(name, sizeof(name), "lost.n%u", i);
        fake_put(name, MUPDATE_ACTIVE, "be1!default", "");
    }
    limits = 0;
    keeper = mboxop_keeper_new(&node.env, push_and_count, NULL);
    for (unsigned i = 0; i < 3; i++)
        mboxop_keeper_tick(keeper);
    mboxop_keeper_free(&keeper);
    CU_ASSERT_EQUAL(limits, 1);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&said), "");
    CU_ASSERT_EQUAL(fake_state("lost.n0"), MUPDATE_ACTIVE);
    fake_put("lost.n20", MUPDATE_ABSENT, "", NULL);
    CU_ASSERT_EQUAL(mboxop_push(&node.env, &plain, NULL), 0); /* so few may always go */
    CU_ASSERT_EQUAL(fake_state("lost.n0"), MUPDATE_ABSENT);
    finish(true);
}

/* The other server keeps the name, we keep the mail, the user his subscriptions. */
static void test_elsewhere(void)
{
    struct buf names = BUF_INIT;

    begin();
    CU_ASSERT_EQUAL(mboxlist_subscribe(node.env.list, "fred", "user.fred.a", true), 0);
    fake_put("user.fred", MUPDATE_ACTIVE, "be2!default", "fred\tlrs\t");
    CU_ASSERT_EQUAL(mboxop_push(&node.env, &plain, NULL), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&said), "elsewhere user.fred be2!default;");
    node_names(&node, &names);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&names),
                           "DELETED.user.fred.T+ DELETED.user.fred.a.T+ archive+ user.bob+ user.fred.a+");
    CU_ASSERT_EQUAL(mboxlist_subscribed(node.env.list, "fred", "user.fred.a"), 1);
    CU_ASSERT_EQUAL(fake_state("user.fred"), MUPDATE_ACTIVE);
    fake_put("user.fred", MUPDATE_ABSENT, "", NULL);
    buf_free(&names);
    finish(true);
}

static void test_deleted_elsewhere(void)
{
    const struct mboxlist_record *record;
    struct mboxlist_iter *it;
    char before[200];
    struct buf names = BUF_INIT;

    begin();
    it = mboxlist_iter_all(node.env.list, "DELETED.", MBOXLIST_TYPES_ALL);
    CU_ASSERT_EQUAL_FATAL(mboxlist_iter_next(it, &record), 1);
    snprintf(before, sizeof(before), "%s", record->name);
    mboxlist_iter_free(&it);
    fake_put(before, MUPDATE_ACTIVE, "be2!default", "fred\tlrs\t");
    CU_ASSERT_EQUAL(mboxop_push(&node.env, &plain, NULL), 0);
    CU_ASSERT_EQUAL(fake_state(before), MUPDATE_ACTIVE);
    fake_put(before, MUPDATE_ABSENT, "", NULL);
    node_names(&node, &names);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&names),
                           "DELETED.user.fred.a.T+ archive+ user.bob+ user.fred+ user.fred.a+");
    buf_free(&names);
    finish(true);
}

static void spoil(void)
{
    fake_put("user.fred", MUPDATE_ACTIVE, "be2!default", "fred\tlrs\t");
    fake_put("user.zoe", MUPDATE_ACTIVE, "be1!default", "zoe\tlrs\t");
    fake_put("user.bob", MUPDATE_ACTIVE, "be1!default", "");
}

static void test_show(void)
{
    const struct push_options show = {.report = note, .show_only = true};
    struct buf before = BUF_INIT, after = BUF_INIT;

    begin();
    spoil();
    fake_dump(&before);
    CU_ASSERT_EQUAL(mboxop_push(&node.env, &show, NULL), 0);
    fake_dump(&after);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&before), buf_cstr(&after));
    CU_ASSERT_STRING_EQUAL(buf_cstr(&said),
                           "there user.zoe be1;here user.bob ;elsewhere user.fred be2!default;");
    buf_free(&before);
    buf_free(&after);
    finish(false);
}

static void test_ask(void)
{
    const struct push_options ask = {.report = note, .ask = refuse};

    begin();
    spoil();
    CU_ASSERT_EQUAL(mboxop_push(&node.env, &ask, NULL), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&said), "there user.zoe be1;elsewhere user.fred be2!default;");
    finish(false);
}

static void test_authoritative(void)
{
    const struct push_options all = {.report = note, .authoritative = true};
    struct buf names = BUF_INIT;

    begin();
    spoil();
    CU_ASSERT_EQUAL(mboxop_push(&node.env, &all, NULL), ERR_CONFLICT);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&said),
                           "there user.zoe be1;here user.bob ;elsewhere user.fred be2!default failed;");
    node_names(&node, &names);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&names),
                           "DELETED.user.fred.a.T+ archive+ user.bob+ user.fred+ user.fred.a+");
    buf_free(&names);
    finish(false);
}

static void test_away(void)
{
    begin();
    fake_reset();
    fake_fail_after(3);
    CU_ASSERT_EQUAL(mboxop_push(&node.env, &plain, NULL), ERR_UNAVAILABLE);
    fake_fail_after(-1);
    CU_ASSERT_EQUAL(mboxop_push(&node.env, &plain, NULL), ERR_UNAVAILABLE);
    fake_set_up(true);
    CU_ASSERT_EQUAL(mboxop_push_quietly(&node.env, NULL), 0);
    finish(true);
}

static const struct unit_case cases[] = {
    {"nothing to say", test_nothing},
    {"everything", test_all},
    {"differences", test_different},
    {"only there", test_only_there},
    {"a list that shrank", test_shrunk},
    {"elsewhere", test_elsewhere},
    {"deleted, elsewhere", test_deleted_elsewhere},
    {"show", test_show},
    {"ask", test_ask},
    {"authoritative", test_authoritative},
    {"away", test_away},
    {NULL, NULL},
};

extern const struct unit_suite push_suite;
const struct unit_suite push_suite = {"push", cases};
