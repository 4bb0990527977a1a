/* stepsort.h: sorts numbers (of rows, of nodes) in steps of bounded work, for those who must let others have their turn.
 * Memory: eight bytes an item.  Plain values: no thread's but the caller's. */
#ifndef LIB_BASE_STEPSORT_H
#define LIB_BASE_STEPSORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As qsort_r() takes it; a and b point to items. */
typedef int stepsort_compare(const void *a, const void *b, void *context);

/* All zero is one that is empty. */
struct stepsort {
    uint32_t *items; /* in order when stepsort_step() says so */
    size_t count;

    uint32_t *other; /* its own: runs of `run` items are in order, and are merged into the other */
    size_t room, other_room;
    size_t run, done;   /* done: items sorted or merged in this pass */
    size_t left, right; /* merging: the next of either run */
    stepsort_compare *compare;
    void *context;
};

/* Begins with nothing to sort; keeps the memory that there is. */
void stepsort_begin(struct stepsort *s, stepsort_compare *compare, void *context);
/* Adds an item; not once stepsort_step() has been called. */
void stepsort_add(struct stepsort *s, uint32_t item);

/* Does some work, and lowers *left by the items that were moved, a run's rest more at most.  True: all are in order.
 * Items that compare equal may change places. */
bool stepsort_step(struct stepsort *s, size_t *left);

void stepsort_free(struct stepsort *s);

#endif
