/* follow.c: the list of a master's own node. */
#include "mupdate/follow.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/mboxlist/remote.h"

enum { FOLLOW_BATCH = 1024, AGAIN_MS = 1000, SOON_MS = 50, HOUSEKEEPING_MS = 60 * 1000 };

struct follower {
    struct names *names;
    struct source *source;
    struct mboxlist *list;
    struct mboxlist_remote *remote;
    struct hub *hub;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t kicked;
    bool stop;
    int error; /* of adding an entry */
    bool listing;
    _Atomic uint64_t applied;
};

static void add_entry(const struct entry *entry, void *context)
{
    static const enum mboxlist_change_type types[] = {[MUPDATE_ABSENT] = MBOXLIST_CHANGE_DELETE,
                                                      [MUPDATE_IS_RESERVED] = MBOXLIST_CHANGE_RESERVE,
                                                      [MUPDATE_ACTIVE] = MBOXLIST_CHANGE_MAILBOX};
    struct mboxlist_change change = {
        .type = types[entry->state], .name = entry->name, .location = entry->location, .acl = entry->acl};
    struct follower *f = context;

    if (entry->state == MUPDATE_ACTIVE) {
        const char *type = entry->details.type;

        change.id = entry->details.id;
        change.special_use = entry->details.special_use;
        if (*type != '\0' && strcmp(type, MUPDATE_TYPE_MAIL) != 0) { /* no mail in it */
            if (f->listing)
                return;
            change.type = MBOXLIST_CHANGE_DELETE;
        }
    }
    if (f->error == 0)
        f->error = mboxlist_remote_add(f->remote, &change);
}

static bool is_behind(struct follower *f)
{
    return atomic_load(&f->applied) < f->source->ops->sequence(f->source);
}

/* Waits for a kick.  False: stop. */
static bool rest(struct follower *f, int64_t ms, bool even_if_behind)
{
    int64_t deadline = clock_deadline(ms);
    struct timespec until = {deadline / 1000, deadline % 1000 * 1000000};
    bool go_on;

    pthread_mutex_lock(&f->mutex);
    while (!f->stop && (even_if_behind || !is_behind(f)) && clock_left(deadline) != 0)
        pthread_cond_timedwait(&f->kicked, &f->mutex, &until);
    go_on = !f->stop;
    pthread_mutex_unlock(&f->mutex);
    return go_on;
}

static int read_all(struct follower *f)
{
    struct cursor *cursor = f->source->ops->list_begin(f->source);
    int r;

    f->listing = true;
    do {
        r = f->source->ops->list_next(cursor, FOLLOW_BATCH, add_entry, f);
        if (r == ERR_AGAIN && !rest(f, SOON_MS, true)) /* it goes on where it was */
            break;
    } while ((r > 0 || r == ERR_AGAIN) && f->error == 0);
    f->listing = false;
    f->source->ops->list_end(&cursor);
    return f->error < 0 ? f->error : r;
}

/* Everything, from the beginning. */
static int sync_all(struct follower *f)
{
    uint64_t sequence = f->source->ops->sequence(f->source);
    int r;

    mboxlist_remote_full_begin(f->remote, true);
    r = read_all(f);
    if (r < 0)
        return r;
    mboxlist_remote_set_position(f->remote, f->source->ops->epoch(f->source), sequence);
    r = mboxlist_remote_full_end(f->remote);
    if (r == 0)
        atomic_store(&f->applied, sequence);
    return r;
}

/* What has happened since. */
static int sync_changes(struct follower *f)
{
    uint64_t applied = atomic_load(&f->applied);
    int r = f->source->ops->changes(f->source, &applied, FOLLOW_BATCH, add_entry, f);

    if (r == ERR_EXPUNGED)
        return sync_all(f);
    if (r == 0)
        r = f->error;
    if (r < 0)
        return r;
    mboxlist_remote_set_position(f->remote, f->source->ops->epoch(f->source), applied);
    r = mboxlist_remote_flush(f->remote);
    if (r == 0)
        atomic_store(&f->applied, applied);
    return r;
}

static int begin(struct follower *f)
{
    uint64_t epoch, sequence;
    int r = mboxlist_remote_position(f->list, &epoch, &sequence);

    if (r < 0)
        return r;
    if (f->source->ops->epoch(f->source) == 0)
        return ERR_AGAIN; /* a member of a group that has no copy yet */
    if (epoch != f->source->ops->epoch(f->source) || sequence > f->source->ops->sequence(f->source))
        return sync_all(f);
    atomic_store(&f->applied, sequence);
    return 0;
}

/* ERR_AGAIN: a member of a group waits for the others. */
static int64_t rest_ms(int r)
{
    return r == 0 ? HOUSEKEEPING_MS : r == ERR_AGAIN ? SOON_MS : AGAIN_MS;
}

static void *run(void *context)
{
    struct follower *f = context;
    bool begun = false;
    int r = 0;

    do {
        f->error = 0;
        r = begun ? 0 : begin(f);
        begun = r == 0;
        while (r == 0 && is_behind(f))
            r = sync_changes(f);
        if (r == ERR_UNKNOWN) /* of a group: what was read may be undone */
            r = ERR_AGAIN;
        if (r < 0 && r != ERR_AGAIN)
            LOG(LOG_ERR, MUPDATE_FOLLOW, LOG_ERROR(r));
        hub_wake(f->hub);
        mboxlist_housekeeping(f->list);
    } while (rest(f, rest_ms(r), r < 0));
    return NULL;
}

struct follower *follower_new(struct names *names, struct mboxlist *list, const char *own, struct hub *hub)
{
    struct follower *f = xcalloc(1, sizeof(*f));
    pthread_condattr_t monotonic;

    f->names = names;
    f->source = names_source(names);
    f->list = list;
    f->hub = hub;
    f->remote = mboxlist_remote_new(list, own);
    pthread_mutex_init(&f->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&f->kicked, &monotonic);
    pthread_condattr_destroy(&monotonic);
    BUG_ON(pthread_create(&f->thread, NULL, run, f) != 0);
    return f;
}

void follower_kick(struct follower *f)
{
    pthread_mutex_lock(&f->mutex);
    pthread_cond_signal(&f->kicked);
    pthread_mutex_unlock(&f->mutex);
}

void follower_free(struct follower **fp)
{
    struct follower *f = *fp;

    if (f == NULL)
        return;
    *fp = NULL;
    pthread_mutex_lock(&f->mutex);
    f->stop = true;
    pthread_cond_signal(&f->kicked);
    pthread_mutex_unlock(&f->mutex);
    pthread_join(f->thread, NULL);
    mboxlist_remote_free(&f->remote);
    pthread_mutex_destroy(&f->mutex);
    pthread_cond_destroy(&f->kicked);
    free(f);
}

uint64_t follower_barrier_ask(void *follower)
{
    struct follower *f = follower;

    return f->source->ops->sequence(f->source);
}

int follower_barrier_done(void *follower, uint64_t ticket)
{
    struct follower *f = follower;

    return atomic_load(&f->applied) >= ticket;
}
