#include "imap/sievehost/courier.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"

enum { STACK = 512 * 1024 };

/* A place where somebody waits. */
struct held {
    struct held *next;
    unsigned count;
    char name[];
};

struct courier {
    pthread_mutex_t mutex;
    pthread_cond_t work, ended;
    struct courier_task *first, **tail;
    unsigned queued;
    struct held *held;
    unsigned threads, idle;
    pthread_t last; /* of the threads that have ended, which has joined the one before it */
    bool have_last;
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

/* ---- places; all with the mutex held ---- */

static struct held *find_held(struct courier *c, const char *name)
{
    struct held *h = c->held;

    while (h != NULL && strcmp(h->name, name) != 0)
        h = h->next;
    return h;
}

static bool may_run(struct courier *c, const struct courier_task *task)
{
    for (unsigned i = 0; i < task->place_count; i++) {
        const struct held *h = find_held(c, task->places[i].name);

        if (h != NULL && h->count >= task->places[i].max)
            return false;
    }
    return true;
}

static struct held *hold(struct courier *c, const char *name)
{
    struct held *h = find_held(c, name);

    if (h == NULL) {
        h = xcalloc(1, sizeof(*h) + strlen(name) + 1);
        memcpy(h->name, name, strlen(name) + 1);
        h->next = c->held;
        c->held = h;
    }
    h->count++;
    return h;
}

static void release(struct courier *c, struct held *h)
{
    struct held **at = &c->held;

    if (--h->count > 0)
        return;
    while (*at != h)
        at = &(*at)->next;
    *at = h->next;
    free(h);
}

void courier_place_add(struct courier_task *task, const char *name, unsigned max)
{
    courier_place_share(task, name, max, 0);
}

void courier_place_share(struct courier_task *task, const char *name, unsigned max, unsigned waiting)
{
    for (unsigned i = 0; i < task->place_count; i++)
        if (strcmp(task->places[i].name, name) == 0)
            return;
    if (task->place_count < COURIER_PLACES_MAX)
        task->places[task->place_count++] = (struct courier_place){name, max, waiting};
}

/* ---- threads ---- */

/* With the mutex held: the first that may run, out of the queue; NULL: there is none. */
static struct courier_task *take(struct courier *c)
{
    struct courier_task **at = &c->first, *task;

    while (*at != NULL && !may_run(c, *at))
        at = &(*at)->next;
    task = *at;
    if (task == NULL)
        return NULL;
    *at = task->next;
    if (c->tail == &task->next)
        c->tail = at;
    c->queued--;
    return task;
}

/* With the mutex held: waits for work; NULL: there is none any more for this thread. */
static struct courier_task *wait_for_work(struct courier *c)
{
    struct courier_task *task;
    struct timespec until;
    int r = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += COURIER_IDLE_MS / 1000;
    c->idle++;
    while ((task = take(c)) == NULL && !(c->stopping && c->first == NULL) && r == 0)
        r = pthread_cond_timedwait(&c->work, &c->mutex, &until);
    c->idle--;
    return task;
}

/* With the mutex held, but for the run itself, after which the task may be gone. */
static void run(struct courier *c, struct courier_task *task)
{
    struct held *held[COURIER_PLACES_MAX];
    unsigned n = task->place_count;

    for (unsigned i = 0; i < n; i++)
        held[i] = hold(c, task->places[i].name);
    pthread_mutex_unlock(&c->mutex);
    task->run(task);
    pthread_mutex_lock(&c->mutex);
    for (unsigned i = 0; i < n; i++)
        release(c, held[i]);
    if (n > 0 && c->idle > 0 && c->first != NULL)
        pthread_cond_broadcast(&c->work); /* several may have waited for these places */
}

static void *work(void *context)
{
    struct courier *c = context;
    struct courier_task *task;
    pthread_t before;
    bool have_before;

    pthread_mutex_lock(&c->mutex);
    while ((task = wait_for_work(c)) != NULL)
        run(c, task);
    c->threads--;
    before = c->last;
    have_before = c->have_last;
    c->last = pthread_self();
    c->have_last = true;
    pthread_cond_broadcast(&c->ended);
    pthread_mutex_unlock(&c->mutex);
    if (have_before)
        pthread_join(before, NULL);
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
    pthread_attr_setstacksize(&attr, STACK);
    if (pthread_create(&thread, &attr, work, c) == 0)
        c->threads++;
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* With the mutex held: how many could begin now, one more than could be begun at most. */
static unsigned count_ready(struct courier *c)
{
    unsigned n = 0;

    for (const struct courier_task *t = c->first; t != NULL && n <= c->idle; t = t->next)
        n += may_run(c, t);
    return n;
}

/* With the mutex held: how many in the queue have to do with a place. */
static unsigned count_waiting(struct courier *c, const char *name)
{
    unsigned n = 0;

    for (const struct courier_task *t = c->first; t != NULL; t = t->next)
        for (unsigned i = 0; i < t->place_count; i++)
            n += strcmp(t->places[i].name, name) == 0;
    return n;
}

static bool has_room(struct courier *c, const struct courier_task *task)
{
    if (c->queued >= COURIER_QUEUE_MAX)
        return false;
    for (unsigned i = 0; i < task->place_count; i++) {
        const struct courier_place *p = &task->places[i];

        if (p->waiting > 0 && count_waiting(c, p->name) >= p->waiting)
            return false;
    }
    return true;
}

int courier_submit(struct courier *c, struct courier_task *task)
{
    pthread_mutex_lock(&c->mutex);
    if (!has_room(c, task)) {
        pthread_mutex_unlock(&c->mutex);
        return ERR_BUSY;
    }
    task->next = NULL;
    *c->tail = task;
    c->tail = &task->next;
    c->queued++;
    if (c->threads < COURIER_THREADS_MAX && count_ready(c) > c->idle)
        add_thread(c);
    if (c->threads == 0) { /* the system has no thread for us, not even one */
        while ((task = take(c)) != NULL)
            run(c, task);
    }
    pthread_cond_signal(&c->work);
    pthread_mutex_unlock(&c->mutex);
    return 0;
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
    if (c->have_last) /* what libraries keep for a thread is gone before the process ends */
        pthread_join(c->last, NULL);
    pthread_cond_destroy(&c->work);
    pthread_cond_destroy(&c->ended);
    pthread_mutex_destroy(&c->mutex);
    free(c);
    *courier = NULL;
}
