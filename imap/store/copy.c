/* copy.c: COPY: links within a partition, copies between two. */
#include "imap/store/copy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "imap/store/annotate-private.h"
#include "imap/store/arrive-private.h"
#include "imap/store/seen.h"
#include "imap/store/stage-private.h"
#include "imap/store/view-private.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

struct copying {
    struct view *from;
    struct mailbox *source; /* a handle of its own: `from` may be of the same mailbox as the destination */
    const struct copy_options *options;
    struct mailbox_record *records; /* of the source, with the reader's \Seen */
    size_t count, room;
    uint64_t bytes;
    const char *source_names[USER_FLAGS_MAX];
    int slots[USER_FLAGS_MAX]; /* of the destination; -1: not asked for yet */
    bool linked;               /* some message was linked: the directory must be synced */
};

void copy_result_free(struct copy_result *result)
{
    uid_set_free(&result->source);
    uid_set_free(&result->destination);
}

/* ---- what is copied ---- */

static void take(struct copying *c, const struct mailbox_record *record)
{
    if (c->count == c->room) {
        c->room = c->room * 2 + 16;
        c->records = xreallocarray(c->records, c->room, sizeof(*c->records));
    }
    c->records[c->count++] = *record;
    c->bytes += record->size;
}

static int gather_range(struct copying *c, const struct uid_range *range)
{
    struct view_message batch[RECORD_BATCH];
    uint32_t low, high, got;
    int r = view_uids_to_seqs(c->from, range->first, range->last, &low, &high);

    for (; r == 0 && low != 0 && low <= high; low += got) {
        uint32_t want = high - low + 1;

        r = view_read(c->from, low, want < RECORD_BATCH ? want : RECORD_BATCH, batch, &got);
        if (r < 0 || got == 0)
            break;
        for (uint32_t i = 0; i < got; i++) {
            if (batch[i].record.system & RECORD_UNLINKED)
                return ERR_EXPUNGED;
            take(c, &batch[i].record);
        }
    }
    return r;
}

static int gather(struct copying *c, const struct uid_set *uids)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < uids->count; i++)
        r = gather_range(c, &uids->ranges[i]);
    if (r == 0)
        r = mailbox_open(c->from->store, c->from->partition, c->from->id, &c->source);
    if (r == 0)
        r = mailbox_flag_names(c->source, c->source_names);
    return r;
}

/* ---- the arrivals ---- */

/* Another file system, or too many links: a file of its own. */
static int copy_file(struct copying *c, uint32_t from_uid, struct mailbox *m, uint32_t uid)
{
    int dir = mailbox_dir_fd(m), from, fd, r;

    if (dir < 0)
        return dir;
    from = message_file_open(c->source, from_uid);
    if (from < 0)
        return from;
    fd = stage_copy_file(from, dir);
    close(from);
    if (fd < 0)
        return fd;
    r = message_file_link(m, uid, fd);
    if (r == 0)
        r = store_sync_file(m->store, fd);
    if (r < 0)
        message_file_unlink(m, uid);
    close(fd);
    return r;
}

/* An orphan in the way (arrive.h) is replaced. */
static int link_once_more(int source, const char *from, int dir, const char *to)
{
    if (linkat(source, from, dir, to, 0) == 0)
        return 0;
    if (errno != EEXIST)
        return errno;
    if (unlinkat(dir, to, 0) != 0 && errno != ENOENT)
        return errno;
    return linkat(source, from, dir, to, 0) == 0 ? 0 : errno;
}

static int copy_link(struct arrivals *a, size_t i, struct mailbox *m, uint32_t uid)
{
    struct copying *c = a->context;
    char from[MESSAGE_NAME_SIZE], to[MESSAGE_NAME_SIZE];
    int source = mailbox_dir_fd(c->source), dir = mailbox_dir_fd(m), e;

    if (source < 0 || dir < 0)
        return source < 0 ? source : dir;
    if (strcmp(c->source->partition, m->partition) != 0)
        return copy_file(c, c->records[i].uid, m, uid);
    message_name(from, c->records[i].uid);
    message_name(to, uid);
    e = link_once_more(source, from, dir, to);
    if (e == EXDEV || e == EMLINK)
        return copy_file(c, c->records[i].uid, m, uid);
    if (e == ENOENT)
        return ERR_EXPUNGED;
    c->linked |= e == 0;
    return e == 0 ? 0 : error_from_errno(e);
}

static int copy_sync(struct arrivals *a, struct mailbox *m)
{
    struct copying *c = a->context;
    int dir = mailbox_dir_fd(m);

    if (dir < 0)
        return dir;
    return c->linked ? store_sync_dir(m->store, dir) : 0;
}

/* The slot of a source's keyword in the destination. */
static int map_keyword(struct copying *c, struct mailbox *m, unsigned n)
{
    if (c->slots[n] < 0 && c->source_names[n] != NULL)
        c->slots[n] = index_flag_slot(m, c->source_names[n]);
    return c->slots[n];
}

static int copy_keywords(struct copying *c, struct mailbox *m, const struct mailbox_record *from,
                         struct mailbox_record *to)
{
    for (unsigned n = 0; n < USER_FLAGS_MAX; n++) {
        int slot;

        if (!record_has_user_flag(from, n) || c->source_names[n] == NULL)
            continue;
        slot = map_keyword(c, m, n);
        if (slot < 0)
            return slot;
        to->user[slot / 8] |= (unsigned char)(1u << (slot % 8));
    }
    return 0;
}

static uint32_t kept_flags(const struct copy_options *o)
{
    uint32_t flags = 0;

    if (o->may_seen && (o->reader == NULL || o->reader->userid == NULL))
        flags |= RECORD_SEEN;
    if (o->may_deleted)
        flags |= RECORD_DELETED;
    if (o->may_flags)
        flags |= RECORD_ANSWERED | RECORD_FLAGGED | RECORD_DRAFT;
    return flags;
}

static int copy_fill(struct arrivals *a, size_t i, struct mailbox *m, struct mailbox_record *to)
{
    struct copying *c = a->context;
    const struct mailbox_record *from = &c->records[i];

    record_copy_message(to, from);
    to->system = from->system & kept_flags(c->options);
    return c->options->may_flags ? copy_keywords(c, m, from, to) : 0;
}

static void copy_entry(struct arrivals *a, size_t i, struct mailbox *m, struct buf *to)
{
    struct copying *c = a->context;

    (void)m;
    if (cache_read(c->source, &c->records[i], to) < 0)
        buf_reset(to); /* made anew when it is asked for */
}

/* RFC 5257 section 4.6: the shared ones, and the user's own.  What is damaged at the source is lost. */
static int copy_annotations(struct arrivals *a, size_t i, struct buf *to)
{
    struct copying *c = a->context;
    struct annotate_items items;
    struct pool *pool;
    size_t kept = 0;
    int r;

    if (c->records[i].annotation_size == 0)
        return 0;
    pool = pool_new(0);
    r = annotate_read(c->source, &c->records[i], pool, &items);
    for (size_t k = 0; r == 0 && k < items.count; k++) {
        struct annotate_item *item = &items.items[k];
        bool keeps = *item->owner == '\0'
                         ? c->options->may_annotate
                         : c->options->annotator != NULL && strcmp(item->owner, c->options->annotator) == 0;

        if (!keeps || item->value == NULL)
            continue;
        item->modseq = a->modseq;
        items.items[kept++] = *item;
    }
    items.count = kept;
    if (r == 0)
        annotate_encode(&items, to);
    pool_free(&pool);
    return r == ERR_CORRUPT ? 0 : r;
}

static bool has_annotations(const struct copying *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->records[i].annotation_size != 0)
            return true;
    return false;
}

/* ---- the whole ---- */

static int tell(const struct copying *c, const struct arrivals *a, struct copy_result *result)
{
    int r = 0;

    result->uidvalidity = a->uidvalidity;
    result->modseq = a->modseq;
    for (size_t i = 0; r == 0 && i < c->count; i++)
        r = uid_set_add(&result->source, c->records[i].uid, c->records[i].uid);
    if (r == 0)
        r = uid_set_add(&result->destination, a->first_uid, a->first_uid + (uint32_t)c->count - 1);
    return r;
}

/* A private reader's \Seen goes along. */
static void write_seen(const struct copying *c, const struct arrivals *a, struct mailbox *to)
{
    struct uid_set seen = UID_SET_INIT;

    for (size_t i = 0; i < c->count; i++) {
        if (c->records[i].system & RECORD_SEEN)
            (void)uid_set_add(&seen, a->first_uid + (uint32_t)i, a->first_uid + (uint32_t)i);
    }
    if (seen.count > 0)
        (void)seen_change(to->store, to->id, c->options->reader->userid, &seen, NULL, 0);
    uid_set_free(&seen);
}

static int copy(struct copying *c, const struct uid_set *uids, struct mailbox *to, struct copy_result *result)
{
    struct arrivals a = {
        .quota = c->options->quota,
        .link = copy_link,
        .sync = copy_sync,
        .fill = copy_fill,
        .entry = copy_entry,
        .context = c,
    };
    int r = gather(c, uids);

    if (r < 0)
        return r;
    a.count = c->count;
    a.bytes = c->bytes;
    a.annotate = has_annotations(c) ? copy_annotations : NULL;
    result->uidvalidity = to->header.uidvalidity;
    if (c->count == 0)
        return 0;
    r = arrive(to, &a);
    if (r == 0)
        r = tell(c, &a, result);
    if (r == 0 && c->options->may_seen && c->options->reader != NULL && c->options->reader->userid != NULL)
        write_seen(c, &a, to);
    return r;
}

int copy_messages(struct view *from, const struct uid_set *uids, struct mailbox *to,
                  const struct copy_options *options, struct copy_result *result_r)
{
    struct copying c = {.from = from, .options = options};
    int r;

    for (unsigned n = 0; n < USER_FLAGS_MAX; n++)
        c.slots[n] = -1;
    memset(result_r, 0, sizeof(*result_r));
    r = copy(&c, uids, to, result_r);
    if (r < 0)
        copy_result_free(result_r);
    mailbox_close(&c.source);
    free(c.records);
    return r;
}
