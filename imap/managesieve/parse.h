/* parse.h: what a ManageSieve client says (RFC 5804 section 4): words, quoted strings, literals, numbers.
 *
 * A command is read as it arrives; its literals are held up to a limit, and what is longer is read to its end and
 * dropped, so that the answer stands where it belongs. */
#ifndef IMAP_MANAGESIEVE_PARSE_H
#define IMAP_MANAGESIEVE_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

struct stream;

enum {
    MANAGESIEVE_LINE_MAX = 48 * 1024, /* SASL's initial responses may be long */
    MANAGESIEVE_ARGS_MAX = 4          /* more are a syntax error; no command has more than two */
};

enum managesieve_kind { MANAGESIEVE_ATOM, MANAGESIEVE_STRING, MANAGESIEVE_NUMBER };

struct managesieve_arg {
    enum managesieve_kind kind;
    size_t at, len;  /* in the command's text; the byte behind it is 0 */
    uint64_t number; /* MANAGESIEVE_NUMBER, and what a dropped literal's length was */
    bool dropped;    /* a literal beyond the limit */
};

struct managesieve_command {
    struct buf text;
    struct managesieve_arg args[MANAGESIEVE_ARGS_MAX]; /* args[0] is the verb */
    unsigned count;
    const char *error; /* static; NULL: well-formed */
    uint64_t literal;  /* bytes of a literal still to come */
    bool in_literal, in_command;
};

/* Goes on reading from the stream, without waiting: 1, a command is complete (with `error` where it is not well
 * formed); 0: more has to come; ERR_TOOBIG: a line beyond the limit, ERR_PROTOCOL: a bare LF or the like; the connection
 * ends.  `limit`: the bytes that a literal may have to be kept. */
int managesieve_read(struct managesieve_command *c, struct stream *s, uint64_t limit);

/* Makes it ready for the next; frees what it held. */
void managesieve_clear(struct managesieve_command *c);

/* An argument's text, terminated; valid until the next read. */
const char *managesieve_text(const struct managesieve_command *c, unsigned i);

#endif
