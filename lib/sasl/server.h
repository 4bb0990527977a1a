/* server.h: the server's side of SASL (RFC 4422), over libsasl2.
 *
 * One struct sasl_server a connection, from its first authentication until success without a
 * security layer, or the connection's end.  It belongs to one thread at a time; several may
 * authenticate at once.  Passwords are checked as sasl_pwcheck_method says; auxprop and
 * saslauthd may hold the calling thread.
 *
 * Challenges and responses are binary here; base64 is the protocol's business. */
#ifndef LIB_SASL_SERVER_H
#define LIB_SASL_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/sasl/init.h"
#include "lib/sasl/layer.h"

struct sasl_server;

struct sasl_server_config {
    const char *service;      /* "imap", "lmtp", "mupdate"...: GSSAPI's, saslauthd's name */
    const char *local, *peer; /* address literals; NULL: a Unix socket */
    unsigned local_port, peer_port;
    bool tls;               /* under TLS... */
    unsigned tls_bits;      /* ...of this strength */
    const char *external;   /* who the client is by certificate or socket: EXTERNAL; or NULL */
    bool trusted_transport; /* a Unix socket: passwords in clear are no matter */
    bool success_data;      /* may the last challenge go with the protocol's OK (RFC 4422 3.6)? */
    /* May `authid` act as `userid` (both canonical, and different)?  NULL: nobody may. */
    bool (*may_proxy)(void *context, const char *authid, const char *userid);
    void *context;
};

/* Strings are copied.  0, or ERR_CONFIG: libsasl2 does not start. */
int sasl_srv_new(const struct sasl_server_config *config, struct sasl_server **server_r);
/* Any stream with its layer must be gone; *server may be NULL and is set to NULL. */
void sasl_srv_free(struct sasl_server **server);

/* May names and passwords go in clear: the option allowplaintext, TLS, a trusted transport? */
bool sasl_srv_plaintext_allowed(const struct sasl_server *server);

/* Appends the mechanisms offered now, each with `prefix` before and `separator` between
 * ("AUTH=", " "); as sasl_mech_list, allowplaintext, sasl_minimum_layer and TLS permit.  Their number. */
unsigned sasl_srv_mechs(struct sasl_server *server, const char *prefix, const char *separator,
                        struct buf *to);

/* Begins an exchange (one that is under way is forgotten).  initial: NULL without initial response.
 * SASL_STATUS_CONTINUE, SASL_STATUS_DONE with *out (owned by server until the next call, may be NULL);
 * ERR_UNSUPPORTED: no such mechanism, or not offered; ERR_AUTH: wrong name or password;
 * ERR_DENIED: right, and may not act as that user; ERR_TLS: only under encryption;
 * ERR_UNAVAILABLE: the password service is away; ERR_PROTOCOL: a malformed response; ERR_TOOBIG. */
int sasl_srv_start(struct sasl_server *server, const char *mech, const char *initial, size_t n,
                   const char **out, size_t *out_n);
int sasl_srv_step(struct sasl_server *server, const char *response, size_t n, const char **out,
                  size_t *out_n);

/* LOGIN, USER and PASS: the name and password of a protocol's own command.  0 or the errors above;
 * does not look at sasl_srv_plaintext_allowed(). */
int sasl_srv_password(struct sasl_server *server, const char *user, const char *password);

/* After success, canonical, owned by server: whom to serve, who proved to be (the same unless a proxy),
 * the mechanism ("LOGIN" after sasl_srv_password). */
const char *sasl_srv_userid(const struct sasl_server *server);
const char *sasl_srv_authid(const struct sasl_server *server);
const char *sasl_srv_mech(const struct sasl_server *server);

/* Bits of the security layer that was negotiated; 0: none, free the server right away. */
unsigned sasl_srv_ssf(const struct sasl_server *server);
/* The layer for stream_sasl_begin(); only when sasl_srv_ssf() > 0. */
void sasl_srv_layer(struct sasl_server *server, struct sasl_layer *layer_r);

/* What went wrong last, for the log ("" if nothing); never a password. */
const char *sasl_srv_error(const struct sasl_server *server);

#endif
