/* mboxop.h: the operations on mailbox names: create, delete, rename, ACL, with what the rest of a
 * murder must know of them (doc/ARCHITECTURE.md, "The mailbox list and MUPDATE").
 *
 * An operation is an object with step(): it never waits for the MUPDATE master in a worker.  It holds the
 * locks of its names (mboxname_lockpath), has committed an intent before it changes anything, and
 * is finished or undone by recovery if the process dies at any instruction.  No lock of an index and no
 * database transaction is held over a step that waits.
 *
 * Permission is the caller's to check (the mboxop_may_ functions help).  An operation belongs to one
 * thread at a time; mboxop_env is for all threads. */
#ifndef IMAP_MBOXOP_MBOXOP_H
#define IMAP_MBOXOP_MBOXOP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/name/acl.h"
#include "lib/name/identity.h"
#include "lib/name/mboxname.h"

struct mboxlist;
struct mupdate_link;
struct quota_limits;
struct store;
struct mboxop;

/* What the operations of a process work on; one per process, not changed after. */
struct mboxop_env {
    const struct name_config *config;
    struct mboxlist *list; /* the node's mailbox list (read and written) */
    struct store *store;
    struct mupdate_link *link; /* to the MUPDATE master; NULL on a standalone server */
    const char *server;        /* servername, as in locations */
};

enum mboxop_verdict {
    MBOXOP_MORE, /* step again */
    MBOXOP_WAIT, /* step again after the waker was called, or at mboxop_deadline() */
    MBOXOP_DONE  /* see mboxop_result() */
};

enum mboxop_flags {
    MBOXOP_DELETE_NOW = 1, /* DELETE: at once, whatever delete_mode says (cyr_expire, DELETED names) */
    MBOXOP_NO_RECURSE = 2, /* DELETE of a user's INBOX, RENAME: this mailbox only */
    MBOXOP_SET_ASIDE =
        4 /* DELETE: to the DELETED hierarchy in any case, this mailbox only, and its user is not
                              forgotten: the name is another server's */
};

/* CREATE.  `partition` NULL: the parent's, else by partition_select_mode; `acl` NULL: inherited;
 * `uniqueid` NULL and uidvalidity 0: new ones; special_use: of the owner ("\\Sent"), may be NULL.
 * ERR_SPECIAL_USE: another mailbox of his has it. */
struct mboxop *mboxop_create(const struct mboxop_env *env, const char *name, const char *partition,
                             const char *acl, const char *uniqueid, uint32_t uidvalidity,
                             const char *special_use);

/* DELETE.  Deleting a user's INBOX deletes what is below it, and the user's subscriptions, quota roots
 * and seen state, all under one intent. */
struct mboxop *mboxop_delete(const struct mboxop_env *env, const char *name, unsigned flags);

/* RENAME of a mailbox and of everything below it; of a user (INBOX to INBOX) with subscriptions, quota
 * roots, seen state and the user's place in the lists' ACLs.  RENAME of an INBOX to what is no INBOX moves
 * its messages to a new mailbox and leaves an empty INBOX (RFC 3501 6.3.5).  `partition`: NULL, or the one
 * that it is on: ERR_UNSUPPORTED otherwise.
 *
 * With `to` the same as `from` the mailbox and what is below it go to that partition, one after the other: at any moment
 * each is whole on one of the two, and a failure leaves those that have gone there.  Sessions that have it selected
 * find it gone.  ERR_EXISTS: all are there already; ERR_INVALID: no such partition, or another name of the same directory. */
struct mboxop *mboxop_rename(const struct mboxop_env *env, const char *from, const char *to,
                             const char *partition, unsigned flags);

/* SETACL, DELETEACL (ACL_REPLACE with no rights). */
struct mboxop *mboxop_setacl(const struct mboxop_env *env, const char *name, const char *identifier,
                             enum acl_edit edit, rights_t rights);

/* ---- a move to or from another server, as Cyrus's servers ask for it (doc/protocols/cyrus-private.md): what the
 * MUPDATE master is not told.  A name that was made so is marked MBOXLIST_MOVING in a murder, and clients and pushes
 * leave it alone, until it is published. ---- */

struct mboxop *mboxop_create_here(const struct mboxop_env *env, const char *name, const char *partition);
/* At once, and nothing below it; the master goes on naming whoever it names. */
struct mboxop *mboxop_delete_here(const struct mboxop_env *env, const char *name);
/* Tells the master that the mailbox is active here, as our list has it.  ERR_UNSUPPORTED on a standalone server;
 * ERR_CONFLICT: active on another. */
struct mboxop *mboxop_publish(const struct mboxop_env *env, const char *name);

/* A mailbox whose directory is on that partition and that the list does not know gets this name, with what its index remembers of
 * the list (ACL, special uses, its quota root where nothing else is left of its tree; imap/store/listed.h), its UIDVALIDITY and
 * unique id.  ERR_NOTFOUND: no such directory, or the list has come to know it; ERR_EXISTS: the name is another mailbox's;
 * ERR_CORRUPT: reconstruct it first; ERR_CONFLICT: the name is active on another server. */
struct mboxop *mboxop_adopt(const struct mboxop_env *env, const char *name, const char *partition,
                            const char *id);

/* SETQUOTA: the limits of a root (NULL: it is no root any more; ERR_NOTFOUND if it was none), noted in the
 * headers of the mailboxes below.  Asks no master. */
struct mboxop *mboxop_setquota(const struct mboxop_env *env, const char *root,
                               const struct quota_limits *limits);

/* Called, by any thread, when an operation in MBOXOP_WAIT can go on.  Set before the first step; must not
 * wait, nor call this room. */
void mboxop_set_waker(struct mboxop *op, void (*wake)(void *context), void *context);

/* A step of work, no waiting but for the disk (and for a name's lock never: that is MBOXOP_WAIT too). */
enum mboxop_verdict mboxop_step(struct mboxop *op);

/* When to step at the latest while waiting (clock.h). */
int64_t mboxop_deadline(const struct mboxop *op);

/* After MBOXOP_DONE.  0; ERR_EXISTS; ERR_NOTFOUND; ERR_BADNAME; ERR_CONFLICT: active on another server
 * (or reserved there); ERR_UNAVAILABLE: no MUPDATE master, nothing was changed; ERR_BUSY: the name's lock was not
 * to be had; ERR_IO, ERR_DISKFULL... */
int mboxop_result(const struct mboxop *op);

/* A sentence for the client about that result; owned by op, never NULL. */
const char *mboxop_text(struct mboxop *op);

/* The renames that were done, for the caller's `* OK rename` lines: pairs in order; how many. */
unsigned mboxop_renamed(const struct mboxop *op, unsigned i, const char **from_r, const char **to_r);

/* The unique id of the mailbox created, NULL otherwise. */
const char *mboxop_uniqueid(const struct mboxop *op);

/* Frees; *op = NULL.  An operation that is not done is left to recovery, exactly as if the process
 * had died. */
void mboxop_free(struct mboxop **op);

/* Steps to the end, waiting; for tools and tests.  The result; frees op. `text` (may be NULL) gets
 * mboxop_text(). */
int mboxop_run(struct mboxop **op, struct buf *text);

/* ---- permission (RFC 4314 4) ---- */

/* 0; ERR_DENIED; ERR_BADNAME; ERR_NOTFOUND (also when the identity may not see it); ERR_EXISTS. */
int mboxop_may_create(const struct mboxop_env *env, const struct identity *identity, const char *name);
int mboxop_may_delete(const struct mboxop_env *env, const struct identity *identity, const char *name);
int mboxop_may_rename(const struct mboxop_env *env, const struct identity *identity, const char *from,
                      const char *to);
/* To another partition: for administrators. */
int mboxop_may_move(const struct mboxop_env *env, const struct identity *identity, const char *name);
int mboxop_may_setacl(const struct mboxop_env *env, const struct identity *identity, const char *name,
                      const char *identifier, rights_t rights);

/* ---- after a crash ---- */

/* Finishes or undoes every intent whose name is not locked by a living operation.  In a murder what
 * needs the master stays when it is away (ERR_UNAVAILABLE); else 0.  *done_r (may be NULL): how many. */
int mboxop_recover(const struct mboxop_env *env, unsigned *done_r);

/* The keeper of <configdirectory>/mupdate.lock: any service process with a store calls this about
 * every 10 s from a timer thread.  Does nothing unless this process holds (or now gets) the lock; then
 * recovers intents and, in a murder after an outage of the master, pushes the list (`push`, may be NULL).  Waits for the
 * master: never call it from a worker. */
struct mboxop_keeper;
struct mboxop_keeper *mboxop_keeper_new(const struct mboxop_env *env,
                                        int (*push)(const struct mboxop_env *env, void *context),
                                        void *context);
void mboxop_keeper_tick(struct mboxop_keeper *keeper);
/* Lets another process have the lock: from that thread, in place of the tick, once this process retires. */
void mboxop_keeper_rest(struct mboxop_keeper *keeper);
void mboxop_keeper_free(struct mboxop_keeper **keeper);

#endif
