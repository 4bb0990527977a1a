/* group.h: a member of a replicated group of masters (doc/protocols/mupdate-group.md).
 *
 * Every member takes any client.  The elected one writes; the others send it what their clients want changed, and
 * answer when their own copy has it.  A change is good when a majority has it on disk, and nobody shows it before.  Without
 * a majority nothing is changed, and what is there can be read. */
#ifndef MUPDATE_GROUP_H
#define MUPDATE_GROUP_H

#include <stdint.h>

#include "mupdate/conflicts.h"
#include "mupdate/hub.h"
#include "mupdate/names.h"
#include "mupdate/raft.h"
#include "mupdate/writer.h"

enum { MUPDATE_GROUP_MIN = 3, MUPDATE_GROUP_MOST = 7 };

struct mupdate_group;

struct mupdate_group_config {
    const char *dir;     /* the configuration directory */
    const char *members; /* mupdate_group */
    const char *own;     /* servername: its host, without the port, is one of the members */
    struct hub *hub;
    struct conflicts *conflicts;
    void (*published)(void *context); /* by any thread */
    void (*broken)(void *context);    /* this process must end, to begin anew */
    void *context;
};

/* Opens this member's copy and begins to look for the others.  Text in *error_r (malloc'ed). */
int mupdate_group_open(const struct mupdate_group_config *config, struct mupdate_group **group_r,
                       char **error_r);
/* Ends its threads and what the writer's waits for: before the writer ends. */
void mupdate_group_stop(struct mupdate_group *group);   /* group may be NULL */
void mupdate_group_close(struct mupdate_group **group); /* *group may be NULL */

struct names *mupdate_group_names(struct mupdate_group *group);

/* The writer's way to change something. */
void mupdate_group_write(void *group, struct write_job *jobs);

/* ---- what other members ask, in sessions of theirs ---- */

enum { MUPDATE_GROUP_FOLLOW_MS = 200 }; /* that a question waits for news */

/* Somebody of the group with that epoch (0: of none yet) asks for a vote.  *own_r: our id; *member_r: are we in a group?  0, or
 * ERR_UNAVAILABLE. */
int mupdate_group_vote(void *group, uint64_t epoch, const struct raft_ballot *ballot,
                       struct raft_vote *vote_r, uint64_t *own_r, bool *member_r);

/* Somebody says that he is elected.  0; ERR_UNAVAILABLE: not any more, or not in our group. */
int mupdate_group_hear(void *group, uint64_t epoch, uint64_t term, const struct raft_member *leader);

struct group_fetch {
    struct raft_copy who; /* id, name, the round it has heard of, and whether it wants to be a member */
    uint64_t epoch;       /* the group that it knows itself in; 0: none yet */
    uint64_t term, commit;
    struct raft_position last; /* it wants what is behind that */
    /* what was found */
    uint64_t in, back;
    bool copy;
};

/* Somebody follows us, and fetches; `first`: he asks now, else he has been waiting (the hub wakes when there may be
 * something); `late`: he has waited long enough.  1: the answer's lines are in `to`; 0: wait; ERR_UNAVAILABLE: we are not elected. */
int mupdate_group_fetch(void *group, struct group_fetch *fetch, bool first, bool late, const char *tag,
                        struct buf *to);

/* The member with that id, in that term, is given a copy: what to begin with, and pieces of the tables, as names_copy_read().
 * 0, or an error. */
int mupdate_group_copy(void *group, uint64_t id, uint64_t term, struct names_summary *summary_r);
int mupdate_group_copy_rows(void *group, uint64_t id, uint64_t term, unsigned table,
                            const struct db_value *after, struct journal_entry *rows, bool *more_r);
/* Rows as lines. */
void mupdate_group_put_rows(const struct journal_entry *entry, const char *tag, struct buf *to);

/* Are we the elected one, and know all that is settled? */
bool mupdate_group_leads(void *group);
/* The last entry that was done to our copy. */
uint64_t mupdate_group_visible(void *group);

/* As struct door has them: everything that the group acknowledged before is in this member's copy. */
uint64_t mupdate_group_barrier_ask(void *group);
int mupdate_group_barrier_done(void *group, uint64_t ticket);
/* The sequence that was in our copy when the last of them was answered. */
uint64_t mupdate_group_barrier_sequence(struct mupdate_group *group);

/* ---- an administrator's ---- */

/* The lines of XGROUP, each with the tag. */
void mupdate_group_describe(void *group, const char *tag, struct buf *to);

/* Takes a member out: a ticket; the hub wakes when it is done.  The result: 0; ERR_NOTFOUND; ERR_BUSY: it is the elected one;
 * ERR_UNAVAILABLE. */
uint64_t mupdate_group_remove_ask(void *group, const char *member);
bool mupdate_group_remove_done(void *group, uint64_t ticket, int *result_r);
const char *mupdate_group_remove_text(int result);
int mupdate_group_remove_result(const char *text);

#endif
