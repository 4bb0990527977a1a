/* create-args.h: what CREATE says behind the mailbox's name. */
#ifndef IMAP_SESSION_CREATE_ARGS_H
#define IMAP_SESSION_CREATE_ARGS_H

#include "lib/imapwire/args.h"

struct create_args {
    const char *place; /* "server", "partition", "server!partition" (Cyrus's third argument); NULL */
    const char *uses;  /* of RFC 6154 section 3, blank-separated as given ("" for an empty list); NULL */
};

/* Reads [SP place] or [SP "(USE (" uses "))"] to the end.  0 or ERR_SYNTAX. */
int create_args_read(struct imap_args *args, struct create_args *a);

#endif
