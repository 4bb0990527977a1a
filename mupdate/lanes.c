/* lanes.c: a counted lock for sessions, first come, first served. */
#include "mupdate/lanes.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/engine/engine.h"

struct lanes {
    pthread_mutex_t mutex;
    unsigned free;
    struct lane_place *first, **last; /* the queue */
};

struct lanes *lanes_new(unsigned count)
{
    struct lanes *lanes = xcalloc(1, sizeof(*lanes));
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    pthread_mutex_init(&lanes->mutex, NULL);
    lanes->last = &lanes->first;
    lanes->free = count != 0 ? count : processors > 3 ? (unsigned)processors / 2 : 1;
    return lanes;
}

void lanes_free(struct lanes **lanes)
{
    if (*lanes == NULL)
        return;
    BUG_ON((*lanes)->first != NULL);
    pthread_mutex_destroy(&(*lanes)->mutex);
    free(*lanes);
    *lanes = NULL;
}

bool lanes_enter(struct lanes *lanes, struct lane_place *place, struct session *session)
{
    bool in;

    pthread_mutex_lock(&lanes->mutex);
    if (place->state == LANE_OUT && lanes->free > 0) {
        lanes->free--;
        place->state = LANE_IN;
    } else if (place->state == LANE_OUT) {
        place->session = session;
        place->next = NULL;
        *lanes->last = place;
        lanes->last = &place->next;
        place->state = LANE_QUEUED;
    }
    in = place->state == LANE_IN;
    pthread_mutex_unlock(&lanes->mutex);
    return in;
}

static void leave_queue(struct lanes *lanes, struct lane_place *place)
{
    struct lane_place **link = &lanes->first;

    while (*link != place)
        link = &(*link)->next;
    *link = place->next;
    if (lanes->last == &place->next)
        lanes->last = link;
}

void lanes_leave(struct lanes *lanes, struct lane_place *place)
{
    struct lane_place *next;

    pthread_mutex_lock(&lanes->mutex);
    next = lanes->first;
    if (place->state == LANE_QUEUED) {
        leave_queue(lanes, place);
    } else if (place->state == LANE_IN && next != NULL) {
        leave_queue(lanes, next);
        next->state = LANE_IN;
        session_wake(next->session);
    } else if (place->state == LANE_IN) {
        lanes->free++;
    }
    place->state = LANE_OUT;
    pthread_mutex_unlock(&lanes->mutex);
}
