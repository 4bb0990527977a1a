/* mboxlist.h: the mailbox list of this machine: which mailboxes there are, where, and who may see them.
 *
 * LMDB environment <configdirectory>/mailboxes, shared by all processes (doc/formats/mailboxes.md).  Reading
 * needs no lock and never waits for writers.  A handle may be used by any thread; a transaction belongs to the
 * thread that began it; no transaction may live across a call to a socket, and an iterator holds none between
 * its calls.
 *
 * Names are in internal form.  They are ordered component by component, so that what is below a mailbox comes
 * directly after it. */
#ifndef LIB_MBOXLIST_MBOXLIST_H
#define LIB_MBOXLIST_MBOXLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/pool.h"
#include "lib/mboxlist/record.h"

struct mboxlist;
struct mboxlist_txn;
struct mboxlist_iter;

/* Opens (makes) the list of the configuration directory `dir` (NULL: the option configdirectory).  The handle
 * is the process's, counted.  0, or an error with text in *error_r (malloc'ed; may be NULL). */
int mboxlist_open(const char *dir, struct mboxlist **list_r, char **error_r);
void mboxlist_close(struct mboxlist **list);

/* Every minute in service processes: frees what dead readers held. */
void mboxlist_housekeeping(struct mboxlist *list);

/* Forces what was committed to the disk (ctl_cyrusdb -c). */
int mboxlist_checkpoint(struct mboxlist *list);

/* ---- reading ---- */

/* By name or by unique id.  0 with the record in the pool; ERR_NOTFOUND. */
int mboxlist_lookup(struct mboxlist *list, const char *name, struct pool *pool,
                    struct mboxlist_record *record_r);
int mboxlist_lookup_id(struct mboxlist *list, const char *id, struct pool *pool,
                       struct mboxlist_record *record_r);

/* Is there a mailbox below `name`?  1, 0 or an error. */
int mboxlist_has_children(struct mboxlist *list, const char *name);

/* The tombstone of a name: type deleted, with the id and uidvalidity it last had here.  ERR_NOTFOUND. */
int mboxlist_tombstone(struct mboxlist *list, const char *name, struct pool *pool,
                       struct mboxlist_record *record_r);

/* All records whose name begins with `prefix` ("" or NULL: all) and whose type is in the mask, in order. */
struct mboxlist_iter *mboxlist_iter_all(struct mboxlist *list, const char *prefix, unsigned types);

/* The same for one user, at the cost of what he may see: the mailboxes of `owner_tree` ("user.fred": it and
 * what is below it; NULL: none) and those whose ACL gives the right `l` to one of `identifiers` (his userid,
 * his groups, "anyone"; NULL-terminated).  Negative rights are not looked at: the caller computes the rights of
 * each record, as for any other purpose. */
struct mboxlist_iter *mboxlist_iter_visible(struct mboxlist *list, const char *prefix, const char *owner_tree,
                                            const char *const *identifiers, unsigned types);

/* The next record, valid until the next call on `it`.  1; 0 at the end; or an error. */
int mboxlist_iter_next(struct mboxlist_iter *it, const struct mboxlist_record **record_r);

/* Goes on with the first name at or after `name` (never backwards). */
void mboxlist_iter_seek(struct mboxlist_iter *it, const char *name);

/* Goes on behind everything below `name`. */
void mboxlist_iter_skip_below(struct mboxlist_iter *it, const char *name);

void mboxlist_iter_free(struct mboxlist_iter **it); /* *it may be NULL */

/* Number of records, tombstones not counted. */
int mboxlist_count(struct mboxlist *list, uint64_t *count_r);

/* Order of two names in the list: <0, 0, >0. */
int mboxlist_name_compare(const char *a, const char *b);

/* ---- local transactions: for who has the name's lock (imap/mboxop, tools) ---- */

/* Write transactions exclude one another in all processes: keep them short. */
int mboxlist_begin(struct mboxlist *list, struct mboxlist_txn **txn_r);
/* Durable, all or nothing, when it returns 0.  Either way *txn = NULL. */
int mboxlist_commit(struct mboxlist_txn **txn);
void mboxlist_abort(struct mboxlist_txn **txn); /* *txn may be NULL */

int mboxlist_txn_lookup(struct mboxlist_txn *txn, const char *name, struct pool *pool,
                        struct mboxlist_record *record_r);
int mboxlist_txn_lookup_id(struct mboxlist_txn *txn, const char *id, struct pool *pool,
                           struct mboxlist_record *record_r);

/* Writes a record with all that hangs on it (reverse table, ids), replacing the name's old one.
 * ERR_EXISTS: another name has this id.  Also as mboxlist_record_check(). */
int mboxlist_txn_put(struct mboxlist_txn *txn, const struct mboxlist_record *record);

/* Removes a record; with `tombstone` its id and uidvalidity are remembered.  ERR_NOTFOUND. */
int mboxlist_txn_delete(struct mboxlist_txn *txn, const char *name, bool tombstone);

/* Gives a record another name, keeping everything else; a tombstone stays behind.  ERR_NOTFOUND; ERR_EXISTS:
 * new_name is taken. */
int mboxlist_txn_rename(struct mboxlist_txn *txn, const char *old_name, const char *new_name);

/* A UIDVALIDITY greater than every one given before on this server: max(`now`, last + 1); the last one is
 * remembered in this transaction. */
int mboxlist_txn_uidvalidity(struct mboxlist_txn *txn, int64_t now, uint32_t *uidvalidity_r);

/* Removes tombstones older than `before` (seconds of the epoch); the number removed, or an error. */
int mboxlist_tombstones_expire(struct mboxlist *list, int64_t before);

#endif
