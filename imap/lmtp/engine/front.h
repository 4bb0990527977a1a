/* front.h: the LMTP server's side of a connection (RFC 2033, RFC 5321), over imap/login.
 *
 * Extensions: PIPELINING (RFC 2920), 8BITMIME (RFC 6152), CHUNKING and BINARYMIME (RFC 3030), SMTPUTF8 (RFC 6531),
 * SIZE (RFC 1870), ENHANCEDSTATUSCODES (RFC 2034), STARTTLS (RFC 3207), AUTH (RFC 4954), and Cyrus's IGNOREQUOTA on RCPT.
 *
 * Bounds: a command line of LOGIN_LINE_MAX, LMTPD_RCPTS_MAX recipients, LMTPD_ERRORS_MAX commands in error,
 * maxmessagesize; a client that says nothing for LMTPD_TIMEOUT_MS (at least lmtptxn_timeout and a minute) is
 * left. */
#ifndef IMAP_LMTP_ENGINE_FRONT_H
#define IMAP_LMTP_ENGINE_FRONT_H

#include <stdbool.h>

#include "imap/login/login.h"
#include "imap/lmtp/engine/transport.h"

enum {
    LMTPD_TIMEOUT_MS = 6 * 60 * 1000, /* RFC 5321 section 4.5.3.2.7 asks for 5 minutes */
    LMTPD_ERRORS_MAX = 30,
};

/* What a process serves; the login service's context. */
struct lmtpd_service {
    const struct lmtpd_transport *transport;
    void *context;              /* the transport's */
    bool preauthorised;         /* -a: whoever connects may deliver; on a Unix socket that is always so */
    struct lmtpd_naming naming; /* lmtpd_naming_configured() */
};

/* What imapd.conf says, after config_read(). */
void lmtpd_naming_configured(struct lmtpd_naming *naming_r);

/* The vtable for login_service_new(). */
extern const struct login_ops lmtpd_login_ops;

#endif
