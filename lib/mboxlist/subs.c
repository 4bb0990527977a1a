/* subs.c: subscriptions. */
#include "lib/mboxlist/subs.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/mboxlist/journal.h"
#include "lib/mboxlist/mboxlist-private.h"

enum { SUBS_VERSION = 1, SUBS_BATCH = 256 };

static void subs_key(struct buf *key, const char *userid, const char *name)
{
    key_owner(key, userid);
    key_name(key, name);
}

static void subs_value(struct buf *value, const char *userid)
{
    pack_u8(value, SUBS_VERSION);
    pack_zeros(value, 7); /* flags to come */
    pack_string(value, userid);
}

static int note_change(struct mboxlist_txn *txn, const char *userid, const char *name, bool is)
{
    const struct journal_row row = {.kind = JOURNAL_SUBSCRIPTION, .is = is, .name = name, .userid = userid};

    return journal_txn_add(txn, &row);
}

static int put_sub(struct mboxlist_txn *txn, const char *userid, const char *name)
{
    struct buf key = BUF_INIT, value = BUF_INIT;
    int r;

    subs_key(&key, userid, name);
    subs_value(&value, userid);
    r = txn_put(txn, TABLE_SUBSCRIPTIONS, &key, &value);
    buf_free(&key);
    buf_free(&value);
    return r < 0 ? r : note_change(txn, userid, name, true);
}

static int delete_sub(struct mboxlist_txn *txn, const char *userid, const char *name)
{
    struct buf key = BUF_INIT;
    int r;

    subs_key(&key, userid, name);
    r = txn_delete(txn, TABLE_SUBSCRIPTIONS, &key);
    buf_free(&key);
    if (r < 0)
        return r == ERR_NOTFOUND ? 0 : r;
    return note_change(txn, userid, name, false);
}

static bool name_fits(const char *userid, const char *name)
{
    return userid[0] != '\0' && name[0] != '\0' && strlen(name) <= MBOXLIST_NAME_MAX;
}

int mboxlist_subscribed(struct mboxlist *list, const char *userid, const char *name)
{
    struct buf key = BUF_INIT;
    struct db_value value;
    struct db_txn *txn;
    int r;

    if (!name_fits(userid, name))
        return 0;
    r = db_begin(list->env, false, &txn);
    if (r < 0)
        return r;
    subs_key(&key, userid, name);
    r = db_get(txn, list->tables[TABLE_SUBSCRIPTIONS], key.data, key.len, &value);
    buf_free(&key);
    db_abort(&txn);
    if (r == ERR_NOTFOUND)
        return 0;
    return r < 0 ? r : 1;
}

static int count_sub(const struct db_value *key, const struct db_value *value, void *context)
{
    size_t *count = context;

    (void)key;
    (void)value;
    return ++*count >= MBOXLIST_SUBS_MAX ? ERR_LIMIT : 0;
}

/* 0, or ERR_LIMIT: the user has as many as he may. */
static int check_room(struct mboxlist_txn *txn, const char *userid)
{
    struct buf owner = BUF_INIT;
    size_t count = 0;
    int r;

    key_owner(&owner, userid);
    r = db_scan(txn->db, txn->list->tables[TABLE_SUBSCRIPTIONS], owner.data, owner.len, owner.data, owner.len,
                count_sub, &count);
    buf_free(&owner);
    return r;
}

int mboxlist_subscribe(struct mboxlist *list, const char *userid, const char *name, bool subscribed)
{
    struct mboxlist_txn *txn;
    int r;

    if (!name_fits(userid, name))
        return subscribed ? ERR_BADNAME : 0;
    r = mboxlist_subscribed(list, userid, name);
    if (r < 0 || (r == 1) == subscribed)
        return r < 0 ? r : 0; /* without a write, as mail clients ask all the time */
    r = mboxlist_begin(list, &txn);
    if (r < 0)
        return r;
    r = subscribed ? check_room(txn, userid) : 0;
    if (r == 0)
        r = subscribed ? put_sub(txn, userid, name) : delete_sub(txn, userid, name);
    if (r == 0)
        return mboxlist_commit(&txn);
    mboxlist_abort(&txn);
    return r;
}

struct subs_visit {
    size_t owner_len;
    int (*fn)(const char *name, void *context);
    void *context;
};

static int visit_sub(const struct db_value *key, const struct db_value *value, void *context)
{
    struct subs_visit *visit = context;
    struct pool *pool = pool_new(0);
    int r;

    (void)value;
    r = visit->fn(key_to_name(pool, (const char *)key->data + visit->owner_len, key->len - visit->owner_len),
                  visit->context);
    pool_free(&pool);
    return r;
}

int mboxlist_subs_each(struct mboxlist *list, const char *userid, const char *prefix,
                       int (*fn)(const char *name, void *context), void *context)
{
    struct subs_visit visit = {.fn = fn, .context = context};
    struct buf key = BUF_INIT;
    int r = 0;

    key_owner(&key, userid);
    visit.owner_len = key.len;
    key_name(&key, prefix == NULL ? "" : prefix);
    if (key.len <= DB_KEY_MAX)
        r = db_scan_batches(list->env, list->tables[TABLE_SUBSCRIPTIONS], NULL, 0, key.data, key.len,
                            SUBS_BATCH, visit_sub, &visit);
    buf_free(&key);
    return r;
}

/* Calls fn for each subscription of the user that is collected first, for it to change them. */
static int for_each_collected(struct mboxlist_txn *txn, const char *userid,
                              int (*fn)(struct mboxlist_txn *txn, const char *name, const void *context),
                              const void *context)
{
    struct buf prefix = BUF_INIT;
    struct pair_list pairs;
    int r;

    key_owner(&prefix, userid);
    r = txn_collect(txn, TABLE_SUBSCRIPTIONS, &prefix, &pairs);
    for (size_t i = 0; i < pairs.count && r == 0; i++)
        r = fn(txn,
               key_to_name(pairs.pool, (const char *)pairs.keys[i].data + prefix.len,
                           pairs.keys[i].len - prefix.len),
               context);
    pair_list_free(&pairs);
    buf_free(&prefix);
    return r;
}

struct rekey {
    const char *userid, *new_userid; /* of the user; NULL: to be removed */
    const char *old_tree, *new_tree; /* of the names; NULL: as they are */
};

static int rekey_one(struct mboxlist_txn *txn, const char *name, const void *context)
{
    const struct rekey *rekey = context;
    struct buf renamed = BUF_INIT;
    size_t len = rekey->old_tree == NULL ? 0 : strlen(rekey->old_tree);
    int r;

    if (rekey->old_tree == NULL) {
        buf_puts(&renamed, name);
    } else {
        if (strncmp(name, rekey->old_tree, len) != 0 || (name[len] != '\0' && name[len] != '.'))
            return 0;
        buf_printf(&renamed, "%s%s", rekey->new_tree, name + len);
    }
    r = delete_sub(txn, rekey->userid, name);
    if (r == 0 && rekey->new_userid != NULL && renamed.len <= MBOXLIST_NAME_MAX)
        r = put_sub(txn, rekey->new_userid, buf_cstr(&renamed));
    buf_free(&renamed);
    return r;
}

int mboxlist_txn_subs_rekey(struct mboxlist_txn *txn, const char *userid, const char *new_userid)
{
    const struct rekey rekey = {.userid = userid, .new_userid = new_userid};

    return for_each_collected(txn, userid, rekey_one, &rekey);
}

int mboxlist_txn_subs_rename(struct mboxlist_txn *txn, const char *userid, const char *old_tree,
                             const char *new_tree)
{
    const struct rekey rekey = {userid, userid, old_tree, new_tree};

    return for_each_collected(txn, userid, rekey_one, &rekey);
}
