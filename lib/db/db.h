/* db.h: one small interface to ordered key-value stores, two engines.
 *
 * LMDB for what many processes of one machine share; Berkeley DB for what one process owns.
 * An environment is a directory (LMDB: FILE in it), a table a named B-tree in it; keys are ordered as bytes.
 *
 * Rules: one handle per environment and process (db_open gives the same one again, counted).  No
 * transaction lives across a call to a socket; a read transaction's pointers die with it.  A write
 * transaction belongs to the thread that began it, and one thread has at most one transaction.
 *
 * Keys: 1 to DB_KEY_MAX bytes; longer ones are the caller's to shorten (db_key_long()). */
#ifndef LIB_DB_DB_H
#define LIB_DB_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"

enum { DB_KEY_MAX = 511, DB_KEY_PLAIN_MAX = 491, DB_TABLES_MAX = 16 };

enum db_engine { DB_LMDB, DB_BERKELEY };

enum db_flags {
    DB_NO_SYNC = 1,  /* not durable: lost at a crash of the machine, consistent at one of a process */
    DB_READ_ONLY = 2 /* must exist */
};

struct db_env;
struct db_txn;

struct db_value {
    const void *data;
    size_t len;
};

/* Opens (makes) the environment at `path`.  map_size: LMDB's (0: the option db_map_size).
 * `tables`: every table name there will be, NULL-terminated.  0 or error; text in *error_r if not
 * NULL (malloc'ed). */
int db_open(enum db_engine engine, const char *path, unsigned flags, int64_t map_size,
            const char *const *tables, struct db_env **env_r, char **error_r);
void db_close(struct db_env **env);

/* The tables of an LMDB environment that is there, in the pool: for tools, before db_open().  0 or error. */
int db_table_names(const char *path, struct pool *pool, struct str_list *names_r);

/* The index of a table by its name, for the calls below; BUG_ON when unknown. */
unsigned db_table(const struct db_env *env, const char *name);

/* LMDB: reader slots of dead processes freed.  Called at open and every minute by services. */
void db_reader_check(struct db_env *env);

/* Write transactions exclude one another.  A read transaction sees one state: in LMDB while writers go on; in
 * Berkeley DB they wait for its end, as it waits for theirs. */
int db_begin(struct db_env *env, bool write, struct db_txn **txn_r);
/* Durable when it returns 0, unless the environment is DB_NO_SYNC.  Either way *txn = NULL. */
int db_commit(struct db_txn **txn);
/* For a write transaction that is one of many: a crash of the machine (in Berkeley DB also of the process) may undo its commit, and
 * those of lazy ones behind it, though nothing worse, until one that is not lazy, or db_flush(), has followed. */
void db_lazy(struct db_txn *txn);
void db_abort(struct db_txn **txn); /* *txn may be NULL */

/* value_r points into the database until the transaction ends (or its next write).  ERR_NOTFOUND. */
int db_get(struct db_txn *txn, unsigned table, const void *key, size_t key_len, struct db_value *value_r);
int db_put(struct db_txn *txn, unsigned table, const void *key, size_t key_len, const void *value,
           size_t value_len);
/* ERR_EXISTS if it is there. */
int db_add(struct db_txn *txn, unsigned table, const void *key, size_t key_len, const void *value,
           size_t value_len);
int db_delete(struct db_txn *txn, unsigned table, const void *key, size_t key_len); /* ERR_NOTFOUND */

/* Calls fn for each pair from `start` on (at or after; NULL: the first) while keys begin with `prefix`
 * (prefix_len 0: all), in order, until fn returns non-zero, which is returned; else 0.  Within txn. */
int db_scan(struct db_txn *txn, unsigned table, const void *start, size_t start_len, const void *prefix,
            size_t prefix_len,
            int (*fn)(const struct db_value *key, const struct db_value *value, void *context),
            void *context);

/* The same over short read transactions of at most `batch` pairs each, copied before fn sees them: for
 * scans whose fn talks to a socket or writes.  What changes meanwhile may or may not be seen. */
int db_scan_batches(struct db_env *env, unsigned table, const void *start, size_t start_len,
                    const void *prefix, size_t prefix_len, size_t batch,
                    int (*fn)(const struct db_value *key, const struct db_value *value, void *context),
                    void *context);

/* Number of pairs in a table (exact). */
int db_count(struct db_txn *txn, unsigned table, uint64_t *count_r);

/* Forces what was committed to the disk (for DB_NO_SYNC environments, and checkpoints). */
int db_sync(struct db_env *env);

/* Every few seconds, from one thread: Berkeley DB's checkpoint when it is due, which is after DB_CHECKPOINT_BYTES of its log, so
 * that a start behind a crash has no more to replay, and in any case after a minute.  (LMDB needs none.)  0 or error. */
enum { DB_CHECKPOINT_BYTES = 128 * 1024 * 1024 };
int db_checkpoint(struct db_env *env);

/* A read transaction of Berkeley DB's sees commits whose db_commit() has not returned yet, and lazy ones: they are durable when
 * this has returned 0.  (In LMDB those that are not lazy are so at once; nothing is done for the lazy ones.) */
int db_flush(struct db_env *env);

/* A key of at most DB_KEY_MAX bytes for any string, appended to `key`: itself when it has at most
 * DB_KEY_PLAIN_MAX bytes, else its first DB_KEY_PLAIN_MAX bytes and its SHA-1.  The whole string must then
 * stand in the value. */
void db_key_long(struct buf *key, const char *s, size_t n);

#endif
