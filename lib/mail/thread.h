/* thread.h: threads of messages (RFC 5256 section 3): ORDEREDSUBJECT, REFERENCES, and REFS
 * (draft-ietf-morg-inthread, THREAD=REFS: REFERENCES without the subject's part, threads by their latest arrival).
 *
 * Messages are added in the mailbox's order, then the tree is made and written in steps.  Ids and subjects are numbers here:
 * who calls knows the texts.  Memory and work are bounded: THREAD_NODES_MAX messages and ids that are named, and what searching
 * for loops costs. */
#ifndef LIB_MAIL_THREAD_H
#define LIB_MAIL_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

enum {
    THREAD_NODES_MAX = 2000000,
    THREAD_WORK_MAX = 100000000, /* steps from a message to its parent, looking for loops */
};

enum thread_algorithm { THREAD_ORDEREDSUBJECT, THREAD_REFERENCES, THREAD_REFS };

/* What must be known of a message.  Copied. */
struct thread_message {
    uint32_t number;
    int64_t sent, arrived;
    uint32_t id;                /* the number of its Message-ID, the same for the same one; 0: it has none */
    const uint32_t *references; /* of the ids that it names, in their order */
    uint32_t reference_count;
    uint64_t subject; /* base subject: smaller for a smaller one, the same for the same one; 0: it is empty */
    bool is_reply;    /* the subject says that it is a reply or a forward */
};

struct threads;

/* ids: no number of an id is higher. */
struct threads *threads_new(enum thread_algorithm algorithm, uint32_t ids);
void threads_free(struct threads **t);

/* 0; ERR_LIMIT. */
int threads_add(struct threads *t, const struct thread_message *message);

/* After the last: a piece of the work.  1: there is more; 0: all is in its place. */
int threads_step(struct threads *t);

/* Then: appends some of "(2)(3 6 (4 23)(44 7 96))", some thousand numbers.  True: there is more. */
bool threads_write(struct threads *t, struct buf *to);

#endif
