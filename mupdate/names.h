/* names.h: the master's database: the authority for which server has which name (doc/formats/mupdate.md).
 *
 * Berkeley DB in <configdirectory>/mupdate, owned by this process.  Each change is the name's record and a row
 * of the change log with the next sequence, in one transaction. */
#ifndef MUPDATE_NAMES_H
#define MUPDATE_NAMES_H

#include "lib/db/group.h"
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

/* The same for a member of a replicated group, under <dir>/mupdate.group; see below. */
int names_open_group(const char *dir, const struct db_group_config *group, int64_t wait_ms,
                     void (*published)(void *context), void *context, struct names **names_r, char **error_r);
struct db_env *names_env(struct names *names);

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

/* 0: durable, all of it; in a group: at a quorum of it.  ERR_UNKNOWN: nobody knows what becomes of it. */
int names_commit(struct names_txn **txn);
void names_abort(struct names_txn **txn);

/* ---- a group's ----
 *
 * Its elected member writes, once a quorum has taken a commit of its own: a new term.  What is published is what a
 * quorum has on disk, as the writer told (names_told()), as far as our own copy has it (names_refresh()): nothing of it
 * is ever undone.  What a copy has beyond that is not shown: find, changes and the end of a list are ERR_AGAIN, to be
 * tried a little later; a list that has shown something that may have been undone ends in ERR_UNKNOWN. */

struct names_position {
    uint64_t term, sequence;
};

bool names_is_before(const struct names_position *a, const struct names_position *b);

/* The elected member's: begins a term.  0: names_begin() works; or an error: try again while we are elected. */
int names_take_over(struct names *names);
/* It is no longer, as far as we know. */
void names_step_down(struct names *names);
bool names_is_writer(struct names *names);
/* Is nothing before it without a quorum?  Else names_begin() is ERR_UNAVAILABLE. */
bool names_may_write(struct names *names);
/* The last commit was ERR_UNKNOWN; names_settle() tries to get a quorum for it.  0, or as names_commit(). */
bool names_is_unsettled(struct names *names);
int names_settle(struct names *names);

void names_told(struct names *names, const struct names_position *told);
/* Looks how far our own copy is.  0, ERR_AGAIN: it cannot be read now; or an error. */
int names_refresh(struct names *names);
struct names_position names_visible(struct names *names);
bool names_is_behind(struct names *names); /* what is visible, behind what was told */
/* What our copy has; *settled_r: what its writer knew to be settled with its last change. */
int names_at(struct names *names, struct names_position *at_r, uint64_t *settled_r);

/* The words for a client. */
const char *names_result_text(enum names_result result);

/* Every few seconds: a checkpoint when it is due.  0; ERR_CORRUPT: the database must be recovered, by opening it again; or another
 * error.  Logged. */
int names_housekeeping(struct names *names);

#endif
