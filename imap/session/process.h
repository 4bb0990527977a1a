/* process.h: what every program of the IMAP front does at its start and end: opens the mailbox list, offers
 * the front to connections, keeps house. */
#ifndef IMAP_SESSION_PROCESS_H
#define IMAP_SESSION_PROCESS_H

#include <stdbool.h>

#include "imap/session/leg.h"
#include "lib/engine/engine.h"

enum { FRONT_TICK_MS = 10 * 1000 };

struct front_process {
    const struct leg_program *program;
    const char *service; /* its name in cyrus.conf */
    bool tls_always;     /* -s */
    const char *proxies; /* as in struct login_config */
    /* Called about every FRONT_TICK_MS by a thread of its own, which may wait for others; may be NULL. */
    void (*tick)(void *context);
    void *context;
};

/* Once a process; `config` is copied.  0, or an error with text in *error_r (malloc'ed; may stay NULL). */
int front_process_start(const struct front_process *config, char **error_r);

/* For struct service: a connection. */
void front_process_accepted(struct engine *e, int fd, void *context);

/* When all sessions are gone: ends the thread, then everything.  Until then, in a process that retires too, the
 * thread goes on, so that nothing waits for it. */
void front_process_end(void);

/* The process's mailbox list, from start to end. */
struct mboxlist *front_process_list(void);

#endif
