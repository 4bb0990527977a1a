/* reconstruct.c: index and cache made anew from what is there.  No message file is ever removed here. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "imap/store/annotate-private.h"
#include "imap/store/le-private.h"
#include "imap/store/mailbox-private.h"
#include "imap/store/quota.h"
#include "imap/store/recover.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

struct reconstruction {
    struct mailbox *m;
    const char *from; /* a directory whose messages are taken over; NULL: none */
    struct reconstruct_report *report;
    struct mailbox_record *records; /* that are whole or were mended, by UID */
    uint32_t count, room;
    uint32_t *files, file_count;
    uint32_t *old_names, old_count; /* of messages that got new UIDs */
    bool header_lost;
    uint64_t highest;  /* modseq of any record */
    uint64_t modseq;   /* for what is changed here */
    uint32_t last_uid; /* of any record or file */
    struct rewriter w;
    struct buf entry;
    struct annotate_map annotations;
};

/* ---- gathering ---- */

static void keep_record(struct reconstruction *rc, const struct mailbox_record *record)
{
    if (record->uid > UID_MAX)
        return;
    if (rc->count == rc->room) {
        rc->room = rc->room * 2 + 64;
        rc->records = xreallocarray(rc->records, rc->room, sizeof(*rc->records));
    }
    rc->records[rc->count++] = *record;
    if (record->modseq > rc->highest)
        rc->highest = record->modseq;
    if (record->uid > rc->last_uid)
        rc->last_uid = record->uid;
}

/* The whole file, also behind header.records: what was never committed has no message file, or has one and
 * loses nothing by being kept. */
static int read_records(struct reconstruction *rc)
{
    struct mailbox_record batch[RECORD_BATCH];
    struct stat st;
    uint32_t in_file;

    if (fstat(rc->m->fd, &st) != 0)
        return error_from_errno(errno);
    if (st.st_size <= INDEX_RECORDS_AT)
        return 0;
    in_file = (uint32_t)((st.st_size - INDEX_RECORDS_AT) / INDEX_RECORD_SIZE);
    for (uint32_t at = 0; at < in_file; at += RECORD_BATCH) {
        uint64_t bad = 0, bad_fixed = 0;
        int n = records_read_raw(rc->m->fd, at, in_file - at < RECORD_BATCH ? in_file - at : RECORD_BATCH,
                                 batch, &bad, &bad_fixed);

        if (n < 0)
            return n;
        for (int i = 0; i < n; i++) {
            if ((bad_fixed >> i) & 1)
                continue;
            if ((bad >> i) & 1)
                record_mend(&batch[i], 0, message_file_exists(rc->m, batch[i].uid));
            keep_record(rc, &batch[i]);
        }
    }
    return 0;
}

/* By UID; of two with one UID the one changed last comes first. */
static int compare_records(const void *a, const void *b)
{
    const struct mailbox_record *x = a, *y = b;

    if (x->uid != y->uid)
        return x->uid < y->uid ? -1 : 1;
    return x->modseq > y->modseq ? -1 : x->modseq < y->modseq;
}

static void sort_records(struct reconstruction *rc)
{
    uint32_t k = 0;

    if (rc->count > 0)
        qsort(rc->records, rc->count, sizeof(*rc->records), compare_records);
    for (uint32_t i = 0; i < rc->count; i++) {
        if (k == 0 || rc->records[k - 1].uid != rc->records[i].uid)
            rc->records[k++] = rc->records[i];
    }
    rc->count = k;
}

/* ---- the header ---- */

/* The slots of flag names that are whole count as used. */
static void find_flag_names(struct reconstruction *rc, struct mailbox_header *h)
{
    unsigned char raw[INDEX_FLAG_NAME_SIZE];
    char name[USER_FLAG_NAME_MAX + 1];

    for (unsigned n = 0; n < USER_FLAGS_MAX; n++) {
        int64_t at = INDEX_FLAG_NAMES_AT + (int64_t)n * INDEX_FLAG_NAME_SIZE;

        if (file_pread(rc->m->fd, raw, sizeof(raw), at) == 0 && flag_name_decode(raw, name) >= 0)
            h->flag_slots[n / 8] |= (unsigned char)(1u << (n % 8));
    }
}

/* The highest generation of a cache file: a new one must be higher. */
static uint32_t last_cache(int dir_fd)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;
    uint32_t last = 0;

    if (d == NULL) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    while ((e = readdir(d)) != NULL) {
        uint32_t n;

        if (str_has_prefix(e->d_name, "cache.") &&
            str_parse_u32(e->d_name + 6, strlen(e->d_name + 6), &n) == 0 && n > last)
            last = n;
    }
    closedir(d);
    return last;
}

static uint32_t last_cache_at(struct mailbox *m, bool apart)
{
    int dir = m->apart_dir != NULL || !apart ? mailbox_place_fd(m, apart) : -1;

    return dir < 0 ? 0 : last_cache(dir);
}

static void make_header(struct reconstruction *rc, uint32_t uidvalidity)
{
    struct mailbox_header *h = &rc->m->next;

    memset(h, 0, sizeof(*h));
    h->uidvalidity = uidvalidity;
    h->created = clock_wall();
    h->highest_modseq = rc->highest + RECOVER_SKIP;
    h->created_modseq = h->folder_modseq = h->acl_modseq = h->highest_modseq;
    h->cache_generation = last_cache_at(rc->m, rc->m->apart);
    str_copy(h->unique_id, sizeof(h->unique_id), rc->m->id);
    find_flag_names(rc, h);
    rc->m->header = *h;
    rc->m->generation = (uint64_t)clock_wall_ns(); /* above any that a reader has seen */
}

/* Where its metadata are to be from now on: where those of a new mailbox would be. */
static int choose_place(struct mailbox *m, bool *apart_r)
{
    bool now = m->apart, apart = m->store->options.metadata_apart && m->apart_dir != NULL;
    int r, here, there;

    *apart_r = apart;
    if (apart == now)
        return 0;
    r = apart ? file_make_dirs(m->apart_dir, 0700, 1) : 0;
    here = r < 0 ? r : mailbox_place_fd(m, now);
    there = here < 0 ? here : mailbox_place_fd(m, apart);
    if (there >= 0 && mailbox_same_fd(here, there)) /* both options name one directory */
        *apart_r = now;
    return there < 0 ? there : 0;
}

/* With no index anywhere, one is made where the latest cache is: annotations would be there too. */
static int open_or_create(struct mailbox *m)
{
    int r = mailbox_open_index(m), dir;
    uint32_t here, there;

    if (r != ERR_NOTFOUND)
        return r;
    here = last_cache_at(m, false);
    there = last_cache_at(m, true);
    m->apart = there > here;
    r = there == here ? choose_place(m, &m->apart) : 0;
    dir = r < 0 ? r : mailbox_metadata_fd(m);
    if (dir < 0)
        return dir;
    m->fd = openat(dir, "index", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    return m->fd < 0 ? error_from_errno(errno) : 0;
}

/* Locks what has the name `index` now, whole or not: a compaction may be replacing it. */
static int lock_current(struct mailbox *m)
{
    int64_t deadline = clock_deadline(m->store->options.lock_ms);

    for (;;) {
        struct stat st;
        int r = open_or_create(m);

        if (r < 0)
            return r;
        r = lock_acquire(m->fd, LOCK_EXCLUSIVE, clock_left(deadline), &m->lock);
        if (r < 0)
            return r;
        if (fstat(m->fd, &st) != 0)
            return error_from_errno(errno);
        if (st.st_nlink > 0)
            return 0;
        lock_release(&m->lock);
    }
}

/* Locks the index and takes its header if there is one. */
static int lock_index(struct reconstruction *rc, uint32_t uidvalidity)
{
    struct mailbox *m = rc->m;
    struct header_pair pair;
    int dir = mailbox_dir_fd(m), r, newest = ERR_CORRUPT;

    if (dir < 0)
        return dir;
    r = lock_current(m);
    if (r < 0)
        return r;
    r = read_records(rc);
    if (r == 0 && header_pair_read(m->fd, &pair) == 0)
        newest = header_pair_newest(&pair);
    if (newest == ERR_VERSION)
        return ERR_VERSION;
    if (newest >= 0 && strcmp(pair.copy[newest].unique_id, m->id) == 0) {
        m->header = m->next = pair.copy[newest];
        m->generation = m->header.generation;
    } else {
        rc->header_lost = true;
        make_header(rc, uidvalidity);
    }
    return r;
}

/* ---- the new index ---- */

/* The record of a message that is there, its fixed part made from the message. */
static int examine(struct reconstruction *rc, const struct mailbox_record *old, uint32_t uid,
                   struct mailbox_record *record)
{
    int r = message_file_examine(rc->m, uid, record, &rc->entry);

    if (r < 0)
        return r;
    if (old == NULL || memcmp(old->guid, record->guid, GUID_SIZE) != 0) {
        record->system = RECORD_REBUILT | (old != NULL ? old->system & ~(uint32_t)RECORD_UNLINKED : 0);
        record->modseq = record->created_modseq = rc->modseq;
        if (old != NULL)
            memcpy(record->user, old->user, sizeof(record->user));
        rc->report->rebuilt++;
        return 0;
    }
    *record = *old;
    record->system &= ~(uint32_t)RECORD_UNLINKED;
    if (record->modseq == 0)
        record->modseq = rc->modseq;
    return 0;
}

/* A place that is right stays; else the file is asked. */
static void find_annotations(struct reconstruction *rc, struct mailbox_record *record)
{
    struct buf bytes = BUF_INIT;

    if (record->annotation_size == 0 || annotate_read_raw(rc->m, record, &bytes) < 0)
        annotate_recover(rc->m, &rc->annotations, record);
    buf_free(&bytes);
}

static int add(struct reconstruction *rc, struct mailbox_record *record, bool with_entry)
{
    find_annotations(rc, record);
    if (record->uid > rc->w.header.last_uid)
        rc->w.header.last_uid = record->uid;
    rc->report->messages += !(record->system & RECORD_EXPUNGED);
    return rewrite_add(&rc->w, record, with_entry ? &rc->entry : NULL);
}

static int add_record(struct reconstruction *rc, const struct mailbox_record *old)
{
    struct mailbox_record record = *old;
    bool there = message_files_have(rc->files, rc->file_count, old->uid);
    int r;

    if (!there && !(old->system & RECORD_EXPUNGED))
        there = message_file_from_stage(rc->m, old->uid, old->guid) == 0;
    if (there) {
        r = examine(rc, old, old->uid, &record);
        return r < 0 ? r : add(rc, &record, true);
    }
    if (!(record.system & RECORD_EXPUNGED)) {
        rc->report->missing++;
        record.modseq = rc->modseq;
        record.last_updated = clock_wall();
    } else if (record.modseq == 0) {
        record.modseq = rc->modseq;
    }
    record.system |= RECORD_EXPUNGED | RECORD_UNLINKED;
    return add(rc, &record, false);
}

/* A message without a record.  In the middle of a mailbox that sessions may have open it cannot appear: it gets
 * a new UID, the old name stays until the new one is on disk. */
static int add_file(struct reconstruction *rc, uint32_t uid, bool renumber)
{
    struct mailbox_record record;
    int fd, r;

    if (renumber) {
        uint32_t fresh = rc->w.header.last_uid + 1;

        if (fresh > UID_MAX)
            return ERR_LIMIT;
        fd = message_file_open(rc->m, uid);
        if (fd < 0)
            return fd;
        r = message_file_link(rc->m, fresh, fd);
        close(fd);
        if (r < 0)
            return r;
        rc->old_names[rc->old_count++] = uid;
        uid = fresh;
        rc->report->new_uids++;
    }
    r = examine(rc, NULL, uid, &record);
    return r < 0 ? r : add(rc, &record, true);
}

static struct mailbox_record *find_record(const struct reconstruction *rc, uint32_t uid)
{
    uint32_t low = 0, high = rc->count;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (rc->records[mid].uid < uid)
            low = mid + 1;
        else
            high = mid;
    }
    return low < rc->count && rc->records[low].uid == uid ? &rc->records[low] : NULL;
}

/* A REPLACE that died between the header and the old message's record. */
static void finish_replaced(struct reconstruction *rc)
{
    const struct mailbox_header *h = &rc->m->next;

    for (uint32_t i = 0; i < rc->count; i++) {
        const struct mailbox_record *r = &rc->records[i];
        struct mailbox_record *old = r->replaces != 0 ? find_record(rc, r->replaces) : NULL;

        if (old == NULL || (old->system & RECORD_EXPUNGED) ||
            !message_files_have(rc->files, rc->file_count, r->uid))
            continue;
        /* else it was killed before, and its client has gone on without it */
        if (rc->header_lost || r->uid <= h->last_uid || r->created_modseq > h->highest_modseq) {
            old->system |= RECORD_EXPUNGED;
            old->modseq = r->created_modseq;
            old->last_updated = clock_wall();
        }
    }
}

/* With a header: records first, in their order, then what has none.  Without: everything by UID. */
static int add_all(struct reconstruction *rc)
{
    uint32_t at = 0, i = 0;
    int r = 0;

    while (r == 0 && (i < rc->count || (rc->header_lost && at < rc->file_count))) {
        bool file_first =
            rc->header_lost && at < rc->file_count && (i >= rc->count || rc->files[at] < rc->records[i].uid);

        if (file_first)
            r = add_file(rc, rc->files[at], false);
        else
            r = add_record(rc, &rc->records[i]);
        if (rc->header_lost && at < rc->file_count && (file_first || rc->files[at] == rc->records[i].uid))
            at++;
        i += !file_first;
    }
    for (at = 0; r == 0 && !rc->header_lost && at < rc->file_count; at++) {
        if (find_record(rc, rc->files[at]) == NULL)
            r = add_file(rc, rc->files[at], rc->files[at] <= rc->w.header.last_uid);
    }
    return r;
}

static void drop_old_names(struct reconstruction *rc)
{
    for (uint32_t i = 0; i < rc->old_count; i++)
        message_file_unlink(rc->m, rc->old_names[i]);
}

/* Links the messages of the other directory behind all that is here. */
static int take_files(struct reconstruction *rc)
{
    int from = open(rc->from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint32_t *uids = NULL, count = 0, last = rc->m->next.last_uid;
    int r = from < 0 ? error_from_errno(errno) : message_files_list(from, &uids, &count);

    if (rc->last_uid > last)
        last = rc->last_uid;
    if (rc->file_count > 0 && rc->files[rc->file_count - 1] > last)
        last = rc->files[rc->file_count - 1];
    if (r == 0 && count > UID_MAX - last)
        r = ERR_LIMIT;
    if (r == 0)
        rc->files = xreallocarray(rc->files, rc->file_count + (size_t)count + 1, sizeof(*rc->files));
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        char name[MESSAGE_NAME_SIZE];
        int fd;

        message_name(name, uids[i]);
        fd = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        r = fd < 0 ? error_from_errno(errno) : message_file_link(rc->m, last + 1 + i, fd);
        if (fd >= 0)
            close(fd);
        if (r == 0)
            rc->files[rc->file_count++] = last + 1 + i;
    }
    if (from >= 0)
        close(from);
    free(uids);
    return r;
}

/* What an option that was changed, or a reconstruction that was killed, left on the metapartition. */
static void clean_apart(struct mailbox *m)
{
    if (m->apart_dir != NULL && !m->apart && !mailbox_same_dir(m->apart_dir, m->dir))
        (void)file_remove_tree(m->apart_dir);
}

static int rebuild(struct reconstruction *rc)
{
    struct mailbox *m = rc->m;
    int dir = mailbox_dir_fd(m);
    int r = dir < 0 ? dir : message_files_list(dir, &rc->files, &rc->file_count);
    bool apart = m->apart;

    if (r == 0 && rc->from != NULL)
        r = take_files(rc);
    if (r < 0)
        return r;
    rc->old_names = xcalloc(rc->file_count + 1, sizeof(*rc->old_names));
    sort_records(rc);
    finish_replaced(rc);
    rc->modseq = (rc->highest > m->next.highest_modseq ? rc->highest : m->next.highest_modseq) + 1;
    r = choose_place(m, &apart);
    if (r == 0)
        r = rewrite_begin(m, apart, &rc->w);
    if (r < 0)
        return r;
    rc->w.header.highest_modseq = rc->modseq;
    r = add_all(rc);
    if (r < 0) {
        rewrite_abort(&rc->w);
        return r;
    }
    if (rc->header_lost) /* numbers may have been told that nothing here knows of */
        rc->w.header.last_uid =
            rc->w.header.last_uid < UID_MAX - RECOVER_SKIP ? rc->w.header.last_uid + RECOVER_SKIP : UID_MAX;
    if (rc->w.header.recent_uid > rc->w.header.last_uid)
        rc->w.header.recent_uid = rc->w.header.last_uid;
    return rewrite_finish(&rc->w);
}

static int run(struct store *store, const char *partition, const char *id, uint32_t uidvalidity,
               const char *from, struct reconstruct_report *report_r)
{
    struct reconstruction *rc = xcalloc(1, sizeof(*rc));
    struct buf dir = BUF_INIT;
    int r = mailbox_dir(store, partition, id, &dir);

    memset(report_r, 0, sizeof(*report_r));
    rc->report = report_r;
    rc->from = from;
    if (r == 0) {
        rc->m = mailbox_new(store, partition, id, buf_steal(&dir));
        r = lock_index(rc, uidvalidity);
        if (r == 0)
            r = rebuild(rc);
        report_r->new_uidvalidity = rc->header_lost;
        if (r == 0) {
            drop_old_names(rc);
            clean_apart(rc->m);
            (void)mailbox_quota_commit(rc->m);
            LOG(LOG_NOTICE, STORE_RECONSTRUCTED, LOG_STR(MAILBOX, id), LOG_INT(COUNT, report_r->messages),
                LOG_INT(MENDED, report_r->rebuilt), LOG_INT(LOST, report_r->missing));
        }
    }
    mailbox_close(&rc->m);
    free(rc->records);
    free(rc->files);
    free(rc->old_names);
    annotate_map_free(&rc->annotations);
    buf_free(&rc->entry);
    buf_free(&dir);
    free(rc);
    return r;
}

int mailbox_reconstruct(struct store *store, const char *partition, const char *id, uint32_t uidvalidity,
                        struct reconstruct_report *report_r)
{
    return run(store, partition, id, uidvalidity, NULL, report_r);
}

int mailbox_take_files(struct store *store, const char *partition, const char *id, const char *directory,
                       struct reconstruct_report *report_r)
{
    return run(store, partition, id, (uint32_t)clock_wall(), directory, report_r);
}
