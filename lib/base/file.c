#include "lib/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"

int file_read_all(const char *path, size_t max, struct buf *to)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t got = 0;
    int r = 0;

    if (fd < 0)
        return error_from_errno(errno);
    for (;;) {
        ssize_t n = read(fd, buf_reserve(to, 8192), 8192);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            r = error_from_errno(errno);
        if (n <= 0)
            break;
        got += (size_t)n;
        if (got > max) {
            r = ERR_TOOBIG;
            break;
        }
        buf_added(to, (size_t)n);
    }
    close(fd);
    return r;
}

int file_write(int fd, const void *data, size_t n)
{
    const char *p = data;

    while (n > 0) {
        ssize_t k = write(fd, p, n);

        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return error_from_errno(errno);
        p += k;
        n -= (size_t)k;
    }
    return 0;
}

int file_pwrite(int fd, const void *data, size_t n, int64_t offset)
{
    const char *p = data;

    while (n > 0) {
        ssize_t k = pwrite(fd, p, n, offset);

        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return error_from_errno(errno);
        p += k;
        offset += k;
        n -= (size_t)k;
    }
    return 0;
}

ssize_t file_pread_some(int fd, void *data, size_t n, int64_t offset)
{
    char *p = data;
    size_t got = 0;

    while (got < n) {
        ssize_t k = pread(fd, p + got, n - got, offset + (int64_t)got);

        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return error_from_errno(errno);
        if (k == 0)
            break;
        got += (size_t)k;
    }
    return (ssize_t)got;
}

int file_pread(int fd, void *data, size_t n, int64_t offset)
{
    ssize_t got = file_pread_some(fd, data, n, offset);

    if (got < 0)
        return (int)got;
    return (size_t)got == n ? 0 : ERR_EOF;
}

static int write_and_sync(const char *path, const void *data, size_t n, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
    int r;

    if (fd < 0)
        return error_from_errno(errno);
    r = file_write(fd, data, n);
    if (r == 0 && fsync(fd) != 0)
        r = error_from_errno(errno);
    if (close(fd) != 0 && r == 0)
        r = error_from_errno(errno);
    return r;
}

int file_replace(const char *path, const void *data, size_t n, mode_t mode)
{
    char *tmp = xstrprintf("%s.%ld.tmp", path, (long)gettid());
    int r = write_and_sync(tmp, data, n, mode);

    if (r == 0 && rename(tmp, path) != 0)
        r = error_from_errno(errno);
    if (r == 0)
        r = file_sync_parent(path);
    else
        unlink(tmp);
    free(tmp);
    return r;
}

int file_make_dirs(const char *path, mode_t mode, int sync)
{
    int r;

    if (mkdir(path, mode) == 0)
        return sync ? file_sync_parent(path) : 0;
    if (errno == EEXIST)
        return 0;
    if (errno != ENOENT)
        return error_from_errno(errno);
    r = file_make_parents(path, mode, sync);
    if (r < 0)
        return r;
    if (mkdir(path, mode) != 0 && errno != EEXIST)
        return error_from_errno(errno);
    return sync ? file_sync_parent(path) : 0;
}

/* The directory part of a path, malloc'ed. */
static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return xstrdup(".");
    return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

int file_make_parents(const char *path, mode_t mode, int sync)
{
    char *dir = parent_of(path);
    int r = strcmp(dir, path) == 0 ? ERR_NOTFOUND : file_make_dirs(dir, mode, sync);

    free(dir);
    return r;
}

int file_sync_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = 0;

    if (fd < 0)
        return error_from_errno(errno);
    if (fsync(fd) != 0)
        r = error_from_errno(errno);
    close(fd);
    return r;
}

int file_sync_parent(const char *path)
{
    char *dir = parent_of(path);
    int r = file_sync_dir(dir);

    free(dir);
    return r;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path) == 0 || errno == ENOENT ? 0 : errno;
}

int file_remove_tree(const char *path)
{
    int r = nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);

    if (r == 0 || (r < 0 && errno == ENOENT))
        return 0;
    return error_from_errno(r > 0 ? r : errno);
}
