#include "lib/stream/tls.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cunit/lib/stream/certs.h"
#include "cunit/lib/stream/link.h"
#include "cunit/unit.h"
#include "lib/base/buf.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

/* Shakes hands over an open link.  What each side ended with. */
static void shake(struct link *l, struct tls_context *client, struct tls_context *server, const char *name,
                  int *client_r, int *server_r)
{
    int idle = 0;

    CU_ASSERT_EQUAL(stream_tls_begin(l->client, client, false, name), 0);
    CU_ASSERT_EQUAL(stream_tls_begin(l->server, server, true, NULL), 0);
    do {
        *client_r = stream_handshake(l->client);
        *server_r = stream_handshake(l->server);
        /* TLS 1.3: what the server thinks of the client's certificate comes after the handshake. */
        if (*client_r == 0 && stream_fill(l->client) == ERR_TLS)
            *client_r = ERR_TLS;
        idle = link_round(l) ? 0 : idle + 1;
    } while (idle < 3);
}

struct verify_row {
    const char *what;
    struct tls_config client, server;
    const char *name;
    int r; /* of both sides */
    const char *peer;
    bool verified;
};

static void check_verified(const struct verify_row *row, struct link *l, int r)
{
    CU_ASSERT_EQUAL(stream_tls_verified(l->client), row->verified);
    if (row->peer != NULL && stream_tls_peer(l->server) != NULL)
        CU_ASSERT_STRING_EQUAL(stream_tls_peer(l->server), row->peer);
    CU_ASSERT_EQUAL(stream_tls_peer(l->server) != NULL, row->peer != NULL);
    if (r == 0) {
        CU_ASSERT(strncmp(stream_tls_protocol(l->client), "TLSv1.", 6) == 0);
        CU_ASSERT(stream_tls_bits(l->client) >= 128);
        CU_ASSERT_STRING_NOT_EQUAL(stream_tls_cipher(l->client), "");
    } else {
        CU_ASSERT_STRING_NOT_EQUAL(stream_error(l->client), "");
        CU_ASSERT_EQUAL(stream_fill(l->client), ERR_TLS);
    }
}

static void verify(const struct verify_row *row, bool bytewise)
{
    struct tls_context *client = NULL, *server = NULL;
    struct link l;
    int client_r, server_r;

    link_open(&l, bytewise ? 1 : 0);
    CU_ASSERT_EQUAL_FATAL(tls_context_new(&row->client, false, &client, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(tls_context_new(&row->server, true, &server, NULL), 0);
    shake(&l, client, server, row->name, &client_r, &server_r);
    if (client_r != row->r || server_r != row->r)
        printf("\n    %s: %d (%s) %d (%s)\n", row->what, client_r, stream_error(l.client), server_r,
               stream_error(l.server));
    CU_ASSERT(client_r == row->r && server_r == row->r);
    check_verified(row, &l, client_r);
    tls_context_free(&client);
    tls_context_free(&server);
    link_close(&l);
}

static void test_verify(void)
{
    const struct certs *c = certs();
    const struct tls_config with_ca = {.ca_file = c->ca};
    const struct tls_config plain = {.cert = c->server}, asks_not = {.cert = c->server, .ca_file = c->ca};
    const struct tls_config asks = {.cert = c->server, .ca_file = c->ca, .peer_cert = TLS_PEER_CERT_OPTIONAL};
    const struct tls_config insists = {
        .cert = c->server, .ca_file = c->ca, .peer_cert = TLS_PEER_CERT_REQUIRE};
    const struct tls_config revokes = {
        .cert = c->server, .ca_file = c->ca, .crl_file = c->crl, .peer_cert = TLS_PEER_CERT_OPTIONAL};
    const struct tls_config modern = {.cert = c->server, .versions = "tls1_3"};
    const struct tls_config picky = {
        .cert = c->server, .ciphers = "TLS_AES_128_GCM_SHA256:HIGH", .curve = "X25519:prime256v1"};
    const struct tls_config old = {.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256", .versions = "tls1_2"};
    const struct verify_row rows[] = {
        {"by name", with_ca, plain, "be1.lab", 0, NULL, true},
        {"by address", with_ca, plain, "127.0.0.1", 0, NULL, true},
        {"other name", with_ca, plain, "be2.lab", ERR_TLS, NULL, false},
        {"other address", with_ca, plain, "::1", ERR_TLS, NULL, false},
        {"other CA", {.ca_file = c->stranger}, plain, "be1.lab", ERR_TLS, NULL, false},
        {"no CA", {0}, plain, "be2.lab", 0, NULL, false},
        {"client's certificate", {.cert = c->client}, asks, "be1.lab", 0, "murder", false},
        {"none, optional", {0}, asks, "be1.lab", 0, NULL, false},
        {"none, required", {0}, insists, "be1.lab", ERR_TLS, NULL, false},
        {"not asked for", {.cert = c->client}, asks_not, "be1.lab", 0, NULL, false},
        {"a stranger's", {.cert = c->stranger}, asks, "be1.lab", ERR_TLS, NULL, false},
        {"revoked", {.cert = c->client}, revokes, "be1.lab", ERR_TLS, NULL, false},
        {"versions", {.versions = "tls1_2"}, modern, "be1.lab", ERR_TLS, NULL, false},
        {"ciphers", old, picky, "be1.lab", 0, NULL, false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        verify(&rows[i], i % 2 != 0);
}

static void test_bad_config(void)
{
    const struct certs *c = certs();
    const struct {
        struct tls_config config;
        bool server;
        const char *says;
    } rows[] = {
        {{0}, true, "tls_server_cert"},
        {{.cert = "/nonexistent.pem"}, true, "/nonexistent.pem: No such file"},
        {{.cert = c->server, .key = c->client}, true, "key"},
        {{.cert = c->server, .versions = "tls1_2 ssl3"}, true, "tls_versions: tls1_2 ssl3"},
        {{.cert = c->server, .ciphers = "NONSENSE"}, true, "tls_ciphers: NONSENSE"},
        {{.cert = c->server, .curve = "round"}, true, "tls_eccurve: round"},
        {{.cert = c->server, .peer_cert = TLS_PEER_CERT_REQUIRE}, true, "tls_client_certs"},
        {{.ca_file = "/nonexistent.pem"}, false, "/nonexistent.pem"},
        {{.ca_file = c->ca, .crl_file = "/nonexistent.pem"}, false, "CRL /nonexistent.pem"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct tls_context *ctx = NULL;
        struct buf error = BUF_INIT;

        CU_ASSERT_EQUAL(tls_context_new(&rows[i].config, rows[i].server, &ctx, &error), ERR_CONFIG);
        CU_ASSERT_PTR_NULL(ctx);
        if (strstr(buf_cstr(&error), rows[i].says) == NULL)
            CU_FAIL(buf_cstr(&error));
        buf_free(&error);
    }
}

/* Plain bytes that came with the handshake's first are not taken for protected ones. */
static void test_plain_input_dropped(void)
{
    struct link l;
    int c, s;
    size_t n;

    link_open(&l, 0);
    stream_puts(l.client, "a STARTTLS\r\nb LOGIN x y\r\n");
    link_settle(&l);
    stream_puts(l.client, "unsent");
    CU_ASSERT_EQUAL(stream_tls_begin(l.client, link_client_context(), false, "be1.lab"), ERR_INVALID);
    stream_flush(l.client);
    link_settle(&l);
    shake(&l, link_client_context(), link_server_context(), "be1.lab", &c, &s);
    CU_ASSERT(c == 0 && s == 0);
    stream_data(l.server, &n);
    CU_ASSERT_EQUAL(n, 0);
    CU_ASSERT_EQUAL(stream_fill(l.server), ERR_AGAIN);
    CU_ASSERT_EQUAL(stream_handshake(l.server), 0);
    link_close(&l);
}

/* The client leaves after each byte of its part of the handshake. */
static void test_cut_handshake(void)
{
    struct link l;
    int r = 0;
    size_t k, whole = 0;

    for (k = 0; r != 0 || k == 0; k += k < 8 ? 1 : 41) {
        link_open(&l, 1);
        CU_ASSERT_EQUAL(stream_tls_begin(l.client, link_client_context(), false, "be1.lab"), 0);
        CU_ASSERT_EQUAL(stream_tls_begin(l.server, link_server_context(), true, NULL), 0);
        while (l.carried[0] < k && l.carried[0] >= whole) {
            stream_handshake(l.client);
            stream_handshake(l.server);
            if (!link_round(&l) && stream_handshake(l.server) == 0)
                break;
        }
        if (stream_handshake(l.server) == 0) {
            link_close(&l);
            break;
        }
        link_cut(&l);
        while ((r = stream_handshake(l.server)) == ERR_AGAIN)
            ;
        CU_ASSERT(r == ERR_EOF || r == ERR_TLS || r == ERR_IO);
        CU_ASSERT_EQUAL(stream_fill(l.server), r);
        CU_ASSERT_EQUAL(stream_flush(l.server), r);
        link_close(&l);
    }
    CU_ASSERT(k > 300);
}

/* ---- by the options ---- */

static void read_config(const char *dir, const char *text)
{
    char path[128], *error = NULL;
    FILE *f;

    snprintf(path, sizeof(path), "%s/imapd.conf", dir);
    f = fopen(path, "w");
    fprintf(f, "configdirectory: %s\nlog_target: stderr\n%s", dir, text);
    fclose(f);
    CU_ASSERT_EQUAL_FATAL(config_read(path, "imap", "test", &error), 0);
    tls_options_reset();
}

static void test_options(void)
{
    const struct certs *c = certs();
    struct tls_context *server = NULL, *again = NULL, *one = NULL, *two = NULL;
    struct buf text = BUF_INIT;
    struct link l;
    int cr, sr;

    read_config(c->dir, "");
    CU_ASSERT(!tls_server_configured() && !tls_client_configured("be1.lab"));
    CU_ASSERT_EQUAL(tls_server_context(&server, NULL), ERR_UNSUPPORTED);
    buf_printf(&text,
               "tls_server_cert: %s\ntls_server_ca_file: %s\ntls_client_ca_file: %s\nbe1_client_cert: %s\n",
               c->server, c->ca, c->ca, c->client);
    read_config(c->dir, buf_cstr(&text));
    CU_ASSERT(tls_server_configured() && tls_client_configured("be1.lab:2143"));
    CU_ASSERT_EQUAL_FATAL(tls_server_context(&server, NULL), 0);
    CU_ASSERT_EQUAL(tls_server_context(&again, NULL), 0);
    CU_ASSERT_PTR_EQUAL(server, again);
    CU_ASSERT_EQUAL_FATAL(tls_client_context("be1.lab:2143", &one, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(tls_client_context("be2.lab", &two, NULL), 0);
    CU_ASSERT_PTR_NOT_EQUAL(one, two);
    CU_ASSERT(tls_context_verifies(one) && tls_context_verifies(two));
    for (int i = 0; i < 2; i++) {
        link_open(&l, 0);
        shake(&l, i == 0 ? one : two, server, "be1.lab", &cr, &sr);
        CU_ASSERT(cr == 0 && sr == 0 && stream_tls_verified(l.client));
        CU_ASSERT_EQUAL(stream_tls_peer(l.server) != NULL, i == 0);
        link_close(&l);
    }
    tls_context_free(&one);
    tls_context_free(&two);
    read_config(c->dir, "tls_server_cert: /nonexistent\n");
    buf_reset(&text);
    CU_ASSERT_EQUAL(tls_server_context(&server, &text), ERR_CONFIG);
    CU_ASSERT_STRING_NOT_EQUAL(buf_cstr(&text), "");
    buf_free(&text);
    tls_options_reset();
}

static const struct unit_case cases[] = {
    {"who is verified", test_verify},
    {"bad configurations", test_bad_config},
    {"plain input is dropped", test_plain_input_dropped},
    {"cut in the handshake", test_cut_handshake},
    {"options", test_options},
    {NULL, NULL},
};

extern const struct unit_suite tls_suite;
const struct unit_suite tls_suite = {"tls", cases};
