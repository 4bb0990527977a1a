/* deny.h: users who may not log in: <configdirectory>/deny (doc/formats/deny.md), written by cyr_deny.
 *
 * No state in the process: any thread. */
#ifndef IMAP_LOGIN_DENY_H
#define IMAP_LOGIN_DENY_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"

#define DENY_ALL_SERVICES "*"
enum { DENY_TEXT_MAX = 400 };

/* Is the user denied the service, by its name in cyrus.conf or its protocol's ("imap", "pop"...; either may be NULL)?
 * Then the text for the client is appended: printable ASCII.  What cannot be read denies nobody. */
bool deny_check(const char *userid, const char *service, const char *protocol, struct buf *text);

/* Denies (text cut and made printable), and allows again; service: patterns of names with
 * `*`, commas between them; DENY_ALL_SERVICES for all, which to allow takes
 * all denials along.  userid: in its canonical form.  0; ERR_INVALID: a service with a control
 * character; ERR_NOTFOUND: was not denied; ERR_TIMEOUT, ERR_IO, ERR_DISKFULL. */
int deny_set(const char *userid, const char *service, const char *text);
int deny_clear(const char *userid, const char *service);

/* Calls fn for each denial, in the order of users, until it returns non-zero, which is returned; else 0 or ERR_IO. */
int deny_each(int (*fn)(const char *userid, const char *service, const char *text, void *context),
              void *context);

/* When a denial was set or taken back last: nanoseconds of the epoch; 0: never. */
int64_t deny_changed(void);

#endif
