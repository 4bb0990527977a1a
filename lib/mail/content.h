/* content.h: the MIME fields of a header (RFC 2045, 2183, 2231, 2557, 3282, 1864).
 *
 * Tolerant: what cannot be parsed is as if it were absent. */
#ifndef LIB_MAIL_CONTENT_H
#define LIB_MAIL_CONTENT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/pool.h"
#include "lib/charset/decode.h"

enum { MAIL_PARAMS_MAX = 64 }; /* of one field */

/* A parameter.  RFC 2231 continuations are joined already: `filename*0="a"; filename*1="b"` is "FILENAME",
 * "ab"; if a piece is encoded, the name is "FILENAME*" and the value in encoded form (charset'lang'%41...). */
struct mail_param {
    struct mail_param *next;
    const char *name; /* upper case */
    const char *value;
};

/* Strings are in the pool, raw, NULL where absent. */
struct mail_content {
    const char *type, *subtype; /* upper case, never NULL: the default where the field is absent or broken */
    struct mail_param *params;
    const char *encoding; /* upper case, never NULL ("7BIT") */
    enum decode_encoding decoding;
    const char *id, *description, *md5, *location;
    const char *disposition; /* upper case */
    struct mail_param *disposition_params;
    struct mail_param *languages; /* names only */
};

/* The MIME fields of a header.  digest: the part is a child of a multipart/digest, whose default is
 * message/rfc822 instead of text/plain; charset=us-ascii (RFC 2046 section 5.1.5). */
void mail_content_parse(struct pool *pool, const char *header, size_t n, bool digest,
                        struct mail_content *content_r);

/* Makes it what a message without MIME fields is: text/plain; charset=us-ascii. */
void mail_content_default(struct pool *pool, struct mail_content *content);

/* Is it this type (any case; subtype NULL: any)? */
bool mail_content_is(const struct mail_content *content, const char *type, const char *subtype);

/* The value of a parameter by name without '*', as it stands; NULL if absent. */
const char *mail_param_get(const struct mail_param *params, const char *name);

/* The same for people: RFC 2231 and (as mailers write it) RFC 2047 decoded into UTF-8, appended.  0, or
 * ERR_NOTFOUND. */
int mail_param_utf8(const struct mail_param *params, const char *name, struct buf *to);

#endif
