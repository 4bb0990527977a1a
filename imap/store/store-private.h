/* store-private.h: the store from within. */
#ifndef IMAP_STORE_STORE_PRIVATE_H
#define IMAP_STORE_STORE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "imap/store/store.h"

enum { BOOT_ID_SIZE = 16 };

struct store {
    struct store_options options;
    struct mboxlist *list;
    struct db_env *seen;
    struct db_env *volatile_env;
    unsigned char boot_id[BOOT_ID_SIZE];
    struct kept_table *kept;
    pthread_mutex_t counting; /* held by the thread that counts all mailboxes for quotas */
    atomic_uint_fast64_t file_syncs, index_syncs, dir_syncs, read_retries, recoveries, cache_misses;
};

/* fsync of a message or stage file, fdatasync of an index, fsync of a directory: counted.  0 or
 * ERR_IO, ERR_DISKFULL. */
int store_sync_file(struct store *store, int fd);
int store_sync_index(struct store *store, int fd);
int store_sync_dir(struct store *store, int fd);

/* The directory of a partition or NULL. */
const char *store_partition(const struct store *store, const char *name);
/* The directory of its metapartition or NULL. */
const char *store_metapartition(const struct store *store, const char *name);

/* Opens (makes) `<partition>/stage.`: where files without a name live too.  A descriptor or an error. */
int store_stage_dir(struct store *store, const char *partition);

#endif
