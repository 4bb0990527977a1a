/* loadgen.h: a load generator: many connections from one thread over one epoll.
 *
 * A connection speaks through a protocol (imap.c, lmtp.c, mupdate.c), which prepares it, then gives one
 * request after the other and says when each is answered: a closed loop without pauses.  Results go to standard
 * output, a line a figure: NAME VALUE UNIT. */
#ifndef BENCH_LOADGEN_H
#define BENCH_LOADGEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream;

struct load_options {
    const char *host, *service; /* as for getaddrinfo(3); a path for host: a Unix socket */
    const char *user;           /* behind it stands a number below users */
    const char *password;
    const char *mailbox; /* IMAP: what is selected */
    const char
        *commands; /* IMAP: of the mode `commands`, in turn, between them a '|'; %n: a message's number */
    const char *script; /* how far a connection is prepared: a word of the protocol's */
    unsigned users;
    unsigned connections; /* opened and made to work before anything is measured */
    unsigned busy;        /* of them, these run the modes */
    unsigned opening;     /* connections that log in at the same time */
    double seconds;       /* each mode */
    unsigned recipients;  /* LMTP: of each message */
    size_t size;          /* bytes of a message that is delivered or appended */
    unsigned messages;    /* that the mailbox has */
    unsigned depth;       /* MUPDATE: commands in one request, sent together and answered together */
    bool tls;             /* from the first byte */
};

enum load_answer {
    LOAD_MORE,   /* the request is not answered yet */
    LOAD_DONE,   /* it is */
    LOAD_FAILED, /* it was refused: the program ends with the line */
};

struct load_conn {
    struct stream *stream;
    const struct load_protocol *protocol;
    const char *mode;  /* what the requests are; NULL: those that prepare the connection, or none */
    unsigned number;   /* of the connection */
    unsigned step;     /* of the preparation */
    uint64_t requests; /* so far; also makes tags */
    uint64_t skip;     /* bytes of a literal still to come */
    unsigned replies;  /* lines still to come (LMTP), of them after_data behind the message */
    unsigned after_data;
    size_t size;                 /* of the message (LMTP) */
    int64_t began_us, opened_us; /* the request, the connection */
    unsigned poll_events;
    bool ready, waiting; /* prepared; a request is out */
};

struct load_protocol {
    const char *name;
    const char *modes, *scripts; /* blank-separated, for the usage message; the first script is the default */
    const char *greeting_end;    /* how the greeting's last line begins; NULL: it is one line */
    /* Writes the next request of the preparation: false when there is none left.  The first is asked for
     * when the greeting has come. */
    bool (*prepare)(struct load_conn *c, const struct load_options *o);
    /* Writes one request of c->mode. */
    void (*request)(struct load_conn *c, const struct load_options *o);
    /* A line of the server's, without its end. */
    enum load_answer (*line)(struct load_conn *c, const char *line, size_t len);
};

extern const struct load_protocol load_imap, load_lmtp, load_mupdate;

/* A message of `size` bytes or a little more, CRLF, dot-safe, with a Message-ID of its own (servers deliver one only
 * once); static storage, until the next call. */
const char *load_message(size_t size, size_t *len_r);

_Noreturn void load_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
