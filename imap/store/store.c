#include "imap/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "imap/store/kept.h"
#include "imap/store/store-private.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/db/db.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/mboxlist/quota.h"

#define LOCK_MS       (60 * 1000) /* behind a long COPY or compaction */
#define SEEN_BATCH_MS (10 * 1000)

/* Header, index, cache, expunge and annotations, of "header index cache expunge squat annotations lock dav": any of them
 * means all of ours. */
#define METADATA_WORDS ((uint64_t)1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 5)

void store_options_configured(struct store_options *options_r)
{
    int64_t timeout = opt_duration_ms(OPT_TIMEOUT);
    int64_t idle = opt_is_set(OPT_IMAPIDLETIMEOUT) ? opt_duration_ms(OPT_IMAPIDLETIMEOUT) : timeout;

    *options_r = (struct store_options){
        .directory = opt_string(OPT_CONFIGDIRECTORY),
        .partition = config_partition,
        .metapartition = config_metapartition,
        .metadata_apart = (opt_bitfield(OPT_METAPARTITION_FILES) & METADATA_WORDS) != 0,
        /* the first of "immediate semidelayed delayed" */
        .expunge_mode = opt_enum(OPT_EXPUNGE_MODE) == 0 ? STORE_EXPUNGE_IMMEDIATE : STORE_EXPUNGE_DELAYED,
        .lock_ms = LOCK_MS,
        .session_ms = idle > timeout ? idle : timeout,
        .seen_batch_ms = SEEN_BATCH_MS,
    };
}

/* "xxxxxxxx-xxxx-..." in hex to 16 bytes. */
static int read_boot_id(unsigned char to[BOOT_ID_SIZE])
{
    struct buf text = BUF_INIT;
    char hex[2 * BOOT_ID_SIZE];
    size_t n = 0;
    int r = file_read_all("/proc/sys/kernel/random/boot_id", 256, &text);

    for (size_t i = 0; r == 0 && i < text.len && n < sizeof(hex); i++) {
        if (text.data[i] != '-')
            hex[n++] = text.data[i];
    }
    if (r == 0)
        r = n == sizeof(hex) ? str_unhex(to, hex, BOOT_ID_SIZE) : ERR_SYNTAX;
    buf_free(&text);
    return r;
}

int store_open(const struct store_options *options, struct store **store_r, char **error_r)
{
    struct store *store = xcalloc(1, sizeof(*store));
    int r;

    if (error_r != NULL)
        *error_r = NULL;
    store->options = *options;
    store->kept = kept_table_new();
    pthread_mutex_init(&store->counting, NULL);
    r = read_boot_id(store->boot_id);
    if (r < 0 && error_r != NULL)
        *error_r = xstrdup("cannot read the boot id of this machine");
    if (r == 0)
        r = mboxlist_open(options->directory, &store->list, error_r);
    if (r == 0)
        r = seen_open(options->directory, &store->seen, error_r);
    if (r == 0)
        r = volatile_open(options->directory, &store->volatile_env, error_r);
    if (r < 0)
        store_close(&store);
    *store_r = store;
    return r;
}

void store_close(struct store **store)
{
    struct store *s = *store;

    if (s == NULL)
        return;
    if (s->volatile_env != NULL)
        db_close(&s->volatile_env);
    if (s->seen != NULL)
        db_close(&s->seen);
    if (s->list != NULL)
        mboxlist_close(&s->list);
    kept_table_free(&s->kept);
    pthread_mutex_destroy(&s->counting);
    free(s);
    *store = NULL;
}

void store_housekeeping(struct store *store)
{
    mboxlist_housekeeping(store->list);
    db_reader_check(store->seen);
    db_reader_check(store->volatile_env);
    kept_expire(store->kept, clock_ms() - KEPT_IDLE_MS);
}

struct mboxlist *store_mboxlist(const struct store *store)
{
    return store->list;
}

struct db_env *store_volatile(const struct store *store)
{
    return store->volatile_env;
}

void store_counters(const struct store *store, struct store_counters *counters_r)
{
    *counters_r = (struct store_counters){
        .file_syncs = store->file_syncs,
        .index_syncs = store->index_syncs,
        .dir_syncs = store->dir_syncs,
        .read_retries = store->read_retries,
        .recoveries = store->recoveries,
        .cache_misses = store->cache_misses,
    };
}

int store_sync_file(struct store *store, int fd)
{
    store->file_syncs++;
    return fsync(fd) == 0 ? 0 : error_from_errno(errno);
}

int store_sync_index(struct store *store, int fd)
{
    store->index_syncs++;
    return fdatasync(fd) == 0 ? 0 : error_from_errno(errno);
}

int store_sync_dir(struct store *store, int fd)
{
    store->dir_syncs++;
    return fsync(fd) == 0 ? 0 : error_from_errno(errno);
}

const char *store_partition(const struct store *store, const char *name)
{
    return store->options.partition(name);
}

const char *store_metapartition(const struct store *store, const char *name)
{
    return store->options.metapartition != NULL ? store->options.metapartition(name) : NULL;
}

int store_stage_dir(struct store *store, const char *partition)
{
    const char *root = store_partition(store, partition);
    char *path;
    int fd, r;

    if (root == NULL)
        return ERR_NOTFOUND;
    path = xstrprintf("%s/stage.", root);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        r = file_make_dirs(path, 0700, 1);
        if (r < 0) {
            free(path);
            return r;
        }
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    r = fd < 0 ? error_from_errno(errno) : fd;
    free(path);
    return r;
}
