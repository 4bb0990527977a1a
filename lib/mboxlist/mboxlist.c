/* mboxlist.c: the list's environment, lookups and transactions. */
#include "lib/mboxlist/mboxlist.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/mboxlist/mboxlist-private.h"
#include "lib/name/acl.h"

static const char *const table_names[TABLE_COUNT + 1] = {
    [TABLE_NAMES] = "names",     [TABLE_IDS] = "ids",
    [TABLE_REVERSE] = "reverse", [TABLE_TOMBSTONES] = "tombstones",
    [TABLE_QUOTA] = "quota",     [TABLE_SUBSCRIPTIONS] = "subscriptions",
    [TABLE_INTENTS] = "intents", [TABLE_ANNOTATIONS] = "annotations",
    [TABLE_META] = "meta",       [TABLE_JOURNAL] = "journal",
    [TABLE_COUNT] = NULL,
};

/* The kernel tells who watches it.  Not data.mdb: LMDB lets readers see a commit only after its last write there.  Who is
 * killed in between leaves the rows to be found with the next ones. */
static void open_notice(struct mboxlist *list, const char *path)
{
    list->notice_path = xstrprintf("%s/journal", path);
    list->notice_fd = open(list->notice_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

static void give_notice(const struct mboxlist *list)
{
    static const char dot = '.';

    if (list->notice_fd >= 0 && pwrite(list->notice_fd, &dot, 1, 0) != 1)
        return; /* those who watch come by themselves, now and then */
}

int mboxlist_open(const char *dir, struct mboxlist **list_r, char **error_r)
{
    char *path = xstrprintf("%s/mailboxes", dir != NULL ? dir : opt_string(OPT_CONFIGDIRECTORY));
    struct mboxlist *list = xcalloc(1, sizeof(*list));
    int r = db_open(DB_LMDB, path, 0, 0, table_names, &list->env, error_r);

    if (r < 0) {
        free(path);
        free(list);
        return r;
    }
    open_notice(list, path);
    list->path = path;
    list->magic = MBOXLIST_MAGIC;
    for (unsigned i = 0; i < TABLE_COUNT; i++)
        list->tables[i] = db_table(list->env, table_names[i]);
    *list_r = list;
    return 0;
}

void mboxlist_close(struct mboxlist **listp)
{
    struct mboxlist *list = *listp;

    *listp = NULL;
    if (list == NULL)
        return;
    MAGIC_CHECK(list, MBOXLIST_MAGIC);
    list->magic = 0;
    db_close(&list->env);
    if (list->notice_fd >= 0)
        close(list->notice_fd);
    free(list->notice_path);
    free(list->path);
    free(list);
}

void mboxlist_housekeeping(struct mboxlist *list)
{
    db_reader_check(list->env);
}

int mboxlist_checkpoint(struct mboxlist *list)
{
    return db_sync(list->env);
}

/* ---- single reads ---- */

static int get_record(struct mboxlist *list, struct db_txn *txn, enum mboxlist_table table, const char *name,
                      struct pool *pool, struct mboxlist_record *record_r)
{
    struct buf key = BUF_INIT;
    struct db_value value;
    int r = ERR_NOTFOUND;

    key_name(&key, name);
    if (key.len > 0 && key.len <= MBOXLIST_NAME_MAX)
        r = db_get(txn, list->tables[table], key.data, key.len, &value);
    buf_free(&key);
    return r < 0 ? r : mboxlist_record_decode(value.data, value.len, pool, record_r);
}

static int get_by_id(struct mboxlist *list, struct db_txn *txn, const char *id, struct pool *pool,
                     struct mboxlist_record *record_r)
{
    size_t len = strlen(id);
    struct db_value value;
    int r;

    if (len == 0 || len > MBOXLIST_ID_MAX)
        return ERR_NOTFOUND;
    r = db_get(txn, list->tables[TABLE_IDS], id, len, &value);
    if (r < 0)
        return r;
    return get_record(list, txn, TABLE_NAMES, pool_strndup(pool, value.data, value.len), pool, record_r);
}

static int read_one(struct mboxlist *list, enum mboxlist_table table, const char *name, const char *id,
                    struct pool *pool, struct mboxlist_record *record_r)
{
    struct db_txn *txn;
    int r;

    MAGIC_CHECK(list, MBOXLIST_MAGIC);
    r = db_begin(list->env, false, &txn);
    if (r < 0)
        return r;
    r = id != NULL ? get_by_id(list, txn, id, pool, record_r)
                   : get_record(list, txn, table, name, pool, record_r);
    db_abort(&txn);
    return r;
}

int mboxlist_lookup(struct mboxlist *list, const char *name, struct pool *pool,
                    struct mboxlist_record *record_r)
{
    return read_one(list, TABLE_NAMES, name, NULL, pool, record_r);
}

int mboxlist_lookup_id(struct mboxlist *list, const char *id, struct pool *pool,
                       struct mboxlist_record *record_r)
{
    return read_one(list, TABLE_NAMES, NULL, id, pool, record_r);
}

int mboxlist_tombstone(struct mboxlist *list, const char *name, struct pool *pool,
                       struct mboxlist_record *record_r)
{
    return read_one(list, TABLE_TOMBSTONES, name, NULL, pool, record_r);
}

static int found_one(const struct db_value *key, const struct db_value *value, void *context)
{
    (void)key;
    (void)value;
    (void)context;
    return 1;
}

int mboxlist_has_children(struct mboxlist *list, const char *name)
{
    struct buf prefix = BUF_INIT;
    struct db_txn *txn;
    int r = db_begin(list->env, false, &txn);

    if (r < 0)
        return r;
    key_name(&prefix, name);
    buf_putc(&prefix, KEY_SEPARATOR);
    r = prefix.len > MBOXLIST_NAME_MAX
            ? 0
            : db_scan(txn, list->tables[TABLE_NAMES], NULL, 0, prefix.data, prefix.len, found_one, NULL);
    buf_free(&prefix);
    db_abort(&txn);
    return r;
}

int mboxlist_count(struct mboxlist *list, uint64_t *count_r)
{
    struct db_txn *txn;
    int r = db_begin(list->env, false, &txn);

    if (r < 0)
        return r;
    r = db_count(txn, list->tables[TABLE_NAMES], count_r);
    db_abort(&txn);
    return r;
}

int mboxlist_name_compare(const char *a, const char *b)
{
    for (; *a != '\0' && *a == *b; a++, b++)
        ;
    return (int)(unsigned char)key_char(*a) - (int)(unsigned char)key_char(*b);
}

/* ---- transactions ---- */

int mboxlist_begin(struct mboxlist *list, struct mboxlist_txn **txn_r)
{
    struct db_txn *db;
    int r;

    MAGIC_CHECK(list, MBOXLIST_MAGIC);
    r = db_begin(list->env, true, &db);
    if (r < 0)
        return r;
    *txn_r = xmalloc(sizeof(**txn_r));
    **txn_r = (struct mboxlist_txn){.magic = MBOXLIST_TXN_MAGIC, .list = list, .db = db, .pool = pool_new(0)};
    return 0;
}

static void free_txn(struct mboxlist_txn **txnp)
{
    (*txnp)->magic = 0;
    pool_free(&(*txnp)->pool);
    free(*txnp);
    *txnp = NULL;
}

int mboxlist_commit(struct mboxlist_txn **txnp)
{
    int r;

    MAGIC_CHECK(*txnp, MBOXLIST_TXN_MAGIC);
    r = db_commit(&(*txnp)->db);
    if (r == 0 && (*txnp)->journal_rows > 0)
        give_notice((*txnp)->list);
    free_txn(txnp);
    return r;
}

void mboxlist_abort(struct mboxlist_txn **txnp)
{
    if (*txnp == NULL)
        return;
    MAGIC_CHECK(*txnp, MBOXLIST_TXN_MAGIC);
    db_abort(&(*txnp)->db);
    free_txn(txnp);
}

int txn_get(struct mboxlist_txn *txn, enum mboxlist_table table, const struct buf *key,
            struct db_value *value_r)
{
    MAGIC_CHECK(txn, MBOXLIST_TXN_MAGIC);
    return db_get(txn->db, txn->list->tables[table], key->data, key->len, value_r);
}

int txn_put(struct mboxlist_txn *txn, enum mboxlist_table table, const struct buf *key,
            const struct buf *value)
{
    MAGIC_CHECK(txn, MBOXLIST_TXN_MAGIC);
    return db_put(txn->db, txn->list->tables[table], key->data, key->len, value->data, value->len);
}

int txn_delete(struct mboxlist_txn *txn, enum mboxlist_table table, const struct buf *key)
{
    MAGIC_CHECK(txn, MBOXLIST_TXN_MAGIC);
    return db_delete(txn->db, txn->list->tables[table], key->data, key->len);
}

int list_number_get(const struct mboxlist *list, struct db_txn *db, const char *name, uint64_t *number_r)
{
    struct db_value value;
    int r = db_get(db, list->tables[TABLE_META], name, strlen(name), &value);

    *number_r = 0;
    if (r == 0) {
        struct packed reader = {.at = value.data, .left = value.len};

        *number_r = unpack(&reader, 8);
        r = reader.bad ? ERR_CORRUPT : 0;
    }
    return r == ERR_NOTFOUND ? 0 : r;
}

int txn_number_get(struct mboxlist_txn *txn, const char *name, uint64_t *number_r)
{
    return list_number_get(txn->list, txn->db, name, number_r);
}

int txn_number_put(struct mboxlist_txn *txn, const char *name, uint64_t number)
{
    struct buf value = BUF_INIT;
    int r;

    pack_u64(&value, number);
    r = db_put(txn->db, txn->list->tables[TABLE_META], name, strlen(name), value.data, value.len);
    buf_free(&value);
    return r;
}

static int collect_pair(const struct db_value *key, const struct db_value *value, void *context)
{
    struct pair_list *pairs = context;

    if (pairs->count == pairs->room) {
        pairs->room = pairs->room == 0 ? 64 : 2 * pairs->room;
        pairs->keys = xreallocarray(pairs->keys, pairs->room, sizeof(*pairs->keys));
        pairs->values = xreallocarray(pairs->values, pairs->room, sizeof(*pairs->values));
    }
    pairs->keys[pairs->count] = (struct db_value){pool_memdup(pairs->pool, key->data, key->len), key->len};
    pairs->values[pairs->count++] =
        (struct db_value){pool_memdup(pairs->pool, value->data, value->len), value->len};
    return 0;
}

int txn_collect(struct mboxlist_txn *txn, enum mboxlist_table table, const struct buf *prefix,
                struct pair_list *pairs)
{
    *pairs = (struct pair_list){.pool = pool_new(0)};
    return db_scan(txn->db, txn->list->tables[table], NULL, 0, prefix->data, prefix->len, collect_pair,
                   pairs);
}

void pair_list_free(struct pair_list *pairs)
{
    pool_free(&pairs->pool);
    free(pairs->keys);
    free(pairs->values);
}

/* ---- records in a transaction ---- */

int mboxlist_txn_lookup(struct mboxlist_txn *txn, const char *name, struct pool *pool,
                        struct mboxlist_record *record_r)
{
    MAGIC_CHECK(txn, MBOXLIST_TXN_MAGIC);
    return get_record(txn->list, txn->db, TABLE_NAMES, name, pool, record_r);
}

int mboxlist_txn_lookup_id(struct mboxlist_txn *txn, const char *id, struct pool *pool,
                           struct mboxlist_record *record_r)
{
    MAGIC_CHECK(txn, MBOXLIST_TXN_MAGIC);
    return get_by_id(txn->list, txn->db, id, pool, record_r);
}

/* Does `identifier` own `name` by the form of the name?  His own tree is iterated as such, so that the rows of
 * a million owners need not be kept. */
static bool owns(const char *identifier, const char *name)
{
    const char *bang = strchr(name, '!'), *local = bang == NULL ? name : bang + 1;
    size_t len;

    if (!str_has_prefix(local, "user."))
        return false;
    local += strlen("user.");
    len = strcspn(local, ".");
    for (size_t i = 0; i < len; i++)
        if (identifier[i] != (local[i] == '^' ? '.' : local[i]))
            return false; /* also at the identifier's end */
    identifier += len;
    if (bang == NULL)
        return *identifier == '\0';
    return *identifier == '@' && strlen(identifier + 1) == (size_t)(bang - name) &&
           strncmp(identifier + 1, name, (size_t)(bang - name)) == 0;
}

struct reverse_change {
    struct mboxlist_txn *txn;
    const char *name;
    bool put;
    int r;
};

static bool change_reverse(const char *identifier, const char *rights, void *context)
{
    struct reverse_change *change = context;
    struct buf key = BUF_INIT, value = BUF_INIT;

    if (identifier[0] == '-' || strchr(rights, 'l') == NULL || owns(identifier, change->name))
        return true;
    key_owner(&key, identifier);
    key_name(&key, change->name);
    pack_u8(&value, 1);
    pack_string(&value, identifier);
    change->r = change->put ? txn_put(change->txn, TABLE_REVERSE, &key, &value)
                            : txn_delete(change->txn, TABLE_REVERSE, &key);
    if (change->r == ERR_NOTFOUND) /* an identifier that stood twice in the list */
        change->r = 0;
    buf_free(&key);
    buf_free(&value);
    return change->r == 0;
}

static int write_reverse(struct mboxlist_txn *txn, const struct mboxlist_record *record, bool put)
{
    struct reverse_change change = {txn, record->name, put, 0};

    acl_each(record->acl == NULL ? "" : record->acl, change_reverse, &change);
    return change.r;
}

static int write_id(struct mboxlist_txn *txn, const struct mboxlist_record *record, bool put)
{
    unsigned table = txn->list->tables[TABLE_IDS];
    const char *id = record->id == NULL ? "" : record->id;
    struct db_value there;
    int r;

    if (id[0] == '\0' || (put && txn->ids_later))
        return 0;
    if (put)
        return db_add(txn->db, table, id, strlen(id), record->name, strlen(record->name));
    r = db_get(txn->db, table, id, strlen(id), &there);
    if (r == 0 && there.len == strlen(record->name) && memcmp(there.data, record->name, there.len) == 0)
        r = db_delete(txn->db, table, id, strlen(id)); /* it may be another's: two came with it in a list */
    return r == ERR_NOTFOUND ? 0 : r;
}

/* Removes a record and the rows that hang on it. */
static int remove_record(struct mboxlist_txn *txn, const struct mboxlist_record *record)
{
    struct buf key = BUF_INIT;
    int r = write_reverse(txn, record, false);

    if (r == 0)
        r = write_id(txn, record, false);
    key_name(&key, record->name);
    if (r == 0)
        r = txn_delete(txn, TABLE_NAMES, &key);
    buf_free(&key);
    return r;
}

static int write_value_if(struct mboxlist_txn *txn, enum mboxlist_table table,
                          const struct mboxlist_record *record, bool only_new)
{
    struct buf key = BUF_INIT, value = BUF_INIT;
    int r;

    key_name(&key, record->name);
    mboxlist_record_encode(record, &value);
    if (only_new)
        r = db_add(txn->db, txn->list->tables[table], key.data, key.len, value.data, value.len);
    else
        r = txn_put(txn, table, &key, &value);
    buf_free(&key);
    buf_free(&value);
    return r;
}

static int write_value(struct mboxlist_txn *txn, enum mboxlist_table table,
                       const struct mboxlist_record *record)
{
    return write_value_if(txn, table, record, false);
}

int txn_put_new(struct mboxlist_txn *txn, const struct mboxlist_record *record)
{
    int r = mboxlist_record_check(record);

    if (r == 0)
        r = write_value_if(txn, TABLE_NAMES, record, true);
    return r == 0 ? write_reverse(txn, record, true) : r;
}

/* Another name's mailbox has this id. */
static bool id_is_taken(struct mboxlist_txn *txn, const struct mboxlist_record *record)
{
    struct mboxlist_record other;

    return record->id != NULL && get_by_id(txn->list, txn->db, record->id, txn->pool, &other) == 0 &&
           strcmp(other.name, record->name) != 0;
}

/* Makes room for `record`: what hangs on the name's old record and differs goes.  *fresh_acl_r, *fresh_id_r:
 * the new one's rows are to be written. */
static int replace_old(struct mboxlist_txn *txn, const struct mboxlist_record *record, bool *fresh_acl_r,
                       bool *fresh_id_r)
{
    const char *from = txn->renamed_from;
    struct mboxlist_record old;
    int r = mboxlist_txn_lookup(txn, record->name, txn->pool, &old);

    *fresh_acl_r = *fresh_id_r = true;
    txn->renamed_from = NULL;
    if (r == ERR_NOTFOUND)
        return journal_txn_name(txn, NULL, record, from);
    if (r == 0)
        r = journal_txn_name(txn, &old, record, from);
    if (r < 0)
        return r;
    *fresh_acl_r = strcmp(old.acl, record->acl == NULL ? "" : record->acl) != 0;
    *fresh_id_r = strcmp(old.id, record->id == NULL ? "" : record->id) != 0;
    if (*fresh_acl_r)
        r = write_reverse(txn, &old, false);
    if (r == 0 && *fresh_id_r)
        r = write_id(txn, &old, false);
    return r;
}

int mboxlist_txn_put(struct mboxlist_txn *txn, const struct mboxlist_record *record)
{
    bool fresh_acl, fresh_id;
    int r = mboxlist_record_check(record);

    MAGIC_CHECK(txn, MBOXLIST_TXN_MAGIC);
    if (r == 0 && record->type == MBOXLIST_DELETED)
        r = ERR_INVALID;
    if (r == 0 && !txn->ids_later && id_is_taken(txn, record))
        r = ERR_EXISTS;
    if (r == 0)
        r = replace_old(txn, record, &fresh_acl, &fresh_id);
    if (r == 0)
        r = write_value(txn, TABLE_NAMES, record);
    if (r == 0 && fresh_id)
        r = write_id(txn, record, true);
    if (r == 0 && fresh_acl)
        r = write_reverse(txn, record, true);
    return r;
}

static int put_tombstone(struct mboxlist_txn *txn, const struct mboxlist_record *record)
{
    struct mboxlist_record stone = *record;

    stone.type = MBOXLIST_DELETED;
    stone.acl = stone.special_use = "";
    stone.mtime = 0;
    return write_value(txn, TABLE_TOMBSTONES, &stone);
}

int mboxlist_txn_delete(struct mboxlist_txn *txn, const char *name, bool tombstone)
{
    struct mboxlist_record record;
    int r = mboxlist_txn_lookup(txn, name, txn->pool, &record);

    if (r == 0)
        r = remove_record(txn, &record);
    if (r == 0 && !txn->renaming)
        r = journal_txn_name(txn, &record, NULL, NULL);
    return r == 0 && tombstone ? put_tombstone(txn, &record) : r;
}

int mboxlist_txn_rename(struct mboxlist_txn *txn, const char *old_name, const char *new_name)
{
    struct mboxlist_record record, other;
    int r = mboxlist_txn_lookup(txn, old_name, txn->pool, &record);

    if (r == 0 && mboxlist_txn_lookup(txn, new_name, txn->pool, &other) == 0)
        r = ERR_EXISTS;
    txn->renaming = true; /* one row tells of both */
    if (r == 0)
        r = mboxlist_txn_delete(txn, old_name, true);
    txn->renaming = false;
    if (r < 0)
        return r;
    txn->renamed_from = old_name;
    record.name = new_name;
    record.mtime = 0;
    return mboxlist_txn_put(txn, &record);
}

int mboxlist_txn_uidvalidity(struct mboxlist_txn *txn, int64_t now, uint32_t *uidvalidity_r)
{
    uint64_t last;
    int r = txn_number_get(txn, "uidvalidity", &last);

    if (r < 0)
        return r;
    if (last >= UINT32_MAX)
        return ERR_LIMIT;
    *uidvalidity_r = (uint32_t)last + 1;
    if (now > (int64_t)*uidvalidity_r && now <= UINT32_MAX)
        *uidvalidity_r = (uint32_t)now;
    return txn_number_put(txn, "uidvalidity", *uidvalidity_r);
}

/* ---- tombstones ---- */

int mboxlist_tombstones_expire(struct mboxlist *list, int64_t before)
{
    struct buf all = BUF_INIT;
    struct mboxlist_record stone;
    struct pair_list pairs;
    struct mboxlist_txn *txn;
    int removed = 0, r = mboxlist_begin(list, &txn);

    if (r < 0)
        return r;
    r = txn_collect(txn, TABLE_TOMBSTONES, &all, &pairs);
    for (size_t i = 0; i < pairs.count && r == 0; i++) {
        if (mboxlist_record_decode(pairs.values[i].data, pairs.values[i].len, pairs.pool, &stone) == 0 &&
            stone.mtime >= before)
            continue;
        r = db_delete(txn->db, list->tables[TABLE_TOMBSTONES], pairs.keys[i].data, pairs.keys[i].len);
        removed++;
    }
    pair_list_free(&pairs);
    if (r < 0) {
        mboxlist_abort(&txn);
        return r;
    }
    r = mboxlist_commit(&txn);
    return r < 0 ? r : removed;
}
