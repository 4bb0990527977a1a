#include "mupdate/follow.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cunit/unit.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/mboxlist/remote.h"

struct node {
    char dir[64];
    struct names *names;
    struct mboxlist *list;
    struct hub *hub;
    struct follower *follower;
    struct pool *pool;
};

static void start(struct node *n)
{
    n->follower = follower_new(n->names, n->list, "own", n->hub);
}

static void begin(struct node *n)
{
    char *error;

    snprintf(n->dir, sizeof(n->dir), "/tmp/iatlas-follow.XXXXXX");
    CU_ASSERT_FATAL(mkdtemp(n->dir) != NULL);
    CU_ASSERT_EQUAL_FATAL(names_open(n->dir, 0, NULL, NULL, &n->names, &error), 0);
    CU_ASSERT_EQUAL_FATAL(mboxlist_open(n->dir, &n->list, &error), 0);
    n->hub = hub_new();
    n->pool = pool_new(0);
}

static void finish(struct node *n)
{
    follower_free(&n->follower);
    mboxlist_close(&n->list);
    names_close(&n->names);
    hub_free(&n->hub);
    pool_free(&n->pool);
    file_remove_tree(n->dir);
}

static void change(struct node *n, enum mupdate_verb verb, const char *name, const char *location)
{
    struct names_txn *txn;

    CU_ASSERT_EQUAL_FATAL(names_begin(n->names, &txn), 0);
    CU_ASSERT_EQUAL(names_apply(txn, verb, name, location, "x\tl\t", NULL), NAMES_DONE);
    CU_ASSERT_EQUAL(names_commit(&txn), 0);
    if (n->follower != NULL)
        follower_kick(n->follower);
}

static void wait_applied(struct node *n)
{
    uint64_t ticket = follower_barrier_ask(n->follower);
    int64_t deadline = clock_deadline(30000);

    while (!follower_barrier_done(n->follower, ticket) && clock_left(deadline) > 0)
        usleep(1000);
    CU_ASSERT(follower_barrier_done(n->follower, ticket));
}

static int type_of(struct node *n, const char *name)
{
    struct mboxlist_record record;

    return mboxlist_lookup(n->list, name, n->pool, &record) == 0 ? (int)record.type : 0;
}

static void test_follow(void)
{
    uint64_t epoch, sequence;
    struct node n = {.dir = ""};

    begin(&n);
    change(&n, MUPDATE_ACTIVATE, "a", "be1!p");
    change(&n, MUPDATE_ACTIVATE, "mine", "own!p");
    start(&n); /* the first time: everything */
    wait_applied(&n);
    CU_ASSERT(type_of(&n, "a") == MBOXLIST_REMOTE && type_of(&n, "mine") == 0);
    change(&n, MUPDATE_RESERVE, "b", "be1!p");
    change(&n, MUPDATE_DELETE, "a", NULL);
    wait_applied(&n);
    CU_ASSERT(type_of(&n, "a") == 0 && type_of(&n, "b") == MBOXLIST_RESERVED);
    CU_ASSERT_EQUAL(mboxlist_remote_position(n.list, &epoch, &sequence), 0);
    CU_ASSERT(epoch == names_source(n.names)->ops->epoch(names_source(n.names)) && sequence == 4);

    follower_free(&n.follower); /* and on from there */
    change(&n, MUPDATE_ACTIVATE, "c", "be1!p");
    start(&n);
    wait_applied(&n);
    CU_ASSERT(type_of(&n, "b") == MBOXLIST_RESERVED && type_of(&n, "c") == MBOXLIST_REMOTE);
    finish(&n);
}

/* The database was made anew: nothing of the old names stays. */
static void test_other_epoch(void)
{
    struct mboxlist_change stale = {MBOXLIST_CHANGE_MAILBOX, "stale", "be9!p", "", NULL, NULL};
    struct mboxlist_remote *remote;
    struct node n = {.dir = ""};

    begin(&n);
    remote = mboxlist_remote_new(n.list, "own");
    CU_ASSERT_EQUAL(mboxlist_remote_add(remote, &stale), 0);
    mboxlist_remote_set_position(remote, names_source(n.names)->ops->epoch(names_source(n.names)) + 1, 77);
    CU_ASSERT_EQUAL(mboxlist_remote_flush(remote), 0);
    mboxlist_remote_free(&remote);
    change(&n, MUPDATE_ACTIVATE, "a", "be1!p");
    start(&n);
    wait_applied(&n);
    CU_ASSERT(type_of(&n, "stale") == 0 && type_of(&n, "a") == MBOXLIST_REMOTE);
    finish(&n);
}

static const struct unit_case cases[] = {
    {"following", test_follow}, {"another epoch", test_other_epoch}, {NULL, NULL}};

extern const struct unit_suite follow_suite;
const struct unit_suite follow_suite = {"follow", cases};
