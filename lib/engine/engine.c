#include "lib/engine/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/engine/engine-private.h"

/* ---- the queue of runnable sessions ---- */

static void queue_put(struct queue *q, struct session *s)
{
    s->queue_next = NULL;
    *q->tail = s;
    q->tail = &s->queue_next;
    q->length++;
}

static struct session *queue_take(struct queue *q)
{
    struct session *s = q->head;

    if (s == NULL)
        return NULL;
    q->head = s->queue_next;
    if (q->head == NULL)
        q->tail = &q->head;
    q->length--;
    return s;
}

void engine_notify(struct engine *e)
{
    uint64_t one = 1;

    if (!atomic_exchange(&e->notified, true))
        BUG_ON(write(e->notify_fd, &one, sizeof(one)) != sizeof(one));
}

void queue_append(struct engine *e, struct session *s)
{
    pthread_mutex_lock(&e->queue.lock);
    queue_put(&e->queue, s);
    pthread_mutex_unlock(&e->queue.lock);
}

void queue_push(struct engine *e, struct session *s)
{
    queue_append(e, s);
    engine_notify(e);
}

struct session *queue_pop(struct engine *e)
{
    unsigned left;

    return queue_rotate(e, NULL, &left);
}

struct session *queue_rotate(struct engine *e, struct session *s, unsigned *left_r)
{
    pthread_mutex_lock(&e->queue.lock);
    if (s != NULL)
        queue_put(&e->queue, s);
    s = queue_take(&e->queue);
    *left_r = e->queue.length;
    pthread_mutex_unlock(&e->queue.lock);
    return s;
}

/* ---- start ---- */

/* Descriptors that the process needs beside its sessions': databases, log, and what running
 * commands have open. */
static unsigned sessions_by_limit(const struct engine_config *config)
{
    struct rlimit limit;
    uint64_t fds = 1024, reserve;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        fds = limit.rlim_cur < UINT32_MAX ? limit.rlim_cur : UINT32_MAX;
    reserve = 64 + (uint64_t)config->workers_max * 4;
    if (reserve > fds / 2)
        reserve = fds / 2;
    fds = (fds - reserve) / config->fds_per_session;
    return fds > 0 ? (unsigned)fds : 1;
}

static void config_defaults(struct engine_config *c)
{
    enum { SEATS = SEAT_CHUNK * (SEAT_CHUNKS_MAX - 1) };

    if (c->workers_min == 0)
        c->workers_min = WORKERS_MIN;
    if (c->workers_max == 0)
        c->workers_max = (unsigned)opt_int(OPT_WORKER_THREADS_MAX);
    if (c->workers_max < c->workers_min)
        c->workers_max = c->workers_min;
    if (c->fds_per_session == 0)
        c->fds_per_session = 1;
    if (c->sessions_max == 0)
        c->sessions_max = sessions_by_limit(c);
    if (c->sessions_max > SEATS)
        c->sessions_max = SEATS;
}

/* Condition variables that take deadlines of clock.h. */
static void cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

static int engine_open_fds(struct engine *e)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u64 = UINT64_MAX};

    e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    e->notify_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    e->keeper_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (e->epoll_fd < 0 || e->notify_fd < 0 || e->keeper_fd < 0)
        return error_from_errno(errno);
    if (epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, e->notify_fd, &ev) < 0)
        return error_from_errno(errno);
    return 0;
}

static struct engine *engine_new(const struct engine_config *config)
{
    struct engine *e = xcalloc(1, sizeof(*e));

    e->config = *config;
    config_defaults(&e->config);
    e->epoll_fd = e->notify_fd = e->keeper_fd = -1;
    e->queue.tail = &e->queue.head;
    pthread_mutex_init(&e->list_lock, NULL);
    pthread_mutex_init(&e->queue.lock, NULL);
    pthread_mutex_init(&e->pool_lock, NULL);
    cond_init(&e->list_changed);
    cond_init(&e->pool_empty);
    timer_init(&e->timer);
    watcher_init(&e->watcher);
    return e;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void engine_free(struct engine *e)
{
    close_fd(e->epoll_fd);
    close_fd(e->notify_fd);
    close_fd(e->keeper_fd);
    timer_free(&e->timer);
    watcher_free(&e->watcher);
    for (uint32_t i = 0; i < e->seats_made; i += SEAT_CHUNK)
        free(atomic_load(&e->chunks[i / SEAT_CHUNK]));
    free(e->free_seats);
    pthread_cond_destroy(&e->list_changed);
    pthread_cond_destroy(&e->pool_empty);
    pthread_mutex_destroy(&e->list_lock);
    pthread_mutex_destroy(&e->queue.lock);
    pthread_mutex_destroy(&e->pool_lock);
    free(e);
}

int engine_start(const struct engine_config *config, struct engine **engine_r)
{
    struct engine *e = engine_new(config);
    int r = engine_open_fds(e);

    if (r == 0)
        r = keeper_start(e);
    if (r < 0) {
        engine_free(e);
        return r;
    }
    for (unsigned i = 0; i < e->config.workers_min && r == 0; i++)
        r = worker_add(e, e->config.workers_min);
    *engine_r = e;
    if (r < 0)
        engine_stop(engine_r);
    return r;
}

/* ---- stop ---- */

void engine_stop_listening(struct engine *e)
{
    acceptor_stop_all(e);
}

static void wake_for_drain(struct engine *e)
{
    pthread_mutex_lock(&e->list_lock);
    for (struct session *s = e->list; s != NULL; s = s->list_next)
        session_event(e, s->seat, SEAT_GENERATION(atomic_load(&s->seat->state)), EVENT_STOP);
    pthread_mutex_unlock(&e->list_lock);
}

unsigned engine_drain(struct engine *e, int64_t deadline)
{
    struct timespec until = {.tv_sec = deadline / 1000, .tv_nsec = deadline % 1000 * 1000000};
    unsigned left;

    acceptor_stop_all(e);
    atomic_store(&e->draining, true);
    wake_for_drain(e);
    pthread_mutex_lock(&e->list_lock);
    while (e->sessions > 0) {
        if (deadline == CLOCK_NEVER)
            pthread_cond_wait(&e->list_changed, &e->list_lock);
        else if (pthread_cond_timedwait(&e->list_changed, &e->list_lock, &until) == ETIMEDOUT)
            break;
    }
    left = e->sessions;
    pthread_mutex_unlock(&e->list_lock);
    return left;
}

/* No thread is left: whatever sessions there are belong to the caller. */
static void close_leftovers(struct engine *e)
{
    while (e->list != NULL) {
        struct session *s = e->list;
        uint64_t word = atomic_load(&s->seat->state);

        atomic_store(&s->seat->state, (uint64_t)SEAT_GENERATION(word) << 32 | SEAT_CLAIMED);
        session_end(s);
    }
}

void engine_stop(struct engine **engine)
{
    struct engine *e = *engine;

    if (e == NULL)
        return;
    acceptor_stop_all(e);
    atomic_store(&e->draining, true);
    atomic_store(&e->stopping, true);
    worker_stop_all(e);
    keeper_stop(e);
    e->config.full = NULL;
    close_leftovers(e);
    engine_free(e);
    *engine = NULL;
}

/* ---- looking on ---- */

void engine_counters(struct engine *e, struct engine_counters *out)
{
    out->sessions_total = atomic_load(&e->total);
    out->runs = atomic_load(&e->runs);
    out->wakeups = atomic_load(&e->wakeups);
    out->expired = atomic_load(&e->expired);
    out->parked = atomic_load(&e->parked);
    out->running = atomic_load(&e->running);
    out->threads_waiting = atomic_load(&e->waiting);
    pthread_mutex_lock(&e->list_lock);
    out->sessions = e->sessions;
    pthread_mutex_unlock(&e->list_lock);
    pthread_mutex_lock(&e->queue.lock);
    out->queued = e->queue.length;
    pthread_mutex_unlock(&e->queue.lock);
    out->threads = atomic_load(&e->threads);
}

void engine_each(struct engine *e, void (*fn)(struct session *s, void *object, void *context), void *context)
{
    pthread_mutex_lock(&e->list_lock);
    for (struct session *s = e->list; s != NULL; s = s->list_next)
        fn(s, s->object, context);
    pthread_mutex_unlock(&e->list_lock);
}
