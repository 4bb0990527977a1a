#include "master/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/lock.h"
#include "lib/base/mem.h"

/* Held until the process ends. */
static struct lock *held;

static int open_file(const char *path, int flags)
{
    int fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | flags, 0644);

    return fd < 0 ? error_from_errno(errno) : fd;
}

/* Could the file be written?  It is not made yet: who waits for it may read it as soon as it is there. */
static int check_writable(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash == path   ? xstrdup("/")
                : slash == NULL ? xstrdup(".")
                                : xstrndup(path, (size_t)(slash - path));
    int fd = open_file(path, 0), r = 0;

    if (fd >= 0)
        close(fd);
    else if (fd != ERR_NOTFOUND)
        r = fd;
    else if (access(dir, W_OK | X_OK) != 0)
        r = error_from_errno(errno);
    free(dir);
    return r;
}

int pidfile_lock(const char *path, char **error_r)
{
    char *lock_path = xstrprintf("%s.lock", path);
    int fd, r;

    file_make_parents(path, 0755, 0);
    fd = open_file(lock_path, O_CREAT);
    r = fd < 0 ? fd : lock_acquire(fd, LOCK_EXCLUSIVE, 0, &held);
    if (r == ERR_TIMEOUT) {
        *error_r = xstrprintf("%s: another master holds it", lock_path);
        r = ERR_BUSY;
    } else if (r < 0) {
        *error_r = xstrprintf("%s: %s", lock_path, error_text(r));
    } else if ((r = check_writable(path)) < 0) {
        *error_r = xstrprintf("%s: %s", path, error_text(r));
    }
    if (r < 0 && fd >= 0 && held == NULL)
        close(fd);
    free(lock_path);
    return r;
}

static int write_text(const char *path, const char *text)
{
    int fd = open_file(path, O_CREAT | O_TRUNC), r;

    if (fd < 0)
        return fd;
    r = file_write(fd, text, strlen(text));
    close(fd);
    return r;
}

int pidfile_write(const char *path)
{
    char text[32];

    snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    return write_text(path, text);
}

int pidfile_write_ready(const char *path)
{
    return write_text(path, "");
}
