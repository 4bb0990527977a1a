/* mailbox.c: a mailbox's birth, death, status and the header fields that others own. */
#include "imap/store/mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "imap/store/le-private.h"
#include "imap/store/listed.h"
#include "imap/store/mailbox-private.h"
#include "imap/store/quota.h"
#include "imap/store/seen.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

/* ---- birth ---- */

static void first_header(const struct store *store, const struct mailbox_create *how,
                         struct mailbox_header *h)
{
    memset(h, 0, sizeof(*h));
    h->generation = 1;
    memcpy(h->boot_id, store->boot_id, BOOT_ID_SIZE);
    h->uidvalidity = how->uidvalidity;
    h->last_uid = how->uidnext > 0 ? how->uidnext - 1 : 0;
    h->highest_modseq = how->highest_modseq > 0 ? how->highest_modseq : 1;
    h->created_modseq = h->folder_modseq = h->acl_modseq = h->highest_modseq;
    h->created = clock_wall();
    h->options = how->options;
    h->cache_generation = 1;
    str_copy(h->unique_id, sizeof(h->unique_id), how->id);
    if (how->quota_root != NULL)
        str_copy(h->quota_root, sizeof(h->quota_root), how->quota_root);
    if (how->listed != NULL)
        listed_encode(h->listed, how->listed);
    ring_clear(h);
}

/* Both copies and the synced word, on disk. */
static int write_first(struct store *store, int fd, struct mailbox_header *h)
{
    unsigned char raw[INDEX_HEADERS_SIZE] = {0};
    int r;

    header_encode(raw + INDEX_HEADER_B, h);
    h->generation++;
    header_encode(raw, h);
    le_put64(raw + INDEX_SYNCED_AT, h->generation);
    r = file_pwrite(fd, raw, sizeof(raw), 0);
    if (r == 0 && ftruncate(fd, INDEX_RECORDS_AT) != 0)
        r = error_from_errno(errno);
    return r == 0 ? store_sync_file(store, fd) : r;
}

/* The mailbox's directory and the three above it: others may have made those and not synced them yet. */
static int sync_dirs(struct mailbox *m, int dir)
{
    int r = store_sync_dir(m->store, dir);
    int at = dir;

    for (int i = 0; r == 0 && i < 3; i++) {
        int above = openat(at, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (above < 0)
            r = error_from_errno(errno);
        if (at != dir)
            close(at);
        at = above;
        if (r == 0)
            r = store_sync_dir(m->store, at);
    }
    if (at != dir && at >= 0)
        close(at);
    return r;
}

/* The index appears whole or not at all: written without a name, then linked. */
static int create_files(struct mailbox *m, const struct mailbox_create *how)
{
    struct mailbox_header h;
    char proc[32];
    int dir = mailbox_metadata_fd(m), messages = mailbox_dir_fd(m), fd, cache, r;

    if (dir < 0 || messages < 0)
        return dir < 0 ? dir : messages;
    fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_from_errno(errno);
    first_header(m->store, how, &h);
    r = write_first(m->store, fd, &h);
    fd_path(proc, fd);
    if (r == 0 && linkat(AT_FDCWD, proc, dir, "index", AT_SYMLINK_FOLLOW) != 0)
        r = error_from_errno(errno);
    close(fd);
    if (r < 0)
        return r;
    cache = cache_create(dir, h.cache_generation);
    if (cache < 0)
        return cache;
    close(cache);
    r = sync_dirs(m, dir);
    return r == 0 && messages != dir ? sync_dirs(m, messages) : r;
}

/* The place of its metadata too.  ERR_EXISTS: they are in the other one. */
static int make_dirs(struct mailbox *m)
{
    int r = file_make_dirs(m->dir, 0700, 0);

    m->apart = m->store->options.metadata_apart && m->apart_dir != NULL;
    if (r == 0 && m->apart)
        r = file_make_dirs(m->apart_dir, 0700, 0);
    if (r == 0 && m->apart_dir != NULL) {
        int other = mailbox_place_fd(m, !m->apart);

        if (other >= 0 && faccessat(other, "index", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            r = ERR_EXISTS;
    }
    return r;
}

int mailbox_create(struct store *store, const struct mailbox_create *how, struct mailbox **mailbox_r)
{
    static const struct quota_usage one_mailbox = {.used = {[QUOTA_MAILBOX] = 1}};
    struct buf dir = BUF_INIT;
    struct mailbox *m;
    int r;

    if (mailbox_r != NULL)
        *mailbox_r = NULL;
    if (how->uidvalidity == 0 ||
        (how->quota_root != NULL && strlen(how->quota_root) >= sizeof(m->header.quota_root)))
        return ERR_INVALID;
    r = mailbox_dir(store, how->partition, how->id, &dir);
    if (r < 0) {
        buf_free(&dir);
        return r;
    }
    m = mailbox_new(store, how->partition, how->id, buf_steal(&dir));
    r = make_dirs(m);
    if (r == 0)
        r = create_files(m, how);
    if (r == 0 && how->quota_root != NULL)
        (void)quota_usage_set(store->volatile_env, how->id, how->quota_root, &one_mailbox);
    if (r == 0 && mailbox_r != NULL)
        r = mailbox_open_index(m);
    if (r == 0 && mailbox_r != NULL)
        r = mailbox_load(m);
    if (r == 0 && mailbox_r != NULL)
        *mailbox_r = m;
    else
        mailbox_close(&m);
    return r;
}

/* ---- death ---- */

/* Removes the name `index` under the lock, so that no writer works on what is going away. */
static void retire(struct store *store, const char *partition, const char *id)
{
    struct mailbox *m;
    struct lock *lock = NULL;

    if (mailbox_open(store, partition, id, &m) < 0)
        return;
    if (lock_acquire(m->fd, LOCK_EXCLUSIVE, store->options.lock_ms, &lock) == 0) {
        (void)mailbox_unlink_index(m);
        lock_release(&lock);
    }
    mailbox_close(&m);
}

/* Else the directory might come back with the power, and nobody would know it. */
static int sync_parent(struct store *store, const char *dir)
{
    char *parent = xstrndup(dir, (size_t)(strrchr(dir, '/') - dir));
    int fd, r;

    fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(parent);
    if (fd < 0)
        return errno == ENOENT ? 0 : error_from_errno(errno);
    r = store_sync_dir(store, fd);
    close(fd);
    return r;
}

static int remove_dir(struct store *store, const char *dir)
{
    int r = file_remove_tree(dir);

    return r == 0 ? sync_parent(store, dir) : r;
}

int mailbox_delete(struct store *store, const char *partition, const char *id)
{
    struct buf dir = BUF_INIT, apart = BUF_INIT;
    int r = mailbox_dir(store, partition, id, &dir);

    if (r == 0) {
        retire(store, partition, id);
        if (mailbox_apart_dir(store, partition, id, &apart) == 0)
            r = remove_dir(store, buf_cstr(&apart));
        if (r == 0)
            r = remove_dir(store, buf_cstr(&dir));
    }
    if (r == 0)
        r = quota_usage_drop(store->volatile_env, id);
    if (r == 0)
        r = seen_forget_mailbox(store, id);
    buf_free(&dir);
    buf_free(&apart);
    return r;
}

/* ---- status ---- */

/* Messages with uid > after that are not expunged. */
static int count_after(struct mailbox *m, uint32_t after, uint32_t *count_r)
{
    struct mailbox_record batch[RECORD_BATCH];
    uint32_t number;
    int r;

    *count_r = 0;
    if (after >= m->header.last_uid)
        return 0;
    r = mailbox_find_uid(m, after + 1, &number);
    if (r == 0 && m->header.expunged == 0) {
        *count_r = m->header.records - number;
        return 0;
    }
    while (r == 0 && number < m->header.records) {
        uint32_t n = m->header.records - number;

        n = n < RECORD_BATCH ? n : RECORD_BATCH;
        r = mailbox_read_records(m, number, n, batch);
        for (uint32_t i = 0; r == 0 && i < n; i++)
            *count_r += !(batch[i].system & RECORD_EXPUNGED);
        number += n;
    }
    return r;
}

/* Messages that are not expunged and in the set. */
static int count_seen(struct mailbox *m, const struct uid_set *seen, uint32_t *count_r)
{
    uint32_t total = 0;

    for (size_t i = 0; i < seen->count; i++) {
        uint32_t from, to;
        int r = count_after(m, seen->ranges[i].first - 1, &from);

        if (r == 0)
            r = count_after(m, seen->ranges[i].last, &to);
        if (r < 0)
            return r;
        total += from - to;
    }
    *count_r = total;
    return 0;
}

/* The same with one pass over the records: when many of them are expunged. */
static int count_seen_by_pass(struct mailbox *m, const struct uid_set *seen, uint32_t *count_r)
{
    struct mailbox_record batch[RECORD_BATCH];

    *count_r = 0;
    for (uint32_t at = 0; at < m->header.records; at += RECORD_BATCH) {
        uint32_t n = m->header.records - at < RECORD_BATCH ? m->header.records - at : RECORD_BATCH;
        int r = mailbox_read_records(m, at, n, batch);

        if (r < 0)
            return r;
        for (uint32_t i = 0; i < n; i++)
            *count_r += !(batch[i].system & RECORD_EXPUNGED) && uid_set_has(seen, batch[i].uid);
    }
    return 0;
}

static int private_status(struct mailbox *m, const char *userid, struct mailbox_status *status)
{
    struct seen_state seen;
    uint32_t read = 0;
    int r = seen_get(m->store, m->id, userid, &seen);

    if (r < 0)
        return r;
    if (m->header.expunged == 0)
        r = count_seen(m, &seen.uids, &read);
    else
        r = count_seen_by_pass(m, &seen.uids, &read);
    status->unseen = m->header.exists - read;
    if (r == 0)
        r = count_after(m, seen.recent_uid, &status->recent);
    uid_set_free(&seen.uids);
    return r;
}

int mailbox_status(struct mailbox *m, const struct mailbox_reader *reader, struct mailbox_status *status_r)
{
    const struct mailbox_header *h = &m->header;
    int r = mailbox_refresh(m);

    if (r < 0)
        return r;
    *status_r = (struct mailbox_status){
        .messages = h->exists,
        .unseen = h->unseen,
        .uidnext = h->last_uid + 1,
        .uidvalidity = h->uidvalidity,
        .deleted = h->deleted,
        .highest_modseq = h->highest_modseq,
        .size = h->storage,
    };
    if (reader != NULL && reader->userid != NULL)
        return private_status(m, reader->userid, status_r);
    return count_after(m, h->recent_uid, &status_r->recent);
}

int mailbox_deleted_storage(struct mailbox *m, uint64_t *bytes_r)
{
    struct mailbox_record batch[RECORD_BATCH];
    uint32_t records = m->header.deleted > 0 ? m->header.records : 0;
    int r = 0;

    *bytes_r = 0;
    for (uint32_t at = 0; r == 0 && at < records; at += RECORD_BATCH) {
        uint32_t n = records - at < RECORD_BATCH ? records - at : RECORD_BATCH;

        r = mailbox_read_records(m, at, n, batch);
        for (uint32_t i = 0; r == 0 && i < n; i++)
            if ((batch[i].system & (RECORD_DELETED | RECORD_EXPUNGED)) == RECORD_DELETED)
                *bytes_r += batch[i].size;
    }
    return r;
}

/* ---- header fields that others own ---- */

static int begin(struct mailbox *m)
{
    return index_begin(m, m->store->options.lock_ms);
}

static int commit_and_end(struct mailbox *m)
{
    int r = index_commit(m, true);

    index_end(m);
    return r;
}

int mailbox_set_quota_root(struct mailbox *m, const char *root)
{
    int r;

    if (root != NULL && strlen(root) >= sizeof(m->next.quota_root))
        return ERR_INVALID;
    r = begin(m);
    if (r < 0)
        return r;
    memset(m->next.quota_root, 0, sizeof(m->next.quota_root));
    if (root != NULL)
        str_copy(m->next.quota_root, sizeof(m->next.quota_root), root);
    r = index_commit(m, true);
    if (r == 0)
        r = mailbox_quota_commit(m);
    index_end(m);
    return r;
}

int mailbox_set_options(struct mailbox *m, uint64_t mask, uint64_t options)
{
    int r = begin(m);

    if (r < 0)
        return r;
    m->next.options = (m->next.options & ~mask) | (options & mask);
    return commit_and_end(m);
}

int mailbox_set_uidvalidity(struct mailbox *m, uint32_t uidvalidity)
{
    int r;

    if (uidvalidity == 0)
        return ERR_INVALID;
    r = begin(m);
    if (r < 0)
        return r;
    m->next.uidvalidity = uidvalidity;
    return commit_and_end(m);
}

int mailbox_set_pop3(struct mailbox *m, int64_t last_login, int64_t show_after)
{
    int r = begin(m);

    if (r < 0)
        return r;
    m->next.pop3_last_login = last_login;
    m->next.pop3_show_after = show_after;
    return commit_and_end(m);
}

int mailbox_claim_recent(struct mailbox *m, uint32_t *before_r)
{
    int r;

    *before_r = m->header.recent_uid;
    r = index_begin(m, 0);
    if (r < 0)
        return r;
    *before_r = m->next.recent_uid;
    if (m->next.recent_uid != m->next.last_uid) {
        m->next.recent_uid = m->next.last_uid;
        m->next.recent_time = clock_wall();
        r = index_commit(m, false);
    }
    index_end(m);
    return r;
}
