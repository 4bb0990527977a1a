/* lexer-private.h: the tokens of a script (RFC 5228 8.1). */
#ifndef LIB_SIEVE_LEXER_PRIVATE_H
#define LIB_SIEVE_LEXER_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

enum token_kind {
    TOKEN_END,
    TOKEN_IDENTIFIER, /* text */
    TOKEN_TAG,        /* text, without the colon */
    TOKEN_NUMBER,     /* number */
    TOKEN_STRING,     /* text; quoted or multi-line */
    TOKEN_MARK,       /* one of ; , ( ) { } [ ] in `mark` */
    TOKEN_BAD         /* text: what is wrong; the lexer stands behind it */
};

struct lexer {
    const char *at, *end;
    unsigned line; /* of `at`, from 1 */
    /* The present token. */
    enum token_kind kind;
    unsigned token_line;
    struct buf text;
    uint64_t number;
    char mark;
};

/* The text must live as long as the lexer; the first token is read. */
void lexer_init(struct lexer *lx, const char *text, size_t n);
void lexer_deinit(struct lexer *lx);

/* Reads the next token. */
void lexer_next(struct lexer *lx);

#endif
