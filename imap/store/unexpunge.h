/* unexpunge.h: bringing back messages that were expunged while expunge_mode is delayed and that compaction has not
 * removed yet. */
#ifndef IMAP_STORE_UNEXPUNGE_H
#define IMAP_STORE_UNEXPUNGE_H

#include <stdbool.h>
#include <stdint.h>

#include "imap/store/copy.h"
#include "imap/store/mailbox.h"
#include "imap/store/uidset.h"

/* Calls fn for each message that is expunged and whose file is still there, by UID, until it returns non-zero,
 * which is returned; else 0, or as mailbox_read_records().  No lock is held.  record.last_updated is when it was
 * expunged. */
int mailbox_expunged_each(struct mailbox *mailbox,
                          int (*fn)(struct mailbox *mailbox, uint32_t number,
                                    const struct mailbox_record *record, void *context),
                          void *context);

struct unexpunge_what {
    const struct uid_set *uids;  /* NULL: all */
    int64_t since;               /* only what was expunged at that time (seconds) or later; 0: all */
    bool undelete;               /* without \Deleted */
    uint32_t system;             /* flags that they get besides their own */
    const char *const *keywords; /* likewise, NULL-terminated; NULL: none */
};

/* Brings messages back under new UIDs (sessions have heard that the old ones are gone), with their flags and dates;
 * on disk when it returns.  All or nothing, also when killed in the middle: no call brings a message back that an
 * earlier one has.  The quota is not asked.  result_r: which became which; the
 * caller frees it with copy_result_free() (empty sets: nothing was there).
 * 0; ERR_LIMIT; ERR_TIMEOUT (lock); ERR_NOTFOUND (deleted); ERR_DISKFULL, ERR_IO, ERR_CORRUPT. */
int mailbox_unexpunge(struct mailbox *mailbox, const struct unexpunge_what *what,
                      struct copy_result *result_r);

#endif
