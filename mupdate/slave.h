/* slave.h: a MUPDATE slave: a thread that keeps this machine's mailbox list as the master has it. */
#ifndef MUPDATE_SLAVE_H
#define MUPDATE_SLAVE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/mboxlist/mboxlist.h"
#include "lib/mupdate/conn.h"
#include "mupdate/hub.h"
#include "mupdate/source.h"

struct slave;

enum { SLAVE_ANSWER_MS = 30 * 1000 };

struct slave_config {
    struct mupdate_conn_config conn; /* wake_fd and stop are the slave's to set; strings are copied */
    int64_t retry_most_ms;
    int64_t answer_ms; /* a master that owes an answer and is silent for so long is given up */
    struct mboxlist *list;
    const char *own; /* this server's name */
    struct hub *hub;
};

/* Starts the thread: UPDATE, for ever; until the master answers the list serves as it is. */
struct slave *slave_new(const struct slave_config *config);
void slave_free(struct slave **slave); /* *slave may be NULL */

/* The list, and the changes that this process has applied to it (the last 65,536). */
struct source *slave_source(struct slave *slave);

/* As struct door has them.  While the master is away another attempt is made first, if the last one failed at once. */
uint64_t slave_barrier_ask(void *slave);
int slave_barrier_done(void *slave, uint64_t ticket);

/* Has the whole list been received on the present connection? */
bool slave_is_synced(struct slave *slave);

#endif
