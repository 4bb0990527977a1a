/* local.h: the transport of a backend: messages into the mailboxes of this server's store.
 *
 * A detail folder gets the message if it exists here, may be posted to (right p) and is none of
 * lmtp_exclude_specialuse; else the user's INBOX.  A shared folder must grant p.  Two recipients that mean one mailbox
 * get one copy.  2xx is said only when message and index are on disk: one recipient costs 2 syncs, n cost
 * 2 + n (doc/ARCHITECTURE.md, "Durability"). */
#ifndef IMAP_LMTP_LOCAL_LOCAL_H
#define IMAP_LMTP_LOCAL_LOCAL_H

#include "imap/lmtp/engine/transport.h"

struct lmtpd_local; /* what the delivery of a process shares; any thread */

/* Opens the store of imapd.conf.  0, or an error with text in *error_r (malloc'ed). */
int lmtpd_local_open(struct lmtpd_local **local_r, char **error_r);
void lmtpd_local_close(struct lmtpd_local **local);

/* Once a minute: what dead processes left, and duplicate marks that are too old. */
void lmtpd_local_tick(void *local);

/* Its context is the struct lmtpd_local. */
extern const struct lmtpd_transport lmtpd_local_transport;

#endif
