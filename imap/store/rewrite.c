/* rewrite.c: a new index and cache, built beside the old ones and renamed into their place: what
 * compaction and reconstruction share. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "imap/store/annotate-private.h"
#include "imap/store/le-private.h"
#include "imap/store/mailbox-private.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

#define NEW_INDEX   "index.new"
#define CACHE_CHUNK (256 * 1024)

/* The names of user flags are taken along: slots keep their numbers. */
static int copy_flag_names(int from, int to)
{
    unsigned char raw[USER_FLAGS_MAX * INDEX_FLAG_NAME_SIZE];
    ssize_t n = file_pread_some(from, raw, sizeof(raw), INDEX_FLAG_NAMES_AT);

    if (n < 0)
        return (int)n;
    return file_pwrite(to, raw, (size_t)n, INDEX_FLAG_NAMES_AT);
}

int rewrite_begin(struct mailbox *m, bool apart, struct rewriter *w)
{
    int dir = mailbox_place_fd(m, apart), r;

    BUG_ON(m->lock == NULL);
    memset(w, 0, sizeof(*w));
    w->m = m;
    w->apart = apart;
    w->dir = dir;
    w->fd = w->cache_fd = w->annotate_fd = -1;
    w->header = m->next;
    w->header.cache_generation++;
    w->header.records = w->header.replaced = 0;
    totals_clear(&w->header);
    w->cache_at = CACHE_FILE_HEAD;
    if (dir < 0)
        return dir;
    if (unlinkat(dir, NEW_INDEX, 0) != 0 && errno != ENOENT)
        return error_from_errno(errno);
    w->fd = openat(dir, NEW_INDEX, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (w->fd < 0)
        return error_from_errno(errno);
    r = lock_acquire(w->fd, LOCK_EXCLUSIVE, 0, &w->lock);
    if (r == 0) /* of one that was killed */
        r = annotate_unlink(dir, w->header.cache_generation);
    if (r == 0)
        r = cache_create(dir, w->header.cache_generation);
    if (r >= 0) {
        w->cache_fd = r;
        r = copy_flag_names(m->fd, w->fd);
    }
    if (r < 0)
        rewrite_abort(w);
    return r;
}

static int flush_cache(struct rewriter *w)
{
    int r = file_pwrite(w->cache_fd, w->cache.data, w->cache.len, (int64_t)w->cache_at);

    w->cache_at += w->cache.len;
    buf_reset(&w->cache);
    return r;
}

static int flush_annotations(struct rewriter *w)
{
    int r = 0;

    if (w->annotations.len > 0)
        r = file_pwrite(w->annotate_fd, w->annotations.data, w->annotations.len, (int64_t)w->annotate_at);
    w->annotate_at += w->annotations.len;
    buf_reset(&w->annotations);
    return r;
}

static int begin_annotations(struct rewriter *w)
{
    w->annotate_fd = annotate_create(w->dir, w->header.cache_generation);
    w->annotate_at = ANNOTATE_FILE_HEAD;
    return w->annotate_fd < 0 ? w->annotate_fd : 0;
}

/* Takes what a message has along.  What is damaged is lost. */
static int copy_annotations(struct rewriter *w, struct mailbox_record *record)
{
    size_t before = w->annotations.len;
    int r = annotate_read_raw(w->m, record, &w->annotations);

    record->annotation_offset = record->annotation_size = 0;
    if (r < 0 || w->annotations.len == before)
        return r == ERR_CORRUPT ? 0 : r;
    if (w->annotate_fd < 0)
        r = begin_annotations(w);
    if (r < 0)
        return r;
    record->annotation_offset = w->annotate_at + before;
    record->annotation_size = (uint32_t)(w->annotations.len - before);
    return w->annotations.len > CACHE_CHUNK ? flush_annotations(w) : 0;
}

static int flush_records(struct rewriter *w)
{
    unsigned char raw[RECORD_BATCH * INDEX_RECORD_SIZE];
    int64_t at = INDEX_RECORDS_AT + (int64_t)(w->header.records - w->in_batch) * INDEX_RECORD_SIZE;

    for (uint32_t i = 0; i < w->in_batch; i++)
        record_encode(raw + i * INDEX_RECORD_SIZE, &w->batch[i]);
    at = file_pwrite(w->fd, raw, (size_t)w->in_batch * INDEX_RECORD_SIZE, at);
    w->in_batch = 0;
    return (int)at;
}

int rewrite_add(struct rewriter *w, struct mailbox_record *record, struct buf *entry)
{
    uint32_t number = w->header.records;
    int r = 0;

    record->cache_offset = record->cache_size = 0;
    if (entry != NULL && entry->len > 0) {
        cache_stamp(entry, record->uid);
        record->cache_offset = w->cache_at + w->cache.len;
        record->cache_size = (uint32_t)entry->len;
        buf_append(&w->cache, entry->data, entry->len);
        if (w->cache.len > CACHE_CHUNK)
            r = flush_cache(w);
    }
    if (r == 0)
        r = copy_annotations(w, record);
    if (record->system & RECORD_EXPUNGED)
        totals_add_expunged(&w->header, record, number);
    else
        totals_add(&w->header, record, number);
    w->batch[w->in_batch++] = *record;
    w->header.records++;
    if (r == 0 && w->in_batch == RECORD_BATCH)
        r = flush_records(w);
    return r;
}

static int write_headers(struct rewriter *w)
{
    unsigned char raw[INDEX_HEADERS_SIZE] = {0};
    struct mailbox_header *h = &w->header;

    memcpy(h->boot_id, w->m->store->boot_id, BOOT_ID_SIZE);
    h->dirty = 0;
    h->change_time_ns = (uint64_t)clock_wall_ns();
    ring_clear(h);
    h->generation = w->m->generation + 1;
    header_encode(raw + INDEX_HEADER_B, h);
    h->generation++;
    header_encode(raw, h);
    le_put64(raw + INDEX_SYNCED_AT, h->generation);
    return file_pwrite(w->fd, raw, sizeof(raw), 0);
}

/* The one beside the messages is the mailbox for as long as it is there; one on the metapartition is not any more. */
static int leave_place(struct rewriter *w)
{
    int old = mailbox_metadata_fd(w->m), r;

    if (old < 0)
        return old;
    if (unlinkat(old, "index", 0) != 0 && w->apart) {
        r = error_from_errno(errno);
        (void)unlinkat(w->dir, "index", 0);
        return r;
    }
    return store_sync_dir(w->m->store, old);
}

/* From here on the new index is the mailbox. */
static int put_in_place(struct rewriter *w)
{
    int r;

    if (renameat(w->dir, NEW_INDEX, w->dir, "index") != 0)
        return error_from_errno(errno);
    r = store_sync_dir(w->m->store, w->dir);
    return r == 0 && w->apart != w->m->apart ? leave_place(w) : r;
}

static void adopt(struct rewriter *w)
{
    struct mailbox *m = w->m;
    int dir = mailbox_metadata_fd(m);

    (void)cache_unlink(dir, m->next.cache_generation);
    (void)cache_unlink(dir, m->next.cache_generation - 1); /* of one that was killed right here */
    (void)annotate_unlink(dir, m->next.cache_generation);
    (void)annotate_unlink(dir, m->next.cache_generation - 1);
    index_end(m);
    lock_release(&w->lock);
    close(m->fd);
    if (m->cache_fd >= 0)
        close(m->cache_fd);
    if (m->annotate_fd >= 0)
        close(m->annotate_fd);
    m->fd = w->fd;
    m->annotate_fd = w->annotate_fd;
    m->annotate_generation = w->header.cache_generation;
    m->cache_fd = w->cache_fd;
    m->cache_generation = w->header.cache_generation;
    m->apart = w->apart;
    m->header = w->header;
    m->incarnation++;
    buf_free(&w->cache);
    buf_free(&w->annotations);
}

int rewrite_finish(struct rewriter *w)
{
    int r = flush_records(w);

    if (r == 0)
        r = flush_cache(w);
    if (r == 0)
        r = flush_annotations(w);
    if (r == 0)
        r = write_headers(w);
    if (r == 0 && ftruncate(w->fd, INDEX_RECORDS_AT + (int64_t)w->header.records * INDEX_RECORD_SIZE) != 0)
        r = error_from_errno(errno);
    if (r == 0)
        r = store_sync_file(w->m->store, w->cache_fd);
    if (r == 0 && w->annotate_fd >= 0)
        r = store_sync_file(w->m->store, w->annotate_fd);
    if (r == 0)
        r = store_sync_file(w->m->store, w->fd);
    if (r == 0)
        r = put_in_place(w);
    if (r < 0) {
        rewrite_abort(w);
        index_end(w->m);
        return r;
    }
    adopt(w);
    return 0;
}

void rewrite_abort(struct rewriter *w)
{
    lock_release(&w->lock);
    if (w->fd >= 0)
        close(w->fd);
    if (w->cache_fd >= 0)
        close(w->cache_fd);
    if (w->annotate_fd >= 0)
        close(w->annotate_fd);
    w->fd = w->cache_fd = w->annotate_fd = -1;
    if (w->dir >= 0) {
        (void)unlinkat(w->dir, NEW_INDEX, 0);
        (void)cache_unlink(w->dir, w->header.cache_generation);
        (void)annotate_unlink(w->dir, w->header.cache_generation);
    }
    buf_free(&w->cache);
    buf_free(&w->annotations);
}
