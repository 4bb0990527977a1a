/* annotations.h: what users and administrators have written about mailboxes and the server (RFC 5464), in the
 * mailbox list's environment (doc/formats/mailboxes.md).
 *
 * They hang on the unique id, so they follow a mailbox through every RENAME; "" is the server.  An entry is written
 * without its scope ("/comment"): whose it is says the user id, "" for what is shared.  Names are the same in any
 * case; they are kept, and given back, in lower case. */
#ifndef LIB_MBOXLIST_ANNOTATIONS_H
#define LIB_MBOXLIST_ANNOTATIONS_H

#include <stddef.h>

#include "lib/mboxlist/mboxlist.h"

/* The part of the tree of entries that is Cyrus's, and so ours to define. */
#define ANNOTATION_VENDOR "/vendor/cmu/cyrus-imapd/"
/* Shared, of a mailbox (and what is below it) or the server: after how many days messages go, for cyr_expire. */
#define ANNOTATION_EXPIRE ANNOTATION_VENDOR "expire"

enum {
    ANNOTATION_ENTRY_MAX = 255,       /* bytes of an entry's name without its scope */
    ANNOTATION_VALUE_MAX = 64 * 1024, /* bytes of a value */
    ANNOTATIONS_MAX = 250 /* of a mailbox: shared ones, and as many of each user; of the server likewise */
};

struct annotation {
    const char *entry;
    const char *value; /* any bytes; a NUL behind them */
    size_t len;
};

/* One of them: 0 with its value in the pool (a NUL behind it); ERR_NOTFOUND. */
int annotation_get(struct mboxlist *list, const char *id, const char *userid, const char *entry,
                   struct pool *pool, struct annotation *annotation_r);

/* Calls fn for each whose entry is `below` or stands below it ("": all), in order, outside any transaction, until fn
 * returns non-zero, which is returned; else 0 or an error. */
int annotations_each(struct mboxlist *list, const char *id, const char *userid, const char *below,
                     int (*fn)(const struct annotation *annotation, void *context), void *context);

/* Sets one, or, with value NULL, removes it (one that is not there: success).  ERR_TOOBIG; ERR_LIMIT: there are
 * ANNOTATIONS_MAX. */
int annotation_txn_set(struct mboxlist_txn *txn, const char *id, const char *userid, const char *entry,
                       const char *value, size_t len);

/* A mailbox is gone, for good: everybody's. */
int annotations_txn_drop(struct mboxlist_txn *txn, const char *id);

/* Gives `to` all that `from` has, everybody's (RFC 5464 4.1: the INBOX keeps its own when it is renamed). */
int annotations_txn_copy(struct mboxlist_txn *txn, const char *from, const char *to);

/* A user has another name (his own under that are replaced), or, with NULL, is gone. */
int annotations_txn_rekey(struct mboxlist_txn *txn, const char *userid, const char *new_userid);

#endif
