/* daemons.h: the DAEMON section: programs that run as long as master does. */
#ifndef MASTER_DAEMONS_H
#define MASTER_DAEMONS_H

#include <stdbool.h>

#include "lib/base/buf.h"
#include "master/child.h"
#include "master/conf.h"

struct daemons;

struct daemons *daemons_new(struct loop *l, struct children *children);
/* When none runs. */
void daemons_free(struct daemons **all);

/* Takes the section.  With `first`, a missing program is an error (ERR_CONFIG, *error_r malloc'ed), and
 * nothing is started yet; later daemons that are new or changed are started (anew), those that are
 * gone are stopped, those that were given up are tried again. */
int daemons_load(struct daemons *all, const struct conf *conf, bool first, char **error_r);

/* Starts the daemons with wait=y one by one, each when the one before has written "ok\r\n" on
 * descriptor 3.  `done` is called with NULL when all are ready, else with the reason (valid during
 * the call). */
void daemons_start_waiting(struct daemons *all, void (*done)(const char *error, void *context),
                           void *context);
/* Starts the others. */
void daemons_start_plain(struct daemons *all);

/* From here on nothing is started anew.  SIGTERM to those without wait=y; to the last one with wait=y
 * that runs. */
void daemons_stop(struct daemons *all);
void daemons_stop_plain(struct daemons *all, int signo);
void daemons_stop_last_waiting(struct daemons *all, int signo);
unsigned daemons_plain_running(const struct daemons *all);
unsigned daemons_waiting_running(const struct daemons *all);

void daemons_status(const struct daemons *all, struct buf *to);

#endif
