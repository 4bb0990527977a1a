/* Each operation is killed before each of its steps, recovered by another process, and must then be done or
 * undone as a whole, with everything that hangs on it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cunit/imap/mboxop/fake.h"
#include "cunit/imap/mboxop/node.h"
#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/mboxlist/quota.h"

enum { STEPS_MAX = 200 };

static struct mboxop *make_create(const struct mboxop_env *env)
{
    return mboxop_create(env, "user.fred.new", NULL, NULL, NULL, 0, "\\Sent");
}

static struct mboxop *make_delete(const struct mboxop_env *env)
{
    return mboxop_delete(env, "user.fred.a", 0);
}

static struct mboxop *make_delete_user(const struct mboxop_env *env)
{
    return mboxop_delete(env, "user.fred", 0);
}

static struct mboxop *make_set_aside(const struct mboxop_env *env)
{
    return mboxop_delete(env, "user.fred", MBOXOP_SET_ASIDE);
}

static struct mboxop *make_delete_now(const struct mboxop_env *env)
{
    return mboxop_delete(env, "user.fred.a", MBOXOP_DELETE_NOW);
}

static struct mboxop *make_delete_user_now(const struct mboxop_env *env)
{
    return mboxop_delete(env, "user.fred", MBOXOP_DELETE_NOW);
}

static struct mboxop *make_rename(const struct mboxop_env *env)
{
    return mboxop_rename(env, "user.fred.a", "user.bob.x", NULL, 0);
}

static struct mboxop *make_rename_user(const struct mboxop_env *env)
{
    return mboxop_rename(env, "user.fred", "user.al", NULL, 0);
}

static struct mboxop *make_inbox_move(const struct mboxop_env *env)
{
    return mboxop_rename(env, "user.fred", "user.fred.old", NULL, 0);
}

static struct mboxop *make_setacl(const struct mboxop_env *env)
{
    return mboxop_setacl(env, "user.fred.a", "bob", ACL_ADD, ACL_LOOKUP | ACL_READ);
}

static struct mboxop *make_create_here(const struct mboxop_env *env)
{
    return mboxop_create_here(env, "user.fred.new", NULL);
}

static struct mboxop *make_delete_here(const struct mboxop_env *env)
{
    return mboxop_delete_here(env, "user.fred.a");
}

static struct mboxop *make_move(const struct mboxop_env *env)
{
    return mboxop_rename(env, "user.fred", "user.fred", "second", 0);
}

static struct mboxop *make_setquota(const struct mboxop_env *env)
{
    const struct quota_limits limits = {{1000, 10, QUOTA_UNLIMITED, QUOTA_UNLIMITED}};

    return mboxop_setquota(env, "user.fred", &limits);
}

#define BEFORE "user.bob+ user.fred+ user.fred.a+ user.fred.a.b+"

static const struct scenario {
    const char *name;
    struct mboxop *(*make)(const struct mboxop_env *env);
    const char *after;
    bool alone; /* in a murder the master is to go on saying something else */
} scenarios[] = {
    {"create", make_create, "user.bob+ user.fred+ user.fred.a+ user.fred.a.b+ user.fred.new+", false},
    {"delete", make_delete, "DELETED.user.fred.a.T+ user.bob+ user.fred+ user.fred.a.b+", false},
    {"delete user", make_delete_user,
     "DELETED.user.fred.T+ DELETED.user.fred.a.T+ DELETED.user.fred.a.b.T+ user.bob+", false},
    {"delete now", make_delete_now, "user.bob+ user.fred+ user.fred.a.b+", false},
    {"delete user now", make_delete_user_now, "user.bob+", false},
    {"rename", make_rename, "user.bob+ user.bob.x+ user.bob.x.b+ user.fred+", false},
    {"rename user", make_rename_user, "user.al+ user.al.a+ user.al.a.b+ user.bob+", false},
    {"inbox move", make_inbox_move, "user.bob+ user.fred+ user.fred.a+ user.fred.a.b+ user.fred.old+", false},
    {"setacl", make_setacl, BEFORE, false},
    {"set aside", make_set_aside, "DELETED.user.fred.T+ user.bob+ user.fred.a+ user.fred.a.b+", false},
    {"create here", make_create_here, "user.bob+ user.fred+ user.fred.a+ user.fred.a.b+ user.fred.new+",
     true},
    {"delete here", make_delete_here, "user.bob+ user.fred+ user.fred.a.b+", true},
    {"setquota", make_setquota, BEFORE, false},
    {"move", make_move, "user.bob+ user.fred2 user.fred.a2 user.fred.a.b2", false},
};

static void set_up(bool murder)
{
    static const char *const names[] = {"user.fred", "user.fred.a", "user.fred.a.b", "user.bob"};
    struct node n;

    node_wipe();
    fake_reset();
    node_open(&n, murder);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        CU_ASSERT_EQUAL_FATAL(node_create(&n, names[i]), 0);
    node_close(&n);
}

/* In a process of its own: `steps` steps, then death. */
static void run_child(const struct scenario *s, bool murder, int steps)
{
    struct node n;
    struct mboxop *op;

    node_open(&n, murder);
    op = s->make(&n.env);
    for (int i = 0; i < steps; i++)
        if (mboxop_step(op) == MBOXOP_DONE)
            _exit(mboxop_result(op) == 0 ? 0 : 1);
    kill(getpid(), SIGKILL);
}

/* True when the operation came to its end before it was to be killed. */
static bool kill_after(const struct scenario *s, bool murder, int steps)
{
    pid_t pid = fork();
    int status;

    if (pid == 0)
        run_child(s, murder, steps);
    CU_ASSERT_FATAL(waitpid(pid, &status, 0) == pid);
    CU_ASSERT(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFEXITED(status);
}

static void check(const struct scenario *s, bool murder, int steps, bool ended)
{
    struct buf names = BUF_INIT, wrong = BUF_INIT;
    struct node n;
    unsigned recovered;

    node_open(&n, murder);
    CU_ASSERT_EQUAL(mboxop_recover(&n.env, &recovered), 0);
    CU_ASSERT(!ended || recovered == 0);
    node_check(&n, &wrong);
    node_names(&n, &names);
    /* of a tree that was on its way some may have arrived */
    for (size_t i = 0; s->make == make_move && !ended && i < names.len; i++)
        if (names.data[i] == '2')
            names.data[i] = '+';
    if (strcmp(buf_cstr(&names), s->after) != 0 && (ended || strcmp(buf_cstr(&names), BEFORE) != 0))
        buf_printf(&wrong, "names: %s", buf_cstr(&names));
    if (wrong.len > 0)
        printf("\n%s (%s), killed after %d steps: %s\n", s->name, murder ? "murder" : "standalone", steps,
               wrong.data);
    CU_ASSERT_EQUAL(wrong.len, 0);
    /* whatever it came to, the name can be worked on */
    CU_ASSERT_EQUAL(mboxop_recover(&n.env, &recovered), 0);
    CU_ASSERT_EQUAL(recovered, 0);
    node_close(&n);
    buf_free(&names);
    buf_free(&wrong);
}

static void run(bool murder)
{
    for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
        bool ended = false;
        int steps = 0;

        if (murder && scenarios[i].alone)
            continue;

        for (; !ended && steps < STEPS_MAX; steps++) {
            set_up(murder);
            ended = kill_after(&scenarios[i], murder, steps);
            check(&scenarios[i], murder, steps, ended);
        }
        CU_ASSERT(ended && steps > 4);
    }
}

static void test_standalone(void)
{
    run(false);
}

static void test_murder(void)
{
    run(true);
}

/* The next who works on the name brings what is left to its end, without any recovery being run. */
static void test_next_taker(void)
{
    for (int steps = 4; steps < 12; steps++) {
        struct buf wrong = BUF_INIT;
        struct node n;

        set_up(true);
        if (kill_after(&scenarios[5], true, steps))
            break;
        node_open(&n, true);
        CU_ASSERT_EQUAL(node_create(&n, "user.bob.y"), 0);
        node_check(&n, &wrong);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&wrong), "");
        buf_free(&wrong);
        node_close(&n);
    }
}

/* Recovery that is killed as well is recovered. */
static void recover_child(int steps)
{
    struct node n;
    struct mboxop *op;

    node_open(&n, true);
    op = mboxop_create(&n.env, "user.fred.y", NULL, NULL, NULL, 0, NULL);
    for (int i = 0; i < steps; i++)
        if (mboxop_step(op) == MBOXOP_DONE)
            break;
    kill(getpid(), SIGKILL);
}

static void test_killed_again(void)
{
    for (int steps = 3; steps < 16; steps++) {
        struct buf wrong = BUF_INIT;
        struct node n;
        pid_t pid;
        int status;

        set_up(true);
        kill_after(&scenarios[6], true, 4 + steps);
        pid = fork();
        if (pid == 0)
            recover_child(steps);
        CU_ASSERT_FATAL(waitpid(pid, &status, 0) == pid);
        node_open(&n, true);
        CU_ASSERT_EQUAL(mboxop_recover(&n.env, NULL), 0);
        node_check(&n, &wrong);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&wrong), "");
        buf_free(&wrong);
        node_close(&n);
    }
}

static const struct unit_case cases[] = {
    {"standalone", test_standalone},
    {"murder", test_murder},
    {"the next taker", test_next_taker},
    {"killed again", test_killed_again},
    {NULL, NULL},
};

extern const struct unit_suite kill_suite;
const struct unit_suite kill_suite = {"killed", cases};
