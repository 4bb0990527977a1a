/* helper.h: an engine under test and a session that echoes. */
#ifndef CUNIT_LIB_ENGINE_HELPER_H
#define CUNIT_LIB_ENGINE_HELPER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "lib/engine/engine.h"

/* An engine of so many workers and sessions (0: the default). */
struct engine *helper_engine(unsigned workers_min, unsigned workers_max, unsigned sessions_max);

/* A session on one end of a socket pair: echoes what it reads, closes at the end of input. */
struct echo {
    struct session *session;
    int fd;   /* the session's end */
    int peer; /* the test's end, blocking with a time limit; the test closes it */
    atomic_uint runs, expired, changed, woken, closed;
    atomic_int_fast64_t deadline; /* parked with; CLOCK_NEVER */
    const char *file;             /* watched; NULL */
};

extern const struct engine_ops echo_ops;

/* Makes both ends and the session. */
void echo_start(struct engine *e, struct echo *echo);
/* One byte there and back. */
bool echo_works(struct echo *echo);
/* Closes the test's end and waits until the session is gone. */
void echo_stop(struct echo *echo);

/* Waits (30 s) until *counter is at least n. */
bool helper_reach(const atomic_uint *counter, unsigned n);
/* Waits (30 s) until so many sessions are parked. */
bool helper_parked(struct engine *e, unsigned n);
void helper_sleep(int ms);

#endif
