/* kill.c: the test that justifies the engines: processes write and read one environment and are killed with
 * SIGKILL at any instruction; nothing that was committed is lost, nothing half-written is seen, nobody hangs and
 * no recovery is done by hand.
 *
 * A worker numbers its transactions; each writes two rows (the number itself and the worker's counter) and is
 * acknowledged in a page shared with this process once db_commit() returned. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cunit/unit.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/db/db.h"

enum { WORKERS = 4, MAP = 256 * 1024 * 1024, HANG_SECONDS = 300 };

static const char *const tables[] = {"rows", "counters", NULL};

struct acknowledged {
    _Atomic uint32_t number[WORKERS];
};

struct kill_test {
    enum db_engine engine;
    unsigned workers, kills;
    char dir[64];
    struct acknowledged *acknowledged;
    pid_t pids[WORKERS];
};

static uint32_t counter_of(struct db_txn *txn, unsigned worker)
{
    struct db_value value;
    uint32_t n = 0;
    char key = (char)('A' + worker);

    if (db_get(txn, 1, &key, 1, &value) == 0 && value.len == sizeof(n))
        memcpy(&n, value.data, sizeof(n));
    return n;
}

static int write_one(struct db_env *env, unsigned worker, uint32_t *number_r)
{
    char row[32], key = (char)('A' + worker);
    struct db_txn *txn;
    uint32_t n;
    int r = db_begin(env, true, &txn);

    if (r < 0)
        return r;
    n = counter_of(txn, worker) + 1;
    snprintf(row, sizeof(row), "%c%010u", key, n);
    r = db_add(txn, 0, row, strlen(row), &n, sizeof(n));
    if (r == 0)
        r = db_put(txn, 1, &key, 1, &n, sizeof(n));
    if (r < 0) {
        db_abort(&txn);
        return r;
    }
    *number_r = n;
    return db_commit(&txn);
}

/* Both rows of the last transaction of any worker are there, or neither. */
static int read_one(struct db_env *env, unsigned worker)
{
    struct db_value value;
    struct db_txn *txn;
    char row[32];
    uint32_t n;
    int r = db_begin(env, false, &txn);

    if (r < 0)
        return r;
    n = counter_of(txn, worker);
    snprintf(row, sizeof(row), "%c%010u", (char)('A' + worker), n);
    r = n == 0 ? 0 : db_get(txn, 0, row, strlen(row), &value);
    db_abort(&txn);
    return r;
}

/* A worker never returns; a status other than death by SIGKILL is a failure. */
static void work(struct kill_test *t, unsigned worker)
{
    struct db_env *env;
    uint32_t number;

    if (db_open(t->engine, t->dir, 0, MAP, tables, &env, NULL) < 0)
        _exit(2);
    for (unsigned i = 0;; i++) {
        if (write_one(env, worker, &number) < 0)
            _exit(3);
        t->acknowledged->number[worker] = number;
        if (read_one(env, (worker + i) % t->workers) < 0)
            _exit(4);
    }
}

static void start_worker(struct kill_test *t, unsigned worker)
{
    t->pids[worker] = fork();
    if (t->pids[worker] == 0)
        work(t, worker);
    CU_ASSERT_FATAL(t->pids[worker] > 0);
}

static void kill_worker(struct kill_test *t, unsigned worker)
{
    int status;

    kill(t->pids[worker], SIGKILL);
    CU_ASSERT(waitpid(t->pids[worker], &status, 0) == t->pids[worker]);
    CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    if (WIFEXITED(status))
        fprintf(stderr, "worker %u left by itself: %d\n", worker, WEXITSTATUS(status));
}

struct tally {
    uint32_t last[WORKERS];
    bool gap;
};

static int tally_row(const struct db_value *key, const struct db_value *value, void *context)
{
    struct tally *tally = context;
    unsigned worker = (unsigned)(((const char *)key->data)[0] - 'A');
    uint32_t n;

    memcpy(&n, value->data, sizeof(n));
    tally->gap = tally->gap || n != tally->last[worker] + 1;
    tally->last[worker] = n;
    return 0;
}

/* Exit status of a child that looks: every acknowledged number is there, without a gap. */
static int look(struct kill_test *t)
{
    struct tally tally = {.gap = false};
    uint32_t acknowledged[WORKERS];
    struct db_env *env;
    struct db_txn *txn;

    for (unsigned i = 0; i < t->workers; i++)
        acknowledged[i] = t->acknowledged->number[i]; /* before the snapshot */
    if (db_open(t->engine, t->dir, 0, MAP, tables, &env, NULL) < 0)
        return 2;
    if (db_begin(env, false, &txn) < 0 || db_scan(txn, 0, NULL, 0, NULL, 0, tally_row, &tally) < 0)
        return 3;
    for (unsigned i = 0; i < t->workers; i++)
        if (tally.last[i] < acknowledged[i] || counter_of(txn, i) != tally.last[i])
            return 4;
    db_abort(&txn);
    db_close(&env);
    return tally.gap ? 5 : 0;
}

static void check(struct kill_test *t)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(look(t));
    CU_ASSERT(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
}

static void pause_us(unsigned us)
{
    nanosleep(&(struct timespec){us / 1000000, (long)(us % 1000000) * 1000}, NULL);
}

static uint32_t committed(const struct kill_test *t)
{
    uint32_t sum = 0;

    for (unsigned i = 0; i < t->workers; i++)
        sum += t->acknowledged->number[i];
    return sum;
}

/* Every other time a busy machine's workers get as far as a commit before one is killed. */
static void let_them_work(struct kill_test *t, unsigned round)
{
    uint32_t before = committed(t);
    int64_t deadline = clock_deadline(30000);

    while (round % 2 == 0 && committed(t) == before && clock_left(deadline) > 0)
        pause_us(500);
    pause_us((unsigned)random() % (t->engine == DB_LMDB ? 10000 : 40000));
}

static void run(struct kill_test *t)
{

    snprintf(t->dir, sizeof(t->dir), "/tmp/iatlas-kill.XXXXXX");
    CU_ASSERT_FATAL(mkdtemp(t->dir) != NULL);
    t->acknowledged =
        mmap(NULL, sizeof(*t->acknowledged), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_FATAL(t->acknowledged != MAP_FAILED);
    alarm(HANG_SECONDS + t->kills / 2);
    for (unsigned i = 0; i < t->workers; i++)
        start_worker(t, i);
    for (unsigned i = 0; i < t->kills; i++) {
        unsigned worker = (unsigned)random() % t->workers;

        let_them_work(t, i);
        kill_worker(t, worker);
        if (t->workers == 1 || i % 25 == 0)
            check(t);
        start_worker(t, worker);
    }
    pause_us(100000);
    for (unsigned i = 0; i < t->workers; i++)
        kill_worker(t, i);
    check(t);
    alarm(0);
    CU_ASSERT(committed(t) >= t->kills / 2); /* they did work in between */
    munmap(t->acknowledged, sizeof(*t->acknowledged));
    CU_ASSERT_EQUAL(file_remove_tree(t->dir), 0);
}

static unsigned kills_wanted(unsigned standard)
{
    const char *wanted = getenv("IATLAS_KILLS");

    return wanted != NULL ? (unsigned)atoi(wanted) : standard;
}

static void test_lmdb(void)
{
    struct kill_test t = {.engine = DB_LMDB, .workers = WORKERS, .kills = kills_wanted(100)};

    run(&t);
}

static void test_berkeley(void)
{
    struct kill_test t = {.engine = DB_BERKELEY, .workers = 1, .kills = kills_wanted(100) / 10};

    run(&t);
}

static const struct unit_case cases[] = {
    {"LMDB, four processes", test_lmdb}, {"Berkeley DB, its owner", test_berkeley}, {NULL, NULL}};

extern const struct unit_suite kill_suite;
const struct unit_suite kill_suite = {"kill", cases};
