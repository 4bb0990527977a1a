/* quota.c: quota roots and their limits. */
#include "lib/mboxlist/quota.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/mboxlist/mboxlist-private.h"

enum { QUOTA_VERSION = 1, QUOTA_ROOM = 8, QUOTA_BATCH = 256 };

static void encode_limits(const struct quota_limits *limits, struct buf *value)
{
    pack_u8(value, QUOTA_VERSION);
    pack_zeros(value, 7);
    for (unsigned i = 0; i < QUOTA_ROOM; i++)
        pack_u64(value, (uint64_t)(i < QUOTA_RESOURCES ? limits->limit[i] : QUOTA_UNLIMITED));
    pack_zeros(value, 24);
}

static int decode_limits(const struct db_value *value, struct quota_limits *limits_r)
{
    struct packed r = {.at = value->data, .left = value->len};

    if (unpack(&r, 1) != QUOTA_VERSION)
        return ERR_VERSION;
    unpack_skip(&r, 7);
    for (unsigned i = 0; i < QUOTA_RESOURCES; i++)
        limits_r->limit[i] = (int64_t)unpack(&r, 8);
    return r.bad ? ERR_CORRUPT : 0;
}

static bool root_fits(const char *root)
{
    return root[0] != '\0' && strlen(root) <= MBOXLIST_NAME_MAX;
}

static int get_limits(struct mboxlist *list, struct db_txn *txn, const char *root,
                      struct quota_limits *limits_r)
{
    struct buf key = BUF_INIT;
    struct db_value value;
    int r;

    if (!root_fits(root))
        return ERR_NOTFOUND;
    key_name(&key, root);
    r = db_get(txn, list->tables[TABLE_QUOTA], key.data, key.len, &value);
    buf_free(&key);
    return r < 0 ? r : decode_limits(&value, limits_r);
}

int quota_limits_get(struct mboxlist *list, const char *root, struct quota_limits *limits_r)
{
    struct db_txn *txn;
    int r = db_begin(list->env, false, &txn);

    if (r < 0)
        return r;
    r = get_limits(list, txn, root, limits_r);
    db_abort(&txn);
    return r;
}

/* Shortens the candidate to its parent; "example.com!user" to "example.com!", the domain's root; false at the
 * top. */
static bool to_parent(struct buf *name)
{
    const char *bang = strchr(buf_cstr(name), '!'), *dot = strrchr(buf_cstr(name), '.');

    if (bang != NULL && dot != NULL && dot < bang)
        dot = NULL; /* a dot of the domain */
    if (dot == NULL && (bang == NULL || bang[1] == '\0'))
        return false;
    buf_truncate(name, (size_t)((dot != NULL ? dot : bang + 1) - name->data));
    return true;
}

int quota_root_of(struct mboxlist *list, const char *name, struct buf *root)
{
    struct quota_limits limits;
    struct buf candidate = BUF_INIT;
    struct db_txn *txn;
    int r = db_begin(list->env, false, &txn);

    if (r < 0)
        return r;
    buf_puts(&candidate, name);
    do
        r = get_limits(list, txn, buf_cstr(&candidate), &limits);
    while (r == ERR_NOTFOUND && to_parent(&candidate));
    db_abort(&txn);
    if (r == 0)
        buf_append(root, candidate.data, candidate.len);
    buf_free(&candidate);
    return r;
}

static int put_limits(struct mboxlist_txn *txn, const char *root, const struct quota_limits *limits)
{
    struct buf key = BUF_INIT, value = BUF_INIT;
    int r;

    key_name(&key, root);
    encode_limits(limits, &value);
    r = txn_put(txn, TABLE_QUOTA, &key, &value);
    buf_free(&key);
    buf_free(&value);
    return r;
}

static int delete_root(struct mboxlist_txn *txn, const char *root)
{
    struct buf key = BUF_INIT;
    int r;

    key_name(&key, root);
    r = txn_delete(txn, TABLE_QUOTA, &key);
    buf_free(&key);
    return r;
}

int quota_txn_limits_set(struct mboxlist_txn *txn, const char *root, const struct quota_limits *limits)
{
    if (!root_fits(root))
        return limits != NULL ? ERR_BADNAME : ERR_NOTFOUND;
    return limits != NULL ? put_limits(txn, root, limits) : delete_root(txn, root);
}

/* The same in a transaction of its own. */
static int change_root(struct mboxlist *list, const char *root, const struct quota_limits *limits)
{
    struct mboxlist_txn *txn;
    int r = mboxlist_begin(list, &txn);

    if (r < 0)
        return r;
    r = quota_txn_limits_set(txn, root, limits);
    if (r == 0)
        return mboxlist_commit(&txn);
    mboxlist_abort(&txn);
    return r;
}

int quota_limits_set(struct mboxlist *list, const char *root, const struct quota_limits *limits)
{
    return change_root(list, root, limits);
}

int quota_root_delete(struct mboxlist *list, const char *root)
{
    return change_root(list, root, NULL);
}

struct roots_visit {
    int (*fn)(const char *root, const struct quota_limits *limits, void *context);
    void *context;
};

static int visit_root(const struct db_value *key, const struct db_value *value, void *context)
{
    struct roots_visit *visit = context;
    struct pool *pool = pool_new(0);
    struct quota_limits limits;
    int r = decode_limits(value, &limits);

    if (r == 0)
        r = visit->fn(key_to_name(pool, key->data, key->len), &limits, visit->context);
    pool_free(&pool);
    return r;
}

int quota_roots_each(struct mboxlist *list, const char *prefix,
                     int (*fn)(const char *root, const struct quota_limits *limits, void *context),
                     void *context)
{
    struct roots_visit visit = {fn, context};
    struct buf key = BUF_INIT;
    int r = 0;

    key_name(&key, prefix == NULL ? "" : prefix);
    if (key.len <= DB_KEY_MAX)
        r = db_scan_batches(list->env, list->tables[TABLE_QUOTA], NULL, 0, key.data, key.len, QUOTA_BATCH,
                            visit_root, &visit);
    buf_free(&key);
    return r;
}

int quota_txn_roots_rename(struct mboxlist_txn *txn, const char *old_tree, const char *new_tree)
{
    struct buf prefix = BUF_INIT, renamed = BUF_INIT;
    size_t len = strlen(old_tree);
    struct quota_limits limits;
    struct pair_list pairs;
    int r;

    key_name(&prefix, old_tree);
    r = txn_collect(txn, TABLE_QUOTA, &prefix, &pairs);
    for (size_t i = 0; i < pairs.count && r == 0; i++) {
        const char *root = key_to_name(pairs.pool, pairs.keys[i].data, pairs.keys[i].len);

        if (root[len] != '\0' && root[len] != '.')
            continue;
        buf_reset(&renamed);
        buf_printf(&renamed, "%s%s", new_tree, root + len);
        r = renamed.len > MBOXLIST_NAME_MAX ? ERR_TOOBIG : decode_limits(&pairs.values[i], &limits);
        if (r == 0)
            r = delete_root(txn, root);
        if (r == 0)
            r = put_limits(txn, buf_cstr(&renamed), &limits);
    }
    pair_list_free(&pairs);
    buf_free(&prefix);
    buf_free(&renamed);
    return r;
}
