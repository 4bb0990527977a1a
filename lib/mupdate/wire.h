/* wire.h: the syntax of MUPDATE (RFC 3656 sections 2 and 5), both directions: a line is
 *
 *     tag word [argument ...] CRLF
 *
 * where an argument is a quoted string, a literal {n} or {n+}, or (in AUTH banners and AUTHENTICATE) an atom.
 * The parser takes bytes as they come, in pieces of any size, and holds one line. */
#ifndef LIB_MUPDATE_WIRE_H
#define LIB_MUPDATE_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"

enum {
    MUPDATE_ARGS_MAX = 64,         /* UPDATE with a list of hosts; others have three at most */
    MUPDATE_ATOM_MAX = 64,         /* a tag or a word */
    MUPDATE_LINE_MAX = 128 * 1024, /* bytes of a line with its literals */
};

/* How the words of a NO begin with which a member of a group says that it has no quorum: ask another one. */
#define MUPDATE_NO_QUORUM "no quorum: "
#define MUPDATE_NOT_DONE  MUPDATE_NO_QUORUM "nothing was changed, try again"

struct mupdate_line {
    const char *tag, *word; /* C strings; word as it was sent */
    size_t count;
    const char *args[MUPDATE_ARGS_MAX]; /* C strings: bytes of value 0 are refused */
};

struct mupdate_parser;

struct mupdate_parser *mupdate_parser_new(void);
void mupdate_parser_free(struct mupdate_parser **parser);

/* Takes bytes until a line is complete; *used_r tells how many.
 *   1            *line_r is a line, valid until the next call
 *   0            all bytes taken, the line goes on
 *   ERR_SYNTAX   no such line: it has been taken up to its end; the tag is in *line_r ("*" when unknown)
 *   ERR_TOOBIG   longer than the limits: the conversation cannot go on */
int mupdate_parser_feed(struct mupdate_parser *parser, const char *data, size_t len, size_t *used_r,
                        const struct mupdate_line **line_r);

/* The most that a line may have from here on (MUPDATE_LINE_MAX at first, which is also the most). */
void mupdate_parser_limit(struct mupdate_parser *parser, size_t max);

/* True once after a synchronizing literal {n} was announced: the receiver must say "+ go ahead" (2.2). */
bool mupdate_parser_go_ahead(struct mupdate_parser *parser);

/* Forgets a line half read, and its memory (before a connection parks). */
void mupdate_parser_reset(struct mupdate_parser *parser);
/* Is nothing half read? */
bool mupdate_parser_idle(const struct mupdate_parser *parser);

/* ---- writing ---- */

/* Appends a quoted string where it can be one (7-bit, no CR, LF, NUL, quote or backslash, at most 200 bytes), else a
 * literal {n+}. */
void mupdate_put_string(struct buf *to, const char *s);

/* Appends "tag word arg ... CRLF"; `args` ends with NULL. */
void mupdate_put_line(struct buf *to, const char *tag, const char *word, ...) __attribute__((sentinel));

#endif
