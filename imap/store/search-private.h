/* search-private.h: a search from within: search.c goes through the view, search-text.c looks into messages. */
#ifndef IMAP_STORE_SEARCH_PRIVATE_H
#define IMAP_STORE_SEARCH_PRIVATE_H

#include "imap/store/mailbox-private.h"
#include "imap/store/search.h"
#include "lib/base/buf.h"
#include "lib/charset/fold.h"

enum { SEARCH_GROUP = 64, SEARCH_RAW = 1024 };

/* What flags alone decide, on the bytes of a record. */
struct raw_test {
    bool never; /* no message can match */
    uint32_t mask, value;
    bool has_user;
    unsigned char user_mask[USER_FLAGS_BYTES], user_value[USER_FLAGS_BYTES];
};

struct search {
    struct view *view;
    struct search_node *program;
    enum search_wants wants;
    uint32_t seq, last; /* next to look at, and the last */
    bool over;          /* fn wants no more */
    struct searcher **searchers;
    size_t searcher_count, searcher_room;
    struct raw_test test;
    bool by_test;           /* the test is the whole program */
    bool reads;             /* some key looks into messages */
    search_needs_fn *needs; /* NULL: all hits are read */
    void *needs_context;

    unsigned char *raw; /* SEARCH_RAW records */
    uint32_t numbers[SEARCH_RAW];
    struct view_message group[SEARCH_GROUP]; /* decoded: those that passed the test */
    uint32_t grouped;
    struct message_batch *batch;

    int error;                           /* a message could not be read, and is neither gone nor damaged */
    size_t bytes;                        /* of message files read in this step */
    struct buf file;                     /* of the message that is looked at */
    struct buf unfolded, decoded, plain; /* of a piece of it */
};

/* The message that is looked at. */
struct candidate {
    struct search *search;
    const struct view_message *seen;
    struct message *message; /* NULL: nothing but the record is needed */
    const char *data;        /* of the file */
    size_t size;
    struct file_map map; /* a large file is mapped */
    bool open, mapped, gone;
};

/* HEADER, BODY, TEXT. */
bool search_match_header(struct candidate *c, const struct search_node *n);
bool search_match_text(struct candidate *c, const struct search_node *n);
/* ANNOTATION; needs no message. */
bool search_match_annotation(struct candidate *c, const struct search_node *n);
void search_candidate_close(struct candidate *c);

#endif
