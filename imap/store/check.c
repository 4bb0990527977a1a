/* check.c: is a mailbox as it should be?  Nothing is changed, but for what every writer mends by itself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "imap/store/annotate-private.h"
#include "imap/store/mailbox-private.h"
#include "imap/store/recover.h"
#include "lib/base/error.h"

struct check {
    struct mailbox *m;
    unsigned depth;
    struct mailbox_findings *found;
    struct mailbox_header sums; /* as the records say */
    uint32_t *files, file_count, known;
    uint32_t last_uid;
};

bool mailbox_findings_any(const struct mailbox_findings *f)
{
    return f->no_directory || f->no_header || f->header_copy || f->order || f->misplaced || f->totals ||
           f->records > 0 || f->missing > 0 || f->unknown > 0 || f->contents > 0 || f->cache > 0;
}

/* ---- the index, under its lock ---- */

static void check_record(struct check *c, const struct mailbox_record *r, uint32_t number)
{
    bool there = message_files_have(c->files, c->file_count, r->uid);

    if (r->uid <= c->last_uid || r->uid > c->m->next.last_uid)
        c->found->order = true;
    c->last_uid = r->uid;
    c->known += there;
    if (r->system & RECORD_EXPUNGED) {
        totals_add_expunged(&c->sums, r, number);
        return;
    }
    totals_add(&c->sums, r, number);
    if (c->depth >= CHECK_FILES && !there)
        c->found->missing++;
}

static int check_records(struct check *c)
{
    struct mailbox_record batch[RECORD_BATCH];

    for (uint32_t at = 0; at < c->m->next.records; at += RECORD_BATCH) {
        uint32_t left = c->m->next.records - at, want = left < RECORD_BATCH ? left : RECORD_BATCH;
        uint64_t bad = 0;
        int n = records_read_raw(c->m->fd, at, want, batch, &bad, NULL);

        if (n < 0)
            return n;
        c->found->records += want - (uint32_t)n;
        for (int i = 0; i < n; i++) {
            if ((bad >> i) & 1)
                c->found->records++;
            else
                check_record(c, &batch[i], at + (uint32_t)i);
        }
    }
    return 0;
}

/* The first_ fields are hints: they may be too low, never too high. */
static bool totals_agree(const struct mailbox_header *h, const struct mailbox_header *sums)
{
    return h->exists == sums->exists && h->expunged == sums->expunged && h->unseen == sums->unseen &&
           h->answered == sums->answered && h->flagged == sums->flagged && h->deleted == sums->deleted &&
           h->draft == sums->draft && h->storage == sums->storage &&
           h->expunged_storage == sums->expunged_storage &&
           memcmp(h->flag_totals, sums->flag_totals, sizeof(h->flag_totals)) == 0 &&
           (sums->unseen == 0 || h->first_unseen <= sums->first_unseen) &&
           (sums->expunged == 0 || h->first_expunged <= sums->first_expunged);
}

/* The files that follow on the last UID were given their names by an append that died before its commit; the next
 * one takes them. */
static void leave_orphans(struct check *c)
{
    uint32_t next = c->m->next.last_uid + 1, from = 0, to;

    while (from < c->file_count && c->files[from] < next)
        from++;
    for (to = from; to < c->file_count && c->files[to] == next; to++)
        next++;
    if (from == to)
        return;
    memmove(&c->files[from], &c->files[to], (c->file_count - to) * sizeof(*c->files));
    c->file_count -= to - from;
}

static int check_index(struct check *c, unsigned state)
{
    int dir, r = 0;

    if (c->depth >= CHECK_FILES) {
        dir = mailbox_dir_fd(c->m);
        r = dir < 0 ? dir : message_files_list(dir, &c->files, &c->file_count);
        if ((state & (INDEX_COPY_LOST | INDEX_OTHER_BOOT)) == 0)
            leave_orphans(c);
    }
    c->sums = c->m->next;
    totals_clear(&c->sums);
    if (r == 0)
        r = check_records(c);
    /* a writer that died has not written the totals yet, and the next one does */
    if (r == 0 && state == 0 && c->found->records == 0)
        c->found->totals = !totals_agree(&c->m->next, &c->sums);
    /* the file of a damaged record is known once that is mended */
    c->found->unknown = c->file_count - c->known;
    c->found->unknown -= c->found->unknown < c->found->records ? c->found->unknown : c->found->records;
    return r;
}

static bool is_misplaced(const struct mailbox *m)
{
    return m->apart_dir != NULL && m->apart != m->store->options.metadata_apart &&
           !mailbox_same_dir(m->apart_dir, m->dir);
}

static int check_locked(struct check *c, bool recover)
{
    unsigned state;
    int r = index_begin_raw(c->m, c->m->store->options.lock_ms, &state);

    if (r < 0)
        return r;
    c->found->misplaced = is_misplaced(c->m);
    c->found->header_copy = (state & INDEX_COPY_LOST) != 0;
    if (state != 0 && recover) {
        r = index_recover(c->m, state);
        state = 0;
    }
    if (r == 0)
        r = check_index(c, state);
    index_end(c->m);
    return r;
}

/* ---- contents, without a lock: message files do not change ---- */

/* 1: the message is not what its record says; 2: its cache entry is damaged, or its annotations are; both: 3. */
static int compare(struct mailbox *m, const struct mailbox_record *r)
{
    struct mailbox_record real;
    struct buf entry = BUF_INIT;
    int differs = 0;

    if (!(r->system & RECORD_UNLINKED) && message_file_examine(m, r->uid, &real, &entry) == 0) {
        if (real.size != r->size || memcmp(real.guid, r->guid, GUID_SIZE) != 0)
            differs |= 1;
        buf_reset(&entry);
        if (r->cache_size != 0 && cache_read(m, r, &entry) < 0)
            differs |= 2;
    }
    buf_reset(&entry);
    if (annotate_read_raw(m, r, &entry) < 0)
        differs |= 2;
    buf_free(&entry);
    return differs;
}

/* What differs may have been compacted away meanwhile: looked at again. */
static int compare_again(struct mailbox *m, uint32_t uid)
{
    struct mailbox_record r;
    uint32_t number;

    if (mailbox_refresh(m) < 0 || mailbox_find_uid(m, uid, &number) < 0 ||
        number >= mailbox_header(m)->records || mailbox_read_records(m, number, 1, &r) < 0 || r.uid != uid)
        return 0;
    return compare(m, &r);
}

static int check_contents(struct check *c)
{
    struct mailbox_record batch[RECORD_BATCH];
    uint64_t uid = 1;

    while (uid <= UID_MAX) {
        uint32_t number, n;
        int r = mailbox_find_uid(c->m, (uint32_t)uid, &number);

        if (r < 0 || number >= mailbox_header(c->m)->records)
            return r;
        n = mailbox_header(c->m)->records - number;
        n = n < RECORD_BATCH ? n : RECORD_BATCH;
        r = mailbox_read_records(c->m, number, n, batch);
        if (r < 0)
            return r;
        for (uint32_t i = 0; i < n; i++) {
            int differs = compare(c->m, &batch[i]);

            if (differs != 0)
                differs = compare_again(c->m, batch[i].uid);
            c->found->contents += (differs & 1) != 0;
            c->found->cache += (differs & 2) != 0;
        }
        uid = (uint64_t)batch[n - 1].uid + 1;
    }
    return 0;
}

/* ---- the whole ---- */

static int open_mailbox(struct store *store, const char *partition, const char *id, struct check *c)
{
    struct buf dir = BUF_INIT;
    struct stat st;
    int r = mailbox_open(store, partition, id, &c->m);

    if (r == 0 && c->m->apart && stat(c->m->dir, &st) != 0 && errno == ENOENT) {
        c->found->no_directory = true; /* of the messages */
        mailbox_close(&c->m);
    }
    if (r != ERR_CORRUPT && r != ERR_NOTFOUND)
        return r;
    r = mailbox_dir(store, partition, id, &dir);
    if (r == 0 && stat(buf_cstr(&dir), &st) == 0)
        c->found->no_header = true;
    else if (r == 0 && errno != ENOENT)
        r = error_from_errno(errno);
    else if (r == 0)
        c->found->no_directory = true;
    buf_free(&dir);
    return r;
}

int mailbox_check(struct store *store, const char *partition, const char *id, enum check_depth depth,
                  bool recover, struct mailbox_findings *findings_r)
{
    struct check c = {.depth = depth, .found = findings_r};
    int r;

    memset(findings_r, 0, sizeof(*findings_r));
    r = open_mailbox(store, partition, id, &c);
    if (r == 0 && c.m != NULL)
        r = check_locked(&c, recover);
    if (r == 0 && c.m != NULL && depth >= CHECK_CONTENTS && findings_r->records == 0)
        r = check_contents(&c);
    mailbox_close(&c.m);
    free(c.files);
    return r;
}
