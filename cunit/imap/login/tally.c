#include "imap/login/tally.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cunit/imap/login/toy.h"
#include "cunit/unit.h"
#include "lib/base/buf.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/db/db.h"

static const char *const tables[] = {"sessions", NULL};

static struct tally *opened(int64_t per_user, int64_t per_host)
{
    struct tally_limits limits = {per_user, per_host};
    struct tally *t;

    CU_ASSERT_EQUAL_FATAL(tally_open("imap", &limits, &t), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    return t;
}

/* The database's directory: the only one in logins/. */
static void find_env(struct buf *path)
{
    struct dirent *e;
    DIR *d;

    config_path(path, "logins");
    d = opendir(buf_cstr(path));
    CU_ASSERT_PTR_NOT_NULL_FATAL(d);
    while ((e = readdir(d)) != NULL)
        if (e->d_name[0] != '.')
            buf_printf(path, "/%s", e->d_name);
    closedir(d);
}

static uint64_t records(void)
{
    struct buf path = BUF_INIT;
    struct db_env *env;
    struct db_txn *txn;
    uint64_t n = 0;

    find_env(&path);
    CU_ASSERT_EQUAL_FATAL(db_open(DB_LMDB, buf_cstr(&path), DB_NO_SYNC, 256 << 20, tables, &env, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(db_begin(env, false, &txn), 0);
    CU_ASSERT_EQUAL(db_count(txn, 0, &n), 0);
    db_abort(&txn);
    db_close(&env);
    buf_free(&path);
    return n;
}

static void no_limits(void)
{
    struct tally_limits limits = {0, -1};
    struct tally *t = (struct tally *)1;

    toy_configure("");
    CU_ASSERT_EQUAL(tally_open("imap", &limits, &t), 0);
    CU_ASSERT_PTR_NULL(t);
    tally_close(&t);
}

static void who_counts_for_whom(void)
{
    static const struct {
        const char *user, *host;
        int verdict;
    } rows[] = {
        {"fred", "192.0.2.1", TALLY_IN},
        {"fred", "192.0.2.2", TALLY_IN},
        {"fred", "192.0.2.3", TALLY_USER_FULL},
        {"bob", "192.0.2.1", TALLY_IN},
        {"bob", "192.0.2.1", TALLY_IN},
        {"ann", "192.0.2.1", TALLY_HOST_FULL},
        {"ann", "192.0.2.3", TALLY_IN},
        {"ann", "", TALLY_IN},
        {"eve", "", TALLY_IN},
        {"eve", "", TALLY_IN},
        {"eve", "", TALLY_USER_FULL},
    };
    uint64_t numbers[ARRAY_SIZE(rows)];
    struct tally *t;

    toy_configure("");
    t = opened(2, 3);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        CU_ASSERT_EQUAL(tally_enter(t, rows[i].user, rows[i].host, &numbers[i]), rows[i].verdict);
    tally_leave(t, "fred", "192.0.2.1", numbers[0]);
    CU_ASSERT_EQUAL(tally_enter(t, "ann", "192.0.2.1", &numbers[5]), TALLY_USER_FULL);
    CU_ASSERT_EQUAL(tally_enter(t, "fred", "192.0.2.1", &numbers[0]), TALLY_IN);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        tally_leave(t, rows[i].user, rows[i].host, numbers[i]);
    CU_ASSERT_EQUAL(records(), 0);
    tally_close(&t);
}

/* A process that enters `n` sessions and is killed; another service's do not count. */
static void enter_and_die(const char *service, int n)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct tally_limits limits = {100, 100};
        struct tally *t = NULL;
        uint64_t number;

        if (tally_open(service, &limits, &t) == 0)
            for (int i = 0; i < n; i++)
                (void)tally_enter(t, "fred", "192.0.2.1", &number);
        kill(getpid(), SIGKILL);
    }
    CU_ASSERT_FATAL(pid > 0);
    CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
    CU_ASSERT(WIFSIGNALED(status));
}

static void killed(void)
{
    struct tally *t;
    uint64_t a, b;

    toy_configure("");
    enter_and_die("imap", 5);
    CU_ASSERT_EQUAL(records(), 10);
    t = opened(1, 2); /* sweeps */
    CU_ASSERT_EQUAL(records(), 0);
    enter_and_die("imaps", 1);
    enter_and_die("imap", 7);
    CU_ASSERT_EQUAL(records(), 14); /* of the last: each sweeps what is before it */
    CU_ASSERT_EQUAL(tally_enter(t, "fred", "192.0.2.1", &a), TALLY_IN);
    CU_ASSERT_EQUAL(records(), 2); /* those of fred and of his host were met */
    CU_ASSERT_EQUAL(tally_enter(t, "bob", "192.0.2.1", &b), TALLY_IN);
    tally_leave(t, "fred", "192.0.2.1", a);
    tally_leave(t, "bob", "192.0.2.1", b);
    tally_close(&t);
}

struct rewriting {
    struct db_txn *txn;
    int rewritten;
};

static int make_older(const struct db_value *key, const struct db_value *value, void *context)
{
    static const unsigned char other[8] = {0, 0, 0, 0, 0, 0, 0, 1};
    struct rewriting *r = context;
    char copy[DB_KEY_MAX];

    CU_ASSERT_EQUAL(value->len, sizeof(other));
    memcpy(copy, key->data, key->len);
    CU_ASSERT_EQUAL(db_put(r->txn, 0, copy, key->len, other, sizeof(other)), 0);
    r->rewritten++;
    return 0;
}

/* A record of a process that had our number before us. */
static void number_used_again(void)
{
    struct rewriting r = {0};
    struct buf path = BUF_INIT;
    struct tally *t;
    struct db_env *env;
    uint64_t number;

    toy_configure("");
    t = opened(1, 0);
    CU_ASSERT_EQUAL(tally_enter(t, "fred", "", &number), TALLY_IN);
    CU_ASSERT_EQUAL(tally_enter(t, "fred", "", &number), TALLY_USER_FULL);
    find_env(&path);
    CU_ASSERT_EQUAL_FATAL(db_open(DB_LMDB, buf_cstr(&path), DB_NO_SYNC, 256 << 20, tables, &env, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(db_begin(env, true, &r.txn), 0);
    CU_ASSERT_EQUAL(db_scan(r.txn, 0, NULL, 0, NULL, 0, make_older, &r), 0);
    CU_ASSERT_EQUAL(r.rewritten, 1);
    CU_ASSERT_EQUAL(db_commit(&r.txn), 0);
    db_close(&env);
    CU_ASSERT_EQUAL(tally_enter(t, "fred", "", &number), TALLY_IN);
    CU_ASSERT_EQUAL(records(), 1);
    tally_leave(t, "fred", "", number);
    tally_close(&t);
    buf_free(&path);
}

/* Databases of earlier lives of the machine go; one that cannot be made is an error. */
static void elsewhere(void)
{
    struct tally_limits limits = {1, 1};
    struct buf path = BUF_INIT;
    struct tally *t;

    toy_configure("");
    config_path(&path, "logins/00000000-0000-0000-0000-000000000000");
    CU_ASSERT_EQUAL(file_make_dirs(buf_cstr(&path), 0700, 0), 0);
    t = opened(1, 1);
    tally_close(&t);
    CU_ASSERT_EQUAL(access(buf_cstr(&path), F_OK), -1);
    buf_reset(&path);
    config_path(&path, "logins");
    CU_ASSERT_EQUAL(file_remove_tree(buf_cstr(&path)), 0);
    CU_ASSERT_EQUAL(file_replace(buf_cstr(&path), "x", 1, 0600), 0);
    CU_ASSERT(tally_open("imap", &limits, &t) < 0);
    CU_ASSERT_PTR_NULL(t);
    CU_ASSERT_EQUAL(unlink(buf_cstr(&path)), 0);
    buf_free(&path);
}

/* What a login and its end cost at 10,000 sessions: by hand (IATLAS_MEASURE). */
static void cost(void)
{
    enum { SESSIONS = 10000, USERS = 1000, HOSTS = 100, ROUNDS = 2000 };
    struct timespec began, ended;
    struct tally *t;
    uint64_t number;
    char user[32], host[32];

    if (getenv("IATLAS_MEASURE") == NULL)
        return;
    toy_configure("");
    t = opened(1000, 1000);
    for (int i = 0; i < SESSIONS; i++) {
        snprintf(user, sizeof(user), "user%d", i % USERS);
        snprintf(host, sizeof(host), "192.0.2.%d", i % HOSTS);
        CU_ASSERT_EQUAL(tally_enter(t, user, host, &number), TALLY_IN);
    }
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (int i = 0; i < ROUNDS; i++) {
        CU_ASSERT_EQUAL(tally_enter(t, "user7", "192.0.2.7", &number), TALLY_IN);
        tally_leave(t, "user7", "192.0.2.7", number);
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    fprintf(stderr, "%.1f us a login and its end\n",
            ((double)(ended.tv_sec - began.tv_sec) * 1e6 + (double)(ended.tv_nsec - began.tv_nsec) / 1e3) /
                ROUNDS);
    tally_close(&t);
}

static const struct unit_case cases[] = {
    {"no limits", no_limits},
    {"who counts for whom", who_counts_for_whom},
    {"killed", killed},
    {"a process number used again", number_used_again},
    {"elsewhere", elsewhere},
    {"cost", cost},
    {NULL, NULL},
};

extern const struct unit_suite tally_suite;
const struct unit_suite tally_suite = {"tally", cases};
