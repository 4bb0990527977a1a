#include "lib/mail/thread.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"

enum { NONE = 0, ROOT = 1, STEP_NODES = 20000, WRITE_NUMBERS = 4096 };

/* A message, or one that is only spoken of (a dummy: number 0).  Others are named by their place in the array; NONE is
 * no node, ROOT the parent of all heads. */
struct node {
    uint32_t number;
    uint32_t parent, first, last, next, previous; /* children are linked by next and previous */
    uint32_t chain;                               /* the next one in the table of ids */
    uint32_t id, id_len, subject, subject_len;    /* in the texts */
    int64_t sent, arrived;
    bool is_reply;
};

struct threads {
    enum thread_algorithm algorithm;
    struct node *nodes;
    uint32_t count, room;
    struct buf texts;
    uint64_t seed[2];
    uint32_t *table; /* of ids: by hash, chained */
    uint32_t table_size;
    uint64_t work;
    unsigned phase;
    uint32_t at;        /* of a phase that takes several steps */
    uint32_t *subjects; /* by hash of the subject: the node of the table, open addressing */
    uint32_t subjects_size;
    uint32_t *sorting; /* scratch: the children of one node */
    uint32_t sorting_room;
    uint32_t writing; /* the node to be written next; NONE: not begun, or all is written */
    bool begun;
};

static struct node *node(const struct threads *t, uint32_t i)
{
    return &t->nodes[i];
}

/* ---- nodes ---- */

static uint32_t new_node(struct threads *t)
{
    if (t->count == t->room) {
        t->room = t->room * 2 + 64;
        t->nodes = xreallocarray(t->nodes, t->room, sizeof(*t->nodes));
    }
    t->nodes[t->count] = (struct node){.arrived = INT64_MIN};
    return t->count++;
}

struct threads *threads_new(enum thread_algorithm algorithm)
{
    struct threads *t = xcalloc(1, sizeof(*t));

    t->algorithm = algorithm;
    digest_random(t->seed, sizeof(t->seed));
    new_node(t); /* NONE */
    new_node(t); /* ROOT */
    return t;
}

void threads_free(struct threads **tp)
{
    struct threads *t = *tp;

    if (t == NULL)
        return;
    free(t->nodes);
    free(t->table);
    free(t->subjects);
    free(t->sorting);
    buf_free(&t->texts);
    free(t);
    *tp = NULL;
}

static void unlink_node(struct threads *t, uint32_t child)
{
    struct node *c = node(t, child), *p = node(t, c->parent);

    if (c->parent == NONE)
        return;
    *(c->previous != NONE ? &node(t, c->previous)->next : &p->first) = c->next;
    *(c->next != NONE ? &node(t, c->next)->previous : &p->last) = c->previous;
    c->parent = c->next = c->previous = NONE;
}

/* As the last child. */
static void link_node(struct threads *t, uint32_t parent, uint32_t child)
{
    struct node *c = node(t, child), *p = node(t, parent);

    c->parent = parent;
    c->previous = p->last;
    c->next = NONE;
    *(p->last != NONE ? &node(t, p->last)->next : &p->first) = child;
    p->last = child;
}

/* Puts the children of a node, in order, where it stands, and takes it away. */
static void splice(struct threads *t, uint32_t i)
{
    struct node *n = node(t, i);
    uint32_t parent = n->parent, before = n->previous, after = n->next, first = n->first, last = n->last;

    for (uint32_t c = first; c != NONE; c = node(t, c)->next)
        node(t, c)->parent = parent;
    if (first == NONE) {
        unlink_node(t, i);
        return;
    }
    node(t, first)->previous = before;
    node(t, last)->next = after;
    *(before != NONE ? &node(t, before)->next : &node(t, parent)->first) = first;
    *(after != NONE ? &node(t, after)->previous : &node(t, parent)->last) = last;
    n->parent = n->first = n->last = n->next = n->previous = NONE;
}

/* ---- message ids ---- */

static uint32_t place_of(const struct threads *t, const char *s, size_t n, uint32_t size)
{
    return (uint32_t)(hash_bytes(t->seed, s, n) % size);
}

static void grow_table(struct threads *t)
{
    uint32_t size = t->table_size * 2 + 1024;

    free(t->table);
    t->table = xcalloc(size, sizeof(*t->table));
    t->table_size = size;
    for (uint32_t i = ROOT + 1; i < t->count; i++) {
        struct node *n = node(t, i);
        uint32_t *slot;

        if (n->id_len == 0)
            continue;
        slot = &t->table[place_of(t, t->texts.data + n->id, n->id_len, size)];
        n->chain = *slot;
        *slot = i;
    }
}

/* The node of an id, made if there is none.  NONE: too many. */
static uint32_t find_id(struct threads *t, const char *id)
{
    size_t len = strlen(id);
    uint32_t *slot, i;

    if (t->count >= t->table_size)
        grow_table(t);
    slot = &t->table[place_of(t, id, len, t->table_size)];
    for (i = *slot; i != NONE; i = node(t, i)->chain) {
        if (node(t, i)->id_len == len && memcmp(t->texts.data + node(t, i)->id, id, len) == 0)
            return i;
    }
    if (t->count >= THREAD_NODES_MAX || len > THREAD_TEXT_MAX - t->texts.len)
        return NONE;
    i = new_node(t);
    node(t, i)->id = (uint32_t)t->texts.len;
    node(t, i)->id_len = (uint32_t)len;
    node(t, i)->chain = *slot;
    *slot = i;
    buf_append(&t->texts, id, len);
    return i;
}

/* ---- steps 1.A and 1.B ---- */

/* Is `i` below `above`, or it? */
static bool is_below(struct threads *t, uint32_t i, uint32_t above)
{
    if (i == above)
        return true;
    if (node(t, above)->first == NONE)
        return false;
    for (; i != NONE; i = node(t, i)->parent, t->work++) {
        if (i == above)
            return true;
    }
    return false;
}

static int link_references(struct threads *t, const char *const *references, uint32_t *last_r)
{
    uint32_t before = NONE;

    for (; references != NULL && *references != NULL; references++) {
        uint32_t i = find_id(t, *references);

        if (i == NONE)
            return ERR_LIMIT;
        if (before != NONE && node(t, i)->parent == NONE && !is_below(t, before, i))
            link_node(t, before, i);
        before = i;
    }
    *last_r = before;
    return 0;
}

static void set_parent(struct threads *t, uint32_t i, uint32_t parent)
{
    if (node(t, i)->parent == parent)
        return;
    unlink_node(t, i);
    if (parent != NONE && !is_below(t, parent, i))
        link_node(t, parent, i);
}

/* The node that a message becomes: that of its id, unless another has that already. */
static uint32_t take_node(struct threads *t, const char *id)
{
    uint32_t i = id != NULL && t->algorithm != THREAD_ORDEREDSUBJECT ? find_id(t, id) : new_node(t);

    return i != NONE && node(t, i)->number != 0 ? new_node(t) : i;
}

int threads_add(struct threads *t, const struct thread_message *m)
{
    uint32_t i, last = NONE;
    struct node *n;
    int r = 0;

    if (t->count + 2 >= THREAD_NODES_MAX || m->subject_len > THREAD_TEXT_MAX - t->texts.len)
        return ERR_LIMIT;
    i = take_node(t, m->id);
    if (i == NONE)
        return ERR_LIMIT;
    n = node(t, i);
    n->number = m->number;
    n->sent = m->sent;
    n->arrived = m->arrived;
    n->is_reply = m->is_reply;
    n->subject = (uint32_t)t->texts.len;
    n->subject_len = (uint32_t)m->subject_len;
    buf_append(&t->texts, m->subject, m->subject_len);
    if (t->algorithm != THREAD_ORDEREDSUBJECT) {
        r = link_references(t, m->references, &last);
        if (r == 0)
            set_parent(t, i, last);
    }
    return t->work > THREAD_WORK_MAX ? ERR_LIMIT : r;
}

/* ---- sorting siblings ---- */

/* A dummy stands where its first child would. */
static const struct node *shown(const struct threads *t, uint32_t i)
{
    const struct node *n = node(t, i);

    return n->number == 0 && n->first != NONE ? node(t, n->first) : n;
}

static int compare_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int by_sent(const void *a, const void *b, void *context)
{
    const struct node *x = shown(context, *(const uint32_t *)a), *y = shown(context, *(const uint32_t *)b);
    int r = compare_numbers(x->sent, y->sent);

    return r != 0 ? r : compare_numbers(x->number, y->number);
}

static int by_arrival(const void *a, const void *b, void *context)
{
    const struct node *x = node(context, *(const uint32_t *)a), *y = node(context, *(const uint32_t *)b);
    int r = compare_numbers(x->arrived, y->arrived);

    return r != 0 ? r
                  : compare_numbers(shown(context, *(const uint32_t *)a)->number,
                                    shown(context, *(const uint32_t *)b)->number);
}

static int compare_subjects(const struct threads *t, const struct node *x, const struct node *y)
{
    uint32_t n = x->subject_len < y->subject_len ? x->subject_len : y->subject_len;
    int r = memcmp(buf_cstr(&t->texts) + x->subject, buf_cstr(&t->texts) + y->subject, n);

    return r != 0 ? r : compare_numbers(x->subject_len, y->subject_len);
}

static int by_subject(const void *a, const void *b, void *context)
{
    int r =
        compare_subjects(context, node(context, *(const uint32_t *)a), node(context, *(const uint32_t *)b));

    return r != 0 ? r : by_sent(a, b, context);
}

typedef int order_fn(const void *a, const void *b, void *context);

static void sort_children(struct threads *t, uint32_t parent, order_fn *order)
{
    uint32_t n = 0;

    if (node(t, parent)->first == node(t, parent)->last)
        return;
    if (t->sorting_room < t->room) {
        t->sorting = xreallocarray(t->sorting, t->room, sizeof(*t->sorting));
        t->sorting_room = t->room;
    }
    for (uint32_t c = node(t, parent)->first; c != NONE; c = node(t, c)->next)
        t->sorting[n++] = c;
    qsort_r(t->sorting, n, sizeof(*t->sorting), order, t);
    node(t, parent)->first = node(t, parent)->last = NONE;
    for (uint32_t i = 0; i < n; i++)
        link_node(t, parent, t->sorting[i]);
}

/* ---- steps 2 and 3 ---- */

/* Some of the nodes; true if all have been looked at. */
static bool gather_heads(struct threads *t)
{
    for (int n = 0; n < STEP_NODES && t->at < t->count; n++, t->at++) {
        if (node(t, t->at)->parent == NONE)
            link_node(t, ROOT, t->at);
    }
    return t->at == t->count;
}

/* Dummies below heads make way for their children; then those that are heads, for the only child they have. */
static bool prune_some(struct threads *t, bool heads)
{
    for (int n = 0; n < STEP_NODES && t->at < t->count; n++, t->at++) {
        const struct node *d = node(t, t->at);

        if (d->number != 0 || d->parent == NONE || (d->parent == ROOT) != heads)
            continue;
        if (!heads || d->first == d->last)
            splice(t, t->at);
    }
    return t->at == t->count;
}

/* ---- step 5: threads of one subject ---- */

/* The place of a node's subject in the table: it holds NONE or the node of that subject. */
static uint32_t *subject_slot(struct threads *t, const struct node *n)
{
    const char *texts = buf_cstr(&t->texts);
    uint32_t i = place_of(t, texts + n->subject, n->subject_len, t->subjects_size);

    while (t->subjects[i] != NONE && compare_subjects(t, shown(t, t->subjects[i]), n) != 0)
        i = (i + 1) % t->subjects_size;
    return &t->subjects[i];
}

static void make_subjects(struct threads *t)
{
    uint32_t heads = 0;

    for (uint32_t c = node(t, ROOT)->first; c != NONE; c = node(t, c)->next)
        heads++;
    t->subjects_size = heads * 2 + 1;
    t->subjects = xcalloc(t->subjects_size, sizeof(*t->subjects));
    for (uint32_t c = node(t, ROOT)->first; c != NONE; c = node(t, c)->next) {
        const struct node *n = node(t, c), *had;
        uint32_t *slot;

        if (shown(t, c)->subject_len == 0)
            continue;
        slot = subject_slot(t, shown(t, c));
        had = node(t, *slot);
        if (*slot == NONE || (had->number != 0 && (n->number == 0 || (had->is_reply && !n->is_reply))))
            *slot = c;
    }
}

/* Moves the children of one node behind those of another. */
static void move_children(struct threads *t, uint32_t from, uint32_t to)
{
    uint32_t next;

    for (uint32_t c = node(t, from)->first; c != NONE; c = next) {
        next = node(t, c)->next;
        unlink_node(t, c);
        link_node(t, to, c);
    }
}

/* Both become children of a new dummy, which takes the place of the one in the table. */
static uint32_t join(struct threads *t, uint32_t had, uint32_t current)
{
    uint32_t dummy = new_node(t);
    struct node *d = node(t, dummy), *h = node(t, had);

    d->parent = ROOT;
    d->previous = h->previous;
    d->next = h->next;
    *(h->previous != NONE ? &node(t, h->previous)->next : &node(t, ROOT)->first) = dummy;
    *(h->next != NONE ? &node(t, h->next)->previous : &node(t, ROOT)->last) = dummy;
    h->parent = h->next = h->previous = NONE;
    unlink_node(t, current);
    link_node(t, dummy, had);
    link_node(t, dummy, current);
    return dummy;
}

/* Step 5.C.iv. */
static void merge(struct threads *t, uint32_t *slot, uint32_t current)
{
    const struct node *had = node(t, *slot), *now = node(t, current);

    if (had->number == 0 && now->number == 0) {
        move_children(t, current, *slot);
        unlink_node(t, current);
    } else if (had->number == 0 || (now->number != 0 && now->is_reply && !had->is_reply)) {
        unlink_node(t, current);
        link_node(t, *slot, current);
    } else {
        *slot = join(t, *slot, current);
    }
}

static void merge_subjects(struct threads *t)
{
    uint32_t next;

    make_subjects(t);
    for (uint32_t c = node(t, ROOT)->first; c != NONE; c = next) {
        uint32_t *slot;

        next = node(t, c)->next;
        if (shown(t, c)->subject_len == 0)
            continue;
        slot = subject_slot(t, shown(t, c));
        if (*slot != c)
            merge(t, slot, c);
    }
}

/* ---- steps 4 and 6 ---- */

/* Below heads there are no dummies any more, so the order in which nodes get their children sorted does not matter. */
static bool sort_some(struct threads *t)
{
    for (int n = 0; n < STEP_NODES && t->at < t->count; n++, t->at++)
        sort_children(t, t->at, by_sent);
    return t->at == t->count;
}

/* ---- REFS ---- */

/* The next node below `top` in the order in which they are written; NONE: the last. */
static uint32_t next_below(const struct threads *t, uint32_t i, uint32_t top)
{
    if (node(t, i)->first != NONE)
        return node(t, i)->first;
    for (; i != top; i = node(t, i)->parent) {
        if (node(t, i)->next != NONE)
            return node(t, i)->next;
    }
    return NONE;
}

/* A thread arrived when its latest message did. */
static void take_latest_arrival(struct threads *t)
{
    for (uint32_t head = node(t, ROOT)->first; head != NONE; head = node(t, head)->next) {
        for (uint32_t i = head; i != NONE; i = next_below(t, i, head)) {
            if (node(t, i)->arrived > node(t, head)->arrived)
                node(t, head)->arrived = node(t, i)->arrived;
        }
    }
}

/* ---- ORDEREDSUBJECT ---- */

/* Of messages of one subject, which stand together, the first becomes the parent of the others. */
static void group_subjects(struct threads *t)
{
    uint32_t head = node(t, ROOT)->first, next;

    for (uint32_t c = head; c != NONE; c = next) {
        next = node(t, c)->next;
        if (c != head && compare_subjects(t, node(t, head), node(t, c)) == 0) {
            unlink_node(t, c);
            link_node(t, head, c);
        } else {
            head = c;
        }
    }
}

/* ---- all of it ---- */

static int ordered_step(struct threads *t)
{
    if (t->phase == 0) {
        if (!gather_heads(t))
            return 1;
        t->phase++;
        return 1;
    }
    sort_children(t, ROOT, by_subject);
    group_subjects(t);
    sort_children(t, ROOT, by_sent);
    return 0;
}

enum phase { GATHER, PRUNE, PRUNE_HEADS, SORT, HEADS, SORT_AGAIN, HEADS_AGAIN, DONE };

/* Does a piece of a phase: true if that was the last. */
static bool run_phase(struct threads *t)
{
    switch ((enum phase)t->phase) {
    case GATHER:
        return gather_heads(t);
    case PRUNE:
        return prune_some(t, false);
    case PRUNE_HEADS:
        return prune_some(t, true);
    case SORT:
    case SORT_AGAIN:
        return sort_some(t);
    case HEADS:
        if (t->algorithm == THREAD_REFERENCES) {
            sort_children(t, ROOT, by_sent);
            merge_subjects(t);
            return true;
        }
        take_latest_arrival(t);
        sort_children(t, ROOT, by_arrival);
        t->phase = DONE - 1;
        return true;
    case HEADS_AGAIN:
        sort_children(t, ROOT, by_sent);
        return true;
    case DONE:
        break;
    }
    return false;
}

int threads_step(struct threads *t)
{
    if (t->at == 0)
        t->at = ROOT + 1;
    if (t->algorithm == THREAD_ORDEREDSUBJECT)
        return ordered_step(t);
    if (t->phase != DONE && run_phase(t)) {
        t->phase++;
        t->at = ROOT + 1;
    }
    return t->phase != DONE ? 1 : 0;
}

/* ---- writing ---- */

/* Does a node begin a list: a thread, or one of several branches? */
static bool is_branch(const struct threads *t, uint32_t i)
{
    const struct node *p = node(t, node(t, i)->parent);

    return node(t, i)->parent == ROOT || p->first != p->last;
}

static void open_node(const struct threads *t, uint32_t i, struct buf *to)
{
    const struct node *n = node(t, i), *p = node(t, n->parent);

    if (n->parent != ROOT && p->number != 0 && n->previous == NONE)
        buf_putc(to, ' ');
    if (is_branch(t, i))
        buf_putc(to, '(');
    if (n->number != 0)
        buf_printf(to, "%u", n->number);
}

/* Closes what ends with node i; the next to be written, NONE at the end. */
static uint32_t close_nodes(const struct threads *t, uint32_t i, struct buf *to)
{
    for (; i != ROOT; i = node(t, i)->parent) {
        if (is_branch(t, i))
            buf_putc(to, ')');
        if (node(t, i)->next != NONE)
            return node(t, i)->next;
    }
    return NONE;
}

bool threads_write(struct threads *t, struct buf *to)
{
    if (!t->begun)
        t->writing = node(t, ROOT)->first;
    t->begun = true;
    for (int n = 0; n < WRITE_NUMBERS && t->writing != NONE; n++) {
        uint32_t first = node(t, t->writing)->first;

        open_node(t, t->writing, to);
        t->writing = first != NONE ? first : close_nodes(t, t->writing, to);
    }
    return t->writing != NONE;
}
