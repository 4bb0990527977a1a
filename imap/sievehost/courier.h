/* courier.h: threads for what has to wait for others: mail programs, servers, the MUPDATE master.  A session's worker
 * never waits; it hands its work over and parks. */
#ifndef IMAP_SIEVEHOST_COURIER_H
#define IMAP_SIEVEHOST_COURIER_H

struct courier;

enum {
    COURIER_THREADS_MAX = 64,   /* work beyond that queues */
    COURIER_IDLE_MS = 10 * 1000 /* a thread that has had nothing to do for so long ends */
};

struct courier_task {
    struct courier_task *next; /* the courier's own */
    void (*run)(struct courier_task *task);
};

struct courier *courier_new(void);

/* Has run() called, once, by one of the threads; the task is the caller's, who must not touch it before.  Where the system
 * has no thread to give, run() is called here. */
void courier_submit(struct courier *courier, struct courier_task *task);

/* Waits until everything that was submitted is done, ends the threads.  *courier may be NULL. */
void courier_free(struct courier **courier);

#endif
