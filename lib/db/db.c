/* db.c: what both engines share: the process's environments, scans, arguments checked. */
#include "lib/db/db.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/db/db-private.h"

/* The environments that this process has open: one handle each. */
static pthread_mutex_t envs_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct db_env *envs;

static const struct db_engine_ops *engine_ops(enum db_engine engine)
{
    return engine == DB_LMDB ? &db_lmdb_ops : &db_berkeley_ops;
}

static struct db_env *find_env(const struct stat *st)
{
    struct db_env *env = envs;

    while (env != NULL && (env->dev != st->st_dev || env->ino != st->st_ino))
        env = env->next;
    return env;
}

static void describe(struct db_env *base, enum db_engine engine, const char *path, unsigned flags,
                     const char *const *tables, const struct stat *st)
{
    *base = (struct db_env){.magic = DB_ENV_MAGIC,
                            .ops = engine_ops(engine),
                            .dev = st->st_dev,
                            .ino = st->st_ino,
                            .refs = 1,
                            .flags = flags};
    base->path = xstrdup(path);
    for (; tables[base->n_tables] != NULL; base->n_tables++) {
        BUG_ON(base->n_tables == DB_TABLES_MAX);
        base->tables[base->n_tables] = xstrdup(tables[base->n_tables]);
    }
}

static void free_description(struct db_env *base)
{
    for (unsigned i = 0; i < base->n_tables; i++)
        free(base->tables[i]);
    free(base->path);
}

static int make_directory(const char *path, unsigned flags, struct stat *st, char **error_r)
{
    int r = flags & DB_READ_ONLY ? 0 : file_make_dirs(path, 0700, 1);

    if (r == 0 && stat(path, st) < 0)
        r = ERR_NOTFOUND;
    if (r < 0 && error_r != NULL)
        *error_r = xstrprintf("%s: %s", path, error_text(r));
    return r;
}

int db_open(enum db_engine engine, const char *path, unsigned flags, int64_t map_size,
            const char *const *tables, struct db_env **env_r, char **error_r)
{
    struct db_env base, *env;
    struct stat st;
    int r = make_directory(path, flags, &st, error_r);

    if (r < 0)
        return r;
    pthread_mutex_lock(&envs_mutex);
    env = find_env(&st);
    if (env != NULL) {
        env->refs++;
    } else {
        describe(&base, engine, path, flags, tables, &st);
        r = base.ops->open(&base, map_size > 0 ? map_size : opt_bytes(OPT_DB_MAP_SIZE), &env, error_r);
        if (r == 0) {
            env->next = envs;
            envs = env;
        } else {
            free_description(&base);
        }
    }
    pthread_mutex_unlock(&envs_mutex);
    if (r == 0)
        *env_r = env;
    return r;
}

void db_close(struct db_env **envp)
{
    struct db_env *env = *envp, **link = &envs, description;

    *envp = NULL;
    if (env == NULL)
        return;
    MAGIC_CHECK(env, DB_ENV_MAGIC);
    pthread_mutex_lock(&envs_mutex);
    if (--env->refs == 0) {
        while (*link != env)
            link = &(*link)->next;
        *link = env->next;
        env->magic = 0;
        description = *env;
        env->ops->close(env);
        free_description(&description);
    }
    pthread_mutex_unlock(&envs_mutex);
}

unsigned db_table(const struct db_env *env, const char *name)
{
    unsigned i = 0;

    MAGIC_CHECK(env, DB_ENV_MAGIC);
    while (i < env->n_tables && strcmp(env->tables[i], name) != 0)
        i++;
    BUG_ON(i == env->n_tables);
    return i;
}

void db_reader_check(struct db_env *env)
{
    MAGIC_CHECK(env, DB_ENV_MAGIC);
    env->ops->reader_check(env);
}

int db_sync(struct db_env *env)
{
    MAGIC_CHECK(env, DB_ENV_MAGIC);
    return env->ops->sync(env);
}

int db_checkpoint(struct db_env *env)
{
    MAGIC_CHECK(env, DB_ENV_MAGIC);
    return env->ops->checkpoint != NULL ? env->ops->checkpoint(env) : 0;
}

int db_flush(struct db_env *env)
{
    MAGIC_CHECK(env, DB_ENV_MAGIC);
    return env->ops->flush != NULL ? env->ops->flush(env) : 0;
}

int db_begin(struct db_env *env, bool write, struct db_txn **txn_r)
{
    MAGIC_CHECK(env, DB_ENV_MAGIC);
    BUG_ON(write && (env->flags & DB_READ_ONLY));
    return env->ops->begin(env, write, txn_r);
}

int db_commit(struct db_txn **txnp)
{
    struct db_txn *txn = *txnp;

    MAGIC_CHECK(txn, DB_TXN_MAGIC);
    *txnp = NULL;
    txn->magic = 0;
    return txn->env->ops->commit(txn);
}

void db_lazy(struct db_txn *txn)
{
    MAGIC_CHECK(txn, DB_TXN_MAGIC);
    txn->lazy = true;
}

void db_abort(struct db_txn **txnp)
{
    struct db_txn *txn = *txnp;

    if (txn == NULL)
        return;
    MAGIC_CHECK(txn, DB_TXN_MAGIC);
    *txnp = NULL;
    txn->magic = 0;
    txn->env->ops->abort(txn);
}

/* A transaction and a table, or a bug; a key of a length that the engines take. */
static struct db_value checked_key(const struct db_txn *txn, unsigned table, const void *key, size_t key_len)
{
    MAGIC_CHECK(txn, DB_TXN_MAGIC);
    BUG_ON(table >= txn->env->n_tables);
    BUG_ON(key_len == 0 || key_len > DB_KEY_MAX);
    return (struct db_value){key, key_len};
}

int db_get(struct db_txn *txn, unsigned table, const void *key, size_t key_len, struct db_value *value_r)
{
    struct db_value k = checked_key(txn, table, key, key_len);

    return txn->env->ops->get(txn, table, &k, value_r);
}

int db_put(struct db_txn *txn, unsigned table, const void *key, size_t key_len, const void *value,
           size_t value_len)
{
    struct db_value k = checked_key(txn, table, key, key_len), v = {value, value_len};

    BUG_ON(!txn->write);
    return txn->env->ops->put(txn, table, &k, &v, false);
}

int db_add(struct db_txn *txn, unsigned table, const void *key, size_t key_len, const void *value,
           size_t value_len)
{
    struct db_value k = checked_key(txn, table, key, key_len), v = {value, value_len};

    BUG_ON(!txn->write);
    return txn->env->ops->put(txn, table, &k, &v, true);
}

int db_delete(struct db_txn *txn, unsigned table, const void *key, size_t key_len)
{
    struct db_value k = checked_key(txn, table, key, key_len);

    BUG_ON(!txn->write);
    return txn->env->ops->remove(txn, table, &k);
}

int db_count(struct db_txn *txn, unsigned table, uint64_t *count_r)
{
    MAGIC_CHECK(txn, DB_TXN_MAGIC);
    BUG_ON(table >= txn->env->n_tables);
    return txn->env->ops->count(txn, table, count_r);
}

static bool has_prefix(const struct db_value *key, const void *prefix, size_t prefix_len)
{
    return prefix_len == 0 || (key->len >= prefix_len && memcmp(key->data, prefix, prefix_len) == 0);
}

/* Where a scan begins: the later of start and prefix. */
static struct db_value scan_start(const void *start, size_t start_len, const void *prefix, size_t prefix_len)
{
    size_t shorter = start_len < prefix_len ? start_len : prefix_len;
    int order = shorter == 0 ? 0 : memcmp(start, prefix, shorter);

    if (start_len == 0 || order < 0 || (order == 0 && start_len < prefix_len))
        return (struct db_value){prefix, prefix_len};
    return (struct db_value){start, start_len};
}

int db_scan(struct db_txn *txn, unsigned table, const void *start, size_t start_len, const void *prefix,
            size_t prefix_len,
            int (*fn)(const struct db_value *key, const struct db_value *value, void *context), void *context)
{
    struct db_value key = scan_start(start, start_len, prefix, prefix_len), value;
    enum db_seek seek = key.len == 0 ? DB_SEEK_FIRST : DB_SEEK_AT_OR_AFTER;
    const struct db_engine_ops *ops = txn->env->ops;
    struct db_cursor *cursor;
    int r;

    MAGIC_CHECK(txn, DB_TXN_MAGIC);
    BUG_ON(table >= txn->env->n_tables || start_len > DB_KEY_MAX || prefix_len > DB_KEY_MAX);
    r = ops->cursor_open(txn, table, &cursor);
    if (r < 0)
        return r;
    while ((r = ops->cursor_get(cursor, seek, &key, &value)) == 0 && has_prefix(&key, prefix, prefix_len)) {
        r = fn(&key, &value, context);
        if (r != 0)
            break;
        seek = DB_SEEK_AFTER_THIS;
    }
    ops->cursor_close(cursor);
    return r == ERR_NOTFOUND ? 0 : r;
}

/* ---- batches ---- */

enum { BATCH_BYTES_MAX = 1024 * 1024 };

struct batch {
    struct buf bytes;   /* keys and values, one behind the other */
    size_t *lens;       /* key and value length of each pair */
    size_t count, most; /* pairs */
    struct buf last;    /* the key of the batch before, not to be repeated */
    bool full;
};

static int batch_collect(const struct db_value *key, const struct db_value *value, void *context)
{
    struct batch *b = context;

    if (key->len == b->last.len && memcmp(key->data, b->last.data, key->len) == 0)
        return 0;
    if (b->count == b->most || b->bytes.len > BATCH_BYTES_MAX) {
        b->full = true;
        return 1;
    }
    buf_append(&b->bytes, key->data, key->len);
    buf_append(&b->bytes, value->data, value->len);
    b->lens[2 * b->count] = key->len;
    b->lens[2 * b->count + 1] = value->len;
    b->count++;
    return 0;
}

static int batch_fill(struct batch *b, struct db_env *env, unsigned table, const struct db_value *start,
                      const void *prefix, size_t prefix_len)
{
    struct db_txn *txn;
    int r = db_begin(env, false, &txn);

    b->count = 0;
    b->full = false;
    buf_reset(&b->bytes);
    if (r < 0)
        return r;
    r = db_scan(txn, table, start->data, start->len, prefix, prefix_len, batch_collect, b);
    db_abort(&txn);
    return r < 0 ? r : 0;
}

static int batch_hand_out(struct batch *b,
                          int (*fn)(const struct db_value *key, const struct db_value *value, void *context),
                          void *context)
{
    const char *at = b->bytes.data;
    int r = 0;

    for (size_t i = 0; i < b->count && r == 0; i++) {
        struct db_value key = {at, b->lens[2 * i]}, value = {at + key.len, b->lens[2 * i + 1]};

        at += key.len + value.len;
        if (i == b->count - 1) {
            buf_reset(&b->last);
            buf_append(&b->last, key.data, key.len);
        }
        r = fn(&key, &value, context);
    }
    return r;
}

int db_scan_batches(struct db_env *env, unsigned table, const void *start, size_t start_len,
                    const void *prefix, size_t prefix_len, size_t batch,
                    int (*fn)(const struct db_value *key, const struct db_value *value, void *context),
                    void *context)
{
    struct batch b = {.most = batch, .lens = xreallocarray(NULL, batch, 2 * sizeof(size_t))};
    struct db_value from = {start, start_len};
    int r;

    MAGIC_CHECK(env, DB_ENV_MAGIC);
    do {
        r = batch_fill(&b, env, table, &from, prefix, prefix_len);
        if (r == 0)
            r = batch_hand_out(&b, fn, context);
        from = (struct db_value){b.last.data, b.last.len};
    } while (r == 0 && b.full);
    buf_free(&b.bytes);
    buf_free(&b.last);
    free(b.lens);
    return r;
}

void db_key_long(struct buf *key, const char *s, size_t n)
{
    unsigned char sha1[DIGEST_SHA1_SIZE];

    if (n <= DB_KEY_PLAIN_MAX) {
        buf_append(key, s, n);
        return;
    }
    digest_sha1(s, n, sha1);
    buf_append(key, s, DB_KEY_PLAIN_MAX);
    buf_append(key, sha1, sizeof(sha1));
}
