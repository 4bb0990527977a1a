/* freespace.c: how much room the partitions' file systems have. */
#include <sys/statvfs.h>

#include "imap/store/metadata.h"
#include "lib/base/config.h"
#include "lib/base/mem.h"

enum { FILESYSTEMS_MAX = 64 };

struct space {
    uint64_t free_kib, total_kib;
};

struct survey {
    unsigned long seen[FILESYSTEMS_MAX]; /* file systems counted: partitions may share one */
    size_t count;
    struct space all, emptiest; /* emptiest: by its percentage */
};

static bool is_new(struct survey *s, unsigned long filesystem)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->seen[i] == filesystem)
            return false;
    if (s->count < FILESYSTEMS_MAX)
        s->seen[s->count++] = filesystem;
    return true;
}

static double share(struct space space)
{
    return space.total_kib > 0 ? (double)space.free_kib / (double)space.total_kib : 0;
}

static void survey_partition(const char *name, const char *directory, void *context)
{
    struct survey *s = context;
    struct space space;
    struct statvfs fs;

    (void)name;
    if (statvfs(directory, &fs) < 0 || !is_new(s, fs.f_fsid))
        return;
    space.free_kib = (uint64_t)fs.f_bavail * fs.f_frsize / 1024;
    space.total_kib = (uint64_t)fs.f_blocks * fs.f_frsize / 1024;
    s->all.free_kib += space.free_kib;
    s->all.total_kib += space.total_kib;
    if (s->emptiest.total_kib == 0 || share(space) > share(s->emptiest))
        s->emptiest = space;
}

const char *freespace_text(struct pool *pool, bool most)
{
    struct survey s = {.count = 0};
    struct space space;

    config_overflow_each("partition-", survey_partition, &s);
    space = most ? s.emptiest : s.all;
    return pool_printf(pool, "%llu;%llu", (unsigned long long)space.free_kib,
                       (unsigned long long)space.total_kib);
}
