/* recover.c: what a writer does first when it finds that another did not finish, or that the machine was
 * started anew. */
#include "imap/store/recover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "imap/store/annotate-private.h"
#include "imap/store/mailbox-private.h"
#include "imap/store/quota.h"
#include "imap/store/replace-private.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

/* A recovery under way. */
struct recovery {
    struct mailbox *m;
    unsigned state;      /* enum index_state */
    uint32_t in_file;    /* records that the file has room for */
    uint32_t last_uid;   /* of the records so far */
    uint64_t highest;    /* modseq of the records so far */
    uint64_t fix_modseq; /* for records that are changed here */
    uint32_t *files, file_count;
    bool files_listed;
    uint32_t mended, rebuilt, lost;
    struct buf entry;
    struct annotate_map annotations;
    struct uid_set replaced; /* by messages whose header copy was lost */
};

static int list_files(struct recovery *rec)
{
    int dir, r;

    if (rec->files_listed)
        return 0;
    dir = mailbox_dir_fd(rec->m);
    if (dir < 0)
        return dir;
    r = message_files_list(dir, &rec->files, &rec->file_count);
    rec->files_listed = r == 0;
    return r;
}

static bool has_file(const struct recovery *rec, uint32_t uid)
{
    return message_files_have(rec->files, rec->file_count, uid);
}

/* The cache entry says itself whether it is the right one.  An expunged record is never written again, so
 * one that is torn was not acknowledged: if the message is there, it stays. */
void record_mend(struct mailbox_record *record, uint64_t modseq, bool has_file)
{
    record->system &= RECORD_SYSTEM_FLAGS | RECORD_REBUILT | RECORD_ARCHIVED;
    if (!has_file)
        record->system |= RECORD_EXPUNGED | RECORD_UNLINKED;
    record->modseq = modseq;
    record->last_updated = clock_wall();
}

static void expunge_lost(struct recovery *rec, struct mailbox_record *record)
{
    record->system |= RECORD_EXPUNGED | RECORD_UNLINKED;
    record->modseq = rec->fix_modseq;
    record->last_updated = clock_wall();
    rec->lost++;
    LOG(LOG_WARNING, STORE_LOST, LOG_STR(MAILBOX, rec->m->id), LOG_INT(UID, record->uid));
}

/* The UID of the next record whose fixed part is whole behind `number`, and how many are not before it. */
static uint32_t next_uid(struct recovery *rec, uint32_t number, uint32_t *run_r)
{
    struct mailbox_record r;

    for (*run_r = 1; number + *run_r < rec->m->next.records; ++*run_r) {
        uint64_t bad_fixed = 0;

        if (records_read_raw(rec->m->fd, number + *run_r, 1, &r, NULL, &bad_fixed) == 1 && bad_fixed == 0)
            return r.uid;
    }
    return (rec->m->next.last_uid > rec->last_uid ? rec->m->next.last_uid : rec->last_uid + *run_r) + 1;
}

/* Nothing of the record is left: the message file that lies between its neighbours is it; without one it
 * becomes an expunged record. */
static int rebuild(struct recovery *rec, uint32_t number, struct mailbox_record *record)
{
    uint32_t run, upper = next_uid(rec, number, &run), uid = 0;
    int r = list_files(rec);

    if (r < 0)
        return r;
    if (upper - rec->last_uid <= run)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < rec->file_count && uid == 0; i++) {
        /* later records of the run need UIDs too */
        if (rec->files[i] > rec->last_uid && rec->files[i] <= upper - run)
            uid = rec->files[i];
    }
    if (uid != 0 && message_file_examine(rec->m, uid, record, &rec->entry) == 0) {
        record->system = RECORD_REBUILT;
        record->created_modseq = record->modseq = rec->fix_modseq;
        rec->rebuilt++;
        (void)cache_append(rec->m, &rec->entry, record);
        return 0;
    }
    memset(record, 0, sizeof(*record));
    record->uid = rec->last_uid + 1;
    record->created_modseq = rec->fix_modseq;
    expunge_lost(rec, record);
    return 0;
}

/* A REPLACE that did not come to its old message. */
static bool finish_replace(struct recovery *rec, uint32_t number, struct mailbox_record *record)
{
    if (replace_apply(&rec->m->next, number, record))
        return true;
    if ((record->system & RECORD_EXPUNGED) || !uid_set_has(&rec->replaced, record->uid))
        return false;
    record->system |= RECORD_EXPUNGED;
    record->modseq = rec->fix_modseq;
    record->last_updated = clock_wall();
    rec->mended++;
    return true;
}

/* 1: the record was changed. */
static int check_record(struct recovery *rec, uint32_t number, bool bad, bool bad_fixed,
                        struct mailbox_record *record)
{
    int changed = bad;

    if (bad_fixed) {
        int r = rebuild(rec, number, record);

        if (r < 0)
            return r;
    } else if (bad) {
        record_mend(record, rec->fix_modseq,
                    message_file_exists(rec->m, record->uid) ||
                        message_file_from_stage(rec->m, record->uid, record->guid) == 0);
        rec->mended++;
    }
    if (bad)
        annotate_recover(rec->m, &rec->annotations, record);
    changed |= finish_replace(rec, number, record);
    if (record->uid <= rec->last_uid)
        return ERR_CORRUPT;
    if ((rec->state & INDEX_OTHER_BOOT) && !(record->system & RECORD_EXPUNGED) && !bad_fixed &&
        !has_file(rec, record->uid) && message_file_from_stage(rec->m, record->uid, record->guid) < 0) {
        expunge_lost(rec, record);
        changed = 1;
    }
    return changed;
}

static void count_record(struct recovery *rec, uint32_t number, const struct mailbox_record *record)
{
    rec->last_uid = record->uid;
    if (record->modseq > rec->highest)
        rec->highest = record->modseq;
    if (record->system & RECORD_EXPUNGED)
        totals_add_expunged(&rec->m->next, record, number);
    else
        totals_add(&rec->m->next, record, number);
}

static int scan_batch(struct recovery *rec, uint32_t first, uint32_t count)
{
    struct mailbox_record batch[RECORD_BATCH];
    uint64_t bad = 0, bad_fixed = 0;
    int n = records_read_raw(rec->m->fd, first, count, batch, &bad, &bad_fixed);

    if (n < 0 || (uint32_t)n < count)
        return n < 0 ? n : ERR_CORRUPT;
    for (uint32_t i = 0; i < count; i++) {
        int changed = check_record(rec, first + i, (bad >> i) & 1, (bad_fixed >> i) & 1, &batch[i]);

        if (changed == 1) {
            changed = index_mark_dirty(rec->m);
            if (changed == 0)
                changed = records_write(rec->m, first + i, 1, &batch[i]);
        }
        if (changed < 0)
            return changed;
        count_record(rec, first + i, &batch[i]);
    }
    return 0;
}

/* Records behind the last commit that are whole and have their message: an append whose header was lost with
 * the machine, or with a damaged copy. */
static int adopt_tail(struct recovery *rec)
{
    struct mailbox_record r;
    uint32_t last = rec->m->next.last_uid;

    while (rec->m->next.records < rec->in_file) {
        uint64_t bad = 0;

        if (records_read_raw(rec->m->fd, rec->m->next.records, 1, &r, &bad, NULL) != 1 || bad != 0)
            break;
        if (r.uid <= last || r.uid > UID_MAX || !has_file(rec, r.uid))
            break;
        last = r.uid;
        rec->m->next.records++;
        /* else it was killed long ago, and its client has gone on without it */
        if (r.replaces != 0 && r.created_modseq > rec->m->next.highest_modseq &&
            uid_set_add(&rec->replaced, r.replaces, r.replaces) < 0)
            return ERR_LIMIT;
    }
    return 0;
}

static int measure(struct recovery *rec)
{
    struct stat st;

    if (fstat(rec->m->fd, &st) != 0)
        return error_from_errno(errno);
    rec->in_file =
        st.st_size <= INDEX_RECORDS_AT ? 0 : (uint32_t)((st.st_size - INDEX_RECORDS_AT) / INDEX_RECORD_SIZE);
    if (rec->m->next.records > rec->in_file) {
        rec->m->next.records = rec->in_file;
        rec->m->next.replaced = 0;     /* what came in its place is among those that are not there */
        rec->state |= INDEX_COPY_LOST; /* as bad: there may be messages that no record knows */
    }
    return 0;
}

static void set_numbers(struct recovery *rec)
{
    struct mailbox_header *h = &rec->m->next;

    if (rec->last_uid > h->last_uid)
        h->last_uid = rec->last_uid;
    if (rec->highest > h->highest_modseq)
        h->highest_modseq = rec->highest;
    /* a message without a record keeps its UID for reconstruction: no append may take it for an orphan */
    if (rec->file_count > 0 && rec->files[rec->file_count - 1] > h->last_uid)
        h->last_uid = rec->files[rec->file_count - 1];
    if (rec->state & INDEX_OTHER_BOOT) {
        h->last_uid = h->last_uid < UID_MAX - RECOVER_SKIP ? h->last_uid + RECOVER_SKIP : UID_MAX;
        h->highest_modseq += RECOVER_SKIP;
    }
    if (rec->mended + rec->rebuilt + rec->lost > 0 && rec->fix_modseq > h->highest_modseq)
        h->highest_modseq = rec->fix_modseq;
    if (h->recent_uid > h->last_uid)
        h->recent_uid = h->last_uid;
    ring_clear(h);
}

static int scan(struct recovery *rec)
{
    struct mailbox_header *h = &rec->m->next;
    int r = measure(rec);

    if (r == 0 && (rec->state & (INDEX_OTHER_BOOT | INDEX_COPY_LOST))) {
        r = list_files(rec);
        if (r == 0)
            r = adopt_tail(rec);
    }
    totals_clear(h);
    for (uint32_t at = 0; r == 0 && at < h->records; at += RECORD_BATCH)
        r = scan_batch(rec, at, h->records - at < RECORD_BATCH ? h->records - at : RECORD_BATCH);
    if (r == 0)
        set_numbers(rec);
    return r;
}

int index_recover(struct mailbox *m, unsigned state)
{
    /* above whatever an unfinished commit wrote into records, and what readers may have seen */
    uint64_t skip = state & INDEX_OTHER_BOOT ? RECOVER_SKIP : 2;
    struct recovery rec = {.m = m, .state = state, .fix_modseq = m->next.highest_modseq + skip};
    int r = scan(&rec);

    if (r == 0)
        r = index_commit(m, true);
    if (r == 0) {
        m->store->recoveries++;
        (void)mailbox_quota_commit(m);
        LOG(LOG_NOTICE, STORE_RECOVERED, LOG_STR(MAILBOX, m->id), LOG_INT(COUNT, m->header.records),
            LOG_INT(MENDED, rec.mended + rec.rebuilt), LOG_INT(LOST, rec.lost));
    }
    free(rec.files);
    buf_free(&rec.entry);
    annotate_map_free(&rec.annotations);
    uid_set_free(&rec.replaced);
    return r;
}

int mailbox_recover(struct mailbox *m)
{
    unsigned state;
    int r = index_begin_raw(m, m->store->options.lock_ms, &state);

    if (r < 0)
        return r;
    r = index_recover(m, state);
    index_end(m);
    return r;
}

/* ---- the stage directory ---- */

/* Older than any delivery can be. */
#define STAGE_KEEP (24 * 60 * 60)

int stage_clean(struct store *store, const char *partition)
{
    int fd = store_stage_dir(store, partition);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;

    if (d == NULL) {
        if (fd >= 0)
            close(fd);
        return fd < 0 ? fd : ERR_IO;
    }
    while ((e = readdir(d)) != NULL) {
        struct stat st;

        if (e->d_name[0] == '.' || fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (S_ISREG(st.st_mode) && st.st_ctime < clock_wall() - STAGE_KEEP)
            (void)unlinkat(fd, e->d_name, 0);
    }
    closedir(d);
    return 0;
}
