/* db-private.h: what an engine gives to db.c. */
#ifndef LIB_DB_DB_PRIVATE_H
#define LIB_DB_DB_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/db/db.h"

#define DB_ENV_MAGIC 0xdb0e7001u
#define DB_TXN_MAGIC 0xdb0e7002u

/* First member of an engine's own environment. */
struct db_env {
    unsigned magic;
    const struct db_engine_ops *ops;
    char *path;
    dev_t dev; /* of the directory: two names of one environment are one */
    ino_t ino;
    unsigned refs;
    unsigned flags;
    unsigned n_tables;
    char *tables[DB_TABLES_MAX];
    struct db_env *next; /* in the process's list */
};

/* First member of an engine's own transaction. */
struct db_txn {
    unsigned magic;
    struct db_env *env;
    bool write, lazy;
};

enum db_seek { DB_SEEK_FIRST, DB_SEEK_AT_OR_AFTER, DB_SEEK_AFTER_THIS };

struct db_cursor; /* the engine's */

/* Functions return 0 or ERR_*, as in db.h. */
struct db_engine_ops {
    /* The directory exists; `base` is filled in.  *env_r is freed by close(). */
    int (*open)(const struct db_env *base, int64_t map_size, struct db_env **env_r, char **error_r);
    void (*close)(struct db_env *env);
    void (*reader_check)(struct db_env *env);
    int (*sync)(struct db_env *env);
    int (*checkpoint)(struct db_env *env); /* NULL: nothing to do */
    int (*flush)(struct db_env *env);      /* NULL: commits are durable before anybody sees them */
    int (*begin)(struct db_env *env, bool write, struct db_txn **txn_r);
    int (*commit)(struct db_txn *txn); /* frees */
    void (*abort)(struct db_txn *txn); /* frees */
    int (*get)(struct db_txn *txn, unsigned table, const struct db_value *key, struct db_value *value_r);
    int (*put)(struct db_txn *txn, unsigned table, const struct db_value *key, const struct db_value *value,
               bool only_new);
    int (*remove)(struct db_txn *txn, unsigned table, const struct db_value *key);
    int (*count)(struct db_txn *txn, unsigned table, uint64_t *count_r);
    int (*cursor_open)(struct db_txn *txn, unsigned table, struct db_cursor **cursor_r);
    /* key is read for DB_SEEK_AT_OR_AFTER, and written; ERR_NOTFOUND at the end. */
    int (*cursor_get)(struct db_cursor *cursor, enum db_seek seek, struct db_value *key,
                      struct db_value *value);
    void (*cursor_close)(struct db_cursor *cursor);
};

extern const struct db_engine_ops db_lmdb_ops, db_berkeley_ops;

#endif
