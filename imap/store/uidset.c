#include "imap/store/uidset.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"

void uid_set_free(struct uid_set *set)
{
    free(set->ranges);
    *set = (struct uid_set)UID_SET_INIT;
}

/* The first range that ends at or behind uid. */
static size_t find(const struct uid_set *set, uint32_t uid)
{
    size_t low = 0, high = set->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (set->ranges[mid].last < uid)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Replaces `gone` ranges at `at` by `n` others. */
static int splice(struct uid_set *set, size_t at, size_t gone, const struct uid_range *with, size_t n)
{
    if (set->count - gone + n > UID_SET_RANGES_MAX)
        return ERR_LIMIT;
    if (set->count - gone + n > set->room) {
        set->room = set->room * 2 + 4;
        set->ranges = xreallocarray(set->ranges, set->room, sizeof(*set->ranges));
    }
    if (n != gone)
        memmove(set->ranges + at + n, set->ranges + at + gone,
                (set->count - at - gone) * sizeof(*set->ranges));
    if (n > 0)
        memcpy(set->ranges + at, with, n * sizeof(*with));
    set->count = set->count - gone + n;
    return 0;
}

int uid_set_add(struct uid_set *set, uint32_t first, uint32_t last)
{
    struct uid_range r = {first, last};
    size_t at, end;

    if (first == 0 || first > last)
        return ERR_INVALID;
    if (set->count > 0 && set->ranges[set->count - 1].last == first - 1) {
        set->ranges[set->count - 1].last = last;
        return 0;
    }
    /* first - 1 and last + 1 make neighbours one range */
    at = find(set, first - 1);
    for (end = at; end < set->count; end++) {
        if (last != UINT32_MAX && set->ranges[end].first > last + 1)
            break;
    }
    if (at < end) {
        if (set->ranges[at].first < first)
            r.first = set->ranges[at].first;
        if (set->ranges[end - 1].last > last)
            r.last = set->ranges[end - 1].last;
    }
    return splice(set, at, end - at, &r, 1);
}

int uid_set_remove(struct uid_set *set, uint32_t first, uint32_t last)
{
    struct uid_range rest[2];
    size_t at, end, n = 0;

    if (first == 0 || first > last)
        return ERR_INVALID;
    at = find(set, first);
    for (end = at; end < set->count && set->ranges[end].first <= last; end++)
        ;
    if (at == end)
        return 0;
    if (set->ranges[at].first < first)
        rest[n++] = (struct uid_range){set->ranges[at].first, first - 1};
    if (set->ranges[end - 1].last > last)
        rest[n++] = (struct uid_range){last + 1, set->ranges[end - 1].last};
    return splice(set, at, end - at, rest, n);
}

bool uid_set_has(const struct uid_set *set, uint32_t uid)
{
    size_t at = find(set, uid);

    return at < set->count && set->ranges[at].first <= uid;
}

uint64_t uid_set_size(const struct uid_set *set)
{
    uint64_t n = 0;

    for (size_t i = 0; i < set->count; i++)
        n += (uint64_t)set->ranges[i].last - set->ranges[i].first + 1;
    return n;
}

uint32_t uid_set_first(const struct uid_set *set)
{
    return set->count == 0 ? 0 : set->ranges[0].first;
}

uint32_t uid_set_last(const struct uid_set *set)
{
    return set->count == 0 ? 0 : set->ranges[set->count - 1].last;
}

void uid_set_format(const struct uid_set *set, struct buf *to)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct uid_range *r = &set->ranges[i];

        if (i > 0)
            buf_putc(to, ',');
        buf_printf(to, "%" PRIu32, r->first);
        if (r->last != r->first)
            buf_printf(to, ":%" PRIu32, r->last);
    }
}

static void put_leb(struct buf *to, uint32_t v)
{
    for (; v >= 0x80; v >>= 7)
        buf_putc(to, (char)(v | 0x80));
    buf_putc(to, (char)v);
}

static int get_leb(const unsigned char **at, const unsigned char *end, uint32_t *value_r)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 35; shift += 7) {
        if (*at == end)
            return ERR_CORRUPT;
        v |= (uint64_t)(**at & 0x7f) << shift;
        if ((*(*at)++ & 0x80) == 0) {
            *value_r = (uint32_t)v;
            return v > UINT32_MAX ? ERR_CORRUPT : 0;
        }
    }
    return ERR_CORRUPT;
}

void uid_set_encode(const struct uid_set *set, struct buf *to)
{
    uint32_t before = 0;

    for (size_t i = 0; i < set->count; i++) {
        put_leb(to, set->ranges[i].first - before);
        put_leb(to, set->ranges[i].last - set->ranges[i].first);
        before = set->ranges[i].last;
    }
}

int uid_set_decode(struct uid_set *set, const void *data, size_t n)
{
    const unsigned char *at = data, *end = at + n;
    uint64_t before = 0;

    set->count = 0;
    while (at < end) {
        uint32_t gap, more;

        if (get_leb(&at, end, &gap) < 0 || get_leb(&at, end, &more) < 0)
            goto bad;
        /* in 64 bits: a sum beyond 32 is damage */
        if (gap == 0 || before + gap + more > UINT32_MAX)
            goto bad;
        if (uid_set_add(set, (uint32_t)(before + gap), (uint32_t)(before + gap + more)) < 0)
            goto bad;
        before += (uint64_t)gap + more;
    }
    return 0;

bad:
    set->count = 0;
    return ERR_CORRUPT;
}
