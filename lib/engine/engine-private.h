/* engine-private.h: what the files of the engine share.
 *
 * Who may touch what:
 *   seat         atomics, by any thread; the rest of it under the timer's lock
 *   session      its owner: the thread that moved the seat to CLAIMED, or holds it in the queue
 *   lists        under the lock named beside them
 * Order of locks: list -> watcher -> timer -> queue. */
#ifndef LIB_ENGINE_ENGINE_PRIVATE_H
#define LIB_ENGINE_ENGINE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "lib/base/clock.h"
#include "lib/engine/engine.h"

/* ---- seats: one a session, never freed, so that a late event finds a word to look at ----
 *
 * state is one word: generation (32 bits) | pending events | one of enum seat_state.  An event
 * carries the seat's number and generation; it changes the word by compare-and-swap only, so an
 * event for a session that is gone changes nothing. */

enum seat_state {
    SEAT_FREE,
    SEAT_CLAIMED, /* a worker's, or in the queue */
    SEAT_ARMING,  /* its worker registers the sources; events are recorded */
    SEAT_PARKED,  /* the next event claims it */
    SEAT_STATE_MASK = 3,
};

/* Pending events: bits above the state, SESSION_SLOTS of them for the slots. */
#define EVENT_SLOT(n) (UINT64_C(4) << (n))
#define EVENT_SLOTS   (UINT64_C(0xff) << 2)
#define EVENT_EXPIRED (UINT64_C(1) << 10)
#define EVENT_FILE    (UINT64_C(1) << 11)
#define EVENT_WOKEN   (UINT64_C(1) << 12)
#define EVENT_STOP    (UINT64_C(1) << 13)
#define EVENT_MASK    (UINT64_C(0xfff) << 2)
/* Not repeated by arming again, so kept while the session is claimed. */
#define EVENT_STICKY (EVENT_FILE | EVENT_WOKEN | EVENT_STOP)

#define SEAT_STATE(word)      ((enum seat_state)((word)&SEAT_STATE_MASK))
#define SEAT_GENERATION(word) ((uint32_t)((word) >> 32))

struct seat {
    _Atomic uint64_t state;
    _Atomic int64_t deadline; /* what the session parked with */
    _Atomic int64_t timer_at; /* when the heap will look at it; CLOCK_NEVER: not in the heap */
    struct session *session;  /* valid for whoever claims */
    uint32_t number;
    uint32_t heap_place; /* timer lock */
};

enum {
    SEAT_CHUNK = 1024,
    SEAT_CHUNKS_MAX = 4096,
    /* A seat's number and a slot share 32 bits of an epoll event. */
    SEAT_SLOT_BITS = 3,
};

struct session_source {
    int fd;          /* -1: none */
    uint16_t events; /* POLLIN | POLLOUT; 0: disarmed */
    bool registered; /* in the epoll */
    bool armed;      /* may report; false after its one shot, when the kernel keeps quiet even at a hang-up */
};

/* A file that a session watches. */
struct session_file {
    struct session *session;
    struct watch *watch;              /* NULL: none, or the kernel has dropped it; watcher lock */
    struct session_file *prev, *next; /* of the watch; watcher lock */
    atomic_bool changed;              /* since session_file_take() */
};

#define SESSION_MAGIC 0x5e551040u

struct session {
    uint32_t magic;
    uint32_t ready; /* EVENT_* that made this run */
    struct engine *engine;
    struct seat *seat;
    const struct engine_ops *ops;
    void *object;
    int64_t deadline, began;
    struct session *queue_next;            /* queue lock */
    struct session *list_prev, *list_next; /* list lock */
    struct session_file file;              /* of session_watch_file() */
    struct session_source source[SESSION_SLOTS];
    char id[];
};

struct timer {
    pthread_mutex_t lock;
    struct seat **heap; /* by timer_at */
    size_t count, room;
    int64_t polling_until; /* what the housekeeper sleeps for; lock */
};

struct watcher {
    pthread_mutex_t lock;
    int fd; /* inotify; -1: the kernel gives none */
    struct watch **table;
    size_t size, count;
    int hook_wd; /* of engine_watch_file(); -1: none */
    void (*hook)(void *context);
    void *hook_context;
    bool hook_due;
};

struct queue {
    pthread_mutex_t lock;
    struct session *head, **tail;
    unsigned length;
};

struct acceptor {
    struct acceptor *next;
    struct engine *engine;
    int fd;
    void (*accepted)(struct engine *e, int fd, void *context);
    void *context;
    pthread_t thread;
    atomic_bool done;
};

struct engine {
    struct engine_config config;
    int epoll_fd;
    int notify_fd; /* eventfd in the epoll, edge-triggered: the queue has something */
    int keeper_fd; /* eventfd of the housekeeper */
    atomic_bool notified;
    atomic_bool stopping;      /* threads end */
    atomic_bool draining;      /* sessions end */
    atomic_bool not_listening; /* acceptors end */

    pthread_mutex_t list_lock;
    pthread_cond_t list_changed; /* a session went, or acceptors are to end */
    struct session *list;
    unsigned sessions;
    struct acceptor *acceptors;
    struct seat **free_seats; /* a stack */
    size_t free_count, free_room;
    uint32_t seats_made;
    _Atomic(struct seat *) chunks[SEAT_CHUNKS_MAX];

    struct queue queue;
    struct timer timer;
    struct watcher watcher;

    pthread_mutex_t pool_lock;
    pthread_cond_t pool_empty;
    atomic_uint threads; /* that the pool has; changed under the pool lock */
    unsigned alive;      /* these and those about to end; pool lock */
    bool zombie_set;     /* a worker that ended and nobody joined; pool lock */
    pthread_t zombie;
    atomic_bool shrunk; /* since the last malloc_trim */
    pthread_t keeper;

    atomic_uint waiting, running, parked;
    _Atomic uint64_t total, runs, wakeups, expired;
};

/* ---- session.c ---- */

/* Tells a seat of an event.  True: the caller owns the session now and queues or runs it. */
bool seat_event(struct seat *seat, uint32_t generation, uint64_t event);
/* The same for whoever has no worker of its own: queues. */
void session_event(struct engine *e, struct seat *seat, uint32_t generation, uint64_t event);
/* Takes the pending events of a session that the caller owns. */
uint64_t seat_take_events(struct seat *seat);

struct seat *seat_of_number(struct engine *e, uint32_t number);

/* Notes which sources have fired and are quiet by themselves, from what is in s->ready. */
void session_sources_fired(struct session *s);
/* Registers the sources and gives the session up: true, and it may be gone already; false:
 * something is pending, the caller still owns it. *broken_r: the kernel took no more sources. */
bool session_park(struct session *s, bool *broken_r);
/* close() and everything that the engine holds. */
void session_end(struct session *s);

/* ---- queue (engine.c) ---- */

/* Appends only. */
void queue_append(struct engine *e, struct session *s);
/* Appends and sees that a worker learns of it. */
void queue_push(struct engine *e, struct session *s);
struct session *queue_pop(struct engine *e);
/* Appends s, if not NULL, and takes the head; *left_r: how many are left. */
struct session *queue_rotate(struct engine *e, struct session *s, unsigned *left_r);
/* Wakes one worker that waits, unless that is under way. */
void engine_notify(struct engine *e);

/* ---- worker.c ---- */

enum { WORKER_STACK = 256 * 1024, WORKER_IDLE_MS = 1000, WORKERS_MIN = 4 };

/* Starts one more worker if there are fewer than `limit`.  0 or ERR_LIMIT. */
int worker_add(struct engine *e, unsigned limit);
/* Ends all and joins the last. */
void worker_stop_all(struct engine *e);
/* A thread of the engine, with its stack and signals blocked. 0 or ERR_LIMIT. */
int engine_thread(pthread_t *thread_r, void *(*main)(void *), void *arg);

/* ---- timer.c ---- */

void timer_init(struct timer *t);
void timer_free(struct timer *t);
/* Makes sure that the session is looked at by `deadline`; nearly always without a lock. */
void timer_arm(struct engine *e, struct seat *seat, int64_t deadline);
void timer_remove(struct engine *e, struct seat *seat);
/* Fires what is due; the time of the next. */
int64_t timer_run(struct engine *e, int64_t now);

/* ---- watch.c ---- */

void watcher_init(struct watcher *w);
void watcher_free(struct watcher *w);
/* Reads the kernel's notices and wakes the sessions concerned. */
void watcher_run(struct engine *e);
void watcher_forget(struct session *s);

/* ---- keeper.c: the housekeeper: timers, file notices, memory ---- */

int keeper_start(struct engine *e);
void keeper_wake(struct engine *e);
void keeper_stop(struct engine *e);

/* ---- accept.c ---- */

/* Ends all acceptors and joins them. */
void acceptor_stop_all(struct engine *e);

#endif
