/* tls.h: TLS contexts: what a server shows and accepts, what a client demands.
 *
 * A context is immutable and counted; any number of threads and streams share one.
 * Versions, ciphers, curve, certificates and CRL come from imapd.conf; a changed certificate
 * takes effect with the process that SIGHUP starts.
 *
 * Sessions are resumed by tickets alone (no cache of sessions in memory).  They are sealed with
 * keys in a file that all processes share, so that a client may come back to any of them:
 * doc/protocols/tls-tickets. */
#ifndef LIB_STREAM_TLS_H
#define LIB_STREAM_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"

struct tls_context;

enum tls_peer_cert { TLS_PEER_CERT_OFF, TLS_PEER_CERT_OPTIONAL, TLS_PEER_CERT_REQUIRE };

/* All strings may be NULL: the library's default, or none. */
struct tls_config {
    const char *versions; /* words tls1_0 ... tls1_3; NULL: tls1_2 tls1_3 */
    const char *ciphers;  /* OpenSSL's cipher list; names TLS_... are suites of TLS 1.3 */
    const char *curve;    /* group list, separated by colons */
    bool prefer_server_ciphers;
    bool ktls;              /* the kernel encrypts, where it can */
    const char *cert, *key; /* PEM files: the chain; the key (NULL: in the file of the chain) */
    const char *ca_file, *ca_dir;
    const char *crl_file;
    enum tls_peer_cert peer_cert; /* server: asked for only where there is a CA */
    const char *ticket_file;      /* server: NULL: no tickets */
    int64_t ticket_ms;            /* how long a session may be resumed; 0: no tickets */
};

/* 0, or ERR_CONFIG with the reason appended to *error. */
int tls_context_new(const struct tls_config *config, bool server, struct tls_context **ctx_r,
                    struct buf *error);
struct tls_context *tls_context_ref(struct tls_context *ctx);
/* *ctx may be NULL and is set to NULL. */
void tls_context_free(struct tls_context **ctx);

/* Does a client context verify (has it a CA)? */
bool tls_context_verifies(const struct tls_context *ctx);

/* Is a server certificate configured (tls_server_cert)? */
bool tls_server_configured(void);

/* The server's context by the options, made at the first call, owned by the process.  0;
 * ERR_UNSUPPORTED: none is configured; ERR_CONFIG with the reason in *error (appended; NULL: not
 * wanted): certificate or key unreadable, not matching... */
int tls_server_context(struct tls_context **ctx_r, struct buf *error);

/* Is there a CA to verify servers (tls_server_ca_*), or a certificate of ours to show them
 * (tls_client_cert, <host>_client_cert)?  `server` as config_host_overflow(). */
bool tls_client_configured(const char *server);

/* The context for connections to that server, by the options; a reference that the caller
 * frees.  One is kept a certificate.  0, or ERR_CONFIG as above. */
int tls_client_context(const char *server, struct tls_context **ctx_r, struct buf *error);

/* Forgets both, so that they are made again (unit tests that read another imapd.conf; nobody
 * may be using the server's). */
void tls_options_reset(void);

#endif
