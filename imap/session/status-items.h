/* status-items.h: the items of STATUS (RFC 3501 6.3.10) and of LIST's RETURN (STATUS (...)). */
#ifndef IMAP_SESSION_STATUS_ITEMS_H
#define IMAP_SESSION_STATUS_ITEMS_H

#include "lib/imapwire/args.h"

enum status_item {
#define STATUS_ITEM(id, name, capability) STATUS_##id,
#include "imap/session/status-items.def"
#undef STATUS_ITEM
    STATUS_ITEMS
};

/* Its name on the wire. */
const char *status_item_name(enum status_item item);

/* Reads "(item ...)": *items_r gets the bits 1 << enum status_item; each may come twice.  0 or ERR_SYNTAX. */
int status_items_read(struct imap_args *args, unsigned *items_r);

#endif
