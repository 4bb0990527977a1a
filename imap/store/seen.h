/* seen.h: \Seen of readers who are not the owner: database `seen`, (mailbox id, user) -> UIDs
 * (doc/formats/seen.md).
 *
 * Views use it for their sessions; the calls here are for mailbox operations and tools.  Thread-safe. */
#ifndef IMAP_STORE_SEEN_H
#define IMAP_STORE_SEEN_H

#include <stdint.h>

#include "imap/store/store.h"
#include "imap/store/uidset.h"

struct seen_state {
    uint32_t recent_uid; /* \Recent: told to a session of this user up to here */
    int64_t changed;     /* seconds */
    struct uid_set uids; /* the caller frees */
};

/* 0 (empty state if there is none), ERR_CORRUPT, ERR_IO. */
int seen_get(struct store *store, const char *mailbox_id, const char *userid, struct seen_state *state_r);
/* Adds to and takes from what is there, durably, in one transaction; either set may be NULL.  recent_uid
 * only grows. */
int seen_change(struct store *store, const char *mailbox_id, const char *userid, const struct uid_set *add,
                const struct uid_set *remove, uint32_t recent_uid);
/* Merges (RENAME of a user, XFER): the union. */
int seen_merge(struct store *store, const char *mailbox_id, const char *from_user, const char *to_user);
/* A mailbox is deleted: every reader's state. */
int seen_forget_mailbox(struct store *store, const char *mailbox_id);
/* A user is deleted: his state in every mailbox. */
int seen_forget_user(struct store *store, const char *userid);

#endif
