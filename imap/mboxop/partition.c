#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "imap/mboxop/op-private.h"
#include "lib/base/config.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/placing.h"
#include "lib/base/str.h"

#define PREFIX "partition-"

struct partitions {
    struct str_list excluded;
    struct placing_candidate *found;
    size_t count;
};

static bool is_excluded(const struct partitions *p, const char *name)
{
    for (size_t i = 0; i < p->excluded.count; i++)
        if (str_ieq(p->excluded.items[i], name))
            return true;
    return false;
}

/* One whose directory is not there yet is made with its first mailbox. */
static void consider(const char *name, const char *value, void *context)
{
    struct partitions *p = context;
    struct placing_candidate c = {.name = name + strlen(PREFIX)};
    struct statvfs fs;

    if (is_excluded(p, c.name))
        return;
    if (statvfs(value, &fs) == 0) {
        c.total = (uint64_t)fs.f_blocks * fs.f_frsize;
        c.free = (uint64_t)fs.f_bavail * fs.f_frsize;
    }
    p->found = xreallocarray(p->found, p->count + 1, sizeof(*p->found));
    p->found[p->count++] = c;
}

static const char *choose(struct pool *pool)
{
    const char *excluded = opt_string(OPT_PARTITION_SELECT_EXCLUDE), *name = NULL;
    struct placing_rule rule = {
        .mode = (enum opt_select_mode)opt_enum(OPT_PARTITION_SELECT_MODE),
        .limit = (unsigned)opt_int(OPT_PARTITION_SELECT_SOFT_USAGE_LIMIT),
    };
    struct partitions p = {0};

    if (excluded != NULL)
        p.excluded = str_split(pool, excluded, " \t,");
    config_overflow_each(PREFIX, consider, &p);
    if (p.count > 0)
        name = pool_strdup(pool, p.found[placing_choose(&rule, p.found, p.count, placing_luck())].name);
    free(p.found);
    return name;
}

const char *partition_for_new(struct pool *pool, const char *ancestor)
{
    const char *given = opt_string(OPT_DEFAULTPARTITION);

    if (ancestor != NULL && config_partition(ancestor) != NULL)
        return ancestor;
    return given != NULL ? given : choose(pool);
}
