/* service-run.h: the skeleton of every service: main() declares it, service_run() runs it.
 *
 * It reads the options and imapd.conf, opens the log, starts the engine, accepts on
 * descriptor 4, tells master what it does on descriptor 3 (doc/protocols/status-pipe.md), and
 * ends as it is told:
 *   SIGHUP            retires: accepts no more, serves its sessions to their end
 *   SIGQUIT           finishes commands, BYE to all, ends
 *   SIGTERM, SIGINT   BYE to all, gone within 5 s
 *   master is gone    as SIGHUP
 * -C FILE is understood by all; -U n, -T n, -D are accepted and mean nothing here. */
#ifndef MASTER_SERVICE_RUN_H
#define MASTER_SERVICE_RUN_H

#include <stdbool.h>

#include "lib/engine/engine.h"

struct service {
    const char *program;      /* "imapd": the name in the log and in usage messages */
    const char *name;         /* the service's name where master gives none: "imap" */
    const char *options;      /* further letters that it takes, as for getopt(3): "sNp:"; may be NULL */
    bool takes_proxies;       /* it obeys service_proxies(); others do not start where cyrus.conf gives it */
    unsigned fds_per_session; /* descriptors that a session needs; 0: 1 */

    /* After the configuration was read and before the first connection, single-threaded but for
     * the engine: opens what the service needs.  0, or an ERR_* with the reason in *error_r
     * (malloc'ed; may stay NULL), which is logged and ends the process.  May be NULL. */
    int (*start)(struct engine *e, void *context, char **error_r);
    /* A connection: makes its session or closes fd.  Called by the acceptor's thread. */
    void (*accepted)(struct engine *e, int fd, void *context);
    /* The service stops soon (any of the ways above, once): background work ends.  May be NULL. */
    void (*stop)(void *context);
    /* All sessions are gone, the threads too: closes what start() opened.  May be NULL; not
     * called when time ran out. */
    void (*end)(void *context);
    void *context;
};

/* Runs the service; returns what main() returns: 0, 64 (usage), 71, 75 or 78 (sysexits.h). */
int service_run(const struct service *service, int argc, char **argv);

/* ---- for the service, from start() on, any thread ---- */

/* Its name in cyrus.conf (CYRUS_SERVICE), else service->name. */
const char *service_name(void);
/* proxyprotocol= of cyrus.conf: addresses whose connections begin with the PROXY protocol; NULL: not given. */
const char *service_proxies(void);
/* NULL when that option letter was not given, else its argument ("" where it takes none). */
const char *service_option(char letter);
/* Is it about to stop? */
bool service_is_stopping(void);

#endif
