#include "imap/sievehost/courier.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

enum { TASKS = 40 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct {
    bool open; /* what waits at `slow` may go on */
    unsigned running, most, done, quick;
    char order[TASKS];
} seen;

struct task {
    struct courier_task base; /* the first member */
    char mark;
};

static void run_slow(struct courier_task *task)
{
    (void)task;
    pthread_mutex_lock(&mutex);
    seen.running++;
    if (seen.running > seen.most)
        seen.most = seen.running;
    pthread_cond_broadcast(&changed);
    while (!seen.open)
        pthread_cond_wait(&changed, &mutex);
    seen.running--;
    seen.done++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void run_quick(struct courier_task *task)
{
    pthread_mutex_lock(&mutex);
    seen.order[seen.quick++] = ((struct task *)task)->mark;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static struct task *make(void (*run)(struct courier_task *task), const char *place, unsigned max)
{
    struct task *t = xcalloc(1, sizeof(*t));

    t->base.run = run;
    if (place != NULL)
        courier_place_add(&t->base, place, max);
    return t;
}

static void wait_until(const unsigned *what, unsigned n)
{
    pthread_mutex_lock(&mutex);
    while (*what < n)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
}

static void set_open(void)
{
    pthread_mutex_lock(&mutex);
    seen.open = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

/* More wait for a place than may, more than there are threads too; the others are not kept waiting. */
static void test_places(void)
{
    struct courier *c = courier_new();
    struct task *tasks[2 * COURIER_THREADS_MAX], *quick[TASKS];

    memset(&seen, 0, sizeof(seen));
    for (size_t i = 0; i < ARRAY_SIZE(tasks); i++) {
        tasks[i] = make(run_slow, "slow", 3);
        CU_ASSERT_EQUAL(courier_submit(c, &tasks[i]->base), 0);
    }
    wait_until(&seen.running, 3);
    for (size_t i = 0; i < TASKS; i++) {
        quick[i] = make(run_quick, i % 2 == 0 ? "other" : NULL, 1);
        CU_ASSERT_EQUAL(courier_submit(c, &quick[i]->base), 0);
    }
    wait_until(&seen.quick, TASKS);
    CU_ASSERT_EQUAL(seen.most, 3);
    CU_ASSERT_EQUAL(seen.done, 0);
    set_open();
    courier_free(&c);
    CU_ASSERT_EQUAL(seen.done, ARRAY_SIZE(tasks));
    CU_ASSERT_EQUAL(seen.most, 3);
    for (size_t i = 0; i < ARRAY_SIZE(tasks); i++)
        free(tasks[i]);
    for (size_t i = 0; i < TASKS; i++)
        free(quick[i]);
}

/* One at a time, in the order in which they came. */
static void test_order(void)
{
    struct courier *c = courier_new();
    struct task *tasks[TASKS];

    memset(&seen, 0, sizeof(seen));
    for (size_t i = 0; i < TASKS; i++) {
        tasks[i] = make(run_quick, "one", 1);
        tasks[i]->mark = (char)('A' + i);
        CU_ASSERT_EQUAL(courier_submit(c, &tasks[i]->base), 0);
    }
    courier_free(&c);
    CU_ASSERT_EQUAL(seen.quick, TASKS);
    for (size_t i = 0; i < TASKS; i++) {
        CU_ASSERT_EQUAL(seen.order[i], 'A' + (char)i);
        free(tasks[i]);
    }
}

static void test_full(void)
{
    struct courier *c = courier_new();
    struct task *tasks[COURIER_QUEUE_MAX + 2];
    size_t n = ARRAY_SIZE(tasks);

    memset(&seen, 0, sizeof(seen));
    for (size_t i = 0; i < n; i++)
        tasks[i] = make(run_slow, "slow", 1);
    CU_ASSERT_EQUAL(courier_submit(c, &tasks[0]->base), 0);
    wait_until(&seen.running, 1);
    for (size_t i = 1; i < n; i++)
        CU_ASSERT_EQUAL(courier_submit(c, &tasks[i]->base), i <= COURIER_QUEUE_MAX ? 0 : ERR_BUSY);
    set_open();
    courier_free(&c);
    CU_ASSERT_EQUAL(seen.done, n - 1);
    for (size_t i = 0; i < n; i++)
        free(tasks[i]);
}

static pthread_key_t key;
static unsigned clean_ends;

static void clean(void *value)
{
    (void)value;
    usleep(20 * 1000);
    pthread_mutex_lock(&mutex);
    clean_ends++;
    pthread_mutex_unlock(&mutex);
}

static void run_keyed(struct courier_task *task)
{
    pthread_setspecific(key, task);
    run_slow(task);
}

/* What a thread has of its own is gone when the courier is. */
static void test_ends(void)
{
    struct courier *c = courier_new();
    struct task *tasks[8];

    memset(&seen, 0, sizeof(seen));
    clean_ends = 0;
    CU_ASSERT_EQUAL_FATAL(pthread_key_create(&key, clean), 0);
    for (size_t i = 0; i < ARRAY_SIZE(tasks); i++) {
        tasks[i] = make(run_keyed, NULL, 0);
        CU_ASSERT_EQUAL(courier_submit(c, &tasks[i]->base), 0);
    }
    wait_until(&seen.running, ARRAY_SIZE(tasks));
    set_open();
    courier_free(&c);
    CU_ASSERT_EQUAL(clean_ends, ARRAY_SIZE(tasks));
    pthread_key_delete(key);
    for (size_t i = 0; i < ARRAY_SIZE(tasks); i++)
        free(tasks[i]);
}

/* A place has its share of the queue, and no more. */
static void test_share(void)
{
    enum { SHARE = 5 };
    struct courier *c = courier_new();
    struct task *tasks[SHARE + 3], *other = make(run_slow, "other", 1);
    size_t n = ARRAY_SIZE(tasks);

    memset(&seen, 0, sizeof(seen));
    for (size_t i = 0; i < n; i++) {
        tasks[i] = make(run_slow, NULL, 0);
        courier_place_share(&tasks[i]->base, "slow", 1, SHARE);
    }
    CU_ASSERT_EQUAL(courier_submit(c, &tasks[0]->base), 0);
    wait_until(&seen.running, 1);
    for (size_t i = 1; i < n; i++)
        CU_ASSERT_EQUAL(courier_submit(c, &tasks[i]->base), i <= SHARE ? 0 : ERR_BUSY);
    CU_ASSERT_EQUAL(courier_submit(c, &other->base), 0);
    set_open();
    courier_free(&c);
    CU_ASSERT_EQUAL(seen.done, SHARE + 2);
    for (size_t i = 0; i < n; i++)
        free(tasks[i]);
    free(other);
}

static void test_place_list(void)
{
    static char names[COURIER_PLACES_MAX + 5][8];
    struct courier_task task = {.place_count = 0};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        names[i][0] = (char)('A' + i);
        courier_place_add(&task, names[i], 1);
        courier_place_add(&task, names[0], 1);
    }
    CU_ASSERT_EQUAL(task.place_count, COURIER_PLACES_MAX);
    CU_ASSERT_STRING_EQUAL(task.places[1].name, names[1]);
}

static const struct unit_case cases[] = {{"places", test_places},
                                         {"order", test_order},
                                         {"a full queue", test_full},
                                         {"a place's share", test_share},
                                         {"how threads end", test_ends},
                                         {"a task's places", test_place_list},
                                         {NULL, NULL}};
extern const struct unit_suite sievehost_courier_suite;
const struct unit_suite sievehost_courier_suite = {"imap/sievehost/courier", cases};
