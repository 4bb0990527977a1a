/* auth.c: the client's side of SASL over any of the protocols. */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/backend/backend-private.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/sasl/client.h"

struct endpoint {
    char host[NI_MAXHOST], port[NI_MAXSERV];
    unsigned number;
};

/* One end of the connection as address literals; "" for a Unix socket. */
static void endpoint(int fd, int (*get)(int, struct sockaddr *, socklen_t *), struct endpoint *e)
{
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof(a);

    memset(e, 0, sizeof(*e));
    if (get(fd, (struct sockaddr *)&a, &len) != 0 || a.ss_family == AF_UNIX ||
        getnameinfo((struct sockaddr *)&a, len, e->host, sizeof(e->host), e->port, sizeof(e->port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        e->host[0] = '\0';
    else
        e->number = (unsigned)strtoul(e->port, NULL, 10);
}

static const char *first(const char *a, const char *b)
{
    return a != NULL ? a : b;
}

/* Who we are to that server, where the caller does not say (wire: fe-login-select, mupdate-backend). */
static void credentials(const struct backend *b, struct sasl_client_config *c)
{
    const struct backend_config *k = &b->config;
    const char *username = opt_string(OPT_MUPDATE_USERNAME);
    const char *password = config_host_overflow(k->server, "password");

    if (k->protocol == BACKEND_MUPDATE) {
        c->authname = first(k->authname, opt_string(OPT_MUPDATE_AUTHNAME));
        c->password = first(k->password, first(opt_string(OPT_MUPDATE_PASSWORD), password));
        c->realm = first(k->realm, opt_string(OPT_MUPDATE_REALM));
        c->username = first(k->authzid, username != NULL && username[0] != '\0' ? username : NULL);
        c->authname = first(c->authname, c->username);
        return;
    }
    if (k->protocol == BACKEND_SMTP) { /* no server of ours: our name and password are not for it */
        c->authname = k->authname;
        c->password = k->password;
        c->realm = k->realm;
        return;
    }
    c->authname = first(k->authname, opt_string(OPT_PROXY_AUTHNAME));
    c->password = first(k->password, first(password, opt_string(OPT_PROXY_PASSWORD)));
    c->realm = first(k->realm, opt_string(OPT_PROXY_REALM));
    c->username = k->authzid;
}

/* The password for a mail server, which may be anybody's, goes over the network by TLS alone. */
static bool may_be_heard(const struct backend *b, const char *peer)
{
    return b->config.protocol == BACKEND_SMTP && !b->tls && b->host[0] != '/' && peer != NULL &&
           !str_has_prefix(peer, "127.") && strcmp(peer, "::1") != 0;
}

static int make_client(struct backend *b)
{
    struct endpoint local, peer;
    struct sasl_client_config c = {.service = b->ops->service, .server = b->host, .tls = b->tls};

    endpoint(b->fd, getsockname, &local);
    endpoint(b->fd, getpeername, &peer);
    c.local = local.host;
    c.peer = peer.host;
    c.local_port = local.number;
    c.peer_port = peer.number;
    c.tls_bits = (unsigned)stream_tls_bits(b->stream);
    c.no_plaintext = may_be_heard(b, peer.host);
    credentials(b, &c);
    if (c.username != NULL && c.authname != NULL && strcmp(c.username, c.authname) == 0)
        c.username = NULL;
    c.external = b->tls && (opt_string(OPT_TLS_CLIENT_CERT) != NULL ||
                            config_host_overflow(b->config.server, "client_cert") != NULL);
    return sasl_cli_new(&c, &b->sasl);
}

static void send_base64(struct backend *b, const char *data, size_t n)
{
    struct buf text = BUF_INIT;

    str_base64_encode(&text, data, n);
    if (b->ops->strings)
        stream_printf(b->stream, "{%zu+}\r\n", text.len);
    stream_puts(b->stream, buf_cstr(&text));
    stream_puts(b->stream, "\r\n");
    buf_free(&text);
}

int backend_auth_begin(struct backend *b)
{
    struct buf mechs = BUF_INIT, base64 = BUF_INIT;
    const char *mech, *out;
    size_t n;
    int r = make_client(b);

    if (r != 0)
        return backend_fail(b, r, "libsasl2 does not start");
    b->ops->mechs(b, &mechs);
    r = sasl_cli_start(b->sasl, buf_cstr(&mechs), sasl_cli_wanted_mechs(b->config.server), &mech, &out, &n);
    b->sasl_status = r;
    b->has_initial = false;
    if (r == ERR_UNSUPPORTED) {
        backend_fail(b, r, "no SASL mechanism in common%s (it offers \"%s\")",
                     b->config.protocol == BACKEND_SMTP && !b->tls ? " without TLS" : "", buf_cstr(&mechs));
    } else if (r < 0) {
        backend_fail(b, r, "%s", sasl_cli_error(b->sasl));
    } else if (out != NULL && !b->ops->initial_response(b)) {
        buf_reset(&b->initial);
        buf_append(&b->initial, out, n);
        b->has_initial = true;
        b->ops->authenticate(b, mech, NULL);
    } else {
        if (out != NULL)
            str_base64_encode(&base64, out, n);
        b->ops->authenticate(b, mech, out != NULL ? buf_cstr(&base64) : NULL);
    }
    buf_free(&mechs);
    buf_free(&base64);
    return r < 0 ? r : 0;
}

/* The challenge is base64 in b->data. */
int backend_auth_respond(struct backend *b)
{
    struct buf challenge = BUF_INIT;
    const char *out = NULL;
    size_t n = 0;
    int r = str_base64_decode(&challenge, buf_cstr(&b->data), b->data.len);

    if (r != 0) {
        r = backend_fail(b, ERR_PROTOCOL, "a challenge that is not base64");
    } else if (b->has_initial && challenge.len == 0) {
        out = b->initial.data;
        n = b->initial.len;
    } else if (b->sasl_status == SASL_STATUS_DONE && challenge.len == 0) {
        out = ""; /* all is said; the server wants to hear that */
    } else {
        r = b->sasl_status = sasl_cli_step(b->sasl, buf_cstr(&challenge), challenge.len, &out, &n);
        if (r < 0)
            backend_fail(b, r, "%s", sasl_cli_error(b->sasl));
    }
    if (r < 0) {
        stream_puts(b->stream, b->ops->cancel);
        stream_flush(b->stream);
    } else {
        send_base64(b, out != NULL ? out : "", out != NULL ? n : 0);
    }
    b->has_initial = false;
    buf_free(&challenge);
    return r < 0 ? r : 0;
}

/* Hears what the server said with its OK. */
static void hear_last_word(struct backend *b)
{
    struct buf data = BUF_INIT;
    const char *out;
    size_t n;

    if (b->data.len > 0 && str_base64_decode(&data, buf_cstr(&b->data), b->data.len) == 0)
        b->sasl_status = sasl_cli_step(b->sasl, buf_cstr(&data), data.len, &out, &n);
    buf_free(&data);
}

int backend_auth_end(struct backend *b)
{
    struct sasl_layer layer;

    if (b->sasl_status != SASL_STATUS_DONE && b->ops->strings)
        hear_last_word(b);
    if (b->sasl_status != SASL_STATUS_DONE)
        return backend_fail(b, ERR_AUTH, "the server did not prove who it is");
    buf_free(&b->initial);
    if (sasl_cli_ssf(b->sasl) == 0) {
        sasl_cli_free(&b->sasl);
        return 0;
    }
    sasl_cli_layer(b->sasl, &layer);
    stream_sasl_begin(b->stream, &layer);
    b->have_caps = false; /* those under the layer count (RFC 3501 6.2.2) */
    return 0;
}
