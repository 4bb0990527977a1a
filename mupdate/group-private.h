/* group-private.h: a member of a group, as its parts have it.
 *
 * Threads: the keeper looks at the time, and appends what the elected one has to say of itself; the listener fetches
 * from the elected one; a canvasser for each other member asks it for its vote; the asker answers barriers and takes
 * members out; the writer's thread changes names, here or at the elected one; sessions answer the other members.
 * Two locks: `log_lock`, whose holder alone writes to the log or does its entries to the names, before `mutex`, which is for
 * the fields, and is held while a term or a vote is saved, and else never for long. */
#ifndef MUPDATE_GROUP_PRIVATE_H
#define MUPDATE_GROUP_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "lib/base/pool.h"
#include "mupdate/group.h"
#include "mupdate/journal.h"
#include "mupdate/peer.h"
#include "mupdate/raft.h"

enum {
    GROUP_ANSWER_MS = 5 * 1000,          /* another member's, to what takes it a commit */
    GROUP_FOLLOW_ANSWER_MS = 1500,       /* to what it should answer within MUPDATE_GROUP_FOLLOW_MS */
    GROUP_PIECE_BYTES = 512 * 1024,      /* of entries or rows in one answer, about */
    GROUP_KEPT_BYTES = 16 * 1024 * 1024, /* of settled entries, once to twice */
    GROUP_KEPT_MOST = 512 * 1024 * 1024, /* if somebody fetches slowly */
    GROUP_SETTLE_MS = 2 * 1000           /* that a change waits for a majority */
};

struct mupdate_group;

/* Asks one other member for its vote. */
struct canvasser {
    struct mupdate_group *group;
    char name[RAFT_NAME_MAX + 1];
    pthread_t thread;
    struct peer peer;
    /* under the mutex */
    uint64_t asked;   /* that canvass */
    uint64_t told;    /* that we are elected in that term */
    bool has_asked;   /* at all, be it in vain */
    int64_t looks_at; /* for another group */
};

struct mupdate_group {
    unsigned magic;
    struct names *names;
    struct db_env *env;
    struct hub *hub;
    struct conflicts *conflicts;
    uint64_t conflicts_known; /* the listener's: the elected one's version */
    void (*published)(void *context);
    void (*broken)(void *context);
    void *context;
    struct pool *pool;
    const char *dir;
    const char *configured[MUPDATE_GROUP_MOST]; /* host:port each */
    unsigned configured_count;
    bool founds; /* it may found a group where there is none */
    pthread_t keeper, listener, asker;
    bool running;
    atomic_bool stop;
    struct peer writes, listens, asks;

    pthread_mutex_t log_lock;
    bool
        torn; /* under log_lock: on disk there may be more entries than we know of, from a write that failed */
    pthread_mutex_t mutex;
    pthread_cond_t changed, progress, asked_for; /* who is elected; what is settled and done; the asker's */
    /* under the mutex from here on */
    bool kicked, given_up;
    struct raft raft;
    uint64_t applied;          /* what was done to the names */
    struct journal_entry tail; /* the elected one's last, which may not be on disk yet */
    bool tail_waits;           /* nobody is given it before */
    bool was_member;           /* that was settled once */
    bool others_are_members;   /* of a group: then none is founded */
    uint64_t whole_at;         /* while copying: then the copy is whole; 0: it has not been read to its end */
    char heard[RAFT_MEMBERS_MAX * (RAFT_NAME_MAX + 2)]; /* members that the elected one hears, as he told */
    struct canvasser *canvassers[RAFT_COPIES_MAX];
    unsigned canvasser_count;
    int64_t began, good_at; /* somebody could write then */
    /* what is kept of the log */
    uint64_t mark, mark_before; /* entries behind these are kept */
    uint64_t bytes, bytes_before;
    int64_t copied_at; /* somebody is given a copy, and needs what is behind `copied_from` */
    uint64_t copied_from;
    /* the asker's */
    uint64_t asked, answered, missed; /* barriers */
    uint64_t reached;                 /* the sequence here when that was answered */
    char leaves[RAFT_NAME_MAX + 1];   /* a member to be taken out; "": none */
    uint64_t leaving, left;           /* so many have been asked for, and are answered */
    int left_result;
    /* the keeper's */
    enum group_state { GROUP_UNKNOWN, GROUP_ALONE, GROUP_FOLLOWS, GROUP_ELECTED } logged;
    unsigned noted;   /* members, on disk; 0: not yet */
    uint64_t flushed; /* of the entries that were done to the names */
    int64_t flush_at; /* not before */
};

/* ---- waiting (group.c), with the mutex ---- */

/* Somebody else is elected, or something is to be done: all threads look. */
void group_changed(struct mupdate_group *g);
void group_wait(struct mupdate_group *g, int64_t deadline);
/* Something was heard of, settled or done: who waits for just that looks. */
void group_progressed(struct mupdate_group *g);
void group_wait_progress(struct mupdate_group *g, int64_t deadline);

/* Without it. */
void group_pause(int64_t ms);
/* This process must end, and begin anew.  With the mutex. */
void group_give_up(struct mupdate_group *g);

/* ---- the log (group-log.c) ---- */

/* With the mutex, before anybody is told anything.  False: it cannot be saved, and we have given up. */
bool group_save(struct mupdate_group *g);
/* With log_lock alone: does what is settled to the names.  0 or an error (then we have given up). */
int group_do_settled_locked(struct mupdate_group *g);
int group_do_settled(struct mupdate_group *g);
/* With log_lock alone: entries as the log's next ones on disk, in place of what a write that failed may have left.  0 or an error. */
int group_write_log(struct mupdate_group *g, const struct journal_entry *entries, unsigned count);
/* With log_lock and the mutex, by the elected one: the entry (its rows are taken) is the log's next one, on disk, when it returns 0
 * with *at_r; the mutex was free meanwhile. */
int group_append(struct mupdate_group *g, struct journal_entry *entry, struct raft_position *at_r);
/* With the mutex: until that entry is settled and done: 0; ERR_UNAVAILABLE: it never will be; ERR_UNKNOWN. */
int group_await(struct mupdate_group *g, const struct raft_position *at, int64_t deadline);
/* With the mutex: is all of the log settled and done, so that the next entry may come? */
bool group_is_settled(const struct mupdate_group *g);
/* With both locks: a list of members as the next entry.  0, on its way; ERR_AGAIN: not now; ERR_UNAVAILABLE: too few of them are
 * there. */
int group_change_members(struct mupdate_group *g, const struct raft_members *members,
                         struct raft_position *at_r);
/* The same without a member; *at_r.  As mupdate_group_remove_done(). */
int group_remove_here(struct mupdate_group *g, const char *name);
/* With both locks: an entry is kept from now on. */
void group_note_kept(struct mupdate_group *g, uint64_t index, uint64_t bytes);
/* In base64, as an argument. */
void group_put_bytes(const struct db_value *value, struct buf *to);
/* Forgets old entries. */
void group_trim(struct mupdate_group *g);

/* ---- who is elected ---- */

/* With the mutex: the epoch of the names is that of our group; 0: we are in none yet, or look for another one. */
uint64_t group_epoch(const struct mupdate_group *g);
/* With the mutex: may somebody of that group have to do with us? */
bool group_is_ours(const struct mupdate_group *g, uint64_t epoch);

/* With the mutex: has it been taken out? */
bool group_is_removed(const struct mupdate_group *g);
/* With the mutex: is it a member, or has it the copy of a group that may have given its word to somebody?  (Who founds a group
 * and is joined by nobody may have forgotten it since.) */
bool group_is_bound(const struct mupdate_group *g);
/* With the mutex: may we write? */
bool group_is_writer(const struct mupdate_group *g);
/* Whom we follow, as far as we know: his name; "": nobody, or we are elected. */
void group_leader(struct mupdate_group *g, char name[RAFT_NAME_MAX + 1]);
/* So many others follow us that nobody else can be elected; what was settled before *index_r is in our copy. */
bool group_is_sure(struct mupdate_group *g);
void *group_run_canvasser(void *canvasser); /* group-vote.c */
/* With the mutex: the only member of a group that it has founded, with nothing in it? */
bool group_is_lonely(const struct mupdate_group *g);
/* With the mutex: those who are to be asked have a canvasser. */
void group_make_canvassers(struct mupdate_group *g);

/* ---- threads ---- */

void *group_run_listener(void *group); /* group-fetch.c */
void *group_run_asker(void *group);    /* group-write.c */

#endif
