/* seqset.h: sets of message numbers or UIDs (RFC 3501 section 9, sequence-set).
 *
 * Kept as ascending ranges that do not touch; memory comes from the pool given and grows with the number
 * of ranges, which the parser bounds by the length of its input. */
#ifndef LIB_IMAPWIRE_SEQSET_H
#define LIB_IMAPWIRE_SEQSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/pool.h"

struct seqset_range {
    uint32_t first, last;
};

struct seqset {
    struct pool *pool;
    struct seqset_range *ranges; /* ascending, disjoint, not adjacent */
    size_t count, cap;
};

void seqset_init(struct seqset *set, struct pool *pool);

/* Is it a sequence-set by its syntax?  ERR_SYNTAX if not (zero, overflow, empty element...). */
int seqset_check(const char *s, size_t n);

/* Adds what s[0..n) denotes; `*` is `max` (the highest number or UID there is).  A range with `*` always
 * holds `max`, whichever end it is ("559:*", RFC 3501 6.4.8); with max == 0 (nothing there) it denotes
 * nothing.  0, or ERR_SYNTAX (the set is then undefined). */
int seqset_parse(struct seqset *set, const char *s, size_t n, uint32_t max);

/* Adds a number, a range (first <= last), or another set. */
void seqset_add(struct seqset *set, uint32_t number);
void seqset_add_range(struct seqset *set, uint32_t first, uint32_t last);
void seqset_add_set(struct seqset *set, const struct seqset *other);

bool seqset_contains(const struct seqset *set, uint32_t number);
bool seqset_is_empty(const struct seqset *set);
/* How many numbers; the lowest and the highest (0 when empty). */
uint64_t seqset_count(const struct seqset *set);
uint32_t seqset_min(const struct seqset *set);
uint32_t seqset_max(const struct seqset *set);

/* The numbers in ascending order; false at the end. */
struct seqset_iter {
    const struct seqset *set;
    size_t range;
    uint32_t next; /* 0: begin the range */
};
void seqset_iter_init(struct seqset_iter *it, const struct seqset *set);
bool seqset_iter_next(struct seqset_iter *it, uint32_t *number_r);

/* Appends the set in its shortest form: "1:3,7". */
void seqset_print(const struct seqset *set, struct buf *to);

#endif
