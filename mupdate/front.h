/* front.h: the MUPDATE protocol's server side (RFC 3656; doc/protocols/mupdate.md), one for each connection. */
#ifndef MUPDATE_FRONT_H
#define MUPDATE_FRONT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "imap/login/login.h"
#include "mupdate/conflicts.h"
#include "mupdate/group.h"
#include "mupdate/hub.h"
#include "mupdate/lanes.h"
#include "mupdate/source.h"
#include "mupdate/writer.h"

/* What all connections of the process share; the context of their login_service. */
struct server {
    struct source *source;
    struct writer *writer; /* a master's; NULL on a slave, which refuses to change anything */
    struct hub *hub;       /* sessions to be woken by changes and barriers */
    struct lanes *lanes;   /* for lists */
    struct conflicts *conflicts;
    struct mupdate_group *group; /* NULL: a master alone, or a slave */
    const char *role;            /* "(master)", or the master's URL */
    atomic_bool stopping;
};

/* A listening socket: the network's, or the local one, where who may open it is an administrator who only
 * reads. */
struct door {
    struct server *server;
    bool local;
    /* NOOP's barrier: ask gives a ticket; done says whether everything that the authority had acknowledged then
     * is in the source and in this machine's list: 1, 0 (hub_wake follows), or ERR_UNAVAILABLE.  NULL: always. */
    uint64_t (*barrier_ask)(void *context);
    int (*barrier_done)(void *context, uint64_t ticket);
    void *barrier_context;
};

extern const struct login_ops front_ops; /* for a login_service whose context is a struct door */

#endif
