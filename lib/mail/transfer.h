/* transfer.h: the content transfer encodings (RFC 2045 sections 6.7 and 6.8), decoded as a stream.
 *
 * Tolerant, as section 6.7 advises: what is no base64 is skipped, a broken "=" escape stands for itself,
 * blanks before a line end are dropped (as many as 80).
 * The output does not depend on how the input is cut into pieces. */
#ifndef LIB_MAIL_TRANSFER_H
#define LIB_MAIL_TRANSFER_H

#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/mail/content.h"

struct mail_decoder {
    enum mail_encoding encoding;
    unsigned bits, count; /* base64: bits collected of a quantum */
    size_t held;          /* quoted-printable: bytes in hold */
    char hold[80];        /* an escape that is not complete, or blanks that may end the line */
};

void mail_decoder_begin(struct mail_decoder *d, enum mail_encoding encoding);
/* Appends what the next n bytes decode to (other encodings than the two: themselves). */
void mail_decoder_feed(struct mail_decoder *d, const char *data, size_t n, struct buf *to);
/* Appends what is left at the end of the part. */
void mail_decoder_end(struct mail_decoder *d, struct buf *to);

#endif
