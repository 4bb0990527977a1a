/* child.h: starting programs, noticing their end, and bringing what they print into the log. */
#ifndef MASTER_CHILD_H
#define MASTER_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/event/loop.h"
#include "master/listen.h"

struct children; /* all of them */
struct child;    /* one that runs */

/* SIGCHLD is taken over from here on. */
struct children *children_new(struct loop *l);
/* When none runs. */
void children_free(struct children **all);
/* How many run; how many were started. */
unsigned children_count(const struct children *all);
unsigned long children_started(const struct children *all);
void children_signal(struct children *all, int signo);

struct child_spec {
    const char *path;
    char *const *argv;
    const char *name; /* of its entry in cyrus.conf */
    bool is_daemon;
    int pipe_fd;                     /* becomes descriptor 3; -1: none */
    const struct listen_set *listen; /* become descriptors 4 and following; NULL: none */
    const char *proxyprotocol;       /* IATLAS_PROXYPROTOCOL; NULL: not set */
    unsigned sessions_max;           /* IATLAS_SESSIONS_MAX; 0: not set */
    unsigned nofile;                 /* its soft limit of descriptors; 0: the hard one */
};

/* Starts a program with everything else closed (doc/protocols/status-pipe.md).  `ended` is called in
 * the loop when it has ended, and the child is gone then; status as from waitpid(2).  NULL
 * when it could not be started, errno says why. */
struct child *child_spawn(struct children *all, const struct child_spec *spec,
                          void (*ended)(struct child *c, int status, void *owner), void *owner);

pid_t child_pid(const struct child *c);
void child_signal(const struct child *c, int signo);

/* "exit 1", "signal SEGV" for a status, into `to`; its address. */
const char *child_status_text(int status, char *to, size_t size);
/* Did it end as one that is content? */
bool child_succeeded(int status);

/* A pipe for descriptor 3: both ends close-on-exec, with numbers that no child's descriptor has;
 * the reading end does not block.  0 or ERR_LIMIT. */
int child_pipe(int *read_fd_r, int *write_fd_r);

#endif
