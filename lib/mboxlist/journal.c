/* journal.c: rows of what changed in the list. */
#include "lib/mboxlist/journal.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/mboxlist/mboxlist-private.h"

enum { JOURNAL_VERSION = 1, JOURNAL_BATCH = 64 };
enum { FLAG_WAS = 1, FLAG_IS = 2 };

#define META_LAST "journal"

static void row_key(struct buf *key, uint64_t number)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        buf_putc(key, (char)(number >> shift & 0xff));
}

static uint64_t key_number(const struct db_value *key)
{
    const unsigned char *s = key->data;
    uint64_t number = 0;

    for (size_t i = 0; i < key->len && i < 8; i++)
        number = number << 8 | s[i];
    return number;
}

static void encode(struct buf *value, const struct journal_row *row)
{
    pack_u8(value, JOURNAL_VERSION);
    pack_u8(value, row->kind);
    pack_u8(value, (row->was ? FLAG_WAS : 0) | (row->is ? FLAG_IS : 0));
    pack_zeros(value, 5);
    pack_string(value, row->name);
    pack_string(value, row->from);
    pack_string(value, row->userid);
    pack_string(value, row->entry);
    pack_string(value, row->acl_before);
    pack_string(value, row->acl_after);
}

static int decode(const struct db_value *key, const struct db_value *value, struct pool *pool,
                  struct journal_row *row)
{
    struct packed p = {.at = value->data, .left = value->len};
    unsigned flags;

    if (unpack(&p, 1) != JOURNAL_VERSION)
        return ERR_VERSION;
    row->number = key_number(key);
    row->kind = (enum journal_kind)unpack(&p, 1);
    flags = (unsigned)unpack(&p, 1);
    row->was = (flags & FLAG_WAS) != 0;
    row->is = (flags & FLAG_IS) != 0;
    unpack_skip(&p, 5);
    row->name = unpack_string(&p, pool);
    row->from = unpack_string(&p, pool);
    row->userid = unpack_string(&p, pool);
    row->entry = unpack_string(&p, pool);
    row->acl_before = unpack_string(&p, pool);
    row->acl_after = unpack_string(&p, pool);
    return p.bad ? ERR_CORRUPT : 0;
}

/* ---- writing ---- */

static int write_row(struct mboxlist_txn *txn, const struct journal_row *row)
{
    struct buf key = BUF_INIT, value = BUF_INIT;
    uint64_t number;
    int r = txn_number_get(txn, META_LAST, &number);

    number++;
    if (r == 0)
        r = txn_number_put(txn, META_LAST, number);
    row_key(&key, number);
    encode(&value, row);
    if (r == 0)
        r = txn_put(txn, TABLE_JOURNAL, &key, &value);
    if (r == 0 && number > JOURNAL_ROWS) {
        buf_reset(&key);
        row_key(&key, number - JOURNAL_ROWS);
        r = txn_delete(txn, TABLE_JOURNAL, &key);
    }
    buf_free(&key);
    buf_free(&value);
    return r == ERR_NOTFOUND ? 0 : r;
}

int journal_txn_lost(struct mboxlist_txn *txn)
{
    static const struct journal_row lost = {.kind = JOURNAL_LOST};

    if (txn->journal_rows > JOURNAL_TXN_ROWS)
        return 0;
    txn->journal_rows = JOURNAL_TXN_ROWS + 1;
    return write_row(txn, &lost);
}

int journal_txn_add(struct mboxlist_txn *txn, const struct journal_row *row)
{
    if (txn->journal_rows >= JOURNAL_TXN_ROWS)
        return journal_txn_lost(txn);
    txn->journal_rows++;
    return write_row(txn, row);
}

static bool is_active(const struct mboxlist_record *record)
{
    return record != NULL && (MBOXLIST_TYPE_BIT(record->type) & MBOXLIST_TYPES_ACTIVE) != 0;
}

static const char *acl_of(const struct mboxlist_record *record)
{
    return is_active(record) && record->acl != NULL ? record->acl : "";
}

int journal_txn_name(struct mboxlist_txn *txn, const struct mboxlist_record *before,
                     const struct mboxlist_record *after, const char *from)
{
    const struct journal_row row = {.kind = JOURNAL_NAME,
                                    .was = is_active(before),
                                    .is = is_active(after),
                                    .name = after != NULL ? after->name : before->name,
                                    .from = from,
                                    .acl_before = acl_of(before),
                                    .acl_after = acl_of(after)};

    if (row.was == row.is && strcmp(row.acl_before, row.acl_after) == 0 && from == NULL &&
        (!row.was || strcmp(before->server == NULL ? "" : before->server,
                            after->server == NULL ? "" : after->server) == 0))
        return 0;
    return journal_txn_add(txn, &row);
}

int journal_txn_annotation(struct mboxlist_txn *txn, const char *id, const char *userid, const char *entry,
                           bool is)
{
    const struct journal_row row = {
        .kind = JOURNAL_ANNOTATION, .is = is, .name = id, .userid = userid, .entry = entry};

    return journal_txn_add(txn, &row);
}

/* ---- reading ---- */

int journal_last(struct mboxlist *list, uint64_t *number_r)
{
    struct db_txn *txn;
    int r = db_begin(list->env, false, &txn);

    if (r < 0)
        return r;
    r = list_number_get(list, txn, META_LAST, number_r);
    db_abort(&txn);
    return r;
}

struct visit {
    uint64_t next; /* the row that must come */
    int (*fn)(const struct journal_row *row, void *context);
    void *context;
};

static int visit_row(const struct db_value *key, const struct db_value *value, void *context)
{
    struct visit *visit = context;
    struct pool *pool;
    struct journal_row row;
    int r;

    if (key_number(key) != visit->next)
        return ERR_LIMIT;
    visit->next++;
    pool = pool_new(0);
    r = decode(key, value, pool, &row);
    if (r == 0)
        r = visit->fn(&row, visit->context);
    pool_free(&pool);
    return r;
}

int journal_each(struct mboxlist *list, uint64_t after,
                 int (*fn)(const struct journal_row *row, void *context), void *context)
{
    struct visit visit = {after + 1, fn, context};
    struct buf key = BUF_INIT;
    int r;

    row_key(&key, after + 1);
    r = db_scan_batches(list->env, list->tables[TABLE_JOURNAL], key.data, key.len, NULL, 0, JOURNAL_BATCH,
                        visit_row, &visit);
    buf_free(&key);
    return r;
}

void journal_path(const struct mboxlist *list, struct buf *path)
{
    buf_puts(path, list->notice_path);
}
