/* relocate.c: a mailbox's files go to another partition. */
#include "imap/store/relocate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "imap/store/annotate-private.h"
#include "imap/store/mailbox-private.h"
#include "imap/store/stage-private.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

enum { COPY_BATCH = 16 }; /* messages between two looks at other work */

struct relocation {
    struct store *store;
    struct mailbox *m; /* at the old place */
    char *to;          /* the new directory */
    char *to_apart;    /* on its metapartition; NULL: nothing of this mailbox may be there */
    int to_fd;
    int metadata_fd;           /* where index, cache and annotations go: in one of the two */
    uint32_t *uids, count, at; /* to be copied beforehand */
    bool closed;               /* the old index is gone */
};

/* ---- files ---- */

/* A copy of the file behind fd.  With its time: reconstruct makes dates from it. */
static int copy_as(int fd, int dir, const char *name)
{
    int copy = stage_copy_file(fd, dir), result = 0;
    struct stat st;
    char path[32];

    if (copy < 0)
        return copy;
    fd_path(path, copy);
    if (fstat(fd, &st) != 0 || futimens(copy, (struct timespec[]){st.st_atim, st.st_mtim}) != 0 ||
        linkat(AT_FDCWD, path, dir, name, AT_SYMLINK_FOLLOW) != 0)
        result = error_from_errno(errno);
    close(copy);
    return result;
}

/* On one file system the new place gets another name of the same file. */
static int bring_message(struct relocation *r, uint32_t uid)
{
    int from = mailbox_dir_fd(r->m), fd, result;
    char name[MESSAGE_NAME_SIZE];

    message_name(name, uid);
    if (from < 0 || linkat(from, name, r->to_fd, name, 0) == 0)
        return from < 0 ? from : 0;
    if (errno == ENOENT || errno == EEXIST) /* expunged meanwhile; there already */
        return 0;
    if (errno != EXDEV)
        return error_from_errno(errno);
    fd = message_file_open(r->m, uid);
    if (fd < 0)
        return fd == ERR_EXPUNGED ? 0 : fd;
    result = copy_as(fd, r->to_fd, name);
    close(fd);
    return result;
}

/* The whole file system: one call, however many messages. */
static int sync_new(struct relocation *r)
{
    if (syncfs(r->to_fd) != 0 || (r->metadata_fd != r->to_fd && syncfs(r->metadata_fd) != 0))
        return error_from_errno(errno);
    return 0;
}

/* ---- before ---- */

static int open_directory(const char *path)
{
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* Is it one where the mailbox has files now?  Partitions may be one directory, and share a metapartition. */
static bool is_old(const struct relocation *r, const char *dir)
{
    return mailbox_same_dir(r->m->dir, dir) ||
           (r->m->apart_dir != NULL && mailbox_same_dir(r->m->apart_dir, dir));
}

static int make_empty(const char *dir)
{
    int result = file_remove_tree(dir);

    return result == 0 ? file_make_dirs(dir, 0700, 1) : result;
}

static int make_directory(struct relocation *r, const char *to)
{
    struct buf dir = BUF_INIT;
    int result = mailbox_dir(r->store, to, r->m->id, &dir);

    if (result == 0 && is_old(r, buf_cstr(&dir)))
        result = ERR_INVALID;
    if (result == 0)
        result = make_empty(buf_cstr(&dir));
    if (result < 0) {
        buf_free(&dir);
        return result;
    }
    r->to = buf_steal(&dir);
    r->to_fd = r->metadata_fd = open_directory(r->to);
    return r->to_fd < 0 ? error_from_errno(errno) : 0;
}

static bool is_taken(const struct relocation *r, const char *dir)
{
    return is_old(r, dir) || mailbox_same_dir(r->to, dir);
}

/* The new place of the metadata.  Where both partitions have one metapartition the old files must stay whole, so the new
 * ones go beside the messages. */
static int make_apart(struct relocation *r, const char *to)
{
    struct buf dir = BUF_INIT;
    int result = mailbox_apart_dir(r->store, to, r->m->id, &dir);

    if (result == 0 && !is_taken(r, buf_cstr(&dir))) {
        result =
            r->store->options.metadata_apart ? make_empty(buf_cstr(&dir)) : file_remove_tree(buf_cstr(&dir));
        /* now that it is there it can be seen to be the same */
        if (result == 0 && !is_taken(r, buf_cstr(&dir)))
            r->to_apart = xstrdup(buf_cstr(&dir));
    }
    buf_free(&dir);
    if (result < 0 || r->to_apart == NULL || !r->store->options.metadata_apart)
        return result == ERR_NOTFOUND ? 0 : result;
    r->metadata_fd = open_directory(r->to_apart);
    return r->metadata_fd < 0 ? error_from_errno(errno) : 0;
}

int relocate_begin(struct store *store, const char *id, const char *from, const char *to,
                   struct relocation **relocation_r)
{
    struct relocation *r = xcalloc(1, sizeof(*r));
    int result = mailbox_open(store, from, id, &r->m), dir;

    r->store = store;
    r->to_fd = r->metadata_fd = -1;
    if (result == 0)
        result = make_directory(r, to);
    if (result == 0)
        result = make_apart(r, to);
    if (result == 0) {
        dir = mailbox_dir_fd(r->m);
        result = dir < 0 ? dir : message_files_list(dir, &r->uids, &r->count);
    }
    /* a file above the last UID may be an orphan, whose name an append gives to another message */
    while (result == 0 && r->count > 0 && r->uids[r->count - 1] > mailbox_header(r->m)->last_uid)
        r->count--;
    *relocation_r = r;
    if (result < 0)
        relocate_abort(relocation_r);
    return result;
}

int relocate_copy(struct relocation *r)
{
    for (unsigned i = 0; i < COPY_BATCH && r->at < r->count; i++, r->at++) {
        int result = bring_message(r, r->uids[r->at]);

        if (result < 0)
            return result;
    }
    return r->at < r->count ? 1 : sync_new(r);
}

/* ---- under the lock ---- */

/* The new place gets the names that the old one has, and no others. */
static int bring_rest(struct relocation *r)
{
    uint32_t *old = NULL, *new = NULL, old_count = 0, new_count = 0;
    char name[MESSAGE_NAME_SIZE];
    int result = message_files_list(mailbox_dir_fd(r->m), &old, &old_count);

    if (result == 0)
        result = message_files_list(r->to_fd, &new, &new_count);
    for (uint32_t i = 0; result == 0 && i < new_count; i++) {
        message_name(name, new[i]);
        if (!message_files_have(old, old_count, new[i]) && unlinkat(r->to_fd, name, 0) != 0)
            result = error_from_errno(errno);
    }
    for (uint32_t i = 0; result == 0 && i < old_count; i++)
        if (!message_files_have(new, new_count, old[i]))
            result = bring_message(r, old[i]);
    free(old);
    free(new);
    return result;
}

static int bring_annotations(struct relocation *r)
{
    char name[32];
    int from, result;

    annotate_name(name, r->m->header.cache_generation);
    from = mailbox_open_metadata(r->m, name, O_RDONLY);
    if (from < 0)
        return errno == ENOENT ? 0 : error_from_errno(errno);
    result = copy_as(from, r->metadata_fd, name);
    close(from);
    return result;
}

/* The cache can be made anew: one that is not there is no reason to stay. */
static int bring_index(struct relocation *r)
{
    char name[32];
    int cache, result;

    snprintf(name, sizeof(name), "cache.%" PRIu32, r->m->header.cache_generation);
    cache = mailbox_open_metadata(r->m, name, O_RDONLY);
    result = cache < 0 ? 0 : copy_as(cache, r->metadata_fd, name);
    if (cache >= 0)
        close(cache);
    if (result == 0)
        result = bring_annotations(r);
    return result == 0 ? copy_as(r->m->fd, r->metadata_fd, "index") : result;
}

int relocate_close(struct relocation *r)
{
    int result = index_begin(r->m, r->store->options.lock_ms);

    if (result == 0)
        result = bring_rest(r);
    if (result == 0)
        result = bring_index(r);
    if (result == 0)
        result = sync_new(r);
    if (result == 0)
        result = mailbox_unlink_index(r->m);
    r->closed = result == 0;
    return result;
}

/* ---- the end ---- */

static void relocation_free(struct relocation **relocation)
{
    struct relocation *r = *relocation;

    mailbox_close(&r->m);
    if (r->metadata_fd >= 0 && r->metadata_fd != r->to_fd)
        close(r->metadata_fd);
    if (r->to_fd >= 0)
        close(r->to_fd);
    free(r->to);
    free(r->to_apart);
    free(r->uids);
    free(r);
    *relocation = NULL;
}

/* An index without a name cannot get one again, its copy can. */
static int restore_index(int index, int dir)
{
    int result = copy_as(index, dir, "index");

    if (result == 0 || result == ERR_EXISTS)
        result = syncfs(dir) == 0 ? 0 : error_from_errno(errno);
    return result;
}

void relocate_finish(struct relocation **relocation)
{
    struct mailbox *m = (*relocation)->m;

    if (m->apart_dir != NULL)
        (void)file_remove_tree(m->apart_dir);
    (void)file_remove_tree(m->dir);
    relocation_free(relocation);
}

void relocate_abort(struct relocation **relocation)
{
    struct relocation *r = *relocation;

    if (r == NULL)
        return;
    /* if that fails recovery has the new place to do it from */
    if (r->to != NULL && (!r->closed || restore_index(r->m->fd, mailbox_metadata_fd(r->m)) == 0)) {
        if (r->to_apart != NULL)
            (void)file_remove_tree(r->to_apart);
        (void)file_remove_tree(r->to);
    }
    relocation_free(relocation);
}

/* ---- after a crash ---- */

/* A mailbox's directories on a partition. */
struct place {
    struct buf dir, apart; /* apart.len == 0: no metapartition */
    int fd, apart_fd;      /* -1: not there */
};

static int place_open(struct store *store, const char *partition, const char *id, struct place *p)
{
    int result = mailbox_dir(store, partition, id, &p->dir);

    if (result < 0)
        return result;
    p->fd = open_directory(buf_cstr(&p->dir));
    if (mailbox_apart_dir(store, partition, id, &p->apart) == 0)
        p->apart_fd = open_directory(buf_cstr(&p->apart));
    return 0;
}

static void place_close(struct place *p)
{
    if (p->fd >= 0)
        close(p->fd);
    if (p->apart_fd >= 0)
        close(p->apart_fd);
    buf_free(&p->dir);
    buf_free(&p->apart);
}

/* The index that counts, or an error. */
static int place_index(const struct place *p)
{
    int fd = openat(p->fd, "index", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0 && errno == ENOENT && p->apart_fd >= 0)
        fd = openat(p->apart_fd, "index", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? error_from_errno(errno) : fd;
}

/* Are the cache and the annotations that an index belongs to on the metapartition? */
static bool belongs_apart(const struct place *p, int index)
{
    struct header_pair pair;
    uint32_t generation;
    char name[32];
    int newest = p->apart_fd < 0 ? ERR_NOTFOUND : header_pair_read(index, &pair);

    if (newest == 0)
        newest = header_pair_newest(&pair);
    if (newest < 0)
        return false;
    generation = pair.copy[newest].cache_generation;
    annotate_name(name, generation);
    return cache_exists(p->apart_fd, generation) || faccessat(p->apart_fd, name, F_OK, 0) == 0;
}

/* The old index is gone, and the mailbox did not come to belong to the new place: which has a whole copy. */
static int bring_back(const struct place *here, const struct place *there)
{
    int index = place_index(there), result;

    if (index < 0)
        return index;
    result = restore_index(index, belongs_apart(here, index) ? here->apart_fd : here->fd);
    close(index);
    return result;
}

static bool is_part(const struct place *p, int fd)
{
    return mailbox_same_fd(p->fd, fd) || (p->apart_fd >= 0 && mailbox_same_fd(p->apart_fd, fd));
}

/* Nothing goes while it might be all that there is, nor what both places share. */
static int recover(const struct place *here, const struct place *there)
{
    int index, result = 0;

    if (here->fd < 0 || there->fd < 0 || is_part(here, there->fd))
        return 0;
    index = place_index(here);
    if (index < 0)
        result = index == ERR_NOTFOUND ? bring_back(here, there) : index;
    else
        close(index);
    if (result == 0 && there->apart_fd >= 0 && !is_part(here, there->apart_fd))
        result = file_remove_tree(buf_cstr(&there->apart));
    return result == 0 ? file_remove_tree(buf_cstr(&there->dir)) : result;
}

int relocate_recover(struct store *store, const char *id, const char *at, const char *other)
{
    struct place here = {.fd = -1, .apart_fd = -1}, there = {.fd = -1, .apart_fd = -1};
    int result = place_open(store, at, id, &here);

    if (result == 0)
        result = place_open(store, other, id, &there);
    if (result == 0)
        result = recover(&here, &there);
    place_close(&there);
    place_close(&here);
    return result;
}
