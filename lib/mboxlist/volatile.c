/* volatile.c: the environments beside the list: `volatile` (quota usage, duplicates), made anew when the machine
 * was started anew, and `seen`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/lock.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/mboxlist/mboxlist-private.h"
#include "lib/mboxlist/quota.h"

enum { USAGE_BATCH = 256 };
enum { USAGE_VERSION = 1, USAGE_ROOM = 8, BOOT_ID_MAX = 64, OPEN_TIMEOUT_MS = 30 * 1000 };

static const char *const volatile_tables[] = {"usage", "duplicates", "state", NULL};
static const char *const seen_tables[] = {"seen", NULL};

static const char *directory(const char *dir)
{
    return dir != NULL ? dir : opt_string(OPT_CONFIGDIRECTORY);
}

/* ---- opening ---- */

/* Removes what an earlier boot of the machine has left: it was never synced. */
static int drop_if_stale(const char *path, const char *boot_file, const struct buf *boot)
{
    struct buf last = BUF_INIT;
    int r = file_read_all(boot_file, BOOT_ID_MAX, &last);
    bool fresh = r == 0 && last.len == boot->len && memcmp(last.data, boot->data, boot->len) == 0;

    buf_free(&last);
    if (fresh)
        return 0;
    r = file_remove_tree(path);
    if (r == 0)
        r = file_make_dirs(path, 0700, 1);
    return r < 0 ? r : file_replace(boot_file, boot->data, boot->len, 0600);
}

static int open_locked(const char *path, struct db_env **env_r, char **error_r)
{
    char *boot_file = xstrprintf("%s/boot-id", path);
    struct buf boot = BUF_INIT;
    int r = file_read_all("/proc/sys/kernel/random/boot_id", BOOT_ID_MAX, &boot);

    if (r == 0)
        r = drop_if_stale(path, boot_file, &boot);
    if (r == 0)
        r = db_open(DB_LMDB, path, DB_NO_SYNC, 0, volatile_tables, env_r, error_r);
    else if (error_r != NULL)
        *error_r = xstrprintf("%s: %s", boot_file, error_text(r));
    free(boot_file);
    buf_free(&boot);
    return r;
}

int volatile_open(const char *dir, struct db_env **env_r, char **error_r)
{
    char *path = xstrprintf("%s/volatile", directory(dir)), *lock_path = xstrprintf("%s.lock", path);
    struct lock *lock;
    int r = lock_acquire_path(lock_path, OPEN_TIMEOUT_MS, &lock);

    if (r == 0) {
        r = open_locked(path, env_r, error_r);
        lock_release(&lock);
    } else if (error_r != NULL) {
        *error_r = xstrprintf("%s: %s", lock_path, error_text(r));
    }
    free(path);
    free(lock_path);
    return r;
}

int seen_open(const char *dir, struct db_env **env_r, char **error_r)
{
    char *path = xstrprintf("%s/seen", directory(dir));
    int r = db_open(DB_LMDB, path, 0, 0, seen_tables, env_r, error_r);

    free(path);
    return r;
}

/* ---- usage ---- */

struct usage_row {
    struct quota_usage usage;
    char root[MBOXLIST_NAME_MAX + 1]; /* of a mailbox's row; "" in a root's */
};

static void usage_key(struct buf *key, char kind, const char *what)
{
    buf_putc(key, kind);
    key_name(key, what);
}

static int get_row(struct db_txn *txn, unsigned table, const struct buf *key, struct usage_row *row_r)
{
    struct db_value value;
    struct packed reader;
    size_t len;
    int r = db_get(txn, table, key->data, key->len, &value);

    *row_r = (struct usage_row){.root = ""};
    if (r < 0)
        return r;
    reader = (struct packed){.at = value.data, .left = value.len};
    if (unpack(&reader, 1) != USAGE_VERSION)
        return ERR_VERSION;
    unpack_skip(&reader, 7);
    for (unsigned i = 0; i < USAGE_ROOM; i++) {
        uint64_t used = unpack(&reader, 8);

        if (i < QUOTA_RESOURCES)
            row_r->usage.used[i] = (int64_t)used;
    }
    len = (size_t)unpack(&reader, 4);
    if (reader.bad || len > MBOXLIST_NAME_MAX || len > reader.left)
        return ERR_CORRUPT;
    memcpy(row_r->root, reader.at, len);
    return 0;
}

static int put_row(struct db_txn *txn, unsigned table, const struct buf *key, const struct usage_row *row)
{
    struct buf value = BUF_INIT;
    int r;

    pack_u8(&value, USAGE_VERSION);
    pack_zeros(&value, 7);
    for (unsigned i = 0; i < USAGE_ROOM; i++)
        pack_u64(&value, i < QUOTA_RESOURCES ? (uint64_t)row->usage.used[i] : 0);
    pack_string(&value, row->root);
    r = db_put(txn, table, key->data, key->len, value.data, value.len);
    buf_free(&value);
    return r;
}

/* Adds sign * usage to the sum of a root. */
static int adjust_sum(struct db_txn *txn, unsigned table, const char *root, const struct quota_usage *usage,
                      int sign)
{
    struct buf key = BUF_INIT;
    struct usage_row sum;
    int r;

    if (root[0] == '\0')
        return 0;
    usage_key(&key, 'r', root);
    r = get_row(txn, table, &key, &sum);
    if (r == 0 || r == ERR_NOTFOUND) {
        for (unsigned i = 0; i < QUOTA_RESOURCES; i++)
            sum.usage.used[i] += sign * usage->used[i];
        r = put_row(txn, table, &key, &sum);
    }
    buf_free(&key);
    return r;
}

/* Takes the mailbox's old row out of its sum, and puts the new one (NULL: none) in. */
static int replace_row(struct db_txn *txn, unsigned table, const char *mailbox_id,
                       const struct usage_row *row)
{
    struct buf key = BUF_INIT;
    struct usage_row old;
    int r;

    usage_key(&key, 'm', mailbox_id);
    r = get_row(txn, table, &key, &old);
    if (r == 0)
        r = adjust_sum(txn, table, old.root, &old.usage, -1);
    else if (r == ERR_NOTFOUND)
        r = 0;
    if (r == 0 && row != NULL) {
        r = adjust_sum(txn, table, row->root, &row->usage, 1);
        if (r == 0)
            r = put_row(txn, table, &key, row);
    } else if (r == 0) {
        r = db_delete(txn, table, key.data, key.len);
        r = r == ERR_NOTFOUND ? 0 : r;
    }
    buf_free(&key);
    return r;
}

static int change_usage(struct db_env *env, const char *mailbox_id, const struct usage_row *row)
{
    struct db_txn *txn;
    int r;

    if (mailbox_id[0] == '\0' || strlen(mailbox_id) > MBOXLIST_ID_MAX)
        return ERR_INVALID;
    r = db_begin(env, true, &txn);
    if (r < 0)
        return r;
    r = replace_row(txn, db_table(env, "usage"), mailbox_id, row);
    if (r == 0)
        return db_commit(&txn);
    db_abort(&txn);
    return r;
}

int quota_usage_set(struct db_env *env, const char *mailbox_id, const char *root,
                    const struct quota_usage *usage)
{
    struct usage_row row = {.usage = *usage};

    if (strlen(root) > MBOXLIST_NAME_MAX)
        return ERR_TOOBIG;
    strcpy(row.root, root);
    return change_usage(env, mailbox_id, &row);
}

int quota_usage_drop(struct db_env *env, const char *mailbox_id)
{
    return change_usage(env, mailbox_id, NULL);
}

int quota_usage_get(struct db_env *env, const char *root, struct quota_usage *usage_r)
{
    struct buf key = BUF_INIT;
    struct usage_row row;
    struct db_txn *txn;
    int r = db_begin(env, false, &txn);

    if (r < 0)
        return r;
    usage_key(&key, 'r', root);
    r = key.len > DB_KEY_MAX ? ERR_TOOBIG : get_row(txn, db_table(env, "usage"), &key, &row);
    db_abort(&txn);
    buf_free(&key);
    if (r == 0 || r == ERR_NOTFOUND)
        *usage_r = row.usage;
    return r == ERR_NOTFOUND ? 0 : r;
}

struct ids_visit {
    int (*fn)(const char *mailbox_id, void *context);
    void *context;
};

static int visit_id(const struct db_value *key, const struct db_value *value, void *context)
{
    const struct ids_visit *visit = context;
    struct pool *pool = pool_new(0);
    int r = visit->fn(key_to_name(pool, (const char *)key->data + 1, key->len - 1), visit->context);

    (void)value;
    pool_free(&pool);
    return r;
}

int quota_usage_each_mailbox(struct db_env *env, int (*fn)(const char *mailbox_id, void *context),
                             void *context)
{
    struct ids_visit visit = {fn, context};

    return db_scan_batches(env, db_table(env, "usage"), NULL, 0, "m", 1, USAGE_BATCH, visit_id, &visit);
}

/* ---- counting anew ---- */

struct recompute {
    struct pair_list mailboxes, sums;
    unsigned table;
};

static int collect_row(const struct db_value *key, const struct db_value *value, void *context)
{
    struct pair_list *pairs = context;

    (void)value;
    if (pairs->count == pairs->room) {
        pairs->room = pairs->room == 0 ? 64 : 2 * pairs->room;
        pairs->keys = xreallocarray(pairs->keys, pairs->room, sizeof(*pairs->keys));
    }
    pairs->keys[pairs->count++] = (struct db_value){pool_memdup(pairs->pool, key->data, key->len), key->len};
    return 0;
}

static int get_collected(struct db_txn *txn, unsigned table, const struct db_value *key,
                         struct usage_row *row_r)
{
    const struct buf k = {(char *)(uintptr_t)key->data, key->len, 0};

    return get_row(txn, table, &k, row_r);
}

/* The sums that are there, set to nothing; what they were stays in `old`. */
static int clear_sums(struct db_txn *txn, unsigned table, const struct pair_list *sums, struct usage_row *old)
{
    const struct usage_row zero = {.root = ""};
    int r = 0;

    for (size_t i = 0; i < sums->count && r == 0; i++) {
        const struct buf k = {(char *)(uintptr_t)sums->keys[i].data, sums->keys[i].len, 0};

        r = get_row(txn, table, &k, &old[i]);
        if (r == 0)
            r = put_row(txn, table, &k, &zero);
    }
    return r;
}

static int add_mailboxes(struct db_txn *txn, unsigned table, const struct pair_list *mailboxes)
{
    struct usage_row row;
    int r = 0;

    for (size_t i = 0; i < mailboxes->count && r == 0; i++) {
        r = get_collected(txn, table, &mailboxes->keys[i], &row);
        if (r == 0)
            r = adjust_sum(txn, table, row.root, &row.usage, 1);
    }
    return r;
}

static int count_wrong(struct db_txn *txn, unsigned table, const struct pair_list *sums,
                       const struct usage_row *old)
{
    struct usage_row row;
    int wrong = 0, r;

    for (size_t i = 0; i < sums->count; i++) {
        r = get_collected(txn, table, &sums->keys[i], &row);
        if (r < 0)
            return r;
        wrong += memcmp(&row.usage, &old[i].usage, sizeof(row.usage)) != 0;
    }
    return wrong;
}

static int recompute_in(struct db_txn *txn, unsigned table)
{
    struct pair_list mailboxes = {.pool = pool_new(0)}, sums = {.pool = pool_new(0)};
    struct usage_row *old;
    int r = db_scan(txn, table, NULL, 0, "m", 1, collect_row, &mailboxes);

    if (r == 0)
        r = db_scan(txn, table, NULL, 0, "r", 1, collect_row, &sums);
    old = xcalloc(sums.count + 1, sizeof(*old));
    if (r == 0)
        r = clear_sums(txn, table, &sums, old);
    if (r == 0)
        r = add_mailboxes(txn, table, &mailboxes);
    if (r == 0)
        r = count_wrong(txn, table, &sums, old);
    free(old);
    pair_list_free(&mailboxes);
    pair_list_free(&sums);
    return r;
}

int quota_usage_recompute(struct db_env *env)
{
    struct db_txn *txn;
    int wrong, r = db_begin(env, true, &txn);

    if (r < 0)
        return r;
    wrong = recompute_in(txn, db_table(env, "usage"));
    if (wrong < 0) {
        db_abort(&txn);
        return wrong;
    }
    r = db_commit(&txn);
    return r < 0 ? r : wrong;
}

/* ---- complete? ---- */

int quota_usage_complete(struct db_env *env, bool *complete_r)
{
    struct db_value value;
    struct db_txn *txn;
    int r = db_begin(env, false, &txn);

    if (r < 0)
        return r;
    r = db_get(txn, db_table(env, "state"), "usage", strlen("usage"), &value);
    db_abort(&txn);
    *complete_r = r == 0;
    return r == ERR_NOTFOUND ? 0 : r;
}

int quota_usage_set_complete(struct db_env *env)
{
    struct db_txn *txn;
    int r = db_begin(env, true, &txn);

    if (r < 0)
        return r;
    r = db_put(txn, db_table(env, "state"), "usage", strlen("usage"), "complete", strlen("complete"));
    if (r == 0)
        return db_commit(&txn);
    db_abort(&txn);
    return r;
}
