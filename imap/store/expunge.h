/* expunge.h: EXPUNGE (RFC 3501 section 6.4.3, RFC 4315 section 2.1), and the removal of what it left. */
#ifndef IMAP_STORE_EXPUNGE_H
#define IMAP_STORE_EXPUNGE_H

#include <stdbool.h>
#include <stdint.h>

#include "imap/store/mailbox.h"
#include "imap/store/uidset.h"
#include "imap/store/view.h"

struct expunge_what {
    const struct uid_set *uids; /* NULL: all of the view */
    bool any;                   /* also messages without \Deleted (MOVE, tools) */
};

/* Expunges the messages of the view that are \Deleted: marks the records, syncs, and by expunge_mode
 * removes the files now or leaves them to compaction.  The session hears of it by view_refresh().
 * expunged_r (may be NULL) gets the UIDs; the caller frees.  0, ERR_READONLY, or as flags_store(). */
int expunge_messages(struct view *view, const struct expunge_what *what, struct uid_set *expunged_r);

/* The same for a tool or an undo, without a view. */
int expunge_uids(struct mailbox *mailbox, const struct uid_set *uids, struct uid_set *expunged_r);

/* ---- compaction ---- */

/* Writes index and cache anew without the records that were expunged before `before` (seconds), removes
 * their files.  What was expunged within the store's session time stays whatever is asked.
 * *removed_r (may be NULL): how many.  0, ERR_TIMEOUT, ERR_NOTFOUND, ERR_CORRUPT, ERR_DISKFULL, ERR_IO. */
int mailbox_compact(struct mailbox *mailbox, int64_t before, uint32_t *removed_r);

/* Frees the slots of user flags that no message has, expunged ones that are still there included; nothing is
 * written when there are none.  *dropped_r (may be NULL): how many.  As mailbox_compact(). */
int mailbox_drop_flags(struct mailbox *mailbox, uint32_t *dropped_r);

/* Compacts if it is worth it, expunge_mode is immediate and nobody has the lock: for CLOSE, UNSELECT and
 * disconnections (view_close() does it). */
int mailbox_maintain(struct mailbox *mailbox);

#endif
