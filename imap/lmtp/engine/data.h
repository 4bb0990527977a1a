/* data.h: a message as it comes behind DATA (RFC 5321 section 4.5.2): its end found, dots unstuffed,
 * line ends made CRLF.
 *
 * Only CRLF "." CRLF is the end, whatever other line ends the message has (a bare LF before a dot would
 * let one message be taken for two).  A bare LF becomes CRLF, a lone CR is dropped, NULs are dropped and
 * told.  Works byte by byte; no memory of its own. */
#ifndef IMAP_LMTP_ENGINE_DATA_H
#define IMAP_LMTP_ENGINE_DATA_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"

struct lmtpd_data {
    enum {
        LMTPD_DATA_LINE,   /* at the beginning of a line */
        LMTPD_DATA_TEXT,   /* within one */
        LMTPD_DATA_CR,     /* a CR was read */
        LMTPD_DATA_DOT,    /* a dot was read at the beginning of a line */
        LMTPD_DATA_DOT_CR, /* and then a CR */
        LMTPD_DATA_END,
    } state;
    bool has_nul;
};

void lmtpd_data_begin(struct lmtpd_data *d);

/* Takes up to n bytes and appends what they mean to `to`.  True: the end was read; *used_r bytes were the
 * message's, what follows is the next command. */
bool lmtpd_data_feed(struct lmtpd_data *d, const char *in, size_t n, size_t *used_r, struct buf *to);

/* Bytes that were counted (BDAT, RFC 3030), of a message that is text: line ends and NULs as above, dots as they are. */
void lmtpd_data_text(struct lmtpd_data *d, const char *in, size_t n, struct buf *to);

#endif
