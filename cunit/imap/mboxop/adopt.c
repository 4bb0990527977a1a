/* Mailboxes whose files are there and that the list does not know. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cunit/imap/mboxop/fake.h"
#include "cunit/imap/mboxop/node.h"
#include "cunit/unit.h"
#include "imap/store/listed.h"
#include "lib/base/error.h"
#include "lib/mboxlist/quota.h"

static struct buf id = BUF_INIT;

/* user.fred.lost, with its ACL; taken out of the list, with user.fred if `all`. */
static void set_up(struct node *n, bool murder, bool all)
{
    const struct quota_limits limits = {{7000, 70, QUOTA_UNLIMITED, QUOTA_UNLIMITED}};
    struct mboxlist_txn *txn;

    node_wipe();
    fake_reset();
    node_open(n, murder);
    CU_ASSERT_EQUAL_FATAL(node_create(n, "user.fred"), 0);
    CU_ASSERT_EQUAL(node_run(mboxop_setquota(&n->env, "user.fred", &limits)), 0);
    CU_ASSERT_EQUAL_FATAL(node_create(n, "user.fred.was"), 0);
    CU_ASSERT_EQUAL(node_run(mboxop_rename(&n->env, "user.fred.was", "user.fred.lost", NULL, 0)), 0);
    CU_ASSERT_EQUAL(node_run(mboxop_setacl(&n->env, "user.fred.lost", "bob", ACL_ADD, ACL_LOOKUP)), 0);
    node_id(n, "user.fred.lost", &id);
    CU_ASSERT_EQUAL_FATAL(mboxlist_begin(n->env.list, &txn), 0);
    CU_ASSERT_EQUAL(mboxlist_txn_delete(txn, "user.fred.lost", false), 0);
    if (all) {
        CU_ASSERT_EQUAL(mboxlist_txn_delete(txn, "user.fred", false), 0);
        CU_ASSERT_EQUAL(quota_txn_limits_set(txn, "user.fred", NULL), 0);
    }
    CU_ASSERT_EQUAL(mboxlist_commit(&txn), 0);
}

static int adopt(struct node *n, const char *name)
{
    return node_run(mboxop_adopt(&n->env, name, "default", buf_cstr(&id)));
}

static void test_adopt(void)
{
    struct buf wrong = BUF_INIT, acl = BUF_INIT, again = BUF_INIT;
    struct node n;

    set_up(&n, true, false);
    CU_ASSERT_EQUAL(adopt(&n, "user.fred"), ERR_EXISTS);
    CU_ASSERT_EQUAL(adopt(&n, "user..x"), ERR_BADNAME);
    CU_ASSERT_EQUAL(node_run(mboxop_adopt(&n.env, "user.fred.x", "default", "not-there")), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(adopt(&n, "user.fred.lost"), 0);
    CU_ASSERT_EQUAL(adopt(&n, "user.fred.other"), ERR_NOTFOUND); /* not lost any more */
    node_check(&n, &wrong);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&wrong), "");
    node_acl(&n, "user.fred.lost", &acl);
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&acl), "bob\tl\t"));
    node_id(&n, "user.fred.lost", &again);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&again), buf_cstr(&id));
    buf_free(&wrong);
    buf_free(&acl);
    buf_free(&again);
    node_close(&n);
}

/* The limits come back with the first of a tree that is lost as a whole, and not over what has none. */
static void test_quota(void)
{
    struct quota_limits limits;
    struct node n;

    set_up(&n, false, true);
    CU_ASSERT_EQUAL(adopt(&n, "user.fred.lost"), 0);
    CU_ASSERT_EQUAL(quota_limits_get(n.env.list, "user.fred", &limits), 0);
    CU_ASSERT_EQUAL(limits.limit[QUOTA_STORAGE], 7000);
    CU_ASSERT_EQUAL(limits.limit[QUOTA_MESSAGE], 70);
    node_close(&n);
    set_up(&n, false, true);
    CU_ASSERT_EQUAL(node_create(&n, "user.fred"), 0);
    CU_ASSERT_EQUAL(adopt(&n, "user.fred.lost"), 0);
    CU_ASSERT_EQUAL(quota_limits_get(n.env.list, "user.fred", &limits), ERR_NOTFOUND);
    node_close(&n);
}

/* The name was another mailbox's since, with a greater UIDVALIDITY. */
static void test_uidvalidity(void)
{
    struct buf wrong = BUF_INIT;
    uint32_t since;
    struct node n;

    set_up(&n, false, false);
    CU_ASSERT_EQUAL(node_create(&n, "user.fred.lost"), 0);
    since = node_uidvalidity(&n, "user.fred.lost");
    CU_ASSERT_EQUAL(adopt(&n, "user.fred.lost"), ERR_EXISTS);
    CU_ASSERT_EQUAL(node_run(mboxop_delete(&n.env, "user.fred.lost", MBOXOP_DELETE_NOW)), 0);
    CU_ASSERT_EQUAL(adopt(&n, "user.fred.lost"), 0);
    CU_ASSERT(node_uidvalidity(&n, "user.fred.lost") > since);
    node_check(&n, &wrong);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&wrong), "");
    buf_free(&wrong);
    node_close(&n);
}

static bool has_files(struct node *n)
{
    struct mailbox *m;
    bool has = mailbox_open(n->env.store, "default", buf_cstr(&id), &m) == 0;

    if (has)
        mailbox_close(&m);
    return has;
}

static void test_elsewhere(void)
{
    struct node n;

    set_up(&n, true, false);
    fake_put("user.fred.lost", MUPDATE_ACTIVE, "be2!default", "bob\tlrs\t");
    CU_ASSERT_EQUAL(adopt(&n, "user.fred.lost"), ERR_CONFLICT);
    CU_ASSERT_EQUAL(node_uidvalidity(&n, "user.fred.lost"), 0);
    CU_ASSERT_EQUAL(fake_state("user.fred.lost"), MUPDATE_ACTIVE);
    CU_ASSERT_TRUE(has_files(&n));
    fake_set_up(false);
    CU_ASSERT_EQUAL(adopt(&n, "user.fred.free"), ERR_UNAVAILABLE);
    CU_ASSERT_TRUE(has_files(&n));
    node_close(&n);
}

/* In a process of its own: that many steps, then death.  True: it came to its end before. */
static bool kill_after(bool murder, int steps)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct node n;
        struct mboxop *op;

        node_open(&n, murder);
        op = mboxop_adopt(&n.env, "user.fred.lost", "default", buf_cstr(&id));
        for (int i = 0; i < steps; i++)
            if (mboxop_step(op) == MBOXOP_DONE)
                _exit(mboxop_result(op));
        kill(getpid(), SIGKILL);
    }
    CU_ASSERT_FATAL(waitpid(pid, &status, 0) == pid);
    CU_ASSERT(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFEXITED(status);
}

/* Killed before each of its steps: done, or to be done again; the files are there in any case. */
static void test_killed(void)
{
    for (int i = 0; i < 2; i++) {
        bool ended = false;

        for (int steps = 0; !ended && steps < 100; steps++) {
            struct buf wrong = BUF_INIT;
            struct node n;

            set_up(&n, i == 1, false);
            node_close(&n);
            ended = kill_after(i == 1, steps);
            node_open(&n, i == 1);
            CU_ASSERT_EQUAL(mboxop_recover(&n.env, NULL), 0);
            CU_ASSERT_TRUE(has_files(&n));
            if (node_uidvalidity(&n, "user.fred.lost") == 0)
                CU_ASSERT_EQUAL(adopt(&n, "user.fred.lost"), 0);
            node_check(&n, &wrong);
            if (wrong.len > 0)
                printf("\nkilled after %d steps: %s\n", steps, buf_cstr(&wrong));
            CU_ASSERT_EQUAL(wrong.len, 0);
            buf_free(&wrong);
            node_close(&n);
        }
        CU_ASSERT_TRUE(ended);
    }
    buf_free(&id);
}

static const struct unit_case cases[] = {
    {"adopted", test_adopt},       {"quota", test_quota},   {"UIDVALIDITY", test_uidvalidity},
    {"elsewhere", test_elsewhere}, {"killed", test_killed}, {NULL, NULL},
};

extern const struct unit_suite adopt_suite;
const struct unit_suite adopt_suite = {"adopt", cases};
