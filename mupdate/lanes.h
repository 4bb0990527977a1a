/* lanes.h: how many sessions may read the list at the same time: the others take turns, so that twenty slaves that
 * come back at once leave a processor to those who change something. */
#ifndef MUPDATE_LANES_H
#define MUPDATE_LANES_H

#include <stdbool.h>

struct lanes;
struct session;

/* `count` 0: half of this machine's processors, at least one. */
struct lanes *lanes_new(unsigned count);
void lanes_free(struct lanes **lanes); /* nobody may be in one; *lanes may be NULL */

/* A session's place: zeroed, then used with one struct lanes only, by the session's thread; the session is left
 * alone once lanes_leave() has returned. */
struct lane_place {
    struct session *session;
    enum { LANE_OUT, LANE_QUEUED, LANE_IN } state;
    struct lane_place *next;
};

/* True: it is in a lane, until lanes_leave().  False: it stands in the queue, and is woken when it has got one. */
bool lanes_enter(struct lanes *lanes, struct lane_place *place, struct session *session);

/* Gives the lane to the first in the queue, or leaves the queue. */
void lanes_leave(struct lanes *lanes, struct lane_place *place);

#endif
