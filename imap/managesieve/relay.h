/* relay.h: a user whose scripts are on another server: his connection is piped to that server's ManageSieve, where this
 * node acts for him. */
#ifndef IMAP_MANAGESIEVE_RELAY_H
#define IMAP_MANAGESIEVE_RELAY_H

#include <stdbool.h>

#include "lib/base/buf.h"
#include "lib/engine/engine.h"

struct login;
struct managesieve_relay;
struct mboxlist;

enum { MANAGESIEVE_BARRIER_MS = 2000 }; /* how long a name that the list lacks is waited for */

/* Looks up whose INBOX it is that l->identity has.  0 with a relay when it is on another server, or when the list does not
 * have it (it is then looked for once more, behind the own-writes barrier); ERR_EXISTS: it is here; ERR_NOTFOUND: such
 * a user can have none; ERR_IO...  *relay is freed before. */
int managesieve_relay_new(struct login *l, struct mboxlist *list, struct managesieve_relay **relay);
void managesieve_relay_free(struct managesieve_relay **relay); /* *relay may be NULL */

/* Does the list have it? */
bool managesieve_relay_is_located(const struct managesieve_relay *relay);

/* Is the client sent there (sieve_allowreferrals)?  The response code (RFC 5804 section 1.3) is appended then. */
bool managesieve_relay_refers(const struct managesieve_relay *relay);
void managesieve_relay_referral(const struct managesieve_relay *relay, struct buf *code);

/* The session's run() from the login on; `capabilities`: they have to be told first, a security layer having begun. */
enum engine_verdict managesieve_relay_run(struct managesieve_relay *relay, bool capabilities);

#endif
