/* status.h: the status on request: a line each for master, services and processes, daemons, events, as
 * text to whoever connects to <configdirectory>/socket/master. */
#ifndef MASTER_STATUS_H
#define MASTER_STATUS_H

#include "lib/base/buf.h"
#include "lib/event/loop.h"

struct status;

/* Listens at the path (mode 0600: it shows process ids and addresses).  ERR_IO and its like when
 * that cannot be done. */
int status_open(struct loop *l, const char *path, void (*write_status)(struct buf *to, void *context),
                void *context, struct status **status_r);
/* Closes, removes the path. */
void status_close(struct status **status);

#endif
