/* journal.c: a group's log on a member's disk. */
#include "mupdate/journal.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/db/pack.h"
#include "mupdate/meta.h"

enum { JOURNAL_VERSION = 1, JOURNAL_AT_ONCE = 256 /* entries that go in one transaction */ };

/* ---- rows ---- */

void journal_entry_free(struct journal_entry *entry)
{
    buf_free(&entry->rows);
    *entry = (struct journal_entry)JOURNAL_ENTRY_INIT;
}

static void add_value(struct buf *rows, const struct db_value *value)
{
    pack_u32(rows, (uint32_t)value->len);
    buf_append(rows, value->data, value->len);
}

void journal_entry_add(struct journal_entry *entry, const struct db_value *key, const struct db_value *value)
{
    BUG_ON(key->len == 0 || key->len > DB_KEY_MAX);
    add_value(&entry->rows, key);
    pack_u8(&entry->rows, value != NULL);
    if (value != NULL)
        add_value(&entry->rows, value);
    entry->count++;
}

static void unpack_value(struct packed *p, struct db_value *value_r)
{
    value_r->len = unpack(p, 4);
    value_r->data = p->at;
    unpack_skip(p, value_r->len);
}

bool journal_entry_row(const struct journal_entry *entry, size_t *place, struct db_value *key_r,
                       struct db_value *value_r)
{
    struct packed p = {0};
    unsigned is_there;

    if (*place >= entry->rows.len)
        return false;
    p.at = (const unsigned char *)entry->rows.data + *place;
    p.left = entry->rows.len - *place;
    unpack_value(&p, key_r);
    is_there = (unsigned)unpack(&p, 1);
    *value_r = (struct db_value){0};
    if (is_there == 1)
        unpack_value(&p, value_r);
    if (p.bad || is_there > 1 || key_r->len == 0 || key_r->len > DB_KEY_MAX)
        return false;
    *place = entry->rows.len - p.left;
    return true;
}

static bool count_is_right(const struct journal_entry *entry)
{
    struct db_value key, value;
    unsigned count = 0;
    size_t place = 0;

    while (count < entry->count && journal_entry_row(entry, &place, &key, &value))
        count++;
    return count == entry->count && place == entry->rows.len;
}

bool journal_entry_is_whole(const struct journal_entry *entry)
{
    struct raft_members members;

    switch (entry->kind) {
    case JOURNAL_TERM:
        return entry->count == 0 && entry->rows.len == 0;
    case JOURNAL_CHANGES:
        return entry->count > 0 && entry->sequence > 0 && count_is_right(entry);
    case JOURNAL_MEMBERS:
        return journal_members_get(entry, &members) == 0;
    }
    return false;
}

void journal_members_put(struct journal_entry *entry, const struct raft_members *members)
{
    struct buf id = BUF_INIT;

    BUG_ON(members->count > RAFT_MEMBERS_MAX);
    entry->kind = JOURNAL_MEMBERS;
    entry->sequence = 0;
    entry->count = 0;
    buf_reset(&entry->rows);
    for (unsigned i = 0; i < members->count; i++) {
        const struct raft_member *m = &members->member[i];

        buf_reset(&id);
        pack_u64(&id, m->id);
        journal_entry_add(entry, &(struct db_value){m->name, strlen(m->name)},
                          &(struct db_value){id.data, id.len});
    }
    buf_free(&id);
}

static bool get_member(const struct db_value *name, const struct db_value *id, struct raft_member *member_r)
{
    struct packed p = {.at = id->data, .left = id->len};

    if (name->len > RAFT_NAME_MAX || memchr(name->data, '\0', name->len) != NULL || id->data == NULL)
        return false;
    memcpy(member_r->name, name->data, name->len);
    member_r->id = unpack(&p, 8);
    return !p.bad && p.left == 0 && member_r->id != 0;
}

int journal_members_get(const struct journal_entry *entry, struct raft_members *members_r)
{
    struct db_value name, id;
    size_t place = 0;

    *members_r = (struct raft_members){0};
    if (entry->kind != JOURNAL_MEMBERS || entry->count > RAFT_MEMBERS_MAX || !count_is_right(entry))
        return ERR_CORRUPT;
    while (journal_entry_row(entry, &place, &name, &id))
        if (!get_member(&name, &id, &members_r->member[members_r->count++]))
            return ERR_CORRUPT;
    return 0;
}

/* ---- entries ---- */

static void index_key(unsigned char key[8], uint64_t index)
{
    for (unsigned i = 0; i < 8; i++)
        key[i] = (unsigned char)(index >> (56 - 8 * i));
}

static int key_index(const struct db_value *key, uint64_t *index_r)
{
    const unsigned char *bytes = key->data;

    *index_r = 0;
    for (size_t i = 0; i < 8 && i < key->len; i++)
        *index_r = *index_r << 8 | bytes[i];
    return key->len == 8 ? 0 : ERR_CORRUPT;
}

/* `store`: db_put or db_add. */
static int store_entry(struct db_txn *txn, const struct journal_entry *entry,
                       int (*store)(struct db_txn *txn, unsigned table, const void *key, size_t key_len,
                                    const void *value, size_t value_len))
{
    struct buf value = BUF_INIT;
    unsigned char key[8];
    int r;

    index_key(key, entry->at.index);
    pack_u8(&value, JOURNAL_VERSION);
    pack_u8(&value, entry->kind);
    pack_u64(&value, entry->at.term);
    pack_u64(&value, entry->sequence);
    pack_u32(&value, entry->count);
    if (entry->rows.len > 0)
        buf_append(&value, entry->rows.data, entry->rows.len);
    r = store(txn, TABLE_JOURNAL, key, sizeof(key), value.data, value.len);
    buf_free(&value);
    return r;
}

int journal_put(struct db_txn *txn, const struct journal_entry *entry)
{
    return store_entry(txn, entry, db_put);
}

/* Its rows stay in the database.  They are not looked at. */
static int decode(const struct db_value *key, const struct db_value *value, struct journal_entry *entry_r)
{
    struct packed p = {.at = value->data, .left = value->len};
    int r = key_index(key, &entry_r->at.index);

    if (r == 0 && unpack(&p, 1) != JOURNAL_VERSION)
        return value->len == 0 ? ERR_CORRUPT : ERR_VERSION;
    entry_r->kind = (enum journal_kind)unpack(&p, 1);
    entry_r->at.term = unpack(&p, 8);
    entry_r->sequence = unpack(&p, 8);
    entry_r->count = (unsigned)unpack(&p, 4);
    entry_r->rows = (struct buf){(char *)(uintptr_t)p.at, p.left, 0};
    if (p.bad || entry_r->kind < JOURNAL_TERM || entry_r->kind > JOURNAL_MEMBERS)
        return ERR_CORRUPT;
    return r;
}

/* ---- beginning ---- */

static int load_vote(struct db_txn *txn, struct journal_state *state)
{
    struct raft_position vote; /* packed alike */
    int r = meta_find_position(txn, META_VOTE, &vote);

    if (r == 0) {
        state->term = vote.term;
        state->voted = vote.index;
    }
    return r;
}

static int load_state(struct db_txn *txn, struct journal_state *state)
{
    uint64_t number = 0;
    int r = meta_get_position(txn, META_COPYING, &state->floor);

    state->copying = r == 0;
    if (r == 0 || r == ERR_NOTFOUND)
        r = meta_find_number(txn, META_MEMBER, &state->id);
    if (r < 0 || state->id == 0)
        return r;
    r = load_vote(txn, state);
    if (r == 0)
        r = meta_find_position(txn, META_APPLIED, &state->applied);
    if (r == 0)
        r = meta_find_members(txn, &state->members);
    if (r == 0)
        r = meta_find_number(txn, META_WAS_MEMBER, &number);
    state->was_member = number != 0;
    return r;
}

struct load {
    struct raft_position first, last;
    void (*fn)(const struct journal_entry *entry, void *context);
    void *context;
};

static int load_entry(const struct db_value *key, const struct db_value *value, void *context)
{
    struct load *load = context;
    struct journal_entry entry;
    int r = decode(key, value, &entry);

    if (r < 0)
        return r;
    if (load->last.index == 0)
        load->first = entry.at;
    else if (entry.at.index != load->last.index + 1 || entry.at.term < load->last.term)
        return ERR_CORRUPT;
    load->last = entry.at;
    if (entry.kind == JOURNAL_MEMBERS && !journal_entry_is_whole(&entry))
        return ERR_CORRUPT;
    if (entry.kind != JOURNAL_MEMBERS)
        entry.rows = (struct buf)BUF_INIT;
    if (load->fn != NULL)
        load->fn(&entry, load->context);
    return 0;
}

static int load_entries(struct db_txn *txn, const struct journal_state *state, struct load *load)
{
    int r = db_scan(txn, TABLE_JOURNAL, NULL, 0, NULL, 0, load_entry, load);

    if (r < 0 || state->copying)
        return r;
    if (load->first.index > state->applied.index + 1 || load->last.index < state->applied.index)
        return ERR_CORRUPT;
    return 0;
}

int journal_load(struct db_env *env, struct journal_state *state_r,
                 void (*fn)(const struct journal_entry *entry, void *context), void *context)
{
    struct load load = {.fn = fn, .context = context};
    struct db_txn *txn;
    int r = db_begin(env, false, &txn);

    *state_r = (struct journal_state){0};
    if (r < 0)
        return r;
    r = load_state(txn, state_r);
    if (r == 0 && state_r->id != 0)
        r = load_entries(txn, state_r, &load);
    db_abort(&txn);
    return r;
}

/* The names stay as much in pieces as they are. */
static int keep_copying(struct db_txn *txn)
{
    struct raft_position floor;
    int r = meta_get_position(txn, META_COPYING, &floor);

    if (r < 0)
        return r == ERR_NOTFOUND ? 0 : r;
    return meta_put_position(txn, META_COPYING, &(struct raft_position){0});
}

int journal_begin(struct db_env *env, uint64_t id)
{
    static const char *const others[] = {META_VOTE, META_APPLIED, META_MEMBERS, META_WAS_MEMBER};
    struct db_txn *txn;
    int r = db_begin(env, true, &txn);

    BUG_ON(id == 0);
    if (r < 0)
        return r;
    r = meta_delete(txn, META_MEMBER); /* until there is no journal */
    for (size_t i = 0; i < sizeof(others) / sizeof(*others) && r == 0; i++)
        r = meta_delete(txn, others[i]);
    if (r == 0)
        r = keep_copying(txn);
    r = meta_end(&txn, r);
    if (r == 0)
        r = journal_trim(env, UINT64_MAX);
    if (r == 0)
        r = db_begin(env, true, &txn);
    return r < 0 ? r : meta_end(&txn, meta_put_number(txn, META_MEMBER, id));
}

int journal_vote(struct db_env *env, uint64_t term, uint64_t voted)
{
    struct db_txn *txn;
    int r = db_begin(env, true, &txn);

    return r < 0 ? r
                 : meta_end(&txn, meta_put_position(txn, META_VOTE, &(struct raft_position){term, voted}));
}

int journal_note_member(struct db_env *env)
{
    struct db_txn *txn;
    int r = db_begin(env, true, &txn);

    return r < 0 ? r : meta_end(&txn, meta_put_number(txn, META_WAS_MEMBER, 1));
}

/* ---- the log ---- */

int journal_append(struct db_env *env, const struct journal_entry *entries, unsigned count)
{
    struct db_txn *txn;
    int r = db_begin(env, true, &txn);

    if (r < 0)
        return r;
    for (unsigned i = 0; i < count && r == 0; i++)
        r = store_entry(txn, &entries[i], db_add);
    return meta_end(&txn, r);
}

int journal_found(struct db_env *env, const struct journal_entry *entry)
{
    struct db_txn *txn;
    int r = db_begin(env, true, &txn);

    if (r < 0)
        return r;
    r = store_entry(txn, entry, db_add);
    return meta_end(&txn, r < 0 ? r : meta_put_number(txn, META_WAS_MEMBER, 1));
}

struct read {
    uint64_t next;
    size_t left;
    bool any, enough;
    int (*fn)(const struct journal_entry *entry, void *context);
    void *context;
};

static int read_entry(const struct db_value *key, const struct db_value *value, void *context)
{
    struct read *read = context;
    struct journal_entry entry;
    int r = decode(key, value, &entry);

    if (r < 0)
        return r;
    if (entry.at.index != read->next++)
        return read->any ? ERR_CORRUPT : ERR_NOTFOUND;
    if (!journal_entry_is_whole(&entry))
        return ERR_CORRUPT;
    if (read->any && value->len > read->left) {
        read->enough = true;
        return 1;
    }
    read->left -= value->len < read->left ? value->len : read->left;
    read->any = true;
    return read->fn(&entry, read->context);
}

int journal_read(struct db_env *env, uint64_t index, size_t most,
                 int (*fn)(const struct journal_entry *entry, void *context), void *context)
{
    struct read read = {.next = index, .left = most, .fn = fn, .context = context};
    unsigned char start[8];
    struct db_txn *txn;
    int r = db_begin(env, false, &txn);

    if (r < 0)
        return r;
    index_key(start, index);
    r = db_scan(txn, TABLE_JOURNAL, start, sizeof(start), NULL, 0, read_entry, &read);
    db_abort(&txn);
    if (r == 0 && !read.any)
        return ERR_NOTFOUND;
    return read.enough ? 0 : r;
}

/* ---- what goes ---- */

struct indexes {
    uint64_t *index;
    size_t count, room;
    size_t most;     /* 0: all */
    uint64_t before; /* those below this one only */
};

static int collect_index(const struct db_value *key, const struct db_value *value, void *context)
{
    struct indexes *all = context;
    uint64_t index;
    int r = key_index(key, &index);

    (void)value;
    if (r < 0)
        return r;
    if (index >= all->before || (all->most > 0 && all->count == all->most))
        return 1;
    if (all->count == all->room) {
        all->room = all->room == 0 ? JOURNAL_AT_ONCE : 2 * all->room;
        all->index = xreallocarray(all->index, all->room, sizeof(*all->index));
    }
    all->index[all->count++] = index;
    return 0;
}

static int delete_index(struct db_txn *txn, uint64_t index)
{
    unsigned char key[8];

    index_key(key, index);
    return db_delete(txn, TABLE_JOURNAL, key, sizeof(key));
}

/* A transaction for some that are at the end of `all`, and then no longer. */
static int delete_last(struct db_env *env, struct indexes *all)
{
    struct db_txn *txn;
    int r = db_begin(env, true, &txn);

    if (r < 0)
        return r;
    for (unsigned i = 0; i < JOURNAL_AT_ONCE && all->count > 0 && r == 0; i++)
        r = delete_index(txn, all->index[--all->count]);
    if (all->count > 0)
        db_lazy(txn);
    return meta_end(&txn, r);
}

int journal_truncate(struct db_env *env, uint64_t last)
{
    struct indexes all = {.before = UINT64_MAX};
    unsigned char start[8];
    struct db_txn *txn;
    int r = last == UINT64_MAX ? 0 : db_begin(env, false, &txn);

    if (r < 0 || last == UINT64_MAX)
        return r;
    index_key(start, last + 1);
    r = db_scan(txn, TABLE_JOURNAL, start, sizeof(start), NULL, 0, collect_index, &all);
    db_abort(&txn);
    while (r >= 0 && all.count > 0)
        r = delete_last(env, &all);
    free(all.index);
    return r < 0 ? r : 0;
}

/* The first ones, some of them, within the transaction. */
static int delete_first(struct db_txn *txn, uint64_t first, size_t *count_r)
{
    struct indexes some = {.most = JOURNAL_AT_ONCE, .before = first};
    int r = db_scan(txn, TABLE_JOURNAL, NULL, 0, NULL, 0, collect_index, &some);

    for (size_t i = 0; i < some.count && r >= 0; i++)
        r = delete_index(txn, some.index[i]);
    *count_r = some.count;
    free(some.index);
    return r < 0 ? r : 0;
}

int journal_trim(struct db_env *env, uint64_t first)
{
    size_t count = JOURNAL_AT_ONCE;
    int r = 0;

    while (r == 0 && count == JOURNAL_AT_ONCE) {
        struct db_txn *txn;

        r = db_begin(env, true, &txn);
        if (r < 0)
            break;
        db_lazy(txn);
        r = meta_end(&txn, delete_first(txn, first, &count));
    }
    return r;
}
