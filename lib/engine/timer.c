/* Deadlines.  A heap with one entry a session at most, looked at by the housekeeper.
 *
 * A session that parks again and again with a later deadline does not touch the heap: its
 * entry stays where it is, and when it comes up the housekeeper reads the real deadline and
 * moves it.  (libevent's timers would cost every parking worker a lock and a heap operation.) */
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/engine/engine-private.h"

void timer_init(struct timer *t)
{
    pthread_mutex_init(&t->lock, NULL);
    t->polling_until = CLOCK_NEVER;
}

void timer_free(struct timer *t)
{
    free(t->heap);
    pthread_mutex_destroy(&t->lock);
}

/* ---- the heap, under the lock ---- */

static int64_t at(const struct timer *t, size_t i)
{
    return atomic_load_explicit(&t->heap[i]->timer_at, memory_order_relaxed);
}

static void place(struct timer *t, size_t i, struct seat *seat)
{
    t->heap[i] = seat;
    seat->heap_place = (uint32_t)i;
}

static void sift_up(struct timer *t, size_t i)
{
    struct seat *seat = t->heap[i];
    int64_t when = at(t, i);

    for (; i > 0 && at(t, (i - 1) / 2) > when; i = (i - 1) / 2)
        place(t, i, t->heap[(i - 1) / 2]);
    place(t, i, seat);
}

static void sift_down(struct timer *t, size_t i)
{
    struct seat *seat = t->heap[i];
    int64_t when = at(t, i);

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= t->count)
            break;
        if (child + 1 < t->count && at(t, child + 1) < at(t, child))
            child++;
        if (at(t, child) >= when)
            break;
        place(t, i, t->heap[child]);
        i = child;
    }
    place(t, i, seat);
}

static void heap_insert(struct timer *t, struct seat *seat)
{
    if (t->count == t->room) {
        t->room = t->room == 0 ? 64 : t->room * 2;
        t->heap = xreallocarray(t->heap, t->room, sizeof(struct seat *));
    }
    t->heap[t->count] = seat;
    sift_up(t, t->count++);
}

static void heap_delete(struct timer *t, struct seat *seat)
{
    size_t i = seat->heap_place;
    struct seat *last = t->heap[--t->count];

    if (last == seat)
        return;
    t->heap[i] = last;
    sift_up(t, i);
    sift_down(t, last->heap_place);
}

/* ---- */

/* Sequentially consistent on purpose: either the parking worker sees that the housekeeper has taken
 * the entry out, or the housekeeper sees the new deadline. */
void timer_arm(struct engine *e, struct seat *seat, int64_t deadline)
{
    struct timer *t = &e->timer;
    bool sooner = false;

    atomic_store(&seat->deadline, deadline);
    if (atomic_load(&seat->timer_at) <= deadline)
        return;
    pthread_mutex_lock(&t->lock);
    if (atomic_load(&seat->timer_at) > deadline) {
        if (atomic_load(&seat->timer_at) != CLOCK_NEVER)
            heap_delete(t, seat);
        atomic_store(&seat->timer_at, deadline);
        heap_insert(t, seat);
        sooner = deadline < t->polling_until;
        if (sooner)
            t->polling_until = deadline;
    }
    pthread_mutex_unlock(&t->lock);
    if (sooner)
        keeper_wake(e);
}

void timer_remove(struct engine *e, struct seat *seat)
{
    struct timer *t = &e->timer;

    pthread_mutex_lock(&t->lock);
    atomic_store(&seat->deadline, CLOCK_NEVER);
    if (atomic_load(&seat->timer_at) != CLOCK_NEVER)
        heap_delete(t, seat);
    atomic_store(&seat->timer_at, CLOCK_NEVER);
    pthread_mutex_unlock(&t->lock);
}

/* The entry has come up: the session expires, or its real deadline is later. */
static void entry_due(struct engine *e, struct seat *seat, int64_t now)
{
    struct timer *t = &e->timer;
    int64_t deadline;

    heap_delete(t, seat);
    atomic_store(&seat->timer_at, CLOCK_NEVER);
    deadline = atomic_load(&seat->deadline);
    if (deadline <= now) {
        session_event(e, seat, SEAT_GENERATION(atomic_load(&seat->state)), EVENT_EXPIRED);
    } else if (deadline != CLOCK_NEVER) {
        atomic_store(&seat->timer_at, deadline);
        heap_insert(t, seat);
    }
}

int64_t timer_run(struct engine *e, int64_t now)
{
    struct timer *t = &e->timer;
    int64_t next;

    pthread_mutex_lock(&t->lock);
    while (t->count > 0 && at(t, 0) <= now)
        entry_due(e, t->heap[0], now);
    next = t->polling_until = t->count > 0 ? at(t, 0) : CLOCK_NEVER;
    pthread_mutex_unlock(&t->lock);
    return next;
}
