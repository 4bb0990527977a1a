/* search.h: SEARCH keys over messages of a view (RFC 3501 section 6.4.4).
 *
 * A program is a tree of keys, compiled once.  What flags decide is decided on the records' bytes as they stand in the
 * index; dates and sizes on the decoded record; header fields and text are read through the cache or the message
 * file, and only if nothing cheaper has decided.  Text is compared by i;unicode-casemap (RFC 5051), decoded
 * as RFC 5255 section 4.5 asks. */
#ifndef IMAP_STORE_SEARCH_H
#define IMAP_STORE_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "imap/store/message.h"
#include "imap/store/uidset.h"
#include "imap/store/view.h"
#include "lib/base/pool.h"

struct wildcard;

enum search_op {
    SEARCH_ALL,
    SEARCH_AND,  /* children */
    SEARCH_OR,   /* children */
    SEARCH_NOT,  /* one child */
    SEARCH_SEQS, /* `set` holds sequence numbers */
    SEARCH_UIDS, /* `set` holds UIDs */
    SEARCH_FLAG, /* `number`: a RECORD_* bit */
    SEARCH_RECENT,
    SEARCH_KEYWORD, /* `text`: the keyword */
    SEARCH_LARGER,  /* `number`: octets */
    SEARCH_SMALLER,
    SEARCH_MODSEQ,  /* `number`: at least */
    SEARCH_OLDER,   /* `day`: the internal date is that second or before (RFC 5032) */
    SEARCH_YOUNGER, /* ... or after */
    SEARCH_BEFORE,  /* `day`: as mail_date_day_parse() gives; of the internal date */
    SEARCH_ON,
    SEARCH_SINCE,
    SEARCH_SENTBEFORE, /* of the Date field */
    SEARCH_SENTON,
    SEARCH_SENTSINCE,
    SEARCH_SAVEDBEFORE, /* of the time when it came into the mailbox (RFC 8514), in UTC */
    SEARCH_SAVEDON,
    SEARCH_SAVEDSINCE,
    SEARCH_ANNOTATION, /* RFC 5257 4.8: `pattern`, `user` and `shared` say of which; `text`: substring; NULL: none has a value */
    SEARCH_GUID,   /* `name`: its GUID_SIZE bytes; NULL: of no message */
    SEARCH_THREAD, /* `number`: its thread; 0: of no message */
    SEARCH_HEADER, /* `name`, `text` ("" : is there at all): substring of a field, decoded */
    SEARCH_BODY,   /* `text`: substring of the text parts, decoded */
    SEARCH_TEXT    /* `text`: of header or body */
};

/* Nodes and what they point to are the caller's (the command's pool). */
struct search_node {
    enum search_op op;
    struct search_node *children, *next; /* children: linked by next */
    uint64_t number;
    int64_t day;
    const char *name;
    const char *text; /* UTF-8, not folded: search does it */
    struct uid_set set;
    struct wildcard *pattern; /* of entries */
    const char *user;         /* private ones of this user count; NULL: none */
    bool shared;              /* shared ones count */
};

struct search;

/* What a hit comes with. */
enum search_wants {
    SEARCH_NUMBERS,  /* sequence number and UID */
    SEARCH_RECORDS,  /* and the record */
    SEARCH_MESSAGES, /* and what the cache has of it, read ahead */
};

struct search_hit {
    uint32_t seq, uid;
    const struct view_message *seen; /* with SEARCH_RECORDS */
    struct message *message;         /* with SEARCH_MESSAGES, if it is needed */
};

/* Takes a hit; the pointers end with the call.  0 goes on; 1 ends the search; an error ends it too. */
typedef int search_hit_fn(void *context, const struct search_hit *hit);

/* Prepares a program for a view: puts cheap keys first, folds texts, looks keywords up.  The tree may
 * be reordered and must live as long as the search. */
int search_begin(struct view *view, struct search_node *program, enum search_wants wants,
                 struct search **search_r);

/* With SEARCH_MESSAGES: does the caller need what the cache has of this hit?  Else nothing is read for it; without this
 * of every hit.  Hits are asked for in order, some ahead of fn. */
typedef bool search_needs_fn(void *context, const struct view_message *seen);
void search_read_if(struct search *search, search_needs_fn *needs, void *context);

/* The next batch of at most `count` messages looked at (fewer where message files had to be read): fn for each hit, in
 * the view's order.  1: there is more; 0: all done; or an error of view_read() or fn.  A message whose file is
 * gone or damaged does not match by text; one that cannot be read for another reason (ERR_DESCRIPTORS) ends the search. */
int search_step(struct search *search, uint32_t count, search_hit_fn *fn, void *context);
void search_end(struct search **search);

#endif
