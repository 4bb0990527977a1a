/* kept.h: what a command has found out about a mailbox's messages and later ones can go on from: the order of their subjects, their
 * ids.  In the memory of the process, within KEPT_BYTES, those used longest ago dropped first, and any that nothing has
 * used for KEPT_IDLE_MS; nothing of it is on disk, and nothing depends on it being there.
 *
 * What is kept never changes, so that whoever holds it reads it without a lock; who knows more puts a new one in its place.
 * A message is known by its UID and GUID, not by the mailbox alone, so neither a mailbox that was deleted and made anew nor one
 * that was reconstructed can be taken for what it was.  Any thread. */
#ifndef IMAP_STORE_KEPT_H
#define IMAP_STORE_KEPT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imap/store/mailbox.h"

enum {
    KEPT_BYTES = 64 * 1024 * 1024,   /* of a process */
    KEPT_ONE_BYTES = KEPT_BYTES / 2, /* of one; a larger one is not kept */
    KEPT_IDLE_MS = 10 * 60 * 1000,
    KEPT_SHARE =
        64 /* a command's news is added when it is more than this part of what is known: adding copies all */
};

/* The beginning of everything that is kept. */
struct kept {
    atomic_uint references; /* 1 at first: its maker's */
    uint32_t count;         /* messages that it knows */
    size_t bytes;           /* of memory, all in all */
    void (*destroy)(struct kept *kept);
};

/* A message that is known, and what of it.  They are in the order of UIDs. */
struct kept_message {
    uint32_t uid, value;
    uint64_t guid; /* its first eight bytes */
};

struct kept_messages {
    struct kept_message *items;
    uint32_t count, room;
};

/* What is known of a message, or NULL.  *cursor is where the search begins (0 at first): asking in the order of UIDs is cheap. */
const struct kept_message *kept_look_up(const struct kept_messages *messages, uint32_t *cursor,
                                        const struct mailbox_record *record);
/* Adds one whose UID is higher than all. */
void kept_add(struct kept_messages *messages, const struct mailbox_record *record, uint32_t value);
/* Both together, in memory of their own; of two with one UID that of `news`.  The values of `old` are what `map` has for them
 * (NULL: as they are). */
void kept_merge(struct kept_messages *to, const struct kept_messages *old, const uint32_t *map,
                const struct kept_messages *news);

struct kept_table;

struct kept_table *kept_table_new(void);
void kept_table_free(struct kept_table **table);

/* What is kept of a mailbox under a name ("order.subject"), with a reference for the caller; NULL: nothing. */
struct kept *kept_find(struct mailbox *mailbox, const char *what);

/* Keeps it instead of what there is, unless that knows more messages and is not `base`, which it was made from (NULL: from
 * nothing).  The caller's reference stays his. */
void kept_put(struct mailbox *mailbox, const char *what, const struct kept *base, struct kept *kept);

/* Is it mostly of messages that are gone, when there are `exists`?  They stay in it for ever, so it is better made anew. */
bool kept_is_stale(const struct kept *kept, uint32_t exists);
/* Is what a command has found out about so many messages, in so many bytes, worth being added to that? */
bool kept_is_worth(const struct kept *base, uint32_t news, size_t bytes);

/* Gives a reference back: *kept (may be NULL) becomes NULL. */
void kept_release(struct kept **kept);

/* Drops what nothing has used since before `deadline_ms` (clock_ms()). */
void kept_expire(struct kept_table *table, int64_t deadline_ms);

/* Bytes and number of what is kept. */
size_t kept_bytes(struct kept_table *table, size_t *count_r);

#endif
