/* names.h: the master's database: the authority for which server has which name (doc/formats/mupdate.md).
 *
 * Berkeley DB in <configdirectory>/mupdate, a group's member's in mupdate.group, owned by this process.  Each change is the name's record and a row
 * of the change log with the next sequence, in one transaction. */
#ifndef MUPDATE_NAMES_H
#define MUPDATE_NAMES_H

#include "lib/db/db.h"
#include "mupdate/journal.h"
#include "mupdate/source.h"

struct names;
struct names_txn;

enum {
    NAMES_LOG_KEPT = 100000,        /* changes that a reader may be behind */
    NAMES_OWNER_WAIT_MS = 30 * 1000 /* for the process before us to let go of the database */
};

/* Opens (makes) a lone master's database under the configuration directory; of what a group may have left in it all that its journal has
 * is done, and the rest forgotten.  `published` is called, by the thread that
 * committed, when sequence() has grown.  ERR_BUSY: another process has it, still after `wait_ms`; ERR_CORRUPT: also the copy of a group's
 * member that is not whole.  Text in *error_r
 * (malloc'ed). */
int names_open(const char *dir, int64_t wait_ms, void (*published)(void *context), void *context,
               struct names **names_r, char **error_r);
void names_close(struct names **names);

/* The same for a member of a group, under <dir>/mupdate.group; see below. */
int names_open_group(const char *dir, int64_t wait_ms, void (*published)(void *context), void *context,
                     struct names **names_r, char **error_r);
struct db_env *names_env(struct names *names); /* for the journal */

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

/* A lone master's.  0: durable, all of it. */
int names_commit(struct names_txn **txn);
void names_abort(struct names_txn **txn);

/* ---- a group's ----
 *
 * A member's tables have only what is settled: what names_do() has done.  One thread at a time calls what writes.  While the names are
 * not readable, as they are at first, find, lists and changes are ERR_AGAIN.
 *
 * names_begin() only begins to decide, behind all that was done: names_apply() says what would become of a command
 * behind the earlier ones of the transaction, and writes nothing.  Until its end, which is names_decided() or names_abort(), whoever
 * writes, also to the journal, waits; its own thread would for ever. */

/* Ends it: the entry has what the commands change, with the sequences that it gets if it is the next CHANGES that is done; its place is
 * the caller's to give.  entry->count 0: there were only refusals.  The caller frees it. */
void names_decided(struct names_txn **txn, struct journal_entry *entry_r);

/* Does what an entry says, in one transaction, and notes its place; on disk some time later, like the place.  0; also for an entry
 * that was done before: nothing happens then.  ERR_INVALID: another one would be the next; ERR_CORRUPT: it is damaged, or its sequence is not
 * the next one; or another error: nothing was done. */
int names_do(struct names *names, const struct journal_entry *entry);

/* Makes an epoch, and sequence 0, if there is no epoch; for who founds a group always, unless it has brought changes.  (Others get
 * the epoch with a copy: names_copy_end().) */
int names_found(struct names *names);

void names_set_readable(struct names *names, bool readable);
bool names_is_readable(struct names *names);

struct names_summary {
    uint64_t epoch, sequence; /* 0: none yet */
    struct raft_position applied;
    struct raft_members members; /* by then */
};
/* What was done, all of one moment. */
int names_summary(struct names *names, struct names_summary *summary_r);

/* ---- a group's: a whole list from another member ----
 *
 * The giver's summary first; then pieces of both tables, which are of later moments, each of its own; and then the giver's entries behind
 * the summary: with those up to what was done there at the last piece's moment the copy is what it is there.  Until then it is not whole,
 * also for who opens it again. */

enum names_table { NAMES_TABLE_NAMES, NAMES_TABLE_LOG };

/* The taker's: the names are not whole, and not readable, from here on; `floor`: what it had.  On disk. */
int names_copy_begin(struct names *names, const struct raft_position *floor);

/* The giver's, whose own list is whole: rows of a table behind a key (NULL: from the first on), at least one, and no more once
 * they have `most` bytes; *more_r: there are others behind them.  What `rows` was is freed.  0; ERR_INVALID: no such table or key; or
 * another error. */
int names_copy_read(struct names *names, enum names_table table, const struct db_value *after, size_t most,
                    struct journal_entry *rows, bool *more_r);

/* The taker's: from behind `after` (NULL: the first) up to `until`, itself included (NULL: the last), the table has these rows and no others;
 * in transactions of bounded size, on disk some time later.  0; ERR_INVALID: rows that cannot be: nothing was done; or another
 * error. */
int names_copy_write(struct names *names, enum names_table table, const struct db_value *after,
                     const struct db_value *until, const struct journal_entry *rows);

/* The taker's: what is here is that summary's, as far as the entries behind it make it so: epoch, sequence, members and what was
 * done become the summary's, and the journal has nothing but an entry TERM at its place.  On disk.  ERR_INVALID: a summary without an epoch or a
 * place. */
int names_copy_end(struct names *names, const struct names_summary *at);
/* The taker's, once those entries are done: the names are whole, and readable.  On disk. */
int names_copy_whole(struct names *names);

/* ---- all others' ---- */

/* The words for a client. */
const char *names_result_text(enum names_result result);

/* Every few seconds: a checkpoint when it is due.  0; ERR_CORRUPT: the database must be recovered, by opening it again; or another
 * error.  Logged. */
int names_housekeeping(struct names *names);

#endif
