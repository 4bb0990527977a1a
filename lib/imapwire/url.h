/* url.h: IMAP URLs of messages and of their parts (RFC 5092), as CATENATE has them (RFC 4469).
 *
 * What comes from a client is taken apart and checked here to the last byte; what goes on to another server is written
 * anew from the parts. */
#ifndef LIB_IMAPWIRE_URL_H
#define LIB_IMAPWIRE_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/pool.h"

enum {
    IMAP_URL_MAX = 4096,      /* bytes of a URL */
    IMAP_URL_FIELDS_MAX = 100 /* header fields that its section names */
};

struct imap_url {
    const char *mailbox;  /* the name as users see it, in UTF-8; NULL: the selected one's ("<;UID=20>") */
    uint32_t uidvalidity; /* 0: none was given */
    uint32_t uid;         /* not 0 */
    const char
        *section; /* as between the brackets of BODY[], written anew: part numbers, HEADER, TEXT, MIME or a
                             list of header fields that are all atoms; "": the whole message */
    bool has_partial;      /* from byte `offset` on at most `size` bytes, */
    uint64_t offset, size; /* ... 0: all */
};

/* Parses an iabsolute-path or an irelative-path that begins with ";UID=" (RFC 5092 section 11) and names a message or
 * a part.  Strings are in the pool.  0; ERR_SYNTAX; ERR_TOOBIG; ERR_UNSUPPORTED: a URL of another kind (another
 * server's, of a mailbox, of a search, with URLAUTH). */
int imap_url_parse(const char *url, struct pool *pool, struct imap_url *url_r);

/* Appends it as an iabsolute-path; url->mailbox is not NULL. */
void imap_url_print(const struct imap_url *url, struct buf *to);

/* Appends s, percent-encoded but for what may stand in a URL anywhere (RFC 3986 "unreserved") and the characters
 * `also`. */
void imap_url_escape(const char *s, const char *also, struct buf *to);

#endif
