#include "imap/lmtp/relay/links.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/backend/backend.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/smtp/lmtp.h"

struct resting {
    struct resting *next;
    char *server;
    struct link link;
    int64_t since;
};

struct links {
    pthread_mutex_t lock;
    struct resting *first; /* the one that came last */
};

struct links *links_new(void)
{
    struct links *links = xcalloc(1, sizeof(*links));

    pthread_mutex_init(&links->lock, NULL);
    return links;
}

void link_close(struct link *link, bool polite)
{
    if (link->lmtp != NULL && polite)
        lmtp_quit(link->lmtp);
    lmtp_free(&link->lmtp);
    backend_free(&link->backend);
}

/* Has the peer said nothing since?  (A reply nobody asked for is a farewell.) */
static bool is_quiet(const struct link *link)
{
    char c;

    return recv(backend_fd(link->backend), &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           !stream_has_input(backend_stream(link->backend));
}

static void free_resting(struct resting *r)
{
    free(r->server);
    free(r);
}

/* Takes the first that `matches` out of the list; NULL if there is none. */
static struct resting *unlink_first(struct links *links,
                                    bool (*matches)(const struct resting *r, const void *with),
                                    const void *with)
{
    struct resting **at, *found;

    pthread_mutex_lock(&links->lock);
    for (at = &links->first; *at != NULL && !matches(*at, with); at = &(*at)->next)
        ;
    found = *at;
    if (found != NULL)
        *at = found->next;
    pthread_mutex_unlock(&links->lock);
    return found;
}

static bool is_to_server(const struct resting *r, const void *server)
{
    return strcmp(r->server, server) == 0;
}

static bool is_older(const struct resting *r, const void *than)
{
    return r->since < *(const int64_t *)than;
}

bool links_take(struct links *links, const char *server, struct link *link_r)
{
    struct resting *r;

    while ((r = unlink_first(links, is_to_server, server)) != NULL) {
        struct link link = r->link;

        free_resting(r);
        if (is_quiet(&link)) {
            *link_r = link;
            return true;
        }
        link_close(&link, false);
    }
    return false;
}

void links_put(struct links *links, const char *server, struct link *link)
{
    struct resting *r = xcalloc(1, sizeof(*r));
    unsigned there = 0;

    r->server = xstrdup(server);
    r->link = *link;
    r->since = clock_ms();
    pthread_mutex_lock(&links->lock);
    for (const struct resting *o = links->first; o != NULL; o = o->next)
        there += is_to_server(o, server);
    if (there < LINKS_PER_SERVER) {
        stream_park(backend_stream(link->backend));
        r->next = links->first;
        links->first = r;
        r = NULL;
    }
    pthread_mutex_unlock(&links->lock);
    if (r != NULL) {
        link_close(&r->link, true);
        free_resting(r);
    }
    memset(link, 0, sizeof(*link));
}

void links_expire(struct links *links)
{
    int64_t before = clock_ms() - LINKS_IDLE_MS;
    struct resting *r;

    while ((r = unlink_first(links, is_older, &before)) != NULL) {
        link_close(&r->link, true);
        free_resting(r);
    }
}

void links_free(struct links **links)
{
    struct resting *r;

    while ((r = (*links)->first) != NULL) {
        (*links)->first = r->next;
        link_close(&r->link, true);
        free_resting(r);
    }
    pthread_mutex_destroy(&(*links)->lock);
    free(*links);
    *links = NULL;
}
