#include "lib/base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

struct lock {
    struct inode_lock *inode;
    enum lock_mode mode;
    int fd;
    bool owns_fd;
    struct lock *next; /* of the inode's holders */
};

/* What the threads of this process hold of one inode. */
struct inode_lock {
    dev_t dev;
    ino_t ino;
    unsigned users; /* who holds it or waits for it */
    bool exclusive;
    struct lock *holders;
    pthread_cond_t changed;
    struct inode_lock *next;
};

enum { BUCKETS = 256, POLL_FIRST_US = 200, POLL_MOST_US = 20000 };

/* `inodes` and all in it are guarded by `table_lock`. */
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct inode_lock *inodes[BUCKETS];

static struct inode_lock **bucket(dev_t dev, ino_t ino)
{
    return &inodes[((uint64_t)ino * 0x9e3779b97f4a7c15u >> 32 ^ (uint64_t)dev) % BUCKETS];
}

static struct inode_lock *inode_get(dev_t dev, ino_t ino)
{
    struct inode_lock **first = bucket(dev, ino), *i = *first;
    pthread_condattr_t attr;

    while (i != NULL && (i->dev != dev || i->ino != ino))
        i = i->next;
    if (i == NULL) {
        i = xcalloc(1, sizeof(*i));
        i->dev = dev;
        i->ino = ino;
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&i->changed, &attr);
        pthread_condattr_destroy(&attr);
        i->next = *first;
        *first = i;
    }
    i->users++;
    return i;
}

static void inode_put(struct inode_lock *inode)
{
    struct inode_lock **at = bucket(inode->dev, inode->ino);

    if (--inode->users > 0)
        return;
    while (*at != inode)
        at = &(*at)->next;
    *at = inode->next;
    pthread_cond_destroy(&inode->changed);
    free(inode);
}

static bool is_free(const struct inode_lock *i, enum lock_mode mode)
{
    return !i->exclusive && (mode == LOCK_SHARED || i->holders == NULL);
}

/* Waits for the inode among the threads of this process.  0, ERR_TIMEOUT. */
static int take_in_process(struct lock *l, int64_t deadline)
{
    struct timespec until = {.tv_sec = deadline / 1000, .tv_nsec = deadline % 1000 * 1000000};
    struct inode_lock *i = l->inode;

    while (!is_free(i, l->mode)) {
        int e = deadline == CLOCK_NEVER ? pthread_cond_wait(&i->changed, &table_lock)
                                        : pthread_cond_timedwait(&i->changed, &table_lock, &until);

        if (e == ETIMEDOUT && !is_free(i, l->mode))
            return ERR_TIMEOUT;
    }
    i->exclusive = l->mode == LOCK_EXCLUSIVE;
    l->next = i->holders;
    i->holders = l;
    return 0;
}

static int file_lock(int fd, short type)
{
    struct flock fl = {.l_type = type, .l_whence = SEEK_SET};

    while (fcntl(fd, F_OFD_SETLK, &fl) != 0) {
        if (errno != EINTR)
            return errno == EAGAIN || errno == EACCES ? ERR_AGAIN : ERR_IO;
    }
    return 0;
}

/* Waits for other processes.  There is no OFD lock with a time limit, so it polls, ever slower. */
static int take_between_processes(int fd, enum lock_mode mode, int64_t deadline)
{
    short type = mode == LOCK_EXCLUSIVE ? F_WRLCK : F_RDLCK;
    useconds_t pause = POLL_FIRST_US;
    int r;

    while ((r = file_lock(fd, type)) == ERR_AGAIN) {
        if (clock_left(deadline) == 0)
            return ERR_TIMEOUT;
        usleep(pause);
        pause = pause * 2 > POLL_MOST_US ? POLL_MOST_US : pause * 2;
    }
    return r;
}

/* Does another lock of this process stand on the same descriptor (shared ones may)? */
static bool fd_in_use(const struct inode_lock *i, int fd)
{
    for (const struct lock *l = i->holders; l != NULL; l = l->next) {
        if (l->fd == fd)
            return true;
    }
    return false;
}

/* Gives the inode back, to other processes first.  Under the table's lock, so that no thread takes
 * the same descriptor's lock between the two. */
static void let_go(struct lock *l)
{
    struct inode_lock *i = l->inode;
    struct lock **at = &i->holders;

    pthread_mutex_lock(&table_lock);
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    if (!fd_in_use(i, l->fd))
        file_lock(l->fd, F_UNLCK);
    if (l->mode == LOCK_EXCLUSIVE)
        i->exclusive = false;
    pthread_cond_broadcast(&i->changed);
    inode_put(i);
    pthread_mutex_unlock(&table_lock);
}

int lock_acquire(int fd, enum lock_mode mode, int64_t timeout_ms, struct lock **lock_r)
{
    int64_t deadline = clock_deadline(timeout_ms);
    struct lock *l;
    struct stat st;
    int r;

    *lock_r = NULL;
    if (fstat(fd, &st) != 0)
        return ERR_IO;
    l = xcalloc(1, sizeof(*l));
    l->mode = mode;
    l->fd = fd;
    pthread_mutex_lock(&table_lock);
    l->inode = inode_get(st.st_dev, st.st_ino);
    r = take_in_process(l, deadline);
    if (r < 0)
        inode_put(l->inode);
    pthread_mutex_unlock(&table_lock);
    if (r == 0) {
        r = take_between_processes(fd, mode, deadline);
        if (r < 0)
            let_go(l);
    }
    if (r == 0)
        *lock_r = l;
    else
        free(l);
    return r;
}

void lock_release(struct lock **lp)
{
    struct lock *l = *lp;

    if (l == NULL)
        return;
    let_go(l);
    if (l->owns_fd)
        close(l->fd);
    free(l);
    *lp = NULL;
}

static int open_lock_file(const char *path, int *fd_r)
{
    int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
    int r;

    *fd_r = open(path, flags, 0600);
    if (*fd_r < 0 && errno == ENOENT) {
        r = file_make_parents(path, 0700, 0);
        if (r < 0)
            return r;
        *fd_r = open(path, flags, 0600);
    }
    return *fd_r < 0 ? error_from_errno(errno) : 0;
}

static bool still_names(const char *path, int fd)
{
    struct stat by_path, by_fd;

    return stat(path, &by_path) == 0 && fstat(fd, &by_fd) == 0 && by_path.st_dev == by_fd.st_dev &&
           by_path.st_ino == by_fd.st_ino;
}

int lock_acquire_path(const char *path, int64_t timeout_ms, struct lock **lock_r)
{
    int64_t deadline = clock_deadline(timeout_ms);

    *lock_r = NULL;
    for (;;) {
        int fd, r = open_lock_file(path, &fd);

        if (r < 0)
            return r;
        r = lock_acquire(fd, LOCK_EXCLUSIVE, clock_left(deadline), lock_r);
        if (r < 0) {
            close(fd);
            return r;
        }
        (*lock_r)->owns_fd = true;
        if (still_names(path, fd))
            return 0;
        lock_release(lock_r); /* removed or replaced meanwhile */
    }
}
