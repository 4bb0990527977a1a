/* lexer-private.h: the lexical tokens of structured fields (RFC 5322 section 3.2), for this room.
 *
 * Every function is linear in what it consumes: an unclosed comment reaches to the end, an unclosed quote
 * is an ordinary character from then on. */
#ifndef LIB_MAIL_LEXER_PRIVATE_H
#define LIB_MAIL_LEXER_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"

struct mail_lexer {
    const char *at, *end;
    bool no_quotes; /* an unclosed quote was met */
};

void mail_lexer_init(struct mail_lexer *lx, const char *s, size_t n);

/* The character at the position, -1 at the end. */
int mail_lexer_peek(const struct mail_lexer *lx);

/* Skips blanks, line ends, NULs and comments; true if there was anything.  The content of each comment
 * replaces that of `comment` (may be NULL). */
bool mail_lexer_skip(struct mail_lexer *lx, struct buf *comment);

/* At a '"' that is closed: appends the content without quotes and backslashes, line ends and NULs left
 * out, and moves behind; else false, nothing moved. */
bool mail_lexer_quoted(struct mail_lexer *lx, struct buf *to);

/* Appends characters up to a blank, line end, NUL or one of `stop`; true if there was any. */
bool mail_lexer_word(struct mail_lexer *lx, const char *stop, struct buf *to);

#endif
