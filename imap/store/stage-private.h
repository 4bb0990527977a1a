/* stage-private.h: a staged message from within. */
#ifndef IMAP_STORE_STAGE_PRIVATE_H
#define IMAP_STORE_STAGE_PRIVATE_H

#include "imap/store/mailbox-private.h"
#include "imap/store/stage.h"
#include "lib/base/digest.h"

struct stage {
    struct store *store;
    char *partition;
    int fd;
    struct digest *digest;
    struct stage_info info;
    char last; /* byte written */
    bool finished;
    struct cache_facts facts;
    struct buf entry; /* for the cache, UID 0 */
    char *name;       /* in the stage directory while it has one */
};

/* A copy of a finished stage on another partition. */
int stage_copy(struct stage *stage, const char *partition, struct stage **copy_r);

/* Gives it a name in the stage directory, which recovery finds by GUID, and syncs: what delivery to several
 * mailboxes begins with.  stage_free() removes the name. */
int stage_publish(struct stage *stage);

/* The name stays when the stage is freed: the other names of the file may not be on disk. */
void stage_keep_name(struct stage *stage);

/* Fills the parts of a record that the message itself decides. */
void stage_fill(const struct stage *stage, struct mailbox_record *record);

/* Copies a whole file into a new one without a name in the directory: its descriptor or an error. */
int stage_copy_file(int from, int dir_fd);

#endif
