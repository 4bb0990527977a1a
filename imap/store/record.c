/* record.c: records of the index: verified reads without a lock, totals, the ring of changes. */
#include "imap/store/record.h"

#include <sched.h>
#include <string.h>

#include "imap/store/mailbox-private.h"
#include "imap/store/recover.h"
#include "imap/store/replace-private.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

static int64_t record_at(uint32_t number)
{
    return INDEX_RECORDS_AT + (int64_t)number * INDEX_RECORD_SIZE;
}

int records_read_raw(int fd, uint32_t first, uint32_t count, struct mailbox_record *records, uint64_t *bad_r,
                     uint64_t *bad_fixed_r)
{
    unsigned char raw[RECORD_BATCH * INDEX_RECORD_SIZE];
    uint64_t bad = 0, bad_fixed = 0;
    ssize_t got;
    int n;

    BUG_ON(count > RECORD_BATCH);
    got = file_pread_some(fd, raw, (size_t)count * INDEX_RECORD_SIZE, record_at(first));
    if (got < 0)
        return (int)got;
    n = (int)(got / INDEX_RECORD_SIZE);
    for (int i = 0; i < n; i++) {
        if (record_decode(raw + i * INDEX_RECORD_SIZE, &records[i]) == 0)
            continue;
        bad |= UINT64_C(1) << i;
        if (!record_fixed_is_whole(raw + i * INDEX_RECORD_SIZE))
            bad_fixed |= UINT64_C(1) << i;
    }
    if (bad_r != NULL)
        *bad_r = bad;
    if (bad_fixed_r != NULL)
        *bad_fixed_r = bad_fixed;
    return n;
}

/* 0; ERR_AGAIN: some record is not whole; ERR_IO. */
static int read_batch(struct mailbox *m, uint32_t first, uint32_t count, struct mailbox_record *records)
{
    unsigned char raw[RECORD_BATCH * INDEX_RECORD_SIZE];
    size_t bytes = (size_t)count * INDEX_RECORD_SIZE;
    ssize_t got;

    BUG_ON(count > RECORD_BATCH);
    got = file_pread_some(m->fd, raw, bytes, record_at(first));
    if (got < 0)
        return (int)got;
    if ((size_t)got < bytes || !records_are_whole(raw, count))
        return ERR_AGAIN;
    for (uint32_t i = 0; i < count; i++)
        record_take(raw + (size_t)i * INDEX_RECORD_SIZE, &records[i]);
    if (m->header.replaced > first && m->header.replaced - first <= count)
        replace_apply(&m->header, m->header.replaced - 1, &records[m->header.replaced - 1 - first]);
    return 0;
}

static int read_batch_locked(struct mailbox *m, uint32_t first, uint32_t count,
                             struct mailbox_record *records)
{
    struct lock *lock = NULL;
    int r;

    if (m->lock == NULL) {
        r = lock_acquire(m->fd, LOCK_SHARED, m->store->options.lock_ms, &lock);
        if (r < 0)
            return r;
    }
    r = read_batch(m, first, count, records);
    lock_release(&lock);
    return r;
}

/* Without a lock; with one if a record stays torn; then it is damage, to be repaired. */
static int read_batch_sure(struct mailbox *m, uint32_t first, uint32_t count, struct mailbox_record *records)
{
    uint32_t incarnation = m->incarnation;
    int r = ERR_AGAIN;

    for (int i = 0; i < READ_TRIES && r == ERR_AGAIN; i++) {
        if (i > 0) {
            m->store->read_retries++;
            sched_yield();
        }
        r = read_batch(m, first, count, records);
    }
    if (r == ERR_AGAIN)
        r = read_batch_locked(m, first, count, records);
    if (r != ERR_AGAIN)
        return r;
    if (m->lock != NULL)
        return ERR_CORRUPT;
    r = mailbox_recover(m);
    if (r < 0)
        return r;
    if (m->incarnation != incarnation)
        return ERR_AGAIN;
    if (first + count > m->header.records)
        return ERR_CORRUPT;
    r = read_batch(m, first, count, records);
    return r == ERR_AGAIN ? ERR_CORRUPT : r;
}

int mailbox_read_records(struct mailbox *m, uint32_t first, uint32_t count, struct mailbox_record *records)
{
    uint32_t end = m->lock != NULL ? m->next.records : m->header.records;

    if (first > end || count > end - first)
        return ERR_INVALID;
    while (count > 0) {
        uint32_t n = count < RECORD_BATCH ? count : RECORD_BATCH;
        int r = read_batch_sure(m, first, n, records);

        if (r < 0)
            return r;
        first += n;
        count -= n;
        records += n;
    }
    return 0;
}

int mailbox_read_raw(struct mailbox *m, uint32_t first, uint32_t count, unsigned char *raw)
{
    uint32_t end = m->lock != NULL ? m->next.records : m->header.records;
    size_t bytes = (size_t)count * INDEX_RECORD_SIZE;
    struct mailbox_record batch[RECORD_BATCH];

    if (first > end || count > end - first)
        return ERR_INVALID;
    if (file_pread_some(m->fd, raw, bytes, record_at(first)) == (ssize_t)bytes &&
        records_are_whole(raw, count) && (m->header.replaced <= first || m->header.replaced - first > count))
        return 0;
    /* a writer was at it, or there is damage, or the header says of one what it does not */
    for (uint32_t n; count > 0; count -= n, first += n, raw += (size_t)n * INDEX_RECORD_SIZE) {
        int r;

        n = count < RECORD_BATCH ? count : RECORD_BATCH;
        r = mailbox_read_records(m, first, n, batch);
        if (r < 0)
            return r;
        records_encode(raw, batch, n);
    }
    return 0;
}

/* Where the number of a UID's record must lie, since no two have the same: without gaps there is but one place. */
static void bound_number(const struct mailbox_header *h, uint32_t uid, uint32_t *low_r, uint32_t *high_r)
{
    uint32_t before = uid > 0 ? uid - 1 : 0, behind = uid <= h->last_uid ? h->last_uid - uid + 1 : 0;

    *high_r = before < h->records ? before : h->records;
    *low_r = behind < h->records ? h->records - behind : 0;
    if (*low_r > *high_r) { /* a header that does not fit its records */
        *low_r = 0;
        *high_r = h->records;
    }
}

int mailbox_find_uid(struct mailbox *m, uint32_t uid, uint32_t *number_r)
{
    struct mailbox_record batch[RECORD_BATCH];
    uint32_t low, high;

    bound_number(m->lock != NULL ? &m->next : &m->header, uid, &low, &high);
    while (high - low > RECORD_BATCH) {
        uint32_t mid = low + (high - low) / 2;
        int r = mailbox_read_records(m, mid, 1, batch);

        if (r < 0)
            return r;
        if (batch[0].uid < uid)
            low = mid + 1;
        else
            high = mid;
    }
    if (high > low) {
        int r = mailbox_read_records(m, low, high - low, batch);

        if (r < 0)
            return r;
        for (uint32_t i = 0; i < high - low; i++) {
            if (batch[i].uid >= uid) {
                *number_r = low + i;
                return 0;
            }
        }
    }
    *number_r = high;
    return 0;
}

int records_write(struct mailbox *m, uint32_t first, uint32_t count, struct mailbox_record *records)
{
    unsigned char raw[RECORD_BATCH * INDEX_RECORD_SIZE];

    BUG_ON(count > RECORD_BATCH || m->lock == NULL);
    records_encode(raw, records, count);
    return file_pwrite(m->fd, raw, (size_t)count * INDEX_RECORD_SIZE, record_at(first));
}

void record_copy_message(struct mailbox_record *to, const struct mailbox_record *from)
{
    to->header_bytes = from->header_bytes;
    to->size = from->size;
    to->internal_date = from->internal_date;
    to->internal_zone = from->internal_zone;
    to->sent_date = from->sent_date;
    to->sent_zone = from->sent_zone;
    to->lines = from->lines;
    to->thread_id = from->thread_id;
    memcpy(to->guid, from->guid, GUID_SIZE);
}

/* ---- totals ---- */

static void count_flags(struct mailbox_header *h, const struct mailbox_record *r, uint32_t by)
{
    static const unsigned char no_user_flags[USER_FLAGS_BYTES];

    /* by is 1 or -1 modulo 2^32 */
    h->exists += by;
    if (!(r->system & RECORD_SEEN))
        h->unseen += by;
    if (r->system & RECORD_ANSWERED)
        h->answered += by;
    if (r->system & RECORD_FLAGGED)
        h->flagged += by;
    if (r->system & RECORD_DELETED)
        h->deleted += by;
    if (r->system & RECORD_DRAFT)
        h->draft += by;
    if (memcmp(r->user, no_user_flags, USER_FLAGS_BYTES) == 0)
        return;
    for (unsigned i = 0; i < USER_FLAGS_BYTES; i++) {
        for (unsigned bits = r->user[i]; bits != 0; bits &= bits - 1)
            h->flag_totals[i * 8 + (unsigned)__builtin_ctz(bits)] += by;
    }
}

void totals_add(struct mailbox_header *h, const struct mailbox_record *r, uint32_t number)
{
    /* the hints stay true: nothing unseen lies before them */
    if (!(r->system & RECORD_SEEN) && (h->unseen == 0 || number < h->first_unseen)) {
        h->first_unseen = number;
        h->first_unseen_uid = r->uid;
    }
    count_flags(h, r, 1);
    h->storage += r->size;
    h->annotation_storage += r->annotation_size;
}

void totals_remove(struct mailbox_header *h, const struct mailbox_record *r)
{
    count_flags(h, r, (uint32_t)-1);
    h->storage -= r->size;
    h->annotation_storage -= r->annotation_size;
}

void totals_add_expunged(struct mailbox_header *h, const struct mailbox_record *r, uint32_t number)
{
    if (h->expunged == 0 || number < h->first_expunged)
        h->first_expunged = number;
    h->expunged++;
    if (!(r->system & RECORD_UNLINKED))
        h->expunged_storage += r->size;
}

void totals_clear(struct mailbox_header *h)
{
    h->exists = h->expunged = h->unseen = h->answered = h->flagged = h->deleted = h->draft = 0;
    h->first_unseen = h->first_unseen_uid = h->first_expunged = 0;
    h->storage = h->expunged_storage = h->annotation_storage = 0;
    memset(h->flag_totals, 0, sizeof(h->flag_totals));
}

/* ---- the ring ---- */

void ring_clear(struct mailbox_header *h)
{
    for (unsigned i = 0; i < INDEX_RING; i++) {
        h->ring_record[i] = UINT32_MAX;
        h->ring_modseq[i] = 0;
    }
    h->ring_next = 0;
    h->ring_floor = h->highest_modseq;
}

/* From its low half; what the ring holds is never 2^32 behind. */
static uint64_t ring_whole(const struct mailbox_header *h, uint32_t low)
{
    return h->highest_modseq - (uint32_t)((uint32_t)h->highest_modseq - low);
}

void ring_push(struct mailbox_header *h, uint32_t number)
{
    unsigned at = h->ring_next % INDEX_RING;

    if (h->ring_record[at] != UINT32_MAX) {
        uint64_t lost = ring_whole(h, h->ring_modseq[at]);

        if (lost > h->ring_floor)
            h->ring_floor = lost;
    }
    h->ring_record[at] = number;
    h->ring_modseq[at] = (uint32_t)h->highest_modseq;
    h->ring_next = (at + 1) % INDEX_RING;
}

int ring_since(const struct mailbox_header *h, uint64_t modseq, uint32_t numbers_r[INDEX_RING])
{
    int n = 0;

    if (modseq < h->ring_floor)
        return -1;
    for (unsigned i = 0; i < INDEX_RING; i++) {
        if (h->ring_record[i] < h->records && ring_whole(h, h->ring_modseq[i]) > modseq)
            numbers_r[n++] = h->ring_record[i];
    }
    return n;
}
