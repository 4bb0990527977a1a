/* front-private.h: a MUPDATE connection's state, and the commands of a group (front-group.c). */
#ifndef MUPDATE_FRONT_PRIVATE_H
#define MUPDATE_FRONT_PRIVATE_H

#include "lib/base/buf.h"
#include "lib/mupdate/wire.h"
#include "mupdate/front.h"
#include "mupdate/group.h"

enum doing { IDLE, LISTING, STARTING_UPDATE, WAITING, WRITING, COMPRESSING, FINDING, FOLLOWING, REMOVING };

struct front {
    unsigned magic;
    struct login *login;
    const struct door *door;
    struct server *server;
    bool read_only;
    struct mupdate_parser *parser;
    struct hub_place *place;
    struct lane_place lane;
    enum doing doing;
    char tag[MUPDATE_ATOM_MAX + 1]; /* of what it does */
    struct cursor *cursor;          /* LISTING, STARTING_UPDATE */
    char *prefix;                   /* LIST's; NULL: all */
    char **hosts;                   /* UPDATE's; NULL: all */
    size_t n_hosts;
    bool subscribed; /* an UPDATE is on */
    bool positions;  /* it is an XUPDATE */
    bool detailed;   /* rows have the details: XUPDATE, DETAILS */
    char update_tag[MUPDATE_ATOM_MAX + 1];
    uint64_t sent; /* changes up to here were written */
    uint64_t ticket;
    uint64_t wanted; /* WAITING, past the ticket: answer when sent has reached it; 0: the ticket is not due */
    bool away;       /* the authority cannot be asked */
    char *name;      /* FINDING */
    bool member;     /* the client is another member of the group */
    bool where;      /* WAITING: for XWHERE */
    struct group_fetch *fetch; /* FOLLOWING; NULL: never yet */
    struct pool *pool;         /* a command's, within a run; NULL: none yet */
    bool had_all;              /* the last read took, most likely, all that there was */
    int64_t deadline;
    struct write_job *job;           /* commands not yet done; WRITING: the writer has it */
    bool go_ahead;                   /* to be said behind its answers */
    const struct mupdate_line *held; /* a line that has been read, for afterwards; with its result */
    int held_result;
};

/* ---- words ---- */

void front_put(struct front *f, const struct buf *text);
/* A line: tag, word, text. */
void front_answer(struct front *f, const char *tag, const char *word, const char *text);

/* NOOP: the answer comes when the client has been told of all that was changed before. */
void front_noop(struct front *f, const struct mupdate_line *line);

/* ---- commands between members, and of a group's administrator (doc/protocols/mupdate-group.md) ---- */

void front_xmember(struct front *f, const struct mupdate_line *line);
void front_xvisible(struct front *f, const struct mupdate_line *line);
void front_xwhere(struct front *f, const struct mupdate_line *line);
void front_xvote(struct front *f, const struct mupdate_line *line);
void front_xfollow(struct front *f, const struct mupdate_line *line);
void front_xleads(struct front *f, const struct mupdate_line *line);
void front_xcopy(struct front *f, const struct mupdate_line *line);
void front_xrows(struct front *f, const struct mupdate_line *line);
void front_xgroup(struct front *f, const struct mupdate_line *line);

/* The OK of XVISIBLE, and of XWHERE once it is due. */
void front_put_visible(struct front *f, const char *tag);
/* FOLLOWING: answers when there is something new, or after a while.  False: wait. */
bool front_follow_step(struct front *f);
/* REMOVING: likewise. */
bool front_remove_step(struct front *f);

#endif
