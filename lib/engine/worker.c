/* The pool of workers: each waits in epoll_wait for one event at a time, runs the session that
 * it claims, and takes from the queue before it waits again. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/engine/engine-private.h"
#include "lib/stream/stream.h"

int engine_thread(pthread_t *thread_r, void *(*start)(void *), void *arg)
{
    pthread_attr_t attr;
    sigset_t all, before;
    int r;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, WORKER_STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(thread_r, &attr, start, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return r == 0 ? 0 : ERR_LIMIT;
}

/* ---- what to run next ---- */

/* The session that an event of the epoll gives us, or NULL. */
static struct session *claim(struct engine *e, uint64_t data)
{
    uint32_t low = (uint32_t)data;
    struct seat *seat = seat_of_number(e, low >> SEAT_SLOT_BITS);

    if (!seat_event(seat, (uint32_t)(data >> 32), EVENT_SLOT(low & (SESSION_SLOTS - 1))))
        return NULL;
    atomic_fetch_sub(&e->parked, 1);
    atomic_fetch_add(&e->wakeups, 1);
    return seat->session;
}

/* The notice that the queue has something: takes one, and passes the notice on for the rest. */
static struct session *take_notified(struct engine *e)
{
    struct session *s;
    unsigned left;

    atomic_exchange(&e->notified, false);
    s = queue_rotate(e, NULL, &left);
    if (left > 0 || atomic_load(&e->stopping))
        engine_notify(e);
    return s;
}

static struct session *take_event(struct engine *e, uint64_t data)
{
    return data == UINT64_MAX ? take_notified(e) : claim(e, data);
}

/* Appends to the queue what the descriptors have ready, so that sessions that want to go on do not
 * keep others waiting.  True: the notice was among it, and is the caller's to pass on. */
static bool harvest(struct engine *e)
{
    struct epoll_event ev[16];
    int n = epoll_wait(e->epoll_fd, ev, ARRAY_SIZE(ev), 0);
    bool notice = false;

    for (int i = 0; i < n; i++) {
        struct session *s = NULL;

        if (ev[i].data.u64 == UINT64_MAX)
            notice = true;
        else
            s = claim(e, ev[i].data.u64);
        if (s != NULL)
            queue_append(e, s);
    }
    if (notice)
        atomic_exchange(&e->notified, false);
    return notice;
}

/* s goes to the tail, behind what has become ready meanwhile; the head. */
static struct session *yield_to_others(struct engine *e, struct session *s)
{
    /* Those who wait take what is ready by themselves. */
    bool notice = atomic_load(&e->waiting) == 0 && harvest(e);
    unsigned left;

    s = queue_rotate(e, s, &left);
    if (left > 0 && (notice || atomic_load(&e->waiting) > 0))
        engine_notify(e);
    return s;
}

/* May this worker, idle for long, end?  Then it is no longer counted. */
static bool retire(struct engine *e)
{
    bool may;

    pthread_mutex_lock(&e->pool_lock);
    may = e->threads > e->config.workers_min && atomic_load(&e->waiting) > 0;
    if (may)
        e->threads--;
    pthread_mutex_unlock(&e->pool_lock);
    if (may)
        atomic_store(&e->shrunk, true);
    return may;
}

/* Waits for one event; NULL: it gave no session.  *idle_r: nothing happened for long. */
static struct session *wait_event(struct engine *e, bool *idle_r)
{
    struct epoll_event ev;
    int n;

    atomic_fetch_add(&e->waiting, 1);
    n = epoll_wait(e->epoll_fd, &ev, 1,
                   atomic_load(&e->threads) > e->config.workers_min ? WORKER_IDLE_MS : -1);
    atomic_fetch_sub(&e->waiting, 1);
    BUG_ON(n < 0 && errno != EINTR);
    *idle_r = n == 0;
    return n > 0 ? take_event(e, ev.data.u64) : NULL;
}

/* A session to run; NULL: this worker ends, since the engine stops or as it is no longer needed. */
static struct session *next_session(struct engine *e)
{
    while (!atomic_load(&e->stopping)) {
        bool idle = false;
        struct session *s = queue_pop(e);

        if (s == NULL)
            s = wait_event(e, &idle);
        if (s == NULL && idle && retire(e))
            return NULL;
        if (s == NULL)
            continue;
        /* The last waiter leaves: somebody must wait while this one runs. */
        if (atomic_load(&e->waiting) == 0)
            worker_add(e, e->config.workers_max);
        return s;
    }
    return NULL;
}

/* ---- running ---- */

static enum engine_verdict run_once(struct session *s)
{
    enum engine_verdict verdict;

    s->ready = (uint32_t)seat_take_events(s->seat);
    session_sources_fired(s);
    s->began = clock_ms();
    if (session_expired(s))
        atomic_fetch_add(&s->engine->expired, 1);
    atomic_fetch_add(&s->engine->runs, 1);
    log_set_session(s->id);
    verdict = s->ops->run(s, s->object);
    log_set_session(NULL);
    return verdict;
}

/* Runs s and says what to run after it; NULL: nothing in particular. */
static struct session *run_session(struct engine *e, struct session *s)
{
    enum engine_verdict verdict;
    bool broken = false;

    atomic_fetch_add(&e->running, 1);
    verdict = run_once(s);
    atomic_fetch_sub(&e->running, 1);
    if (verdict == ENGINE_PARK && session_park(s, &broken))
        return NULL;
    if (broken) {
        LOG(LOG_ERR, ENGINE_ARM, LOG_STR(SESSION, s->id));
        verdict = ENGINE_CLOSE;
    }
    if (verdict != ENGINE_CLOSE)
        return yield_to_others(e, s);
    session_end(s);
    return NULL;
}

/* Each worker that ends joins the one that ended before it; engine_stop joins the last. */
static void worker_ended(struct engine *e)
{
    pthread_t before;
    bool join;

    pthread_mutex_lock(&e->pool_lock);
    before = e->zombie;
    join = e->zombie_set;
    e->zombie = pthread_self();
    e->zombie_set = true;
    e->alive--;
    pthread_cond_broadcast(&e->pool_empty);
    pthread_mutex_unlock(&e->pool_lock);
    if (join)
        pthread_join(before, NULL);
}

static void *worker_main(void *arg)
{
    struct engine *e = arg;
    struct session *s = NULL;

    /* A session in hand when the engine stops stays in the list: close_leftovers() has it. */
    while (!atomic_load(&e->stopping)) {
        if (s == NULL)
            s = next_session(e);
        if (s == NULL)
            break;
        s = run_session(e, s);
    }
    stream_thread_exit();
    if (atomic_load(&e->stopping))
        engine_notify(e);
    worker_ended(e);
    return NULL;
}

int worker_add(struct engine *e, unsigned limit)
{
    pthread_t thread;
    int r = ERR_LIMIT;

    if (atomic_load(&e->threads) >= limit)
        return r;
    pthread_mutex_lock(&e->pool_lock);
    if (e->threads < limit) {
        r = engine_thread(&thread, worker_main, e);
        if (r == 0) {
            e->threads++;
            e->alive++;
        }
    }
    pthread_mutex_unlock(&e->pool_lock);
    return r;
}

void worker_stop_all(struct engine *e)
{
    engine_notify(e);
    pthread_mutex_lock(&e->pool_lock);
    while (e->alive > 0)
        pthread_cond_wait(&e->pool_empty, &e->pool_lock);
    pthread_mutex_unlock(&e->pool_lock);
    if (e->zombie_set)
        pthread_join(e->zombie, NULL);
    e->zombie_set = false;
}
