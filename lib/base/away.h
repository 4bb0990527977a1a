/* away.h: the servers that this node's programs do not reach, for its status (doc/formats/away.md).
 *
 * A report, and nothing decides by it: what cannot be written is not written, and the log has said the reason anyway.
 * Thread-safe. */
#ifndef LIB_BASE_AWAY_H
#define LIB_BASE_AWAY_H

#include "lib/base/buf.h"

/* An attempt to reach `server`, by the protocol that `service` names ("imap"), has failed: why. */
void away_note(const char *service, const char *server, const char *reason);

/* It was reached. */
void away_clear(const char *service, const char *server);

/* Appends a line for each server that is noted, at most AWAY_REPORTED_MAX, sorted; removes notes that are a day old. */
void away_status(struct buf *to);

enum { AWAY_REPORTED_MAX = 200 };

#endif
