#include "lib/mail/thread.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/stepsort.h"

enum { NONE = 0, ROOT = 1, STEP_NODES = 20000, WRITE_NUMBERS = 4096 };

/* A message, or one that is only spoken of (a dummy: number 0).  Others are named by their place in the array; NONE is
 * no node, ROOT the parent of all heads. */
struct node {
    uint32_t number;
    uint32_t parent, first, last, next, previous; /* children are linked by next and previous */
    int64_t sent, arrived;
    uint64_t subject;
    bool is_reply;
};

struct threads {
    enum thread_algorithm algorithm;
    struct node *nodes;
    uint32_t count, room;
    uint32_t *of_ids; /* the node of each id; NONE: there is none yet */
    uint32_t ids;
    uint64_t seed;
    uint64_t work;
    unsigned phase;
    uint32_t at;        /* of a phase that goes over all nodes: the next one */
    uint32_t head;      /* of one that goes over the heads: likewise */
    size_t left;        /* nodes that this step may still look at */
    uint32_t *subjects; /* by hash of the subject: the node of the table, open addressing */
    uint32_t subjects_size;
    struct stepsort sort; /* the children of one node, */
    enum { SORT_IDLE, SORT_LOADING, SORT_SORTING, SORT_LINKING } sorting;
    uint32_t child;   /* loading: the next of them; */
    size_t linked;    /* linking: how many have been */
    uint32_t group;   /* ORDEREDSUBJECT: the first message of a subject */
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

struct threads *threads_new(enum thread_algorithm algorithm, uint32_t ids)
{
    struct threads *t = xcalloc(1, sizeof(*t));

    t->algorithm = algorithm;
    t->ids = ids;
    t->of_ids = xcalloc((size_t)ids + 1, sizeof(*t->of_ids));
    digest_random(&t->seed, sizeof(t->seed));
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
    free(t->of_ids);
    free(t->subjects);
    stepsort_free(&t->sort);
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

/* The node of an id, made if there is none.  NONE: too many. */
static uint32_t find_id(struct threads *t, uint32_t id)
{
    BUG_ON(id == 0 || id > t->ids);
    if (t->of_ids[id] == NONE && t->count < THREAD_NODES_MAX)
        t->of_ids[id] = new_node(t);
    return t->of_ids[id];
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

static int link_references(struct threads *t, const struct thread_message *m, uint32_t *last_r)
{
    uint32_t before = NONE;

    for (uint32_t k = 0; k < m->reference_count; k++) {
        uint32_t i = find_id(t, m->references[k]);

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
static uint32_t take_node(struct threads *t, uint32_t id)
{
    uint32_t i = id != 0 && t->algorithm != THREAD_ORDEREDSUBJECT ? find_id(t, id) : new_node(t);

    return i != NONE && node(t, i)->number != 0 ? new_node(t) : i;
}

int threads_add(struct threads *t, const struct thread_message *m)
{
    uint32_t i, last = NONE;
    struct node *n;
    int r = 0;

    if (t->count + 2 >= THREAD_NODES_MAX)
        return ERR_LIMIT;
    i = take_node(t, m->id);
    if (i == NONE)
        return ERR_LIMIT;
    n = node(t, i);
    n->number = m->number;
    n->sent = m->sent;
    n->arrived = m->arrived;
    n->is_reply = m->is_reply;
    n->subject = m->subject;
    if (t->algorithm != THREAD_ORDEREDSUBJECT) {
        r = link_references(t, m, &last);
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

static int by_subject(const void *a, const void *b, void *context)
{
    const struct node *x = node(context, *(const uint32_t *)a), *y = node(context, *(const uint32_t *)b);

    return x->subject != y->subject ? (x->subject > y->subject ? 1 : -1) : by_sent(a, b, context);
}

/* May this step look at another node? */
static bool may_go_on(struct threads *t)
{
    if (t->left == 0)
        return false;
    t->left--;
    return true;
}

static void load_children(struct threads *t)
{
    while (t->child != NONE && may_go_on(t)) {
        stepsort_add(&t->sort, t->child);
        t->child = node(t, t->child)->next;
    }
    if (t->child == NONE)
        t->sorting = SORT_SORTING;
}

static void link_children(struct threads *t, uint32_t parent)
{
    if (t->linked == 0)
        node(t, parent)->first = node(t, parent)->last = NONE;
    while (t->linked < t->sort.count && may_go_on(t)) {
        uint32_t child = t->sort.items[t->linked++];

        link_node(t, parent, child);
    }
    if (t->linked == t->sort.count)
        t->sorting = SORT_IDLE;
}

/* Puts the children of a node in order: true when they are; false: this step's work is over. */
static bool sort_children(struct threads *t, uint32_t parent, stepsort_compare *order)
{
    if (t->sorting == SORT_IDLE) {
        if (node(t, parent)->first == node(t, parent)->last)
            return true;
        stepsort_begin(&t->sort, order, t);
        t->child = node(t, parent)->first;
        t->linked = 0;
        t->sorting = SORT_LOADING;
    }
    if (t->sorting == SORT_LOADING)
        load_children(t);
    if (t->sorting == SORT_SORTING && stepsort_step(&t->sort, &t->left))
        t->sorting = SORT_LINKING;
    if (t->sorting == SORT_LINKING)
        link_children(t, parent);
    return t->sorting == SORT_IDLE;
}

/* ---- steps 2 and 3 ---- */

/* Some of the nodes; true if all have been looked at. */
static bool gather_heads(struct threads *t)
{
    for (; t->at < t->count && may_go_on(t); t->at++) {
        if (node(t, t->at)->parent == NONE)
            link_node(t, ROOT, t->at);
    }
    return t->at == t->count;
}

/* Dummies below heads make way for their children; then those that are heads, for the only child they have. */
static bool prune_some(struct threads *t, bool heads)
{
    for (; t->at < t->count && may_go_on(t); t->at++) {
        const struct node *d = node(t, t->at);

        if (d->number != 0 || d->parent == NONE || (d->parent == ROOT) != heads)
            continue;
        if (!heads || d->first == d->last)
            splice(t, t->at);
    }
    return t->at == t->count;
}

static bool prune_below(struct threads *t)
{
    return prune_some(t, false);
}

static bool prune_heads(struct threads *t)
{
    return prune_some(t, true);
}

/* ---- step 5: threads of one subject ---- */

/* The place of a subject in the table: it holds NONE or the node of that subject. */
static uint32_t *subject_slot(struct threads *t, uint64_t subject)
{
    uint64_t mixed = (subject ^ t->seed) * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t i = (uint32_t)((mixed ^ mixed >> 32) % t->subjects_size);

    while (t->subjects[i] != NONE && shown(t, t->subjects[i])->subject != subject)
        i = (i + 1) % t->subjects_size;
    return &t->subjects[i];
}

static bool begin_subjects(struct threads *t)
{
    for (; t->head != NONE && may_go_on(t); t->head = node(t, t->head)->next)
        t->subjects_size += 2;
    if (t->head != NONE)
        return false;
    t->subjects_size++;
    t->subjects = xcalloc(t->subjects_size, sizeof(*t->subjects));
    return true;
}

/* A dummy is preferred, then who is no reply. */
static void enter_subject(struct threads *t, uint32_t head)
{
    const struct node *n = node(t, head), *had;
    uint32_t *slot;

    if (shown(t, head)->subject == 0)
        return;
    slot = subject_slot(t, shown(t, head)->subject);
    had = node(t, *slot);
    if (*slot == NONE || (had->number != 0 && (n->number == 0 || (had->is_reply && !n->is_reply))))
        *slot = head;
}

static bool enter_subjects(struct threads *t)
{
    for (; t->head != NONE && may_go_on(t); t->head = node(t, t->head)->next)
        enter_subject(t, t->head);
    return t->head == NONE;
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

static bool merge_subjects(struct threads *t)
{
    while (t->head != NONE && may_go_on(t)) {
        uint32_t c = t->head, *slot;

        t->head = node(t, c)->next;
        if (shown(t, c)->subject == 0)
            continue;
        slot = subject_slot(t, shown(t, c)->subject);
        if (*slot != c)
            merge(t, slot, c);
    }
    return t->head == NONE;
}

/* ---- steps 4 and 6 ---- */

/* Below heads there are no dummies any more, so the order in which nodes get their children sorted does not matter. */
static bool sort_all(struct threads *t)
{
    for (; t->at < t->count && may_go_on(t); t->at++)
        if (!sort_children(t, t->at, by_sent))
            return false;
    return t->at == t->count;
}

static bool sort_heads_by_sent(struct threads *t)
{
    return sort_children(t, ROOT, by_sent);
}

static bool sort_heads_by_arrival(struct threads *t)
{
    return sort_children(t, ROOT, by_arrival);
}

static bool sort_heads_by_subject(struct threads *t)
{
    return sort_children(t, ROOT, by_subject);
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
static bool take_latest_arrival(struct threads *t)
{
    for (; t->head != NONE && may_go_on(t); t->head = node(t, t->head)->next) {
        for (uint32_t i = t->head; i != NONE; i = next_below(t, i, t->head)) {
            t->left -= t->left > 0;
            if (node(t, i)->arrived > node(t, t->head)->arrived)
                node(t, t->head)->arrived = node(t, i)->arrived;
        }
    }
    return t->head == NONE;
}

/* ---- ORDEREDSUBJECT ---- */

/* Of messages of one subject, which stand together, the first becomes the parent of the others. */
static bool group_subjects(struct threads *t)
{
    while (t->head != NONE && may_go_on(t)) {
        uint32_t c = t->head;

        t->head = node(t, c)->next;
        if (t->group != NONE && node(t, t->group)->subject == node(t, c)->subject) {
            unlink_node(t, c);
            link_node(t, t->group, c);
        } else {
            t->group = c;
        }
    }
    return t->head == NONE;
}

/* ---- all of it ---- */

enum { PHASES_MAX = 11 };

/* Each does some of a phase's work: true when that was the last. */
typedef bool phase_fn(struct threads *t);

static phase_fn *const phases[][PHASES_MAX] = {
    [THREAD_ORDEREDSUBJECT] = {gather_heads, sort_heads_by_subject, group_subjects, sort_heads_by_sent},
    [THREAD_REFERENCES] = {gather_heads, prune_below, prune_heads, sort_all, sort_heads_by_sent,
                           begin_subjects, enter_subjects, merge_subjects, sort_all, sort_heads_by_sent},
    [THREAD_REFS] = {gather_heads, prune_below, prune_heads, sort_all, take_latest_arrival,
                     sort_heads_by_arrival},
};

int threads_step(struct threads *t)
{
    phase_fn *const *phase = &phases[t->algorithm][t->phase];

    t->left = STEP_NODES;
    if (t->at == 0)
        t->at = ROOT + 1;
    if (*phase != NULL && (*phase)(t)) {
        phase++;
        t->phase++;
        t->at = ROOT + 1;
        t->head = node(t, ROOT)->first;
    }
    return *phase != NULL ? 1 : 0;
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
        buf_number(to, n->number);
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
