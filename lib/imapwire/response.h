/* response.h: the client side: reading a server's responses, without ever waiting.
 *
 * A response is a line; if it ends in {n}, n bytes and more of the line follow, and so on.  The reader
 * hands it out in pieces, as they arrive, so that it can be piped on without being held or looked
 * into: message data is counted, not parsed. */
#ifndef LIB_IMAPWIRE_RESPONSE_H
#define LIB_IMAPWIRE_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

struct stream;

struct imap_reader {
    struct stream *stream;
    bool inside;      /* in the middle of a response */
    bool text;        /* ... that has no literals */
    uint64_t literal; /* bytes of a literal still to come */
    char tail[32];    /* the last bytes of an unfinished line */
    size_t tail_len;
    size_t consume; /* bytes of the last piece, dropped at the next call */
};

struct imap_piece {
    const char *data; /* as received, CRLF included; valid until the next call on the stream */
    size_t len;
    bool first;   /* the response begins with this piece */
    bool last;    /* and ends with it */
    bool literal; /* these are bytes of a literal */
};

enum {
    /* A first piece has at least this many bytes or the whole line, so that its head can be parsed. */
    IMAP_HEAD_MAX = 8192,
};

void imap_reader_init(struct imap_reader *r, struct stream *stream);

/* The next piece: 1; 0: nothing more has arrived (fill the stream and wait); ERR_PROTOCOL. */
int imap_reader_next(struct imap_reader *r, struct imap_piece *piece_r);

/* Nobody reads on here: the stream is behind the last piece now.  Is that between two responses? */
bool imap_reader_end(struct imap_reader *r);

/* A whole response, collected in `to` (which the caller resets before a new one): without the last CRLF,
 * literals in place, as imap_args reads it.  1: complete; 0: more is needed; ERR_TOOBIG beyond `max`
 * bytes; ERR_PROTOCOL. */
int imap_reader_collect(struct imap_reader *r, size_t max, struct buf *to);

/* ---- the head of a response ---- */

enum imap_response_kind { IMAP_UNTAGGED, IMAP_TAGGED, IMAP_CONTINUE };
enum imap_status { IMAP_STATUS_NONE, IMAP_OK, IMAP_NO, IMAP_BAD, IMAP_BYE, IMAP_PREAUTH };

struct imap_slice {
    const char *s;
    size_t n;
};

struct imap_response {
    enum imap_response_kind kind;
    struct imap_slice tag;   /* tagged only */
    struct imap_slice rest;  /* everything after "tag SP" or "* ", without CRLF */
    enum imap_status status; /* of a status response */
    bool has_number;         /* "* 12 EXISTS" */
    uint32_t number;
    struct imap_slice word; /* EXISTS, FETCH, LIST, OK... */
    struct imap_slice
        args; /* behind the word and its blank; for a status response the text behind the code */
    struct imap_slice code;      /* "UIDVALIDITY" of "[UIDVALIDITY 7]" */
    struct imap_slice code_args; /* "7" */
};

/* Parses a response's first line or piece.  0 or ERR_PROTOCOL.  Slices point into `line`. */
int imap_response_parse(const char *line, size_t len, struct imap_response *response_r);

bool imap_slice_is(struct imap_slice s, const char *word); /* any case */
/* Blank-separated list: is the word in it (any case)? */
bool imap_slice_has(struct imap_slice list, const char *word);

#endif
