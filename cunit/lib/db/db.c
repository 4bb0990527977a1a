#include "lib/db/db.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

static const char *const tables[] = {"one", "two", NULL};
static const enum db_engine engines[] = {DB_LMDB, DB_BERKELEY};

enum { TEST_MAP = 64 * 1024 * 1024 };

static void make_dir(char *dir, size_t size)
{
    snprintf(dir, size, "/tmp/iatlas-db.XXXXXX");
    CU_ASSERT_FATAL(mkdtemp(dir) != NULL);
}

static struct db_env *open_env(enum db_engine engine, const char *dir)
{
    struct db_env *env = NULL;
    char *error = NULL;

    CU_ASSERT_EQUAL(db_open(engine, dir, 0, TEST_MAP, tables, &env, &error), 0);
    if (error != NULL)
        fprintf(stderr, "%s\n", error);
    free(error);
    CU_ASSERT_FATAL(env != NULL);
    return env;
}

static int put(struct db_env *env, unsigned table, const char *key, const char *value)
{
    struct db_txn *txn;

    CU_ASSERT_EQUAL_FATAL(db_begin(env, true, &txn), 0);
    CU_ASSERT_EQUAL(db_put(txn, table, key, strlen(key), value, strlen(value)), 0);
    return db_commit(&txn);
}

/* The value as a string, "-" when there is none. */
static const char *get(struct db_env *env, unsigned table, const char *key)
{
    static char text[64];
    struct db_value value;
    struct db_txn *txn;
    int r;

    CU_ASSERT_EQUAL_FATAL(db_begin(env, false, &txn), 0);
    r = db_get(txn, table, key, strlen(key), &value);
    CU_ASSERT(r == 0 || r == ERR_NOTFOUND);
    snprintf(text, sizeof(text), "%.*s", r == 0 ? (int)value.len : 1,
             r == 0 ? (const char *)value.data : "-");
    db_abort(&txn);
    return text;
}

static void check_basics(enum db_engine engine, const char *dir)
{
    struct db_env *env = open_env(engine, dir), *again = open_env(engine, dir);
    unsigned one = db_table(env, "one"), two = db_table(env, "two");
    struct db_txn *txn;

    CU_ASSERT_PTR_EQUAL(env, again);
    db_close(&again);
    CU_ASSERT_PTR_NULL(again);
    CU_ASSERT_EQUAL(put(env, one, "a", "1"), 0);
    CU_ASSERT_STRING_EQUAL(get(env, one, "a"), "1");
    CU_ASSERT_STRING_EQUAL(get(env, two, "a"), "-");

    CU_ASSERT_EQUAL(db_begin(env, true, &txn), 0);
    CU_ASSERT_EQUAL(db_add(txn, one, "a", 1, "2", 1), ERR_EXISTS);
    CU_ASSERT_EQUAL(db_add(txn, one, "b", 1, "2", 1), 0);
    CU_ASSERT_EQUAL(db_delete(txn, one, "a", 1), 0);
    CU_ASSERT_EQUAL(db_delete(txn, one, "a", 1), ERR_NOTFOUND);
    db_abort(&txn);
    CU_ASSERT_PTR_NULL(txn);
    CU_ASSERT_STRING_EQUAL(get(env, one, "a"), "1");
    CU_ASSERT_STRING_EQUAL(get(env, one, "b"), "-");
    CU_ASSERT_EQUAL(db_sync(env), 0);
    CU_ASSERT_EQUAL(db_checkpoint(env), 0);
    CU_ASSERT_EQUAL(db_checkpoint(env), 0);
    db_reader_check(env);
    db_close(&env);

    env = open_env(engine, dir);
    CU_ASSERT_STRING_EQUAL(get(env, one, "a"), "1");
    db_close(&env);
}

static void each_engine(void (*check)(enum db_engine engine, const char *dir))
{
    for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
        char dir[64];

        make_dir(dir, sizeof(dir));
        check(engines[i], dir);
        CU_ASSERT_EQUAL(file_remove_tree(dir), 0);
    }
}

static void test_basics(void)
{
    each_engine(check_basics);
}

static void fill(struct db_env *env, unsigned table, unsigned n)
{
    struct db_txn *txn;
    char key[16];

    CU_ASSERT_EQUAL_FATAL(db_begin(env, true, &txn), 0);
    for (unsigned i = 0; i < n; i++) {
        snprintf(key, sizeof(key), "%c%04u", i % 2 ? 'x' : 'm', i);
        CU_ASSERT_EQUAL(db_put(txn, table, key, 5, key, 5), 0);
    }
    CU_ASSERT_EQUAL(db_commit(&txn), 0);
}

struct seen {
    unsigned count, stop_at;
    char last[16];
    bool ordered;
};

static int note(const struct db_value *key, const struct db_value *value, void *context)
{
    struct seen *seen = context;

    CU_ASSERT(key->len == value->len && memcmp(key->data, value->data, key->len) == 0);
    seen->ordered = seen->ordered && memcmp(seen->last, key->data, key->len) < 0;
    memcpy(seen->last, key->data, key->len);
    return ++seen->count == seen->stop_at ? 7 : 0;
}

static void check_scans(enum db_engine engine, const char *dir)
{
    static const struct {
        const char *start, *prefix;
        unsigned stop_at, count;
        int r;
    } rows[] = {
        {"", "", 0, 1000, 0},         {"", "m", 0, 500, 0},   {"", "x", 0, 500, 0},    {"", "q", 0, 0, 0},
        {"m0990", "m", 0, 5, 0},      {"m0991", "", 4, 4, 7}, {"x0991", "m", 0, 0, 0}, {"a", "x", 0, 500, 0},
        {"x0999", "x0999", 0, 1, 0},  {"y", "", 0, 0, 0},     {"", "", 256, 256, 7},   {"", "", 257, 257, 7},
        {"x0001zz", "x00", 0, 49, 0},
    };
    struct db_env *env = open_env(engine, dir);
    unsigned table = db_table(env, "two");
    struct db_txn *txn;
    uint64_t count;

    fill(env, table, 1000);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct seen a = {.stop_at = rows[i].stop_at, .ordered = true}, b = a;

        CU_ASSERT_EQUAL(db_begin(env, false, &txn), 0);
        CU_ASSERT_EQUAL(db_scan(txn, table, rows[i].start, strlen(rows[i].start), rows[i].prefix,
                                strlen(rows[i].prefix), note, &a),
                        rows[i].r);
        db_abort(&txn);
        CU_ASSERT_EQUAL(db_scan_batches(env, table, rows[i].start, strlen(rows[i].start), rows[i].prefix,
                                        strlen(rows[i].prefix), 64, note, &b),
                        rows[i].r);
        CU_ASSERT(a.ordered && b.ordered);
        CU_ASSERT_EQUAL(a.count, rows[i].count);
        CU_ASSERT_EQUAL(b.count, rows[i].count);
    }
    CU_ASSERT_EQUAL(db_begin(env, false, &txn), 0);
    CU_ASSERT_EQUAL(db_count(txn, table, &count), 0);
    CU_ASSERT_EQUAL(count, 1000);
    db_abort(&txn);
    db_close(&env);
}

enum { LONG_COUNT = 2000, LONG_VALUE = 300 * 1000 };

static size_t long_value_len(unsigned i)
{
    return i % 700 == 350 ? LONG_VALUE - i : i % 300;
}

struct long_scan {
    unsigned next, wrong;
};

static int take_long(const struct db_value *key, const struct db_value *value, void *context)
{
    struct long_scan *scan = context;
    const unsigned char *k = key->data;
    const char *v = value->data;

    scan->wrong += key->len != 2 || (unsigned)(k[0] << 8 | k[1]) != scan->next;
    scan->wrong += value->len != long_value_len(scan->next);
    scan->wrong += value->len > 0 && (v[0] != 'v' || v[value->len - 1] != 'v');
    scan->next++;
    return 0;
}

static void test_scans(void)
{
    each_engine(check_scans);
}

/* Enough pairs for an engine's blocks, some of them larger than one. */
static void check_long_scan(enum db_engine engine, const char *dir)
{
    struct db_env *env = open_env(engine, dir);
    struct long_scan scan = {0, 0};
    char *value = xmalloc(LONG_VALUE);
    struct db_txn *txn;

    memset(value, 'v', LONG_VALUE);
    CU_ASSERT_EQUAL(db_begin(env, true, &txn), 0);
    for (unsigned i = 0; i < LONG_COUNT; i++) {
        unsigned char key[2] = {(unsigned char)(i >> 8), (unsigned char)i};

        CU_ASSERT_EQUAL(db_put(txn, 0, key, sizeof(key), value, long_value_len(i)), 0);
    }
    CU_ASSERT_EQUAL(db_commit(&txn), 0);
    CU_ASSERT_EQUAL(db_begin(env, false, &txn), 0);
    CU_ASSERT_EQUAL(db_scan(txn, 0, NULL, 0, NULL, 0, take_long, &scan), 0);
    CU_ASSERT(scan.next == LONG_COUNT && scan.wrong == 0);
    scan = (struct long_scan){100, 0};
    CU_ASSERT_EQUAL(db_scan(txn, 0, "\0\x64", 2, "\0", 1, take_long, &scan), 0);
    CU_ASSERT(scan.next == 256 && scan.wrong == 0);
    db_abort(&txn);
    free(value);
    db_close(&env);
}

static void test_long_scan(void)
{
    each_engine(check_long_scan);
}

struct ordered {
    char last[16];
    unsigned count;
    bool good;
};

static int check_order(const struct db_value *key, const struct db_value *value, void *context)
{
    struct ordered *o = context;

    o->good = o->good && key->len < sizeof(o->last) && value->len == key->len &&
              memcmp(key->data, value->data, key->len) == 0 &&
              (o->count == 0 || memcmp(o->last, key->data, key->len) < 0);
    memcpy(o->last, key->data, o->good ? key->len : 0);
    o->count++;
    return 0;
}

/* A table that is loaded: keys in order, then before, between and behind those that are there, and over them. */
static void check_lazy(enum db_engine engine, const char *dir)
{
    enum { COUNT = 2000 };
    static const unsigned firsts[] = {10000, 50000, 0, 10001, 60000};

    struct ordered o = {.good = true};
    struct db_env *env = open_env(engine, dir);
    struct db_txn *txn;
    char key[16];

    CU_ASSERT_EQUAL_FATAL(db_begin(env, true, &txn), 0);
    db_lazy(txn);
    for (size_t f = 0; f < ARRAY_SIZE(firsts); f++)
        for (unsigned i = 0; i < COUNT; i++) {
            snprintf(key, sizeof(key), "k%06u", firsts[f] + 2 * i);
            CU_ASSERT_EQUAL(db_put(txn, f % 2, key, 7, "old", 3), 0);
            CU_ASSERT_EQUAL(db_put(txn, 0, key, 7, key, 7), 0);
            CU_ASSERT_EQUAL(db_add(txn, 0, key, 7, "new", 3), ERR_EXISTS);
        }
    CU_ASSERT_EQUAL(db_scan(txn, 0, NULL, 0, NULL, 0, check_order, &o), 0);
    CU_ASSERT_EQUAL(o.count, ARRAY_SIZE(firsts) * COUNT);
    CU_ASSERT(o.good);
    CU_ASSERT_EQUAL(db_commit(&txn), 0);
    db_close(&env);
}

static void test_lazy(void)
{
    each_engine(check_lazy);
}

/* ---- what a process has left that ends without a word ---- */

static int put_lazily(struct db_env *env, const char *key)
{
    struct db_txn *txn;
    int r = db_begin(env, true, &txn);

    if (r < 0)
        return r;
    db_lazy(txn);
    r = db_put(txn, 0, key, strlen(key), "v", 1);
    return r < 0 ? r : db_commit(&txn);
}

/* 'l': commits "l" lazily, 'd': "d" not lazily, 'f': flushes. */
static void end_behind(const char *dir, const char *steps)
{
    struct db_env *env;
    int r = db_open(DB_BERKELEY, dir, 0, TEST_MAP, tables, &env, NULL);

    for (; *steps != '\0' && r == 0; steps++) {
        if (*steps == 'l')
            r = put_lazily(env, "l");
        else
            r = *steps == 'd' ? put(env, 0, "d", "v") : db_flush(env);
    }
    _exit(r == 0 ? 0 : 1);
}

static void test_lazy_commits(void)
{
    static const struct {
        const char *steps;
        bool lazy, durable;
    } rows[] = {
        {"d", false, true}, {"l", false, false}, {"dl", false, true}, {"lf", true, false}, {"ld", true, true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct db_value value;
        struct db_env *env;
        struct db_txn *txn;
        char dir[64];
        pid_t pid;
        int status;

        make_dir(dir, sizeof(dir));
        pid = fork();
        if (pid == 0)
            end_behind(dir, rows[i].steps);
        CU_ASSERT(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
        env = open_env(DB_BERKELEY, dir);
        CU_ASSERT_EQUAL_FATAL(db_begin(env, false, &txn), 0);
        CU_ASSERT_EQUAL(db_get(txn, 0, "l", 1, &value), rows[i].lazy ? 0 : ERR_NOTFOUND);
        CU_ASSERT_EQUAL(db_get(txn, 0, "d", 1, &value), rows[i].durable ? 0 : ERR_NOTFOUND);
        db_abort(&txn);
        db_close(&env);
        file_remove_tree(dir);
    }
}

/* A change of some size; an error also of its beginning. */
static int put_large(struct db_env *env, unsigned number)
{
    static const char value[8000];
    struct db_txn *txn;
    int r = db_begin(env, true, &txn);

    if (r < 0)
        return r;
    r = db_put(txn, 0, &number, sizeof(number), value, sizeof(value));
    if (r == 0)
        return db_commit(&txn);
    db_abort(&txn);
    return r;
}

/* In a process whose files may not grow beyond what their log takes, and then may again. */
static _Noreturn void write_without_room(const char *dir)
{
    struct rlimit limit = {256 * 1024, RLIM_INFINITY};
    struct db_env *env = open_env(DB_BERKELEY, dir);
    unsigned done = 0;

    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    while (done < 200 && put_large(env, done) == 0)
        done++;
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    for (unsigned i = 0; i < 20; i++)
        if (put_large(env, 1000 + i) != ERR_CORRUPT || db_flush(env) != ERR_CORRUPT ||
            db_checkpoint(env) != ERR_CORRUPT)
            _exit(255);
    db_close(&env);
    _exit((int)done);
}

/* Behind a write that failed nothing is acknowledged any more until the environment is opened again, which has all that was. */
static void test_no_room(void)
{
    struct db_value value;
    struct db_env *env;
    struct db_txn *txn;
    char dir[64];
    pid_t pid;
    int status;

    make_dir(dir, sizeof(dir));
    pid = fork();
    if (pid == 0)
        write_without_room(dir);
    CU_ASSERT(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    CU_ASSERT(WEXITSTATUS(status) > 2 && WEXITSTATUS(status) < 200);
    env = open_env(DB_BERKELEY, dir);
    CU_ASSERT_EQUAL_FATAL(db_begin(env, false, &txn), 0);
    for (unsigned i = 0; i < (unsigned)WEXITSTATUS(status); i++)
        CU_ASSERT_EQUAL(db_get(txn, 0, &i, sizeof(i), &value), 0);
    db_abort(&txn);
    CU_ASSERT_EQUAL(put_large(env, 2000), 0);
    db_close(&env);
    file_remove_tree(dir);
}

/* A reader keeps its view while another thread commits. */
static void *commit_new_value(void *context)
{
    struct db_env *env = context;

    CU_ASSERT_EQUAL(put(env, 0, "k", "new"), 0);
    return NULL;
}

static void check_snapshot(enum db_engine engine, const char *dir)
{
    struct db_env *env;
    struct db_value value;
    struct db_txn *txn;
    pthread_t writer;

    if (engine != DB_LMDB)
        return;
    env = open_env(engine, dir);
    put(env, 0, "k", "old");
    CU_ASSERT_EQUAL(db_begin(env, false, &txn), 0);
    CU_ASSERT_EQUAL(db_get(txn, 0, "k", 1, &value), 0);
    pthread_create(&writer, NULL, commit_new_value, env);
    pthread_join(writer, NULL);
    CU_ASSERT_EQUAL(db_get(txn, 0, "k", 1, &value), 0);
    CU_ASSERT(value.len == 3 && memcmp(value.data, "old", 3) == 0);
    db_abort(&txn);
    CU_ASSERT_STRING_EQUAL(get(env, 0, "k"), "new");
    db_close(&env);
}

static void test_snapshot(void)
{
    each_engine(check_snapshot);
}

/* Readers look things up while a writer fills, splits and empties pages. */
enum { KEYS = 20000, ROUNDS = 120, CHANGES = 200, READERS = 4, SCAN = 3 };

struct crowd {
    struct db_env *env;
    atomic_bool stop;
    atomic_uint readers;
};

static int look_at_some(const struct db_value *key, const struct db_value *value, void *context)
{
    struct seen *seen = context;

    (void)value;
    seen->ordered = seen->ordered && memcmp(seen->last, key->data, 5) <= 0;
    memcpy(seen->last, key->data, 5);
    return ++seen->count == SCAN;
}

static int read_one(struct db_env *env, bool scan, const char *key)
{
    struct seen seen = {.ordered = true};
    struct db_value value;
    struct db_txn *txn;
    int r = db_begin(env, false, &txn);

    if (r < 0)
        return r;
    memcpy(seen.last, key, 5);
    r = scan ? db_scan(txn, 0, key, 5, NULL, 0, look_at_some, &seen) : db_get(txn, 0, key, 5, &value);
    db_abort(&txn);
    return seen.ordered ? r : ERR_CORRUPT;
}

static void *read_on(void *context)
{
    struct crowd *crowd = context;
    unsigned seed = ++crowd->readers;
    bool scan = seed % 2 == 0;
    int r = 0;

    while (!crowd->stop && (r >= 0 || r == ERR_NOTFOUND)) {
        char key[16];

        snprintf(key, sizeof(key), "%05d", rand_r(&seed) % KEYS);
        r = read_one(crowd->env, scan, key);
    }
    CU_ASSERT(r >= 0 || r == ERR_NOTFOUND);
    return NULL;
}

static int change_some(struct db_env *env, unsigned *seed)
{
    char key[16], value[200] = "";
    struct db_txn *txn;
    int r = db_begin(env, true, &txn);

    for (unsigned i = 0; i < CHANGES && r == 0; i++) {
        snprintf(key, sizeof(key), "%05d", rand_r(seed) % KEYS);
        r = rand_r(seed) % 3 ? db_put(txn, 0, key, 5, value, sizeof(value)) : db_delete(txn, 0, key, 5);
        r = r == ERR_NOTFOUND ? 0 : r;
    }
    CU_ASSERT_EQUAL(r, 0);
    return db_commit(&txn);
}

static void check_crowd(enum db_engine engine, const char *dir)
{
    struct crowd crowd = {.stop = false};
    pthread_t readers[READERS];
    unsigned seed = 7;

    CU_ASSERT_EQUAL_FATAL(db_open(engine, dir, DB_NO_SYNC, TEST_MAP, tables, &crowd.env, NULL), 0);
    for (unsigned i = 0; i < READERS; i++)
        pthread_create(&readers[i], NULL, read_on, &crowd);
    for (unsigned i = 0; i < ROUNDS; i++)
        CU_ASSERT_EQUAL(change_some(crowd.env, &seed), 0);
    crowd.stop = true;
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    db_close(&crowd.env);
}

static void test_crowd(void)
{
    each_engine(check_crowd);
}

enum { THREADS = 4, COMMITS = 25 };

static void *commit_many(void *context)
{
    struct db_env *env = context;
    static _Atomic unsigned next;
    char key[16];

    for (unsigned i = 0; i < COMMITS; i++) {
        snprintf(key, sizeof(key), "%u", next++);
        CU_ASSERT_EQUAL(put(env, 1, key, key), 0);
    }
    return NULL;
}

static void check_threads(enum db_engine engine, const char *dir)
{
    struct db_env *env = open_env(engine, dir);
    pthread_t threads[THREADS];
    struct db_txn *txn;
    uint64_t count = 0;

    for (unsigned i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, commit_many, env);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(db_begin(env, false, &txn), 0);
    CU_ASSERT_EQUAL(db_count(txn, 1, &count), 0);
    CU_ASSERT_EQUAL(count, THREADS * COMMITS);
    db_abort(&txn);
    db_close(&env);
}

static void test_threads(void)
{
    each_engine(check_threads);
}

static void test_refusals(void)
{
    struct db_env *env = NULL;
    char *error = NULL, dir[64];
    pid_t pid;
    int status;

    make_dir(dir, sizeof(dir));
    CU_ASSERT(db_open(DB_LMDB, "/nonexistent/there", DB_READ_ONLY, TEST_MAP, tables, &env, &error) < 0);
    CU_ASSERT_PTR_NOT_NULL(error);
    free(error);
    error = NULL;
    CU_ASSERT(db_open(DB_LMDB, dir, DB_READ_ONLY, TEST_MAP, tables, &env, &error) < 0);
    CU_ASSERT_PTR_NOT_NULL(error);
    free(error);
    env = open_env(DB_BERKELEY, dir);
    pid = fork();
    if (pid ==
        0) { /* another process may not own it at the same time; its list of handles is ours: another path */
        execl("/proc/self/exe", "test", "--second-owner", dir, (char *)NULL);
        _exit(9);
    }
    CU_ASSERT(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    CU_ASSERT_EQUAL(WEXITSTATUS(status), 3);
    db_close(&env);
    file_remove_tree(dir);
}

/* The program again, as that other process. */
__attribute__((constructor)) static void second_owner(int argc, char **argv)
{
    struct db_env *env;

    if (argc != 3 || strcmp(argv[1], "--second-owner") != 0)
        return;
    _exit(db_open(DB_BERKELEY, argv[2], 0, TEST_MAP, tables, &env, NULL) == ERR_BUSY ? 3 : 4);
}

static void test_map_full(void)
{
    enum { SMALL = 256 * 1024, VALUE = 150 * 1024 };
    struct db_env *env;
    struct db_txn *txn;
    char dir[64], *value = xcalloc(1, VALUE);

    make_dir(dir, sizeof(dir));
    CU_ASSERT_EQUAL_FATAL(db_open(DB_LMDB, dir, 0, SMALL, tables, &env, NULL), 0);
    CU_ASSERT_EQUAL(db_begin(env, true, &txn), 0);
    CU_ASSERT_EQUAL(db_put(txn, 0, "a", 1, value, VALUE), 0);
    CU_ASSERT_EQUAL(db_put(txn, 0, "b", 1, value, VALUE), ERR_DISKFULL);
    db_abort(&txn);
    put(env, 0, "c", "small");
    CU_ASSERT_STRING_EQUAL(get(env, 0, "c"), "small");
    db_close(&env);
    file_remove_tree(dir);
    free(value);
}

/* A page of the table of readers that has no block yet would be SIGBUS on a full disk. */
static void test_lock_file(void)
{
    struct db_env *env;
    struct stat st;
    char dir[64], path[96];

    make_dir(dir, sizeof(dir));
    env = open_env(DB_LMDB, dir);
    snprintf(path, sizeof(path), "%s/lock.mdb", dir);
    CU_ASSERT_EQUAL_FATAL(stat(path, &st), 0);
    CU_ASSERT(st.st_size > 64 * 1024 && st.st_blocks * 512 >= st.st_size);
    db_close(&env);
    file_remove_tree(dir);
}

static void test_key_long(void)
{
    char name[1000];
    struct buf a = BUF_INIT, b = BUF_INIT;

    memset(name, 'n', sizeof(name));
    db_key_long(&a, name, DB_KEY_PLAIN_MAX);
    CU_ASSERT(a.len == DB_KEY_PLAIN_MAX && memcmp(a.data, name, a.len) == 0);
    buf_reset(&a);
    db_key_long(&a, name, 999);
    db_key_long(&b, name, 1000);
    CU_ASSERT(a.len == DB_KEY_MAX && b.len == DB_KEY_MAX);
    CU_ASSERT(memcmp(a.data, b.data, DB_KEY_PLAIN_MAX) == 0);
    CU_ASSERT(memcmp(a.data, b.data, DB_KEY_MAX) != 0);
    buf_free(&a);
    buf_free(&b);
}

static const struct unit_case cases[] = {
    {"basics", test_basics},
    {"scans", test_scans},
    {"long scans", test_long_scan},
    {"lazy puts", test_lazy},
    {"lazy commits", test_lazy_commits},
    {"no room", test_no_room},
    {"snapshot", test_snapshot},
    {"crowd", test_crowd},
    {"threads", test_threads},
    {"refusals", test_refusals},
    {"map full", test_map_full},
    {"long keys", test_key_long},
    {"lock file", test_lock_file},
    {NULL, NULL},
};

extern const struct unit_suite db_suite;
const struct unit_suite db_suite = {"db", cases};
