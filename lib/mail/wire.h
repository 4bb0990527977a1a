/* wire.h: ENVELOPE, BODY and BODYSTRUCTURE in the form that IMAP sends (RFC 3501 section 7.4.2).
 *
 * Strings that a quoted string cannot hold are literals; NULs are left out.  So what is written can be
 * sent as it is, except that a session with UTF8=ACCEPT may get 8-bit text quoted: where the
 * result is MAIL_WIRE_8BIT, such a session formats anew from the message with MAIL_WIRE_UTF8. */
#ifndef LIB_MAIL_WIRE_H
#define LIB_MAIL_WIRE_H

#include "lib/base/buf.h"
#include "lib/mail/message.h"

enum mail_wire_mode {
    MAIL_WIRE_PLAIN, /* 8-bit text in literals */
    MAIL_WIRE_UTF8,  /* valid UTF-8 in quoted strings (RFC 9755), other 8-bit text in literals */
};

enum { MAIL_WIRE_7BIT = 0, MAIL_WIRE_8BIT = 1 };

/* Each appends to `to` and returns whether a string held 8-bit text.  data: the whole message; part: the
 * root, or for the envelope any message. */
int mail_wire_envelope(struct buf *to, const char *data, const struct mail_part *part,
                       enum mail_wire_mode mode);
int mail_wire_body(struct buf *to, const char *data, const struct mail_part *part, enum mail_wire_mode mode);
int mail_wire_bodystructure(struct buf *to, const char *data, const struct mail_part *part,
                            enum mail_wire_mode mode);

/* nstring (RFC 3501 section 9): NIL for NULL, else quoted or literal.  Returns as above. */
int mail_wire_nstring(struct buf *to, const char *s, enum mail_wire_mode mode);
/* The same for n bytes, never NIL. */
int mail_wire_string(struct buf *to, const char *s, size_t n, enum mail_wire_mode mode);

#endif
