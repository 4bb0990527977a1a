/* names.h: the master's database: the authority for which server has which name (doc/formats/mupdate.md).
 *
 * Berkeley DB in <configdirectory>/mupdate, owned by this process.  Each change is the name's record and a row
 * of the change log with the next sequence, in one transaction. */
#ifndef MUPDATE_NAMES_H
#define MUPDATE_NAMES_H

#include "mupdate/source.h"

struct names;
struct names_txn;

enum {
    NAMES_LOG_KEPT = 100000,        /* changes that a reader may be behind */
    NAMES_OWNER_WAIT_MS = 30 * 1000 /* for the process before us to let go of the database */
};

/* Opens (makes) the database under the configuration directory.  `published` is called, by the thread that
 * committed, when sequence() has grown.  ERR_BUSY: another process has it, still after `wait_ms`.  Text in *error_r
 * (malloc'ed). */
int names_open(const char *dir, int64_t wait_ms, void (*published)(void *context), void *context,
               struct names **names_r, char **error_r);
void names_close(struct names **names);

struct source *names_source(struct names *names);

/* ---- changes ---- */

enum names_result {
    NAMES_DONE,
    NAMES_EXISTS,     /* on another server */
    NAMES_CONFLICT,   /* ACTIVATE of a name that is active on another server; logged */
    NAMES_NO_SUCH,    /* no such name */
    NAMES_NOT_ACTIVE, /* DEACTIVATE of what is only reserved */
    NAMES_BAD         /* a name, location, ACL or detail that cannot be */
};

/* One transaction for any number of commands; it belongs to this thread, and no socket is touched before its
 * end. */
int names_begin(struct names *names, struct names_txn **txn_r);

/* Does a command (one that changes) in the transaction.  `details`: ACTIVATE's, NULL: nothing is known.  An enum
 * names_result, or an error of the database: then only names_abort() is left. */
int names_apply(struct names_txn *txn, enum mupdate_verb verb, const char *name, const char *location,
                const char *acl, const struct mupdate_details *details);

/* 0: durable, all of it. */
int names_commit(struct names_txn **txn);
void names_abort(struct names_txn **txn);

/* The words for a client. */
const char *names_result_text(enum names_result result);

/* A checkpoint, now and then.  0; ERR_CORRUPT: the database must be recovered, by opening it again; or another
 * error.  Logged. */
int names_housekeeping(struct names *names);

#endif
