/* engine.h: the session engine: a thread per busy session, none per idle one.
 *
 * One engine a process.  Worker threads wait in epoll_wait on one epoll of one-shot
 * descriptors.  A session belongs to the epoll or to exactly one worker: run() is called with
 * the session owned, and what it returns says what becomes of it.  run() must not wait for
 * peers; it may hold the worker for fsync, saslauthd and DNS only.
 *
 * A session parks on a set of sources: descriptors (client, backends), watched files, a
 * deadline, and session_wake() by other threads.  What happens while the set is being armed is
 * not lost. */
#ifndef LIB_ENGINE_ENGINE_H
#define LIB_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct engine;
struct session;

/* What run() wants next. */
enum engine_verdict {
    ENGINE_PARK,  /* wait for one of the session's sources; nothing may be buffered */
    ENGINE_AGAIN, /* more to do: go to the tail of the queue of runnable sessions */
    ENGINE_CLOSE, /* close() is called, then the session is gone */
};

struct engine_ops {
    const char *name;
    /* Called by the worker that owns the session, for a first time right after session_new. */
    enum engine_verdict (*run)(struct session *s, void *object);
    /* Frees the object and everything in it, descriptors included. */
    void (*close)(struct session *s, void *object);
};

struct engine_config {
    unsigned workers_min;     /* 0: 4 */
    unsigned workers_max;     /* 0: the option worker_threads_max */
    unsigned sessions_max;    /* the process is full at this number; 0: by RLIMIT_NOFILE */
    unsigned fds_per_session; /* for that computation; 0: 1 */
    /* Called (by any thread, no lock held) when the number of sessions reaches sessions_max and
     * when there is room again; may be NULL. */
    void (*full)(bool is_full, void *context);
    void *context;
};

/* Starts the threads that there are at least.  0, or ERR_LIMIT, ERR_IO. */
int engine_start(const struct engine_config *config, struct engine **engine_r);

/* An acceptor thread on a listening socket, blocking in accept(2), idle while the process is
 * full.  `accepted` makes the session (session_new) or closes fd. */
int engine_listen(struct engine *e, int listen_fd, void (*accepted)(struct engine *e, int fd, void *context),
                  void *context);

/* Stops accepting.  Sessions live on. */
void engine_stop_listening(struct engine *e);

/* Marks every session as stopping (session_stopping) and wakes it, parked or not; waits until all
 * are gone or `deadline` (clock.h) has passed.  The number still there. */
unsigned engine_drain(struct engine *e, int64_t deadline);

/* After engine_drain or with no sessions: ends the threads and frees; *e = NULL. */
void engine_stop(struct engine **e);

/* One file of the whole process, beside those of sessions: `changed` is called by the engine's housekeeper after it was
 * written to; it must not wait.  Once an engine, for good.  0, or ERR_LIMIT and others: it is not watched. */
int engine_watch_file(struct engine *e, const char *path, void (*changed)(void *context), void *context);

struct engine_counters {
    uint64_t sessions_total, runs, wakeups, expired;
    unsigned sessions, parked, running, queued, threads, threads_waiting;
};
void engine_counters(struct engine *e, struct engine_counters *out);

/* Calls fn for each session there is, under the engine's lock: fn may only read what the object
 * allows to be read by other threads. */
void engine_each(struct engine *e, void (*fn)(struct session *s, void *object, void *context), void *context);

/* ---- a session ---- */

/* Makes a session for an object and queues it.  `id` (copied) goes into the log lines. */
struct session *session_new(struct engine *e, const struct engine_ops *ops, void *object, const char *id);

const char *session_id(const struct session *s);
struct engine *session_engine(const struct session *s);

/* The sources, set by the owner before it returns ENGINE_PARK, kept until changed.  Slots are
 * small numbers (0 is the client by convention, at most SESSION_SLOTS).  events: POLLIN | POLLOUT; 0
 * disarms and keeps it registered; -1 as fd removes (do so before closing the descriptor). */
enum { SESSION_SLOTS = 8 };
void session_watch(struct session *s, unsigned slot, int fd, unsigned events);

/* The slot's descriptor is not waited for until session_watch() is called again. */
void session_disarm(struct session *s, unsigned slot);

/* The kernel's notice (inotify) that a file was written, replaced or removed; NULL ends it.  One
 * watch an inode and process, shared.  0; ERR_LIMIT: no more watches: poll by deadline instead. */
int session_watch_file(struct session *s, const char *path);

/* More files than that one: each has a handle, to be freed before the session is (in close() at the latest).  Any change
 * of any of them makes session_file_changed() true as well. */
struct session_file;
struct session_file *session_file_new(struct session *s);
/* Watches `path` instead of what it watched before; as session_watch_file().  To be called again after each change,
 * since another file may have been put in the place. */
int session_file_watch(struct session_file *file, const char *path);
/* Has it changed since the last call? */
bool session_file_take(struct session_file *file);
void session_file_free(struct session_file **file); /* *file may be NULL */

/* When to run again at the latest (clock.h); CLOCK_NEVER. */
void session_set_deadline(struct session *s, int64_t deadline);

/* Why run() was called: the slots that are ready, and these. */
bool session_ready(const struct session *s, unsigned slot);
bool session_expired(const struct session *s);      /* the deadline passed */
bool session_file_changed(const struct session *s); /* since the last run */
bool session_woken(const struct session *s);        /* session_wake() */
bool session_stopping(const struct session *s);     /* say BYE and close, soon */

/* Milliseconds of monotonic time when this run began; a run longer than ENGINE_SLICE_MS should
 * return ENGINE_AGAIN. */
int64_t session_run_began(const struct session *s);
enum { ENGINE_SLICE_MS = 30 };
bool session_slice_over(const struct session *s);

/* From any thread that makes sure that the session exists (engine_each, or a lock of its own that
 * close() takes): run it soon. */
void session_wake(struct session *s);

#endif
