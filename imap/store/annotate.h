/* annotate.h: annotations of messages (RFC 5257): entries of a message with values, shared ones and each user's own.
 *
 * All that a message has stands together in the file `annotations.<generation>` (doc/formats/mailbox.md), and its record
 * says where: a change is a new place, so it takes effect with the commit of the index, moves the message's modseq, and
 * goes wherever the record goes.  One thread at a time, as with the mailbox handle. */
#ifndef IMAP_STORE_ANNOTATE_H
#define IMAP_STORE_ANNOTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imap/store/flags.h"
#include "imap/store/mailbox.h"
#include "lib/base/pool.h"

enum {
    ANNOTATE_ENTRY_MAX = 255,           /* bytes of an entry's name */
    ANNOTATE_VALUE_MAX = 16 * 1024,     /* bytes of a value */
    ANNOTATE_ENTRIES_MAX = 50,          /* of a message: shared ones, and as many of each user */
    ANNOTATE_MESSAGE_MAX = 1024 * 1024, /* bytes of all that a message has */
};

struct annotate_item {
    const char *owner; /* a user id; "": shared */
    const char *entry; /* "/comment" */
    const char *value; /* any bytes, a NUL behind them; NULL: removed (for those who are told of changes) */
    size_t len;
    uint64_t modseq; /* of its last change */
};

struct annotate_items {
    struct annotate_item *items; /* in the order of entries, then owners */
    size_t count;
};

/* What a message has, in the pool; removed ones too.  0; ERR_CORRUPT: its record says that it has some, and they are not
 * there; ERR_IO. */
int annotate_read(struct mailbox *mailbox, const struct mailbox_record *record, struct pool *pool,
                  struct annotate_items *items_r);

/* The same of a message of a view, which a compaction may have moved since it was read. */
int annotate_read_view(struct view *view, const struct view_message *message, struct pool *pool,
                       struct annotate_items *items_r);

/* The live value of an entry; NULL: there is none. */
const struct annotate_item *annotate_find(const struct annotate_items *items, const char *owner,
                                          const char *entry);

struct annotate_change {
    const char *owner, *entry;
    const char *value; /* NULL: remove it */
    size_t len;
};

struct annotate_changes {
    const struct annotate_change *changes;
    size_t count;
    bool has_unchanged_since;
    uint64_t unchanged_since;
};

/* Makes the changes to the messages of the set that are in the view, all or none: one lock, one modseq, two syncs, however
 * many; nothing changed, no sync.  result_r as with flags_store().  0; ERR_TOOBIG: a value; ERR_LIMIT: too many; else as
 * flags_store(), but for the view's being read-only, which is the caller's to judge. */
int annotate_store(struct view *view, const struct uid_set *uids, const struct annotate_changes *what,
                   struct flag_result *result_r);

/* A user has another name now: his private annotations, of expunged messages too, are that name's.  No modseq moves.  May be
 * repeated.  0, ERR_TIMEOUT, ERR_NOTFOUND, ERR_CORRUPT, ERR_DISKFULL, ERR_IO. */
int annotate_rekey(struct mailbox *mailbox, const char *from, const char *to);

/* May a message have these from its beginning?  0, ERR_TOOBIG, ERR_LIMIT. */
int annotate_check(const struct annotate_change *changes, size_t count);

#endif
