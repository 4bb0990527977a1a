/* tls-options.c: the process's TLS contexts, as imapd.conf says. */
#include <pthread.h>
#include <stdlib.h>

#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/stream/tls.h"

/* Made at their first use. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct tls_context *server_context;
static struct hash *client_contexts; /* by "certificate LF key" */

static void common_options(struct tls_config *c)
{
    c->versions = opt_string(OPT_TLS_VERSIONS);
    c->ktls = opt_switch(OPT_TLS_KTLS);
    c->ciphers = opt_string(OPT_TLS_CIPHERS);
    c->curve = opt_is_set(OPT_TLS_ECCURVE) ? opt_string(OPT_TLS_ECCURVE) : NULL;
    c->crl_file = opt_string(OPT_TLS_CRL_FILE);
}

/* ---- server ---- */

bool tls_server_configured(void)
{
    return opt_string(OPT_TLS_SERVER_CERT) != NULL;
}

static int make_server(struct tls_context **ctx_r, struct buf *error)
{
    struct buf tickets = BUF_INIT;
    struct tls_config c = {
        .cert = opt_string(OPT_TLS_SERVER_CERT),
        .key = opt_string(OPT_TLS_SERVER_KEY),
        .ca_file = opt_string(OPT_TLS_CLIENT_CA_FILE),
        .ca_dir = opt_string(OPT_TLS_CLIENT_CA_DIR),
        .peer_cert = (enum tls_peer_cert)opt_enum(OPT_TLS_CLIENT_CERTS),
        .prefer_server_ciphers = opt_switch(OPT_TLS_PREFER_SERVER_CIPHERS),
        .ticket_ms = opt_duration_ms(OPT_TLS_SESSION_TIMEOUT),
    };
    int r;

    common_options(&c);
    if (opt_string(OPT_CONFIGDIRECTORY) != NULL)
        config_path(&tickets, "tls_tickets");
    c.ticket_file = tickets.len > 0 ? tickets.data : NULL;
    r = tls_context_new(&c, true, ctx_r, error);
    buf_free(&tickets);
    return r;
}

int tls_server_context(struct tls_context **ctx_r, struct buf *error)
{
    int r = 0;

    if (!tls_server_configured())
        return ERR_UNSUPPORTED;
    pthread_mutex_lock(&mutex);
    if (server_context == NULL)
        r = make_server(&server_context, error);
    *ctx_r = server_context;
    pthread_mutex_unlock(&mutex);
    return r;
}

/* ---- client ---- */

static const char *client_cert(const char *server, const char **key_r)
{
    const char *cert = config_host_overflow(server, "client_cert");

    *key_r = cert != NULL ? config_host_overflow(server, "client_key") : opt_string(OPT_TLS_CLIENT_KEY);
    return cert != NULL ? cert : opt_string(OPT_TLS_CLIENT_CERT);
}

bool tls_client_configured(const char *server)
{
    const char *key;

    return opt_string(OPT_TLS_SERVER_CA_FILE) != NULL || opt_string(OPT_TLS_SERVER_CA_DIR) != NULL ||
           client_cert(server, &key) != NULL;
}

static int make_client(const char *cert, const char *key, struct tls_context **ctx_r, struct buf *error)
{
    struct tls_config c = {
        .cert = cert,
        .key = key,
        .ca_file = opt_string(OPT_TLS_SERVER_CA_FILE),
        .ca_dir = opt_string(OPT_TLS_SERVER_CA_DIR),
    };

    common_options(&c);
    return tls_context_new(&c, false, ctx_r, error);
}

static void free_context(void *value)
{
    struct tls_context *ctx = value;

    tls_context_free(&ctx);
}

int tls_client_context(const char *server, struct tls_context **ctx_r, struct buf *error)
{
    const char *key, *cert = client_cert(server, &key);
    char *name = xstrprintf("%s\n%s", cert != NULL ? cert : "", key != NULL ? key : "");
    struct tls_context *ctx;
    int r = 0;

    pthread_mutex_lock(&mutex);
    if (client_contexts == NULL)
        client_contexts = hash_new(free_context);
    ctx = hash_get(client_contexts, name);
    if (ctx == NULL) {
        r = make_client(cert, key, &ctx, error);
        if (r == 0)
            hash_set(client_contexts, name, ctx);
    }
    *ctx_r = r == 0 ? tls_context_ref(ctx) : NULL;
    pthread_mutex_unlock(&mutex);
    free(name);
    return r;
}

void tls_options_reset(void)
{
    pthread_mutex_lock(&mutex);
    tls_context_free(&server_context);
    hash_free(&client_contexts);
    pthread_mutex_unlock(&mutex);
}
