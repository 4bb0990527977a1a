/* listed.h: what a mailbox's index remembers of its entry in the mailbox list, so that the mailbox can be brought back if the
 * list is lost (doc/formats/mailbox.md, "What the list says").  A hint: the list is what counts. */
#ifndef IMAP_STORE_LISTED_H
#define IMAP_STORE_LISTED_H

#include <stdbool.h>
#include <stdint.h>

#include "imap/store/mailbox.h"
#include "lib/base/pool.h"
#include "lib/mboxlist/quota.h"

struct mailbox_listed {
    const char *name;        /* internal form */
    const char *acl;         /* NULL: unknown (it was too long) */
    const char *special_use; /* as in the list's record; NULL: unknown */
    bool has_limits;         /* its quota root's are known */
    struct quota_limits limits;
};

/* As it stands in the header: what does not fit is left out, special uses first, then the ACL. */
void listed_encode(char to[MAILBOX_LISTED_SIZE], const struct mailbox_listed *listed);
/* False: nothing is remembered, or nothing that makes sense.  Strings go into the pool. */
bool listed_decode(const char *text, struct pool *pool, struct mailbox_listed *listed_r);

/* Writes what the list says into the header: quota root (NULL: none; usage moves along), uidvalidity (0: stays) and the rest.
 * One sync; none if the header says so already.  As mailbox_set_quota_root(). */
int mailbox_set_listed(struct mailbox *mailbox, const struct mailbox_listed *listed, const char *quota_root,
                       uint32_t uidvalidity);

/* What the index of a mailbox remembers, whether or not the mailbox can be opened; header_r: all of its header.  0;
 * ERR_NOTFOUND: no index; ERR_CORRUPT: no whole header; ERR_VERSION; ERR_IO.  listed_r->name is NULL if nothing is remembered. */
int mailbox_listed_read(struct store *store, const char *partition, const char *id, struct pool *pool,
                        struct mailbox_listed *listed_r, struct mailbox_header *header_r);

/* Has the mailbox's directory message files?  1, 0 (also without a directory), or an error. */
int mailbox_has_files(struct store *store, const char *partition, const char *id);

#endif
