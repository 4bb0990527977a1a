/* backend-private.h: a connection's state, and what the protocols differ in. */
#ifndef LIB_BACKEND_BACKEND_PRIVATE_H
#define LIB_BACKEND_BACKEND_PRIVATE_H

#include <sys/socket.h>

#include "lib/backend/backend.h"
#include "lib/base/buf.h"
#include "lib/imapwire/response.h"
#include "lib/smtp/reply.h"

struct pool;
struct sasl_client;

/* ---- names and addresses (address.c) ---- */

struct backend_address {
    struct sockaddr_storage addr;
    socklen_t len;
};

enum { BACKEND_ADDRESSES_MAX = 16 };

/* A server's name in its parts: "be1.lab:2143", "[::1]:143", "::1", "/path" (port 0 without one).
 * 0, or ERR_SYNTAX. */
int backend_parse_server(const char *server, char *host, size_t size, unsigned *port_r);
/* The port for that service: what backend_config says. */
unsigned backend_port(const struct backend_config *config, const char *service, unsigned standard);
/* Addresses of the host, in the order to try them.  How many, or ERR_NOTFOUND. */
int backend_resolve(const char *host, unsigned port, struct backend_address *to, int max);
/* Binds fd as client_bind and client_bind_name say.  0, or ERR_CONFIG. */
int backend_bind(int fd, int family);

/* ---- servers that do not answer (backoff.c) ---- */

/* May one try?  0, or ERR_UNAVAILABLE. */
int backoff_enter(const char *server);
void backoff_result(const char *server, bool reachable);
/* What an attempt found, for the table and the node's status; the reason is b's text. */
void backoff_found(const struct backend *b, bool reachable);

/* ---- a protocol (imap.c, lmtp.c, mupdate.c, sieve.c) ---- */

enum backend_answer {
    ANSWER_MORE = 0, /* incomplete: needs input */
    ANSWER_DONE = 1, /* yes */
    ANSWER_DATA = 2, /* a SASL challenge, in b->data */
};

struct backend_ops {
    const char *service; /* SASL's name and /etc/services' */
    unsigned port;
    bool banner_after_tls; /* the greeting comes again */
    bool caps_by_user;     /* capabilities are others after authentication */
    bool strings;          /* SASL's data are strings, and the server's last may come with its OK */
    const char *starttls, *cancel, *logout;
    const char *compress, *compress_word; /* with proxy_compress; NULL: never */
    /* The next three read an answer: ANSWER_*, or an error with text. */
    int (*greeting)(struct backend *b);
    int (*capability)(struct backend *b);
    int (*starttls_answer)(struct backend *b);
    int (*auth_answer)(struct backend *b);
    int (*compress_answer)(struct backend *b); /* b->data is "OK" when deflate begins */
    /* Begins to make the connection nobody's; reads up to the answer.  NULL: it cannot be kept. */
    void (*reset)(struct backend *b);
    int (*reset_answer)(struct backend *b);
    void (*ask_capability)(struct backend *b);
    /* Appends the SASL mechanisms offered, blank-separated. */
    void (*mechs)(const struct backend *b, struct buf *to);
    bool (*initial_response)(const struct backend *b);
    /* base64: NULL without, "" for an empty initial response. */
    void (*authenticate)(struct backend *b, const char *mech, const char *base64);
    bool (*has)(const struct backend *b, const char *word);
};

/* For protocols whose capabilities are lines, and which take an initial response always (lines.c). */
void backend_lines_mechs(const struct backend *b, struct buf *to);
bool backend_initial_always(const struct backend *b);
bool backend_lines_has(const struct backend *b, const char *word);

extern const struct backend_ops backend_imap_ops, backend_lmtp_ops, backend_mupdate_ops, backend_sieve_ops,
    backend_smtp_ops;

/* ---- the connection ---- */

enum backend_state {
    STATE_START,
    STATE_CONNECT,
    STATE_CONNECTING,
    STATE_GREETING,
    STATE_CAPABILITY,
    STATE_STARTTLS,
    STATE_HANDSHAKE,
    STATE_LOGIN,
    STATE_AUTH,
    STATE_COMPRESS,
    STATE_DONE,
    STATE_FAILED,
};

struct backend {
    unsigned magic;
    struct pool *pool;
    struct backend_config config; /* strings in the pool */
    const struct backend_ops *ops;
    enum backend_state state;
    int error;        /* STATE_FAILED: the code */
    struct buf text;  /* what went wrong */
    int64_t deadline; /* of this step */
    int64_t end;      /* of everything */

    char host[256];
    const char *key; /* in the table of servers that do not answer */
    struct backend_address *addresses;
    int address_count, address_next;
    int fd;      /* before there is a stream */
    int old_fd;  /* the socket before, until the next step; or -1 */
    bool waited; /* the caller may be watching fd */
    struct stream *stream;

    struct buf greeting, caps, data;
    struct smtp_reply reply;
    bool have_caps;  /* they came with the last answer */
    bool in_literal; /* ManageSieve: the next line is what was announced */
    bool preauth;    /* the server wants no authentication */
    bool tls, authenticated;
    bool asked_compress;
    bool reused;               /* its connection comes from the pool */
    struct stream *old_stream; /* a connection of the pool that had ended, until the next step */
    struct buf first_caps;     /* those before authentication */

    struct backend *next; /* in the pool */
    int64_t pool_end;
    char reset_tag[16];        /* of what made it nobody's; "" before */
    struct imap_reader reader; /* reads up to the answer to that, */
    size_t dropped;            /* and has dropped as much */
    bool is_nobodys;           /* it has been given */

    struct sasl_client *sasl;
    struct buf initial; /* the initial response, kept until the server asks */
    bool has_initial;
    int sasl_status;
};

#define BACKEND_MAGIC 0xbac4e4d5u

/* Reads the answer to what made a connection nobody's, without waiting.  1: it came, and nothing behind it; 0: not yet;
 * else an error. */
int backend_reset_answer(struct backend *b);

/* Sets the error and its text.  Returns the code. */
int backend_fail(struct backend *b, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A line of the peer's.  1, 0, or an error. */
int backend_line(struct backend *b, const char **line_r, size_t *len_r);

/* Authentication (auth.c): begins, answers a challenge, ends.  0, or an error with text. */
int backend_auth_begin(struct backend *b);
int backend_auth_respond(struct backend *b);
int backend_auth_end(struct backend *b);

#endif
