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
    int to_fd;
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
    return syncfs(r->to_fd) == 0 ? 0 : error_from_errno(errno);
}

/* Two partitions may be one directory. */
static bool is_same(const char *a, const char *b)
{
    struct stat x, y;

    return strcmp(a, b) == 0 ||
           (stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

/* ---- before ---- */

static int make_directory(struct relocation *r, const char *to)
{
    struct buf dir = BUF_INIT;
    int result = mailbox_dir(r->store, to, r->m->id, &dir);

    if (result == 0 && is_same(r->m->dir, buf_cstr(&dir)))
        result = ERR_INVALID;
    if (result == 0)
        result = file_remove_tree(buf_cstr(&dir));
    if (result == 0)
        result = file_make_dirs(buf_cstr(&dir), 0700, 1);
    if (result < 0) {
        buf_free(&dir);
        return result;
    }
    r->to = buf_steal(&dir);
    r->to_fd = open(r->to, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return r->to_fd < 0 ? error_from_errno(errno) : 0;
}

int relocate_begin(struct store *store, const char *id, const char *from, const char *to,
                   struct relocation **relocation_r)
{
    struct relocation *r = xcalloc(1, sizeof(*r));
    int result = mailbox_open(store, from, id, &r->m), dir;

    r->store = store;
    r->to_fd = -1;
    if (result == 0)
        result = make_directory(r, to);
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
    from = openat(mailbox_dir_fd(r->m), name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (from < 0)
        return errno == ENOENT ? 0 : error_from_errno(errno);
    result = copy_as(from, r->to_fd, name);
    close(from);
    return result;
}

/* The cache can be made anew: one that is not there is no reason to stay. */
static int bring_index(struct relocation *r)
{
    char name[32];
    int cache, result;

    snprintf(name, sizeof(name), "cache.%" PRIu32, r->m->header.cache_generation);
    cache = openat(mailbox_dir_fd(r->m), name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    result = cache < 0 ? 0 : copy_as(cache, r->to_fd, name);
    if (cache >= 0)
        close(cache);
    if (result == 0)
        result = bring_annotations(r);
    return result == 0 ? copy_as(r->m->fd, r->to_fd, "index") : result;
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
    if (result == 0 && unlinkat(mailbox_dir_fd(r->m), "index", 0) != 0)
        result = error_from_errno(errno);
    r->closed = result == 0;
    return result;
}

/* ---- the end ---- */

static void relocation_free(struct relocation **relocation)
{
    struct relocation *r = *relocation;

    mailbox_close(&r->m);
    if (r->to_fd >= 0)
        close(r->to_fd);
    free(r->to);
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
    (void)file_remove_tree((*relocation)->m->dir);
    relocation_free(relocation);
}

void relocate_abort(struct relocation **relocation)
{
    struct relocation *r = *relocation;

    if (r == NULL)
        return;
    /* if that fails recovery has the new place to do it from */
    if (r->to != NULL && (!r->closed || restore_index(r->m->fd, mailbox_dir_fd(r->m)) == 0))
        (void)file_remove_tree(r->to);
    relocation_free(relocation);
}

/* ---- after a crash ---- */

static bool has_index(int dir)
{
    return faccessat(dir, "index", F_OK, 0) == 0;
}

/* The old index is gone, and the mailbox did not come to belong to the new place: which has a whole copy. */
static int bring_back(int here, int there)
{
    int index = openat(there, "index", O_RDONLY | O_CLOEXEC | O_NOFOLLOW), result;

    if (index < 0)
        return error_from_errno(errno);
    result = restore_index(index, here);
    close(index);
    return result;
}

static int open_directory(const char *path)
{
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* Nothing goes while it might be all that there is. */
static int recover(const char *at, const char *other)
{
    int here = open_directory(at), there = open_directory(other), result = 0;

    if (here >= 0 && there >= 0 && !is_same(at, other)) {
        if (!has_index(here))
            result = bring_back(here, there);
        if (result == 0)
            result = file_remove_tree(other);
    }
    if (here >= 0)
        close(here);
    if (there >= 0)
        close(there);
    return result;
}

int relocate_recover(struct store *store, const char *id, const char *at, const char *other)
{
    struct buf there = BUF_INIT, here = BUF_INIT;
    int result = mailbox_dir(store, at, id, &here);

    if (result == 0)
        result = mailbox_dir(store, other, id, &there);
    if (result == 0)
        result = recover(buf_cstr(&here), buf_cstr(&there));
    buf_free(&there);
    buf_free(&here);
    return result;
}
