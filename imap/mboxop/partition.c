#include <string.h>
#include <sys/statvfs.h>

#include "imap/mboxop/op-private.h"
#include "lib/base/config.h"
#include "lib/base/digest.h"
#include "lib/base/options.h"

#define PREFIX "partition-"

struct selection {
    struct pool *pool;
    enum opt_select_mode mode;
    unsigned limit;               /* percent; 0: none */
    const char *best, *best_full; /* within the limit; beyond it */
    double score, score_full;
};

/* Higher is better. */
static double score_of(enum opt_select_mode mode, const struct statvfs *fs)
{
    uint32_t random;

    switch (mode) {
    case SELECT_RANDOM:
        digest_random(&random, sizeof(random));
        return (double)random;
    case SELECT_FREESPACE_MOST:
        return (double)fs->f_bavail * (double)fs->f_frsize;
    case SELECT_FREESPACE_PERCENT_MOST:
        break;
    }
    return fs->f_blocks > 0 ? (double)fs->f_bavail / (double)fs->f_blocks : 0;
}

static void consider(const char *name, const char *value, void *context)
{
    struct selection *s = context;
    struct statvfs fs = {0};
    double score = -1; /* not there yet: made at its first mailbox, if there is no other */
    bool full;

    if (statvfs(value, &fs) == 0)
        score = score_of(s->mode, &fs);
    full = s->limit > 0 && fs.f_blocks > 0 &&
           (double)(fs.f_blocks - fs.f_bavail) * 100 > (double)fs.f_blocks * s->limit;
    if (!full && (s->best == NULL || score > s->score)) {
        s->best = pool_strdup(s->pool, name + strlen(PREFIX));
        s->score = score;
    } else if (full && (s->best_full == NULL || score > s->score_full)) {
        s->best_full = pool_strdup(s->pool, name + strlen(PREFIX));
        s->score_full = score;
    }
}

const char *partition_for_new(struct pool *pool, const char *ancestor)
{
    struct selection s = {.pool = pool};
    const char *given = opt_string(OPT_DEFAULTPARTITION);

    if (ancestor != NULL && config_partition(ancestor) != NULL)
        return ancestor;
    if (given != NULL)
        return given;
    s.mode = (enum opt_select_mode)opt_enum(OPT_PARTITION_SELECT_MODE);
    s.limit = (unsigned)opt_int(OPT_PARTITION_SELECT_SOFT_USAGE_LIMIT);
    config_overflow_each(PREFIX, consider, &s);
    return s.best != NULL ? s.best : s.best_full;
}
