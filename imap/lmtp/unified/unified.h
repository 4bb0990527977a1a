/* unified.h: the transport of a node that is frontend and backend: recipients whose mailboxes are here are
 * delivered, all others relayed, in one transaction of the client's. */
#ifndef IMAP_LMTP_UNIFIED_UNIFIED_H
#define IMAP_LMTP_UNIFIED_UNIFIED_H

#include "imap/lmtp/local/local.h"
#include "imap/lmtp/relay/relay.h"

struct mboxlist;

/* The context of lmtpd_unified_transport. */
struct lmtpd_unified {
    struct mboxlist *list; /* of this node: says what is here */
    struct lmtpd_local *local;
    struct lmtpd_relay *relay;
};

extern const struct lmtpd_transport lmtpd_unified_transport;

#endif
