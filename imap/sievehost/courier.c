#include "imap/sievehost/courier.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "lib/base/mem.h"

enum { STACK = 512 * 1024 };

struct courier {
    pthread_mutex_t mutex;
    pthread_cond_t work, ended;
    struct courier_task *first, **tail;
    unsigned threads, idle;
    bool stopping;
};

struct courier *courier_new(void)
{
    struct courier *c = xcalloc(1, sizeof(*c));
    pthread_condattr_t attr;

    pthread_mutex_init(&c->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->work, &attr);
    pthread_cond_init(&c->ended, &attr);
    pthread_condattr_destroy(&attr);
    c->tail = &c->first;
    return c;
}

/* With the mutex held: waits for work; false: there is none any more for this thread. */
static bool wait_for_work(struct courier *c)
{
    struct timespec until;
    int r = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += COURIER_IDLE_MS / 1000;
    c->idle++;
    while (c->first == NULL && !c->stopping && r == 0)
        r = pthread_cond_timedwait(&c->work, &c->mutex, &until);
    c->idle--;
    return c->first != NULL;
}

static void *work(void *context)
{
    struct courier *c = context;

    pthread_mutex_lock(&c->mutex);
    while (wait_for_work(c)) {
        struct courier_task *task = c->first;

        c->first = task->next;
        if (c->first == NULL)
            c->tail = &c->first;
        pthread_mutex_unlock(&c->mutex);
        task->run(task);
        pthread_mutex_lock(&c->mutex);
    }
    c->threads--;
    pthread_cond_broadcast(&c->ended);
    pthread_mutex_unlock(&c->mutex);
    return NULL;
}

/* One more thread, blocking all signals.  Without one the others do the work. */
static void add_thread(struct courier *c)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK);
    if (pthread_create(&thread, &attr, work, c) == 0)
        c->threads++;
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* With the mutex held: the system has no thread for us, not even one; what was submitted is all there is to do. */
static void take_back(struct courier *c, const struct courier_task *task)
{
    BUG_ON(c->first != task || task->next != NULL);
    c->first = NULL;
    c->tail = &c->first;
}

void courier_submit(struct courier *c, struct courier_task *task)
{
    unsigned queued = 0;
    bool alone;

    pthread_mutex_lock(&c->mutex);
    task->next = NULL;
    *c->tail = task;
    c->tail = &task->next;
    for (const struct courier_task *t = c->first; t != NULL && queued <= c->idle; t = t->next)
        queued++;
    if (queued > c->idle && c->threads < COURIER_THREADS_MAX)
        add_thread(c);
    alone = c->threads == 0;
    if (alone)
        take_back(c, task);
    pthread_cond_signal(&c->work);
    pthread_mutex_unlock(&c->mutex);
    if (alone)
        task->run(task);
}

void courier_free(struct courier **courier)
{
    struct courier *c = *courier;

    if (c == NULL)
        return;
    pthread_mutex_lock(&c->mutex);
    c->stopping = true;
    pthread_cond_broadcast(&c->work);
    while (c->threads > 0)
        pthread_cond_wait(&c->ended, &c->mutex);
    pthread_mutex_unlock(&c->mutex);
    pthread_cond_destroy(&c->work);
    pthread_cond_destroy(&c->ended);
    pthread_mutex_destroy(&c->mutex);
    free(c);
    *courier = NULL;
}
