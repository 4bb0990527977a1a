/* input.h: collects a command from the client's bytes: lines and literals, in pieces of any size.
 *
 * Bounded: a line, a literal, a command; what is beyond is dropped as it comes and answered
 * with BAD.  Between commands it holds no memory; what is incomplete and short stays in the
 * stream. */
#ifndef IMAP_SESSION_INPUT_H
#define IMAP_SESSION_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/imapwire/args.h"

struct stream;

enum input_verdict {
    INPUT_MORE,    /* all that was readable is taken as far as it goes; fill the stream and wait */
    INPUT_COMMAND, /* input.text is a command without its last CRLF, literals in place */
    INPUT_SINK,    /* input.text is a command up to the "{" of a literal that is to be streamed */
    INPUT_BAD,     /* a command was dropped for input.error; input.text is what came of it */
};

/* What becomes of a literal that was announced: `text` is the command up to its "{". */
enum input_literal { INPUT_COLLECT, INPUT_STREAM, INPUT_REFUSE };
typedef enum input_literal input_literal_fn(void *context, const char *text, size_t len,
                                            const struct imap_literal *literal);

struct input_limits {
    uint64_t literal; /* bytes of one literal that is collected */
    size_t command;   /* bytes of a command with its literals */
    uint64_t nonsync; /* bytes of a literal that does not wait for "+" (RFC 7888 5) */
};

enum input_state {
    INPUT_LINE,         /* in a line of the command */
    INPUT_LITERAL,      /* in a literal that is collected */
    INPUT_SKIP_LITERAL, /* in a literal that is dropped */
    INPUT_SKIP_LINE,    /* in a line that is dropped */
};

struct input {
    enum input_state state;
    struct buf text;
    uint64_t left;               /* of the literal */
    struct imap_literal literal; /* INPUT_SINK: the one announced */
    const char *error;           /* static; INPUT_BAD */
    bool silent;                 /* what is being dropped has been answered already */
};

void input_init(struct input *in);
/* Forgets the command and its memory. */
void input_reset(struct input *in);

/* Goes on collecting from the stream's readable bytes.  Writes "+ go ahead" to it for synchronising
 * literals that are collected. `decide` is asked for each literal. */
enum input_verdict input_collect(struct input *in, struct stream *stream, const struct input_limits *limits,
                                 input_literal_fn *decide, void *context);

/* After INPUT_SINK and the answer: drops what is left of the command: `left` bytes of the literal and the
 * rest of the line, literals in it included. */
void input_skip(struct input *in, uint64_t left);

#endif
