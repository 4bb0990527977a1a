#include "lib/backend/pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "lib/backend/backend-private.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"

/* Those of one server, the last to come first. */
struct shelf {
    struct backend *first;
};

static struct {
    pthread_mutex_t mutex;
    struct hash *shelves; /* by key; NULL before the first */
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void free_shelf(void *value)
{
    struct shelf *shelf = value;

    while (shelf->first != NULL) {
        struct backend *b = shelf->first;

        shelf->first = b->next;
        backend_free(&b);
    }
    free(shelf);
}

/* Under the mutex. */
static struct shelf *shelf_of(const char *key)
{
    struct shelf *shelf;

    if (pool.shelves == NULL)
        pool.shelves = hash_new(free_shelf);
    shelf = hash_get(pool.shelves, key);
    if (shelf == NULL) {
        shelf = xcalloc(1, sizeof(*shelf));
        hash_set(pool.shelves, key, shelf);
    }
    return shelf;
}

/* Takes out what is beyond the newest `max`, or has waited too long; the caller closes them, without the lock. */
static struct backend *cut(struct shelf *shelf, int64_t max)
{
    struct backend **at = &shelf->first, *old;

    while (*at != NULL && max-- > 0 && clock_left((*at)->pool_end) != 0)
        at = &(*at)->next;
    old = *at;
    *at = NULL;
    return old;
}

static void close_all(struct backend *b)
{
    while (b != NULL) {
        struct backend *next = b->next;

        backend_free(&b);
        b = next;
    }
}

void pool_put_connection(struct backend **b)
{
    struct backend *one = *b, *old;
    struct shelf *shelf;

    *b = NULL;
    one->pool_end = clock_deadline(opt_duration_ms(OPT_PROXY_POOL_TIME));
    pthread_mutex_lock(&pool.mutex);
    shelf = shelf_of(one->key);
    one->next = shelf->first;
    shelf->first = one;
    old = cut(shelf, opt_int(OPT_PROXY_POOL_SIZE));
    pthread_mutex_unlock(&pool.mutex);
    close_all(old);
}

static struct backend *pop(const char *key)
{
    struct shelf *shelf;
    struct backend *b = NULL;

    pthread_mutex_lock(&pool.mutex);
    shelf = pool.shelves != NULL ? hash_get(pool.shelves, key) : NULL;
    if (shelf != NULL && shelf->first != NULL) {
        b = shelf->first;
        shelf->first = b->next;
        b->next = NULL;
    }
    pthread_mutex_unlock(&pool.mutex);
    return b;
}

/* Back again, in the order of before. */
static void push_all(const char *key, struct backend *list)
{
    struct backend **end = &list;

    if (list == NULL)
        return;
    while (*end != NULL)
        end = &(*end)->next;
    pthread_mutex_lock(&pool.mutex);
    *end = shelf_of(key)->first;
    shelf_of(key)->first = list;
    pthread_mutex_unlock(&pool.mutex);
}

struct backend *pool_take_connection(const char *key)
{
    struct backend *b, *waiting = NULL, **end = &waiting;

    while ((b = pop(key)) != NULL) {
        int r = clock_left(b->pool_end) != 0 ? backend_reset_answer(b) : ERR_TIMEOUT;

        if (r == 1)
            break;
        if (r < 0) {
            backend_free(&b);
            continue;
        }
        *end = b; /* it has not answered yet */
        end = &b->next;
    }
    push_all(key, waiting);
    return b;
}

struct sweep {
    struct backend *old;
};

static void sweep_shelf(const char *key, void *value, void *context)
{
    struct sweep *sweep = context;
    struct backend *old = cut(value, opt_int(OPT_PROXY_POOL_SIZE)), **end = &old;

    (void)key;
    while (*end != NULL)
        end = &(*end)->next;
    *end = sweep->old;
    sweep->old = old;
}

void backend_pool_expire(void)
{
    struct sweep sweep = {NULL};

    pthread_mutex_lock(&pool.mutex);
    if (pool.shelves != NULL)
        hash_each(pool.shelves, sweep_shelf, &sweep);
    pthread_mutex_unlock(&pool.mutex);
    close_all(sweep.old);
}

void backend_pool_clear(void)
{
    struct hash *all;

    pthread_mutex_lock(&pool.mutex);
    all = pool.shelves;
    pool.shelves = NULL;
    pthread_mutex_unlock(&pool.mutex);
    hash_free(&all);
}
