/* lmdb.c: the engine for what many processes share.
 *
 * A process that is killed at any moment leaves nothing to repair: readers do not write, a commit is one
 * write of a meta page, the writers' mutex is robust, and the slots of dead readers are freed by
 * reader_check(). */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/db/db-private.h"

enum {
    LMDB_READERS_MAX = 4096, /* of all processes together */
    LMDB_IDLE_MAX = 32,      /* read transactions kept for reuse: their slots are already ours */
    LMDB_UNORDERED = 64      /* puts for which a table whose keys come in no order is not tried at its end */
};

struct lmdb_env {
    struct db_env base;
    MDB_env *mdb;
    int lock_fd; /* see reserve_lock_file(); -1 */
    MDB_dbi dbi[DB_TABLES_MAX];
    pthread_mutex_t idle_mutex;
    MDB_txn *idle[LMDB_IDLE_MAX]; /* reset, to be renewed */
    unsigned n_idle;
};

struct lmdb_txn {
    struct db_txn base;
    MDB_txn *mdb;
    unsigned char unordered[DB_TABLES_MAX]; /* so many puts until the end is tried again */
};

struct db_cursor {
    MDB_cursor *mdb;
};

static int lmdb_error(int rc)
{
    switch (rc) {
    case 0:
        return 0;
    case MDB_NOTFOUND:
        return ERR_NOTFOUND;
    case MDB_KEYEXIST:
        return ERR_EXISTS;
    case MDB_MAP_FULL:
        return ERR_DISKFULL;
    case MDB_READERS_FULL:
    case MDB_TXN_FULL:
        return ERR_LIMIT;
    case MDB_VERSION_MISMATCH:
        return ERR_VERSION;
    case MDB_INVALID:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_PANIC:
        return ERR_CORRUPT;
    default:
        return rc > 0 ? error_from_errno(rc) : ERR_IO;
    }
}

static int open_tables(struct lmdb_env *env, bool create)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(env->mdb, NULL, create ? 0 : MDB_RDONLY, &txn);

    if (rc != 0)
        return rc;
    for (unsigned i = 0; i < env->base.n_tables && rc == 0; i++)
        rc = mdb_dbi_open(txn, env->base.tables[i], create ? MDB_CREATE : 0, &env->dbi[i]);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn); /* of a read transaction too: it keeps the handles */
}

/* Tables that are there need no write transaction; whoever comes first makes them. */
static int find_or_make_tables(struct lmdb_env *env)
{
    int rc = open_tables(env, false);

    return rc == MDB_NOTFOUND && !(env->base.flags & DB_READ_ONLY) ? open_tables(env, true) : rc;
}

static int set_close_on_exec(MDB_env *mdb)
{
    int fd, rc = mdb_env_get_fd(mdb, &fd);

    if (rc == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        rc = errno;
    return rc;
}

/* LMDB makes the table of readers sparse and maps it: on a full disk the first reader of a page would be killed
 * by SIGBUS.  So its blocks are taken now.  The descriptor stays open as long as the environment: closing any of
 * this file gives up the locks that LMDB has on it. */
static int reserve_lock_file(struct lmdb_env *env)
{
    char *path = xstrprintf("%s/lock.mdb", env->base.path);
    struct stat st;
    int rc = 0;

    env->lock_fd = open(path, O_RDWR | O_CLOEXEC);
    free(path);
    if (env->lock_fd < 0 || fstat(env->lock_fd, &st) != 0)
        return errno;
    if (fallocate(env->lock_fd, FALLOC_FL_KEEP_SIZE, 0, st.st_size) != 0 && errno != EOPNOTSUPP)
        rc = errno;
    return rc;
}

static int open_env(struct lmdb_env *env, int64_t map_size)
{
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD;
    int rc = mdb_env_create(&env->mdb);

    if (rc != 0)
        return rc;
    flags |= env->base.flags & DB_NO_SYNC ? MDB_NOSYNC : 0;
    flags |= env->base.flags & DB_READ_ONLY ? MDB_RDONLY : 0;
    rc = mdb_env_set_mapsize(env->mdb, (size_t)map_size);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(env->mdb, LMDB_READERS_MAX);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(env->mdb, DB_TABLES_MAX);
    if (rc == 0)
        rc = mdb_env_open(env->mdb, env->base.path, flags, 0600);
    if (rc == 0)
        rc = set_close_on_exec(env->mdb);
    if (rc == 0 && !(env->base.flags & DB_READ_ONLY))
        rc = reserve_lock_file(env);
    if (rc == 0)
        rc = mdb_reader_check(env->mdb, NULL);
    return rc;
}

static void close_env(struct lmdb_env *env)
{
    if (env->mdb != NULL)
        mdb_env_close(env->mdb);
    if (env->lock_fd >= 0)
        close(env->lock_fd);
    free(env);
}

static int lmdb_open(const struct db_env *base, int64_t map_size, struct db_env **env_r, char **error_r)
{
    struct lmdb_env *env = xcalloc(1, sizeof(*env));
    int rc;

    env->base = *base;
    env->lock_fd = -1;
    rc = open_env(env, map_size);
    if (rc == 0)
        rc = find_or_make_tables(env);
    if (rc != 0) {
        if (error_r != NULL)
            *error_r = xstrprintf("%s: %s", base->path, mdb_strerror(rc));
        close_env(env);
        return lmdb_error(rc);
    }
    pthread_mutex_init(&env->idle_mutex, NULL);
    *env_r = &env->base;
    return 0;
}

static void lmdb_close(struct db_env *base)
{
    struct lmdb_env *env = (struct lmdb_env *)base;

    while (env->n_idle > 0)
        mdb_txn_abort(env->idle[--env->n_idle]);
    pthread_mutex_destroy(&env->idle_mutex);
    close_env(env);
}

static void lmdb_reader_check(struct db_env *base)
{
    mdb_reader_check(((struct lmdb_env *)base)->mdb, NULL);
}

static int lmdb_sync(struct db_env *base)
{
    return lmdb_error(mdb_env_sync(((struct lmdb_env *)base)->mdb, 1));
}

static MDB_txn *take_idle(struct lmdb_env *env)
{
    MDB_txn *txn = NULL;

    pthread_mutex_lock(&env->idle_mutex);
    if (env->n_idle > 0)
        txn = env->idle[--env->n_idle];
    pthread_mutex_unlock(&env->idle_mutex);
    return txn;
}

/* A reset transaction goes back to the others, or away when there are enough. */
static void put_idle(struct lmdb_env *env, MDB_txn *txn)
{
    mdb_txn_reset(txn);
    pthread_mutex_lock(&env->idle_mutex);
    if (env->n_idle < LMDB_IDLE_MAX) {
        env->idle[env->n_idle++] = txn;
        txn = NULL;
    }
    pthread_mutex_unlock(&env->idle_mutex);
    if (txn != NULL)
        mdb_txn_abort(txn);
}

static int begin_read(struct lmdb_env *env, MDB_txn **txn_r)
{
    int rc;

    *txn_r = take_idle(env);
    if (*txn_r != NULL) {
        rc = mdb_txn_renew(*txn_r);
        if (rc != 0)
            mdb_txn_abort(*txn_r);
        return rc;
    }
    rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, txn_r);
    if (rc == MDB_READERS_FULL) {
        mdb_reader_check(env->mdb, NULL);
        rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, txn_r);
    }
    return rc;
}

static int lmdb_begin(struct db_env *base, bool write, struct db_txn **txn_r)
{
    struct lmdb_env *env = (struct lmdb_env *)base;
    MDB_txn *mdb;
    struct lmdb_txn *txn;
    int rc = write ? mdb_txn_begin(env->mdb, NULL, 0, &mdb) : begin_read(env, &mdb);

    if (rc != 0)
        return lmdb_error(rc);
    txn = xmalloc(sizeof(*txn));
    *txn = (struct lmdb_txn){.base = {.magic = DB_TXN_MAGIC, .env = base, .write = write}, .mdb = mdb};
    *txn_r = &txn->base;
    return 0;
}

static void lmdb_abort(struct db_txn *base)
{
    struct lmdb_txn *txn = (struct lmdb_txn *)base;

    if (base->write)
        mdb_txn_abort(txn->mdb);
    else
        put_idle((struct lmdb_env *)base->env, txn->mdb);
    free(txn);
}

static int lmdb_commit(struct db_txn *base)
{
    struct lmdb_txn *txn = (struct lmdb_txn *)base;
    int rc;

    if (!base->write) {
        lmdb_abort(base);
        return 0;
    }
    /* read at commits only, of which there is one at a time: this one */
    mdb_env_set_flags(((struct lmdb_env *)base->env)->mdb, MDB_NOMETASYNC, base->lazy);
    rc = mdb_txn_commit(txn->mdb);
    free(txn);
    return lmdb_error(rc);
}

static MDB_dbi table_dbi(const struct db_txn *txn, unsigned table)
{
    return ((const struct lmdb_env *)txn->env)->dbi[table];
}

static MDB_val to_mdb(const struct db_value *value)
{
    return (MDB_val){value->len, (void *)(uintptr_t)value->data};
}

static int lmdb_get(struct db_txn *txn, unsigned table, const struct db_value *key, struct db_value *value_r)
{
    MDB_val k = to_mdb(key), v;
    int rc = mdb_get(((struct lmdb_txn *)txn)->mdb, table_dbi(txn, table), &k, &v);

    if (rc == 0)
        *value_r = (struct db_value){v.mv_data, v.mv_size};
    return lmdb_error(rc);
}

/* One of many puts: if they come in order they go behind the table's last key, which costs no search, and leaves full
 * pages behind where splits would leave half of each empty.  MDB_KEYEXIST: the key is not behind it. */
static int put_last(struct lmdb_txn *txn, unsigned table, MDB_val *key, MDB_val *value)
{
    int rc;

    if (txn->unordered[table] > 0) {
        txn->unordered[table]--;
        return MDB_KEYEXIST;
    }
    rc = mdb_put(txn->mdb, table_dbi(&txn->base, table), key, value, MDB_APPEND);
    if (rc == MDB_KEYEXIST)
        txn->unordered[table] = LMDB_UNORDERED;
    return rc;
}

static int lmdb_put(struct db_txn *base, unsigned table, const struct db_value *key,
                    const struct db_value *value, bool only_new)
{
    struct lmdb_txn *txn = (struct lmdb_txn *)base;
    MDB_val k = to_mdb(key), v = to_mdb(value);
    int rc = base->lazy ? put_last(txn, table, &k, &v) : MDB_KEYEXIST;

    if (rc == MDB_KEYEXIST)
        rc = mdb_put(txn->mdb, table_dbi(base, table), &k, &v, only_new ? MDB_NOOVERWRITE : 0);
    return lmdb_error(rc);
}

static int lmdb_remove(struct db_txn *txn, unsigned table, const struct db_value *key)
{
    MDB_val k = to_mdb(key);

    return lmdb_error(mdb_del(((struct lmdb_txn *)txn)->mdb, table_dbi(txn, table), &k, NULL));
}

static int lmdb_count(struct db_txn *txn, unsigned table, uint64_t *count_r)
{
    MDB_stat st;
    int rc = mdb_stat(((struct lmdb_txn *)txn)->mdb, table_dbi(txn, table), &st);

    if (rc == 0)
        *count_r = st.ms_entries;
    return lmdb_error(rc);
}

static int lmdb_cursor_open(struct db_txn *txn, unsigned table, struct db_cursor **cursor_r)
{
    MDB_cursor *mdb;
    int rc = mdb_cursor_open(((struct lmdb_txn *)txn)->mdb, table_dbi(txn, table), &mdb);

    if (rc == 0) {
        *cursor_r = xmalloc(sizeof(**cursor_r));
        (*cursor_r)->mdb = mdb;
    }
    return lmdb_error(rc);
}

static int lmdb_cursor_get(struct db_cursor *cursor, enum db_seek seek, struct db_value *key,
                           struct db_value *value)
{
    static const MDB_cursor_op ops[] = {
        [DB_SEEK_FIRST] = MDB_FIRST, [DB_SEEK_AT_OR_AFTER] = MDB_SET_RANGE, [DB_SEEK_AFTER_THIS] = MDB_NEXT};
    MDB_val k = to_mdb(key), v;
    int rc = mdb_cursor_get(cursor->mdb, &k, &v, ops[seek]);

    if (rc == 0) {
        *key = (struct db_value){k.mv_data, k.mv_size};
        *value = (struct db_value){v.mv_data, v.mv_size};
    }
    return lmdb_error(rc);
}

static void lmdb_cursor_close(struct db_cursor *cursor)
{
    mdb_cursor_close(cursor->mdb);
    free(cursor);
}

const struct db_engine_ops db_lmdb_ops = {
    .open = lmdb_open,
    .close = lmdb_close,
    .reader_check = lmdb_reader_check,
    .sync = lmdb_sync,
    .begin = lmdb_begin,
    .commit = lmdb_commit,
    .abort = lmdb_abort,
    .get = lmdb_get,
    .put = lmdb_put,
    .remove = lmdb_remove,
    .count = lmdb_count,
    .cursor_open = lmdb_cursor_open,
    .cursor_get = lmdb_cursor_get,
    .cursor_close = lmdb_cursor_close,
};

/* ---- which tables are there ---- */

static int read_names(MDB_txn *txn, struct pool *pool, struct str_list *names_r)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    MDB_dbi dbi;
    int rc = mdb_dbi_open(txn, NULL, 0, &dbi);

    if (rc == 0)
        rc = mdb_cursor_open(txn, dbi, &cursor);
    if (rc != 0)
        return rc;
    while (names_r->count < DB_TABLES_MAX && (rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0)
        names_r->items[names_r->count++] = pool_strndup(pool, key.mv_data, key.mv_size);
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int db_table_names(const char *path, struct pool *pool, struct str_list *names_r)
{
    MDB_env *mdb;
    MDB_txn *txn;
    int rc = mdb_env_create(&mdb);

    names_r->count = 0;
    names_r->items = pool_alloc(pool, (DB_TABLES_MAX + 1) * sizeof(*names_r->items));
    memset(names_r->items, 0, (DB_TABLES_MAX + 1) * sizeof(*names_r->items));
    if (rc != 0)
        return lmdb_error(rc);
    rc = mdb_env_set_maxreaders(mdb, LMDB_READERS_MAX);
    if (rc == 0)
        rc = mdb_env_open(mdb, path, MDB_NOTLS | MDB_RDONLY, 0600);
    if (rc == 0)
        rc = mdb_txn_begin(mdb, NULL, MDB_RDONLY, &txn);
    if (rc == 0) {
        rc = read_names(txn, pool, names_r);
        mdb_txn_abort(txn);
    }
    mdb_env_close(mdb);
    return lmdb_error(rc);
}
