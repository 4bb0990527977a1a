/* referral.h: mailbox referrals (RFC 2193): a client that has said RLIST, RLSUB or LIST (REMOTE) is told where to go.
 *
 * Everything is served here all the same.  Only SELECT and EXAMINE are referred, by which a client gains the way around the
 * frontend; and only to mailboxes on another server than the user's INBOX, as a Cyrus frontend does. */
#ifndef IMAP_SESSION_REFERRAL_H
#define IMAP_SESSION_REFERRAL_H

#include "imap/session/client.h"
#include "lib/base/buf.h"
#include "lib/mboxlist/record.h"

/* The client understands referrals (unless proxyd_disable_mailbox_referrals, or it acts for somebody else: then the other
 * server would not let it in). */
void referral_accept(struct client *c);

/* Is a mailbox to be selected at its own server? */
bool referral_is_due(const struct client *c, const struct mboxlist_record *record);

/* NO [REFERRAL imap://user;AUTH=*@server/mailbox]. */
enum step referral_answer(struct command *cmd, const struct mboxlist_record *record);

/* The URL (RFC 5092) of a mailbox named as the client does, in modified UTF-7; appended. */
void referral_url(const char *userid, const char *server, const char *external, struct buf *to);

#endif
