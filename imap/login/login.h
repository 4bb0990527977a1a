/* login.h: a client's connection from accept(2) to an authenticated identity, for every
 * protocol.
 *
 * struct login is one client connection.  A protocol's front gives a vtable (struct
 * login_ops) once a process; login does what all protocols share: TLS at once or by
 * STARTTLS, SASL exchanges and passwords, who may act for whom, the pause after a failure,
 * limits before login, inactivity, telemetry, the entry in <configdirectory>/proc, the end.
 *
 * The life of a connection:
 *
 *     accept -> [TLS handshake] -> ops->greeting
 *            -> ops->command, again and again, until authenticated
 *            -> ops->authorize, ops->result, ops->authenticated
 *            -> ops->run, again and again -> ops->close
 *
 * From a command the front calls login_starttls, login_authenticate or login_plain and then
 * returns ENGINE_AGAIN: login goes on when command() has returned, and command() is called
 * again when that step is over.  Nothing waits for the peer.
 *
 * A login is confined to the thread that runs its session. */
#ifndef IMAP_LOGIN_LOGIN_H
#define IMAP_LOGIN_LOGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/engine/engine.h"

struct buf;
struct identity; /* lib/name/identity.h */
struct login;
struct login_private;
struct login_service;
struct pool;
struct stream;
struct tls_context;

enum {
    LOGIN_LINE_MAX = 8192,             /* a command line before login; fronts pass it to stream_line */
    LOGIN_SASL_LINE_MAX = 48 * 1024,   /* a SASL response in base64 (Kerberos tickets are large) */
    LOGIN_FAILURES_MAX = 5,            /* failed authentications, then BYE */
    LOGIN_COMMANDS_MAX = 50,           /* commands before login, then BYE */
    LOGIN_BAD_MAX = 5,                 /* of them malformed or unknown (login_note_bad), then BYE */
    LOGIN_TIME_MAX_MS = 3 * 60 * 1000, /* from accept to login, then BYE */
    LOGIN_HANDSHAKE_MS = 30 * 1000,    /* a TLS handshake; the header of the PROXY protocol */
    LOGIN_CLOSE_MS = 10 * 1000,        /* the last answer may take this long to leave */
    LOGIN_LINGER_MS = 2000, /* then what a client has sent behind its last command is dropped: so long, */
    LOGIN_LINGER_MAX = 256 * 1024, /* so many bytes */
};

/* How an authentication ended. */
enum login_code {
    LOGIN_OK,
    LOGIN_FAILED, /* wrong name or password: RFC 5530 AUTHENTICATIONFAILED */
    LOGIN_DENIED, /* authenticated, and may not act as that user or use this service: AUTHORIZATIONFAILED */
    LOGIN_NEEDS_TLS,   /* not without encryption: PRIVACYREQUIRED */
    LOGIN_UNAVAILABLE, /* the password service is away: UNAVAILABLE */
    LOGIN_NO_MECH,     /* unknown mechanism, or not offered */
    LOGIN_CANCELLED,   /* the client said "*": BAD */
    LOGIN_BAD,         /* not base64, or too long: BAD */
    LOGIN_LIMIT,       /* too many sessions of that user or host (maxlogins_per_*): RFC 5530 LIMIT */
};

struct login_result {
    enum login_code code;
    const char *text; /* for the client; never NULL, no CR, LF or 8-bit bytes */
    bool layer;       /* a SASL security layer begins right behind this answer: no capabilities in it */
    const char *data; /* base64 that goes with success (ops->success_data), or NULL */
};

struct login_ops {
    unsigned magic;           /* LOGIN_OPS_MAGIC */
    const char *sasl_service; /* "imap", "pop", "lmtp", "mupdate", "sieve", "nntp" */
    bool for_users;           /* maxlogins_per_user and maxlogins_per_host hold; not where servers log in */
    bool success_data; /* may the last data of a SASL exchange go with the answer (SMTP and IMAP: no)? */

    /* The connection is ready for words: makes l->front, writes the greeting.  May call
     * login_preauth, or login_bye (then returns its value).  ENGINE_AGAIN to go on. */
    enum engine_verdict (*greeting)(struct login *l);

    /* Not authenticated: reads and answers at most one command.  ENGINE_AGAIN: something was
     * done; ENGINE_PARK: no complete command is there (login fills, flushes and parks);
     * ENGINE_CLOSE, or what login_bye or login_close gave. */
    enum engine_verdict (*command)(struct login *l);

    /* Writes one SASL challenge; `base64` may be "". */
    void (*challenge)(struct login *l, const char *base64);

    /* Takes the client's answer to a challenge from l->stream, without waiting: 1, and the base64
     * ("*" cancels), valid until the next call on the stream; 0: not complete; ERR_TOOBIG,
     * ERR_PROTOCOL: the connection ends.  NULL: a bare line (all but ManageSieve). */
    int (*response)(struct login *l, const char **base64_r, size_t *len_r);

    /* Do the rights on `user`'s mailboxes allow `who`, neither administrator nor proxy, to act for `user`, no
     * administrator either (the option loginuseacl)?  NULL: nobody. */
    bool (*may_act_for)(struct login *l, const struct identity *who, const struct identity *user);

    /* Last word on who may use the service, l->identity being set; NULL: everybody.  (A proxy that
     * acts for nobody is never is_admin, even if listed; services that admit proxies ask
     * is_proxy.)  0, ERR_DENIED or ERR_UNAVAILABLE; *text_r (static) is for the client. */
    int (*authorize)(struct login *l, const char **text_r);

    /* Writes the answer to the command that called login_authenticate or login_plain. */
    void (*result)(struct login *l, const struct login_result *result);

    /* STARTTLS is done; NULL: nothing to do (MUPDATE shows its banner again). */
    void (*tls_started)(struct login *l);

    /* The answer is written: builds what an authenticated session needs.  ENGINE_AGAIN, or
     * what login_bye gave. */
    enum engine_verdict (*authenticated)(struct login *l);

    /* From here on: the engine's run().  Parks by login_park(), ends by login_bye() or
     * login_close(), looks at session_stopping() between commands. */
    enum engine_verdict (*run)(struct login *l);

    /* Behind login_unauthenticate(): close() has been called; makes l->front anew, writes nothing.  NULL: the protocol
     * has no such thing. */
    void (*restart)(struct login *l);

    /* Writes the protocol's farewell ("* BYE text"). */
    void (*bye)(struct login *l, const char *text);

    /* Frees l->front; called once if greeting() was. */
    void (*close)(struct login *l);
};

#define LOGIN_OPS_MAGIC 0x106f7507u

struct login {
    unsigned magic;
    struct login_service *service;
    const struct login_ops *ops;
    struct stream *stream;
    struct session *session; /* set before any hook is called */
    struct pool *pool;       /* the connection's; small: it lives as long as a parked session */
    void *front;             /* the front's own object */

    const char *id;    /* session id: <servername up to a dot>-<epoch>-<pid>-<n>-<random> */
    const char *local; /* address literals without port; "" for a Unix socket */
    const char *peer;
    unsigned local_port, peer_port;

    struct identity *identity; /* NULL until authenticated */
    const char *authid;        /* who gave the password (the proxy, when acting for another) */
    const char *mech;          /* "PLAIN"..., "LOGIN" (the command), "PREAUTH" */
    unsigned ssf;              /* bits of the SASL security layer; 0: none */

    struct login_private *p; /* login's own */
};

#define LOGIN_MAGIC 0x1061f00du

/* ---- a process ---- */

struct login_config {
    const char *service; /* the service's name in cyrus.conf: log, telemetry, proc ("imap") */
    const struct login_ops *ops;
    void *context;   /* login_service_context() */
    bool tls_always; /* -s: TLS from the first byte */
    const char
        *proxies; /* addresses (proxy-header.h) whose connections begin with the PROXY protocol; NULL: none */
    int64_t login_ms,
        handshake_ms; /* 0: LOGIN_TIME_MAX_MS, LOGIN_HANDSHAKE_MS (unit tests cannot wait so long) */
};

/* Reads the options (timeouts, plaintext, TLS...) and the certificates.  0; ERR_CONFIG: -s without a
 * usable certificate, or `proxies` is no list of addresses, text in *error_r (malloc'ed).  Without -s an unusable certificate is logged
 * and STARTTLS not offered. */
int login_service_new(const struct login_config *config, struct login_service **service_r, char **error_r);
/* After the engine has stopped; *service = NULL. */
void login_service_free(struct login_service **service);
void *login_service_context(const struct login_service *service);

/* Makes a login and its session of a connected socket, which it owns from here on.  Has the type
 * that engine_listen() wants; `service` is a struct login_service. */
void login_accept(struct engine *e, int fd, void *service);

/* ---- before authentication ---- */

/* For capabilities: may STARTTLS be used now, may a password be sent in clear now (IMAP: else
 * LOGINDISABLED), and which mechanisms are there now, blank-separated ("": none until TLS). */
bool login_may_starttls(const struct login *l);
bool login_may_plain(const struct login *l);
const char *login_mechanisms(struct login *l);

/* Begins TLS behind the output written so far (the OK); plain input behind the command is dropped.
 * Only if login_may_starttls(). */
void login_starttls(struct login *l);

/* Begins a SASL exchange.  `initial`: the initial response in base64 as it stood in the
 * command ("=" is the empty one, RFC 4959), or NULL.  The outcome comes by ops->result,
 * after a pause when it is a failure. */
void login_authenticate(struct login *l, const char *mech, const char *initial);

/* A name and a password, as LOGIN and USER/PASS have them; the password check may hold the worker.
 * The outcome comes by ops->result. */
void login_plain(struct login *l, const char *user, const char *password);

/* From command(): what the client said was no command.  A browser that was sent here by somebody else talks much of
 * that before it comes to what he wants said. */
void login_note_bad(struct login *l);

/* From greeting(): this connection is `userid` already (lmtpd -a, a Unix socket); authenticated()
 * follows, neither authorize() nor result(). */
void login_preauth(struct login *l, const char *userid);

/* ---- at any time ---- */

bool login_is_tls(const struct login *l);
bool login_is_authenticated(const struct login *l);

/* Hands output over and waits for the client (input if want_input, and room for what is unsent),
 * at most until `deadline` or until the client has been inactive too long.  Before, the front has read
 * until stream_fill() gave ERR_AGAIN (if it wants input), and set its other sources.  Returns
 * ENGINE_PARK, or ENGINE_CLOSE when the peer is gone. */
enum engine_verdict login_park(struct login *l, bool want_input, int64_t deadline);

/* The client's inactivity (no byte in or out) that ends the session: milliseconds, -1 for never.
 * The option `timeout` at first; IDLE sets imapidletimeout. */
void login_set_timeout(struct login *l, int64_t ms);

/* Writes the farewell and closes when it has left; returns what the hook has to return. */
enum engine_verdict login_bye(struct login *l, const char *text);
/* The connection is nobody's any more (RFC 8437): layers above TLS end behind the output written, all that belongs to who
 * was logged in is freed, ops->restart() is called, and the limits of before login hold anew, but for failures, which
 * count on.  Returns what run() has to return; the front is gone when it is called next. */
enum engine_verdict login_unauthenticate(struct login *l);

/* Closes when the output written has left (LOGOUT). */
enum engine_verdict login_close(struct login *l);

/* What `cyr_info proc` shows: the selected mailbox (external name; NULL: none) and what it does.
 * Written to <configdirectory>/proc only if it differs from before. */
void login_proc(struct login *l, const char *mailbox, const char *command);

#endif
