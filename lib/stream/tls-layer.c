/* tls-layer.c: TLS on a stream's socket: non-blocking, one record at a time. */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/stream/stream-private.h"
#include "lib/stream/tls.h"

struct tls_layer {
    SSL *ssl;
    struct tls_context *ctx;
    unsigned read_events, write_events;
    bool handshake;  /* under way */
    bool broken;     /* after a fatal error nothing may be said, not even goodbye */
    char *peer_name; /* common name of a verified client certificate */
};

unsigned tls_layer_read_events(const struct tls_layer *t)
{
    return t->read_events;
}

unsigned tls_layer_write_events(const struct tls_layer *t)
{
    return t->write_events;
}

bool tls_layer_pending(const struct tls_layer *t)
{
    return !t->broken && SSL_pending(t->ssl) > 0;
}

void tls_layer_free(struct tls_layer **t)
{
    struct tls_layer *f = *t;

    if (f == NULL)
        return;
    ERR_clear_error();
    if (!f->broken && !f->handshake)
        SSL_shutdown(f->ssl);
    ERR_clear_error();
    SSL_free(f->ssl);
    tls_context_free(&f->ctx);
    free(f->peer_name);
    free(f);
    *t = NULL;
}

/* What an SSL call that returned `r` means; *events: what it waits for. */
static int result(struct stream *s, int r, unsigned *events)
{
    struct tls_layer *t = s->tls;
    int saved = errno;
    char text[160];
    unsigned long e;

    switch (SSL_get_error(t->ssl, r)) {
    case SSL_ERROR_WANT_READ:
        *events = POLLIN;
        return ERR_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        *events = POLLOUT;
        return ERR_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return ERR_EOF;
    case SSL_ERROR_SYSCALL:
        t->broken = true;
        return saved == 0 ? ERR_EOF : stream_fail(s, ERR_IO, strerror(saved));
    default:
        t->broken = true;
        e = ERR_peek_error();
        if (t->handshake && SSL_get_verify_result(t->ssl) != X509_V_OK)
            return stream_fail(s, ERR_TLS, X509_verify_cert_error_string(SSL_get_verify_result(t->ssl)));
        ERR_error_string_n(e, text, sizeof(text));
        return stream_fail(s, ERR_TLS, e != 0 ? text : "TLS failure");
    }
}

int tls_layer_read(struct stream *s, char *to, size_t n)
{
    struct tls_layer *t = s->tls;
    int r;

    if (t->broken)
        return ERR_TLS;
    ERR_clear_error();
    errno = 0;
    r = SSL_read(t->ssl, to, (int)n);
    if (r > 0) {
        t->read_events = POLLIN;
        return r;
    }
    return result(s, r, &t->read_events);
}

int tls_layer_write(struct stream *s, const char *from, size_t n)
{
    struct tls_layer *t = s->tls;
    int r;

    if (t->broken)
        return ERR_TLS;
    ERR_clear_error();
    errno = 0;
    /* One record at most: a repeated call then never asks for less than the one before. */
    r = SSL_write(t->ssl, from, n < SSL3_RT_MAX_PLAIN_LENGTH ? (int)n : SSL3_RT_MAX_PLAIN_LENGTH);
    if (r > 0) {
        t->write_events = POLLOUT;
        return r;
    }
    r = result(s, r, &t->write_events);
    return r == ERR_EOF ? stream_fail(s, ERR_IO, strerror(EPIPE)) : r; /* it had said goodbye */
}

/* The name that the server's certificate must bear, and SNI for host names (RFC 6066 3). */
static bool set_peer_name(struct tls_layer *t, const char *name)
{
    unsigned char address[16];
    bool literal = inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
    X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);

    if (literal)
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1 && SSL_set_tlsext_host_name(t->ssl, name) == 1;
}

int stream_tls_begin(struct stream *s, struct tls_context *ctx, bool server, const char *peer_name)
{
    struct tls_layer *t;

    if (s->tls != NULL || s->sasl != NULL || s->deflate != NULL || stream_unsent(s) > 0)
        return ERR_INVALID;
    sbuf_free(&s->in);
    s->scanned = 0;
    t = s->tls = xcalloc(1, sizeof(*t));
    t->ctx = tls_context_ref(ctx);
    t->ssl = SSL_new(tls_context_ssl(ctx));
    BUG_ON(t->ssl == NULL); /* only for want of memory */
    t->handshake = true;
    t->read_events = server ? POLLIN : POLLOUT;
    t->write_events = POLLOUT;
    if (SSL_set_fd(t->ssl, s->fd) != 1 || (!server && peer_name != NULL && !set_peer_name(t, peer_name))) {
        t->broken = true;
        s->in_error = s->out_error = ERR_TLS;
        return stream_fail(s, ERR_TLS, "the peer's name cannot be verified");
    }
    if (server)
        SSL_set_accept_state(t->ssl);
    else
        SSL_set_connect_state(t->ssl);
    return 0;
}

/* The subject's common name, as UTF-8; NULL when there is none, or one with a NUL in it. */
static char *common_name(X509 *cert)
{
    X509_NAME *subject = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    unsigned char *utf8 = NULL;
    char *name = NULL;
    int n;

    if (at < 0)
        return NULL;
    n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (n > 0 && memchr(utf8, '\0', (size_t)n) == NULL)
        name = xstrndup((char *)utf8, (size_t)n);
    OPENSSL_free(utf8);
    return name;
}

int stream_handshake(struct stream *s)
{
    struct tls_layer *t = s->tls;
    int r;

    if (t == NULL)
        return ERR_INVALID;
    if (!t->handshake)
        return s->in_error == ERR_TLS ? ERR_TLS : 0;
    ERR_clear_error();
    errno = 0;
    r = t->broken ? ERR_TLS : SSL_do_handshake(t->ssl);
    if (r == 1) {
        t->handshake = false;
        t->read_events = POLLIN;
        if (stream_tls_verified(s) && SSL_is_server(t->ssl))
            t->peer_name = common_name(SSL_get0_peer_certificate(t->ssl));
        return 0;
    }
    if (!t->broken)
        r = result(s, r, &t->read_events);
    if (r != ERR_AGAIN) {
        t->broken = true;
        s->in_error = s->out_error = r;
    }
    return r;
}

SSL *stream_ssl(struct stream *s)
{
    return s->tls != NULL ? s->tls->ssl : NULL;
}

bool stream_in_handshake(const struct stream *s)
{
    return s->tls != NULL && s->tls->handshake;
}

bool stream_is_tls(const struct stream *s)
{
    return s->tls != NULL && !s->tls->handshake;
}

const char *stream_tls_protocol(const struct stream *s)
{
    return stream_is_tls(s) ? SSL_get_version(s->tls->ssl) : "";
}

const char *stream_tls_cipher(const struct stream *s)
{
    return stream_is_tls(s) ? SSL_get_cipher_name(s->tls->ssl) : "";
}

int stream_tls_bits(const struct stream *s)
{
    return stream_is_tls(s) ? SSL_get_cipher_bits(s->tls->ssl, NULL) : 0;
}

const char *stream_tls_peer(const struct stream *s)
{
    return s->tls != NULL ? s->tls->peer_name : NULL;
}

bool stream_tls_verified(const struct stream *s)
{
    return stream_is_tls(s) && SSL_get_verify_mode(s->tls->ssl) != SSL_VERIFY_NONE &&
           SSL_get0_peer_certificate(s->tls->ssl) != NULL && SSL_get_verify_result(s->tls->ssl) == X509_V_OK;
}

bool stream_tls_resumed(const struct stream *s)
{
    return stream_is_tls(s) && SSL_session_reused(s->tls->ssl) == 1;
}
