#include "imap/store/links.h"

#include <stdlib.h>
#include <string.h>

#include "imap/store/kept.h"
#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"

#define WHAT      "LINKS"
#define NEW_TOKEN UINT32_C(0x80000000) /* a token of a message that was added */

/* What a message has: its references are `count` of the set's from `at` on. */
struct row {
    uint32_t id, at;
    uint32_t count : 31, is_reply : 1;
};

/* Rows, and the texts of ids, each once, by their numbers: the first is the set's first_id. */
struct set {
    struct row *rows;
    uint32_t row_count, row_room;
    uint32_t *references;
    uint32_t reference_count, reference_room;

    uint64_t seed[2];
    struct buf texts;
    uint32_t *at;     /* of each id, in the texts; id_count + 1 of them are in use */
    uint32_t *hashes; /* of each */
    uint32_t first_id, id_count, id_room;
    uint32_t *table; /* by hash, open addressing: an id's place + 1; 0: nothing */
    uint32_t table_size;
};

/* What is kept: a message's value is its row. */
struct known {
    struct kept kept;
    struct kept_messages messages;
    struct set set;
};

struct links_query {
    struct view *view;
    struct kept *found;       /* holds base */
    const struct known *base; /* may be `nothing` */
    uint32_t cursor;
    struct kept_messages news;
    struct set set; /* its ids are numbered behind those of the base */
};

static const struct known nothing = {.set = {.first_id = 1}};

/* ---- life ---- */

static void set_free(struct set *s)
{
    free(s->rows);
    free(s->references);
    buf_free(&s->texts);
    free(s->at);
    free(s->hashes);
    free(s->table);
}

struct links_query *links_begin(struct view *view)
{
    struct links_query *q = xcalloc(1, sizeof(*q));
    struct mailbox *m;

    q->view = view;
    q->base = &nothing;
    if (view_mailbox(view, &m) == 0)
        q->found = kept_find(m, WHAT);
    if (q->found != NULL && !kept_is_stale(q->found, view_exists(view)))
        q->base = (const struct known *)q->found;
    if (q->base == &nothing)
        digest_random(q->set.seed, sizeof(q->set.seed));
    else
        memcpy(q->set.seed, q->base->set.seed, sizeof(q->set.seed));
    q->set.first_id = q->base->set.first_id + q->base->set.id_count;
    return q;
}

void links_end(struct links_query **query)
{
    struct links_query *q = *query;

    if (q == NULL)
        return;
    kept_release(&q->found);
    free(q->news.items);
    set_free(&q->set);
    free(q);
    *query = NULL;
}

static void known_destroy(struct kept *kept)
{
    struct known *k = (struct known *)kept;

    free(k->messages.items);
    set_free(&k->set);
    free(k);
}

/* ---- ids ---- */

/* Where an id stands in the table, or would. */
static uint32_t *find_slot(const struct set *s, const char *text, size_t n, uint32_t hash)
{
    uint32_t i = hash % s->table_size;

    for (; s->table[i] != 0; i = (i + 1) % s->table_size) {
        uint32_t id = s->table[i] - 1;

        if (s->hashes[id] == hash && s->at[id + 1] - s->at[id] == n &&
            memcmp(s->texts.data + s->at[id], text, n) == 0)
            break;
    }
    return &s->table[i];
}

/* The number of an id, or 0. */
static uint32_t find_id(const struct set *s, const char *text, size_t n, uint32_t hash)
{
    uint32_t place = s->table_size > 0 ? *find_slot(s, text, n, hash) : 0;

    return place > 0 ? s->first_id + place - 1 : 0;
}

/* A table that is at most half full. */
static void make_table(struct set *s, uint32_t size)
{
    free(s->table);
    s->table = xcalloc(size, sizeof(*s->table));
    s->table_size = size;
    for (uint32_t id = 0; id < s->id_count; id++) {
        uint32_t i = s->hashes[id] % size;

        while (s->table[i] != 0)
            i = (i + 1) % size;
        s->table[i] = id + 1;
    }
}

static uint32_t add_id(struct set *s, const char *text, size_t n, uint32_t hash)
{
    if (s->id_count == s->id_room) {
        s->id_room = s->id_room * 2 + 256;
        s->at = xreallocarray(s->at, (size_t)s->id_room + 1, sizeof(*s->at));
        s->hashes = xreallocarray(s->hashes, s->id_room, sizeof(*s->hashes));
        make_table(s, s->id_room * 2 + 1);
    }
    *find_slot(s, text, n, hash) = s->id_count + 1;
    s->hashes[s->id_count] = hash;
    s->at[s->id_count++] = (uint32_t)s->texts.len;
    buf_append(&s->texts, text, n);
    s->at[s->id_count] = (uint32_t)s->texts.len;
    return s->first_id + s->id_count - 1;
}

static uint32_t number_of(struct links_query *q, const char *text)
{
    size_t n = strlen(text);
    uint32_t hash = (uint32_t)hash_bytes(q->set.seed, text, n);
    uint32_t id = find_id(&q->base->set, text, n, hash);

    if (id == 0)
        id = find_id(&q->set, text, n, hash);
    return id != 0 ? id : add_id(&q->set, text, n, hash);
}

uint32_t links_ids(const struct links_query *q)
{
    return q->set.first_id + q->set.id_count - 1;
}

/* ---- messages ---- */

bool links_knows(struct links_query *q, const struct mailbox_record *record, uint32_t *token_r)
{
    const struct kept_message *m = kept_look_up(&q->base->messages, &q->cursor, record);

    if (m != NULL)
        *token_r = m->value;
    return m != NULL;
}

static void add_reference(struct set *s, uint32_t id)
{
    if (s->reference_count == s->reference_room) {
        s->reference_room = s->reference_room * 2 + 256;
        s->references = xreallocarray(s->references, s->reference_room, sizeof(*s->references));
    }
    s->references[s->reference_count++] = id;
}

static size_t set_bytes(const struct set *s)
{
    return (size_t)s->row_count * sizeof(*s->rows) + (size_t)s->reference_count * sizeof(*s->references) +
           s->texts.len + (size_t)s->id_count * (sizeof(*s->at) + sizeof(*s->hashes) + 2 * sizeof(*s->table));
}

int links_add(struct links_query *q, const struct mailbox_record *record, const struct links_news *news,
              uint32_t *token_r)
{
    struct set *s = &q->set;
    struct row row = {.at = s->reference_count, .is_reply = news->is_reply};

    if (set_bytes(s) > LINKS_BYTES_MAX)
        return ERR_LIMIT;
    row.id = news->id != NULL ? number_of(q, news->id) : 0;
    for (const char *const *id = news->references; id != NULL && *id != NULL; id++)
        add_reference(s, number_of(q, *id));
    row.count = (s->reference_count - row.at) & 0x7fffffff;
    if (s->row_count == s->row_room) {
        s->row_room = s->row_room * 2 + 256;
        s->rows = xreallocarray(s->rows, s->row_room, sizeof(*s->rows));
    }
    s->rows[s->row_count] = row;
    if (news->keep)
        kept_add(&q->news, record, s->row_count);
    *token_r = NEW_TOKEN | s->row_count++;
    return 0;
}

void links_get(const struct links_query *q, uint32_t token, struct links *links_r)
{
    const struct set *s = (token & NEW_TOKEN) != 0 ? &q->set : &q->base->set;
    const struct row *row = &s->rows[token & ~NEW_TOKEN];

    *links_r = (struct links){row->id, s->references + row->at, row->count, row->is_reply};
}

/* ---- keeping ---- */

static void *joined(const void *a, size_t a_count, const void *b, size_t b_count, size_t size)
{
    char *to = xreallocarray(NULL, a_count + b_count + 1, size);

    if (a_count > 0)
        memcpy(to, a, a_count * size);
    if (b_count > 0)
        memcpy(to + a_count * size, b, b_count * size);
    return to;
}

/* Both sets together: b's rows and ids are behind those of a. */
static void join(struct set *to, const struct set *a, const struct set *b)
{
    to->rows = joined(a->rows, a->row_count, b->rows, b->row_count, sizeof(*a->rows));
    to->row_count = a->row_count + b->row_count;
    for (uint32_t i = a->row_count; i < to->row_count; i++)
        to->rows[i].at += a->reference_count;
    to->references =
        joined(a->references, a->reference_count, b->references, b->reference_count, sizeof(*a->references));
    to->reference_count = a->reference_count + b->reference_count;
    memcpy(to->seed, b->seed, sizeof(to->seed));
    to->texts.cap = a->texts.len + b->texts.len + 1;
    to->texts.data = joined(a->texts.data, a->texts.len, b->texts.data, b->texts.len, 1);
    to->texts.len = a->texts.len + b->texts.len;
    to->texts.data[to->texts.len] = '\0';
    to->id_count = a->id_count + b->id_count;
    to->first_id = a->first_id;
    to->at = joined(a->at, a->id_count, b->at, b->id_count, sizeof(*a->at));
    for (uint32_t i = a->id_count; i < to->id_count; i++)
        to->at[i] += (uint32_t)a->texts.len;
    to->at[to->id_count] = (uint32_t)to->texts.len;
    to->hashes = joined(a->hashes, a->id_count, b->hashes, b->id_count, sizeof(*a->hashes));
    make_table(to, to->id_count * 2 + 1);
}

void links_keep(struct links_query *q)
{
    struct mailbox *m;
    struct known *k;
    struct kept *kept;

    if (!kept_is_worth(&q->base->kept, q->news.count, set_bytes(&q->set)) || view_mailbox(q->view, &m) < 0)
        return;
    k = xcalloc(1, sizeof(*k));
    k->kept = (struct kept){.references = 1, .destroy = known_destroy};
    join(&k->set, &q->base->set, &q->set);
    for (uint32_t i = 0; i < q->news.count; i++)
        q->news.items[i].value += q->base->set.row_count;
    kept_merge(&k->messages, &q->base->messages, NULL, &q->news);
    k->kept.count = k->messages.count;
    k->kept.bytes = sizeof(*k) + (size_t)k->messages.room * sizeof(*k->messages.items) + set_bytes(&k->set);
    kept = &k->kept;
    kept_put(m, WHAT, q->found, kept);
    kept_release(&kept);
}
