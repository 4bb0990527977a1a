/* names-group.c: a group's names: changes are decided, and done when they are settled. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "mupdate/meta.h"
#include "mupdate/names-private.h"

/* ---- deciding ---- */

void decision_init(struct decision *decision, uint64_t sequence)
{
    *decision = (struct decision){.entry = {.kind = JOURNAL_CHANGES, .sequence = sequence, .rows = BUF_INIT},
                                  .places = hash_new(free)};
}

void decision_free(struct decision *decision)
{
    journal_entry_free(&decision->entry);
    hash_free(&decision->places);
}

uint64_t decision_next(const struct decision *decision)
{
    return decision->entry.sequence + decision->entry.count;
}

bool decision_find(const struct decision *decision, const struct buf *key, struct db_value *value_r)
{
    const size_t *found = hash_get(decision->places, buf_cstr(key));
    struct db_value row_key;
    size_t place;

    if (found == NULL)
        return false;
    place = *found;
    BUG_ON(!journal_entry_row(&decision->entry, &place, &row_key, value_r));
    return true;
}

void decision_add(struct decision *decision, const struct buf *key, const struct db_value *value)
{
    size_t *place = xmalloc(sizeof(*place));

    *place = decision->entry.rows.len;
    hash_set(decision->places, buf_cstr(key), place);
    journal_entry_add(&decision->entry, &(struct db_value){key->data, key->len}, value);
}

/* ---- doing ---- */

static int do_changes(struct names *names, struct db_txn *txn, const struct journal_entry *entry)
{
    uint64_t sequence = names->sequence;
    struct db_value key, value;
    size_t place = 0;
    int r = 0;

    if (entry->sequence != sequence + 1 || !journal_entry_is_whole(entry))
        return ERR_CORRUPT;
    while (r == 0 && journal_entry_row(entry, &place, &key, &value))
        r = names_store(txn, ++sequence, &key, value.data != NULL ? &value : NULL);
    if (r == 0)
        r = meta_put_number(txn, META_SEQUENCE, sequence);
    if (r == 0)
        names->sequence = sequence;
    return r;
}

static int do_members(struct db_txn *txn, const struct journal_entry *entry)
{
    struct raft_members members;
    int r = journal_members_get(entry, &members);

    return r < 0 ? r : meta_put_members(txn, &members);
}

/* 1: it was done before. */
static int do_entry(struct names *names, struct db_txn *txn, const struct journal_entry *entry)
{
    struct raft_position applied;
    int r = meta_find_position(txn, META_APPLIED, &applied);

    if (r < 0 || entry->at.index <= applied.index)
        return r < 0 ? r : 1;
    if (entry->at.index != applied.index + 1)
        return ERR_INVALID;
    r = meta_put_position(txn, META_APPLIED, &entry->at);
    if (r == 0 && entry->kind == JOURNAL_MEMBERS)
        r = do_members(txn, entry);
    if (r == 0 && entry->kind == JOURNAL_CHANGES)
        r = do_changes(names, txn, entry);
    return r;
}

int names_do(struct names *names, const struct journal_entry *entry)
{
    uint64_t before = names->sequence, sequence;
    struct db_txn *txn;
    int r = db_begin(names->env, true, &txn);

    if (r < 0)
        return r;
    db_lazy(txn);
    r = do_entry(names, txn, entry);
    sequence = names->sequence;
    if (r == 0)
        r = db_commit(&txn);
    else
        db_abort(&txn);
    if (r == 0)
        names_publish(names, sequence);
    else
        names->sequence = before;
    return r < 0 ? r : 0;
}

/* ---- what there is ---- */

/* A group that was founded here before and forgotten since is another one: somebody may have its copy. */
static int forget_epoch(struct names *names)
{
    struct db_txn *txn;
    int r = db_begin(names->env, true, &txn);

    return r < 0 ? r : meta_end(&txn, meta_delete(txn, META_EPOCH));
}

int names_found(struct names *names)
{
    int r = names->group && names->sequence == 0 ? forget_epoch(names) : 0;

    return r < 0 ? r : names_load(names, true);
}

void names_set_readable(struct names *names, bool readable)
{
    atomic_store(&names->readable, readable);
}

bool names_is_readable(struct names *names)
{
    return atomic_load(&names->readable);
}

int names_summary(struct names *names, struct names_summary *summary_r)
{
    struct db_txn *txn;
    int r = db_begin(names->env, false, &txn);

    *summary_r = (struct names_summary){0};
    if (r < 0)
        return r;
    r = meta_find_number(txn, META_EPOCH, &summary_r->epoch);
    if (r == 0)
        r = meta_find_number(txn, META_SEQUENCE, &summary_r->sequence);
    if (r == 0)
        r = meta_find_position(txn, META_APPLIED, &summary_r->applied);
    if (r == 0)
        r = meta_find_members(txn, &summary_r->members);
    db_abort(&txn);
    return r;
}

/* ---- a lone master again ---- */

enum { BATCH_ENTRIES = 64, BATCH_BYTES = 4 * 1024 * 1024 };

struct batch {
    struct journal_entry entries[BATCH_ENTRIES];
    unsigned count;
};

static int take_entry(const struct journal_entry *entry, void *context)
{
    struct batch *batch = context;
    struct journal_entry *copy = &batch->entries[batch->count++];

    *copy = *entry;
    copy->rows = (struct buf)BUF_INIT;
    if (entry->rows.len > 0)
        buf_append(&copy->rows, entry->rows.data, entry->rows.len);
    return batch->count == BATCH_ENTRIES;
}

static int do_batch(struct names *names, struct batch *batch)
{
    int r = 0;

    for (unsigned i = 0; i < batch->count; i++) {
        if (r == 0)
            r = names_do(names, &batch->entries[i]);
        journal_entry_free(&batch->entries[i]);
    }
    return r;
}

/* Entries behind that one. */
static int do_rest(struct names *names, uint64_t index)
{
    int r = 0;

    while (r == 0) {
        struct batch batch = {.count = 0};
        int done;

        r = journal_read(names->env, index + 1, BATCH_BYTES, take_entry, &batch);
        index += batch.count;
        done = do_batch(names, &batch);
        if (done < 0 || r > 0)
            r = done;
    }
    return r == ERR_NOTFOUND ? 0 : r;
}

static int forget_group(struct names *names)
{
    static const char *const words[] = {META_MEMBER,     META_VOTE,    META_APPLIED, META_MEMBERS,
                                        META_WAS_MEMBER, META_COPYING, META_GROUP};
    struct db_txn *txn;
    int r = db_begin(names->env, true, &txn);

    if (r < 0)
        return r;
    for (size_t i = 0; i < sizeof(words) / sizeof(*words) && r == 0; i++)
        r = meta_delete(txn, words[i]);
    return meta_end(&txn, r);
}

static void ignore_entry(const struct journal_entry *entry, void *context)
{
    (void)entry;
    (void)context;
}

int names_leave_group(struct names *names, const char **why_r)
{
    struct journal_state state;
    int r = journal_load(names->env, &state, ignore_entry, NULL);

    *why_r = NULL;
    if (r == 0 && state.copying) {
        *why_r = "is a group's, and not whole: it was being copied from another member";
        return ERR_CORRUPT;
    }
    if (r == 0 && state.id != 0)
        r = do_rest(names, state.applied.index);
    if (r == 0)
        r = forget_group(names);
    return r < 0 ? r : journal_trim(names->env, UINT64_MAX);
}
