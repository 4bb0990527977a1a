/* hub.c: a list of sessions under a mutex. */
#include "mupdate/hub.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/engine/engine.h"

struct hub_place {
    struct hub *hub;
    struct session *session;
    atomic_bool listens;
    struct hub_place *next, **link;
};

struct hub {
    pthread_mutex_t mutex;
    struct hub_place *first;
};

struct hub *hub_new(void)
{
    struct hub *hub = xcalloc(1, sizeof(*hub));

    pthread_mutex_init(&hub->mutex, NULL);
    return hub;
}

void hub_free(struct hub **hub)
{
    if (*hub == NULL)
        return;
    BUG_ON((*hub)->first != NULL);
    pthread_mutex_destroy(&(*hub)->mutex);
    free(*hub);
    *hub = NULL;
}

struct hub_place *hub_join(struct hub *hub, struct session *session)
{
    struct hub_place *place = xcalloc(1, sizeof(*place));

    place->hub = hub;
    place->session = session;
    pthread_mutex_lock(&hub->mutex);
    place->next = hub->first;
    place->link = &hub->first;
    if (hub->first != NULL)
        hub->first->link = &place->next;
    hub->first = place;
    pthread_mutex_unlock(&hub->mutex);
    return place;
}

void hub_leave(struct hub_place **placep)
{
    struct hub_place *place = *placep;

    if (place == NULL)
        return;
    *placep = NULL;
    pthread_mutex_lock(&place->hub->mutex);
    *place->link = place->next;
    if (place->next != NULL)
        place->next->link = place->link;
    pthread_mutex_unlock(&place->hub->mutex);
    free(place);
}

void hub_listen(struct hub_place *place, bool listens)
{
    atomic_store(&place->listens, listens);
}

void hub_wake(struct hub *hub)
{
    pthread_mutex_lock(&hub->mutex);
    for (struct hub_place *p = hub->first; p != NULL; p = p->next)
        if (atomic_load(&p->listens))
            session_wake(p->session);
    pthread_mutex_unlock(&hub->mutex);
}
