#include "imap/store/kept.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "imap/store/mailbox-private.h"
#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

enum { PLACE_BYTES = 256 /* of a place in the table, about */ };

struct place {
    struct place *older, *newer; /* by their last use */
    char *key;
    struct kept *kept;
    int64_t used; /* clock_ms() */
};

struct kept_table {
    pthread_mutex_t
        lock; /* of all below; held for a few instructions, never while something is made or freed */
    struct hash *places;
    struct place *oldest, *newest;
    size_t bytes;
};

struct kept_table *kept_table_new(void)
{
    struct kept_table *t = xcalloc(1, sizeof(*t));

    pthread_mutex_init(&t->lock, NULL);
    t->places = hash_new(NULL);
    return t;
}

static void unlink_place(struct kept_table *t, struct place *p)
{
    *(p->older != NULL ? &p->older->newer : &t->oldest) = p->newer;
    *(p->newer != NULL ? &p->newer->older : &t->newest) = p->older;
    p->older = p->newer = NULL;
}

static void link_newest(struct kept_table *t, struct place *p)
{
    p->older = t->newest;
    *(t->newest != NULL ? &t->newest->newer : &t->oldest) = p;
    t->newest = p;
    p->used = clock_ms();
}

/* Takes the oldest out of the table, into a list linked by `newer`. */
static void take_oldest(struct kept_table *t, struct place **list)
{
    struct place *p = t->oldest;

    unlink_place(t, p);
    hash_delete(t->places, p->key);
    t->bytes -= p->kept->bytes + PLACE_BYTES;
    p->newer = *list;
    *list = p;
}

static void free_places(struct place *list)
{
    while (list != NULL) {
        struct place *p = list;

        list = p->newer;
        kept_release(&p->kept);
        free(p->key);
        free(p);
    }
}

void kept_table_free(struct kept_table **table)
{
    struct kept_table *t = *table;
    struct place *list = NULL;

    if (t == NULL)
        return;
    while (t->oldest != NULL)
        take_oldest(t, &list);
    free_places(list);
    hash_free(&t->places);
    pthread_mutex_destroy(&t->lock);
    free(t);
    *table = NULL;
}

static char *key_of(const struct mailbox *m, const char *what)
{
    return xstrprintf("%s/%s", m->dir, what);
}

struct kept *kept_find(struct mailbox *mailbox, const char *what)
{
    struct kept_table *t = mailbox->store->kept;
    char *key = key_of(mailbox, what);
    struct kept *kept = NULL;
    struct place *p;

    pthread_mutex_lock(&t->lock);
    p = hash_get(t->places, key);
    if (p != NULL) {
        kept = p->kept;
        atomic_fetch_add(&kept->references, 1);
        unlink_place(t, p);
        link_newest(t, p);
    }
    pthread_mutex_unlock(&t->lock);
    free(key);
    return kept;
}

/* Puts it at the place; what was there.  NULL: nothing was, or the new one is not wanted. */
static struct kept *replace(struct kept_table *t, struct place *p, const struct kept *base, struct kept *kept)
{
    struct kept *old = p->kept;

    if (old != NULL && old != base && old->count >= kept->count)
        return NULL;
    atomic_fetch_add(&kept->references, 1);
    p->kept = kept;
    t->bytes += kept->bytes;
    t->bytes -= old != NULL ? old->bytes : 0;
    return old;
}

void kept_put(struct mailbox *mailbox, const char *what, const struct kept *base, struct kept *kept)
{
    struct kept_table *t = mailbox->store->kept;
    char *key = key_of(mailbox, what);
    struct place *p, *dropped = NULL;
    struct kept *old;

    if (kept->bytes > KEPT_ONE_BYTES) {
        free(key);
        return;
    }
    pthread_mutex_lock(&t->lock);
    p = hash_get(t->places, key);
    if (p == NULL) {
        p = xcalloc(1, sizeof(*p));
        p->key = key;
        hash_set(t->places, key, p);
        t->bytes += PLACE_BYTES;
        key = NULL;
    } else {
        unlink_place(t, p);
    }
    old = replace(t, p, base, kept);
    link_newest(t, p);
    while (t->bytes > KEPT_BYTES)
        take_oldest(t, &dropped);
    pthread_mutex_unlock(&t->lock);
    kept_release(&old);
    free_places(dropped);
    free(key);
}

bool kept_is_stale(const struct kept *kept, uint32_t exists)
{
    return kept->count / 2 > (uint64_t)exists + 128;
}

bool kept_is_worth(const struct kept *base, uint32_t news, size_t bytes)
{
    return news > base->count / KEPT_SHARE && base->bytes + bytes <= KEPT_ONE_BYTES;
}

void kept_release(struct kept **kept)
{
    struct kept *k = *kept;

    *kept = NULL;
    if (k != NULL && atomic_fetch_sub(&k->references, 1) == 1)
        k->destroy(k);
}

void kept_expire(struct kept_table *t, int64_t deadline_ms)
{
    struct place *dropped = NULL;

    pthread_mutex_lock(&t->lock);
    while (t->oldest != NULL && t->oldest->used < deadline_ms)
        take_oldest(t, &dropped);
    pthread_mutex_unlock(&t->lock);
    free_places(dropped);
}

size_t kept_bytes(struct kept_table *t, size_t *count_r)
{
    size_t bytes;

    pthread_mutex_lock(&t->lock);
    bytes = t->bytes;
    *count_r = hash_count(t->places);
    pthread_mutex_unlock(&t->lock);
    return bytes;
}

/* ---- messages ---- */

static uint64_t guid_of(const struct mailbox_record *record)
{
    uint64_t guid;

    memcpy(&guid, record->guid, sizeof(guid));
    return guid;
}

/* The first whose UID is at least that. */
static uint32_t place_of_uid(const struct kept_messages *m, uint32_t uid)
{
    uint32_t low = 0, high = m->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (m->items[middle].uid < uid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct kept_message *kept_look_up(const struct kept_messages *m, uint32_t *cursor,
                                        const struct mailbox_record *record)
{
    uint32_t i = *cursor;

    if (i < m->count && m->items[i].uid != record->uid)
        i++;
    if (i >= m->count || m->items[i].uid != record->uid)
        i = place_of_uid(m, record->uid);
    *cursor = i;
    return i < m->count && m->items[i].uid == record->uid && m->items[i].guid == guid_of(record)
               ? &m->items[i]
               : NULL;
}

static void append_message(struct kept_messages *m, const struct kept_message *one)
{
    if (m->count == m->room) {
        m->room = m->room + m->room / 2 + 64;
        m->items = xreallocarray(m->items, m->room, sizeof(*m->items));
    }
    m->items[m->count++] = *one;
}

void kept_add(struct kept_messages *m, const struct mailbox_record *record, uint32_t value)
{
    BUG_ON(m->count > 0 && m->items[m->count - 1].uid >= record->uid);
    append_message(m, &(struct kept_message){record->uid, value, guid_of(record)});
}

void kept_merge(struct kept_messages *to, const struct kept_messages *old, const uint32_t *map,
                const struct kept_messages *news)
{
    uint32_t i = 0, k = 0;

    *to = (struct kept_messages){.room = old->count + news->count};
    to->items = xreallocarray(NULL, to->room, sizeof(*to->items));
    while (i < old->count || k < news->count) {
        bool from_old = k == news->count || (i < old->count && old->items[i].uid < news->items[k].uid);
        struct kept_message one = from_old ? old->items[i] : news->items[k];

        if (from_old && map != NULL)
            one.value = map[one.value];
        if (!from_old && i < old->count && old->items[i].uid == one.uid)
            i++;
        append_message(to, &one);
        *(from_old ? &i : &k) += 1;
    }
}
