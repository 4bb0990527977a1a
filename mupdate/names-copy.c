/* names-copy.c: a whole list, copied in pieces from another member while it changes there. */
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "mupdate/meta.h"
#include "mupdate/names-private.h"

enum { COPY_AT_ONCE = 1000 /* rows that are looked at in one transaction */ };

static const unsigned copied[] = {[NAMES_TABLE_NAMES] = TABLE_NAMES, [NAMES_TABLE_LOG] = TABLE_LOG};

static int compare(const struct db_value *a, const struct db_value *b)
{
    size_t shorter = a->len < b->len ? a->len : b->len;
    int order = shorter == 0 ? 0 : memcmp(a->data, b->data, shorter);

    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

/* NULL: the beginning, or the end. */
static struct db_value or_none(const struct db_value *key)
{
    return key != NULL ? *key : (struct db_value){0};
}

static bool range_is_good(enum names_table table, const struct db_value *after, const struct db_value *until)
{
    return (unsigned)table < sizeof(copied) / sizeof(*copied) && after->len <= DB_KEY_MAX &&
           until->len <= DB_KEY_MAX;
}

int names_copy_begin(struct names *names, const struct raft_position *floor)
{
    struct db_txn *txn;
    int r;

    BUG_ON(!names->group);
    names_set_readable(names, false);
    r = db_begin(names->env, true, &txn);
    return r < 0 ? r : meta_end(&txn, meta_put_position(txn, META_COPYING, floor));
}

/* ---- the giver's ---- */

struct give {
    struct db_value after;
    size_t most;
    struct journal_entry *rows;
    bool more;
};

static int give_row(const struct db_value *key, const struct db_value *value, void *context)
{
    struct give *give = context;

    if (compare(key, &give->after) == 0)
        return 0;
    if (give->rows->count > 0 && give->rows->rows.len >= give->most) {
        give->more = true;
        return 1;
    }
    journal_entry_add(give->rows, key, value);
    return 0;
}

int names_copy_read(struct names *names, enum names_table table, const struct db_value *after, size_t most,
                    struct journal_entry *rows, bool *more_r)
{
    struct give give = {.after = or_none(after), .most = most, .rows = rows};
    struct db_txn *txn;
    int r = range_is_good(table, &give.after, &(struct db_value){0}) ? 0 : ERR_INVALID;

    journal_entry_free(rows);
    if (r == 0)
        r = db_begin(names->env, false, &txn);
    if (r < 0)
        return r;
    r = db_scan(txn, copied[table], give.after.data, give.after.len, NULL, 0, give_row, &give);
    db_abort(&txn);
    *more_r = give.more;
    return r < 0 ? r : 0;
}

/* ---- the taker's ---- */

/* Log rows name keys, which are looked up. */
static bool row_is_good(enum names_table table, const struct db_value *key, const struct db_value *value)
{
    return value->data != NULL &&
           (table != NAMES_TABLE_LOG || (key->len == 8 && value->len > 0 && value->len <= DB_KEY_MAX));
}

static bool rows_are_good(enum names_table table, const struct db_value *after, const struct db_value *until,
                          const struct journal_entry *rows)
{
    struct db_value key, value, last = *after;
    unsigned count = 0;
    size_t place = 0;

    for (; journal_entry_row(rows, &place, &key, &value); count++) {
        if (compare(&key, &last) <= 0 || !row_is_good(table, &key, &value))
            return false;
        last = key;
    }
    return count == rows->count && place == rows->rows.len && (until->len == 0 || compare(&last, until) <= 0);
}

/* What is here and not among the rows. */
struct sweep {
    enum names_table table;
    struct buf from; /* behind that key */
    struct db_value until;
    const struct journal_entry *rows;
    size_t place;
    bool has_row;
    struct db_value row; /* the first one that is not before what was looked at */
    unsigned left;
    bool more;
    struct buf last;
    struct journal_entry gone;
};

static void next_row(struct sweep *sweep)
{
    struct db_value value;

    sweep->has_row = journal_entry_row(sweep->rows, &sweep->place, &sweep->row, &value);
}

static int sweep_row(const struct db_value *key, const struct db_value *value, void *context)
{
    struct sweep *sweep = context;

    (void)value;
    if (compare(key, &(struct db_value){sweep->from.data, sweep->from.len}) == 0)
        return 0;
    if (sweep->until.len > 0 && compare(key, &sweep->until) > 0)
        return 1;
    if (sweep->left-- == 0) {
        sweep->more = true;
        return 1;
    }
    buf_reset(&sweep->last);
    buf_append(&sweep->last, key->data, key->len);
    while (sweep->has_row && compare(&sweep->row, key) < 0)
        next_row(sweep);
    if (!sweep->has_row || compare(&sweep->row, key) != 0)
        journal_entry_add(&sweep->gone, key, NULL);
    return 0;
}

static int delete_rows(struct db_txn *txn, unsigned table, const struct journal_entry *gone)
{
    struct db_value key, value;
    size_t place = 0;
    int r = 0;

    while (r == 0 && journal_entry_row(gone, &place, &key, &value))
        r = db_delete(txn, table, key.data, key.len);
    return r;
}

static int sweep_some(struct names *names, struct sweep *sweep)
{
    unsigned table = copied[sweep->table];
    struct db_txn *txn;
    int r = db_begin(names->env, true, &txn);

    if (r < 0)
        return r;
    db_lazy(txn);
    sweep->left = COPY_AT_ONCE;
    sweep->more = false;
    r = db_scan(txn, table, sweep->from.data, sweep->from.len, NULL, 0, sweep_row, sweep);
    if (r >= 0)
        r = delete_rows(txn, table, &sweep->gone);
    journal_entry_free(&sweep->gone);
    buf_reset(&sweep->from);
    buf_append(&sweep->from, buf_cstr(&sweep->last), sweep->last.len);
    return meta_end(&txn, r);
}

static int sweep_range(struct names *names, enum names_table table, const struct db_value *after,
                       const struct db_value *until, const struct journal_entry *rows)
{
    struct sweep sweep = {.table = table, .until = *until, .rows = rows};
    int r;

    if (after->len > 0)
        buf_append(&sweep.from, after->data, after->len);
    next_row(&sweep);
    do {
        r = sweep_some(names, &sweep);
    } while (r == 0 && sweep.more);
    buf_free(&sweep.from);
    buf_free(&sweep.last);
    return r;
}

static int put_if_other(struct db_txn *txn, unsigned table, const struct db_value *key,
                        const struct db_value *value)
{
    struct db_value there;
    int r = db_get(txn, table, key->data, key->len, &there);

    if (r < 0 && r != ERR_NOTFOUND)
        return r;
    if (r == 0 && compare(&there, value) == 0)
        return 0;
    return db_put(txn, table, key->data, key->len, value->data, value->len);
}

static int put_some(struct names *names, unsigned table, const struct journal_entry *rows, size_t *place)
{
    struct db_value key, value;
    struct db_txn *txn;
    int r = db_begin(names->env, true, &txn);

    if (r < 0)
        return r;
    db_lazy(txn);
    for (unsigned i = 0; i < COPY_AT_ONCE && r == 0 && journal_entry_row(rows, place, &key, &value); i++)
        r = put_if_other(txn, table, &key, &value);
    return meta_end(&txn, r);
}

int names_copy_write(struct names *names, enum names_table table, const struct db_value *after_key,
                     const struct db_value *until_key, const struct journal_entry *rows)
{
    struct db_value after = or_none(after_key), until = or_none(until_key);
    size_t place = 0;
    int r;

    BUG_ON(names_is_readable(names));
    if (!range_is_good(table, &after, &until) || !rows_are_good(table, &after, &until, rows))
        return ERR_INVALID;
    r = sweep_range(names, table, &after, &until, rows);
    while (r == 0 && place < rows->rows.len)
        r = put_some(names, copied[table], rows, &place);
    return r;
}

/* ---- its end ---- */

static int put_summary(struct db_txn *txn, const struct names_summary *at)
{
    struct journal_entry anchor = {.at = at->applied, .kind = JOURNAL_TERM, .rows = BUF_INIT};
    int r = meta_put_number(txn, META_EPOCH, at->epoch);

    if (r == 0)
        r = meta_put_number(txn, META_SEQUENCE, at->sequence);
    if (r == 0)
        r = meta_put_position(txn, META_APPLIED, &at->applied);
    if (r == 0)
        r = meta_put_members(txn, &at->members);
    return r < 0 ? r : journal_put(txn, &anchor);
}

int names_copy_end(struct names *names, const struct names_summary *at)
{
    struct db_txn *txn;
    int r;

    BUG_ON(names_is_readable(names));
    if (at->epoch == 0 || at->applied.index == 0)
        return ERR_INVALID;
    r = journal_trim(names->env, UINT64_MAX);
    if (r == 0)
        r = db_begin(names->env, true, &txn);
    if (r == 0)
        r = meta_end(&txn, put_summary(txn, at));
    return r < 0 ? r : names_load(names, false);
}

int names_copy_whole(struct names *names)
{
    struct db_txn *txn;
    int r = db_begin(names->env, true, &txn);

    if (r == 0)
        r = meta_end(&txn, meta_delete(txn, META_COPYING));
    if (r == 0)
        names_set_readable(names, true);
    return r;
}
