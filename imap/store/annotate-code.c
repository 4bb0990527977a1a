/* annotate-code.c: what a message has of annotations, as bytes (doc/formats/mailbox.md). */
#include <stdlib.h>
#include <string.h>

#include "imap/store/annotate-private.h"
#include "imap/store/le-private.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

enum { AT_MAGIC = 0, AT_SIZE = 4, AT_CRC = 8, AT_UID = 12, AT_VERSION = 16, AT_COUNT = 20 };

/* ---- to bytes ---- */

static void put_item(const struct annotate_item *item, struct buf *to)
{
    size_t owner = strlen(item->owner), entry = strlen(item->entry);
    unsigned char head[ANNOTATE_ITEM_HEAD];

    le_put64(head, item->modseq);
    le_put32(head + 8, item->value != NULL ? (uint32_t)item->len : ANNOTATE_REMOVED);
    le_put16(head + 12, (uint16_t)owner);
    le_put16(head + 14, (uint16_t)entry);
    buf_append(to, head, sizeof(head));
    buf_append(to, item->owner, owner);
    buf_append(to, item->entry, entry);
    if (item->value != NULL)
        buf_append(to, item->value, item->len);
}

void annotate_encode(const struct annotate_items *items, struct buf *to)
{
    static const unsigned char zero[ANNOTATE_HEAD_SIZE];
    unsigned char *head;

    if (items->count == 0)
        return;
    buf_append(to, zero, sizeof(zero));
    for (size_t i = 0; i < items->count; i++)
        put_item(&items->items[i], to);
    head = (unsigned char *)to->data;
    le_put32(head + AT_MAGIC, ANNOTATE_MAGIC);
    le_put32(head + AT_SIZE, (uint32_t)to->len);
    le_put32(head + AT_VERSION, ANNOTATE_VERSION);
    le_put32(head + AT_COUNT, (uint32_t)items->count);
}

void annotate_stamp(struct buf *bytes, uint32_t uid)
{
    unsigned char *head = (unsigned char *)bytes->data;

    le_put32(head + AT_UID, uid);
    le_put32(head + AT_CRC, digest_crc32c(head + AT_UID, bytes->len - AT_UID));
}

/* ---- from bytes ---- */

int annotate_verify(const unsigned char *bytes, size_t n, uint32_t uid)
{
    if (n < ANNOTATE_HEAD_SIZE || n > ANNOTATE_MESSAGE_MAX || le_get32(bytes + AT_MAGIC) != ANNOTATE_MAGIC ||
        le_get32(bytes + AT_SIZE) != n || le_get32(bytes + AT_VERSION) != ANNOTATE_VERSION ||
        (uid != 0 && le_get32(bytes + AT_UID) != uid) ||
        le_get32(bytes + AT_CRC) != digest_crc32c(bytes + AT_UID, n - AT_UID))
        return ERR_CORRUPT;
    return 0;
}

/* It may have NULs; one more stands behind it. */
static const char *copy_value(struct pool *pool, const unsigned char *s, size_t n)
{
    char *copy = pool_alloc(pool, n + 1);

    memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

/* Reads an item; steps over it. */
static int take_item(const unsigned char **at, const unsigned char *end, struct pool *pool,
                     struct annotate_item *item)
{
    const unsigned char *s = *at;
    size_t value, owner, entry, left = (size_t)(end - s);
    bool removed;

    if (left < ANNOTATE_ITEM_HEAD)
        return ERR_CORRUPT;
    item->modseq = le_get64(s);
    removed = le_get32(s + 8) == ANNOTATE_REMOVED;
    value = removed ? 0 : le_get32(s + 8);
    owner = le_get16(s + 12);
    entry = le_get16(s + 14);
    left -= ANNOTATE_ITEM_HEAD;
    s += ANNOTATE_ITEM_HEAD;
    if (value > left || owner + entry > left - value)
        return ERR_CORRUPT;
    item->owner = pool_strndup(pool, (const char *)s, owner);
    item->entry = pool_strndup(pool, (const char *)s + owner, entry);
    item->value = removed ? NULL : copy_value(pool, s + owner + entry, value);
    item->len = value;
    *at = s + owner + entry + value;
    return 0;
}

int annotate_decode(const unsigned char *bytes, size_t n, struct pool *pool, struct annotate_items *items_r)
{
    const unsigned char *at = bytes + ANNOTATE_HEAD_SIZE, *end = bytes + n;
    size_t count = le_get32(bytes + AT_COUNT);

    *items_r = (struct annotate_items){0};
    if (count > n / ANNOTATE_ITEM_HEAD)
        return ERR_CORRUPT;
    items_r->items = pool_alloc(pool, (count + 1) * sizeof(*items_r->items));
    for (; items_r->count < count; items_r->count++)
        if (take_item(&at, end, pool, &items_r->items[items_r->count]) < 0)
            return ERR_CORRUPT;
    return at == end ? 0 : ERR_CORRUPT;
}

/* ---- changes ---- */

static int compare(const struct annotate_item *item, const char *owner, const char *entry)
{
    int order = strcmp(item->entry, entry);

    return order != 0 ? order : strcmp(item->owner, owner);
}

/* Where it is, or where it belongs; true: it is there. */
static bool place_of(const struct annotate_items *items, const char *owner, const char *entry,
                     size_t *place_r)
{
    size_t i = 0;
    int order = 1;

    while (i < items->count && (order = compare(&items->items[i], owner, entry)) < 0)
        i++;
    *place_r = i;
    return i < items->count && order == 0;
}

const struct annotate_item *annotate_find(const struct annotate_items *items, const char *owner,
                                          const char *entry)
{
    size_t i;

    return place_of(items, owner, entry, &i) && items->items[i].value != NULL ? &items->items[i] : NULL;
}

static bool is_same(const struct annotate_item *item, const struct annotate_change *change)
{
    if (item->value == NULL || change->value == NULL)
        return item->value == NULL && change->value == NULL;
    return item->len == change->len && memcmp(item->value, change->value, item->len) == 0;
}

/* The array has room. */
static bool apply(struct annotate_items *items, const struct annotate_change *change, uint64_t modseq)
{
    size_t i;
    bool there = place_of(items, change->owner, change->entry, &i);

    if (there ? is_same(&items->items[i], change) : change->value == NULL)
        return false;
    if (!there) {
        memmove(&items->items[i + 1], &items->items[i], (items->count - i) * sizeof(*items->items));
        items->count++;
    }
    items->items[i] =
        (struct annotate_item){change->owner, change->entry, change->value, change->len, modseq};
    return true;
}

/* Of what was removed only the latest is remembered. */
static void forget_removed(struct annotate_items *items)
{
    for (;;) {
        size_t removed = 0, oldest = 0;

        for (size_t i = 0; i < items->count; i++) {
            if (items->items[i].value != NULL)
                continue;
            if (removed == 0 || items->items[i].modseq < items->items[oldest].modseq)
                oldest = i;
            removed++;
        }
        if (removed <= ANNOTATE_GONE_MAX)
            return;
        items->count--;
        memmove(&items->items[oldest], &items->items[oldest + 1],
                (items->count - oldest) * sizeof(*items->items));
    }
}

bool annotate_apply(struct annotate_items *items, const struct annotate_change *changes, size_t count,
                    uint64_t modseq, struct pool *pool)
{
    struct annotate_item *old = items->items;
    bool changed = false;

    items->items = pool_alloc(pool, (items->count + count + 1) * sizeof(*old));
    if (items->count > 0)
        memcpy(items->items, old, items->count * sizeof(*old));
    for (size_t i = 0; i < count; i++)
        changed |= apply(items, &changes[i], modseq);
    forget_removed(items);
    return changed;
}

/* Owners do not stand together: there are few items. */
static size_t count_of(const struct annotate_items *items, const char *owner)
{
    size_t n = 0;

    for (size_t i = 0; i < items->count; i++)
        n += items->items[i].value != NULL && strcmp(items->items[i].owner, owner) == 0;
    return n;
}

int annotate_judge(const struct annotate_items *items)
{
    uint64_t size = ANNOTATE_HEAD_SIZE;

    for (size_t i = 0; i < items->count; i++) {
        const struct annotate_item *item = &items->items[i];

        size += ANNOTATE_ITEM_HEAD + strlen(item->owner) + strlen(item->entry) + item->len;
        if (size > ANNOTATE_MESSAGE_MAX || count_of(items, item->owner) > ANNOTATE_ENTRIES_MAX)
            return ERR_LIMIT;
    }
    return 0;
}

int annotate_check(const struct annotate_change *changes, size_t count)
{
    struct annotate_items items = {0};
    struct pool *pool = pool_new(0);
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++)
        if (changes[i].value != NULL && changes[i].len > ANNOTATE_VALUE_MAX)
            r = ERR_TOOBIG;
    if (r == 0) {
        annotate_apply(&items, changes, count, 1, pool);
        r = annotate_judge(&items);
    }
    pool_free(&pool);
    return r;
}
