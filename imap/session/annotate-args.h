/* annotate-args.h: annotations of messages as commands write them (RFC 5257 section 5).
 *
 * In APPEND a value may be a literal, which does not stand in the text: the reader stops there, is given its bytes, and goes
 * on in the text behind it. */
#ifndef IMAP_SESSION_ANNOTATE_ARGS_H
#define IMAP_SESSION_ANNOTATE_ARGS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/imapwire/args.h"

#define ANNOTATE_CAPABILITY "ANNOTATE-EXPERIMENT-1"

enum {
    ANNOTATE_ARGS_MAX = 200,      /* values of one message in one command */
    ANNOTATE_NAME_MAX = 255,      /* bytes of an entry's name */
    ANNOTATE_LITERAL_MAX = 65536, /* bytes of a value that are read at all */
};

/* A value that is set; or, with NULL, removed. */
struct annotate_value {
    const char *entry;
    bool is_private;   /* value.priv; else value.shared */
    const char *value; /* any bytes, a NUL behind them */
    size_t len;
};

struct annotate_list {
    struct annotate_value *values; /* in the pool */
    size_t count;
};

struct annotate_reader {
    struct annotate_list *list;
    enum {
        ANNOTATE_AT_LIST,
        ANNOTATE_AT_ENTRY,
        ANNOTATE_AT_ATTRIBUTE,
        ANNOTATE_AT_VALUE,
        ANNOTATE_BEHIND_VALUE
    } state;
    const char *entry;
    bool is_private;
};

void annotate_reader_init(struct annotate_reader *r, struct annotate_list *list);

/* Reads "(entry (attribute value ...) ...)" as far as the text goes.  0: all of it; 1: the value is the literal that is
 * announced behind the text (only with `announced`): annotate_reader_value(), then this again with the text behind it;
 * ERR_SYNTAX, with args->error. */
int annotate_reader_next(struct annotate_reader *r, struct imap_args *args, bool announced);
/* 0 or ERR_SYNTAX with *error_r. */
int annotate_reader_value(struct annotate_reader *r, struct pool *pool, const char *data, size_t len,
                          const char **error_r);

/* May this be the name of an entry at all; of one that can be set? */
bool annotate_is_entry(const char *name);
bool annotate_is_settable(const char *name);
/* The part that an entry is about ("1.2"), in the pool; NULL: the message. */
const char *annotate_part(const char *entry, struct pool *pool);

/* Appends " ANNOTATION (...)" as an argument for another server, literals as {n+}. */
void annotate_list_put(const struct annotate_list *list, struct buf *to);

#endif
