/* journal.h: a group's log in a member's copy of the database, and what else a member must not forget
 * (doc/formats/mupdate.md).
 *
 * Entries are rows of the table "journal", by index.  What is settled of them is done to the names (names.h).  One thread at a
 * time changes the journal; any thread reads it. */
#ifndef MUPDATE_JOURNAL_H
#define MUPDATE_JOURNAL_H

#include "lib/base/buf.h"
#include "lib/db/db.h"
#include "mupdate/raft.h"

enum journal_kind {
    JOURNAL_TERM = 1, /* somebody was elected */
    JOURNAL_CHANGES,
    JOURNAL_MEMBERS
};

struct journal_entry {
    struct raft_position at;
    enum journal_kind kind;
    uint64_t sequence; /* CHANGES: of the first row's change; each has the next one */
    unsigned count;    /* of rows */
    struct buf rows;   /* CHANGES: a name's key and its new value; MEMBERS: a name and its id (u64) */
};

#define JOURNAL_ENTRY_INIT                                                                                   \
    {                                                                                                        \
        .rows = BUF_INIT                                                                                     \
    }

void journal_entry_free(struct journal_entry *entry); /* what it has; it is empty then */
/* value NULL: the name is gone.  A key has 1 to DB_KEY_MAX bytes. */
void journal_entry_add(struct journal_entry *entry, const struct db_value *key, const struct db_value *value);
/* The next row behind *place (0 at first); value_r->data NULL: gone.  False: there is none, or (*place is not at the end) it is
 * damaged.  Pointers are into the entry's rows. */
bool journal_entry_row(const struct journal_entry *entry, size_t *place, struct db_value *key_r,
                       struct db_value *value_r);
/* Are the rows those of its kind, as many as `count`, and nothing behind them?  (For entries from elsewhere.) */
bool journal_entry_is_whole(const struct journal_entry *entry);

/* Makes it an entry of that kind, in place of what it was; `at` stays. */
void journal_members_put(struct journal_entry *entry, const struct raft_members *members);
int journal_members_get(const struct journal_entry *entry,
                        struct raft_members *members_r); /* 0; ERR_CORRUPT */

/* What is there at the start. */
struct journal_state {
    uint64_t id; /* this member's; 0: a database that is in no group yet: all else is 0, but for `copying` */
    uint64_t term, voted;
    struct raft_position applied; /* what was done to the names */
    struct raft_members members;  /* by then */
    bool was_member;              /* it has been among them */
    bool copying;                 /* it is not whole: only names_copy_whole() ends that */
    struct raft_position floor;   /* and before that had so much */
};

/* Each entry that is kept goes to fn (NULL: they are only looked at), in order, without its rows but for MEMBERS, within a
 * transaction.  All of these: 0 or an error (ERR_CORRUPT, ERR_VERSION: damaged rows); what they write is on disk when they return
 * 0, where nothing else is said.
 *
 * There is an entry for each index from the first one to the last one, and but for a copy that is not whole they reach from
 * at most one behind `applied` to at least there.  While it is not whole they may be what is left of those before it. */
int journal_load(struct db_env *env, struct journal_state *state_r,
                 void (*fn)(const struct journal_entry *entry, void *context), void *context);
/* A new member's beginning: another id, nothing else; what a group before has left is gone, but for the names, and that they are
 * not whole (then with no floor). */
int journal_begin(struct db_env *env, uint64_t id);
int journal_vote(struct db_env *env, uint64_t term, uint64_t voted);
int journal_note_member(struct db_env *env); /* was_member */
/* The first entry of a group that this member founds, and that it is one, both or neither. */
int journal_found(struct db_env *env, const struct journal_entry *entry);

/* Behind the last one, one transaction for all.  ERR_EXISTS: there is one of that index. */
int journal_append(struct db_env *env, const struct journal_entry *entries, unsigned count);
/* Entries behind `last` go, from the end on. */
int journal_truncate(struct db_env *env, uint64_t last);
/* Entries from `index` on, together at most `most` bytes or a single one, until fn returns non-zero, which is returned.  fn is called
 * within a transaction: it waits for nothing, begins none, and what the entry has is the database's.  ERR_NOTFOUND: there is none at
 * `index`. */
int journal_read(struct db_env *env, uint64_t index, size_t most,
                 int (*fn)(const struct journal_entry *entry, void *context), void *context);
/* Entries before `first` go, in short transactions; on disk some time later. */
int journal_trim(struct db_env *env, uint64_t first);

/* Within a write transaction: that entry is there, in place of any other of its index. */
int journal_put(struct db_txn *txn, const struct journal_entry *entry);

#endif
