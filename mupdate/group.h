/* group.h: a member of a replicated group of masters (doc/protocols/mupdate-group.md).
 *
 * Every member takes any client.  The elected one writes; the others send it what their clients want changed, and
 * answer when their own copy has it.  Without a quorum nothing is changed, and what is there can be read. */
#ifndef MUPDATE_GROUP_H
#define MUPDATE_GROUP_H

#include <stdint.h>

#include "mupdate/conflicts.h"
#include "mupdate/hub.h"
#include "mupdate/names.h"
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

/* A member follows us; `round` is what it was told last. */
void mupdate_group_note_follower(void *group, const char *name, uint64_t round);
/* Is there something that it does not know?  (The hub wakes when there may be.) */
bool mupdate_group_news(void *group, uint64_t round, const struct names_position *known, uint64_t *round_r,
                        struct names_position *at_r);
/* A member will follow us, if we are elected in that generation, and its copy becomes like ours: may it?  *own_r: what ours
 * has.  If `its` is more (we should not have been elected) this process ends, to begin anew.  0; ERR_UNAVAILABLE: ask
 * again. */
int mupdate_group_adopt(void *group, uint32_t generation, const struct names_position *its,
                        struct names_position *own_r);
/* Are we the elected one, and have taken over? */
bool mupdate_group_leads(void *group);

/* As struct door has them: everything that the group acknowledged before is in this member's copy. */
uint64_t mupdate_group_barrier_ask(void *group);
int mupdate_group_barrier_done(void *group, uint64_t ticket);
/* The sequence that was in our copy when the last of them was answered. */
uint64_t mupdate_group_barrier_sequence(struct mupdate_group *group);

/* The lines of XGROUP, each with the tag. */
void mupdate_group_describe(void *group, const char *tag, struct buf *to);
/* Takes a member out.  As db_group_remove(). */
int mupdate_group_remove(void *group, const char *member);

#endif
