/* events.h: the EVENTS section: programs that run from time to time. */
#ifndef MASTER_EVENTS_H
#define MASTER_EVENTS_H

#include <stdbool.h>

#include "lib/base/buf.h"
#include "master/child.h"
#include "master/conf.h"

struct events;

struct events *events_new(struct loop *l, struct children *children);
/* When none runs. */
void events_free(struct events **all);

/* Takes the section.  With `first`, a missing program is an error (ERR_CONFIG, *error_r malloc'ed).
 * Events that stay keep their rhythm. */
int events_load(struct events *all, const struct conf *conf, bool first, char **error_r);

/* Runs them from now on: those with a period (or without any time) at once for a first time. */
void events_run(struct events *all);
/* Starts none any more; the signal to those that run. */
void events_stop(struct events *all, int signo);
unsigned events_running(const struct events *all);

void events_status(const struct events *all, struct buf *to);

#endif
