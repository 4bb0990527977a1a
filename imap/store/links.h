/* links.h: which message answers which: the ids of messages, and those that they name, as numbers; for THREAD.  What has been read
 * of a mailbox is kept (kept.h).
 *
 * A query looks at messages in the view's order and adds those that are not known; the same id has the same number
 * throughout.  One thread at a time. */
#ifndef IMAP_STORE_LINKS_H
#define IMAP_STORE_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imap/store/view.h"

enum { LINKS_BYTES_MAX = 128 * 1024 * 1024 /* of the ids that a query has to add */ };

struct links_query;

struct links_query *links_begin(struct view *view);
void links_end(struct links_query **query); /* *query may be NULL */

/* Is a message known?  Then *token_r stands for it.  Cheap in the order of UIDs; may be asked more than once. */
bool links_knows(struct links_query *q, const struct mailbox_record *record, uint32_t *token_r);

/* Adds one that is not; messages come in the view's order, each once. */
struct links_news {
    const char *id;                /* its Message-ID, normalised (lib/mail/text.h); NULL: it has none */
    const char *const *references; /* NULL-terminated; NULL: none */
    bool is_reply;
    bool keep; /* false: that is not what the message has (its file is gone) */
};
/* 0 and what stands for it; ERR_LIMIT. */
int links_add(struct links_query *q, const struct mailbox_record *record, const struct links_news *news,
              uint32_t *token_r);

/* After the last: what is new is kept. */
void links_keep(struct links_query *q);

/* The highest number that an id has. */
uint32_t links_ids(const struct links_query *q);

struct links {
    uint32_t id; /* 0: none */
    const uint32_t *references;
    uint32_t reference_count;
    bool is_reply;
};
/* What there is of a message; the query's. */
void links_get(const struct links_query *q, uint32_t token, struct links *links_r);

#endif
