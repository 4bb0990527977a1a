/* annotations.c: annotations of mailboxes and of the server. */
#include "lib/mboxlist/annotations.h"

#include <string.h>

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/mboxlist/journal.h"
#include "lib/mboxlist/mboxlist-private.h"

enum { ANNOTATION_VERSION = 1, ANNOTATION_BATCH = 32, ANNOTATION_HEAD = 8 };

/* The first byte of a key: an annotation, or a row that says where a user has some. */
#define KEY_VALUE 'm'
#define KEY_USER  'u'

/* ---- keys: `m` id NUL owner entry, `u` owner id ---- */

static void mailbox_key(struct buf *key, const char *id)
{
    buf_reset(key);
    buf_putc(key, KEY_VALUE);
    buf_puts(key, id);
    buf_putc(key, '\0');
}

static void owner_key(struct buf *key, const char *id, const char *userid)
{
    mailbox_key(key, id);
    key_owner(key, userid);
}

static void entry_key(struct buf *key, const char *id, const char *userid, const char *entry)
{
    owner_key(key, id, userid);
    for (; *entry != '\0'; entry++)
        buf_putc(key, str_lower_c(*entry));
}

static void user_key(struct buf *key, const char *userid, const char *id)
{
    buf_reset(key);
    buf_putc(key, KEY_USER);
    key_owner(key, userid);
    buf_puts(key, id);
}

static bool fits(const char *id, const char *entry)
{
    return strlen(id) <= MBOXLIST_ID_MAX && strlen(entry) <= ANNOTATION_ENTRY_MAX;
}

/* ---- values ---- */

struct row {
    const char *userid;
    struct annotation annotation;
};

static void encode(struct buf *value, const char *userid, const char *data, size_t len)
{
    pack_u8(value, ANNOTATION_VERSION);
    pack_zeros(value, ANNOTATION_HEAD - 1);
    pack_string(value, userid);
    pack_u32(value, (uint32_t)len);
    buf_append(value, data, len);
}

/* A copy of bytes that may be NULs, with one more behind them. */
static const char *copy_bytes(struct pool *pool, const void *data, size_t len)
{
    char *copy = pool_alloc(pool, len + 1);

    memcpy(copy, data, len);
    copy[len] = '\0';
    return copy;
}

/* The key's entry, and a value, copied. */
static int decode(const struct db_value *key, const struct db_value *value, struct pool *pool,
                  struct row *row_r)
{
    struct packed p = {.at = value->data, .left = value->len};
    const char *end = (const char *)key->data + key->len, *owner = memchr(key->data, '\0', key->len), *entry;
    size_t len, owner_len;

    if (unpack(&p, 1) != ANNOTATION_VERSION)
        return ERR_VERSION;
    unpack_skip(&p, ANNOTATION_HEAD - 1);
    row_r->userid = unpack_string(&p, pool);
    len = (size_t)unpack(&p, 4);
    owner_len = strlen(row_r->userid);
    if (owner_len > KEY_OWNER_MAX) /* a hash, which may have NULs */
        owner_len = DIGEST_SHA1_SIZE;
    if (p.bad || len > p.left || owner == NULL || (size_t)(end - owner) < owner_len + 2)
        return ERR_CORRUPT;
    entry = owner + owner_len + 2;
    row_r->annotation.entry = pool_strndup(pool, entry, (size_t)(end - entry));
    row_r->annotation.value = copy_bytes(pool, p.at, len);
    row_r->annotation.len = len;
    return 0;
}

/* ---- reading ---- */

int annotation_get(struct mboxlist *list, const char *id, const char *userid, const char *entry,
                   struct pool *pool, struct annotation *annotation_r)
{
    struct buf key = BUF_INIT;
    struct db_value value;
    struct db_txn *txn;
    struct row row;
    int r;

    if (!fits(id, entry))
        return ERR_NOTFOUND;
    r = db_begin(list->env, false, &txn);
    if (r < 0)
        return r;
    entry_key(&key, id, userid, entry);
    r = db_get(txn, list->tables[TABLE_ANNOTATIONS], key.data, key.len, &value);
    if (r == 0)
        r = decode(&(struct db_value){key.data, key.len}, &value, pool, &row);
    if (r == 0)
        *annotation_r = row.annotation;
    buf_free(&key);
    db_abort(&txn);
    return r;
}

struct visit {
    size_t below_len;
    const char *userid;
    int (*fn)(const struct annotation *annotation, void *context);
    void *context;
};

static int visit_row(const struct db_value *key, const struct db_value *value, void *context)
{
    struct visit *visit = context;
    struct pool *pool = pool_new(0);
    struct row row;
    int r = decode(key, value, pool, &row);

    if (r == 0 && strcmp(row.userid, visit->userid) == 0) {
        char next = row.annotation.entry[visit->below_len];

        if (visit->below_len == 0 || next == '\0' || next == '/')
            r = visit->fn(&row.annotation, visit->context);
    }
    pool_free(&pool);
    return r;
}

int annotations_each(struct mboxlist *list, const char *id, const char *userid, const char *below,
                     int (*fn)(const struct annotation *annotation, void *context), void *context)
{
    struct visit visit = {strlen(below), userid, fn, context};
    struct buf key = BUF_INIT;
    int r = 0;

    entry_key(&key, id, userid, below);
    if (fits(id, below))
        r = db_scan_batches(list->env, list->tables[TABLE_ANNOTATIONS], NULL, 0, key.data, key.len,
                            ANNOTATION_BATCH, visit_row, &visit);
    buf_free(&key);
    return r;
}

/* ---- writing ---- */

static int count_row(const struct db_value *key, const struct db_value *value, void *context)
{
    size_t *count = context;

    (void)key;
    (void)value;
    return ++*count >= ANNOTATIONS_MAX ? ERR_LIMIT : 0;
}

/* Is there room for one more of that user's?  0, ERR_LIMIT. */
static int check_room(struct mboxlist_txn *txn, const char *id, const char *userid)
{
    struct buf key = BUF_INIT;
    size_t count = 0;
    int r;

    owner_key(&key, id, userid);
    r = db_scan(txn->db, txn->list->tables[TABLE_ANNOTATIONS], key.data, key.len, key.data, key.len,
                count_row, &count);
    buf_free(&key);
    return r;
}

/* Says that a user has some there, so that they are found when he goes. */
static int put_user(struct mboxlist_txn *txn, const char *userid, const char *id)
{
    struct buf key = BUF_INIT, value = BUF_INIT;
    int r;

    user_key(&key, userid, id);
    pack_u8(&value, ANNOTATION_VERSION);
    pack_zeros(&value, ANNOTATION_HEAD - 1);
    pack_string(&value, userid);
    pack_string(&value, id);
    r = txn_put(txn, TABLE_ANNOTATIONS, &key, &value);
    buf_free(&key);
    buf_free(&value);
    return r;
}

static int delete_key(struct mboxlist_txn *txn, struct buf *key)
{
    int r = txn_delete(txn, TABLE_ANNOTATIONS, key);

    return r == ERR_NOTFOUND ? 0 : r;
}

static int put(struct mboxlist_txn *txn, const char *id, const char *userid, const char *entry,
               const char *data, size_t len)
{
    struct buf key = BUF_INIT, value = BUF_INIT;
    int r = *userid != '\0' ? put_user(txn, userid, id) : 0;

    entry_key(&key, id, userid, entry);
    encode(&value, userid, data, len);
    if (r == 0)
        r = txn_put(txn, TABLE_ANNOTATIONS, &key, &value);
    buf_free(&key);
    buf_free(&value);
    return r;
}

int annotation_txn_set(struct mboxlist_txn *txn, const char *id, const char *userid, const char *entry,
                       const char *value, size_t len)
{
    struct buf key = BUF_INIT;
    struct db_value old;
    int r;

    if (!fits(id, entry) || len > ANNOTATION_VALUE_MAX)
        return ERR_TOOBIG;
    entry_key(&key, id, userid, entry);
    if (value == NULL) {
        r = txn_delete(txn, TABLE_ANNOTATIONS, &key);
        if (r == ERR_NOTFOUND) {
            buf_free(&key);
            return 0;
        }
    } else {
        r = txn_get(txn, TABLE_ANNOTATIONS, &key, &old);
        if (r == ERR_NOTFOUND)
            r = check_room(txn, id, userid);
        if (r == 0)
            r = put(txn, id, userid, entry, value, len);
    }
    buf_free(&key);
    return r < 0 ? r : journal_txn_annotation(txn, id, userid, entry, value != NULL);
}

/* ---- mailboxes and users that come and go ---- */

/* Calls fn for each annotation below a key, which are collected first, for it to change them. */
static int each_collected(struct mboxlist_txn *txn, const struct buf *prefix,
                          int (*fn)(struct mboxlist_txn *txn, const char *id, const struct row *row,
                                    const void *context),
                          const void *context)
{
    struct pair_list pairs;
    struct row row;
    int r = txn_collect(txn, TABLE_ANNOTATIONS, prefix, &pairs);

    for (size_t i = 0; i < pairs.count && r == 0; i++) {
        r = decode(&pairs.keys[i], &pairs.values[i], pairs.pool, &row);
        if (r == 0) /* the id ends in the key's first NUL */
            r = fn(txn, pool_strdup(pairs.pool, (const char *)pairs.keys[i].data + 1), &row, context);
    }
    pair_list_free(&pairs);
    return r;
}

static int drop_row(struct mboxlist_txn *txn, const char *id, const struct row *row, const void *context)
{
    struct buf key = BUF_INIT;
    int r;

    (void)context;
    entry_key(&key, id, row->userid, row->annotation.entry);
    r = delete_key(txn, &key);
    if (r == 0 && *row->userid != '\0') {
        user_key(&key, row->userid, id);
        r = delete_key(txn, &key);
    }
    buf_free(&key);
    return r;
}

int annotations_txn_drop(struct mboxlist_txn *txn, const char *id)
{
    struct buf prefix = BUF_INIT;
    int r;

    if (*id == '\0') /* that would be the server's */
        return 0;
    mailbox_key(&prefix, id);
    r = each_collected(txn, &prefix, drop_row, NULL);
    buf_free(&prefix);
    return r;
}

static int copy_row(struct mboxlist_txn *txn, const char *id, const struct row *row, const void *context)
{
    (void)id;
    return put(txn, context, row->userid, row->annotation.entry, row->annotation.value, row->annotation.len);
}

int annotations_txn_copy(struct mboxlist_txn *txn, const char *from, const char *to)
{
    struct buf prefix = BUF_INIT;
    int r;

    mailbox_key(&prefix, from);
    r = each_collected(txn, &prefix, copy_row, to);
    buf_free(&prefix);
    return r;
}

static int rekey_row(struct mboxlist_txn *txn, const char *id, const struct row *row, const void *context)
{
    int r = drop_row(txn, id, row, NULL);

    return r == 0 && context != NULL
               ? put(txn, id, context, row->annotation.entry, row->annotation.value, row->annotation.len)
               : r;
}

/* One mailbox's of the user. */
static int rekey_mailbox(struct mboxlist_txn *txn, const char *id, const char *userid, const char *new_userid)
{
    struct buf key = BUF_INIT;
    int r = 0;

    if (new_userid != NULL) { /* what another user of that name may have left */
        owner_key(&key, id, new_userid);
        r = each_collected(txn, &key, drop_row, NULL);
    }
    owner_key(&key, id, userid);
    if (r == 0)
        r = each_collected(txn, &key, rekey_row, new_userid);
    user_key(&key, userid, id);
    if (r == 0) /* also where the last one was removed long ago */
        r = delete_key(txn, &key);
    buf_free(&key);
    return r;
}

int annotations_txn_rekey(struct mboxlist_txn *txn, const char *userid, const char *new_userid)
{
    struct buf prefix = BUF_INIT;
    struct pair_list pairs;
    int r;

    user_key(&prefix, userid, "");
    r = txn_collect(txn, TABLE_ANNOTATIONS, &prefix, &pairs);
    for (size_t i = 0; i < pairs.count && r == 0; i++)
        r = rekey_mailbox(txn,
                          pool_strndup(pairs.pool, (const char *)pairs.keys[i].data + prefix.len,
                                       pairs.keys[i].len - prefix.len),
                          userid, new_userid);
    pair_list_free(&pairs);
    buf_free(&prefix);
    return r;
}
