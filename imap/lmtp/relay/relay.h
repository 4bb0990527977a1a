/* relay.h: the transport of a frontend: recipients are looked up, the message is spooled and given to
 * the backends concerned, all at once (doc/ARCHITECTURE.md, "Delivery").
 *
 * A recipient that the list does not have costs a barrier and then a question to the MUPDATE master: 550
 * only if the master itself says that there is no such mailbox; 4xx when it cannot be asked.  A backend that
 * does not answer costs its own recipients a 4xx, nobody else anything. */
#ifndef IMAP_LMTP_RELAY_RELAY_H
#define IMAP_LMTP_RELAY_RELAY_H

#include "imap/lmtp/engine/transport.h"

struct lmtpd_relay; /* what the relaying of a process shares; any thread */

/* Opens the mailbox list.  0, or an error with text in *error_r (malloc'ed). */
int lmtpd_relay_open(struct lmtpd_relay **relay_r, char **error_r);
void lmtpd_relay_close(struct lmtpd_relay **relay);

/* Once a minute: closes connections that nobody has used, frees what dead readers held. */
void lmtpd_relay_tick(void *relay);

/* Its context is the struct lmtpd_relay. */
extern const struct lmtpd_transport lmtpd_relay_transport;

#endif
