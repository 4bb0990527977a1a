/* Dialogues as real Cyrus nodes hold them, and peers that die in them. */
#include "lib/backend/backend.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cunit/lib/backend/peer.h"
#include "cunit/lib/stream/certs.h"
#include "cunit/unit.h"
#include "lib/backend/backend-private.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/stream/tls.h"

static void configure(const char *more)
{
    char path[128], *error = NULL;
    FILE *f;

    snprintf(path, sizeof(path), "%s/imapd.conf", certs()->dir);
    f = fopen(path, "w");
    fprintf(f,
            "configdirectory: %s\nlog_target: stderr\nservername: fe1.lab\nproxy_authname: murder\n"
            "proxy_password: secret\nforce_sasl_client_mech: PLAIN\nclient_timeout: 30s\n"
            "mupdate_username: murder\nmupdate_authname: murder\nmupdate_password: secret\n%s",
            certs()->dir, more);
    fclose(f);
    CU_ASSERT_EQUAL_FATAL(config_read(path, "imap", "test", &error), 0);
    tls_options_reset();
    backend_backoff_reset();
}

static struct backend_config config_for(enum backend_protocol protocol, const struct peer *p,
                                        const char *authzid)
{
    /* Only IMAP's port stands in a server's name. */
    return (struct backend_config){
        .protocol = protocol, .server = p->server, .port = p->port, .authzid = authzid};
}

/* user1\0murder\0secret and \0murder\0secret, in base64 */
#define AS_USER1   "dXNlcjEAbXVyZGVyAHNlY3JldA=="
#define AS_ITSELF  "AG11cmRlcgBzZWNyZXQ="
#define TLS_CONFIG "tls_server_ca_file: %s\n"

static const struct {
    const char *what;
    enum backend_protocol protocol;
    const char *config, *authzid;
    int r;
    const char *says; /* in the error, or among the capabilities */
    const char *script[24];
} dialogues[] = {
    {"IMAP with initial response",
     BACKEND_IMAP,
     "",
     "user1",
     0,
     "LITERAL+",
     {"> * OK [CAPABILITY IMAP4rev1 LITERAL+ AUTH=PLAIN AUTH=LOGIN SASL-IR] be1.lab Cyrus IMAP 3.6.1 server "
      "ready",
      "< A01 AUTHENTICATE PLAIN " AS_USER1,
      "> A01 OK [CAPABILITY IMAP4rev1 LITERAL+ ACL UNSELECT IDLE] Success (no protection) SESSIONID=<x>",
      "< Q01 LOGOUT"}},
    {"IMAP asked for all",
     BACKEND_IMAP,
     "",
     "user1",
     0,
     "IDLE",
     {"> * OK be1 ready", "< C01 CAPABILITY", "> * CAPABILITY IMAP4rev1 AUTH=PLAIN", "> * OK still here",
      "> C01 OK Completed", "< A01 AUTHENTICATE PLAIN", "> + ", "< " AS_USER1, "> A01 OK done",
      "< C01 CAPABILITY", "> * CAPABILITY IMAP4rev1 IDLE", "> C01 OK done", "< Q01 LOGOUT"}},
    {"IMAP, as itself",
     BACKEND_IMAP,
     "",
     "murder",
     0,
     "IDLE",
     {"> * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x", "< A01 AUTHENTICATE PLAIN " AS_ITSELF,
      "> A01 OK [CAPABILITY IMAP4rev1 IDLE] x", "< Q01 LOGOUT"}},
    {"IMAP, preauthenticated",
     BACKEND_IMAP,
     "",
     NULL,
     0,
     "IDLE",
     {"> * PREAUTH [CAPABILITY IMAP4rev1 IDLE] x", "< Q01 LOGOUT"}},
    {"IMAP refuses",
     BACKEND_IMAP,
     "",
     "user1",
     ERR_AUTH,
     "authentication failure",
     {"> * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x", "< A01 AUTHENTICATE PLAIN " AS_USER1,
      "> A01 NO authentication failure", "."}},
    {"IMAP says BAD",
     BACKEND_IMAP,
     "",
     "user1",
     ERR_PROTOCOL,
     "BAD what",
     {"> * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x", "<* A01 AUTHENTICATE", "> A01 BAD what", "."}},
    {"IMAP says BYE", BACKEND_IMAP, "", "user1", ERR_UNAVAILABLE, "too many", {"> * BYE too many", "."}},
    {"IMAP says BYE in between",
     BACKEND_IMAP,
     "",
     "user1",
     ERR_UNAVAILABLE,
     "shutting down",
     {"> * OK hello", "<* C01", "> * BYE shutting down", "."}},
    {"no mechanism",
     BACKEND_IMAP,
     "",
     "user1",
     ERR_UNSUPPORTED,
     "DIGEST-MD5",
     {"> * OK [CAPABILITY IMAP4rev1 AUTH=DIGEST-MD5] x", "."}},
    {"another protocol",
     BACKEND_IMAP,
     "",
     "user1",
     ERR_PROTOCOL,
     "IMAP",
     {"> 220 be1.lab LMTP server ready", "."}},
    {"a challenge that is not base64",
     BACKEND_IMAP,
     "",
     "user1",
     ERR_PROTOCOL,
     "base64",
     {"> * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x", "< A01 AUTHENTICATE PLAIN", "> + ???", "< *", "."}},
    {"SCRAM without the server's proof",
     BACKEND_IMAP,
     "127_0_0_1_mechs: SCRAM-SHA-256\n",
     "user1",
     ERR_AUTH,
     "prove",
     {"> * OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256 AUTH=PLAIN SASL-IR] x",
      "<* A01 AUTHENTICATE SCRAM-SHA-256 bixhPXVzZXIxLG49bXVyZGVyLHI9", "> A01 OK trust me", "."}},
    {"IMAP, STARTTLS",
     BACKEND_IMAP,
     TLS_CONFIG,
     "user1",
     0,
     "IDLE",
     {"> * OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] x", "< S01 STARTTLS", "> S01 OK go", "~",
      "< C01 CAPABILITY", "> * CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR", "> C01 OK",
      "< A01 AUTHENTICATE PLAIN " AS_USER1, "> A01 OK [CAPABILITY IMAP4rev1 IDLE] x", "< Q01 LOGOUT"}},
    {"STARTTLS refused",
     BACKEND_IMAP,
     TLS_CONFIG,
     "user1",
     ERR_TLS,
     "no way",
     {"> * OK [CAPABILITY IMAP4rev1 STARTTLS] x", "< S01 STARTTLS", "> S01 NO no way", "."}},
    {"TLS required, not offered",
     BACKEND_IMAP,
     "tls_required: yes\n" TLS_CONFIG,
     "user1",
     ERR_TLS,
     "offers no TLS",
     {"> * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x", "."}},
    {"answers injected before TLS",
     BACKEND_IMAP,
     TLS_CONFIG,
     "user1",
     ERR_UNSUPPORTED,
     "no SASL",
     {"> * OK [CAPABILITY IMAP4rev1 STARTTLS] x", "< S01 STARTTLS",
      "> S01 OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nC01 OK", "~", "< C01 CAPABILITY",
      "> * CAPABILITY IMAP4rev1", "> C01 OK", "."}},
    {"LMTP",
     BACKEND_LMTP,
     "",
     NULL,
     0,
     "IGNOREQUOTA",
     {"> 220 be1.lab Cyrus LMTP 3.6.1 server ready", "< LHLO fe1.lab",
      "> 250-be1.lab\r\n250-8BITMIME\r\n250-PIPELINING\r\n250-AUTH PLAIN LOGIN "
      "CRAM-MD5\r\n250-IGNOREQUOTA\r\n250 Ok",
      "< AUTH PLAIN " AS_ITSELF, "> 235 Authenticated!", "< QUIT"}},
    {"LMTP, several greetings",
     BACKEND_LMTP,
     "",
     NULL,
     0,
     "SIZE",
     {"> 220-hello\r\n220 you", "< LHLO fe1.lab", "> 250-x\r\n250-SIZE 1000\r\n250 AUTH PLAIN",
      "< AUTH PLAIN " AS_ITSELF, "> 334 ", "< ", "> 235 2.7.0 yes", "< QUIT"}},
    {"LMTP refuses",
     BACKEND_LMTP,
     "",
     NULL,
     ERR_AUTH,
     "535 no",
     {"> 220 x", "<* LHLO", "> 250-x\r\n250 AUTH PLAIN", "<* AUTH PLAIN", "> 535 5.7.8 no", "."}},
    {"LMTP, not now", BACKEND_LMTP, "", NULL, ERR_UNAVAILABLE, "421 later", {"> 421 4.3.2 later", "."}},
    {"LMTP, STARTTLS",
     BACKEND_LMTP,
     TLS_CONFIG,
     NULL,
     0,
     "SIZE",
     {"> 220 x", "<* LHLO", "> 250-x\r\n250 STARTTLS", "< STARTTLS", "> 220 go", "~", "<* LHLO",
      "> 250-x\r\n250-SIZE\r\n250 AUTH PLAIN", "<* AUTH PLAIN ", "> 235 x", "< QUIT"}},
    {"MUPDATE",
     BACKEND_MUPDATE,
     "",
     NULL,
     0,
     "PARTIAL-UPDATE",
     {"> * AUTH \"PLAIN\" \"LOGIN\" \"CRAM-MD5\" \"SCRAM-SHA-256\"", "> * COMPRESS \"DEFLATE\"",
      "> * PARTIAL-UPDATE", "> * OK MUPDATE \"mupdate.lab\" \"Cyrus IMAP\" \"3.6.1-Debian\" \"(master)\"",
      "< A01 AUTHENTICATE \"PLAIN\" {20+}", "< " AS_ITSELF, "> A01 OK \"Authenticated\"", "< Q01 LOGOUT"}},
    {"MUPDATE, STARTTLS",
     BACKEND_MUPDATE,
     TLS_CONFIG,
     NULL,
     0,
     "AUTH",
     {"> * AUTH", "> * STARTTLS", "> * OK MUPDATE \"m\" \"x\" \"y\" \"(master)\"", "< S01 STARTTLS",
      "> S01 OK \"Begin TLS negotiation now\"", "~", "> * AUTH PLAIN",
      "> * OK MUPDATE \"m\" \"x\" \"y\" \"mupdate://z/\"", "<* A01 AUTHENTICATE \"PLAIN\"", "< " AS_ITSELF,
      "> A01 OK \"x\"", "< Q01 LOGOUT"}},
    {"MUPDATE refuses",
     BACKEND_MUPDATE,
     "",
     NULL,
     ERR_AUTH,
     "not you",
     {"> * AUTH \"PLAIN\"", "> * OK MUPDATE \"m\" \"x\" \"y\" \"(master)\"", "<* A01", "<* ",
      "> A01 NO \"not you\"", "."}},
    {"ManageSieve",
     BACKEND_SIEVE,
     "",
     "user1",
     0,
     "SIEVE",
     {"> \"IMPLEMENTATION\" \"a \\\"sieve\\\"\"", "> \"SASL\" \"PLAIN\"", "> \"SIEVE\" \"fileinto\"", "> OK",
      "< AUTHENTICATE \"PLAIN\" {28+}", "< " AS_USER1, "> OK", "< LOGOUT"}},
    {"ManageSieve, STARTTLS, a challenge in a literal",
     BACKEND_SIEVE,
     TLS_CONFIG,
     "user1",
     0,
     "SASL",
     {"> \"SASL\" \"\"", "> \"STARTTLS\"", "> OK \"hello\"", "< STARTTLS", "> OK", "~",
      "> \"SASL\" \"PLAIN\"", "> OK (TAG \"x\")", "<* AUTHENTICATE \"PLAIN\"", "< " AS_USER1, "> {0}", "> ",
      "< {0+}", "< ", "> OK \"done\"", "< LOGOUT"}},
    {"ManageSieve, the server's last word is false",
     BACKEND_SIEVE,
     "127_0_0_1_mechs: SCRAM-SHA-256\n",
     "user1",
     ERR_AUTH,
     "",
     {"> \"SASL\" \"SCRAM-SHA-256\"", "> OK", "<* AUTHENTICATE \"SCRAM-SHA-256\" {",
      "<* bixhPXVzZXIxLG49bXVyZGVyLHI9", "> OK (SASL \"dj0=\") trust me", "."}},
    {"ManageSieve refuses",
     BACKEND_SIEVE,
     "",
     "user1",
     ERR_AUTH,
     "not you",
     {"> \"SASL\" \"PLAIN\"", "> OK", "<* AUTHENTICATE", "< " AS_USER1, "> NO \"not you\"", "."}},
    {"ManageSieve is full",
     BACKEND_SIEVE,
     "",
     "user1",
     ERR_UNAVAILABLE,
     "later",
     {"> BYE (TRYLATER) \"later\"", "."}},
    {"no ManageSieve", BACKEND_SIEVE, "", "user1", ERR_PROTOCOL, "no list", {"> * OK IMAP4rev1", "."}},
    {"MUPDATE is full",
     BACKEND_MUPDATE,
     "",
     NULL,
     ERR_UNAVAILABLE,
     "too many",
     {"> * BYE \"too many\"", "."}},
};

static int connect_to(const struct peer *p, enum backend_protocol protocol, const char *authzid,
                      struct backend **b, struct buf *error)
{
    const struct backend_config config = config_for(protocol, p, authzid);

    return backend_connect_wait(&config, clock_deadline(30000), b, error);
}

static void run_dialogue(size_t i, bool slowly)
{
    struct buf error = BUF_INIT;
    struct backend *b = NULL;
    char text[300];
    struct peer p;
    int r;

    snprintf(text, sizeof(text), dialogues[i].config, certs()->ca);
    configure(text);
    peer_start(&p, dialogues[i].script, slowly);
    r = connect_to(&p, dialogues[i].protocol, dialogues[i].authzid, &b, &error);
    if (r != dialogues[i].r)
        printf("\n    %s: %d %s\n", dialogues[i].what, r, buf_cstr(&error));
    CU_ASSERT_EQUAL(r, dialogues[i].r);
    if (r == 0) {
        CU_ASSERT_PTR_NOT_NULL_FATAL(b);
        CU_ASSERT(backend_has(b, dialogues[i].says));
        CU_ASSERT(!backend_has(b, "NONSENSE"));
        CU_ASSERT_PTR_NOT_NULL(strstr(backend_capabilities(b), dialogues[i].says));
        CU_ASSERT_PTR_NOT_NULL(backend_stream(b));
        CU_ASSERT_STRING_EQUAL(backend_server(b), p.server);
        CU_ASSERT_EQUAL(stream_is_tls(backend_stream(b)), strcmp(dialogues[i].config, TLS_CONFIG) == 0);
    } else {
        CU_ASSERT_PTR_NULL(b);
        CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&error), dialogues[i].says));
        CU_ASSERT(strncmp(buf_cstr(&error), p.server, strlen(p.server)) == 0);
    }
    backend_free(&b);
    if (!peer_stop(&p))
        CU_FAIL(dialogues[i].what);
    buf_free(&error);
}

static void test_dialogues(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(dialogues); i++) {
        run_dialogue(i, false);
        if (strstr(dialogues[i].what, "injected") == NULL) /* slowly they come into the handshake */
            run_dialogue(i, true);
    }
}

/* The peer leaves after each of its lines, or is silent there. */
static void test_dying_peers(void)
{
    static const size_t which[] = {1, 12, 17, 22};

    for (size_t i = 0; i < ARRAY_SIZE(which); i++) {
        const char *const *script = dialogues[which[i]].script;
        const char *cut[24] = {NULL};
        char text[300];

        snprintf(text, sizeof(text), dialogues[which[i]].config, certs()->ca);
        for (size_t n = 0; script[n + 1] != NULL; n++) {
            struct buf error = BUF_INIT;
            struct backend *b = NULL;
            struct peer p;
            int r;

            memcpy(cut, script, n * sizeof(cut[0]));
            cut[n] = NULL;
            configure(text);
            peer_start(&p, cut, false);
            r = connect_to(&p, dialogues[which[i]].protocol, dialogues[which[i]].authzid, &b, &error);
            CU_ASSERT_EQUAL(r, ERR_UNAVAILABLE);
            CU_ASSERT_PTR_NULL(b);
            CU_ASSERT(peer_stop(&p));
            buf_free(&error);
        }
    }
}

static void test_nobody(void)
{
    struct peer p;
    struct backend *b = NULL;
    struct buf error = BUF_INIT;

    configure(""); /* nobody listens */
    peer_start(&p, NULL, false);
    peer_stop(&p);
    CU_ASSERT_EQUAL(connect_to(&p, BACKEND_IMAP, "user1", &b, &error), ERR_UNAVAILABLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&error), "refused"));
    buf_free(&error);
}

static void test_silence(void)
{
    static const char *const greets[] = {"> * OK hello", ".", NULL};
    int64_t began = clock_ms();
    struct backend_config c;
    struct backend *b = NULL;
    struct peer p;

    configure("");
    peer_start(&p, NULL, false); /* the kernel accepts */
    c = config_for(BACKEND_IMAP, &p, "user1");
    c.timeout_ms = 50;
    CU_ASSERT_EQUAL(backend_connect_wait(&c, CLOCK_NEVER, &b, NULL), ERR_TIMEOUT);
    peer_stop(&p);
    configure("client_timeout: 60ms\n");
    peer_start(&p, greets, false);
    c = config_for(BACKEND_IMAP, &p, "user1");
    CU_ASSERT_EQUAL(backend_connect_wait(&c, CLOCK_NEVER, &b, NULL), ERR_TIMEOUT);
    peer_stop(&p);
    CU_ASSERT(clock_ms() - began >= 109 && clock_ms() - began < 30000);
}

/* A dead server costs one attempt a period; the others fail at once, without a connection. */
static void test_backoff(void)
{
    static const char *const good[] = {"> * PREAUTH [CAPABILITY IMAP4rev1] x", ".", NULL};
    struct backend *b = NULL;
    struct peer p, other;
    struct buf error = BUF_INIT;
    int64_t began;

    configure("");
    backoff_result("imap 0 be9", true); /* unknown: no harm */
    began = clock_ms();
    backoff_result("imap 0 be9", false);
    CU_ASSERT_EQUAL(backoff_enter("imap 0 be8"), 0);
    while (backoff_enter("imap 0 be9") != 0)
        usleep(10000);
    CU_ASSERT(clock_ms() - began >= 999 && clock_ms() - began < 30000);
    began = clock_ms();
    CU_ASSERT(backoff_enter("imap 0 be9") == ERR_UNAVAILABLE || clock_ms() - began > 900); /* one only */
    backoff_result("imap 0 be9", true);
    CU_ASSERT_EQUAL(backoff_enter("imap 0 be9"), 0);
    /* The same with sockets. */
    peer_start(&p, NULL, false);
    peer_stop(&p);
    peer_start(&other, good, false);
    began = clock_ms();
    CU_ASSERT_EQUAL(connect_to(&p, BACKEND_IMAP, NULL, &b, NULL), ERR_UNAVAILABLE);
    CU_ASSERT_EQUAL(connect_to(&p, BACKEND_IMAP, NULL, &b, &error), ERR_UNAVAILABLE);
    CU_ASSERT(strstr(buf_cstr(&error), "a moment ago") != NULL || clock_ms() - began > 900);
    CU_ASSERT_EQUAL(connect_to(&other, BACKEND_IMAP, NULL, &b, NULL), 0);
    backend_free(&b);
    peer_stop(&other);
    buf_free(&error);
}

/* The next address is tried; the socket before stays open for one step more. */
static void test_addresses(void)
{
    static const char *const good[] = {"> * PREAUTH [CAPABILITY IMAP4rev1] x", "< Q01 LOGOUT", NULL};
    struct sockaddr_in *a;
    struct backend_config c;
    struct backend *b;
    struct peer dead, p;
    int r, first = -1, changes = 0;

    configure("");
    peer_start(&dead, NULL, false);
    close(dead.listener);
    peer_start(&p, good, false);
    c = config_for(BACKEND_IMAP, &p, NULL);
    b = backend_new(&c);
    b->state = STATE_CONNECT;
    b->addresses = xcalloc(2, sizeof(*b->addresses));
    b->address_count = 2;
    for (int i = 0; i < 2; i++) {
        a = (struct sockaddr_in *)&b->addresses[i].addr;
        a->sin_family = AF_INET;
        a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        a->sin_port = htons((uint16_t)(i == 0 ? dead.port : p.port));
        b->addresses[i].len = sizeof(*a);
    }
    while ((r = backend_step(b)) == BACKEND_WAIT) {
        struct pollfd w = {.fd = backend_fd(b), .events = (short)backend_events(b)};

        if (first >= 0 && first != w.fd) {
            changes++;
            CU_ASSERT(fcntl(first, F_GETFD) >= 0);
        }
        first = w.fd;
        poll(&w, 1, 1000);
    }
    if (r != 0)
        printf("\n    %s\n", backend_error(b));
    CU_ASSERT_EQUAL(r, BACKEND_DONE);
    CU_ASSERT_STRING_EQUAL(backend_error(b), "");
    CU_ASSERT(changes <= 1);
    backend_free(&b);
    CU_ASSERT(peer_stop(&p));
}

static void test_server_names(void)
{
    static const struct {
        const char *server;
        int r;
        const char *host;
        unsigned port;
    } rows[] = {
        {"be1.lab", 0, "be1.lab", 0},
        {"be1.lab:2143", 0, "be1.lab", 2143},
        {"127.0.0.1:143", 0, "127.0.0.1", 143},
        {"::1", 0, "::1", 0},
        {"[::1]", 0, "::1", 0},
        {"[::1]:143", 0, "::1", 143},
        {"/var/imap/socket/lmtp", 0, "/var/imap/socket/lmtp", 0},
        {"be1:0", ERR_SYNTAX, NULL, 0},
        {"be1:65536", ERR_SYNTAX, NULL, 0},
        {"be1:", ERR_SYNTAX, NULL, 0},
        {"be1:imap", ERR_SYNTAX, NULL, 0},
        {"[::1", ERR_SYNTAX, NULL, 0},
        {"[::1]x", ERR_SYNTAX, NULL, 0},
        {":143", ERR_SYNTAX, NULL, 0},
        {"", ERR_SYNTAX, NULL, 0},
    };
    char host[256];
    unsigned port;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int r = backend_parse_server(rows[i].server, host, sizeof(host), &port);

        CU_ASSERT_EQUAL(r, rows[i].r);
        if (r == 0) {
            CU_ASSERT_STRING_EQUAL(host, rows[i].host);
            CU_ASSERT_EQUAL(port, rows[i].port);
        }
    }
}

static void test_ports(void)
{
    static const struct {
        enum backend_protocol protocol;
        const char *server;
        unsigned given, port;
    } rows[] = {
        {BACKEND_IMAP, "be1.lab", 0, 143},       {BACKEND_IMAP, "be1.lab:2143", 0, 2143},
        {BACKEND_IMAP, "be1.lab:2143", 7, 7},    {BACKEND_LMTP, "be1.lab:2143", 0, 2003},
        {BACKEND_LMTP, "be2.lab:2143", 0, 2024}, {BACKEND_LMTP, "be2.lab:3143", 0, 2023},
        {BACKEND_LMTP, "be2.lab", 0, 2023},      {BACKEND_LMTP, "127.0.1.2:2143", 0, 2025},
        {BACKEND_MUPDATE, "m.lab", 0, 3906},     {BACKEND_MUPDATE, "m2.lab:143", 0, 3907},
    };
    static const char *const services[] = {"imap", "lmtp", "mupdate"};
    static const unsigned standard[] = {143, 2003, 3905};

    configure(
        "mupdate_port: 3906\nbe2_lmtp_port: 2023\nbe2_2143_lmtp_port: 2024\n127_0_1_2_2143_lmtp_port: 2025\n"
        "m2_mupdate_port: 3907\n");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct backend_config c = {
            .protocol = rows[i].protocol, .server = rows[i].server, .port = rows[i].given};

        CU_ASSERT_EQUAL(backend_port(&c, services[c.protocol], standard[c.protocol]), rows[i].port);
    }
}

static void test_literals(void)
{
    struct backend *b = backend_new(&(struct backend_config){.protocol = BACKEND_IMAP, .server = "x"});

    CU_ASSERT(!backend_literal_plus(b, 0));
    buf_puts(&b->caps, "IMAP4rev1 LITERAL-");
    CU_ASSERT(backend_literal_plus(b, 4096) && !backend_literal_plus(b, 4097));
    buf_puts(&b->caps, " LITERAL+");
    CU_ASSERT(backend_literal_plus(b, 4097));
    backend_free(&b);
    b = backend_new(&(struct backend_config){.protocol = BACKEND_MUPDATE, .server = "x"});
    CU_ASSERT(backend_literal_plus(b, 1 << 20));
    backend_free(&b);
}

static const struct unit_case cases[] = {
    {"dialogues", test_dialogues},
    {"peers that die", test_dying_peers},
    {"nobody there", test_nobody},
    {"silence", test_silence},
    {"back-off", test_backoff},
    {"several addresses", test_addresses},
    {"names of servers", test_server_names},
    {"ports", test_ports},
    {"literals", test_literals},
    {NULL, NULL},
};

static const struct unit_suite backend_suite = {"backend", cases};
const struct unit_suite *const unit_suites[] = {&backend_suite, NULL};
