/* login-private.h: what the files of imap/login share. */
#ifndef IMAP_LOGIN_LOGIN_PRIVATE_H
#define IMAP_LOGIN_LOGIN_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "imap/login/login.h"
#include "lib/base/buf.h"

struct proc_table;
struct ticker;
struct sasl_server;
struct tally;

struct login_service {
    unsigned magic;
    char *name;
    const struct login_ops *ops;
    void *context;
    bool tls_always;
    char *proxies;           /* NULL: none */
    struct tls_context *tls; /* NULL: no TLS here; the process's */
    bool starttls, tls_required;
    int64_t failed_pause_ms, plain_pause_ms, timeout_ms, login_ms, handshake_ms;
    char *host; /* servername up to its first dot */
    struct proc_table *proc;
    struct tally *tally; /* NULL: no limits */
    atomic_uint_fast64_t sessions;

    atomic_uint denials;   /* grows when denials have changed: sessions ask again (deny.h) */
    int64_t denials_seen;  /* the ticker's */
    struct ticker *ticker; /* looks for them */
    pthread_mutex_t lock;  /* of the two below; never taken within the engine */
    struct engine *engine; /* while there are connections */
    unsigned connections;
};

#define LOGIN_SERVICE_MAGIC 0x105e7c1cu

enum login_state {
    LOGIN_STATE_PROXY,     /* the header of the PROXY protocol; then HANDSHAKE or GREETING */
    LOGIN_STATE_HANDSHAKE, /* TLS; then GREETING, or COMMAND when that is over */
    LOGIN_STATE_GREETING,
    LOGIN_STATE_COMMAND,
    LOGIN_STATE_STARTTLS, /* the OK leaves, then HANDSHAKE */
    LOGIN_STATE_SASL,     /* a challenge is out */
    LOGIN_STATE_ANSWER,   /* the outcome is known, told at answer_at */
    LOGIN_STATE_LAYER,    /* the OK leaves, then the SASL layer begins */
    LOGIN_STATE_RUN,
    LOGIN_STATE_RESET,   /* nobody's again, then COMMAND */
    LOGIN_STATE_CLOSING, /* the last words leave */
    LOGIN_STATE_LINGER,  /* what was sent meanwhile is dropped, so that no reset takes them back */
};

struct login_private {
    enum login_state state;
    bool greeted; /* the front has its object */
    unsigned failures, commands, bad;
    uint64_t number; /* the n of the session id */

    struct sasl_server *sasl; /* from its first use to the end of authentication, or for good under a layer */
    struct buf header;        /* of the PROXY protocol, so far */
    struct buf mechanisms;    /* what login_mechanisms() shows; freed at login */

    struct login_result outcome;
    int64_t answer_at;

    size_t linger_left;

    int64_t state_deadline; /* handshake, login, closing */
    int64_t login_deadline; /* of all before login together */
    int64_t timeout_ms, idle_deadline;
    uint64_t bytes_seen; /* in and out, when idle_deadline was set */

    bool is_counted; /* in the service's tally */
    uint64_t tally_number;

    unsigned denials; /* the service's when it was last asked for this user */

    bool proc_shown; /* it has a record in the service's table; this was shown there last */
    uint32_t proc_record, proc_crc;
};

/* ---- auth.c ---- */

/* The state LOGIN_STATE_SASL, ANSWER and LAYER; as ops->command. */
enum engine_verdict auth_step_sasl(struct login *l);
enum engine_verdict auth_step_answer(struct login *l);
enum engine_verdict auth_step_layer(struct login *l);
/* What authentication needed and a session does not. */
void auth_free(struct login *l);
/* After TLS began: what was offered before counts no more. */
void auth_forget(struct login *l);

/* Out of the tally. */
void auth_uncount(struct login *l);

/* Is this user denied this service now?  Then the text, in the connection's pool; else NULL. */
const char *auth_denied(struct login *l);

/* ---- login.c ---- */

/* Authentication is over: RUN, after ops->authenticated. */
enum engine_verdict login_enter(struct login *l);
/* The client's next bytes before login: ENGINE_AGAIN when some came, else parked or closed. */
enum engine_verdict login_fill_or_park(struct login *l);

/* ---- trace.c: proc entries and telemetry ---- */

void trace_proc_remove(struct login *l);
void trace_telemetry(struct login *l);

#endif
