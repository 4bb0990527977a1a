/* courier.h: threads for what has to wait for others: mail programs, servers, the MUPDATE master.  A session's worker
 * never waits; it hands its work over and parks.
 *
 * A task names the places where it will wait: a server, a domain, a user, a message.  Of each only so many tasks run at
 * once; others stay in the queue, out of the way of those behind them that wait for something else.  So a server that
 * hangs keeps no more threads than are allowed to it. */
#ifndef IMAP_SIEVEHOST_COURIER_H
#define IMAP_SIEVEHOST_COURIER_H

struct courier;

enum {
    COURIER_THREADS_MAX = 64, /* work beyond that queues */
    COURIER_QUEUE_MAX = 1000,
    COURIER_PLACES_MAX = 32,    /* of a task */
    COURIER_IDLE_MS = 10 * 1000 /* a thread that has had nothing to do for so long ends */
};

struct courier_place {
    const char *name;
    unsigned max;     /* tasks there that run at once, at least 1 */
    unsigned waiting; /* that are in the queue for it; 0: as many as the queue takes */
};

struct courier_task {
    struct courier_task *next; /* the courier's own */
    void (*run)(struct courier_task *task);
    struct courier_place places[COURIER_PLACES_MAX]; /* names are the caller's, until run() is called */
    unsigned place_count;
};

struct courier *courier_new(void);

/* Has run() called, once, by one of the threads; the task is the caller's, who must not touch it before.  Where the system
 * has no thread to give, run() is called here.  0; ERR_BUSY: the queue is full, or one of the task's places has as many in it
 * as may wait there; it will not be run.  A task may submit itself again. */
int courier_submit(struct courier *courier, struct courier_task *task);

/* Adds a place, if it is not there already and there is room. */
void courier_place_add(struct courier_task *task, const char *name, unsigned max);
/* Likewise, of which no more than `waiting` tasks are let into the queue: one user's work leaves room to others'. */
void courier_place_share(struct courier_task *task, const char *name, unsigned max, unsigned waiting);

/* Waits until everything that was submitted is done, ends the threads.  *courier may be NULL. */
void courier_free(struct courier **courier);

#endif
