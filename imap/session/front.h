/* front.h: IMAP's vtable for imap/login: what every program of this front gives to login_service_new(). */
#ifndef IMAP_SESSION_FRONT_H
#define IMAP_SESSION_FRONT_H

#include "imap/login/login.h"

struct mboxlist;

/* context of struct login_config for these ops: what all sessions of the process share. */
struct front_context {
    struct mboxlist *list;
};

extern const struct login_ops imap_front;

#endif
