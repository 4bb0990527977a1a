#include "cunit/imap/store/power/trace.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/base/mem.h"

static struct trace trace;
static size_t room;
static bool recording;
static dev_t device;
static const char *boot;

/* Inode numbers that were given anew. */
static struct renewed {
    uint64_t ino, id;
} * renewed;
static size_t renewed_count;
static uint64_t last_id;

/* ---- the record ---- */

static struct trace_event *add(enum trace_kind kind, uint64_t ino)
{
    struct trace_event *e;

    if (trace.count == room) {
        room = room > 0 ? room * 2 : 256;
        trace.events = xreallocarray(trace.events, room, sizeof(*trace.events));
    }
    e = &trace.events[trace.count++];
    memset(e, 0, sizeof(*e));
    e->kind = kind;
    e->ino = ino;
    return e;
}

void trace_begin(const char *directory)
{
    struct stat st;

    BUG_ON(stat(directory, &st) != 0);
    device = st.st_dev;
    memset(&trace, 0, sizeof(trace));
    room = renewed_count = 0;
    last_id = UINT64_C(1) << 62;
    recording = true;
}

void trace_end(struct trace *trace_r)
{
    recording = false;
    free(renewed);
    renewed = NULL;
    *trace_r = trace;
}

void trace_free(struct trace *t)
{
    for (size_t i = 0; i < t->count; i++) {
        free(t->events[i].name);
        free(t->events[i].name2);
        free(t->events[i].data);
    }
    free(t->events);
}

void trace_boot(const char *boot_id)
{
    boot = boot_id;
}

static uint64_t id_of(uint64_t ino)
{
    for (size_t i = renewed_count; i > 0; i--) {
        if (renewed[i - 1].ino == ino)
            return renewed[i - 1].id;
    }
    return ino;
}

/* A file that has just been made: its number may have been another's. */
static uint64_t id_of_new(uint64_t ino)
{
    renewed = xreallocarray(renewed, renewed_count + 1, sizeof(*renewed));
    renewed[renewed_count++] = (struct renewed){ino, ++last_id};
    return last_id;
}

/* The inode behind a descriptor on the recorded file system; 0: another, or no file or directory. */
static uint64_t ino_of(int fd)
{
    struct stat st;

    if (!recording || fstat(fd, &st) != 0 || st.st_dev != device ||
        !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
        return 0;
    return id_of(st.st_ino);
}

/* The directory and the last component of a path, and what is there now (0: nothing).  False: not ours. */
static bool place(int at, const char *path, uint64_t *dir_r, const char **name_r, uint64_t *ino_r)
{
    const char *slash = strrchr(path, '/');
    char *parent = slash != NULL ? xstrndup(path, (size_t)(slash - path) + 1) : xstrdup(".");
    struct stat st;
    bool ours = recording && fstatat(at, parent, &st, 0) == 0 && st.st_dev == device;

    free(parent);
    if (!ours)
        return false;
    *dir_r = id_of(st.st_ino);
    *name_r = slash != NULL ? slash + 1 : path;
    *ino_r = fstatat(at, path, &st, AT_SYMLINK_NOFOLLOW) == 0 ? id_of(st.st_ino) : 0;
    return true;
}

static struct trace_event *add_name(uint64_t dir, const char *name, uint64_t ino)
{
    struct trace_event *e = add(TRACE_NAME, ino);

    e->dir = dir;
    e->name = xstrdup(name);
    return e;
}

static uint64_t made(int fd)
{
    struct stat st;

    BUG_ON(fstat(fd, &st) != 0);
    return id_of_new(st.st_ino);
}

static void keep(struct trace_event *e, const void *data, size_t n)
{
    e->data = xmalloc(n);
    memcpy(e->data, data, n);
    e->len = n;
}

/* LMDB writes its last page through a descriptor that syncs by itself. */
static void add_write(int fd, int64_t offset, const void *data, size_t n)
{
    uint64_t ino = ino_of(fd);
    struct trace_event *e;

    if (ino == 0)
        return;
    e = add(TRACE_WRITE, ino);
    e->offset = offset;
    keep(e, data, n);
    if (fcntl(fd, F_GETFL) & O_DSYNC)
        add(TRACE_SYNC, ino);
}

void trace_mark(const void *data, size_t n)
{
    keep(add(TRACE_MARK, 0), data, n);
}

/* ---- in place of libc's ---- */

int openat(int at, const char *path, int flags, ...)
{
    uint64_t dir = 0, before = 0;
    const char *name = NULL;
    bool ours;
    mode_t mode = 0;
    va_list ap;
    int fd;

    va_start(ap, flags);
    if (flags & (O_CREAT | __O_TMPFILE))
        mode = va_arg(ap, mode_t);
    va_end(ap);
    if (boot != NULL && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0) {
        fd = (int)syscall(SYS_memfd_create, "boot", MFD_CLOEXEC);
        BUG_ON(syscall(SYS_write, fd, boot, strlen(boot)) < 0 || lseek(fd, 0, SEEK_SET) != 0);
        return fd;
    }
    ours = place(at, path, &dir, &name, &before);
    fd = (int)syscall(SYS_openat, at, path, flags, mode);
    if (fd < 0 || !ours)
        return fd;
    if ((flags & O_TMPFILE) == O_TMPFILE)
        made(fd);
    else if (before == 0 && (flags & O_CREAT))
        add_name(dir, name, made(fd));
    else if (flags & O_TRUNC)
        add(TRACE_TRUNCATE, ino_of(fd));
    return fd;
}

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list ap;

    va_start(ap, flags);
    if (flags & (O_CREAT | __O_TMPFILE))
        mode = va_arg(ap, mode_t);
    va_end(ap);
    return openat(AT_FDCWD, path, flags, mode);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t offset)
{
    ssize_t r = syscall(SYS_pwrite64, fd, data, n, offset);

    if (r > 0)
        add_write(fd, offset, data, (size_t)r);
    return r;
}

ssize_t write(int fd, const void *data, size_t n)
{
    off_t at = recording ? lseek(fd, 0, SEEK_CUR) : 0;
    ssize_t r = syscall(SYS_write, fd, data, n);

    if (r > 0)
        add_write(fd, at, data, (size_t)r);
    return r;
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    ssize_t done = 0;

    for (int i = 0; i < count; i++) {
        ssize_t r = pwrite(fd, iov[i].iov_base, iov[i].iov_len, offset + done);

        if (r < 0)
            return done > 0 ? done : r;
        done += r;
        if ((size_t)r < iov[i].iov_len)
            break;
    }
    return done;
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    ssize_t done = 0;

    for (int i = 0; i < count; i++) {
        ssize_t r = write(fd, iov[i].iov_base, iov[i].iov_len);

        if (r < 0)
            return done > 0 ? done : r;
        done += r;
        if ((size_t)r < iov[i].iov_len)
            break;
    }
    return done;
}

int ftruncate(int fd, off_t size)
{
    int r = (int)syscall(SYS_ftruncate, fd, size);
    uint64_t ino = r == 0 ? ino_of(fd) : 0;

    if (ino != 0)
        add(TRACE_TRUNCATE, ino)->offset = size;
    return r;
}

int linkat(int at, const char *path, int to_at, const char *to, int flags)
{
    int r = (int)syscall(SYS_linkat, at, path, to_at, to, flags);
    const char *name;
    uint64_t dir, ino;

    if (r == 0 && place(to_at, to, &dir, &name, &ino))
        add_name(dir, name, ino);
    return r;
}

int link(const char *path, const char *to)
{
    return linkat(AT_FDCWD, path, AT_FDCWD, to, 0);
}

int unlinkat(int at, const char *path, int flags)
{
    const char *name;
    uint64_t dir, ino;
    bool ours = place(at, path, &dir, &name, &ino);
    int r = (int)syscall(SYS_unlinkat, at, path, flags);

    if (r == 0 && ours)
        add_name(dir, name, 0);
    return r;
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int remove(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) ? rmdir(path) : unlink(path);
}

int renameat(int at, const char *path, int to_at, const char *to)
{
    const char *name, *to_name;
    uint64_t dir, ino, to_dir, gone;
    bool ours = place(at, path, &dir, &name, &ino) && place(to_at, to, &to_dir, &to_name, &gone);
    int r = (int)syscall(SYS_renameat2, at, path, to_at, to, 0);
    struct trace_event *e;

    if (r != 0 || !ours)
        return r;
    e = add(TRACE_MOVE, ino);
    e->dir = dir;
    e->dir2 = to_dir;
    e->name = xstrdup(name);
    e->name2 = xstrdup(to_name);
    return r;
}

int rename(const char *path, const char *to)
{
    return renameat(AT_FDCWD, path, AT_FDCWD, to);
}

int mkdir(const char *path, mode_t mode)
{
    int r = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    const char *name;
    uint64_t dir, ino;

    if (r == 0 && place(AT_FDCWD, path, &dir, &name, &ino)) {
        struct stat st;

        BUG_ON(stat(path, &st) != 0);
        add_name(dir, name, id_of_new(st.st_ino))->is_dir = true;
    }
    return r;
}

static int synced(int r, int fd)
{
    uint64_t ino = r == 0 ? ino_of(fd) : 0;

    if (ino != 0)
        add(TRACE_SYNC, ino);
    return r;
}

int fsync(int fd)
{
    return synced((int)syscall(SYS_fsync, fd), fd);
}

int fdatasync(int fd)
{
    return synced((int)syscall(SYS_fdatasync, fd), fd);
}

int syncfs(int fd)
{
    int r = (int)syscall(SYS_syncfs, fd);

    if (r == 0 && ino_of(fd) != 0)
        add(TRACE_SYNC, 0);
    return r;
}

/* The names that programs built for large files use. */
int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int at, const char *path, int flags, ...) __attribute__((alias("openat")));
ssize_t pwrite64(int fd, const void *data, size_t n, off_t offset) __attribute__((alias("pwrite")));
ssize_t pwritev64(int fd, const struct iovec *iov, int count, off_t offset) __attribute__((alias("pwritev")));
int ftruncate64(int fd, off_t size) __attribute__((alias("ftruncate")));
