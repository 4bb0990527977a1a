#include "imap/store/order.h"

#include <stdlib.h>
#include <string.h>

#include "imap/store/kept.h"
#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/stepsort.h"

enum { STEP_TEXTS = 16 * 1024 };

#define NEW_TOKEN UINT32_C(0x80000000) /* a token of a new text */

/* What is kept: each text once, in order; a message's value is the place of its text. */
struct order {
    struct kept kept;
    struct kept_messages messages;
    uint32_t count;
    uint32_t *at; /* count + 1 of them */
    struct buf bytes;
};

struct text {
    uint64_t prefix; /* the first eight bytes, as a number that compares as they do */
    uint32_t at, len;
    uint64_t value;
};

struct order_query {
    struct view *view;
    const char *what;
    struct kept *found;       /* holds base */
    const struct order *base; /* what is known; it may be `nothing` */
    uint32_t cursor;

    struct kept_messages news; /* a message's value is its place in: */
    struct text *texts;
    uint32_t count, room;
    struct buf bytes;
    struct stepsort sorted;
    bool done;
};

static const struct order nothing;

/* ---- life ---- */

static int compare(const void *a, const void *b, void *context);

struct order_query *order_begin(struct view *view, const char *what)
{
    struct order_query *q = xcalloc(1, sizeof(*q));
    struct mailbox *m;

    q->view = view;
    q->what = what;
    q->base = &nothing;
    if (view_mailbox(view, &m) == 0)
        q->found = kept_find(m, what);
    if (q->found != NULL && !kept_is_stale(q->found, view_exists(view)))
        q->base = (const struct order *)q->found;
    stepsort_begin(&q->sorted, compare, q);
    return q;
}

void order_end(struct order_query **query)
{
    struct order_query *q = *query;

    if (q == NULL)
        return;
    kept_release(&q->found);
    free(q->news.items);
    free(q->texts);
    buf_free(&q->bytes);
    stepsort_free(&q->sorted);
    free(q);
    *query = NULL;
}

static void order_destroy(struct kept *kept)
{
    struct order *o = (struct order *)kept;

    free(o->messages.items);
    free(o->at);
    buf_free(&o->bytes);
    free(o);
}

/* ---- texts ---- */

static uint64_t prefix_of(const char *s, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < 8; i++)
        v = v << 8 | (i < n ? (unsigned char)s[i] : 0);
    return v;
}

static int compare_bytes(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int r = memcmp(a, b, a_len < b_len ? a_len : b_len);

    return r != 0 ? r : (a_len > b_len) - (a_len < b_len);
}

static const char *text_of(const struct order_query *q, const struct text *t)
{
    return buf_cstr(&q->bytes) + t->at;
}

static int compare_texts(const struct order_query *q, const struct text *a, const struct text *b)
{
    if (a->prefix != b->prefix)
        return a->prefix > b->prefix ? 1 : -1;
    return compare_bytes(text_of(q, a), a->len, text_of(q, b), b->len);
}

static int compare(const void *a, const void *b, void *context)
{
    const struct order_query *q = context;

    return compare_texts(q, &q->texts[*(const uint32_t *)a], &q->texts[*(const uint32_t *)b]);
}

/* A new text with one that is known. */
static int compare_with_known(const struct order_query *q, const struct text *t, uint32_t place)
{
    const struct order *o = q->base;

    return compare_bytes(text_of(q, t), t->len, buf_cstr(&o->bytes) + o->at[place],
                         o->at[place + 1] - o->at[place]);
}

bool order_knows(struct order_query *q, const struct mailbox_record *record, uint32_t *token_r)
{
    const struct kept_message *m = kept_look_up(&q->base->messages, &q->cursor, record);

    if (m != NULL)
        *token_r = m->value;
    return m != NULL;
}

uint32_t order_add(struct order_query *q, const struct mailbox_record *record, const char *text, size_t n,
                   bool keep)
{
    if (q->count == q->room) {
        q->room = q->room + q->room / 2 + 256;
        q->texts = xreallocarray(q->texts, q->room, sizeof(*q->texts));
    }
    BUG_ON(q->count == NEW_TOKEN || n > UINT32_MAX - q->bytes.len);
    q->texts[q->count] = (struct text){prefix_of(text, n), (uint32_t)q->bytes.len, (uint32_t)n, 0};
    buf_append(&q->bytes, text, n);
    stepsort_add(&q->sorted, q->count);
    if (keep)
        kept_add(&q->news, record, q->count);
    return NEW_TOKEN | q->count++;
}

size_t order_bytes(const struct order_query *q)
{
    return q->bytes.len + (size_t)q->count * (sizeof(*q->texts) + 8) +
           (size_t)q->news.count * sizeof(*q->news.items);
}

/* ---- values: texts that are known leave room between them for all that are new ---- */

static uint64_t value_of_known(uint32_t place)
{
    return (uint64_t)place << 32 | UINT32_MAX;
}

/* The first known text that is not smaller. */
static uint32_t find_place(const struct order_query *q, const struct text *t, uint32_t low)
{
    uint32_t high = q->base->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (compare_with_known(q, t, middle) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void set_values(struct order_query *q)
{
    const struct text *before = NULL;
    uint32_t place = 0;

    for (uint32_t i = 0; i < q->sorted.count; i++) {
        struct text *t = &q->texts[q->sorted.items[i]];

        if (before != NULL && compare_texts(q, before, t) == 0) {
            t->value = before->value;
            continue;
        }
        place = find_place(q, t, place);
        t->value = place < q->base->count && compare_with_known(q, t, place) == 0
                       ? value_of_known(place)
                       : ((uint64_t)place << 32 | (i + 1));
        before = t;
    }
}

uint64_t order_value(const struct order_query *q, uint32_t token)
{
    const struct order *o = q->base;

    BUG_ON(!q->done);
    if ((token & NEW_TOKEN) != 0)
        return q->texts[token & ~NEW_TOKEN].len == 0 ? 0 : q->texts[token & ~NEW_TOKEN].value;
    return o->at[token + 1] == o->at[token] ? 0 : value_of_known(token);
}

/* ---- keeping ---- */

static void put_text(struct order *o, const char *text, size_t n)
{
    o->at[o->count++] = (uint32_t)o->bytes.len;
    buf_append(&o->bytes, text, n);
    o->at[o->count] = (uint32_t)o->bytes.len;
}

/* Known and new texts together; where each went in the maps. */
static void merge_texts(const struct order_query *q, struct order *o, uint32_t *known_to, uint32_t *new_to)
{
    const struct order *base = q->base;
    const struct text *before = NULL;
    uint32_t known = 0;

    for (size_t i = 0; i <= q->sorted.count; i++) {
        const struct text *t = i < q->sorted.count ? &q->texts[q->sorted.items[i]] : NULL;

        for (; known < base->count && (t == NULL || value_of_known(known) <= t->value); known++) {
            known_to[known] = o->count;
            put_text(o, buf_cstr(&base->bytes) + base->at[known], base->at[known + 1] - base->at[known]);
        }
        if (t == NULL)
            break;
        if ((before == NULL || before->value != t->value) && (uint32_t)t->value != UINT32_MAX)
            put_text(o, text_of(q, t), t->len);
        new_to[q->sorted.items[i]] = o->count - 1;
        before = t;
    }
}

static struct order *merge(struct order_query *q)
{
    struct order *o = xcalloc(1, sizeof(*o));
    uint32_t *known_to = xreallocarray(NULL, (size_t)q->base->count + 1, sizeof(*known_to));
    uint32_t *new_to = xreallocarray(NULL, (size_t)q->count + 1, sizeof(*new_to));

    o->kept = (struct kept){.references = 1, .destroy = order_destroy};
    o->at = xcalloc((size_t)q->base->count + q->count + 1, sizeof(*o->at));
    merge_texts(q, o, known_to, new_to);
    for (uint32_t i = 0; i < q->news.count; i++)
        q->news.items[i].value = new_to[q->news.items[i].value];
    kept_merge(&o->messages, &q->base->messages, known_to, &q->news);
    free(known_to);
    free(new_to);
    o->at = xreallocarray(o->at, (size_t)o->count + 1, sizeof(*o->at));
    o->kept.count = o->messages.count;
    o->bytes.cap = o->bytes.len + 1;
    o->bytes.data = xreallocarray(o->bytes.data, o->bytes.cap, 1);
    o->kept.bytes = sizeof(*o) + o->messages.room * sizeof(*o->messages.items) +
                    (o->count + 1) * sizeof(*o->at) + o->bytes.cap;
    return o;
}

static void keep(struct order_query *q)
{
    struct mailbox *m;
    struct kept *o;

    if (!kept_is_worth(&q->base->kept, q->news.count, order_bytes(q)) || view_mailbox(q->view, &m) < 0)
        return;
    o = &merge(q)->kept;
    kept_put(m, q->what, q->found, o);
    kept_release(&o);
}

int order_step(struct order_query *q)
{
    size_t left = STEP_TEXTS;

    if (q->done)
        return 0;
    if (!stepsort_step(&q->sorted, &left))
        return 1;
    set_values(q);
    q->done = true;
    keep(q);
    return 0;
}
