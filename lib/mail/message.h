/* message.h: a message's tree of parts, found in one pass over its bytes.
 *
 * Bounded: at most MAIL_DEPTH_MAX parts within each other and MAIL_PARTS_MAX in all; what lies deeper, and
 * a multipart without a boundary, stays one text/plain part; behind the last part allowed everything
 * belongs to it.  Never fails: any bytes are a message.
 *
 * A multipart always has at least one child: without any, an empty text/plain one at its end (RFC 3501's
 * grammar demands `1*body`). */
#ifndef LIB_MAIL_MESSAGE_H
#define LIB_MAIL_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/pool.h"
#include "lib/mail/content.h"

enum { MAIL_DEPTH_MAX = 50, MAIL_PARTS_MAX = 4000 };

enum mail_kind {
    MAIL_LEAF,
    MAIL_MULTIPART, /* children: its parts */
    MAIL_MESSAGE,   /* message/rfc822: one child, the message in it */
};

struct mail_part {
    struct mail_part *parent, *next, *children;
    enum mail_kind kind;
    uint64_t header_start; /* offset in the message */
    uint64_t header_size;  /* with the empty line that ends it */
    uint64_t header_lines;
    uint64_t body_size;  /* the body begins at header_start + header_size */
    uint64_t body_lines; /* line feeds in the body */
    struct mail_content content;
};

/* The root: the message itself; everything in the pool. */
struct mail_part *mail_parse(struct pool *pool, const char *data, size_t n);

#endif
