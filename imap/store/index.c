/* index.c: handles, and reading the index's header without a lock. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "imap/store/le-private.h"
#include "imap/store/mailbox-private.h"
#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

bool mailbox_id_valid(const char *id)
{
    size_t n = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-");

    return id[n] == '\0' && n >= MAILBOX_ID_MIN && n <= MAILBOX_ID_MAX;
}

void mailbox_id_new(char id_r[MAILBOX_ID_SIZE])
{
    unsigned char b[16];
    char hex[33];

    digest_random(b, sizeof(b));
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40); /* version 4, RFC 4122 section 4.4 */
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    str_hex(hex, b, sizeof(b));
    snprintf(id_r, MAILBOX_ID_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

int mailbox_dir_under(const char *root, const char *id, struct buf *to)
{
    unsigned char sha[DIGEST_SHA1_SIZE];

    if (!mailbox_id_valid(id))
        return ERR_BADNAME;
    digest_sha1(id, strlen(id), sha);
    buf_printf(to, "%s/%02x/%02x/%s", root, sha[0], sha[1], id);
    return 0;
}

int mailbox_dir(const struct store *store, const char *partition, const char *id, struct buf *to)
{
    const char *root = store_partition(store, partition);

    if (root == NULL)
        return mailbox_id_valid(id) ? ERR_NOTFOUND : ERR_BADNAME;
    return mailbox_dir_under(root, id, to);
}

int mailbox_apart_dir(const struct store *store, const char *partition, const char *id, struct buf *to)
{
    const char *root = store_metapartition(store, partition);

    return root != NULL ? mailbox_dir_under(root, id, to) : ERR_NOTFOUND;
}

static bool has_index(const char *root, const char *id)
{
    struct buf path = BUF_INIT;
    bool has = root != NULL && mailbox_dir_under(root, id, &path) == 0;

    if (has) {
        buf_puts(&path, "/index");
        has = faccessat(AT_FDCWD, buf_cstr(&path), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    }
    buf_free(&path);
    return has;
}

int mailbox_metadata_dir_under(const char *root, const char *metadata_root, const char *id, struct buf *to)
{
    bool apart = metadata_root != NULL && !has_index(root, id) && has_index(metadata_root, id);

    return mailbox_dir_under(apart ? metadata_root : root, id, to);
}

int mailbox_metadata_dir(const struct store *store, const char *partition, const char *id, struct buf *to)
{
    const char *root = store_partition(store, partition);

    if (root == NULL)
        return mailbox_id_valid(id) ? ERR_NOTFOUND : ERR_BADNAME;
    return mailbox_metadata_dir_under(root, store_metapartition(store, partition), id, to);
}

bool mailbox_same_fd(int a, int b)
{
    struct stat x, y;

    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

bool mailbox_same_dir(const char *a, const char *b)
{
    struct stat x, y;

    return strcmp(a, b) == 0 ||
           (stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

struct mailbox *mailbox_new(struct store *store, const char *partition, const char *id, char *dir)
{
    struct mailbox *m = xcalloc(1, sizeof(*m));
    struct buf apart = BUF_INIT;

    m->magic = MAILBOX_MAGIC;
    m->store = store;
    m->partition = xstrdup(partition);
    str_copy(m->id, sizeof(m->id), id);
    m->dir = dir;
    if (mailbox_apart_dir(store, partition, id, &apart) == 0)
        m->apart_dir = buf_steal(&apart);
    buf_free(&apart);
    m->fd = m->dir_fd = m->apart_fd = m->cache_fd = m->annotate_fd = -1;
    return m;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void forget_flag_names(struct mailbox *m)
{
    for (unsigned i = 0; i < USER_FLAGS_MAX; i++) {
        free(m->flag_names[i]);
        m->flag_names[i] = NULL;
    }
    for (size_t i = 0; i < m->old_flag_name_count; i++)
        free(m->old_flag_names[i]);
    free(m->old_flag_names);
    m->old_flag_names = NULL;
    m->old_flag_name_count = 0;
}

void mailbox_close(struct mailbox **mailbox)
{
    struct mailbox *m = *mailbox;

    if (m == NULL)
        return;
    MAGIC_CHECK(m, MAILBOX_MAGIC);
    index_end(m);
    close_fd(&m->fd);
    close_fd(&m->dir_fd);
    close_fd(&m->apart_fd);
    close_fd(&m->cache_fd);
    close_fd(&m->annotate_fd);
    forget_flag_names(m);
    free(m->partition);
    free(m->dir);
    free(m->apart_dir);
    m->magic = 0;
    free(m);
    *mailbox = NULL;
}

static bool open_index_at(struct mailbox *m, bool apart)
{
    char *path = xstrprintf("%s/index", apart ? m->apart_dir : m->dir);

    m->apart = apart;
    m->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    m->cannot_write = m->fd < 0 && errno == EROFS;
    if (m->cannot_write)
        m->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    free(path);
    return m->fd >= 0 || errno != ENOENT;
}

/* One beside the messages wins: where both are, the other was left over from before or is not finished. */
int mailbox_open_index(struct mailbox *m)
{
    bool found;

    close_fd(&m->fd);
    close_fd(&m->apart_fd);
    close_fd(&m->cache_fd);
    close_fd(&m->annotate_fd);
    m->incarnation++;
    found = open_index_at(m, false);
    if (!found && m->apart_dir != NULL && !open_index_at(m, true))
        (void)open_index_at(m, false); /* it may have come from there between the two looks */
    return m->fd < 0 ? error_from_errno(errno) : 0;
}

bool mailbox_cannot_write(const struct mailbox *m)
{
    return m->cannot_write;
}

int mailbox_place_fd(struct mailbox *m, bool apart)
{
    int *fd = apart ? &m->apart_fd : &m->dir_fd;

    if (*fd < 0)
        *fd = open(apart ? m->apart_dir : m->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return *fd < 0 ? error_from_errno(errno) : *fd;
}

int mailbox_dir_fd(struct mailbox *m)
{
    return mailbox_place_fd(m, false);
}

int mailbox_metadata_fd(struct mailbox *m)
{
    return mailbox_place_fd(m, m->apart);
}

/* Most commands need one file, for which the directory is not worth a descriptor. */
static int open_file(struct mailbox *m, bool apart, const char *name, int flags)
{
    char path[PATH_MAX];
    int dir = apart ? m->apart_fd : m->dir_fd;

    if (dir < 0 && !m->opened_file &&
        snprintf(path, sizeof(path), "%s/%s", apart ? m->apart_dir : m->dir, name) < (int)sizeof(path)) {
        m->opened_file = true;
        return open(path, flags | O_NOFOLLOW | O_CLOEXEC);
    }
    dir = mailbox_place_fd(m, apart);
    return dir < 0 ? -1 : openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC);
}

int mailbox_open_message(struct mailbox *m, const char *name, int flags)
{
    return open_file(m, false, name, flags);
}

int mailbox_open_metadata(struct mailbox *m, const char *name, int flags)
{
    return open_file(m, m->apart, name, flags);
}

/* A second one on the metapartition would come to light: it goes first, and for good. */
static int unlink_hidden(struct mailbox *m)
{
    int dir = mailbox_place_fd(m, true);

    if (dir < 0)
        return dir == ERR_NOTFOUND ? 0 : dir;
    if (mailbox_same_fd(dir, mailbox_dir_fd(m)))
        return 0;
    if (unlinkat(dir, "index", 0) != 0)
        return errno == ENOENT ? 0 : error_from_errno(errno);
    return store_sync_dir(m->store, dir);
}

int mailbox_unlink_index(struct mailbox *m)
{
    int dir = mailbox_metadata_fd(m), r = dir < 0 ? dir : 0;

    if (r == 0 && !m->apart && m->apart_dir != NULL)
        r = unlink_hidden(m);
    if (r == 0 && unlinkat(dir, "index", 0) != 0)
        r = error_from_errno(errno);
    return r;
}

/* ---- the header ---- */

int header_pair_read(int fd, struct header_pair *pair_r)
{
    unsigned char raw[INDEX_HEADERS_SIZE];
    int r = file_pread(fd, raw, sizeof(raw), 0);

    if (r < 0)
        return r == ERR_EOF ? ERR_CORRUPT : r;
    pair_r->result[0] = header_decode(raw, &pair_r->copy[0]);
    pair_r->result[1] = header_decode(raw + INDEX_HEADER_B, &pair_r->copy[1]);
    pair_r->synced = le_get64(raw + INDEX_SYNCED_AT);
    return 0;
}

int header_pair_newest(const struct header_pair *pair)
{
    if (pair->result[0] < 0 && pair->result[1] < 0)
        return pair->result[0] == ERR_VERSION || pair->result[1] == ERR_VERSION ? ERR_VERSION : ERR_CORRUPT;
    if (pair->result[0] < 0)
        return 1;
    if (pair->result[1] < 0)
        return 0;
    return pair->copy[1].generation > pair->copy[0].generation;
}

/* Does the header fit the mailbox it was found in? */
static int check_header(const struct mailbox *m, const struct mailbox_header *h)
{
    if (strcmp(h->unique_id, m->id) != 0 || h->uidvalidity == 0)
        return ERR_CORRUPT;
    if (h->exists > h->records || h->expunged != h->records - h->exists)
        return ERR_CORRUPT;
    return 0;
}

/* The header, if the copy with the higher generation (a word that never tears) is whole; ERR_AGAIN if a writer may be at
 * it.  What the other one is does not matter. */
static int load_unlocked(struct mailbox *m)
{
    unsigned char raw[INDEX_HEADERS_SIZE];
    const unsigned char *newest = raw;
    int r = file_pread(m->fd, raw, sizeof(raw), 0);

    if (r < 0)
        return r == ERR_EOF ? ERR_CORRUPT : r;
    if (header_generation(raw + INDEX_HEADER_B) > header_generation(raw))
        newest += INDEX_HEADER_B;
    return header_decode(newest, &m->header) == 0 ? check_header(m, &m->header) : ERR_AGAIN;
}

static int load_locked(struct mailbox *m)
{
    struct header_pair pair;
    struct lock *lock = NULL;
    int r;

    if (m->lock == NULL) {
        r = lock_acquire(m->fd, LOCK_SHARED, m->store->options.lock_ms, &lock);
        if (r < 0)
            return r;
    }
    r = header_pair_read(m->fd, &pair);
    lock_release(&lock);
    if (r == 0)
        r = header_pair_newest(&pair);
    if (r < 0)
        return r;
    m->header = pair.copy[r];
    return check_header(m, &m->header);
}

int mailbox_load(struct mailbox *m)
{
    m->loaded = clock_ms();
    for (int i = 0; i < READ_TRIES; i++) {
        int r = load_unlocked(m);

        if (r != ERR_AGAIN)
            return r;
        m->store->read_retries++;
        sched_yield();
    }
    return load_locked(m);
}

int mailbox_open(struct store *store, const char *partition, const char *id, struct mailbox **mailbox_r)
{
    struct buf dir = BUF_INIT;
    struct mailbox *m;
    int r = mailbox_dir(store, partition, id, &dir);

    *mailbox_r = NULL;
    if (r < 0) {
        buf_free(&dir);
        return r == ERR_BADNAME ? ERR_NOTFOUND : r;
    }
    m = mailbox_new(store, partition, id, buf_steal(&dir));
    r = mailbox_open_index(m);
    if (r == 0)
        r = mailbox_load(m);
    if (r < 0)
        mailbox_close(&m);
    *mailbox_r = m;
    return r;
}

int mailbox_refresh(struct mailbox *m)
{
    struct stat st = {.st_nlink = 0};
    int r;

    MAGIC_CHECK(m, MAILBOX_MAGIC);
    if (m->lock != NULL)
        return 0;
    if (m->fd >= 0 && fstat(m->fd, &st) != 0)
        return error_from_errno(errno);
    if (st.st_nlink == 0) { /* compacted, or deleted */
        r = mailbox_open_index(m);
        if (r < 0)
            return r;
    }
    return mailbox_load(m);
}

/* ---- accessors ---- */

const struct mailbox_header *mailbox_header(const struct mailbox *mailbox)
{
    return &mailbox->header;
}

struct store *mailbox_store(const struct mailbox *mailbox)
{
    return mailbox->store;
}

const char *mailbox_partition(const struct mailbox *mailbox)
{
    return mailbox->partition;
}

const char *mailbox_id(const struct mailbox *mailbox)
{
    return mailbox->id;
}

void mailbox_index_path(const struct mailbox *mailbox, struct buf *to)
{
    buf_printf(to, "%s/index", mailbox->apart ? mailbox->apart_dir : mailbox->dir);
}
