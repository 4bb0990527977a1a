/* uidset.h: a set of UIDs as sorted ranges: what STORE, COPY, EXPUNGE work on, COPYUID tells and the
 * `seen` database keeps.
 *
 * Bounded by its number of ranges (UID_SET_RANGES_MAX).  One thread at a time. */
#ifndef IMAP_STORE_UIDSET_H
#define IMAP_STORE_UIDSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

enum { UID_SET_RANGES_MAX = 1000000 };

struct uid_range {
    uint32_t first, last; /* first <= last, both in the set */
};

/* Sorted, disjoint, not adjacent; UID 0 is never in a set. */
struct uid_set {
    struct uid_range *ranges;
    size_t count, room;
};

#define UID_SET_INIT                                                                                         \
    {                                                                                                        \
        NULL, 0, 0                                                                                           \
    }

void uid_set_free(struct uid_set *set);

/* Adds a range; cheap when ranges come in ascending order.  0; ERR_INVALID (0, or first > last);
 * ERR_LIMIT. */
int uid_set_add(struct uid_set *set, uint32_t first, uint32_t last);
/* Takes a range out.  0, ERR_INVALID, ERR_LIMIT. */
int uid_set_remove(struct uid_set *set, uint32_t first, uint32_t last);

bool uid_set_has(const struct uid_set *set, uint32_t uid);
/* How many UIDs. */
uint64_t uid_set_size(const struct uid_set *set);
/* 0 for an empty set. */
uint32_t uid_set_first(const struct uid_set *set);
uint32_t uid_set_last(const struct uid_set *set);

/* Appends `1:3,7,9:12` (RFC 3501 sequence-set; nothing for an empty set). */
void uid_set_format(const struct uid_set *set, struct buf *to);

/* The stored form: for each range two LEB128 numbers, the gap since the range before and its length
 * (doc/formats/seen.md).  Decoding replaces the set.  0 or ERR_CORRUPT (set empty then). */
void uid_set_encode(const struct uid_set *set, struct buf *to);
int uid_set_decode(struct uid_set *set, const void *data, size_t n);

#endif
