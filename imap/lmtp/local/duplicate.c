#include "imap/lmtp/local/duplicate.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/db/db.h"

enum { BATCH = 1000, VALUE_SIZE = 9, VERSION = 1 };

static void make_key(struct buf *key, const char *mailbox_id, const char *message_id)
{
    struct buf whole = BUF_INIT;

    buf_printf(&whole, "%s %s", mailbox_id, message_id);
    db_key_long(key, whole.data, whole.len);
    buf_free(&whole);
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

bool duplicate_is_known(struct db_env *env, const char *mailbox_id, const char *message_id)
{
    struct buf key = BUF_INIT;
    struct db_value value;
    struct db_txn *txn;
    bool known = false;

    if (db_begin(env, false, &txn) < 0)
        return false;
    make_key(&key, mailbox_id, message_id);
    known = db_get(txn, db_table(env, "duplicates"), key.data, key.len, &value) == 0;
    db_abort(&txn);
    buf_free(&key);
    return known;
}

int duplicate_mark(struct db_env *env, const char *mailbox_id, const char *message_id, int64_t now)
{
    unsigned char value[VALUE_SIZE];
    struct buf key = BUF_INIT;
    struct db_txn *txn;
    int r = db_begin(env, true, &txn);

    if (r < 0)
        return r;
    put_time(value, now);
    make_key(&key, mailbox_id, message_id);
    r = db_put(txn, db_table(env, "duplicates"), key.data, key.len, value, sizeof(value));
    if (r == 0)
        r = db_commit(&txn);
    db_abort(&txn);
    buf_free(&key);
    return r;
}

/* ---- expiry ---- */

struct expiry {
    int64_t before;
    struct buf keys; /* each with its length (two bytes) before it */
    size_t count;
    struct buf next; /* where the next batch begins; empty: the end was reached */
    size_t seen;
};

static int collect(const struct db_value *key, const struct db_value *value, void *context)
{
    struct expiry *x = context;

    if (x->seen++ == BATCH) {
        buf_append(&x->next, key->data, key->len);
        return 1;
    }
    if (get_time(value) < x->before) {
        buf_putc(&x->keys, (char)(key->len >> 8));
        buf_putc(&x->keys, (char)key->len);
        buf_append(&x->keys, key->data, key->len);
        x->count++;
    }
    return 0;
}

static int delete_collected(struct db_env *env, unsigned table, const struct expiry *x)
{
    const unsigned char *p = (const unsigned char *)x->keys.data, *end = p + x->keys.len;
    struct db_txn *txn;
    int r = db_begin(env, true, &txn);

    while (r == 0 && p < end) {
        size_t n = (size_t)p[0] << 8 | p[1];

        r = db_delete(txn, table, p + 2, n);
        r = r == ERR_NOTFOUND ? 0 : r;
        p += 2 + n;
    }
    if (r == 0)
        r = db_commit(&txn);
    db_abort(&txn);
    return r;
}

/* A batch from `start` on; 0, or an error. */
static int expire_batch(struct db_env *env, unsigned table, const struct buf *start, struct expiry *x)
{
    struct db_txn *txn;
    int r = db_begin(env, false, &txn);

    if (r < 0)
        return r;
    r = db_scan(txn, table, start->len > 0 ? start->data : NULL, start->len, NULL, 0, collect, x);
    db_abort(&txn);
    return r >= 0 && x->count > 0 ? delete_collected(env, table, x) : r < 0 ? r : 0;
}

int duplicate_expire(struct db_env *env, int64_t before)
{
    unsigned table = db_table(env, "duplicates");
    struct buf start = BUF_INIT;
    int total = 0, r;

    do {
        struct expiry x = {.before = before};

        r = expire_batch(env, table, &start, &x);
        total += r == 0 ? (int)x.count : 0;
        buf_free(&x.keys);
        buf_free(&start);
        start = x.next;
    } while (r == 0 && start.len > 0);
    buf_free(&start);
    return r < 0 ? r : total;
}

struct visit {
    int (*fn)(const char *mailbox_id, const char *message_id, int64_t time, void *context);
    void *context;
};

static int visit_one(const struct db_value *key, const struct db_value *value, void *context)
{
    struct visit *visit = context;
    struct buf ids = BUF_INIT;
    char *blank;
    int r = 0;

    buf_append(&ids, key->data, key->len);
    buf_putc(&ids, '\0');
    blank = strchr(ids.data, ' ');
    if (blank != NULL) {
        *blank = '\0';
        r = visit->fn(ids.data, blank + 1, get_time(value), visit->context);
    }
    buf_free(&ids);
    return r;
}

int duplicate_each(struct db_env *env,
                   int (*fn)(const char *mailbox_id, const char *message_id, int64_t time, void *context),
                   void *context)
{
    struct visit visit = {fn, context};

    return db_scan_batches(env, db_table(env, "duplicates"), NULL, 0, NULL, 0, BATCH, visit_one, &visit);
}
