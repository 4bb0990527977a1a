#include "lib/base/lock.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/file.h"

enum { THREADS = 4, ROUNDS = 200 };

static char dir[] = "/tmp/iatlas-lock-XXXXXX";
static char path[64];

static void setup(void)
{
    snprintf(dir, sizeof(dir), "/tmp/iatlas-lock-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/a/b/lock", dir);
}

static int open_file(void)
{
    return open(path, O_RDWR | O_CLOEXEC);
}

static void test_path(void)
{
    struct lock *l, *m;

    setup();
    CU_ASSERT_EQUAL(lock_acquire_path(path, 100, &l), 0);
    CU_ASSERT_EQUAL(lock_acquire_path(path, 0, &m), ERR_TIMEOUT);
    CU_ASSERT_PTR_NULL(m);
    CU_ASSERT_EQUAL(lock_acquire_path(path, 30, &m), ERR_TIMEOUT);
    unlink(path); /* whoever asks now asks for another file */
    CU_ASSERT_EQUAL(lock_acquire_path(path, 0, &m), 0);
    lock_release(&m);
    lock_release(&l);
    CU_ASSERT_PTR_NULL(l);
    lock_release(&l);
    CU_ASSERT_EQUAL(lock_acquire_path(path, 0, &l), 0);
    lock_release(&l);
    CU_ASSERT_EQUAL(lock_acquire_path(dir, 0, &l), ERR_IO);
    file_remove_tree(dir);
}

static void test_modes(void)
{
    struct lock *a, *b, *c;
    int one, two;

    setup();
    CU_ASSERT_EQUAL(lock_acquire_path(path, 0, &a), 0);
    lock_release(&a);
    one = open_file();
    two = open_file();
    CU_ASSERT_EQUAL(lock_acquire(one, LOCK_SHARED, 0, &a), 0);
    CU_ASSERT_EQUAL(lock_acquire(two, LOCK_SHARED, 0, &b), 0);
    CU_ASSERT_EQUAL(lock_acquire(two, LOCK_EXCLUSIVE, 0, &c), ERR_TIMEOUT);
    lock_release(&b);
    CU_ASSERT_EQUAL(lock_acquire(one, LOCK_SHARED, 0, &b), 0); /* the same descriptor twice */
    lock_release(&a);
    CU_ASSERT_EQUAL(lock_acquire(two, LOCK_EXCLUSIVE, 0, &c), ERR_TIMEOUT);
    lock_release(&b);
    CU_ASSERT_EQUAL(lock_acquire(two, LOCK_EXCLUSIVE, 0, &c), 0);
    lock_release(&c);
    close(one);
    close(two);
    file_remove_tree(dir);
}

/* What a second process gets, as its exit status. */
static int ask_as_child(enum lock_mode mode)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct lock *l;

        _exit(lock_acquire(open_file(), mode, 50, &l) == 0 ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

static void test_processes(void)
{
    struct lock *a, *b;
    int fd;

    setup();
    CU_ASSERT_EQUAL(lock_acquire_path(path, 0, &a), 0);
    CU_ASSERT_EQUAL(ask_as_child(LOCK_EXCLUSIVE), 1);
    lock_release(&a);
    CU_ASSERT_EQUAL(ask_as_child(LOCK_EXCLUSIVE), 0);
    fd = open_file();
    CU_ASSERT_EQUAL(lock_acquire(fd, LOCK_SHARED, 0, &a), 0);
    CU_ASSERT_EQUAL(lock_acquire(fd, LOCK_SHARED, 0, &b), 0);
    lock_release(&a); /* b still stands on that descriptor */
    CU_ASSERT_EQUAL(ask_as_child(LOCK_EXCLUSIVE), 1);
    CU_ASSERT_EQUAL(ask_as_child(LOCK_SHARED), 0);
    lock_release(&b);
    CU_ASSERT_EQUAL(ask_as_child(LOCK_EXCLUSIVE), 0);
    close(fd);
    file_remove_tree(dir);
}

static int counter;

static void *count(void *context)
{
    int *failed = context;

    for (int i = 0; i < ROUNDS; i++) {
        int fd = open_file(), before;
        struct lock *l;

        if (lock_acquire(fd, LOCK_EXCLUSIVE, 60000, &l) != 0) {
            ++*failed;
            close(fd);
            continue;
        }
        before = counter;
        if (i % 16 == 0)
            usleep(10);
        counter = before + 1;
        lock_release(&l);
        close(fd);
    }
    return NULL;
}

static void test_threads(void)
{
    pthread_t threads[THREADS];
    int failed[THREADS] = {0};
    struct lock *l;

    setup();
    CU_ASSERT_EQUAL(lock_acquire_path(path, 0, &l), 0);
    counter = 0;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, count, &failed[i]);
    usleep(1000);
    lock_release(&l);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        CU_ASSERT_EQUAL(failed[i], 0);
    }
    CU_ASSERT_EQUAL(counter, THREADS * ROUNDS);
    file_remove_tree(dir);
}

static const struct unit_case cases[] = {
    {"path", test_path},       {"modes", test_modes}, {"processes", test_processes},
    {"threads", test_threads}, {NULL, NULL},
};

extern const struct unit_suite lock_suite;
const struct unit_suite lock_suite = {"lock", cases};
