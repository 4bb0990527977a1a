/* metadata.h: the entries of METADATA (RFC 5464) that there are. */
#ifndef IMAP_STORE_METADATA_H
#define IMAP_STORE_METADATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/pool.h"
#include "lib/name/acl.h"
#include "lib/name/identity.h"

struct annotation;
struct mailbox;
struct mboxlist;
struct mboxlist_record;
struct store;

/* ---- entries ---- */

enum metadata_where { OF_SERVER = 1, OF_MAILBOX = 2 };
enum metadata_scope { SHARED = 1, PRIVATE = 2 };

enum metadata_kind {
    /* kept as they are */
    METADATA_TEXT,
    METADATA_URI,
    METADATA_BOOLEAN,
    METADATA_INT,
    METADATA_UINT,
    METADATA_DAYS, /* a duration, a bare number is days */
    METADATA_DATE, /* date-time of RFC 3501 */
    METADATA_KEPT, /* the number of the kinds before */
    /* options of the mailbox */
    METADATA_DUPDELIVER,
    METADATA_SHAREDSEEN,
    /* in the mailbox list */
    METADATA_SPECIALUSE,
    METADATA_SET, /* those before can be set */
    /* what is as it is */
    METADATA_FREE_MOST,
    METADATA_FREE_TOTAL,
    METADATA_LASTUPDATE,
    METADATA_PARTITION,
    METADATA_SERVER,
    METADATA_SIZE,
    METADATA_UNIQUEID
};

struct metadata_def {
    const char *name;
    unsigned where, scopes; /* enum metadata_where, enum metadata_scope */
    enum metadata_kind kind;
    rights_t needs; /* to set it, beside what every entry needs */
};

/* The table's rows, entries.def: NULL behind the last. */
const struct metadata_def *metadata_def(size_t n);

/* What an entry is, by the table or the file of annotation_definitions; NULL: neither knows it there. */
const struct metadata_def *metadata_find(const char *name, enum metadata_where where,
                                         enum metadata_scope scope);

/* Can the value be?  0; ERR_INVALID. */
int metadata_check(enum metadata_kind kind, const char *value, size_t len);
/* Of a boolean that was checked. */
bool metadata_is_true(const char *value, size_t len);

/* The definitions of a file's text (imapd.conf(5), annotation_definitions), for metadata_find(): replaces those that
 * there are.  Not thread-safe.  0; ERR_SYNTAX with the line's number in *line_r. */
int metadata_define(const char *text, unsigned *line_r);

/* ---- rights ---- */

/* One of these, or being an administrator, lets a user see a mailbox's entries (RFC 5464 3.3). */
enum { METADATA_RIGHTS_TO_SEE = ACL_READ | ACL_SEEN | ACL_WRITE | ACL_INSERT | ACL_POST };

/* Reads the file that the option annotation_definitions names: before the first client.  What is wrong with it is logged,
 * and what stands before that counts. */
void metadata_setup(void);

/* ---- entry-value.c ---- */

/* Whose entries are read, and by whom. */
struct metadata_place {
    struct store *store;
    struct mboxlist *list;
    const struct mboxlist_record *record; /* of a mailbox of this server; NULL: the server */
    const struct identity *who;
    struct mailbox *mailbox; /* while something of it is needed, for the caller to close; NULL */
};

/* Opens place->mailbox, if it is not open.  0, or an error. */
int metadata_open(struct metadata_place *place);

/* An entry's value, in the pool: 0, annotation_r->value is NULL when it has none; or an error.  Rights are the caller's matter
 * (RFC 5464 3.3). */
int metadata_value(struct metadata_place *place, const char *name, bool is_private, struct pool *pool,
                   struct annotation *annotation_r);

/* ---- specialuse.c: /private/specialuse (RFC 6154 section 4) ---- */

/* Whose uses of a mailbox are meant: the user's, if it is his; to an administrator its owner's.  NULL: nobody's; else in the
 * pool. */
const char *specialuse_holder(const struct identity *who, const char *mailbox, struct pool *pool);

/* May a mailbox (of that holder) get these uses?  0 with their canonical form in the pool; ERR_INVALID: they are none, or
 * none for mailboxes; ERR_EXISTS: another of his mailboxes has one of them; or the list's error. */
int specialuse_check(struct mboxlist *list, const char *mailbox, const char *holder, const char *value,
                     size_t len, struct pool *pool, const char **uses_r);

/* ---- freespace.c ---- */

/* "free;total" in KiB: of all partitions' file systems, or of the one with most room.  In the pool. */
const char *freespace_text(struct pool *pool, bool most);

#endif
