#include "lib/stream/tls.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/pool.h"
#include "lib/base/str.h"
#include "lib/stream/stream-private.h"
#include "lib/stream/tls-tickets.h"

struct tls_context {
    atomic_uint refs;
    SSL_CTX *ssl;
    struct tickets *tickets;
    bool verifies;
};

SSL_CTX *tls_context_ssl(struct tls_context *ctx)
{
    return ctx->ssl;
}

bool tls_context_verifies(const struct tls_context *ctx)
{
    return ctx->verifies;
}

struct tls_context *tls_context_ref(struct tls_context *ctx)
{
    atomic_fetch_add(&ctx->refs, 1);
    return ctx;
}

void tls_context_free(struct tls_context **ctx)
{
    struct tls_context *f = *ctx;

    *ctx = NULL;
    if (f == NULL || atomic_fetch_sub(&f->refs, 1) > 1)
        return;
    SSL_CTX_free(f->ssl);
    tickets_free(&f->tickets);
    free(f);
}

/* "what `name`: OpenSSL's reason"; the queue of errors is emptied. */
static int fail(struct buf *error, const char *what, const char *name)
{
    unsigned long e = ERR_peek_error();
    const char *reason = ERR_reason_error_string(e);

    if (error != NULL && ERR_SYSTEM_ERROR(e))
        buf_printf(error, "%s %s: %s", what, name, strerror(ERR_GET_REASON(e)));
    else if (error != NULL)
        buf_printf(error, "%s %s%s%s", what, name, reason != NULL ? ": " : "", reason != NULL ? reason : "");
    ERR_clear_error();
    return ERR_CONFIG;
}

/* ---- versions, ciphers ---- */

static int set_versions(SSL_CTX *ssl, const char *words, struct buf *error)
{
    static const struct {
        const char *name;
        int version;
        uint64_t off;
    } known[] = {
        {"tls1_0", TLS1_VERSION, SSL_OP_NO_TLSv1},
        {"tls1_1", TLS1_1_VERSION, SSL_OP_NO_TLSv1_1},
        {"tls1_2", TLS1_2_VERSION, SSL_OP_NO_TLSv1_2},
        {"tls1_3", TLS1_3_VERSION, SSL_OP_NO_TLSv1_3},
    };
    struct pool *pool = pool_new(0);
    struct str_list list = str_split(pool, words != NULL ? words : "tls1_2 tls1_3", " \t,");
    size_t found = 0;

    SSL_CTX_set_min_proto_version(ssl, TLS1_VERSION);
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (str_list_has(&list, known[i].name))
            found++;
        else
            SSL_CTX_set_options(ssl, known[i].off);
    }
    if (found == 0 || found != list.count)
        found = 0;
    pool_free(&pool);
    return found > 0 ? 0 : fail(error, "tls_versions:", words);
}

/* OpenSSL keeps the suites of TLS 1.3 in a list of their own. */
static int set_ciphers(SSL_CTX *ssl, const char *ciphers, struct buf *error)
{
    struct pool *pool = pool_new(0);
    struct str_list list = str_split(pool, ciphers, ": ,");
    struct buf old = BUF_INIT, suites = BUF_INIT;
    int r = 0;

    for (size_t i = 0; i < list.count; i++) {
        struct buf *to = str_has_prefix(list.items[i], "TLS_") ? &suites : &old;

        if (to->len > 0)
            buf_putc(to, ':');
        buf_puts(to, list.items[i]);
    }
    if ((old.len > 0 && SSL_CTX_set_cipher_list(ssl, buf_cstr(&old)) != 1) ||
        (suites.len > 0 && SSL_CTX_set_ciphersuites(ssl, buf_cstr(&suites)) != 1))
        r = fail(error, "tls_ciphers:", ciphers);
    buf_free(&old);
    buf_free(&suites);
    pool_free(&pool);
    return r;
}

static int set_parameters(SSL_CTX *ssl, const struct tls_config *c, struct buf *error)
{
    int r = set_versions(ssl, c->versions, error);

    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* Our protocols mark their own ends, so a peer that leaves without close_notify takes nothing away. */
    SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_dh_auto(ssl, 1);
    if (c->prefer_server_ciphers)
        SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
    if (c->ktls)
        SSL_CTX_set_options(ssl, SSL_OP_ENABLE_KTLS);
    if (r == 0 && c->ciphers != NULL)
        r = set_ciphers(ssl, c->ciphers, error);
    if (r == 0 && c->curve != NULL && SSL_CTX_set1_groups_list(ssl, c->curve) != 1)
        r = fail(error, "tls_eccurve:", c->curve);
    return r;
}

/* ---- certificates ---- */

static int set_certificate(SSL_CTX *ssl, const struct tls_config *c, struct buf *error)
{
    const char *key = c->key != NULL ? c->key : c->cert;

    if (c->cert == NULL)
        return 0;
    if (SSL_CTX_use_certificate_chain_file(ssl, c->cert) != 1)
        return fail(error, "certificate", c->cert);
    if (SSL_CTX_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM) != 1)
        return fail(error, "key", key);
    if (SSL_CTX_check_private_key(ssl) != 1)
        return fail(error, "key", key);
    return 0;
}

static int set_crl(SSL_CTX *ssl, const char *file, struct buf *error)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());

    if (lookup == NULL || X509_load_crl_file(lookup, file, X509_FILETYPE_PEM) <= 0)
        return fail(error, "CRL", file);
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return 0;
}

static int set_authorities(struct tls_context *ctx, const struct tls_config *c, bool server,
                           struct buf *error)
{
    int mode = SSL_VERIFY_PEER;

    if ((c->ca_file == NULL && c->ca_dir == NULL) || (server && c->peer_cert == TLS_PEER_CERT_OFF)) {
        SSL_CTX_set_verify(ctx->ssl, SSL_VERIFY_NONE, NULL);
        return server && c->peer_cert == TLS_PEER_CERT_REQUIRE
                   ? fail(error, "tls_client_certs:", "required, and no CA to verify them with")
                   : 0;
    }
    if (SSL_CTX_load_verify_locations(ctx->ssl, c->ca_file, c->ca_dir) != 1)
        return fail(error, "CA", c->ca_file != NULL ? c->ca_file : c->ca_dir);
    if (server && c->ca_file != NULL)
        SSL_CTX_set_client_CA_list(ctx->ssl, SSL_load_client_CA_file(c->ca_file));
    if (server && c->peer_cert == TLS_PEER_CERT_REQUIRE)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ctx->ssl, mode, NULL);
    ctx->verifies = true;
    return c->crl_file != NULL ? set_crl(ctx->ssl, c->crl_file, error) : 0;
}

/* ---- tickets ---- */

static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                      EVP_MAC_CTX *mac, int sealing)
{
    struct tickets *tickets = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct ticket_key key;
    OSSL_PARAM params[3];
    char digest[] = "SHA256";
    int r = 1;

    if (sealing) {
        tickets_current(tickets, clock_wall(), &key);
        memcpy(name, key.name, sizeof(key.name));
        digest_random(iv, (size_t)EVP_CIPHER_get_iv_length(EVP_aes_256_cbc()));
    } else {
        r = tickets_find(tickets, clock_wall(), name, &key);
        if (r == 0)
            return 0; /* a full handshake */
    }
    params[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac, sizeof(key.mac));
    params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
    params[2] = OSSL_PARAM_construct_end();
    if (EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv, sealing) != 1 ||
        EVP_MAC_CTX_set_params(mac, params) != 1)
        r = -1;
    OPENSSL_cleanse(&key, sizeof(key));
    return r;
}

static void set_sessions(struct tls_context *ctx, const struct tls_config *c)
{
    static const unsigned char id_context[] = "iatlas";

    SSL_CTX_set_session_cache_mode(ctx->ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(ctx->ssl, id_context, sizeof(id_context) - 1);
    if (c->ticket_file == NULL || c->ticket_ms < 1000) {
        SSL_CTX_set_options(ctx->ssl, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(ctx->ssl, 0);
        return;
    }
    ctx->tickets = tickets_new(c->ticket_file, c->ticket_ms / 1000);
    SSL_CTX_set_timeout(ctx->ssl, (long)(c->ticket_ms / 1000));
    SSL_CTX_set_app_data(ctx->ssl, ctx->tickets);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx->ssl, ticket_key);
}

int tls_context_new(const struct tls_config *config, bool server, struct tls_context **ctx_r,
                    struct buf *error)
{
    struct tls_context *ctx = xcalloc(1, sizeof(*ctx));
    int r;

    ERR_clear_error();
    atomic_init(&ctx->refs, 1);
    ctx->ssl = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    BUG_ON(ctx->ssl == NULL);
    r = set_parameters(ctx->ssl, config, error);
    if (r == 0 && server && config->cert == NULL)
        r = fail(error, "tls_server_cert:", "none");
    if (r == 0)
        r = set_certificate(ctx->ssl, config, error);
    if (r == 0)
        r = set_authorities(ctx, config, server, error);
    if (r == 0 && server)
        set_sessions(ctx, config);
    if (r != 0)
        tls_context_free(&ctx);
    *ctx_r = ctx;
    return r;
}
