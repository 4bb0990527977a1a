/* status-pipe.h: what a service tells master on descriptor 3 (doc/protocols/status-pipe.md). */
#ifndef MASTER_STATUS_PIPE_H
#define MASTER_STATUS_PIPE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { STATUS_PIPE_FD = 3, STATUS_LISTEN_FD = 4 };

/* One message; written with one write(2), so that none is ever torn. */
struct status_message {
    int32_t message;
    pid_t pid;
};

enum status_kind {
    STATUS_AVAILABLE = 1,   /* the process takes connections */
    STATUS_UNAVAILABLE = 2, /* it takes none */
    STATUS_CONNECTION = 3,  /* it has taken one (a process that serves one at a time) */
    STATUS_MULTI = 4,       /* it has taken one more */
};

/* Ours, only sent to a master that set IATLAS_MASTER=1: how many sessions there are, and
 * whether there is room for more. */
enum { STATUS_LOAD = 0x49000000, STATUS_LOAD_FULL = 0x00800000, STATUS_LOAD_SESSIONS = 0x007fffff };

/* The message of a load report. */
int32_t status_load(unsigned sessions, bool full);
/* Is it a load report?  Then *sessions_r and *full_r are set. */
bool status_is_load(int32_t message, unsigned *sessions_r, bool *full_r);

#endif
