/* search-return.c: what the return options of SEARCH and SORT give, `$`, and the ESEARCH response. */
#include <string.h>

#include "imap/local/search.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/stream/stream.h"

enum {
    SAVED_RANGES_MAX = 65536, /* of `$`: half a megabyte of a session */
    RANGES_BATCH = 2048       /* written at once */
};

/* ---- parts of the result ---- */

int search_slice(const struct search_return *ret, const struct uid_set *hits, struct uid_set *slice_r)
{
    uint64_t size = uid_set_size(hits), first = ret->first, last = ret->last, rank = 0;
    int r = 0;

    *slice_r = (struct uid_set)UID_SET_INIT;
    if (ret->from_end && first > size)
        return 0;
    if (ret->from_end) {
        last = size - ret->first + 1;
        first = ret->last < size ? size - ret->last + 1 : 1;
    }
    for (size_t i = 0; r == 0 && i < hits->count && rank < last; i++) {
        const struct uid_range *range = &hits->ranges[i];
        uint64_t n = (uint64_t)range->last - range->first + 1;
        uint64_t from = first > rank ? first - rank - 1 : 0, to = last - rank < n ? last - rank : n;

        if (from < to)
            r = uid_set_add(slice_r, range->first + (uint32_t)from, range->first + (uint32_t)to - 1);
        rank += n;
    }
    return r;
}

static int add_set(struct uid_set *to, const struct uid_set *from)
{
    int r = from->count > SAVED_RANGES_MAX ? ERR_LIMIT : 0;

    for (size_t i = 0; r == 0 && i < from->count; i++)
        r = uid_set_add(to, from->ranges[i].first, from->ranges[i].last);
    return r;
}

static int add_one(struct uid_set *to, uint32_t uid)
{
    return uid != 0 ? uid_set_add(to, uid, uid) : 0;
}

/* What of the hits `$` becomes. */
static int collect_saved(struct uid_set *to, const struct search_return *ret, const struct uid_set *uids)
{
    struct uid_set slice;
    int r = 0;

    if ((ret->options & (RETURN_MIN | RETURN_MAX | RETURN_PARTIAL)) == 0 ||
        (ret->options & (RETURN_ALL | RETURN_COUNT)) != 0)
        return add_set(to, uids);
    if ((ret->options & RETURN_PARTIAL) != 0) {
        r = search_slice(ret, uids, &slice);
        if (r == 0)
            r = add_set(to, &slice);
        uid_set_free(&slice);
    }
    if (r == 0 && (ret->options & RETURN_MIN) != 0)
        r = add_one(to, uid_set_first(uids));
    if (r == 0 && (ret->options & RETURN_MAX) != 0)
        r = add_one(to, uid_set_last(uids));
    return r;
}

int search_save(struct local_leg *l, const struct search_return *ret, const struct uid_set *uids)
{
    int r;

    uid_set_free(&l->saved);
    r = collect_saved(&l->saved, ret, uids);
    if (r < 0)
        uid_set_free(&l->saved);
    return r;
}

/* ---- the response ---- */

static void put_partial(struct buf *to, const struct search_return *ret)
{
    const char *sign = ret->from_end ? "-" : "";

    buf_printf(to, " PARTIAL (%s%u:%s%u ", sign, ret->asked, sign, ret->asked_to);
}

static void put_numbers(struct buf *to, const struct search_return *ret, const struct uid_set *hits)
{
    uint64_t count = uid_set_size(hits);

    if ((ret->options & RETURN_MIN) != 0 && count > 0)
        buf_printf(to, " MIN %u", uid_set_first(hits));
    if ((ret->options & RETURN_MAX) != 0 && count > 0)
        buf_printf(to, " MAX %u", uid_set_last(hits));
    if ((ret->options & RETURN_COUNT) != 0)
        buf_printf(to, " COUNT %llu", (unsigned long long)count);
}

int search_answer_begin(struct search_answer *a, const struct search_return *ret, const char *tag,
                        const char *correlator, bool uid, const struct uid_set *hits)
{
    int r = 0;

    *a = (struct search_answer){.tail = ""};
    buf_printf(&a->head, "* ESEARCH (TAG \"%s\"%s)%s", tag, correlator, uid ? " UID" : "");
    put_numbers(&a->head, ret, hits);
    if ((ret->options & RETURN_PARTIAL) != 0) {
        r = search_slice(ret, hits, &a->slice);
        put_partial(&a->head, ret);
        a->set = &a->slice;
        a->tail = a->slice.count > 0 ? ")" : "NIL)";
    } else if ((ret->options & RETURN_ALL) != 0 && hits->count > 0) {
        buf_puts(&a->head, " ALL ");
        a->set = hits;
    }
    return r;
}

static void put_range(struct buf *to, const struct uid_range *range)
{
    buf_printf(to, range->first == range->last ? "%u" : "%u:%u", range->first, range->last);
}

bool search_answer_write(struct search_answer *a, struct stream *out)
{
    size_t end = a->set != NULL ? a->set->count : 0;

    for (size_t n = 0; n < RANGES_BATCH && a->range < end; n++, a->range++) {
        if (a->range > 0)
            buf_putc(&a->head, ',');
        put_range(&a->head, &a->set->ranges[a->range]);
    }
    if (a->range == end)
        buf_printf(&a->head, "%s\r\n", a->tail);
    stream_write(out, a->head.data, a->head.len);
    buf_reset(&a->head);
    return a->range < end;
}

void search_answer_free(struct search_answer *a)
{
    buf_free(&a->head);
    uid_set_free(&a->slice);
}
