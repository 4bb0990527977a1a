/* message.c: what FETCH and SEARCH need of a message: cache entry first, the file if it must be. */
#include "imap/store/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "imap/store/mailbox-private.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

_Static_assert((int)CACHE_ITEMS == (int)CACHE_ENTRY_ITEMS, "items of the format");

struct message {
    struct mailbox *mailbox;
    struct mailbox_record record;
    uint32_t number;
    int fd;                     /* -1 until needed */
    const unsigned char *entry; /* verified; NULL until needed */
    size_t entry_len;
    struct message_batch *batch;     /* that it is of, or NULL */
    const unsigned char *read_ahead; /* by the batch, not verified yet */
    struct buf own;                  /* the entry, if not of a batch */
};

static void init(struct message *msg, struct mailbox *mailbox, uint32_t number,
                 const struct mailbox_record *record)
{
    msg->mailbox = mailbox;
    msg->number = number;
    msg->record = *record;
    msg->fd = -1;
}

static void deinit(struct message *msg)
{
    if (msg->fd >= 0)
        close(msg->fd);
    buf_free(&msg->own);
}

void message_open(struct mailbox *mailbox, uint32_t number, const struct mailbox_record *record,
                  struct message **message_r)
{
    *message_r = xcalloc(1, sizeof(**message_r));
    init(*message_r, mailbox, number, record);
}

void message_close(struct message **message)
{
    if (*message == NULL)
        return;
    deinit(*message);
    free(*message);
    *message = NULL;
}

/* ---- the cache entry ---- */

/* Puts a new entry into the cache if the lock is free: nobody waits for this. */
static void heal(struct message *msg)
{
    struct mailbox *m = msg->mailbox;
    struct mailbox_record record;

    if (m->lock != NULL || index_begin(m, 0) < 0)
        return;
    if (msg->number < m->next.records && mailbox_read_records(m, msg->number, 1, &record) == 0 &&
        record.uid == msg->record.uid && index_mark_dirty(m) == 0 &&
        cache_append(m, &msg->own, &record) == 0 && records_write(m, msg->number, 1, &record) == 0)
        (void)index_commit(m, false);
    index_end(m);
}

static int parse_file(struct message *msg)
{
    struct mailbox_record record;
    int r = message_file_examine(msg->mailbox, msg->record.uid, &record, &msg->own);

    if (r < 0)
        return r;
    msg->mailbox->store->cache_misses++;
    cache_stamp(&msg->own, msg->record.uid);
    heal(msg);
    return 0;
}

static void batch_read(struct message_batch *b);

static int load_entry(struct message *msg)
{
    int r;

    if (msg->entry != NULL)
        return 0;
    if (msg->batch != NULL)
        batch_read(msg->batch);
    if (msg->read_ahead != NULL &&
        cache_verify(msg->read_ahead, msg->record.cache_size, msg->record.uid) == 0) {
        msg->entry = msg->read_ahead;
        msg->entry_len = msg->record.cache_size;
        return 0;
    }
    r = cache_read(msg->mailbox, &msg->record, &msg->own);
    if (r < 0)
        r = parse_file(msg);
    if (r < 0)
        return r;
    msg->entry = (const unsigned char *)msg->own.data;
    msg->entry_len = msg->own.len;
    return 0;
}

int message_item(struct message *msg, enum cache_item item, const char **data_r, size_t *len_r)
{
    struct cache_head head;
    size_t at = CACHE_HEAD_SIZE;
    int r = load_entry(msg);

    BUG_ON(item >= CACHE_ITEMS);
    if (r < 0)
        return r;
    cache_head_decode(msg->entry, &head);
    for (unsigned i = 0; i < (unsigned)item; i++)
        at += head.item_size[i]; /* cache_verify() has checked the sum */
    *data_r = (const char *)msg->entry + at;
    *len_r = head.item_size[item];
    return 0;
}

int message_cache_flags(struct message *msg, uint32_t *flags_r)
{
    struct cache_head head;
    int r = load_entry(msg);

    if (r < 0)
        return r;
    cache_head_decode(msg->entry, &head);
    *flags_r = head.flags;
    return 0;
}

/* ---- the file ---- */

/* A file that was cut is found out before any of it is told. */
static int open_whole(const struct message *msg)
{
    int fd = message_file_open(msg->mailbox, msg->record.uid), r = 0;
    struct stat st;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) != 0)
        r = error_from_errno(errno);
    else if ((uint64_t)st.st_size != msg->record.size)
        r = ERR_CORRUPT;
    if (r < 0)
        close(fd);
    return r < 0 ? r : fd;
}

int message_fd(struct message *msg)
{
    if (msg->fd < 0) {
        int fd = open_whole(msg);

        if (fd < 0)
            return fd;
        msg->fd = fd;
    }
    return msg->fd;
}

void message_close_file(struct message *msg)
{
    if (msg->fd >= 0)
        close(msg->fd);
    msg->fd = -1;
}

int64_t message_read(struct message *msg, uint64_t offset, void *to, size_t n)
{
    int fd = message_fd(msg);

    if (fd < 0)
        return fd;
    if (offset >= INT64_MAX)
        return 0;
    return file_pread_some(fd, to, n, (int64_t)offset);
}

/* ---- batches ---- */

#define BATCH_BYTES (1024 * 1024) /* read ahead at most; what is beyond is read one by one */
#define BATCH_GAP   4096          /* bytes between two entries that are read along */

struct message_batch {
    uint32_t count, room;
    struct message *messages;
    bool is_read;     /* the cache, into */
    struct buf ahead; /* which never grows: messages point into it */
};

/* The messages from i on whose entries lie behind each other: how many, and the bytes from the first to the
 * end of the last.  0 messages: the entry of i is not read ahead. */
static uint32_t find_run(const struct message_batch *b, uint32_t i, size_t room, size_t *bytes_r)
{
    const struct mailbox_record *r = &b->messages[i].record;
    uint64_t begin = r->cache_offset, end = begin + r->cache_size;
    uint32_t n = 1;

    *bytes_r = 0;
    if (!cache_place_is_sane(r) || r->cache_size > room)
        return 0;
    while (i + n < b->count) {
        r = &b->messages[i + n].record;
        if (!cache_place_is_sane(r) || r->cache_offset < end || r->cache_offset - end > BATCH_GAP ||
            r->cache_offset + r->cache_size - begin > room)
            break;
        end = r->cache_offset + r->cache_size;
        n++;
    }
    *bytes_r = (size_t)(end - begin);
    return n;
}

/* Reads one run into what is reserved. */
static void read_run(struct message_batch *b, uint32_t i, uint32_t n, size_t bytes)
{
    unsigned char *to = (unsigned char *)b->ahead.data + b->ahead.len;
    uint64_t begin = b->messages[i].record.cache_offset;
    int64_t got = cache_read_range(b->messages[i].mailbox, begin, to, bytes);

    if (got < 0)
        return;
    buf_added(&b->ahead, (size_t)got);
    for (uint32_t k = i; k < i + n; k++) {
        uint64_t at = b->messages[k].record.cache_offset - begin;

        if (at + b->messages[k].record.cache_size <= (uint64_t)got)
            b->messages[k].read_ahead = to + at;
    }
}

/* Goes through the runs; reads them if `read`, else says how many bytes they are. */
static size_t each_run(struct message_batch *b, bool read)
{
    size_t total = 0, bytes;

    for (uint32_t i = 0, n; i<b->count; i += n> 0 ? n : 1) {
        n = find_run(b, i, BATCH_BYTES - total, &bytes);
        total += bytes;
        if (read && n > 0)
            read_run(b, i, n, bytes);
    }
    return total;
}

/* By the first message whose entry is asked for: much of what is fetched is not in the cache. */
static void batch_read(struct message_batch *b)
{
    if (b->is_read)
        return;
    b->is_read = true;
    buf_reset(&b->ahead);
    buf_reserve(&b->ahead, each_run(b, false));
    (void)each_run(b, true);
}

static void forget_messages(struct message_batch *b)
{
    for (uint32_t i = 0; i < b->count; i++)
        deinit(&b->messages[i]);
    b->count = 0;
}

void message_batch_refill(struct message_batch *b, struct mailbox *mailbox,
                          const struct mailbox_record *records, const uint32_t *numbers, uint32_t count)
{
    forget_messages(b);
    if (count > b->room) {
        b->messages = xreallocarray(b->messages, count, sizeof(*b->messages));
        b->room = count;
    }
    b->count = count;
    b->is_read = false;
    for (uint32_t i = 0; i < count; i++) {
        b->messages[i] = (struct message){.batch = b};
        init(&b->messages[i], mailbox, numbers[i], &records[i]);
    }
}

int message_batch_open(struct mailbox *mailbox, const struct mailbox_record *records, const uint32_t *numbers,
                       uint32_t count, struct message_batch **batch_r)
{
    struct message_batch *b = *batch_r = xcalloc(1, sizeof(*b));

    message_batch_refill(b, mailbox, records, numbers, count);
    return 0;
}

struct message *message_batch_get(struct message_batch *batch, uint32_t i)
{
    BUG_ON(i >= batch->count);
    return &batch->messages[i];
}

void message_batch_close(struct message_batch **batch)
{
    struct message_batch *b = *batch;

    if (b == NULL)
        return;
    forget_messages(b);
    free(b->messages);
    buf_free(&b->ahead);
    free(b);
    *batch = NULL;
}
