/* iter.c: going through the list: streams of names, each in the list's order, merged.
 *
 * A stream reads a batch of records in one short transaction and holds copies; a stream over the reverse table
 * fetches the records of its names in that transaction.  Between calls an iterator holds nothing in the
 * database. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/mboxlist/mboxlist-private.h"

enum { BATCH_FIRST = 32, BATCH_MOST = 1024, ITER_MAGIC = 0x3b0c17e6 };

struct item {
    size_t key, key_len, value, value_len; /* places in the stream's bytes */
};

struct stream_of_names {
    enum mboxlist_table table; /* TABLE_NAMES or TABLE_REVERSE */
    struct buf scan;           /* keys of the table must begin with it */
    size_t owner_len;          /* how much of a key precedes the name's */
    size_t tree_len;           /* not 0: behind so much of a key must come its end or a separator */
    struct buf from;           /* go on at this key */
    bool after;                /* behind it, that is */
    bool ended;                /* the table gives no more */
    struct item *items;        /* the batch */
    size_t count, next, room;
    struct buf bytes;
};

struct mboxlist_iter {
    unsigned magic;
    struct mboxlist *list;
    unsigned types;
    struct buf prefix; /* as a key */
    struct stream_of_names *streams;
    size_t n_streams;
    size_t batch;
    struct pool *pool; /* of the record handed out */
};

/* ---- filling a stream ---- */

static struct item *add_item(struct stream_of_names *s)
{
    if (s->count == s->room) {
        s->room = s->room == 0 ? BATCH_FIRST : 2 * s->room;
        s->items = xreallocarray(s->items, s->room, sizeof(*s->items));
    }
    return &s->items[s->count++];
}

struct fill {
    struct mboxlist_iter *it;
    struct stream_of_names *stream;
    struct db_txn *txn;
};

/* Is the key outside the stream's tree, with everything behind it ("user.fred-x" for user.fred)? */
static bool left_tree(const struct stream_of_names *s, const struct db_value *key)
{
    return s->tree_len != 0 && key->len > s->tree_len &&
           ((const char *)key->data)[s->tree_len] != KEY_SEPARATOR;
}

static int take(const struct db_value *key, const struct db_value *value, void *context)
{
    struct fill *fill = context;
    struct stream_of_names *s = fill->stream;
    struct db_value record = *value;
    struct item *item;
    int r;

    if (s->after && key->len == s->from.len && memcmp(key->data, s->from.data, key->len) == 0)
        return 0;
    if (left_tree(s, key)) {
        s->ended = true;
        return 1;
    }
    if (s->count == fill->it->batch)
        return 1;
    if (s->table == TABLE_REVERSE) {
        r = db_get(fill->txn, fill->it->list->tables[TABLE_NAMES], (const char *)key->data + s->owner_len,
                   key->len - s->owner_len, &record);
        if (r < 0)
            return r == ERR_NOTFOUND ? ERR_CORRUPT : r;
    }
    item = add_item(s);
    *item = (struct item){s->bytes.len, key->len, s->bytes.len + key->len, record.len};
    buf_append(&s->bytes, key->data, key->len);
    buf_append(&s->bytes, record.data, record.len);
    return 0;
}

static void go_on_behind_last(struct stream_of_names *s)
{
    const struct item *last = &s->items[s->count - 1];

    buf_reset(&s->from);
    buf_append(&s->from, s->bytes.data + last->key, last->key_len);
    s->after = true;
}

static int fill_stream(struct mboxlist_iter *it, struct stream_of_names *s)
{
    struct fill fill = {.it = it, .stream = s};
    int r = db_begin(it->list->env, false, &fill.txn);

    if (r < 0)
        return r;
    s->count = s->next = 0;
    buf_reset(&s->bytes);
    r = db_scan(fill.txn, it->list->tables[s->table], s->from.data, s->from.len, s->scan.data, s->scan.len,
                take, &fill);
    db_abort(&fill.txn);
    if (r < 0)
        return r;
    if (r == 0)
        s->ended = true;
    if (s->count > 0)
        go_on_behind_last(s);
    if (it->batch < BATCH_MOST)
        it->batch *= 2;
    return 0;
}

/* ---- making ---- */

static struct mboxlist_iter *new_iter(struct mboxlist *list, const char *prefix, unsigned types,
                                      size_t n_streams)
{
    struct mboxlist_iter *it = xcalloc(1, sizeof(*it));

    MAGIC_CHECK(list, MBOXLIST_MAGIC);
    it->magic = ITER_MAGIC;
    it->list = list;
    it->types = types;
    it->batch = BATCH_FIRST;
    it->pool = pool_new(0);
    it->streams = xcalloc(n_streams == 0 ? 1 : n_streams, sizeof(*it->streams));
    key_name(&it->prefix, prefix == NULL ? "" : prefix);
    return it;
}

/* A key that is longer than any there can be finds nothing. */
static void set_scan(struct stream_of_names *s)
{
    s->ended = s->scan.len > DB_KEY_MAX;
}

struct mboxlist_iter *mboxlist_iter_all(struct mboxlist *list, const char *prefix, unsigned types)
{
    struct mboxlist_iter *it = new_iter(list, prefix, types, 1);
    struct stream_of_names *s = &it->streams[it->n_streams++];

    s->table = TABLE_NAMES;
    buf_append(&s->scan, it->prefix.data, it->prefix.len);
    set_scan(s);
    return it;
}

/* The tree of a user, as far as it has the prefix: the longer of the two is scanned, if one begins the other. */
static void add_tree(struct mboxlist_iter *it, const char *tree)
{
    struct stream_of_names *s = &it->streams[it->n_streams++];
    size_t shorter;

    s->table = TABLE_NAMES;
    key_name(&s->scan, tree);
    s->tree_len = s->scan.len;
    shorter = s->scan.len < it->prefix.len ? s->scan.len : it->prefix.len;
    if (shorter > 0 && memcmp(s->scan.data, it->prefix.data, shorter) != 0) {
        s->ended = true;
    } else if (it->prefix.len > s->scan.len) {
        buf_reset(&s->scan);
        buf_append(&s->scan, it->prefix.data, it->prefix.len);
        set_scan(s);
    }
}

static void add_identifier(struct mboxlist_iter *it, const char *identifier)
{
    struct stream_of_names *s = &it->streams[it->n_streams++];

    s->table = TABLE_REVERSE;
    key_owner(&s->scan, identifier);
    s->owner_len = s->scan.len;
    buf_append(&s->scan, it->prefix.data, it->prefix.len);
    set_scan(s);
}

struct mboxlist_iter *mboxlist_iter_visible(struct mboxlist *list, const char *prefix, const char *owner_tree,
                                            const char *const *identifiers, unsigned types)
{
    struct mboxlist_iter *it;
    size_t n = 0;

    while (identifiers[n] != NULL)
        n++;
    it = new_iter(list, prefix, types, n + 1);
    if (owner_tree != NULL)
        add_tree(it, owner_tree);
    for (size_t i = 0; i < n; i++)
        add_identifier(it, identifiers[i]);
    return it;
}

/* ---- going on ---- */

/* The name's part of an item's key. */
static struct db_value item_name(const struct stream_of_names *s, size_t i)
{
    const struct item *item = &s->items[i];

    return (struct db_value){s->bytes.data + item->key + s->owner_len, item->key_len - s->owner_len};
}

static int compare_names(const struct db_value *a, const struct db_value *b)
{
    int order = memcmp(a->data, b->data, a->len < b->len ? a->len : b->len);

    if (order != 0)
        return order;
    return (a->len > b->len) - (a->len < b->len);
}

/* Makes sure that the stream has an item, or has ended. */
static int prepare(struct mboxlist_iter *it, struct stream_of_names *s)
{
    int r = 0;

    while (r == 0 && s->next == s->count && !s->ended)
        r = fill_stream(it, s);
    return r;
}

/* The stream with the smallest name; NULL at the end of all. */
static int smallest(struct mboxlist_iter *it, struct stream_of_names **stream_r)
{
    struct db_value least = {NULL, 0}, name;
    int r;

    *stream_r = NULL;
    for (size_t i = 0; i < it->n_streams; i++) {
        struct stream_of_names *s = &it->streams[i];

        r = prepare(it, s);
        if (r < 0)
            return r;
        if (s->next == s->count)
            continue;
        name = item_name(s, s->next);
        if (*stream_r == NULL || compare_names(&name, &least) < 0) {
            *stream_r = s;
            least = name;
        }
    }
    return 0;
}

/* Advances every stream that is at the name which `s` is at. */
static void step_over(struct mboxlist_iter *it, struct stream_of_names *s)
{
    struct db_value name = item_name(s, s->next), other;

    for (size_t i = 0; i < it->n_streams; i++) {
        struct stream_of_names *o = &it->streams[i];

        if (o == s || o->next == o->count)
            continue;
        other = item_name(o, o->next);
        if (compare_names(&name, &other) == 0)
            o->next++;
    }
    s->next++;
}

int mboxlist_iter_next(struct mboxlist_iter *it, const struct mboxlist_record **record_r)
{
    struct stream_of_names *s;
    struct mboxlist_record *record;
    const struct item *item;
    int r;

    MAGIC_CHECK(it, ITER_MAGIC);
    for (;;) {
        r = smallest(it, &s);
        if (r < 0 || s == NULL)
            return r;
        item = &s->items[s->next];
        step_over(it, s);
        pool_reset(it->pool);
        record = pool_alloc(it->pool, sizeof(*record));
        r = mboxlist_record_decode(s->bytes.data + item->value, item->value_len, it->pool, record);
        if (r < 0)
            return r;
        if (it->types & MBOXLIST_TYPE_BIT(record->type)) {
            *record_r = record;
            return 1;
        }
    }
}

/* Drops what the stream has before `key` (a name's), and makes it go on there when it has nothing left. */
static void seek_stream(struct stream_of_names *s, const struct buf *key)
{
    struct db_value to = {key->data, key->len}, name;

    while (s->next < s->count) {
        name = item_name(s, s->next);
        if (compare_names(&name, &to) >= 0)
            return;
        s->next++;
    }
    if (s->ended || s->owner_len + key->len > DB_KEY_MAX)
        return;
    if (s->after) { /* never backwards */
        name = (struct db_value){s->from.data + s->owner_len, s->from.len - s->owner_len};
        if (compare_names(&name, &to) >= 0)
            return;
    }
    buf_reset(&s->from);
    buf_append(&s->from, s->scan.data, s->owner_len);
    buf_append(&s->from, key->data, key->len);
    s->after = false;
}

static void seek_key(struct mboxlist_iter *it, const struct buf *key)
{
    for (size_t i = 0; i < it->n_streams; i++)
        seek_stream(&it->streams[i], key);
}

void mboxlist_iter_seek(struct mboxlist_iter *it, const char *name)
{
    struct buf key = BUF_INIT;

    MAGIC_CHECK(it, ITER_MAGIC);
    key_name(&key, name);
    seek_key(it, &key);
    buf_free(&key);
}

void mboxlist_iter_skip_below(struct mboxlist_iter *it, const char *name)
{
    struct buf key = BUF_INIT;

    MAGIC_CHECK(it, ITER_MAGIC);
    key_name(&key, name);
    buf_putc(&key, KEY_SEPARATOR + 1); /* behind every child, before every other name */
    seek_key(it, &key);
    buf_free(&key);
}

void mboxlist_iter_free(struct mboxlist_iter **itp)
{
    struct mboxlist_iter *it = *itp;

    if (it == NULL)
        return;
    MAGIC_CHECK(it, ITER_MAGIC);
    *itp = NULL;
    for (size_t i = 0; i < it->n_streams; i++) {
        struct stream_of_names *s = &it->streams[i];

        buf_free(&s->scan);
        buf_free(&s->from);
        buf_free(&s->bytes);
        free(s->items);
    }
    buf_free(&it->prefix);
    pool_free(&it->pool);
    free(it->streams);
    it->magic = 0;
    free(it);
}
