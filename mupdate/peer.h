/* peer.h: a connection to another member of a group, by MUPDATE.
 *
 * One thread's; questions are numbered, so that an answer to an older one is not taken for a newer one's. */
#ifndef MUPDATE_PEER_H
#define MUPDATE_PEER_H

#include <stdatomic.h>

#include "lib/mupdate/conn.h"
#include "lib/mupdate/wire.h"

enum { PEER_NAME_MAX = 255 };

struct peer {
    atomic_bool *stop; /* ends all waiting */
    struct mupdate_conn *conn;
    char name[PEER_NAME_MAX + 1];
    uint64_t number; /* of the last tag */
    bool away;       /* as it stands in the log */
};

void peer_init(struct peer *peer, atomic_bool *stop);
void peer_close(struct peer *peer);

/* Connects with that member, host:port, if it is not connected with him.  0; ERR_UNAVAILABLE. */
int peer_call(struct peer *peer, const char *name, int64_t deadline);

/* The next question's tag, in `tag`. */
const char *peer_tag(struct peer *peer, char tag[24]);
/* The next line of any kind; it is good until the next call.  0; ERR_TIMEOUT, ERR_EOF or another error. */
int peer_line(struct peer *peer, int64_t deadline, const struct mupdate_line **line_r);
/* The answer (OK, NO, BAD) to the question with that number; the line is good until the next call.  0; ERR_TIMEOUT, ERR_EOF or
 * another error. */
int peer_answer(struct peer *peer, int64_t deadline, uint64_t number, const struct mupdate_line **line_r);
/* Sends the question with the last tag (and empties it) and waits for its answer.  *line_r: an OK.  0; ERR_UNAVAILABLE: no
 * answer, and the connection is closed, or NO. */
int peer_ask(struct peer *peer, struct buf *question, int64_t ms, const struct mupdate_line **line_r);

/* The ith argument; false: there is none, or no number. */
bool peer_line_number(const struct mupdate_line *line, unsigned i, uint64_t *number_r);

#endif
