/* quota.c: the store's side of quotas. */
#include "imap/store/quota.h"

#include <string.h>

#include "imap/store/mailbox-private.h"
#include "lib/base/error.h"
#include "lib/mboxlist/mboxlist.h"

static bool over(int64_t limit, int64_t used, uint64_t more, enum quota_mode mode)
{
    if (limit == QUOTA_UNLIMITED)
        return false;
    if (mode == QUOTA_ALREADY)
        return used >= limit;
    return used > limit || more > (uint64_t)(limit - used);
}

/* False: there is nothing to judge by. */
static bool get_both(struct store *store, const char *root, struct quota_limits *limits_r,
                     struct quota_usage *usage_r)
{
    return root[0] != '\0' && quota_limits_get(store->list, root, limits_r) == 0 &&
           quota_usage_get(store->volatile_env, root, usage_r) == 0;
}

int store_quota_check(struct store *store, const char *root, enum quota_mode mode, uint64_t bytes,
                      uint64_t messages)
{
    struct quota_limits limits;
    struct quota_usage usage;

    if (mode == QUOTA_IGNORE || !get_both(store, root, &limits, &usage))
        return 0;
    if (over(limits.limit[QUOTA_STORAGE], usage.used[QUOTA_STORAGE], bytes, mode) ||
        over(limits.limit[QUOTA_MESSAGE], usage.used[QUOTA_MESSAGE], messages, mode))
        return ERR_OVERQUOTA;
    return 0;
}

int store_quota_check_mailboxes(struct store *store, const char *root, uint64_t mailboxes)
{
    struct quota_limits limits;
    struct quota_usage usage;

    if (!get_both(store, root, &limits, &usage))
        return 0;
    return over(limits.limit[QUOTA_MAILBOX], usage.used[QUOTA_MAILBOX], mailboxes, QUOTA_STRICT)
               ? ERR_OVERQUOTA
               : 0;
}

/* One thread counts; the others wait for it, or do not. */
static int prepare(struct store *store, bool wait)
{
    bool complete = false;
    int r = quota_usage_complete(store->volatile_env, &complete);

    if (r < 0 || complete)
        return r;
    if (wait)
        pthread_mutex_lock(&store->counting);
    else if (pthread_mutex_trylock(&store->counting) != 0)
        return 0;
    r = quota_usage_complete(store->volatile_env, &complete);
    if (r == 0 && !complete)
        r = store_quota_recount(store, NULL);
    pthread_mutex_unlock(&store->counting);
    return r < 0 ? r : 0;
}

int store_quota_prepare(struct store *store)
{
    return prepare(store, false);
}

int store_quota_usage(struct store *store, const char *root, struct quota_usage *usage_r)
{
    int r = prepare(store, true);

    return r < 0 ? r : quota_usage_get(store->volatile_env, root, usage_r);
}

int mailbox_quota_commit(struct mailbox *m)
{
    const struct mailbox_header *h = m->lock != NULL ? &m->next : &m->header;
    struct quota_usage usage = {{0}};

    usage.used[QUOTA_STORAGE] = (int64_t)h->storage;
    usage.used[QUOTA_MESSAGE] = h->exists;
    usage.used[QUOTA_ANNOTATION_STORAGE] = (int64_t)h->annotation_storage;
    usage.used[QUOTA_MAILBOX] = 1;
    return quota_usage_set(m->store->volatile_env, m->id, h->quota_root, &usage);
}

/* Under the shared lock, so that a commit under way does not set its newer numbers first. */
static int count_mailbox(struct store *store, const struct mboxlist_record *record)
{
    struct mailbox *m;
    struct lock *lock;
    int r = mailbox_open(store, record->partition, record->id, &m);

    if (r < 0)
        return r == ERR_NOTFOUND ? 0 : r;
    r = lock_acquire(m->fd, LOCK_SHARED, store->options.lock_ms, &lock);
    if (r == 0) {
        r = mailbox_refresh(m);
        if (r == 0)
            r = mailbox_quota_commit(m);
        lock_release(&lock);
    }
    mailbox_close(&m);
    return r < 0 ? r : 1;
}

/* A mailbox that is no more, and was not taken out of its root. */
static int drop_if_gone(const char *id, void *context)
{
    struct store *store = context;
    struct pool *pool = pool_new(0);
    struct mboxlist_record record;
    int r = mboxlist_lookup_id(store->list, id, pool, &record);

    if (r == ERR_NOTFOUND)
        r = quota_usage_drop(store->volatile_env, id);
    pool_free(&pool);
    return r;
}

int store_quota_recount(struct store *store, int *wrong_r)
{
    struct mboxlist_iter *it = mboxlist_iter_all(store->list, "", MBOXLIST_TYPE_BIT(MBOXLIST_LOCAL));
    const struct mboxlist_record *record;
    int counted = 0, r;

    while ((r = mboxlist_iter_next(it, &record)) == 1) {
        r = count_mailbox(store, record);
        counted += r == 1;
        /* a damaged mailbox must not keep all others from being counted */
    }
    mboxlist_iter_free(&it);
    if (r == 0)
        r = quota_usage_each_mailbox(store->volatile_env, drop_if_gone, store);
    if (r == 0)
        r = quota_usage_recompute(store->volatile_env);
    if (r >= 0 && wrong_r != NULL)
        *wrong_r = r;
    if (r >= 0)
        r = quota_usage_set_complete(store->volatile_env);
    return r < 0 ? r : counted;
}
