/* front-private.h: a connection as the files of this room share it. */
#ifndef IMAP_LMTP_ENGINE_FRONT_PRIVATE_H
#define IMAP_LMTP_ENGINE_FRONT_PRIVATE_H

#include "imap/lmtp/engine/data.h"
#include "imap/lmtp/engine/front.h"
#include "imap/lmtp/engine/header.h"
#include "lib/base/buf.h"

#define LMTPD_FRONT_MAGIC 0x4c4d5450u

enum lmtpd_state {
    LMTPD_COMMAND, /* reading commands */
    LMTPD_RCPT,    /* the transport decides about a recipient */
    LMTPD_MESSAGE, /* reading a message */
    LMTPD_CHUNK,   /* reading a piece of one (BDAT) */
    LMTPD_DELIVER, /* the transport delivers it */
};

/* What a step of the connection came to. */
enum lmtpd_progress {
    LMTPD_GO_ON,      /* step again */
    LMTPD_NEED_INPUT, /* the client has to send more */
    LMTPD_NEED_OTHER, /* the transport waits: until its deadline */
    LMTPD_CLOSING,    /* front->verdict is what the hook returns */
};

struct lmtpd_front {
    unsigned magic;
    struct login *login;
    const struct lmtpd_service *service;
    enum lmtpd_state state;
    enum engine_verdict verdict;
    unsigned errors;
    char *client; /* what LHLO said; NULL before */

    struct lmtpd_txn *txn; /* NULL: no MAIL yet */
    struct lmtpd_rcpt **rcpt_tail;
    struct lmtpd_rcpt *rcpt; /* the one being decided */
    unsigned rcpts_tried;    /* of this transaction, refused ones too */
    struct lmtpd_data data;
    struct lmtpd_header header;
    bool
        trusted; /* MAIL had AUTH=<> from a client that authenticated: a frontend, which has put trace fields */
    bool too_big;    /* the message exceeds maxmessagesize: read to its end and refused */
    int write_error; /* what the transport's begin() or write() said */
    bool chunked;    /* the message comes by BDAT, and has begun */
    struct lmtpd_chunk {
        uint64_t left;
        bool last;
        bool refused; /* of no message: read and dropped, then `code` is said */
        int code;
        const char *enhanced, *text;
    } chunk;
};

/* Writes a reply; the text's lines are separated by LF.  enhanced "" for none. */
void lmtpd_reply(struct lmtpd_front *f, int code, const char *enhanced, const char *text);
void lmtpd_replyf(struct lmtpd_front *f, int code, const char *enhanced, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The same for a command in error; ends the connection after too many. */
enum lmtpd_progress lmtpd_error(struct lmtpd_front *f, int code, const char *enhanced, const char *text);

/* Reads and answers one command. */
enum lmtpd_progress lmtpd_command(struct lmtpd_front *f);

/* MAIL and RCPT with their arguments (mail.c). */
enum lmtpd_progress lmtpd_mail(struct lmtpd_front *f, const char *args);
enum lmtpd_progress lmtpd_rcpt(struct lmtpd_front *f, const char *args);
/* DATA (message.c) and BDAT (chunk.c). */
enum lmtpd_progress lmtpd_data(struct lmtpd_front *f);
enum lmtpd_progress lmtpd_bdat(struct lmtpd_front *f, const char *args);

/* The steps of the other states. */
enum lmtpd_progress lmtpd_step_rcpt(struct lmtpd_front *f);
enum lmtpd_progress lmtpd_step_message(struct lmtpd_front *f);
enum lmtpd_progress lmtpd_step_chunk(struct lmtpd_front *f);
enum lmtpd_progress lmtpd_step_deliver(struct lmtpd_front *f);

/* A message, as DATA and BDAT have it in common (message.c): its beginning (0, or the transport's error), its next bytes,
 * its end, at which it is delivered or all recipients are told why not. */
enum { LMTPD_PIECE = 16 * 1024 };
int lmtpd_message_begin(struct lmtpd_front *f);
void lmtpd_message_write(struct lmtpd_front *f, const char *data, size_t n);
enum lmtpd_progress lmtpd_message_end(struct lmtpd_front *f);
/* Can it not be delivered, whatever follows?  Then *answer has what a recipient is told. */
bool lmtpd_message_failed(struct lmtpd_front *f, struct lmtpd_rcpt *answer);

/* Ends the transaction, if there is one. */
void lmtpd_txn_end(struct lmtpd_front *f);

/* Appends the Return-Path and Received fields (RFC 5321 section 4.4). */
void lmtpd_trace_fields(const struct lmtpd_front *f, struct buf *to);

#endif
