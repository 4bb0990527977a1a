/* header.h: what is done to a message's header on its way in: its own Return-Path fields give way to ours (RFC 5321 section
 * 4.4), 8-bit characters are told and, with munge8bit, become X.
 *
 * Works byte by byte; no memory of its own. */
#ifndef IMAP_LMTP_ENGINE_HEADER_H
#define IMAP_LMTP_ENGINE_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"

struct lmtpd_header {
    enum {
        LMTPD_HEADER_LINE,  /* at the beginning of a line */
        LMTPD_HEADER_NAME,  /* in a name that may be Return-Path: not passed on yet */
        LMTPD_HEADER_FIELD, /* within a line */
        LMTPD_HEADER_CR,    /* a CR was read at the beginning of one */
        LMTPD_HEADER_BODY,  /* behind the header: nothing more to do */
    } state;
    size_t name_len;  /* of the name that is held back */
    char name[16];    /* as it was written */
    bool dropping;    /* the field is left out */
    bool drop, munge; /* what is to be done */
    bool has_8bit;
};

/* drop: leave Return-Path out; munge: make 8-bit characters X. */
void lmtpd_header_begin(struct lmtpd_header *h, bool drop, bool munge);

/* Appends what the next bytes of the message come to; those of the body as they are. */
void lmtpd_header_feed(struct lmtpd_header *h, const char *in, size_t n, struct buf *to);

/* The message ends: appends what is held back. */
void lmtpd_header_end(struct lmtpd_header *h, struct buf *to);

#endif
