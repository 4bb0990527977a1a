#include "cunit/lib/stream/link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cunit/lib/stream/certs.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

const struct link_layers link_layers[LINK_COMBINATIONS] = {
    {"plain", 0},
    {"tls", LINK_TLS},
    {"sasl", LINK_SASL},
    {"deflate", LINK_DEFLATE},
    {"tls, deflate", LINK_TLS | LINK_DEFLATE},
    {"sasl, deflate", LINK_SASL | LINK_DEFLATE},
};

static int fake_encode(void *context, const char *in, size_t n, const char **out, size_t *out_n)
{
    struct fake_sasl *f = context;
    uint32_t len = (uint32_t)n;

    BUG_ON(n + 4 > sizeof(f->out));
    memcpy(f->out, &len, 4);
    for (size_t i = 0; i < n; i++)
        f->out[4 + i] = in[i] ^ 0x20;
    *out = f->out;
    *out_n = n + 4;
    return 0;
}

static int fake_decode(void *context, const char *in, size_t n, const char **out, size_t *out_n)
{
    struct fake_sasl *f = context;
    uint32_t len;
    size_t at = 0, made = 0;

    BUG_ON(f->in_n + n > sizeof(f->in));
    memcpy(f->in + f->in_n, in, n);
    f->in_n += n;
    while (f->in_n - at >= 4) {
        memcpy(&len, f->in + at, 4);
        if (len > 16384)
            return ERR_PROTOCOL;
        if (f->in_n - at < 4 + len)
            break;
        for (size_t i = 0; i < len; i++)
            f->plain[made++] = f->in[at + 4 + i] ^ 0x20;
        at += 4 + len;
    }
    memmove(f->in, f->in + at, f->in_n - at);
    f->in_n -= at;
    *out = f->plain;
    *out_n = made;
    return 0;
}

void fake_sasl_layer(struct fake_sasl *f, struct sasl_layer *layer)
{
    *layer = (struct sasl_layer){f, fake_encode, fake_decode, 1000};
}

struct tls_context *link_server_context(void)
{
    struct tls_config c = {
        .cert = certs()->server, .ca_file = certs()->ca, .peer_cert = TLS_PEER_CERT_OPTIONAL};
    static struct tls_context *ctx;

    BUG_ON(ctx == NULL && tls_context_new(&c, true, &ctx, NULL) != 0);
    return ctx;
}

struct tls_context *link_client_context(void)
{
    struct tls_config c = {.ca_file = certs()->ca};
    static struct tls_context *ctx;

    BUG_ON(ctx == NULL && tls_context_new(&c, false, &ctx, NULL) != 0);
    return ctx;
}

static struct stream *end(int *wire)
{
    int fds[2];

    BUG_ON(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0);
    fcntl(fds[1], F_SETFL, O_NONBLOCK);
    *wire = fds[1];
    return stream_new(fds[0]);
}

void link_open(struct link *l, size_t step)
{
    memset(l, 0, sizeof(*l));
    l->step = step != 0 ? step : SIZE_MAX;
    l->client = end(&l->wire_client);
    l->server = end(&l->wire_server);
}

void link_cut(struct link *l)
{
    if (l->wire_client >= 0) {
        close(l->wire_client);
        close(l->wire_server);
    }
    l->wire_client = l->wire_server = -1;
}

void link_close(struct link *l)
{
    stream_free(&l->client);
    stream_free(&l->server);
    link_cut(l);
    free(l->sasl[0]);
    free(l->sasl[1]);
}

static bool carry(struct link *l, int from, int to, size_t *count)
{
    char bytes[65536];
    size_t n = l->step < sizeof(bytes) ? l->step : sizeof(bytes);
    ssize_t k;

    if (from < 0)
        return false;
    k = recv(from, bytes, n, MSG_PEEK); /* only what `to` takes leaves `from` */
    if (k > 0)
        k = send(to, bytes, (size_t)k, MSG_NOSIGNAL);
    if (k > 0)
        BUG_ON(recv(from, bytes, (size_t)k, 0) != k);
    *count += k > 0 ? (size_t)k : 0;
    return k > 0;
}

bool link_round(struct link *l)
{
    bool a = carry(l, l->wire_client, l->wire_server, &l->carried[0]);
    bool b = carry(l, l->wire_server, l->wire_client, &l->carried[1]);

    if (l->park) {
        stream_park(l->client);
        stream_park(l->server);
    }
    return a || b;
}

static bool serve(struct stream *s)
{
    bool moved = false;

    if (stream_unsent(s) > 0)
        stream_flush(s);
    while (stream_fill(s) > 0)
        moved = true;
    return moved;
}

void link_settle(struct link *l)
{
    bool moved;

    do {
        moved = serve(l->client);
        moved |= serve(l->server);
        moved |= link_round(l);
    } while (moved);
}

static int shake(struct link *l)
{
    int c, s;

    c = stream_tls_begin(l->client, link_client_context(), false, "be1.lab");
    s = stream_tls_begin(l->server, link_server_context(), true, NULL);
    BUG_ON(c != 0 || s != 0);
    do {
        c = stream_handshake(l->client);
        s = stream_handshake(l->server);
        if ((c != 0 && c != ERR_AGAIN) || (s != 0 && s != ERR_AGAIN))
            return c != 0 && c != ERR_AGAIN ? c : s;
    } while (link_round(l) || c != 0 || s != 0);
    return 0;
}

int link_layer(struct link *l, unsigned layers)
{
    struct stream *ends[2] = {l->client, l->server};
    int r = layers & LINK_TLS ? shake(l) : 0;

    for (int i = 0; i < 2 && r == 0; i++) {
        struct sasl_layer layer;

        if (layers & LINK_SASL) {
            l->sasl[i] = xcalloc(1, sizeof(*l->sasl[i]));
            fake_sasl_layer(l->sasl[i], &layer);
            stream_sasl_begin(ends[i], &layer);
        }
        if (layers & LINK_DEFLATE)
            r = stream_deflate_begin(ends[i]);
    }
    return r;
}
