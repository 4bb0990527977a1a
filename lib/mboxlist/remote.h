/* remote.h: what a MUPDATE slave does to the list: it follows the master's names, and never creates, changes or
 * deletes a record of type local. */
#ifndef LIB_MBOXLIST_REMOTE_H
#define LIB_MBOXLIST_REMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/mboxlist/mboxlist.h"

struct mboxlist_remote;

enum mboxlist_change_type { MBOXLIST_CHANGE_MAILBOX, MBOXLIST_CHANGE_RESERVE, MBOXLIST_CHANGE_DELETE };

struct mboxlist_change {
    enum mboxlist_change_type type;
    const char *name, *location, *acl; /* location: not for DELETE; acl: for MAILBOX only */
    const char *id, *special_use;      /* MAILBOX's; NULL: not told, what is known of the mailbox stays */
};

/* Starts applying; `own` is this server's name: what the master says is there is never written.  Changes are
 * collected and applied by mboxlist_remote_flush(), or at once when MBOXLIST_REMOTE_BATCH are there. */
enum { MBOXLIST_REMOTE_BATCH = 16384 };
struct mboxlist_remote *mboxlist_remote_new(struct mboxlist *list, const char *own);
void mboxlist_remote_free(struct mboxlist_remote **remote); /* drops what was not flushed */

/* Calls fn for each name whose record was made, changed or removed, once that is committed (NULL: nobody). */
void mboxlist_remote_set_observer(struct mboxlist_remote *remote, void (*fn)(const char *name, void *context),
                                  void *context);

/* Adds one change.  0, or an error of the flush.  A name, location or ACL out of bounds is counted and left
 * out: one bad record must not stop the others. */
int mboxlist_remote_add(struct mboxlist_remote *remote, const struct mboxlist_change *change);

/* One transaction for what was collected.  Records that are the same already are not written. */
int mboxlist_remote_flush(struct mboxlist_remote *remote);

/* A full list arrives between begin and end.  It is applied as it comes, and a reader never sees an emptied list.
 * `ordered`: its names come in the order of mboxlist_name_compare(); what they step over is removed on the way, and
 * nothing is remembered; a name out of order is ERR_PROTOCOL of mboxlist_remote_add().  Otherwise a hash of each name
 * is kept, and at the end the remote records that were not in the list are removed. */
void mboxlist_remote_full_begin(struct mboxlist_remote *remote, bool ordered);
int mboxlist_remote_full_end(struct mboxlist_remote *remote);
/* Has a full list ever arrived?  Until then a name that is missing here may well exist.  1, 0 or an error. */
int mboxlist_remote_is_whole(struct mboxlist *list);

struct mboxlist_remote_counters {
    uint64_t received;  /* changes added */
    uint64_t written;   /* records made or changed */
    uint64_t removed;   /* records removed */
    uint64_t conflicts; /* names that are local here and active elsewhere at the master: left alone */
    uint64_t invalid;   /* changes out of bounds */
};
void mboxlist_remote_counters(const struct mboxlist_remote *remote, struct mboxlist_remote_counters *out);

/* How far the list has followed a master of ours: kept in the list, written by the next flush, at the end of
 * a full list by its last transaction.  0 and 0 when nothing is known; this is also written where a conflict was
 * met, so that a name that its local record hides is told again. */
void mboxlist_remote_set_position(struct mboxlist_remote *remote, uint64_t epoch, uint64_t sequence);
int mboxlist_remote_position(struct mboxlist *list, uint64_t *epoch_r, uint64_t *sequence_r);

#endif
