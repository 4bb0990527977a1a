#include <pthread.h>
#include <stdlib.h>

#include "lib/backend/backend-private.h"
#include "lib/base/away.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"

enum { FIRST_MS = 1000, LONGEST_MS = 10000 };

struct entry {
    int64_t period, next;
};

/* Servers that did not answer last time; a server that did has no entry. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct hash *table;

int backoff_enter(const char *server)
{
    int64_t now = clock_ms();
    struct entry *e;
    int r = 0;

    pthread_mutex_lock(&mutex);
    e = table != NULL ? hash_get(table, server) : NULL;
    if (e != NULL && now < e->next)
        r = ERR_UNAVAILABLE;
    else if (e != NULL)
        e->next = now + e->period; /* this caller tries, the others wait for what it finds */
    pthread_mutex_unlock(&mutex);
    return r;
}

static void failed(const char *server)
{
    struct entry *e = hash_get(table, server);

    if (e == NULL) {
        e = xcalloc(1, sizeof(*e));
        e->period = FIRST_MS;
        hash_set(table, server, e);
    } else {
        e->period = e->period * 2 < LONGEST_MS ? e->period * 2 : LONGEST_MS;
    }
    e->next = clock_ms() + e->period;
}

void backoff_result(const char *server, bool reachable)
{
    pthread_mutex_lock(&mutex);
    if (table == NULL)
        table = hash_new(free);
    if (reachable)
        hash_delete(table, server);
    else
        failed(server);
    pthread_mutex_unlock(&mutex);
}

void backoff_found(const struct backend *b, bool reachable)
{
    backoff_result(b->key, reachable);
    if (reachable)
        away_clear(b->ops->service, b->config.server);
    else
        away_note(b->ops->service, b->config.server, buf_cstr(&b->text));
}

void backend_backoff_reset(void)
{
    pthread_mutex_lock(&mutex);
    hash_free(&table);
    pthread_mutex_unlock(&mutex);
}
