/* notify.h: NOTIFY (RFC 5465): what a client wants to be told of all the time.
 *
 * A client that has never said NOTIFY is told of its selected mailbox as RFC 3501 has it.  With NOTIFY it is told of what
 * it asked for, between commands and in IDLE too.  What is watched costs a parked session some memory and no thread: the
 * kernel tells of local mailboxes (session_file of lib/engine), the hub of names, subscriptions and annotations
 * (notify-hub.h), other servers of theirs. */
#ifndef IMAP_SESSION_NOTIFY_H
#define IMAP_SESSION_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "imap/session/notify-args.h"

struct buf;
struct client;
struct command;
struct leg;
struct leg_batch;

enum {
    NOTIFY_MAILBOXES_MAX = 1000, /* that a session watches */
    NOTIFY_SERVERS_MAX =
        6 /* on which they are: each takes a slot of the engine beside the selected mailbox's */
};

/* Which NOTIFY_MESSAGES events of the selected mailbox the client wants to be told of: all of them before NOTIFY. */
unsigned notify_selected(const struct client *c);
/* Is what the selected mailbox's server says between commands for the client?  `expunge`: EXPUNGE too. */
bool notify_is_immediate(const struct client *c, bool expunge);
/* The items that the client wants of new messages in the selected mailbox, "(UID FLAGS)"; NULL: none. */
const char *notify_fetch(const struct client *c);

/* Tells what there is to tell now, while no command runs or in IDLE; true: there may be more to do at once, or when the
 * output has drained.  False: the session may wait, until notify_deadline() at the latest. */
bool notify_step(struct client *c);
int64_t notify_deadline(const struct client *c);
/* Is it in the middle of something, so that no command may begin? */
bool notify_is_busy(const struct client *c);

/* Is what it tells itself half told, so that nothing may come in between: neither IDLE's end nor what is new in the selected
 * mailbox? */
bool notify_is_telling(const struct client *c);

/* A command of the client's own is about to be answered: what it did itself is no news (section 5). */
void notify_absorb(struct client *c, struct command *cmd);

/* ---- for legs to other servers ---- */

/* Appends what such a server is to be told, "SET STATUS (selected ...) ..." or "NONE"; nothing without NOTIFY.  True: it is to
 * watch something beside what is selected, so that the connection must be kept. */
bool notify_words(const struct client *c, const struct leg *leg, bool status, struct buf *to);
/* Adds the mailboxes of that server that have come to the set since it was told last: for who says notify_words() now, and
 * asks behind them how these stand, as nobody has watched them until then.  They are not given again. */
void notify_take_fresh(struct client *c, const struct leg *leg, struct leg_batch *batch);
/* Another number when the words may be others; 0: NOTIFY was never said. */
unsigned notify_number(const struct client *c);
/* The client has enabled something, which other servers must know before they tell of more. */
void notify_enabled(struct client *c);
/* Is NOTIFY SET not answered yet, so that all that is new in the selected mailbox is to be told? */
bool notify_is_settling(const struct client *c);
/* A server has given up. */
void notify_overflowed(struct client *c);
/* The server that keeps the user's subscriptions says that one has come or gone. */
void notify_take_subscription(struct client *c, const char *internal, bool subscribed);

/* A command of the client's begins: servers that are being told are not waited for meanwhile, as it may be theirs. */
void notify_leave(struct client *c);

/* Ends it, as if it had never been said. */
void notify_free(struct client *c);

#endif
