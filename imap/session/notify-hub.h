/* notify-hub.h: tells the sessions that watch the mailbox list (RFC 5465) that there is something for them.
 *
 * One a process.  The engine's housekeeper looks at the list's journal whenever the list is written to, and wakes the
 * sessions that a row may concern; the others cost one comparison.  Sessions read the journal themselves. */
#ifndef IMAP_SESSION_NOTIFY_HUB_H
#define IMAP_SESSION_NOTIFY_HUB_H

#include <stdbool.h>
#include <stdint.h>

struct client;
struct session;

/* A session's place; its fields are the hub's. */
struct notify_seat {
    struct notify_seat *prev, *next;
    struct session *session;
    const char *userid;       /* "" : anonymous */
    const char *inbox;        /* internal; "" */
    bool is_admin, is_member; /* member: of groups */
    bool seated;
    bool pending;    /* there may be rows for this session */
    uint64_t number; /* all rows up to this one are dealt with */
};

/* Begins now: what has happened before is of no interest; or where `before` stands (NULL, or a seat of this session that the
 * new one takes over from).  The strings are the client's, which outlives the seat.  0, or an error of the list. */
int notify_hub_join(struct client *c, struct notify_seat *seat, const struct notify_seat *before);
/* Must be called before the session ends; may be called without join. */
void notify_hub_leave(struct notify_seat *seat);

/* May there be rows behind *number_r for this session? */
bool notify_hub_take(struct notify_seat *seat, uint64_t *number_r);
/* They have been read up to this one. */
void notify_hub_done(struct notify_seat *seat, uint64_t number);

/* Does the kernel give no notice, so that sessions have to come and look by themselves?  Then notify_hub_take() looks at
 * the list each time. */
bool notify_hub_is_blind(void);

#endif
