/* mboxlist-private.h: the tables of the list's environment (doc/formats/mailboxes.md). */
#ifndef LIB_MBOXLIST_MBOXLIST_PRIVATE_H
#define LIB_MBOXLIST_MBOXLIST_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/db/db.h"
#include "lib/db/pack.h"
#include "lib/mboxlist/key.h"
#include "lib/mboxlist/mboxlist.h"

enum mboxlist_table {
    TABLE_NAMES,
    TABLE_IDS,
    TABLE_REVERSE,
    TABLE_TOMBSTONES,
    TABLE_SUBSCRIPTIONS,
    TABLE_QUOTA,
    TABLE_ANNOTATIONS,
    TABLE_INTENTS,
    TABLE_META,
    TABLE_COUNT
};

#define MBOXLIST_MAGIC     0x3b0c1157u
#define MBOXLIST_TXN_MAGIC 0x3b0c7801u

struct mboxlist {
    unsigned magic;
    struct db_env *env;
    unsigned tables[TABLE_COUNT];
};

struct mboxlist_txn {
    unsigned magic;
    struct mboxlist *list;
    struct db_txn *db;
    struct pool *pool; /* for records read while writing; freed with the transaction */
};

/* ---- transactions ---- */

int txn_get(struct mboxlist_txn *txn, enum mboxlist_table table, const struct buf *key,
            struct db_value *value_r);
int txn_put(struct mboxlist_txn *txn, enum mboxlist_table table, const struct buf *key,
            const struct buf *value);
int txn_delete(struct mboxlist_txn *txn, enum mboxlist_table table, const struct buf *key);

/* One of the numbers in the table meta; 0 when it was never set. */
int list_number_get(const struct mboxlist *list, struct db_txn *db, const char *name, uint64_t *number_r);
int txn_number_get(struct mboxlist_txn *txn, const char *name, uint64_t *number_r);
int txn_number_put(struct mboxlist_txn *txn, const char *name, uint64_t number);

/* Collects every pair of a table whose key begins with prefix, copied, for changes while going through them. */
struct pair_list {
    struct pool *pool;
    struct db_value *keys, *values;
    size_t count, room;
};
int txn_collect(struct mboxlist_txn *txn, enum mboxlist_table table, const struct buf *prefix,
                struct pair_list *pairs);
void pair_list_free(struct pair_list *pairs);

#endif
