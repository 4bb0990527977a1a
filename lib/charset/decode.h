/* decode.h: content transfer decoding (RFC 2045 6) in pieces of any size.
 *
 * What is malformed is decoded as far as it goes, as readers of real mail must: bytes that are no
 * base64 are skipped, a bad =XX stays as it is. */
#ifndef LIB_CHARSET_DECODE_H
#define LIB_CHARSET_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

enum decode_encoding {
    DECODE_IDENTITY, /* 7bit, 8bit, binary */
    DECODE_QUOTED_PRINTABLE,
    DECODE_BASE64,
    DECODE_UNKNOWN,
    DECODE_UUENCODE /* never by decode_by_name(): for MIME it is an unknown one */
};

/* By the value of Content-Transfer-Encoding, in any case; "" and NULL: identity. */
enum decode_encoding decode_by_name(const char *name);

/* Is it one of the names that uuencode (POSIX) goes by, none of them registered? */
bool decode_is_uuencode(const char *name);

/* State between pieces; no memory of its own. */
struct decoder {
    enum decode_encoding encoding;
    uint32_t bits;  /* base64: collected so far; uuencode: between "begin" and "end"? */
    unsigned count; /* base64: how many characters; quoted-printable, uuencode: bytes in held */
    bool malformed; /* base64: something else than whole groups and blanks */
    char held
        [80]; /* quoted-printable: an unfinished =XX, or blanks that may end the line; uuencode: the line */
};

/* DECODE_UNKNOWN decodes as identity. */
void decoder_init(struct decoder *d, enum decode_encoding encoding);

/* Appends the bytes that are certain now. */
void decoder_feed(struct decoder *d, const char *data, size_t n, struct buf *to);

/* The end of the input: appends what was held back.  *clean_r (may be NULL): was it well-formed base64
 * (always true for the others), and an encoding we know (RFC 3516 4.3: UNKNOWN-CTE)? */
void decoder_finish(struct decoder *d, struct buf *to, bool *clean_r);

#endif
