#include "lib/base/ticker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"

struct ticker {
    int period_ms;
    void (*fn)(void *context);
    void *context;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool stopping; /* under the lock */
};

/* Waits a period; false: the end. */
static bool wait_period(struct ticker *t)
{
    struct timespec until;
    bool go_on;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += t->period_ms / 1000;
    until.tv_nsec += t->period_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&t->lock);
    while (!t->stopping && pthread_cond_timedwait(&t->cond, &t->lock, &until) != ETIMEDOUT)
        ;
    go_on = !t->stopping;
    pthread_mutex_unlock(&t->lock);
    return go_on;
}

static void *run(void *ticker)
{
    struct ticker *t = ticker;

    do
        t->fn(t->context);
    while (wait_period(t));
    return NULL;
}

static void init_sync(struct ticker *t)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&t->cond, &attr);
    pthread_condattr_destroy(&attr);
}

static void destroy(struct ticker *t)
{
    pthread_cond_destroy(&t->cond);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

int ticker_start(int period_ms, void (*fn)(void *context), void *context, struct ticker **ticker_r)
{
    struct ticker *t = xcalloc(1, sizeof(*t));
    sigset_t all, before;
    int r;

    t->period_ms = period_ms;
    t->fn = fn;
    t->context = context;
    init_sync(t);
    sigfillset(&all); /* signals are for the threads that wait for them */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&t->thread, NULL, run, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0) {
        destroy(t);
        return ERR_LIMIT;
    }
    *ticker_r = t;
    return 0;
}

void ticker_stop(struct ticker **ticker)
{
    struct ticker *t = *ticker;

    if (t == NULL)
        return;
    *ticker = NULL;
    pthread_mutex_lock(&t->lock);
    t->stopping = true;
    pthread_cond_signal(&t->cond);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    destroy(t);
}
