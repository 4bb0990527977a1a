#include "imap/sievehost/memory.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/config.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/db/db.h"

enum { KEY_SIZE = 1 + DIGEST_SHA1_SIZE, VALUE_SIZE = 9, VERSION = 1, BATCH = 1000 };

#define TABLE "memory"

struct memory {
    struct db_env *env;
    unsigned table;
};

int memory_open(struct memory **memory_r, char **error_r)
{
    static const char *const tables[] = {TABLE, NULL};
    struct memory *m = xcalloc(1, sizeof(*m));
    struct buf path = BUF_INIT;
    int r;

    config_path(&path, "sieve");
    r = db_open(DB_LMDB, buf_cstr(&path), 0, 0, tables, &m->env, error_r);
    buf_free(&path);
    if (r < 0) {
        free(m);
        return r;
    }
    m->table = db_table(m->env, TABLE);
    *memory_r = m;
    return 0;
}

void memory_close(struct memory **memory)
{
    if (*memory == NULL)
        return;
    db_close(&(*memory)->env);
    free(*memory);
    *memory = NULL;
}

static void make_key(unsigned char key[KEY_SIZE], enum memory_kind kind, const char *userid, const void *what,
                     size_t n)
{
    struct digest *d = digest_sha1_new();

    key[0] = (unsigned char)kind;
    digest_update(d, userid, strlen(userid) + 1);
    digest_update(d, what, n);
    digest_finish(&d, key + 1);
}

/* Version, then the time, little-endian. */
static void put_time(unsigned char value[VALUE_SIZE], int64_t time)
{
    value[0] = VERSION;
    for (int i = 1; i < VALUE_SIZE; i++, time >>= 8)
        value[i] = (unsigned char)time;
}

static int64_t get_time(const struct db_value *value)
{
    const unsigned char *p = value->data;
    uint64_t time = 0;

    if (value->len != VALUE_SIZE || p[0] != VERSION)
        return 0;
    for (int i = VALUE_SIZE - 1; i > 0; i--)
        time = time << 8 | p[i];
    return (int64_t)time;
}

static bool is_known(struct memory *m, struct db_txn *txn, const unsigned char *key, int64_t now)
{
    struct db_value value;

    return db_get(txn, m->table, key, KEY_SIZE, &value) == 0 && get_time(&value) > now;
}

bool memory_knows(struct memory *m, enum memory_kind kind, const char *userid, const void *what, size_t n,
                  int64_t now)
{
    unsigned char key[KEY_SIZE];
    struct db_txn *txn;
    bool known;

    if (db_begin(m->env, false, &txn) < 0)
        return false;
    make_key(key, kind, userid, what, n);
    known = is_known(m, txn, key, now);
    db_abort(&txn);
    return known;
}

int memory_mark(struct memory *m, enum memory_kind kind, const char *userid, const void *what, size_t n,
                int64_t until, int64_t now)
{
    unsigned char key[KEY_SIZE], value[VALUE_SIZE];
    struct db_txn *txn;
    int r = db_begin(m->env, true, &txn);

    if (r < 0)
        return r;
    make_key(key, kind, userid, what, n);
    put_time(value, until);
    if (now != 0 && is_known(m, txn, key, now))
        r = ERR_EXISTS;
    if (r == 0)
        r = db_put(txn, m->table, key, KEY_SIZE, value, VALUE_SIZE);
    if (r == 0)
        r = db_commit(&txn);
    db_abort(&txn);
    return r;
}

void memory_forget(struct memory *m, enum memory_kind kind, const char *userid, const void *what, size_t n)
{
    unsigned char key[KEY_SIZE];
    struct db_txn *txn;

    if (db_begin(m->env, true, &txn) < 0)
        return;
    make_key(key, kind, userid, what, n);
    if (db_delete(txn, m->table, key, KEY_SIZE) == 0)
        db_commit(&txn);
    db_abort(&txn);
}

/* ---- expiry ---- */

struct expiry {
    struct memory *memory;
    int64_t now;
    struct buf keys;
};

static int collect(const struct db_value *key, const struct db_value *value, void *context)
{
    struct expiry *x = context;

    if (key->len == KEY_SIZE && get_time(value) <= x->now)
        buf_append(&x->keys, key->data, key->len);
    return 0;
}

/* One that was marked anew in the meantime stays. */
static int remove_batch(const struct expiry *x, size_t from, size_t to)
{
    struct db_txn *txn;
    int r = db_begin(x->memory->env, true, &txn);

    for (size_t at = from; r == 0 && at < to; at += KEY_SIZE) {
        const unsigned char *key = (const unsigned char *)x->keys.data + at;

        if (is_known(x->memory, txn, key, x->now))
            continue;
        r = db_delete(txn, x->memory->table, key, KEY_SIZE);
        r = r == ERR_NOTFOUND ? 0 : r;
    }
    if (r == 0)
        r = db_commit(&txn);
    db_abort(&txn);
    return r;
}

int memory_expire(struct memory *m, int64_t now)
{
    struct expiry x = {.memory = m, .now = now};
    int r = db_scan_batches(m->env, m->table, NULL, 0, NULL, 0, BATCH, collect, &x), count;

    db_reader_check(m->env);
    for (size_t at = 0; r == 0 && at < x.keys.len; at += (size_t)BATCH * KEY_SIZE)
        r = remove_batch(
            &x, at, x.keys.len - at > (size_t)BATCH * KEY_SIZE ? at + (size_t)BATCH * KEY_SIZE : x.keys.len);
    count = (int)(x.keys.len / KEY_SIZE);
    buf_free(&x.keys);
    return r < 0 ? r : count;
}
