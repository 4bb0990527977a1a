/* fetch.h: FETCH: what was asked for (fetch-parse.c), and its answers (fetch.c). */
#ifndef IMAP_LOCAL_FETCH_H
#define IMAP_LOCAL_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "imap/store/message.h"
#include "lib/imapwire/args.h"
#include "lib/mail/section.h"

enum fetch_kind {
    FETCH_FLAGS,
    FETCH_UID,
    FETCH_INTERNALDATE,
    FETCH_SIZE,
    FETCH_MODSEQ,
    FETCH_EMAILID,
    FETCH_THREADID,
    FETCH_SAVEDATE,
    FETCH_PREVIEW,
    FETCH_ANNOTATION,
    FETCH_CACHED,  /* ENVELOPE, BODY, BODYSTRUCTURE */
    FETCH_SECTION, /* BODY[...], RFC822... */
    FETCH_BINARY,  /* BINARY[...] (RFC 3516) */
    FETCH_BINARY_SIZE
};

struct annotate_wants;

struct fetch_item {
    struct fetch_item *next;
    enum fetch_kind kind;
    const char *name; /* as the answer has it: "ENVELOPE", "BODY[1.HEADER]<0>" */
    enum cache_item cached;
    struct mail_section section;
    bool has_partial;
    uint64_t partial_start, partial_size;
    bool lazy; /* PREVIEW (LAZY) */
    struct annotate_wants *annotations;
    bool cached_fields; /* a FIELDS section of the message itself whose names the cache has */
};

struct fetch_items {
    struct fetch_item *first, **last;
    bool flags;     /* FLAGS is among them */
    bool uid;       /* so is UID, */
    bool modseq;    /* and MODSEQ (CHANGEDSINCE adds it) */
    bool sets_seen; /* so is a BODY[...] or BINARY[...] that is not PEEK */
    bool binary;    /* so is one of BINARY[...] and BINARY.SIZE[...] */
    bool peer;      /* RFC822.PEEK is an item */

    /* Modifiers (RFC 4466 section 2.4, RFC 7162): */
    uint64_t changed_since; /* 0: not given */
    bool vanished;
    uint32_t partial_first, partial_last; /* RFC 9394: of the messages of the set, counted from 1; 0: all */
    bool partial_from_end;                /* counted from the last one */
};

void fetch_items_free(struct fetch_items *items);

/* Reads the items or the macro behind the set, and the modifiers, to the end of the arguments (RFC 3501 6.4.5).  `peer`: a server of
 * the murder may ask for RFC822.PEEK (doc/protocols/cyrus-private.md).  fetch_items_free() is called in any case.  0 or ERR_SYNTAX. */
int fetch_parse(struct imap_args *args, bool peer, struct fetch_items *items);

/* Reads a section-spec up to and with the "]".  0 or ERR_SYNTAX. */
int fetch_parse_section(struct imap_args *args, struct mail_section *section);

#endif
