/* loop.h: a small event loop: timers, descriptors, signals, children.
 *
 * For master, for the main thread of a service and for helper threads; sessions have the
 * engine.  A loop and all that belongs to it is used by one thread, but for loop_stop().
 * Whatever a callback is called for may be freed in it. */
#ifndef LIB_EVENT_LOOP_H
#define LIB_EVENT_LOOP_H

#include <stdint.h>
#include <sys/types.h>

struct loop;

/* Never fails (a machine without descriptors is broken: mem.h). */
struct loop *loop_new(void);
/* Frees it; its timers, watches and signals must be freed before or are freed now. */
void loop_free(struct loop **l);

/* Calls what is due until loop_stop(). */
void loop_run(struct loop *l);
/* Makes loop_run() return after the callback that runs; any thread. */
void loop_stop(struct loop *l);

/* ---- timers ---- */

struct loop_timer;
/* A timer that is not set. */
struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *context), void *context);
/* Calls fn once at the deadline (clock.h); CLOCK_NEVER: not at all.  Replaces the one before. */
void loop_timer_set(struct loop_timer *t, int64_t deadline);
void loop_timer_free(struct loop_timer **t);

/* ---- descriptors ---- */

struct loop_watch;
/* Calls fn whenever one of `events` (POLLIN, POLLOUT) holds, with those that do; an error or
 * a hang-up counts as both.  The descriptor stays the caller's: free the watch, then close. */
struct loop_watch *loop_watch_new(struct loop *l, int fd, unsigned events,
                                  void (*fn)(int fd, unsigned events, void *context), void *context);
/* Changes the events; 0: none for now. */
void loop_watch_set(struct loop_watch *w, unsigned events);
void loop_watch_free(struct loop_watch **w);

/* ---- signals and children ---- */

/* Calls fn in the loop when the signal arrived (several may count as one).  The signal is blocked
 * in the calling thread: call it before other threads are made, which inherit that. */
void loop_signal(struct loop *l, int signo, void (*fn)(int signo, void *context), void *context);

/* Calls fn for each child of the process that ended; status as from waitpid(2).  However many
 * SIGCHLD become one, no child is missed. */
void loop_children(struct loop *l, void (*fn)(pid_t pid, int status, void *context), void *context);

#endif
