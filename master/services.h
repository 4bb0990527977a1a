/* services.h: the SERVICES section: sockets, processes, and how many of them. */
#ifndef MASTER_SERVICES_H
#define MASTER_SERVICES_H

#include <stdbool.h>

#include "lib/base/buf.h"
#include "master/child.h"
#include "master/conf.h"

struct services;

struct services *services_new(struct loop *l, struct children *children, int backlog);
/* When no process is left. */
void services_free(struct services **all);

/* Takes the section of a configuration that has just been read: finds programs, opens sockets.
 * With `first`, what cannot be had is an error (ERR_CONFIG, *error_r malloc'ed); later it is logged and
 * tried again.  Services that are gone or changed lose their sockets, all processes are retired. */
int services_load(struct services *all, const struct conf *conf, bool first, char **error_r);

/* After services_load(first): listen(2) on every socket. */
int services_listen(struct services *all, char **error_r);

/* Starts processes from now on, as they are needed. */
void services_run(struct services *all);

/* Closes every socket, starts nothing more, sends the signal to every process. */
void services_stop(struct services *all, int signo);
void services_signal(struct services *all, int signo);
/* Processes that there are. */
unsigned services_processes(const struct services *all);
unsigned long services_crashes(const struct services *all);

/* A paragraph for each service. */
void services_status(const struct services *all, struct buf *to);
/* A log line for each service. */
void services_log(const struct services *all);

#endif
