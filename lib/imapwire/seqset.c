#include "lib/imapwire/seqset.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

void seqset_init(struct seqset *set, struct pool *pool)
{
    *set = (struct seqset){.pool = pool};
}

/* Room for one more range; the old array stays in the pool, at most as much again. */
static void grow(struct seqset *set)
{
    struct seqset_range *more;

    if (set->count < set->cap)
        return;
    set->cap = set->cap != 0 ? set->cap * 2 : 4;
    more = pool_alloc(set->pool, set->cap * sizeof(*more));
    if (set->count > 0)
        memcpy(more, set->ranges, set->count * sizeof(*more));
    set->ranges = more;
}

/* The first range whose end is at or above `number`. */
static size_t find(const struct seqset *set, uint32_t number)
{
    size_t lo = 0, hi = set->count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (set->ranges[mid].last < number)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

void seqset_add_range(struct seqset *set, uint32_t first, uint32_t last)
{
    struct seqset_range *r = set->ranges;
    size_t from, to;

    BUG_ON(first == 0 || first > last);
    /* the ranges [from, to) overlap or touch the new one */
    from = find(set, first - 1);
    for (to = from; to < set->count && (last == UINT32_MAX || r[to].first <= last + 1); to++) {
        first = r[to].first < first ? r[to].first : first;
        last = r[to].last > last ? r[to].last : last;
    }
    if (from == to) {
        grow(set);
        r = set->ranges;
        memmove(r + from + 1, r + from, (set->count - from) * sizeof(*r));
        set->count++;
    } else {
        memmove(r + from + 1, r + to, (set->count - to) * sizeof(*r));
        set->count -= to - from - 1;
    }
    r[from] = (struct seqset_range){first, last};
}

void seqset_add(struct seqset *set, uint32_t number)
{
    seqset_add_range(set, number, number);
}

void seqset_add_set(struct seqset *set, const struct seqset *other)
{
    for (size_t i = 0; i < other->count; i++)
        seqset_add_range(set, other->ranges[i].first, other->ranges[i].last);
}

/* ---- parsing ---- */

/* A number or `*` (0 in *number_r) at *s. */
static int parse_number(const char **s, const char *end, uint32_t *number_r)
{
    const char *begin = *s;

    if (*s < end && **s == '*') {
        (*s)++;
        *number_r = 0;
        return 0;
    }
    while (*s < end && **s >= '0' && **s <= '9')
        (*s)++;
    if (str_parse_u32(begin, (size_t)(*s - begin), number_r) < 0 || *number_r == 0)
        return ERR_SYNTAX;
    return 0;
}

/* One element, `a` or `a:b`, 0 standing for `*`. */
static int parse_element(const char **s, const char *end, uint32_t *a_r, uint32_t *b_r)
{
    int r = parse_number(s, end, a_r);

    *b_r = *a_r;
    if (r == 0 && *s < end && **s == ':') {
        (*s)++;
        r = parse_number(s, end, b_r);
    }
    if (r == 0 && *s < end && **s != ',')
        return ERR_SYNTAX;
    return r;
}

/* Calls `add` (may be NULL) for each element. */
static int parse_elements(const char *s, size_t n, void (*add)(void *context, uint32_t a, uint32_t b),
                          void *context)
{
    const char *end = s + n;
    uint32_t a, b;

    for (;;) {
        int r = parse_element(&s, end, &a, &b);

        if (r < 0)
            return r;
        if (add != NULL)
            add(context, a, b);
        if (s == end)
            return 0;
        s++; /* the comma */
    }
}

int seqset_check(const char *s, size_t n)
{
    return parse_elements(s, n, NULL, NULL);
}

struct parsed {
    struct seqset_range *items;
    size_t count;
    uint32_t max;
};

static void collect(void *context, uint32_t a, uint32_t b)
{
    struct parsed *p = context;

    if ((a == 0 || b == 0) && p->max == 0)
        return;
    a = a == 0 ? p->max : a;
    b = b == 0 ? p->max : b;
    p->items[p->count++] = a <= b ? (struct seqset_range){a, b} : (struct seqset_range){b, a};
}

static int compare(const void *a, const void *b)
{
    const struct seqset_range *x = a, *y = b;

    return x->first < y->first ? -1 : x->first > y->first;
}

/* Sorted before they are added, so that a client's 10,000 scattered ranges cost n log n. */
int seqset_parse(struct seqset *set, const char *s, size_t n, uint32_t max)
{
    struct parsed p = {.max = max};
    size_t elements = 1;
    int r;

    for (size_t i = 0; i < n; i++)
        elements += s[i] == ',';
    p.items = xcalloc(elements, sizeof(*p.items));
    r = parse_elements(s, n, collect, &p);
    if (r == 0) {
        qsort(p.items, p.count, sizeof(*p.items), compare);
        for (size_t i = 0; i < p.count; i++)
            seqset_add_range(set, p.items[i].first, p.items[i].last);
    }
    free(p.items);
    return r;
}

/* ---- asking ---- */

bool seqset_contains(const struct seqset *set, uint32_t number)
{
    size_t i = find(set, number);

    return i < set->count && set->ranges[i].first <= number;
}

bool seqset_is_empty(const struct seqset *set)
{
    return set->count == 0;
}

uint64_t seqset_count(const struct seqset *set)
{
    uint64_t n = 0;

    for (size_t i = 0; i < set->count; i++)
        n += (uint64_t)set->ranges[i].last - set->ranges[i].first + 1;
    return n;
}

uint32_t seqset_min(const struct seqset *set)
{
    return set->count > 0 ? set->ranges[0].first : 0;
}

uint32_t seqset_max(const struct seqset *set)
{
    return set->count > 0 ? set->ranges[set->count - 1].last : 0;
}

void seqset_iter_init(struct seqset_iter *it, const struct seqset *set)
{
    *it = (struct seqset_iter){.set = set};
}

bool seqset_iter_next(struct seqset_iter *it, uint32_t *number_r)
{
    const struct seqset_range *r;

    if (it->range >= it->set->count)
        return false;
    r = &it->set->ranges[it->range];
    *number_r = it->next != 0 ? it->next : r->first;
    if (*number_r == r->last) {
        it->range++;
        it->next = 0;
    } else {
        it->next = *number_r + 1;
    }
    return true;
}

void seqset_print(const struct seqset *set, struct buf *to)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct seqset_range *r = &set->ranges[i];

        if (i > 0)
            buf_putc(to, ',');
        if (r->first == r->last)
            buf_printf(to, "%u", r->first);
        else
            buf_printf(to, "%u:%u", r->first, r->last);
    }
}
