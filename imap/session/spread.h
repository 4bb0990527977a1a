/* spread.h: asking several servers at the same time.
 *
 * A session has few slots to wait on, so that some of the servers are asked at a time, the others as those are done.  A
 * server that is away costs its own part only. */
#ifndef IMAP_SESSION_SPREAD_H
#define IMAP_SESSION_SPREAD_H

#include "imap/session/command.h"
#include "imap/session/leg.h"

enum { SPREAD_AT_ONCE = 4 };

struct spread_part {
    struct leg *leg;
    bool done;
    int result; /* once done: 0 or an error */

    /* What is to be asked, as the caller likes it. */
    struct leg_batch batch;
};

struct spread {
    struct spread_part *parts; /* malloc'ed */
    size_t count, room;
    unsigned at_once; /* parts that are asked at a time; 0: SPREAD_AT_ONCE */
};

/* The part of a leg, added if there is none; valid until the next call. */
struct spread_part *spread_part(struct spread *s, struct leg *leg);

/* Calls `ask` for each part until it gives something else than ERR_AGAIN.  0: all are done; ERR_AGAIN: sources and
 * cmd->wake_at are set. */
int spread_run(struct spread *s, struct command *cmd,
               int (*ask)(struct command *cmd, struct spread_part *part, void *context), void *context);

/* Forgets all parts and frees their names. */
void spread_reset(struct spread *s);

#endif
