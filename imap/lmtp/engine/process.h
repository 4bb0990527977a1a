/* process.h: what lmtpd and lmtpproxyd do at their start and end: offer the front to connections, keep
 * house. */
#ifndef IMAP_LMTP_ENGINE_PROCESS_H
#define IMAP_LMTP_ENGINE_PROCESS_H

#include "imap/lmtp/engine/front.h"
#include "lib/engine/engine.h"

enum { LMTPD_TICK_MS = 60 * 1000 };

struct lmtpd_process {
    const char *service; /* its name in cyrus.conf */
    const struct lmtpd_transport *transport;
    void *context;               /* the transport's and tick's */
    bool preauthorised;          /* -a */
    void (*tick)(void *context); /* called every LMTPD_TICK_MS by a thread of its own */
};

/* Once a process.  0, or an error with text in *error_r (malloc'ed; may stay NULL). */
int lmtpd_process_start(const struct lmtpd_process *process, char **error_r);

/* For struct service: a connection. */
void lmtpd_process_accepted(struct engine *e, int fd, void *context);

/* Ends the thread; then, when all sessions are gone, the front. */
void lmtpd_process_stop(void);
void lmtpd_process_end(void);

#endif
