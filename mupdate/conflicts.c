#include "mupdate/conflicts.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/digest.h"
#include "lib/base/mem.h"

struct claim {
    char *name, *claimant;
    uint64_t count;
    int64_t last;
};

struct conflicts {
    pthread_mutex_t mutex;
    struct claim claims[CONFLICTS_MAX];
    size_t count;
    uint64_t version;
};

struct conflicts *conflicts_new(void)
{
    struct conflicts *c = xcalloc(1, sizeof(*c));

    pthread_mutex_init(&c->mutex, NULL);
    digest_random(&c->version, sizeof(c->version)); /* not the one of the process before */
    return c;
}

static void drop(struct conflicts *c, size_t i)
{
    free(c->claims[i].name);
    free(c->claims[i].claimant);
    c->count--;
    memmove(&c->claims[i], &c->claims[i + 1], (c->count - i) * sizeof(c->claims[0]));
}

void conflicts_free(struct conflicts **cp)
{
    struct conflicts *c = *cp;

    if (c == NULL)
        return;
    while (c->count > 0)
        drop(c, c->count - 1);
    pthread_mutex_destroy(&c->mutex);
    free(c);
    *cp = NULL;
}

static bool is_same_server(const char *a, const char *b)
{
    size_t len = strcspn(a, "!");

    return len == strcspn(b, "!") && strncmp(a, b, len) == 0;
}

/* Its place; the count: none. */
static size_t find(const struct conflicts *c, const char *name, const char *claimant)
{
    size_t i = 0;

    while (i < c->count &&
           (strcmp(c->claims[i].name, name) != 0 || !is_same_server(c->claims[i].claimant, claimant)))
        i++;
    return i;
}

static size_t oldest(const struct conflicts *c)
{
    size_t found = 0;

    for (size_t i = 1; i < c->count; i++)
        if (c->claims[i].last < c->claims[found].last)
            found = i;
    return found;
}

/* Under the mutex. */
static struct claim *find_or_add(struct conflicts *c, const char *name, const char *claimant)
{
    struct claim *claim;
    size_t i = find(c, name, claimant);

    if (i == c->count) {
        if (c->count == CONFLICTS_MAX)
            drop(c, oldest(c));
        c->claims[c->count++] = (struct claim){.name = xstrdup(name)};
        claim = &c->claims[c->count - 1];
    } else {
        claim = &c->claims[i];
        free(claim->claimant);
    }
    claim->claimant = xstrdup(claimant);
    return claim;
}

void conflicts_note(struct conflicts *c, const char *name, const char *claimant, int64_t now)
{
    struct claim *claim;

    pthread_mutex_lock(&c->mutex);
    claim = find_or_add(c, name, claimant);
    claim->count++;
    claim->last = now;
    c->version++;
    pthread_mutex_unlock(&c->mutex);
}

void conflicts_learn(struct conflicts *c, const char *name, const char *claimant, uint64_t count,
                     int64_t last)
{
    struct claim *claim;

    pthread_mutex_lock(&c->mutex);
    claim = find_or_add(c, name, claimant);
    claim->count = count > claim->count ? count : claim->count;
    claim->last = last > claim->last ? last : claim->last;
    pthread_mutex_unlock(&c->mutex);
}

uint64_t conflicts_version(struct conflicts *c)
{
    uint64_t version;

    pthread_mutex_lock(&c->mutex);
    version = c->version;
    pthread_mutex_unlock(&c->mutex);
    return version;
}

void conflicts_forget(struct conflicts *c, const char *name, const char *claimant)
{
    size_t i;

    pthread_mutex_lock(&c->mutex);
    i = find(c, name, claimant);
    if (i < c->count)
        drop(c, i);
    pthread_mutex_unlock(&c->mutex);
}

struct conflict *conflicts_list(struct conflicts *c, int64_t now, struct pool *pool, size_t *count_r)
{
    struct conflict *list;

    pthread_mutex_lock(&c->mutex);
    for (size_t i = c->count; i-- > 0;)
        if (c->claims[i].last + CONFLICTS_KEPT_MS < now)
            drop(c, i);
    list = pool_alloc(pool, (c->count + 1) * sizeof(*list));
    for (size_t i = 0; i < c->count; i++) {
        const struct claim *claim = &c->claims[i];

        list[i] = (struct conflict){pool_strdup(pool, claim->name), pool_strdup(pool, claim->claimant),
                                    claim->count, claim->last};
    }
    *count_r = c->count;
    pthread_mutex_unlock(&c->mutex);
    return list;
}
