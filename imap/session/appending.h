/* appending.h: messages of a client on their way to a leg: what APPEND and REPLACE share, and the bytes of other messages
 * that CATENATE (RFC 4469) puts into them. */
#ifndef IMAP_SESSION_APPENDING_H
#define IMAP_SESSION_APPENDING_H

#include <stdbool.h>

#include "imap/session/append-syntax.h"
#include "imap/session/client.h"
#include "lib/imapwire/url.h"

/* A URL of CATENATE that its server reads for itself: how it was written for that server, and by the client. */
struct appending_url {
    struct appending_url *next;
    const char *printed, *text;
};

struct appending {
    struct append_syntax syntax;
    struct leg_append what;
    struct leg_sink *sink;
    unsigned count;
    unsigned parts;         /* of messages that are put together, all of them */
    uint64_t size;          /* of this message as far as it is known here */
    bool is_empty;          /* nothing has come of it */
    bool in_options;        /* the first message's are not read to their end: a literal is among them */
    bool in_header;         /* what comes is of its header, as far as is known here, */
    bool is_blank;          /* ... and of a line that is blank so far */
    bool has_8bit;          /* there is 8-bit text in the header, and this client may not send that */
    struct buf url_literal; /* a URL, or an annotation's value, that comes as a literal */
    struct imap_url url;
    const char *url_text; /* as the client wrote it */
    struct leg_piece piece;
    struct appending_url *passed;
    struct leg *from; /* whose reader it is */
    struct leg_reader *reader;
    uint64_t left;       /* bytes to be read */
    const char *pending; /* bytes that are read, and not written yet */
    size_t pending_len;
    bool is_bad; /* how it failed: with BAD, */
    int error;   /* or this */

    bool single; /* RFC 8508 4.7: one message only */
    /* Called once the mailbox is open, before the first message (goes on with appending_go_on()), and when all is on
     * disk.  NULL: nothing else to do. */
    enum step (*opened)(struct command *cmd);
    enum step (*committed)(struct command *cmd, const struct leg_appended *done);
};

/* The command's state is the append (its first member at least).  `args` stands behind the mailbox.  0; ERR_SYNTAX: the
 * command has been answered. */
int appending_begin(struct command *cmd, const struct imap_args *args);

/* Opens cmd->mailbox of cmd->leg and takes the messages. */
enum step appending_open(struct command *cmd);
enum step appending_go_on(struct command *cmd);

/* Ends it with an error, whose words may be in cmd->failure; ERR_AGAIN: waits. */
enum step appending_fail(struct command *cmd, int error);

/* The same with a text: NO, or BAD for ERR_SYNTAX. */
enum step appending_refuse(struct command *cmd, int error, const char *text);

/* What comes next of the messages. */
enum step appending_next(struct command *cmd);

/* `n` bytes more of a message that is put together: 0; ERR_TOOBIG. */
int appending_grow(struct appending *a, uint64_t n);

/* Follows the message's header over its next bytes; is there 8-bit text in it? */
bool appending_scan(struct appending *a, const char *data, size_t n);

/* ---- append-url.c ---- */

/* Puts the bytes that a URL names behind those that have come, then goes on with appending_next(). */
enum step appending_url(struct command *cmd, const char *url);

/* A server's refusal of a URL as it was written for it becomes one of the client's own URL. */
const char *appending_refused_url(struct command *cmd, const char *failure);

void appending_url_cleanup(struct appending *a);

/* "APPENDUID validity set", in the pool; NULL where the server has not told. */
const char *appending_uid(struct command *cmd, const struct leg_appended *done);

#endif
