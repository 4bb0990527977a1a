/* hub.h: the sessions that wait for changes, woken from any thread. */
#ifndef MUPDATE_HUB_H
#define MUPDATE_HUB_H

#include <stdbool.h>

struct hub;
struct session;

struct hub *hub_new(void);
void hub_free(struct hub **hub); /* no session may be in it */

/* A session is in the hub from here until hub_leave(), which its close() calls: wakes cannot meet a session that
 * is gone. */
struct hub_place;
struct hub_place *hub_join(struct hub *hub, struct session *session);
void hub_leave(struct hub_place **place); /* *place may be NULL */

/* Does the session want to be woken?  No at first.  Say yes before looking whether there is something new. */
void hub_listen(struct hub_place *place, bool listens);

/* Wakes those that listen. */
void hub_wake(struct hub *hub);

#endif
