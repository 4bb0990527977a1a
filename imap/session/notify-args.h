/* notify-args.h: the arguments of NOTIFY (RFC 5465 section 8). */
#ifndef IMAP_SESSION_NOTIFY_ARGS_H
#define IMAP_SESSION_NOTIFY_ARGS_H

#include <stdbool.h>
#include <stddef.h>

#include "imap/session/sources.h"
#include "lib/imapwire/args.h"

enum {
    NOTIFY_GROUPS_MAX = 32,
    NOTIFY_NAMES_MAX = 1000, /* that all groups name together */
    NOTIFY_FETCH_MAX = 4096, /* bytes of MessageNew's list of items */
    NOTIFY_FETCH_DEPTH = 8,  /* of brackets in it */
};

enum notify_event {
    NOTIFY_MESSAGE_NEW = 1,
    NOTIFY_MESSAGE_EXPUNGE = 2,
    NOTIFY_FLAG_CHANGE = 4,
    NOTIFY_MAILBOX_NAME = 8,
    NOTIFY_SUBSCRIPTION = 16,
    NOTIFY_MAILBOX_METADATA = 32,
    NOTIFY_SERVER_METADATA = 64,
    NOTIFY_UNSUPPORTED = 128, /* AnnotationChange, and names that we do not know */

    NOTIFY_MESSAGES = NOTIFY_MESSAGE_NEW | NOTIFY_MESSAGE_EXPUNGE | NOTIFY_FLAG_CHANGE
};

/* The events that are supported, as BADEVENT lists them. */
#define NOTIFY_EVENT_NAMES                                                                                   \
    "MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange "             \
    "ServerMetadataChange"

struct notify_group {
    struct source where;
    unsigned events; /* of enum notify_event; 0: NONE */
};

struct notify_request {
    bool none;   /* NOTIFY NONE */
    bool status; /* SET STATUS */
    struct notify_group *groups;
    size_t group_count;
    const char *fetch; /* "(UID FLAGS)": of MessageNew in the selected mailbox; without literals; NULL */
};

/* Of the selected mailbox? */
bool notify_group_is_selected(const struct notify_group *group);

/* Reads them to the end; all is in args->pool.  0; ERR_SYNTAX: BAD with args->error; ERR_UNSUPPORTED: an event that is
 * not supported; ERR_LIMIT: more than is taken. */
int notify_args_parse(const struct client *c, struct imap_args *args, struct notify_request *request);

#endif
