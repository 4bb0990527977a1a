/* imtest.h: a dialogue with a server: imtest and its family, one program whose name says the protocol.
 *
 * Everything that is said before the user's turn is shown as `C: ` and `S: `. */
#ifndef IMAP_TOOLS_IMTEST_H
#define IMAP_TOOLS_IMTEST_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"

struct sasl_client;
struct stream;

enum { DIALOGUE_LINE_LONGEST = 60 * 1024, DIALOGUE_ANSWER_MS = 60 * 1000 };

/* What is being waited for: some protocols say the same words in different places. */
enum phase { PHASE_GREETING, PHASE_CAPABILITY, PHASE_COMMAND, PHASE_AUTH };

/* What a line of the server's means there. */
enum answer {
    ANSWER_MORE,      /* others follow */
    ANSWER_OK,        /* done; data: what a mechanism still has to check, or NULL */
    ANSWER_CHALLENGE, /* data: the challenge in base64 */
    ANSWER_NO,        /* refused */
    ANSWER_BYE,       /* the server leaves */
};

struct dialogue;

/* A row of the table. Commands are without their line ends; NULL: the protocol has no such thing. */
struct protocol {
    const char *program;         /* the name that chooses it */
    const char *service;         /* SASL's name of it */
    const char *port, *tls_port; /* numbers; tls_port NULL: as port */
    const char *capability;      /* asks for the capabilities; NULL: the greeting has them */
    const char *mechs;           /* the word before the list of mechanisms ("AUTH=": words of that form) */
    const char *starttls_word, *starttls;
    bool greets_again;        /* after STARTTLS the capabilities come unasked */
    const char *auth;         /* a format with the mechanism's name */
    const char *initial_word; /* the capability without which no initial response may be sent */
    size_t initial_max;       /* the longest initial response in base64; 0: any */
    bool strings;             /* initial responses are literals (`{n+}`) */
    bool string_responses;    /* so are the others */
    const char *compress;
    const char *logout;
    const char *login_mech; /* what -m calls login() */
    int (*login)(struct dialogue *d, const char *user, const char *password);
    enum answer (*answer)(enum phase phase, const char *line, const char **data_r);
};

extern const struct protocol protocols[];
extern const size_t protocols_count;

struct dialogue {
    const struct protocol *protocol;
    /* wishes */
    const char *host, *port, *mech, *authname, *username, *realm, *file, *key_file, *password;
    const char *socket, *pid_file; /* -x or -X, -I */
    bool starttls, tls_at_once, compress, no_initial, verbose, background;
    unsigned times;
    /* the connection */
    struct stream *stream;
    struct sasl_client *client;
    struct buf mechs; /* offered, blank-separated */
    struct buf words; /* the capabilities, blank-separated, with a blank at both ends */
    struct buf line;  /* what dialogue_hear() gave */
    struct buf data;  /* a challenge that came as a literal */
};

/* Tells the reason on standard error. ERR_IO. */
int dialogue_fail(const struct dialogue *d, const char *what, const char *why);

/* Sends a line, which is shown; shown NULL: as it is. 0, or an error of the stream. */
int dialogue_say(struct dialogue *d, const char *line, const char *shown);
/* Reads a line and shows it; valid until the next call. 0; an error, told. */
int dialogue_hear(struct dialogue *d, const char **line_r);
/* Reads lines until one that is not ANSWER_MORE. That, with *data_r (may be NULL) valid until the next call, or a
 * negative error, told. Capabilities among the lines are remembered in the phases that have them. */
int dialogue_listen(struct dialogue *d, enum phase phase, const char **data_r);
/* Says it and listens. 0; ERR_REFUSED: no; ERR_UNAVAILABLE: the server leaves; ERR_PROTOCOL: anything else. */
int dialogue_command(struct dialogue *d, const char *line, const char *shown);

/* The greeting and the capabilities. 0, or an error, told. */
int dialogue_greet(struct dialogue *d);
/* Asks for the capabilities, where they are asked for. */
int dialogue_capability(struct dialogue *d);
bool dialogue_offers(const struct dialogue *d, const char *word);

/* Logs in as wished, and puts the security layer on. 0, or an error; either is told on standard output. */
int dialogue_authenticate(struct dialogue *d);
/* Is there nothing to log in with, and no wish to? */
bool dialogue_needs_no_login(const struct dialogue *d);

#endif
