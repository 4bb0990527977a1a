/* appending.h: messages of a client on their way to a leg: what APPEND and REPLACE share. */
#ifndef IMAP_SESSION_APPENDING_H
#define IMAP_SESSION_APPENDING_H

#include <stdbool.h>

#include "imap/session/append-syntax.h"
#include "imap/session/client.h"

struct appending {
    struct append_syntax syntax;
    struct leg_append what;
    struct leg_sink *sink;
    unsigned count;
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

/* "APPENDUID validity set", in the pool; NULL where the server has not told. */
const char *appending_uid(struct command *cmd, const struct leg_appended *done);

#endif
