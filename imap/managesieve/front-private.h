/* front-private.h: a connection as the files of this room share it. */
#ifndef IMAP_MANAGESIEVE_FRONT_PRIVATE_H
#define IMAP_MANAGESIEVE_FRONT_PRIVATE_H

#include "imap/managesieve/front.h"
#include "imap/managesieve/parse.h"

struct managesieve_relay;

#define MANAGESIEVE_FRONT_MAGIC 0x73697665u

enum managesieve_progress {
    MANAGESIEVE_GO_ON,      /* answered: the next command */
    MANAGESIEVE_NEED_INPUT, /* the client has to send more */
    MANAGESIEVE_CLOSING     /* front->verdict is what the hook returns */
};

struct managesieve_front {
    unsigned magic;
    struct login *login;
    const struct managesieve_service *service;
    enum engine_verdict verdict;
    unsigned errors;
    struct managesieve_command command;
    bool capabilities_due;           /* a security layer has begun: they come unasked */
    bool elsewhere;                  /* the user's scripts are on another server, */
    bool referred;                   /* and the client has been sent there */
    struct managesieve_relay *relay; /* NULL: not elsewhere, or not yet authenticated */
};

/* May this session end its user's without its own end?  Not under a SASL layer, and not one that a frontend has for its
 * user. */
bool managesieve_may_unauthenticate(const struct login *l);

/* ---- answers (reply.c) ---- */

/* Writes a string: quoted where it may be, else as a literal. */
void managesieve_string(struct stream *s, const char *data, size_t n);
/* The last line of an answer: "OK", "NO" or "BYE", the response code without parentheses (NULL: none), text ("": none). */
void managesieve_reply(struct managesieve_front *f, const char *status, const char *code, const char *text);
void managesieve_replyf(struct managesieve_front *f, const char *status, const char *code, const char *fmt,
                        ...) __attribute__((format(printf, 4, 5)));
/* The list of capabilities, without the OK behind it. */
void managesieve_capabilities(struct managesieve_front *f);

/* ---- scripts (scripts.c): the commands of an authenticated user; the arguments are of the right kinds ---- */

void managesieve_havespace(struct managesieve_front *f);
void managesieve_putscript(struct managesieve_front *f);
void managesieve_listscripts(struct managesieve_front *f);
void managesieve_setactive(struct managesieve_front *f);
void managesieve_getscript(struct managesieve_front *f);
void managesieve_deletescript(struct managesieve_front *f);
void managesieve_renamescript(struct managesieve_front *f);
void managesieve_checkscript(struct managesieve_front *f);

#endif
