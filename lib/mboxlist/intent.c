/* intent.c: intents, in order of their numbers. */
#include "lib/mboxlist/intent.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/mboxlist/mboxlist-private.h"

enum { INTENT_VERSION = 1, INTENT_BATCH = 64 };

/* Big-endian, so that the order of keys is that of numbers. */
static void intent_key(struct buf *key, uint64_t number)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        buf_putc(key, (char)(number >> shift));
}

static void encode(const struct intent *intent, struct buf *value)
{
    pack_u8(value, INTENT_VERSION);
    pack_u8(value, intent->operation);
    pack_u16(value, intent->phase);
    pack_zeros(value, 4);
    pack_u64(value, intent->number);
    pack_u64(value, (uint64_t)intent->time);
    pack_zeros(value, 8);
    pack_string(value, intent->name);
    pack_string(value, intent->new_name);
    pack_string(value, intent->id);
    pack_string(value, intent->location);
    pack_string(value, intent->acl);
}

static int decode(const struct db_value *value, struct pool *pool, struct intent *intent_r)
{
    struct packed r = {.at = value->data, .left = value->len};

    if (unpack(&r, 1) != INTENT_VERSION)
        return ERR_VERSION;
    *intent_r = (struct intent){.operation = (enum intent_operation)unpack(&r, 1)};
    intent_r->phase = (unsigned)unpack(&r, 2);
    unpack_skip(&r, 4);
    intent_r->number = unpack(&r, 8);
    intent_r->time = (int64_t)unpack(&r, 8);
    unpack_skip(&r, 8);
    intent_r->name = unpack_string(&r, pool);
    intent_r->new_name = unpack_string(&r, pool);
    intent_r->id = unpack_string(&r, pool);
    intent_r->location = unpack_string(&r, pool);
    intent_r->acl = unpack_string(&r, pool);
    return r.bad ? ERR_CORRUPT : 0;
}

static int put_intent(struct mboxlist_txn *txn, const struct intent *intent)
{
    struct buf key = BUF_INIT, value = BUF_INIT;
    int r;

    intent_key(&key, intent->number);
    encode(intent, &value);
    r = txn_put(txn, TABLE_INTENTS, &key, &value);
    buf_free(&key);
    buf_free(&value);
    return r;
}

int intent_txn_add(struct mboxlist_txn *txn, struct intent *intent)
{
    int r = txn_number_get(txn, "intent", &intent->number);

    if (r < 0)
        return r;
    intent->number++;
    intent->time = clock_wall();
    r = txn_number_put(txn, "intent", intent->number);
    return r < 0 ? r : put_intent(txn, intent);
}

int intent_txn_update(struct mboxlist_txn *txn, const struct intent *intent)
{
    struct buf key = BUF_INIT;
    struct db_value value;
    int r;

    intent_key(&key, intent->number);
    r = txn_get(txn, TABLE_INTENTS, &key, &value);
    buf_free(&key);
    return r < 0 ? r : put_intent(txn, intent);
}

int intent_txn_remove(struct mboxlist_txn *txn, uint64_t number)
{
    struct buf key = BUF_INIT;
    int r;

    intent_key(&key, number);
    r = txn_delete(txn, TABLE_INTENTS, &key);
    buf_free(&key);
    return r;
}

static int finish(struct mboxlist_txn **txn, int r)
{
    if (r == 0)
        return mboxlist_commit(txn);
    mboxlist_abort(txn);
    return r;
}

int intent_add(struct mboxlist *list, struct intent *intent)
{
    struct mboxlist_txn *txn;
    int r = mboxlist_begin(list, &txn);

    return r < 0 ? r : finish(&txn, intent_txn_add(txn, intent));
}

int intent_remove(struct mboxlist *list, uint64_t number)
{
    struct mboxlist_txn *txn;
    int r = mboxlist_begin(list, &txn);

    return r < 0 ? r : finish(&txn, intent_txn_remove(txn, number));
}

struct intent_visit {
    int (*fn)(const struct intent *intent, void *context);
    void *context;
};

static int visit_intent(const struct db_value *key, const struct db_value *value, void *context)
{
    struct intent_visit *visit = context;
    struct pool *pool = pool_new(0);
    struct intent intent;
    int r = decode(value, pool, &intent);

    (void)key;
    if (r == 0)
        r = visit->fn(&intent, visit->context);
    pool_free(&pool);
    return r;
}

int intent_each(struct mboxlist *list, int (*fn)(const struct intent *intent, void *context), void *context)
{
    struct intent_visit visit = {fn, context};

    return db_scan_batches(list->env, list->tables[TABLE_INTENTS], NULL, 0, NULL, 0, INTENT_BATCH,
                           visit_intent, &visit);
}

struct find {
    const char *name;
    struct pool *pool;
    struct intent *intent;
};

static int match(const struct intent *intent, void *context)
{
    struct find *find = context;

    if (strcmp(intent->name, find->name) != 0 && strcmp(intent->new_name, find->name) != 0)
        return 0;
    *find->intent = *intent;
    find->intent->name = pool_strdup(find->pool, intent->name);
    find->intent->new_name = pool_strdup(find->pool, intent->new_name);
    find->intent->id = pool_strdup(find->pool, intent->id);
    find->intent->location = pool_strdup(find->pool, intent->location);
    find->intent->acl = pool_strdup(find->pool, intent->acl);
    return 1;
}

int intent_find(struct mboxlist *list, const char *name, struct pool *pool, struct intent *intent_r)
{
    struct find find = {name, pool, intent_r};
    int r = intent_each(list, match, &find);

    if (r == 0)
        return ERR_NOTFOUND;
    return r < 0 ? r : 0;
}
