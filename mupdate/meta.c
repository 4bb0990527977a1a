/* meta.c: the rows of the table "meta". */
#include "mupdate/meta.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/db/pack.h"
#include "mupdate/journal.h"

static int get_row(struct db_txn *txn, const char *word, struct packed *p)
{
    struct db_value value;
    int r = db_get(txn, TABLE_META, word, strlen(word), &value);

    if (r == 0)
        *p = (struct packed){.at = value.data, .left = value.len};
    return r;
}

static int put_row(struct db_txn *txn, const char *word, struct buf *value)
{
    int r = db_put(txn, TABLE_META, word, strlen(word), value->data, value->len);

    buf_free(value);
    return r;
}

static int read_whole(const struct packed *p)
{
    return p->bad || p->left > 0 ? ERR_CORRUPT : 0;
}

int meta_get_number(struct db_txn *txn, const char *word, uint64_t *number_r)
{
    struct packed p;
    int r = get_row(txn, word, &p);

    if (r < 0)
        return r;
    *number_r = unpack(&p, 8);
    return read_whole(&p);
}

int meta_get_position(struct db_txn *txn, const char *word, struct raft_position *position_r)
{
    struct packed p;
    int r = get_row(txn, word, &p);

    if (r < 0)
        return r;
    position_r->term = unpack(&p, 8);
    position_r->index = unpack(&p, 8);
    return read_whole(&p);
}

int meta_get_members(struct db_txn *txn, struct raft_members *members_r)
{
    struct journal_entry entry = {.kind = JOURNAL_MEMBERS};
    struct packed p;
    int r = get_row(txn, META_MEMBERS, &p);

    if (r < 0)
        return r;
    entry.count = (unsigned)unpack(&p, 4);
    entry.rows = (struct buf){(char *)(uintptr_t)p.at, p.left, 0};
    return p.bad ? ERR_CORRUPT : journal_members_get(&entry, members_r);
}

static int or_zeros(int r, void *value, size_t size)
{
    if (r == ERR_NOTFOUND)
        memset(value, 0, size);
    return r == ERR_NOTFOUND ? 0 : r;
}

int meta_find_number(struct db_txn *txn, const char *word, uint64_t *number_r)
{
    return or_zeros(meta_get_number(txn, word, number_r), number_r, sizeof(*number_r));
}

int meta_find_position(struct db_txn *txn, const char *word, struct raft_position *position_r)
{
    return or_zeros(meta_get_position(txn, word, position_r), position_r, sizeof(*position_r));
}

int meta_find_members(struct db_txn *txn, struct raft_members *members_r)
{
    return or_zeros(meta_get_members(txn, members_r), members_r, sizeof(*members_r));
}

int meta_put_number(struct db_txn *txn, const char *word, uint64_t number)
{
    struct buf value = BUF_INIT;

    pack_u64(&value, number);
    return put_row(txn, word, &value);
}

int meta_put_position(struct db_txn *txn, const char *word, const struct raft_position *position)
{
    struct buf value = BUF_INIT;

    pack_u64(&value, position->term);
    pack_u64(&value, position->index);
    return put_row(txn, word, &value);
}

int meta_put_members(struct db_txn *txn, const struct raft_members *members)
{
    struct journal_entry entry = JOURNAL_ENTRY_INIT;
    struct buf value = BUF_INIT;

    journal_members_put(&entry, members);
    pack_u32(&value, entry.count);
    buf_append(&value, buf_cstr(&entry.rows), entry.rows.len);
    journal_entry_free(&entry);
    return put_row(txn, META_MEMBERS, &value);
}

int meta_delete(struct db_txn *txn, const char *word)
{
    int r = db_delete(txn, TABLE_META, word, strlen(word));

    return r == ERR_NOTFOUND ? 0 : r;
}

int meta_end(struct db_txn **txn, int r)
{
    if (r >= 0)
        return db_commit(txn);
    db_abort(txn);
    return r;
}
