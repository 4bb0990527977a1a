/* front.h: a ManageSieve connection (RFC 5804): the commands before the login, and after it those of a user whose
 * scripts are here; another's connection is piped to the server that has them (relay.h). */
#ifndef IMAP_MANAGESIEVE_FRONT_H
#define IMAP_MANAGESIEVE_FRONT_H

#include "imap/login/login.h"

struct mboxlist;

/* The context of login_service_new(). */
struct managesieve_service {
    bool local;            /* users' scripts may be here: not on a frontend */
    bool remote;           /* they may be on another server: the list knows */
    struct mboxlist *list; /* NULL: not needed */
};

enum { MANAGESIEVE_ERRORS_MAX = 20 }; /* refused for their form by one connection; then BYE */

extern const struct login_ops managesieve_login_ops;

#endif
