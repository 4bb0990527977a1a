/* recent.c: a table of sets of four places of one size; sets in groups that share a lock. */
#include "mupdate/recent.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/digest.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"

enum {
    LOCKS = 64,
    WAYS = 4,
    SETS = RECENT_PLACES / WAYS,
    ROOM = RECENT_PLACE_BYTES - 2 * (int)sizeof(uint16_t)
};

struct place {
    uint16_t key_len, value_len;
    char bytes[ROOM]; /* the key, the value */
};

struct set {
    uint32_t marks[WAYS]; /* of the keys' hashes; 0: nothing is there */
    unsigned next;        /* whose turn it is to make room */
    struct place places[WAYS];
};

struct recent {
    uint64_t seed[2]; /* no client can choose names that keep each other out */
    pthread_mutex_t locks[LOCKS];
    struct set *sets; /* pages of it that nobody touched take no memory */
};

/* Where a key belongs, while its lock is held. */
struct spot {
    pthread_mutex_t *lock;
    struct set *set;
    uint32_t mark;
};

struct recent *recent_new(void)
{
    struct recent *recent = xcalloc(1, sizeof(*recent));

    digest_random(recent->seed, sizeof(recent->seed));
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&recent->locks[i], NULL);
    recent->sets = xcalloc(SETS, sizeof(*recent->sets));
    return recent;
}

void recent_free(struct recent **recent)
{
    if (*recent == NULL)
        return;
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&(*recent)->locks[i]);
    free((*recent)->sets);
    free(*recent);
    *recent = NULL;
}

static struct spot lock_spot(struct recent *recent, const struct buf *key)
{
    uint64_t hash = hash_bytes(recent->seed, key->data, key->len);
    size_t number = hash % SETS;

    pthread_mutex_lock(&recent->locks[number % LOCKS]);
    return (struct spot){&recent->locks[number % LOCKS], &recent->sets[number], (uint32_t)(hash >> 32) | 1};
}

/* The key's place in its set; WAYS: it has none. */
static unsigned find_way(const struct spot *spot, const struct buf *key)
{
    for (unsigned way = 0; way < WAYS; way++) {
        const struct place *place = &spot->set->places[way];

        if (spot->set->marks[way] == spot->mark && place->key_len == key->len &&
            memcmp(place->bytes, key->data, key->len) == 0)
            return way;
    }
    return WAYS;
}

static unsigned free_way(struct set *set)
{
    for (unsigned way = 0; way < WAYS; way++)
        if (set->marks[way] == 0)
            return way;
    return set->next++ % WAYS;
}

const void *recent_get(struct recent *recent, const struct buf *key, struct pool *pool, size_t *len_r)
{
    struct spot spot = lock_spot(recent, key);
    unsigned way = find_way(&spot, key);
    const void *value = NULL;

    if (way < WAYS) {
        const struct place *place = &spot.set->places[way];

        *len_r = place->value_len;
        value = pool_memdup(pool, place->bytes + place->key_len, place->value_len);
    }
    pthread_mutex_unlock(spot.lock);
    return value;
}

void recent_put(struct recent *recent, const struct buf *key, const void *value, size_t len)
{
    struct place *place;
    struct spot spot;
    unsigned way;

    if (key->len > ROOM || len > ROOM - key->len)
        return;
    spot = lock_spot(recent, key);
    way = find_way(&spot, key);
    if (way == WAYS)
        way = free_way(spot.set);
    spot.set->marks[way] = spot.mark;
    place = &spot.set->places[way];
    place->key_len = (uint16_t)key->len;
    place->value_len = (uint16_t)len;
    memcpy(place->bytes, key->data, key->len);
    memcpy(place->bytes + key->len, value, len);
    pthread_mutex_unlock(spot.lock);
}

void recent_drop(struct recent *recent, const struct buf *key)
{
    struct spot spot = lock_spot(recent, key);
    unsigned way = find_way(&spot, key);

    if (way < WAYS)
        spot.set->marks[way] = 0;
    pthread_mutex_unlock(spot.lock);
}
