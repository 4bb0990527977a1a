#include "lib/base/stepsort.h"

#include <stdlib.h>

#include "lib/base/mem.h"

enum { RUN = 1024 /* items sorted at once */ };

void stepsort_begin(struct stepsort *s, stepsort_compare *compare, void *context)
{
    s->compare = compare;
    s->context = context;
    s->count = s->run = s->done = 0;
}

void stepsort_add(struct stepsort *s, uint32_t item)
{
    if (s->count == s->room) {
        s->room = s->room * 2 + 64;
        s->items = xreallocarray(s->items, s->room, sizeof(*s->items));
    }
    s->items[s->count++] = item;
}

static void sort_run(struct stepsort *s, size_t *left)
{
    size_t n = s->count - s->done < RUN ? s->count - s->done : RUN;

    qsort_r(s->items + s->done, n, sizeof(*s->items), s->compare, s->context);
    s->done += n;
    *left -= n < *left ? n : *left;
    if (s->done == s->count) {
        s->run = RUN;
        s->done = 0;
    }
}

/* Some of the two runs that the next item belongs to. */
static void merge_some(struct stepsort *s, size_t *left)
{
    size_t begin = s->done / (2 * s->run) * (2 * s->run);
    size_t middle = begin + s->run < s->count ? begin + s->run : s->count;
    size_t end = middle + s->run < s->count ? middle + s->run : s->count;

    if (s->done == begin) {
        s->left = begin;
        s->right = middle;
    }
    for (; s->done<end && * left> 0; --*left) {
        bool from_left =
            s->left < middle &&
            (s->right >= end || s->compare(&s->items[s->left], &s->items[s->right], s->context) <= 0);

        s->other[s->done++] = s->items[from_left ? s->left++ : s->right++];
    }
}

/* All runs are twice as long. */
static void end_pass(struct stepsort *s)
{
    uint32_t *items = s->items;
    size_t room = s->room;

    s->items = s->other;
    s->other = items;
    s->room = s->other_room;
    s->other_room = room;
    s->run *= 2;
    s->done = 0;
}

bool stepsort_step(struct stepsort *s, size_t *left)
{
    while (s->run < s->count) {
        if (*left == 0)
            return false;
        if (s->run == 0) {
            sort_run(s, left);
            continue;
        }
        if (s->other_room < s->count) {
            s->other_room = s->room;
            s->other = xreallocarray(s->other, s->other_room, sizeof(*s->other));
        }
        merge_some(s, left);
        if (s->done == s->count)
            end_pass(s);
    }
    return true;
}

void stepsort_free(struct stepsort *s)
{
    free(s->items);
    free(s->other);
    *s = (struct stepsort){0};
}
