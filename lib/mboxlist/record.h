/* record.h: a mailbox list record (doc/formats/mailboxes.md). */
#ifndef LIB_MBOXLIST_RECORD_H
#define LIB_MBOXLIST_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/pool.h"

enum {
    MBOXLIST_NAME_MAX = 490,        /* bytes of an internal name: always a plain key */
    MBOXLIST_ID_MAX = 64,           /* bytes of a unique id */
    MBOXLIST_LOCATION_MAX = 512,    /* bytes of "server!partition" */
    MBOXLIST_ACL_MAX = 64 * 1024,   /* bytes of an ACL */
    MBOXLIST_SPECIAL_USE_MAX = 8192 /* bytes of the special-use list */
};

/* The values are part of the format. */
enum mboxlist_type {
    MBOXLIST_LOCAL = 1,        /* its files are here */
    MBOXLIST_REMOTE = 2,       /* on another server of the murder */
    MBOXLIST_RESERVED = 3,     /* a server is making it (a slave's record) */
    MBOXLIST_INTERMEDIATE = 4, /* exists only because a mailbox below it does; no files */
    MBOXLIST_DELETED = 5       /* a tombstone: never seen by lookups and iterations of names */
};
#define MBOXLIST_TYPE_BIT(type) (1u << (type))
#define MBOXLIST_TYPES_ALL      (~0u)
/* What LIST shows and SELECT opens. */
#define MBOXLIST_TYPES_ACTIVE (MBOXLIST_TYPE_BIT(MBOXLIST_LOCAL) | MBOXLIST_TYPE_BIT(MBOXLIST_REMOTE))

enum mboxlist_flags {
    MBOXLIST_MOVING = 1 /* a move to another server is under way: clients get NO [INUSE] */
};

/* Strings are never NULL ("" when unknown) in what this library returns; NULL is taken as "" in what it
 * gets.  They belong to whoever made the record (a pool, an iterator, the caller). */
struct mboxlist_record {
    const char *name; /* internal form */
    enum mboxlist_type type;
    unsigned flags;          /* enum mboxlist_flags */
    const char *id;          /* unique id; "" for a remote mailbox whose server did not tell */
    const char *server;      /* "" for local ones */
    const char *partition;   /* "" where a remote server did not tell */
    const char *acl;         /* "identifier TAB rights TAB ..." */
    const char *special_use; /* "user TAB uses TAB ...", uses as `\Sent \Junk` */
    uint32_t uidvalidity;    /* 0: unknown */
    uint64_t created_modseq, folder_modseq;
    int64_t mtime; /* seconds of the epoch of the last change; 0 when written: now */
};

/* "server!partition" as MUPDATE knows it; `own` is this server's name, used for local records.  Appends. */
void mboxlist_record_location(const struct mboxlist_record *record, const char *own, struct buf *location);

/* The parts of a location: what is before the first '!' and behind it ("" without one).  In the pool. */
void mboxlist_location_split(struct pool *pool, const char *location, const char **server_r,
                             const char **partition_r);

/* Are all fields within their bounds, the name free of controls and empty components?  0, ERR_BADNAME for the
 * name, ERR_TOOBIG or ERR_INVALID for another field. */
int mboxlist_record_check(const struct mboxlist_record *record);

/* The stored value of a record, appended (little-endian, version 1). */
void mboxlist_record_encode(const struct mboxlist_record *record, struct buf *value);
/* The other way; strings are copied into the pool.  ERR_VERSION, ERR_CORRUPT. */
int mboxlist_record_decode(const void *value, size_t len, struct pool *pool,
                           struct mboxlist_record *record_r);

/* The special uses of one user ("" when none), in the pool. */
const char *mboxlist_special_use(const struct mboxlist_record *record, const char *userid, struct pool *pool);

#endif
