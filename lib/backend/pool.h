/* pool.h: connections to other servers that wait, as nobody's, for the next user (RFC 8437).
 *
 * A connection comes here behind UNAUTHENTICATE and leaves when the server has answered that, everything up to its OK
 * having been dropped; one that says anything else, or nothing, is closed.  Bounded in number a server
 * (proxy_pool_size) and in time (proxy_pool_time).  One a process; any thread. */
#ifndef LIB_BACKEND_POOL_H
#define LIB_BACKEND_POOL_H

#include <stdint.h>

struct backend;

/* Takes an authenticated connection over, or closes it. */
void pool_put_connection(struct backend **b);

/* One of this key (backend-private.h: struct backend) that is ready, else NULL. */
struct backend *pool_take_connection(const char *key);

#endif
