/* startup.h: the START section: programs that run one after the other before anything else. */
#ifndef MASTER_STARTUP_H
#define MASTER_STARTUP_H

#include "master/child.h"
#include "master/conf.h"

struct startup;

/* Runs the section's programs; `conf` must stay.  `done` is called (in the loop, or before this returns)
 * with NULL when all have ended well, else with the reason (valid during the call); the startup is
 * over then and freed with startup_free(). */
struct startup *startup_run(struct children *children, const struct conf *conf,
                            void (*done)(const char *error, void *context), void *context);
/* Starts no further one; the signal to the one that runs.  s may be NULL. */
void startup_stop(struct startup *s, int signo);
/* When none runs. */
void startup_free(struct startup **s);

#endif
