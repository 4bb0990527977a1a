/* berkeley.c: the engine for what one process owns.
 *
 * The environment is private to the process that has its owner file locked, and recovered at each open.
 * A lock of ours, for one writer or many readers, is held from the beginning of a transaction to its end, so that
 * nobody meets a deadlock; transactions are short, and none lives across a call to a socket.  A commit ends the
 * library's transaction and our lock first and syncs the log behind them, so that the syncs of threads that commit
 * together become one.  Readers have no transaction of the library's: its snapshots keep old pages in the cache,
 * and what they allocate is not given back when the environment closes. */
#include <db.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/db/db-private.h"

enum {
    BERKELEY_CACHE = 64 * 1024 * 1024,
    BERKELEY_LOG_BUFFER = 4 * 1024 * 1024,
    BERKELEY_PAGE = 8192,
    BERKELEY_LOCKS = 50000, /* pages of one write transaction, about */
    BERKELEY_TXNS = 64,
    BERKELEY_CHECKPOINT_MS = 60 * 1000
};

struct berkeley_env {
    struct db_env base;
    DB_ENV *bdb;
    DB *db[DB_TABLES_MAX];
    int owner_fd;
    atomic_bool broken; /* something could not be written */
    int64_t checkpoint_due;
    pthread_rwlock_t lock;
};

struct berkeley_txn {
    struct db_txn base;
    DB_TXN *bdb; /* NULL for reading */
    void *value; /* what the last get gave, from malloc */
};

/* Behind its first few pairs a reader's cursor gets a block of them at a time. */
enum { BULK_AFTER = 8, BULK_BYTES = 64 * 1024 };

struct db_cursor {
    DBC *bdb;
    bool may_bulk;
    unsigned singles;
    DBT bulk;      /* .data from malloc */
    void *bulk_at; /* the library's place in it; NULL: empty */
};

#ifdef __SANITIZE_THREAD__
/* The library's latches are taken in no fixed order; it tries and gives way. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "deadlock:libdb-5.3\n";
}
#endif

static int berkeley_error(int rc)
{
    switch (rc) {
    case 0:
        return 0;
    case DB_NOTFOUND:
        return ERR_NOTFOUND;
    case DB_KEYEXIST:
        return ERR_EXISTS;
    case EBUSY:
        return ERR_BUSY;
    case DB_VERSION_MISMATCH:
        return ERR_VERSION;
    case DB_RUNRECOVERY:
    case DB_LOG_VERIFY_BAD:
        return ERR_CORRUPT;
    default:
        return rc > 0 ? error_from_errno(rc) : ERR_IO;
    }
}

/* Behind a write of its log that failed the library goes on writing, with a hole where that should have been: what stands
 * behind it is lost at the next recovery, and pages may be newer than the log is then.  So from the first failure on nothing is
 * written any more, nor acknowledged, until the environment has been recovered; it tells of the failure here before anybody else
 * can write. */
static void note_failure(struct berkeley_env *env, const char *message)
{
    if (env != NULL && (strstr(message, " write: ") != NULL || strstr(message, "sync") != NULL ||
                        strstr(message, "PANIC") != NULL))
        atomic_store(&env->broken, true);
}

static void log_message(const DB_ENV *bdb, const char *prefix, const char *message)
{
    (void)prefix;
    note_failure(bdb->app_private, message);
    LOG(LOG_ERR, DB_BERKELEY, LOG_STR(ERROR, message));
}

/* A second process in a private environment would destroy it. */
static int lock_owner(struct berkeley_env *env)
{
    char *path = xstrprintf("%s/owner", env->base.path);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int r = 0;

    env->owner_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (env->owner_fd < 0)
        r = errno;
    else if (fcntl(env->owner_fd, F_OFD_SETLK, &lock) < 0)
        r = errno == EAGAIN || errno == EACCES ? EBUSY : errno;
    free(path);
    return r;
}

static int configure(DB_ENV *bdb, unsigned flags)
{
    int rc = bdb->set_cachesize(bdb, 0, BERKELEY_CACHE, 1);

    bdb->set_errcall(bdb, log_message);
    if (rc == 0)
        rc = bdb->set_lg_bsize(bdb, BERKELEY_LOG_BUFFER);
    if (rc == 0)
        rc = bdb->set_lg_max(bdb, 4 * BERKELEY_LOG_BUFFER);
    if (rc == 0)
        rc = bdb->set_lk_max_locks(bdb, BERKELEY_LOCKS);
    if (rc == 0)
        rc = bdb->set_lk_max_objects(bdb, BERKELEY_LOCKS);
    if (rc == 0)
        rc = bdb->set_tx_max(bdb, BERKELEY_TXNS);
    if (rc == 0)
        rc = bdb->log_set_config(bdb, DB_LOG_AUTO_REMOVE, 1);
    if (rc == 0 && (flags & DB_NO_SYNC))
        rc = bdb->set_flags(bdb, DB_TXN_NOSYNC, 1);
    return rc;
}

static int open_env(struct berkeley_env *env)
{
    int rc = db_env_create(&env->bdb, 0);

    if (rc == 0)
        env->bdb->app_private = env;
    if (rc == 0)
        rc = configure(env->bdb, env->base.flags);
    if (rc == 0)
        rc = env->bdb->open(env->bdb, env->base.path,
                            DB_CREATE | DB_RECOVER | DB_PRIVATE | DB_THREAD | DB_INIT_TXN | DB_INIT_LOG |
                                DB_INIT_LOCK | DB_INIT_MPOOL,
                            0600);
    return rc;
}

static int open_table(struct berkeley_env *env, unsigned table)
{
    char *file = xstrprintf("%s.db", env->base.tables[table]);
    DB *db;
    int rc = db_create(&db, env->bdb, 0);

    if (rc == 0) {
        env->db[table] = db;
        rc = db->set_pagesize(db, BERKELEY_PAGE);
        if (rc == 0)
            rc = db->open(db, NULL, file, NULL, DB_BTREE, DB_CREATE | DB_AUTO_COMMIT | DB_THREAD, 0600);
    }
    free(file);
    return rc;
}

static void close_all(struct berkeley_env *env)
{
    for (unsigned i = 0; i < env->base.n_tables; i++)
        if (env->db[i] != NULL)
            env->db[i]->close(env->db[i], DB_NOSYNC);
    if (env->bdb != NULL)
        env->bdb->close(env->bdb, 0);
    if (env->owner_fd >= 0)
        close(env->owner_fd);
}

/* Writers first: readers come without end. */
static void init_lock(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t attributes;

    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
}

/* The library renames a new table's file into its place and does not sync the directory: when the power goes behind a
 * checkpoint that file is gone, recovery does not miss it, and the next open makes an empty one.  An errno. */
static int sync_files(const char *path)
{
    int r = file_sync_dir(path);

    if (r == 0)
        r = file_sync_parent(path);
    return r == 0 ? 0 : EIO;
}

static int berkeley_open(const struct db_env *base, int64_t map_size, struct db_env **env_r, char **error_r)
{
    struct berkeley_env *env = xcalloc(1, sizeof(*env));
    int rc;

    (void)map_size;
    env->base = *base;
    env->owner_fd = -1;
    rc = base->flags & DB_READ_ONLY ? EINVAL : lock_owner(env);
    if (rc == 0)
        rc = open_env(env);
    for (unsigned i = 0; i < base->n_tables && rc == 0; i++)
        rc = open_table(env, i);
    if (rc == 0)
        rc = sync_files(base->path);
    if (rc != 0) {
        if (error_r != NULL)
            *error_r =
                xstrprintf("%s: %s", base->path, rc == EBUSY ? "another process owns it" : db_strerror(rc));
        close_all(env);
        free(env);
        return berkeley_error(rc);
    }
    init_lock(&env->lock);
    *env_r = &env->base;
    return 0;
}

static bool is_broken(struct berkeley_env *env)
{
    return atomic_load(&env->broken);
}

static int berkeley_sync(struct db_env *base)
{
    struct berkeley_env *env = (struct berkeley_env *)base;

    return is_broken(env) ? ERR_CORRUPT : berkeley_error(env->bdb->txn_checkpoint(env->bdb, 0, 0, 0));
}

static int berkeley_checkpoint(struct db_env *base)
{
    struct berkeley_env *env = (struct berkeley_env *)base;

    if (clock_left(env->checkpoint_due) == 0) {
        env->checkpoint_due = clock_deadline(BERKELEY_CHECKPOINT_MS);
        return berkeley_sync(base);
    }
    if (is_broken(env))
        return ERR_CORRUPT;
    return berkeley_error(env->bdb->txn_checkpoint(env->bdb, DB_CHECKPOINT_BYTES / 1024, 0, 0));
}

/* Shared by all who wait for it. */
static int flush_log(struct berkeley_env *env)
{
    int rc = is_broken(env) ? DB_RUNRECOVERY : env->bdb->log_flush(env->bdb, NULL);

    return rc == 0 && is_broken(env) ? DB_RUNRECOVERY : rc;
}

static int berkeley_flush(struct db_env *base)
{
    return base->flags & DB_NO_SYNC ? 0 : berkeley_error(flush_log((struct berkeley_env *)base));
}

static void berkeley_close(struct db_env *base)
{
    struct berkeley_env *env = (struct berkeley_env *)base;

    static struct db_env *_Atomic abandoned;

    if (is_broken(env)) { /* closing would write: what it has is left to the end of the process */
        close(env->owner_fd);
        base->next = atomic_exchange(&abandoned, base);
        return;
    }
    berkeley_sync(base);
    close_all(env);
    pthread_rwlock_destroy(&env->lock);
    free(env);
}

static void berkeley_reader_check(struct db_env *base)
{
    (void)base; /* nobody else is in it */
}

static int berkeley_begin(struct db_env *base, bool write, struct db_txn **txn_r)
{
    struct berkeley_env *env = (struct berkeley_env *)base;
    struct berkeley_txn *txn = xcalloc(1, sizeof(*txn));
    int rc = 0;

    if (write) {
        pthread_rwlock_wrlock(&env->lock);
        rc = is_broken(env) ? DB_RUNRECOVERY : env->bdb->txn_begin(env->bdb, NULL, &txn->bdb, DB_TXN_NOSYNC);
    } else {
        pthread_rwlock_rdlock(&env->lock);
    }
    if (rc != 0) {
        pthread_rwlock_unlock(&env->lock);
        free(txn);
        return berkeley_error(rc);
    }
    txn->base = (struct db_txn){.magic = DB_TXN_MAGIC, .env = base, .write = write};
    *txn_r = &txn->base;
    return 0;
}

/* After the engine's part of the end. */
static void end_txn(struct berkeley_txn *txn)
{
    pthread_rwlock_unlock(&((struct berkeley_env *)txn->base.env)->lock);
    free(txn->value);
    free(txn);
}

static void berkeley_abort(struct db_txn *base)
{
    struct berkeley_txn *txn = (struct berkeley_txn *)base;

    if (txn->bdb != NULL)
        txn->bdb->abort(txn->bdb);
    end_txn(txn);
}

static int berkeley_commit(struct db_txn *base)
{
    struct berkeley_txn *txn = (struct berkeley_txn *)base;
    struct berkeley_env *env = (struct berkeley_env *)base->env;
    bool sync = base->write && !base->lazy && !(env->base.flags & DB_NO_SYNC);
    int rc = txn->bdb != NULL ? txn->bdb->commit(txn->bdb, DB_TXN_NOSYNC) : 0;

    end_txn(txn);
    if (rc == 0 && sync)
        rc = flush_log(env);
    return berkeley_error(rc);
}

static DB *table_db(const struct db_txn *txn, unsigned table)
{
    return ((const struct berkeley_env *)txn->env)->db[table];
}

static DB_TXN *bdb_txn(struct db_txn *txn)
{
    return ((struct berkeley_txn *)txn)->bdb;
}

static DBT to_dbt(const struct db_value *value)
{
    return (DBT){.data = (void *)(uintptr_t)value->data, .size = (uint32_t)value->len};
}

static int berkeley_get(struct db_txn *base, unsigned table, const struct db_value *key,
                        struct db_value *value_r)
{
    struct berkeley_txn *txn = (struct berkeley_txn *)base;
    DB *db = table_db(base, table);
    DBT k = to_dbt(key), v = {.data = txn->value, .flags = DB_DBT_REALLOC};
    int rc = db->get(db, txn->bdb, &k, &v, 0);

    txn->value = v.data;
    if (rc == 0)
        *value_r = (struct db_value){v.data, v.size};
    return berkeley_error(rc);
}

static int berkeley_put(struct db_txn *txn, unsigned table, const struct db_value *key,
                        const struct db_value *value, bool only_new)
{
    DB *db = table_db(txn, table);
    DBT k = to_dbt(key), v = to_dbt(value);

    return berkeley_error(db->put(db, bdb_txn(txn), &k, &v, only_new ? DB_NOOVERWRITE : 0));
}

static int berkeley_remove(struct db_txn *txn, unsigned table, const struct db_value *key)
{
    DB *db = table_db(txn, table);
    DBT k = to_dbt(key);

    return berkeley_error(db->del(db, bdb_txn(txn), &k, 0));
}

static int berkeley_cursor_open(struct db_txn *txn, unsigned table, struct db_cursor **cursor_r)
{
    DB *db = table_db(txn, table);
    DBC *bdb;
    int rc = db->cursor(db, bdb_txn(txn), &bdb, 0);

    if (rc == 0) {
        *cursor_r = xcalloc(1, sizeof(**cursor_r));
        (*cursor_r)->bdb = bdb;
        (*cursor_r)->may_bulk = !txn->write; /* who writes wants to see it */
    }
    return berkeley_error(rc);
}

/* The next pair of the block. */
static bool bulk_next(struct db_cursor *cursor, struct db_value *key, struct db_value *value)
{
    void *k, *v;
    uint32_t k_len, v_len;

    if (cursor->bulk_at == NULL)
        return false;
    DB_MULTIPLE_KEY_NEXT(cursor->bulk_at, &cursor->bulk, k, k_len, v, v_len);
    if (cursor->bulk_at == NULL)
        return false;
    *key = (struct db_value){k, k_len};
    *value = (struct db_value){v, v_len};
    return true;
}

/* Reads a block from behind the cursor's place on; a pair that is larger than the block makes it larger. */
static int bulk_fill(struct db_cursor *cursor)
{
    DBT k = {0};
    int rc;

    if (cursor->bulk.data == NULL)
        cursor->bulk = (DBT){.data = xmalloc(BULK_BYTES), .ulen = BULK_BYTES, .flags = DB_DBT_USERMEM};
    while ((rc = cursor->bdb->get(cursor->bdb, &k, &cursor->bulk, DB_NEXT | DB_MULTIPLE_KEY)) ==
           DB_BUFFER_SMALL) {
        cursor->bulk.ulen *= 2;
        cursor->bulk.data = xreallocarray(cursor->bulk.data, cursor->bulk.ulen, 1);
    }
    if (rc == 0)
        DB_MULTIPLE_INIT(cursor->bulk_at, &cursor->bulk);
    return rc;
}

static int berkeley_cursor_get(struct db_cursor *cursor, enum db_seek seek, struct db_value *key,
                               struct db_value *value)
{
    static const uint32_t ops[] = {
        [DB_SEEK_FIRST] = DB_FIRST, [DB_SEEK_AT_OR_AFTER] = DB_SET_RANGE, [DB_SEEK_AFTER_THIS] = DB_NEXT};
    DBT k = to_dbt(key), v = {0};
    int rc;

    if (seek == DB_SEEK_AFTER_THIS && bulk_next(cursor, key, value))
        return 0;
    if (seek == DB_SEEK_AFTER_THIS && cursor->may_bulk && ++cursor->singles > BULK_AFTER) {
        rc = bulk_fill(cursor);
        return rc == 0 && !bulk_next(cursor, key, value) ? ERR_CORRUPT : berkeley_error(rc);
    }
    cursor->bulk_at = NULL;
    rc = cursor->bdb->get(cursor->bdb, &k, &v, ops[seek]);
    if (rc == 0) {
        *key = (struct db_value){k.data, k.size};
        *value = (struct db_value){v.data, v.size};
    }
    return berkeley_error(rc);
}

static void berkeley_cursor_close(struct db_cursor *cursor)
{
    cursor->bdb->close(cursor->bdb);
    free(cursor->bulk.data);
    free(cursor);
}

static int berkeley_count(struct db_txn *txn, unsigned table, uint64_t *count_r)
{
    struct db_value key = {0}, value;
    struct db_cursor *cursor;
    uint64_t n = 0;
    int r = berkeley_cursor_open(txn, table, &cursor);

    if (r < 0)
        return r;
    for (r = berkeley_cursor_get(cursor, DB_SEEK_FIRST, &key, &value); r == 0; n++)
        r = berkeley_cursor_get(cursor, DB_SEEK_AFTER_THIS, &key, &value);
    berkeley_cursor_close(cursor);
    *count_r = n;
    return r == ERR_NOTFOUND ? 0 : r;
}

const struct db_engine_ops db_berkeley_ops = {
    .open = berkeley_open,
    .close = berkeley_close,
    .reader_check = berkeley_reader_check,
    .sync = berkeley_sync,
    .checkpoint = berkeley_checkpoint,
    .flush = berkeley_flush,
    .begin = berkeley_begin,
    .commit = berkeley_commit,
    .abort = berkeley_abort,
    .get = berkeley_get,
    .put = berkeley_put,
    .remove = berkeley_remove,
    .count = berkeley_count,
    .cursor_open = berkeley_cursor_open,
    .cursor_get = berkeley_cursor_get,
    .cursor_close = berkeley_cursor_close,
};
