/* op-private.h: the machine that runs every operation on names.
 *
 * An operation is a plan: an array of stages, each short, each either repeatable or guarded by the intent.
 * Those before STAGE_COMMIT can be undone, those behind it only be finished. */
#ifndef IMAP_MBOXOP_OP_PRIVATE_H
#define IMAP_MBOXOP_OP_PRIVATE_H

#include "imap/mboxop/mboxop.h"
#include "lib/base/buf.h"
#include "lib/base/lock.h"
#include "lib/base/pool.h"
#include "lib/mboxlist/intent.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/mboxlist/quota.h"
#include "lib/mupdate/link.h"

enum {
    OP_MAGIC = 0x6d626f70,
    OP_LOCKS = 2,   /* trees that an operation can concern */
    OP_WINDOW = 32, /* requests under way at a time */

    LOCK_WAIT_MS = 20 * 1000,
    LOCK_POLL_MS = 10,
    CONNECT_WAIT_MS = 1000, /* a process's first operation finds its link still connecting */
    CONNECT_POLL_MS = 20,
    ANSWER_WAIT_MS = 30 * 1000,
};

/* intent.phase; part of the format (doc/formats/locks.md). */
enum op_phase {
    PHASE_BEGUN = 0,     /* not committed: undone, but a DELETE at once is finished */
    PHASE_COMMITTED = 1, /* finished */
    PHASE_REFUSED = 2    /* the client has been told NO: undone */
};

enum op_stage {
    STAGE_DONE = 0, /* ends every plan */
    STAGE_LOCK,     /* the trees' locks */
    STAGE_RESUME,   /* recovery: is the intent still there? */
    STAGE_LEFT,     /* what dead operations left in these trees is finished or undone */
    STAGE_CONNECT,  /* is there a master?  Nothing has been changed yet */
    STAGE_PREPARE,  /* checks, the list of changes, the intent */
    STAGE_RESERVE,  /* master: each new name; the old one where there is no new one */
    STAGE_BUILD,    /* directories */
    STAGE_COMMIT,   /* one transaction */
    STAGE_ACTIVATE, /* master: each new name */
    STAGE_SEEK,     /* master: is each new name another server's? */
    STAGE_FIND,     /* master: is each old name still ours? */
    STAGE_DELETE,   /* master: those that are */
    STAGE_FINISH,   /* what hangs on the mailboxes */
    STAGE_CLEAR,    /* the intent goes */

    STAGE_UNDO_FIND,     /* master: which new names have we reserved? */
    STAGE_UNDO_DELETE,   /* master: those */
    STAGE_UNDO_ACTIVATE, /* master: each old name, with its old ACL */
    STAGE_UNDO           /* directories */
};

/* One mailbox of an operation. */
struct change {
    const char *old_name; /* that is to vanish; NULL: none */
    const char *new_name; /* that is to be; NULL: none */
    const char *id, *partition;
    const char *acl;         /* as the master shall have it under new_name */
    const char *old_acl;     /* as it had it */
    const char *special_use; /* of the record, as it shall be; NULL: as it is by then */
    uint32_t uidvalidity;    /* as it shall be */
    bool ours;               /* the master has it, and as ours */
    const char *elsewhere;   /* STAGE_SEEK: where it is active; NULL: nowhere else */
};

struct op_kind {
    const char *name;                 /* for the log */
    enum intent_operation operation;  /* 0: changes no name here, has no intent */
    const enum op_stage *plan;        /* of a new operation */
    const enum op_stage *undo_plan;   /* of one that failed before its commit, or died there */
    const enum op_stage *begun_plan;  /* recovery, PHASE_BEGUN */
    const enum op_stage *finish_plan; /* recovery, PHASE_COMMITTED */

    /* Checks, fills changes and intents (which the machine then adds).  May set the text. */
    int (*prepare)(struct mboxop *op);
    /* In the transaction that adds the intents; may be NULL. */
    int (*record)(struct mboxop *op, struct mboxlist_txn *txn);
    /* Recovery: fills changes from op->intents[0], as far as the list shows them. */
    int (*resume)(struct mboxop *op);
    int (*build)(struct mboxop *op);
    int (*commit)(struct mboxop *op, struct mboxlist_txn *txn);
    /* 0: complete; 1: again, for the sake of other sessions; or an error, which leaves the intent. */
    int (*finish)(struct mboxop *op);
    int (*undo)(struct mboxop *op);
};

struct mboxop {
    unsigned magic;
    const struct mboxop_env *env;
    struct pool *pool;
    const struct op_kind *kind;
    const enum op_stage *stage; /* in a plan */

    /* the caller's wishes */
    const char *name, *to; /* to: RENAME */
    const char *partition, *acl, *uniqueid, *special_use;
    uint32_t uidvalidity;
    unsigned flags;
    const char *identifier; /* SETACL */
    enum acl_edit edit;
    rights_t rights;
    struct quota_limits *limits; /* SETQUOTA; NULL: no root any more */

    /* what it comes to */
    struct change *changes;
    size_t change_count, change_room;
    struct intent *intents;
    size_t intent_count;
    bool recorded;  /* the intents are in the list */
    bool committed; /* and so is the change */
    bool refused;   /* failed, and on the way back */
    bool resumed;   /* recovery */
    bool looked;    /* and its intent is still there */
    size_t at;      /* finish: how far */

    /* locks */
    const char *roots[OP_LOCKS];
    size_t root_count;
    struct lock *locks[OP_LOCKS];
    struct relocation *relocation; /* of a move: the mailbox that is under way */
    struct mboxop *left;           /* an operation of the dead, being brought to its end under our locks */

    /* requests to the master: changes[answered..sent) are under way */
    struct mupdate_request *requests[OP_WINDOW];
    size_t sent, answered;
    int answer; /* the first failure */

    int64_t give_up;  /* when the present stage has waited long enough; 0: not set */
    int64_t deadline; /* when to step again */
    void (*wake)(void *context);
    void *wake_context;

    int result;
    int trouble; /* why the intent was left for later */
    struct buf text;
    struct buf text_out; /* mboxop_text() */
};

/* ---- op.c ---- */

struct mboxop *op_new(const struct mboxop_env *env, const struct op_kind *kind, const char *name,
                      const char *to);

/* For recovery: an operation that goes on where a dead one stopped.  The intent is copied. */
struct mboxop *op_resume(const struct mboxop_env *env, const struct intent *intent);

struct change *op_add_change(struct mboxop *op);
/* One with phase PHASE_BEGUN and the operation's kind, to be filled in. */
struct intent *op_add_intent(struct mboxop *op);

/* On this thread, after MBOXOP_WAIT. */
void op_wait(struct mboxop *op);

/* "server!partition", in the pool. */
const char *op_location(struct mboxop *op, const char *partition);

/* ---- locks.c ---- */

/* The tree that a name belongs to, appended: a user's INBOX for all that is his (deleted ones too), else the
 * top level of the shared hierarchy.  Whoever works on names of a tree holds its lock. */
void tree_root(const struct name_config *config, const char *name, struct buf *root);

/* The lock file of a tree, appended (doc/formats/locks.md). */
void tree_lock_path(const char *root, struct buf *path);

/* The locks of op->name and op->to, in order.  0; ERR_AGAIN: somebody has one; ERR_IO. */
int op_lock(struct mboxop *op);
void op_unlock(struct mboxop *op);
/* Does this operation (or the one that it works for) hold the tree of `name`? */
bool op_covers(const struct mboxop *op, const char *name);

/* ---- authority.c ---- */

/* One call of a master stage.  0: all answered; ERR_AGAIN: wait; ERR_CONFLICT, ERR_UNAVAILABLE,
 * ERR_PROTOCOL with the server's words in op->text. */
int op_ask(struct mboxop *op, enum op_stage stage);

/* Waits on this thread for the oldest request under way; false: there is none. */
bool op_wait_answer(struct mboxop *op);

/* Forgets what is under way. */
void op_drop_requests(struct mboxop *op);

/* ---- recover.c ---- */

/* The master has refused what is here: the keeper shall push the list at its next tick, whichever process it is
 * (the file <configdirectory>/mupdate.push). */
void keeper_ask_push(void);

/* ---- changes.c: what several kinds need ---- */

/* The nearest ancestor of `name` that is in the list, in the pool.  0; ERR_NOTFOUND. */
int env_nearest(const struct mboxop_env *env, const char *name, struct pool *pool,
                struct mboxlist_record *record_r);

/* The partition of a location, in the operation's pool. */
const char *op_partition(struct mboxop *op, const char *location);

/* A change with what a record says; names are left to the caller. */
struct change *op_add_record(struct mboxop *op, const struct mboxlist_record *record);

/* A new UIDVALIDITY for a name: greater than any given here, and than the name's tombstone. */
int op_new_uidvalidity(struct mboxop *op, struct mboxlist_txn *txn, const char *name,
                       uint32_t *uidvalidity_r);

/* May that many more mailboxes be below `name` or be it, by the quota (RFC 9208 5.3)?  0, ERR_OVERQUOTA, an error of the
 * list. */
int op_check_quota(struct mboxop *op, const char *name, uint64_t mailboxes);

/* Makes the files of a new mailbox: name, id, partition, UIDVALIDITY, ACL and special uses of its record to be. */
int op_make_mailbox(struct mboxop *op, const struct mboxlist_record *record);

/* A user is gone: his subscriptions and private annotations in the commit; and what he has seen of others'
 * mailboxes, his quota roots and his Sieve scripts, afterwards.  Nothing when `name` is no INBOX. */
int op_commit_no_user(struct mboxop *op, struct mboxlist_txn *txn, const char *name);
int op_forget_user(struct mboxop *op, const char *name);

/* A user's Sieve scripts are removed, or renamed with him.  Harmless to repeat; trouble is logged. */
void op_remove_scripts(const struct mboxop_env *env, const char *userid);
void op_move_scripts(const struct mboxop_env *env, const char *from, const char *to);

/* Adds a change for `name` (it must be here) and, with `below`, each mailbox below it: id, partition, ACL,
 * uidvalidity are filled in, old_name set.  0; ERR_NOTFOUND; or an error of the list. */
int op_collect(struct mboxop *op, const char *name, bool below);

/* One rename in the list: name, ACL, special use, uidvalidity. */
int op_commit_rename(struct mboxop *op, struct mboxlist_txn *txn, const struct change *change);

/* Sets in the mailbox's header its uidvalidity and what the list has for its new name: quota root, ACL... (listed.h).  A
 * mailbox that is gone is success. */
int op_adjust_mailbox(struct mboxop *op, const struct change *change);

/* A list "identifier TAB value TAB ..." with one identifier renamed, in the pool. */
const char *op_rename_identifier(struct pool *pool, const char *list, const char *from, const char *to);

/* ---- partition.c ---- */

/* The partition of a new mailbox whose nearest ancestor is on `ancestor` (NULL: there is none), in the pool;
 * NULL: none is configured. */
const char *partition_for_new(struct pool *pool, const char *ancestor);

/* ---- the kinds ---- */

extern const struct op_kind op_adopt, op_create, op_create_here, op_delete_now, op_delete_here,
    op_delete_later, op_move, op_rename, op_setacl, op_setquota;

#endif
