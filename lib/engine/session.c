#include "lib/engine/engine.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "lib/base/mem.h"
#include "lib/engine/engine-private.h"

/* ---- seats ---- */

struct seat *seat_of_number(struct engine *e, uint32_t number)
{
    struct seat *chunk;

    BUG_ON(number / SEAT_CHUNK >= SEAT_CHUNKS_MAX);
    chunk = atomic_load_explicit(&e->chunks[number / SEAT_CHUNK], memory_order_acquire);
    BUG_ON(chunk == NULL);
    return &chunk[number % SEAT_CHUNK];
}

static void seat_add_chunk(struct engine *e)
{
    struct seat *chunk = xcalloc(SEAT_CHUNK, sizeof(*chunk));

    BUG_ON(e->seats_made / SEAT_CHUNK >= SEAT_CHUNKS_MAX);
    for (unsigned i = 0; i < SEAT_CHUNK; i++) {
        chunk[i].number = e->seats_made + i;
        atomic_init(&chunk[i].timer_at, CLOCK_NEVER);
        atomic_init(&chunk[i].deadline, CLOCK_NEVER);
    }
    if (e->free_room < e->seats_made + SEAT_CHUNK) {
        e->free_room = e->seats_made + SEAT_CHUNK;
        e->free_seats = xreallocarray(e->free_seats, e->free_room, sizeof(struct seat *));
    }
    for (unsigned i = SEAT_CHUNK; i-- > 0;)
        e->free_seats[e->free_count++] = &chunk[i];
    atomic_store_explicit(&e->chunks[e->seats_made / SEAT_CHUNK], chunk, memory_order_release);
    e->seats_made += SEAT_CHUNK;
}

/* Under the list lock. */
static struct seat *seat_take(struct engine *e)
{
    if (e->free_count == 0)
        seat_add_chunk(e);
    return e->free_seats[--e->free_count];
}

static void seat_claim_new(struct seat *seat, struct session *s)
{
    uint64_t word = atomic_load(&seat->state);

    BUG_ON(SEAT_STATE(word) != SEAT_FREE);
    seat->session = s;
    atomic_store(&seat->deadline, CLOCK_NEVER);
    atomic_store(&seat->state, (uint64_t)SEAT_GENERATION(word) << 32 | SEAT_CLAIMED);
}

static void seat_release(struct seat *seat)
{
    uint64_t word = atomic_load(&seat->state);

    BUG_ON(SEAT_STATE(word) != SEAT_CLAIMED);
    seat->session = NULL;
    atomic_store(&seat->state, (uint64_t)(uint32_t)(SEAT_GENERATION(word) + 1) << 32 | SEAT_FREE);
}

bool seat_event(struct seat *seat, uint32_t generation, uint64_t event)
{
    uint64_t word = atomic_load(&seat->state), want;

    do {
        if (SEAT_GENERATION(word) != generation || SEAT_STATE(word) == SEAT_FREE)
            return false;
        want = word | event;
        if (SEAT_STATE(word) == SEAT_PARKED)
            want = (want & ~(uint64_t)SEAT_STATE_MASK) | SEAT_CLAIMED;
        else if (SEAT_STATE(word) == SEAT_CLAIMED)
            want = word | (event & EVENT_STICKY);
        if (want == word)
            return false;
    } while (!atomic_compare_exchange_weak(&seat->state, &word, want));
    return SEAT_STATE(word) == SEAT_PARKED;
}

uint64_t seat_take_events(struct seat *seat)
{
    return atomic_fetch_and(&seat->state, ~EVENT_MASK) & EVENT_MASK;
}

void session_event(struct engine *e, struct seat *seat, uint32_t generation, uint64_t event)
{
    if (!seat_event(seat, generation, event))
        return;
    atomic_fetch_sub(&e->parked, 1);
    atomic_fetch_add(&e->wakeups, 1);
    queue_push(e, seat->session);
}

/* ---- parking ---- */

static uint32_t epoll_events(unsigned events)
{
    return (events & POLLIN ? EPOLLIN : 0) | (events & POLLOUT ? EPOLLOUT : 0) | EPOLLONESHOT;
}

static int source_control(struct session *s, unsigned slot, int op)
{
    struct session_source *source = &s->source[slot];
    struct epoll_event ev = {.events = epoll_events(source->events)};
    uint64_t generation = SEAT_GENERATION(atomic_load_explicit(&s->seat->state, memory_order_relaxed));

    ev.data.u64 = generation << 32 | (uint64_t)s->seat->number << SEAT_SLOT_BITS | slot;
    return epoll_ctl(s->engine->epoll_fd, op, source->fd, &ev);
}

static bool source_arm(struct session *s, unsigned slot)
{
    struct session_source *source = &s->source[slot];

    if (source_control(s, slot, source->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD) < 0) {
        /* A descriptor that was closed, or registered twice, is a bug of the session. */
        BUG_ON(errno == EBADF || errno == ENOENT || errno == EEXIST);
        return false;
    }
    source->registered = source->armed = true;
    return true;
}

static bool session_arm(struct session *s)
{
    for (unsigned i = 0; i < SESSION_SLOTS; i++)
        if (s->source[i].fd >= 0 && s->source[i].events != 0 && !source_arm(s, i))
            return false;
    timer_arm(s->engine, s->seat, s->deadline);
    return true;
}

/* From one state to another, unless something is pending. */
static bool seat_advance(struct seat *seat, enum seat_state from, enum seat_state to)
{
    uint64_t word = atomic_load(&seat->state);

    do {
        BUG_ON(SEAT_STATE(word) != from);
        if (word & EVENT_MASK)
            return false;
    } while (!atomic_compare_exchange_weak(&seat->state, &word, word - from + to));
    return true;
}

bool session_park(struct session *s, bool *broken_r)
{
    struct engine *e = s->engine;
    struct seat *seat = s->seat;

    *broken_r = false;
    if (!seat_advance(seat, SEAT_CLAIMED, SEAT_ARMING))
        return false;
    *broken_r = !session_arm(s);
    if (!*broken_r) {
        atomic_fetch_add(&e->parked, 1);
        if (seat_advance(seat, SEAT_ARMING, SEAT_PARKED))
            return true; /* from here on s may be another's, or gone */
        atomic_fetch_sub(&e->parked, 1);
    }
    /* Only the state changes; what is pending stays. */
    atomic_fetch_sub(&seat->state, SEAT_ARMING - SEAT_CLAIMED);
    return false;
}

/* ---- the life of a session ---- */

static void list_add(struct engine *e, struct session *s)
{
    s->list_next = e->list;
    if (e->list != NULL)
        e->list->list_prev = s;
    e->list = s;
    e->sessions++;
}

static void list_remove(struct engine *e, struct session *s)
{
    if (s->list_prev != NULL)
        s->list_prev->list_next = s->list_next;
    else
        e->list = s->list_next;
    if (s->list_next != NULL)
        s->list_next->list_prev = s->list_prev;
}

struct session *session_new(struct engine *e, const struct engine_ops *ops, void *object, const char *id)
{
    size_t id_size = strlen(id) + 1;
    struct session *s = xcalloc(1, sizeof(*s) + id_size);
    bool full;

    s->magic = SESSION_MAGIC;
    s->engine = e;
    s->ops = ops;
    s->object = object;
    s->deadline = CLOCK_NEVER;
    s->file.session = s;
    memcpy(s->id, id, id_size);
    for (unsigned i = 0; i < SESSION_SLOTS; i++)
        s->source[i].fd = -1;
    pthread_mutex_lock(&e->list_lock);
    s->seat = seat_take(e);
    seat_claim_new(s->seat, s);
    list_add(e, s);
    full = e->sessions == e->config.sessions_max;
    pthread_mutex_unlock(&e->list_lock);
    atomic_fetch_add(&e->total, 1);
    if (full && e->config.full != NULL)
        e->config.full(true, e->config.context);
    queue_push(e, s);
    return s;
}

void session_end(struct session *s)
{
    struct engine *e = s->engine;
    bool room;

    pthread_mutex_lock(&e->list_lock);
    list_remove(e, s);
    pthread_mutex_unlock(&e->list_lock);
    watcher_forget(s);
    for (unsigned i = 0; i < SESSION_SLOTS; i++)
        session_watch(s, i, -1, 0);
    s->ops->close(s, s->object);
    timer_remove(e, s->seat);
    seat_release(s->seat);

    pthread_mutex_lock(&e->list_lock);
    e->free_seats[e->free_count++] = s->seat;
    room = e->sessions-- == e->config.sessions_max;
    pthread_cond_broadcast(&e->list_changed);
    pthread_mutex_unlock(&e->list_lock);
    if (room && e->config.full != NULL)
        e->config.full(false, e->config.context);
    s->magic = 0;
    free(s);
}

/* ---- what the owner sets and asks ---- */

const char *session_id(const struct session *s)
{
    MAGIC_CHECK(s, SESSION_MAGIC);
    return s->id;
}

struct engine *session_engine(const struct session *s)
{
    return s->engine;
}

static void source_unregister(struct session *s, struct session_source *source)
{
    if (source->registered)
        epoll_ctl(s->engine->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
    source->registered = source->armed = false;
}

void session_sources_fired(struct session *s)
{
    for (unsigned i = 0; i < SESSION_SLOTS; i++)
        if (s->ready & EVENT_SLOT(i))
            s->source[i].armed = false;
}

void session_watch(struct session *s, unsigned slot, int fd, unsigned events)
{
    struct session_source *source = &s->source[slot];

    BUG_ON(slot >= SESSION_SLOTS);
    /* One that is armed for nothing would still report a hang-up. */
    if (fd != source->fd || (events == 0 && source->armed))
        source_unregister(s, source);
    source->fd = fd;
    source->events = (uint16_t)events;
}

void session_disarm(struct session *s, unsigned slot)
{
    BUG_ON(slot >= SESSION_SLOTS);
    session_watch(s, slot, s->source[slot].fd, 0);
}

void session_set_deadline(struct session *s, int64_t deadline)
{
    s->deadline = deadline;
}

bool session_ready(const struct session *s, unsigned slot)
{
    BUG_ON(slot >= SESSION_SLOTS);
    return (s->ready & EVENT_SLOT(slot)) != 0;
}

bool session_expired(const struct session *s)
{
    return s->deadline <= s->began;
}

bool session_file_changed(const struct session *s)
{
    return (s->ready & EVENT_FILE) != 0;
}

bool session_woken(const struct session *s)
{
    return (s->ready & EVENT_WOKEN) != 0;
}

bool session_stopping(const struct session *s)
{
    return atomic_load_explicit(&s->engine->draining, memory_order_relaxed);
}

int64_t session_run_began(const struct session *s)
{
    return s->began;
}

bool session_slice_over(const struct session *s)
{
    return clock_ms() - s->began >= ENGINE_SLICE_MS;
}

void session_wake(struct session *s)
{
    uint64_t word = atomic_load(&s->seat->state);

    session_event(s->engine, s->seat, SEAT_GENERATION(word), EVENT_WOKEN);
}
