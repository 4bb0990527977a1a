/* mboxlist-private.h: tables, keys and values of the list's environment (doc/formats/mailboxes.md). */
#ifndef LIB_MBOXLIST_MBOXLIST_PRIVATE_H
#define LIB_MBOXLIST_MBOXLIST_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/db/db.h"
#include "lib/mboxlist/mboxlist.h"

enum mboxlist_table {
    TABLE_NAMES,
    TABLE_IDS,
    TABLE_REVERSE,
    TABLE_TOMBSTONES,
    TABLE_SUBSCRIPTIONS,
    TABLE_QUOTA,
    TABLE_ANNOTATIONS, /* nothing writes it yet: its format is documented with METADATA */
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

/* ---- keys ---- */

/* The separator of components in keys: below every character of a name, so that children follow their parent. */
#define KEY_SEPARATOR '\x1f'

/* Appends the key of a name (also of a prefix of names). */
void key_name(struct buf *key, const char *name);
/* The other way, in the pool. */
const char *key_to_name(struct pool *pool, const char *key, size_t len);

enum { KEY_OWNER_MAX = 20 };
/* Appends what precedes the names that belong to a user or identifier: at most KEY_OWNER_MAX + 1 bytes. */
void key_owner(struct buf *key, const char *identifier);

/* ---- values: little-endian ---- */

void value_put_u8(struct buf *to, unsigned v);
void value_put_u16(struct buf *to, unsigned v);
void value_put_u32(struct buf *to, uint32_t v);
void value_put_u64(struct buf *to, uint64_t v);
void value_put_zeros(struct buf *to, size_t n);
void value_put_string(struct buf *to, const char *s); /* NULL as "" */

struct value_reader {
    const unsigned char *at;
    size_t left;
    bool bad; /* something was asked for that is not there */
};
uint64_t value_get(struct value_reader *r, unsigned bytes);
void value_skip(struct value_reader *r, size_t n);
const char *value_get_string(struct value_reader *r, struct pool *pool);

/* ---- transactions ---- */

int txn_get(struct mboxlist_txn *txn, enum mboxlist_table table, const struct buf *key,
            struct db_value *value_r);
int txn_put(struct mboxlist_txn *txn, enum mboxlist_table table, const struct buf *key,
            const struct buf *value);
int txn_delete(struct mboxlist_txn *txn, enum mboxlist_table table, const struct buf *key);

/* One of the numbers in the table meta; 0 when it was never set. */
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
