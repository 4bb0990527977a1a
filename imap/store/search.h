/* search.h: SEARCH keys over messages of a view (RFC 3501 section 6.4.4).
 *
 * A program is a tree of keys.  What a record answers is answered from it; dates of headers, header
 * fields and text are read through the cache or the message file, and only if nothing cheaper has decided. */
#ifndef IMAP_STORE_SEARCH_H
#define IMAP_STORE_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "imap/store/uidset.h"
#include "imap/store/view.h"
#include "lib/base/pool.h"

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
    SEARCH_BEFORE, /* `day`: as mail_date_day_parse() gives; of the internal date */
    SEARCH_ON,
    SEARCH_SINCE,
    SEARCH_SENTBEFORE, /* of the Date field */
    SEARCH_SENTON,
    SEARCH_SENTSINCE,
    SEARCH_MODSEQ, /* `number`: at least */
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
};

struct search;

/* Prepares a program for a view: puts cheap keys first, folds texts, looks keywords up.  The tree may
 * be reordered and must live as long as the search. */
int search_begin(struct view *view, struct search_node *program, struct search **search_r);

/* The next batch of at most `count` messages looked at: adds hits (UIDs or sequence numbers) to *hits.
 * 1: there is more; 0: all done; or an error of view_read().  A message whose file is gone does not match
 * by text. */
int search_step(struct search *search, uint32_t count, bool uids, struct uid_set *hits);
void search_end(struct search **search);

#endif
