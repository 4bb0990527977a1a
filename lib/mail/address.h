/* address.h: address lists (RFC 5322 section 3.4, with the obsolete forms of 4.4).
 *
 * The parser takes anything: what is no address is skipped or kept as a mailbox without a host. */
#ifndef LIB_MAIL_ADDRESS_H
#define LIB_MAIL_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/pool.h"

enum { MAIL_ADDRESSES_MAX = 10000 }; /* a sensible `max` for what a message's sender decides */

enum mail_address_kind {
    MAIL_ADDRESS,     /* mailbox, host */
    MAIL_GROUP_BEGIN, /* mailbox: the group's name */
    MAIL_GROUP_END,
};

/* All strings are raw (RFC 2047 words not decoded), quotes and comments removed; NULL where absent. */
struct mail_address {
    struct mail_address *next;
    enum mail_address_kind kind;
    const char *name;    /* display name, or the comment behind a bare address */
    const char *route;   /* source route "@a,@b" */
    const char *mailbox; /* local part */
    const char *host;    /* domain; NULL for an address without '@' */
};

/* The list in the pool, or NULL for an empty one.  value: a field's value, folded or not.  At most `max`
 * entries; what follows is dropped. */
struct mail_address *mail_addresses_parse(struct pool *pool, const char *value, size_t n, size_t max);

/* Appends `local@host`, the local part quoted where RFC 5322 asks for it; only the local part when there is
 * no host. */
void mail_address_spec(const struct mail_address *a, struct buf *to);

#endif
