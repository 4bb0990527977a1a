/* append-syntax.h: reads APPEND's arguments behind the mailbox, and REPLACE's: flags and date of each message (RFC 3501
 * 6.3.11, RFC 3502), and the parts that it is put together from (CATENATE, RFC 4469).
 *
 * The bytes of messages do not stand in the text: it ends where a literal was announced, and the reader is given
 * what follows that literal as the next text. */
#ifndef IMAP_SESSION_APPEND_SYNTAX_H
#define IMAP_SESSION_APPEND_SYNTAX_H

#include <stdbool.h>

#include "imap/session/annotate-args.h"
#include "lib/imapwire/args.h"

enum append_item {
    APPEND_ITEM_VALUE, /* before that: the literal is a value of an annotation; append_syntax_value(), then append_syntax_text() */
    APPEND_ITEM_MESSAGE, /* a message begins: `flags`, `date`, `annotations`, `catenate` */
    APPEND_ITEM_LITERAL, /* its bytes come; then append_syntax_text() */
    APPEND_ITEM_UTF8,    /* the same, which must be a literal8 (RFC 6855 4) */
    APPEND_ITEM_TEXT,    /* the same, which must be none (RFC 4469 5) */
    APPEND_ITEM_URL, /* `url` names its next bytes; NULL: it is what the literal holds; then append_syntax_text() */
    APPEND_ITEM_END,  /* of the message */
    APPEND_ITEM_DONE, /* of the command */
};

struct append_syntax {
    struct imap_args args;
    bool announced;                /* a literal follows the text */
    bool done;                     /* a message has been read */
    bool catenate, utf8, annotate; /* may these forms be used?  Set behind append_syntax_init() */
    enum {
        APPEND_BETWEEN,
        APPEND_IN_ANNOTATIONS,
        APPEND_BEFORE_BYTES,
        APPEND_BEFORE_UTF8,
        APPEND_BEHIND_BYTES,
        APPEND_BEHIND_UTF8,
        APPEND_BEFORE_PART,
        APPEND_BEHIND_PART,
        APPEND_BEHIND_UTF8_PART
    } state;

    bool is_catenated;
    const char *url;
    const char *flags; /* blank-separated, without brackets; "" */
    const char *date;  /* the text of the date-time, or NULL */
    struct annotate_list annotations;
    struct annotate_reader reader;
};

void append_syntax_init(struct append_syntax *s);

/* The next text, from where the arguments stand to their end, and whether a literal is announced behind it. */
void append_syntax_text(struct append_syntax *s, const struct imap_args *args, bool announced);

/* The bytes of a literal that is a value; they are kept.  0 or ERR_SYNTAX. */
int append_syntax_value(struct append_syntax *s, const char *data, size_t len);

/* An enum append_item, or ERR_SYNTAX with the text in imap_args_error(&s->args).  Strings are in the pool of the
 * arguments. */
int append_syntax_next(struct append_syntax *s);

#endif
