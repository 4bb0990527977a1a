/* reply.h: the replies of SMTP and LMTP servers (RFC 5321 4.2), and what LHLO announces. */
#ifndef LIB_SMTP_REPLY_H
#define LIB_SMTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

struct stream;

enum {
    SMTP_LINE_MAX = 2048,       /* RFC 5321 asks for 512 at least */
    SMTP_REPLY_MAX = 32 * 1024, /* all lines of one reply */
};

struct smtp_reply {
    int code;          /* 200 to 599 */
    char enhanced[12]; /* RFC 3463 "2.1.5", or "" */
    struct buf text;   /* the lines without their codes, separated by LF */
    bool partial;      /* private: between the lines of a reply */
};

void smtp_reply_init(struct smtp_reply *r);
void smtp_reply_free(struct smtp_reply *r);
/* A copy of one's own. */
void smtp_reply_set(struct smtp_reply *r, int code, const char *enhanced, const char *text);

/* Takes the lines of one reply that are readable; r keeps what is there in between.  1: complete; 0: more is
 * to come; ERR_PROTOCOL: no reply, or codes that differ within it; ERR_TOOBIG. */
int smtp_reply_read(struct smtp_reply *r, struct stream *s);

struct smtp_caps {
    bool pipelining, eightbitmime, enhanced, starttls, ignorequota, auth_param, smtputf8, xorcpt, chunking,
        binarymime;
    bool size;         /* announced at all */
    uint64_t size_max; /* 0: no limit told */
};

/* From the lines, separated by LF, behind the first one of the reply to LHLO or EHLO (that is the
 * server's name): backend_capabilities() is such a text. */
void smtp_caps_parse(struct smtp_caps *caps, const char *text);

#endif
