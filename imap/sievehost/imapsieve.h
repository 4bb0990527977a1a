/* imapsieve.h: scripts that run when IMAP adds messages to a mailbox or changes their flags (RFC 6785).
 *
 * Which script that is, the annotation /shared/imapsieve/script of the mailbox says, else that of the server.  It is the mailbox owner's,
 * and acts as he; a shared mailbox's is a global one and acts as who has caused the event; the server's is a global one.
 *
 * The command does not wait for it: threads of the process (courier.h) run scripts soon after, those of a mailbox one after
 * the other.  When too much waits already, the log tells that an event has had no script.
 *
 * What a script does is no event, but for flags that it gives to a new message: these are a change of flags, for which the
 * script runs once more (RFC 6785 2.2.3). */
#ifndef IMAP_SIEVEHOST_IMAPSIEVE_H
#define IMAP_SIEVEHOST_IMAPSIEVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/mboxlist/mboxlist.h"

#define IMAPSIEVE_ENTRY "/imapsieve/script"

struct sievehost;

enum {
    IMAPSIEVE_EVENT_MS = 120 * 1000,  /* for all messages of an event; of those beyond only the log tells */
    IMAPSIEVE_MESSAGES_MAX = 1000000, /* of all events of the process that wait; likewise */
    IMAPSIEVE_STOP_MS = 3000 /* what is left when the process has been ending for so long; likewise */
};

struct imapsieve_message {
    uint32_t uid;
    const char *flags; /* the names of those that have changed, with blanks between */
};

struct imapsieve_event {
    const char *cause;   /* "APPEND", "COPY" or "FLAG" */
    const char *userid;  /* who has caused it */
    const char *session; /* its id, for the log */
    const char *mailbox; /* internal name */
    const char *id;
    const struct imapsieve_message *messages;
    size_t count;
};

/* May scripts have `imapsieve` here (sieve_extensions)? */
bool imapsieve_is_on(void);

/* Is there a script for the mailbox of that id? */
bool imapsieve_is_set(struct mboxlist *list, const char *id);

/* The process ends: events that wait have IMAPSIEVE_STOP_MS from now. */
void imapsieve_stop(struct sievehost *host);

/* An event: strings and messages are copied. */
void imapsieve_submit(struct sievehost *host, const struct imapsieve_event *event);

#endif
