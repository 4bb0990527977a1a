/* tally.h: who is logged in, counted over all processes of the node, for maxlogins_per_user and maxlogins_per_host.
 *
 * A record a session and kind in <configdirectory>/logins (doc/formats/logins.md), in one short transaction at login
 * and one at the end. A record of a process that is gone counts for nothing and is removed by whoever meets it, so
 * that SIGKILL needs no repair. Any thread. */
#ifndef IMAP_LOGIN_TALLY_H
#define IMAP_LOGIN_TALLY_H

#include <stdint.h>

struct tally;

struct tally_limits {
    int64_t per_user, per_host; /* 0 and less: no limit */
};

/* For the service of that name in cyrus.conf.  Opens nothing (and *tally_r is NULL) where there is no limit.  0, or
 * an error, also with *tally_r NULL: then nothing is counted. */
int tally_open(const char *service, const struct tally_limits *limits, struct tally **tally_r);
void tally_close(struct tally **tally); /* *tally may be NULL */

enum tally_verdict { TALLY_IN, TALLY_USER_FULL, TALLY_HOST_FULL };

/* Counts a session in, if there is room.  host "" (a Unix socket) is not counted.  A TALLY_*; *number_r: for
 * tally_leave(); or an error: not counted. */
int tally_enter(struct tally *tally, const char *user, const char *host, uint64_t *number_r);
/* Takes it out again: the same user, host and number. */
void tally_leave(struct tally *tally, const char *user, const char *host, uint64_t number);

#endif
