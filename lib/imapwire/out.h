/* out.h: writing strings, flags and codes of IMAP responses and commands (RFC 3501 section 9). */
#ifndef LIB_IMAPWIRE_OUT_H
#define LIB_IMAPWIRE_OUT_H

#include <stddef.h>

#include "lib/base/buf.h"

/* A string in the shortest form that holds it: quoted, or a literal when there are CR, LF or 8-bit bytes, or
 * more than 1,000 bytes.  NUL bytes cannot be sent and are left out. */
void imap_put_string(struct buf *to, const char *s, size_t n);
/* The same for what a literal8 may stand for: with NULs it is one ("~{n}", RFC 4466). */
void imap_put_string8(struct buf *to, const char *s, size_t n);
/* NIL for NULL. */
void imap_put_nstring(struct buf *to, const char *s);
/* An atom where it can be one (not NIL, not empty), else as imap_put_string. */
void imap_put_astring(struct buf *to, const char *s);

/* As imap_put_string and imap_put_astring, for who takes UTF-8 in quoted strings (RFC 6855 3). */
void imap_put_utf8_string(struct buf *to, const char *s, size_t n);
void imap_put_utf8_astring(struct buf *to, const char *s);

/* The same for a command to a server: literals as {n+} with `literal_plus`.  Without it only a string
 * that a quoted string can hold: 0, or ERR_UNSUPPORTED (nothing appended). */
int imap_put_argument(struct buf *to, const char *s, int literal_plus);

/* "(a b c)" of a NULL-terminated list. */
void imap_put_flags(struct buf *to, const char *const *flags);

/* A text for a status response: printable ASCII, everything else is "?"; a "[" at its start gets a blank
 * before it, so that it is no response code. */
void imap_put_text(struct buf *to, const char *text);

#endif
