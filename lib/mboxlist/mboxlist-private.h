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
    TABLE_JOURNAL,
    TABLE_META,
    TABLE_COUNT
};

#define MBOXLIST_MAGIC     0x3b0c1157u
#define MBOXLIST_TXN_MAGIC 0x3b0c7801u

struct mboxlist {
    unsigned magic;
    struct db_env *env;
    char *path;    /* of its directory */
    int notice_fd; /* written to when a commit has left rows in the journal; -1: not possible */
    char *notice_path;
    unsigned tables[TABLE_COUNT];
};

struct mboxlist_txn {
    unsigned magic;
    struct mboxlist *list;
    struct db_txn *db;
    struct pool *pool;        /* for records read while writing; freed with the transaction */
    unsigned journal_rows;    /* written so far */
    bool ids_later;           /* ids_write() writes the rows of the ids that are put now */
    bool renaming;            /* what is removed now comes under another name */
    const char *renamed_from; /* what the record that is put next was called before; NULL */
};

/* ---- transactions ---- */

int txn_get(struct mboxlist_txn *txn, enum mboxlist_table table, const struct buf *key,
            struct db_value *value_r);
int txn_put(struct mboxlist_txn *txn, enum mboxlist_table table, const struct buf *key,
            const struct buf *value);
int txn_delete(struct mboxlist_txn *txn, enum mboxlist_table table, const struct buf *key);

/* ---- the journal (journal.h), in the transaction of the change ---- */

struct journal_row;

int journal_txn_add(struct mboxlist_txn *txn, const struct journal_row *row);
/* A record was put, changed (both) or removed (after NULL); from: its name before, or NULL.  What no watcher can see
 * leaves no row. */
int journal_txn_name(struct mboxlist_txn *txn, const struct mboxlist_record *before,
                     const struct mboxlist_record *after, const char *from);
/* What this transaction does from here on is too much to be told row by row. */
int journal_txn_lost(struct mboxlist_txn *txn);

/* One of the numbers in the table meta; 0 when it was never set. */
int list_number_get(const struct mboxlist *list, struct db_txn *db, const char *name, uint64_t *number_r);
int txn_number_get(struct mboxlist_txn *txn, const char *name, uint64_t *number_r);
int txn_number_put(struct mboxlist_txn *txn, const char *name, uint64_t number);

/* A record that is most likely not there: ERR_EXISTS if it is.  Its id's row and the journal's are the caller's. */
int txn_put_new(struct mboxlist_txn *txn, const struct mboxlist_record *record);

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
