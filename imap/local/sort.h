/* sort.h: the order of messages that SORT asks for (RFC 5256, RFC 5957), in bounded memory and time.
 *
 * Each message is a row of values: numbers; the place of a header's text, folded by i;unicode-casemap, among all of the mailbox
 * (imap/store/order.h); or an annotation, whose first bytes stand in the row.  Rows are sorted in small runs, and the runs
 * merged, a piece a step. */
#ifndef IMAP_LOCAL_SORT_H
#define IMAP_LOCAL_SORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imap/store/search.h"
#include "lib/imapwire/args.h"
#include "lib/mail/header.h"

enum {
    SORT_CRITERIA_MAX = 16,
    SORT_TEXT_MAX = 1000,               /* bytes of a string that count */
    SORT_MEMORY_MAX = 128 * 1024 * 1024 /* of one command */
};

enum sort_key {
    SORT_ANNOTATION, /* RFC 5257 section 4.9 */
    SORT_ARRIVAL,
    SORT_CC,
    SORT_DATE,
    SORT_DISPLAYFROM,
    SORT_DISPLAYTO,
    SORT_FROM,
    SORT_SIZE,
    SORT_SUBJECT,
    SORT_TO,
};

#define SORT_SUBJECT_NAME "SUBJECT" /* what base subjects are kept as (imap/store/order.h) */

struct sort_criterion {
    enum sort_key key;
    bool reverse;
    const char *entry; /* ANNOTATION's: the value of this entry, */
    bool is_private;   /* the user's own; else the shared one */
};

struct sort_criteria {
    struct sort_criterion items[SORT_CRITERIA_MAX];
    unsigned count;
    struct view *view;  /* to be set by the caller: where the messages are, */
    const char *userid; /* and whose annotations count */
};

/* "(SUBJECT REVERSE DATE)".  0 or ERR_SYNTAX, the text in args. */
int sort_parse(struct imap_args *args, struct sort_criteria *criteria);

/* What a search for it must give with its hits. */
enum search_wants sort_wants(const struct sort_criteria *criteria);

struct sorter;

struct sorter *sorter_new(const struct sort_criteria *criteria);
void sorter_free(struct sorter **s);

/* A search_needs_fn: must the search read what the cache has of that message? */
bool sorter_needs(void *sorter, const struct view_message *seen);

/* Adds a hit, in the mailbox's order; `number` is what the answer tells of it.  0; ERR_LIMIT. */
int sorter_add(struct sorter *s, const struct search_hit *hit, uint32_t number);

/* After the last: a piece of the work.  1: there is more; 0: sorted. */
int sorter_step(struct sorter *s);

/* The result: how many, and the i-th number. */
size_t sorter_count(const struct sorter *s);
uint32_t sorter_number(const struct sorter *s, size_t i);

/* ---- what a message is sorted by; SORT and THREAD ---- */

/* Appends a text of a header (encoded words decoded already) in the form on which bytes are compared.  What could not be
 * converted comes behind all else (RFC 5255 section 4.5). */
void sort_fold(const char *text, size_t n, struct buf *to);

/* Appends the base subject of a Subject field in that form, SORT_TEXT_MAX bytes at most.  scratch: for its own use.
 * *is_reply_r as mail_base_subject() gives it; may be NULL. */
void sort_subject(const struct mail_field *field, struct buf *scratch, struct buf *to, bool *is_reply_r);

#endif
