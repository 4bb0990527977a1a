/* client.h: the client's side of SASL (RFC 4422), over libsasl2.
 *
 * One struct sasl_client a connection; one thread at a time. */
#ifndef LIB_SASL_CLIENT_H
#define LIB_SASL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/sasl/init.h"
#include "lib/sasl/layer.h"

struct sasl_client;

struct sasl_client_config {
    const char *service;      /* "imap", "lmtp", "mupdate"... */
    const char *server;       /* host name without port, for GSSAPI and DIGEST-MD5 */
    const char *local, *peer; /* address literals, or NULL */
    unsigned local_port, peer_port;
    bool tls;
    unsigned tls_bits;
    const char *authname; /* whose password it is */
    const char *username; /* whom to act for; NULL: authname */
    const char *realm;    /* or NULL */
    const char *password; /* or NULL: mechanisms that need none */
    bool external;        /* we showed a certificate: EXTERNAL is possible */
    bool no_plaintext;    /* no mechanism that shows the password to who listens */
};

/* Strings are copied; the password is wiped when freed.  0, or ERR_CONFIG. */
int sasl_cli_new(const struct sasl_client_config *config, struct sasl_client **client_r);
void sasl_cli_free(struct sasl_client **client);

/* The mechanisms that the administrator wants for that server: <host>_mechs, else
 * force_sasl_client_mech, else NULL (no wish).  Blank-separated. */
const char *sasl_cli_wanted_mechs(const char *server);

/* Chooses the strongest of the server's mechanisms (blank-separated) that is also in `wanted` (NULL:
 * any; then EXTERNAL first where possible, PLAIN and LOGIN last) and begins.  *mech_r: its name; *out: the initial
 * response, NULL when the mechanism has none; both owned by client until the next call.
 * SASL_STATUS_CONTINUE; SASL_STATUS_DONE: nothing more will be sent by us; ERR_UNSUPPORTED: no
 * mechanism in common; ERR_AUTH: no password for it; ERR_CONFIG. */
int sasl_cli_start(struct sasl_client *client, const char *offered, const char *wanted, const char **mech_r,
                   const char **out, size_t *out_n);
/* The answer to a challenge.  In a protocol without initial responses an empty first challenge is
 * answered with the *out of sasl_cli_start(); any other goes here, and that *out is forgotten.
 * SASL_STATUS_*; ERR_AUTH: the server could not prove itself, or sent nonsense. */
int sasl_cli_step(struct sasl_client *client, const char *challenge, size_t n, const char **out,
                  size_t *out_n);

/* Bits of the negotiated layer (0: none), and it. */
unsigned sasl_cli_ssf(const struct sasl_client *client);
void sasl_cli_layer(struct sasl_client *client, struct sasl_layer *layer_r);

/* What went wrong last, for the log ("" if nothing). */
const char *sasl_cli_error(const struct sasl_client *client);

#endif
