/* services-private.h: services and their processes. */
#ifndef MASTER_SERVICES_PRIVATE_H
#define MASTER_SERVICES_PRIVATE_H

#include <stdint.h>

#include "lib/event/loop.h"
#include "master/listen.h"
#include "master/rate.h"
#include "master/services.h"
#include "master/status-pipe.h"

enum service_state {
    SERVICE_ACTIVE,
    SERVICE_ABSENT,   /* a program of Cyrus that is not here; no socket */
    SERVICE_UNBOUND,  /* its address could not be had; tried again */
    SERVICE_DISABLED, /* failed too often; no socket until the next SIGHUP */
    SERVICE_REMOVED,  /* no longer configured; its last processes serve their sessions */
};

/* A process.  `share` of the service's maxchild belongs to it until it is retired. */
struct process {
    struct master_service *service;
    struct child *child;
    pid_t pid;
    int status_fd; /* -1 when closed */
    struct loop_watch *watch;
    struct status_message partial;
    size_t partial_len;
    bool ready; /* it has said anything */
    bool ours;  /* it sends load reports */
    bool room;  /* it takes connections, or will when it has started */
    bool retired;
    unsigned sessions;
    unsigned share; /* UINT_MAX: no bound */
    unsigned long connections;
    int64_t began, idle_since;
    struct process *next;
};

struct master_service {
    struct services *all;
    char *name;
    const struct conf_entry *entry; /* of the current configuration */
    char *path;
    enum service_state state;
    struct listen_set sockets;
    char *listen, *proto; /* what the sockets are bound to */
    struct loop_watch *watches[LISTEN_MAX];
    struct process *processes;
    struct rate fork_rate, crash_rate;
    struct failures failures;
    int64_t not_before; /* nothing starts until then */
    struct loop_timer *retry;
    bool listed; /* in the configuration being loaded */
    unsigned long forks, crashes, connections;
    struct master_service *next;
};

struct services {
    struct loop *loop;
    struct children *children;
    int backlog;
    bool running;
    struct loop_timer *sweep;
    struct master_service *first;
};

/* ---- processes.c ---- */

/* Starts a process.  False: it could not be started (logged), or must not be now. */
bool process_start(struct master_service *s);
void process_retire(struct process *p);
/* The sessions that the next process may have: 0 when maxchild is used up, UINT_MAX: no bound. */
unsigned process_share(const struct master_service *s);

/* ---- balance.c ---- */

/* Starts what is missing, waits for connections where nobody takes them.  Called whenever
 * something changed. */
void service_balance(struct master_service *s);
/* A process has ended. */
void service_process_ended(struct master_service *s, const struct process *p, int status);
/* Retires processes that have had nothing to do for long. */
void service_sweep(struct master_service *s);
/* Disarms the watches on the sockets. */
void service_watch_stop(struct master_service *s);
/* How many processes are not retired; how many of those take connections. */
unsigned service_live(const struct master_service *s);
unsigned service_rooms(const struct master_service *s);

/* ---- services.c ---- */

/* Gives up the service's addresses. */
void service_close_sockets(struct master_service *s);

/* Frees a service that is removed and has no process any more. */
void service_gone(struct master_service *s);

#endif
