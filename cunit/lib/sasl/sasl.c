/* Both sides of lib/sasl against each other, over a sasldb of the test's own. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cunit/unit.h"
#include "lib/base/buf.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/sasl/client.h"
#include "lib/sasl/server.h"

static char dir[64];

static void clean(void)
{
    file_remove_tree(dir);
}

static void add_user(const char *user, const char *password)
{
    char command[300];
    FILE *p;

    snprintf(command, sizeof(command), "PATH=$PATH:/usr/sbin saslpasswd2 -p -c -f %s/sasldb2 -u be1.lab %s",
             dir, user);
    p = popen(command, "w");
    BUG_ON(p == NULL);
    fputs(password, p);
    CU_ASSERT_EQUAL_FATAL(pclose(p), 0); /* package sasl2-bin */
}

/* Replaces the configuration; more lines after those that all tests share. */
static void configure(const char *more)
{
    char path[100], *error = NULL;
    FILE *f;

    if (dir[0] == '\0') {
        snprintf(dir, sizeof(dir), "/tmp/iatlas-sasl-XXXXXX");
        BUG_ON(mkdtemp(dir) == NULL);
        atexit(clean);
        add_user("fred", "secret");
        add_user("murder", "geheim");
        add_user("cyrus", "admin");
    }
    snprintf(path, sizeof(path), "%s/imapd.conf", dir);
    f = fopen(path, "w");
    fprintf(f,
            "configdirectory: %s\nlog_target: file:%s/log\nservername: be1.lab:2143\n"
            "sasl_auxprop_plugin: sasldb\nsasl_sasldb_path: %s/sasldb2\n%s",
            dir, dir, dir, more);
    fclose(f);
    CU_ASSERT_EQUAL_FATAL(config_read(path, "imap", "test", &error), 0);
}

static bool murder_may(void *context, const char *authid, const char *userid)
{
    ++*(int *)context;
    return strcmp(authid, "murder") == 0 && strcmp(userid, "root") != 0;
}

static struct sasl_server *new_server(const struct sasl_server_config *more)
{
    struct sasl_server_config c = *more;
    struct sasl_server *s = NULL;

    c.service = "imap";
    if (!c.trusted_transport) {
        c.local = "127.0.0.1";
        c.local_port = 143;
        c.peer = "::1";
        c.peer_port = 50000;
    }
    CU_ASSERT_EQUAL_FATAL(sasl_srv_new(&c, &s), 0);
    return s;
}

static struct sasl_client *new_client(const struct sasl_client_config *more)
{
    struct sasl_client_config c = *more;
    struct sasl_client *s = NULL;

    c.service = "imap";
    c.server = "be1.lab";
    c.local = "::1";
    c.local_port = 50000;
    c.peer = "127.0.0.1";
    c.peer_port = 143;
    CU_ASSERT_EQUAL_FATAL(sasl_cli_new(&c, &s), 0);
    return s;
}

/* A whole exchange.  What the server ended with. */
static int exchange(struct sasl_server *server, struct sasl_client *client, const char *mechs, bool initial)
{
    const char *mech, *out, *in;
    size_t out_n, in_n;
    int c = sasl_cli_start(client, mechs, NULL, &mech, &out, &out_n), s;

    if (c < 0)
        return c;
    if (initial || out == NULL) {
        s = sasl_srv_start(server, mech, out, out_n, &in, &in_n);
    } else { /* a protocol without initial responses */
        s = sasl_srv_start(server, mech, NULL, 0, &in, &in_n);
        CU_ASSERT_EQUAL(s, SASL_STATUS_CONTINUE);
        if (in_n == 0)
            s = sasl_srv_step(server, out, out_n, &in, &in_n);
    }
    for (int i = 0; s == SASL_STATUS_CONTINUE && i < 10; i++) {
        c = sasl_cli_step(client, in != NULL ? in : "", in_n, &out, &out_n);
        if (c < 0)
            return c;
        s = sasl_srv_step(server, out != NULL ? out : "", out_n, &in, &in_n);
    }
    if (s == SASL_STATUS_DONE && in != NULL)
        CU_ASSERT(sasl_cli_step(client, in, in_n, &out, &out_n) >= 0);
    return s;
}

/* Where others may listen a password is not shown. */
static void test_no_plaintext(void)
{
    static const struct {
        const char *offered, *mech;
    } rows[] = {{"PLAIN", NULL}, {"LOGIN PLAIN", NULL}, {"PLAIN CRAM-MD5 LOGIN", "CRAM-MD5"}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct sasl_client *client = new_client(
            &(struct sasl_client_config){.authname = "fred", .password = "secret", .no_plaintext = true});
        const char *mech, *out;
        size_t n;
        int r = sasl_cli_start(client, rows[i].offered, NULL, &mech, &out, &n);

        CU_ASSERT_EQUAL(r, rows[i].mech == NULL ? ERR_UNSUPPORTED : SASL_STATUS_CONTINUE);
        if (rows[i].mech != NULL)
            CU_ASSERT_STRING_EQUAL_FATAL(mech, rows[i].mech);
        sasl_cli_free(&client);
    }
}

static void test_mechanisms(void)
{
    static const struct {
        const char *mech, *authname, *password, *username;
        int r;
        const char *userid;
    } rows[] = {
        {"PLAIN", "fred", "secret", NULL, 0, "fred"},
        {"PLAIN", " FRED ", "secret", NULL, 0, "fred"},
        {"PLAIN", "fred", "Secret", NULL, ERR_AUTH, NULL},
        {"PLAIN", "nobody", "secret", NULL, ERR_AUTH, NULL},
        {"PLAIN",
         "fr\xff"
         "ed",
         "secret", NULL, ERR_AUTH, NULL},
        {"PLAIN", "murder", "geheim", "fred", 0, "fred"},
        {"PLAIN", "murder", "geheim", "root", ERR_DENIED, NULL},
        {"PLAIN", "fred", "secret", "murder", ERR_DENIED, NULL},
        {"PLAIN", "fred", "secret", "Fred", 0, "fred"},
        {"PLAIN", "murder", "wrong", "fred", ERR_AUTH, NULL},
        {"LOGIN", "fred", "secret", NULL, 0, "fred"},
        {"LOGIN", "fred", "wrong", NULL, ERR_AUTH, NULL},
        {"CRAM-MD5", "fred", "secret", NULL, 0, "fred"},
        {"CRAM-MD5", "fred", "wrong", NULL, ERR_AUTH, NULL},
        {"DIGEST-MD5", "fred", "secret", NULL, 0, "fred"},
        {"DIGEST-MD5", "murder", "geheim", "fred", 0, "fred"},
        {"DIGEST-MD5", "murder", "geheim", "root", ERR_DENIED, NULL},
        {"DIGEST-MD5", "fred", "wrong", NULL, ERR_AUTH, NULL},
        {"SCRAM-SHA-1", "fred", "secret", NULL, 0, "fred"},
        {"SCRAM-SHA-256", "fred", "secret", NULL, 0, "fred"},
        {"SCRAM-SHA-256", "fred", "wrong", NULL, ERR_AUTH, NULL},
        {"SCRAM-SHA-256", "murder", "geheim", "fred", 0, "fred"},
        {"SCRAM-SHA-256", "murder", "geheim", "root", ERR_DENIED, NULL},
    };

    configure("allowplaintext: yes\nsasl_maximum_layer: 0\n");
    for (size_t i = 0; i < 4 * ARRAY_SIZE(rows); i++) {
        size_t k = i / 4;
        int asked = 0, r;
        struct sasl_server *server = new_server(&(struct sasl_server_config){
            .may_proxy = murder_may, .context = &asked, .success_data = i % 4 >= 2});
        struct sasl_client *client = new_client(&(struct sasl_client_config){
            .authname = rows[k].authname, .password = rows[k].password, .username = rows[k].username});

        r = exchange(server, client, rows[k].mech, i % 2 == 0);
        if (r != rows[k].r)
            printf("\n    %s %s: %d, %s\n", rows[k].mech, rows[k].authname, r, sasl_srv_error(server));
        CU_ASSERT_EQUAL(r, rows[k].r);
        if (r == 0) {
            CU_ASSERT_STRING_EQUAL(sasl_srv_userid(server), rows[k].userid);
            CU_ASSERT_STRING_EQUAL(sasl_srv_authid(server),
                                   strcmp(rows[k].authname, "murder") == 0 ? "murder" : "fred");
            CU_ASSERT_STRING_EQUAL(sasl_srv_mech(server), rows[k].mech);
            CU_ASSERT_EQUAL(sasl_srv_ssf(server), 0);
            CU_ASSERT_EQUAL(sasl_cli_ssf(client), 0);
            CU_ASSERT_EQUAL(asked, strcmp(rows[k].authname, "murder") == 0 ? 1 : 0);
        } else if (r == ERR_AUTH) {
            CU_ASSERT_STRING_NOT_EQUAL(sasl_srv_error(server), "");
            CU_ASSERT_EQUAL(asked, 0);
        }
        sasl_cli_free(&client);
        sasl_srv_free(&server);
        CU_ASSERT(client == NULL && server == NULL);
    }
}

/* After a failure the same server takes another try, and a try that was left in the middle. */
static void test_again(void)
{
    struct sasl_server *server;
    struct sasl_client *client;
    const char *out;
    size_t n;

    configure("allowplaintext: yes\n");
    server = new_server(&(struct sasl_server_config){0});
    CU_ASSERT_EQUAL(sasl_srv_start(server, "PLAIN", "\0fred\0wrong", 11, &out, &n), ERR_AUTH);
    CU_ASSERT_PTR_NULL(out);
    CU_ASSERT_EQUAL(sasl_srv_start(server, "NONSENSE", NULL, 0, &out, &n), ERR_UNSUPPORTED);
    CU_ASSERT_EQUAL(sasl_srv_start(server, "CRAM-MD5", NULL, 0, &out, &n), SASL_STATUS_CONTINUE);
    CU_ASSERT(n > 0 && out[0] == '<');
    CU_ASSERT_EQUAL(sasl_srv_start(server, "PLAIN", "gibberish", 9, &out, &n), ERR_PROTOCOL);
    CU_ASSERT_EQUAL(sasl_srv_start(server, "PLAIN", NULL, SASL_DATA_MAX + 1, &out, &n), ERR_TOOBIG);
    CU_ASSERT_EQUAL(sasl_srv_password(server, "fred", "wrong"), ERR_AUTH);
    CU_ASSERT_EQUAL(sasl_srv_password(server, "nobody", "wrong"), ERR_AUTH);
    CU_ASSERT_EQUAL(sasl_srv_password(server, "Fred", "secret"), 0);
    CU_ASSERT_STRING_EQUAL(sasl_srv_userid(server), "fred");
    CU_ASSERT_STRING_EQUAL(sasl_srv_authid(server), "fred");
    CU_ASSERT_STRING_EQUAL(sasl_srv_mech(server), "LOGIN");
    client = new_client(&(struct sasl_client_config){.authname = "fred", .password = "secret"});
    CU_ASSERT_EQUAL(exchange(server, client, "SCRAM-SHA-256", true), 0);
    sasl_cli_free(&client);
    sasl_srv_free(&server);
}

static void test_offer(void)
{
    static const struct {
        const char *config;
        struct sasl_server_config server;
        const char *has, *has_not; /* one of each */
        bool plaintext;
    } rows[] = {
        {"", {0}, "AUTH=SCRAM-SHA-256", "AUTH=PLAIN", false},
        {"", {0}, "AUTH=CRAM-MD5", "AUTH=LOGIN", false},
        {"", {0}, "AUTH=CRAM-MD5", "AUTH=ANONYMOUS", false},
        {"", {0}, "AUTH=CRAM-MD5", "AUTH=EXTERNAL", false},
        {"allowanonymouslogin: 1\nallowplaintext: 1\n", {0}, "AUTH=ANONYMOUS", "AUTH=EXTERNAL", true},
        {"allowplaintext: yes\n", {0}, "AUTH=PLAIN", "AUTH=EXTERNAL", true},
        {"", {.tls = true, .tls_bits = 256}, "AUTH=PLAIN", "AUTH=EXTERNAL", true},
        {"", {.trusted_transport = true}, "AUTH=PLAIN", "AUTH=EXTERNAL", true},
        {"", {.tls = true, .tls_bits = 256, .external = "murder"}, "AUTH=EXTERNAL", "AUTH=ANONYMOUS", true},
        {"allowplaintext: yes\nsasl_mech_list: PLAIN SCRAM-SHA-256\n",
         {0},
         "AUTH=PLAIN",
         "AUTH=CRAM-MD5",
         true},
        {"allowplaintext: yes\nimap_sasl_mech_list: LOGIN\n", {0}, "AUTH=LOGIN", "AUTH=PLAIN", true},
        {"allowplaintext: yes\nsasl_minimum_layer: 100\n",
         {0},
         "AUTH=DIGEST-MD5",
         "AUTH=SCRAM-SHA-256",
         true},
        {"sasl_minimum_layer: 100\n",
         {.tls = true, .tls_bits = 256},
         "AUTH=SCRAM-SHA-256",
         "AUTH=EXTERNAL",
         true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct sasl_server *server;
        struct buf mechs = BUF_INIT;
        char find[64];

        configure(rows[i].config);
        server = new_server(&rows[i].server);
        CU_ASSERT(sasl_srv_mechs(server, "AUTH=", " ", &mechs) > 0);
        buf_putc(&mechs, ' ');
        snprintf(find, sizeof(find), "%s ", rows[i].has);
        if (strstr(mechs.data, find) == NULL)
            printf("\n    row %zu: %s\n", i, mechs.data);
        CU_ASSERT_PTR_NOT_NULL(strstr(mechs.data, find));
        snprintf(find, sizeof(find), "%s ", rows[i].has_not);
        CU_ASSERT_PTR_NULL(strstr(mechs.data, find));
        CU_ASSERT_EQUAL(sasl_srv_plaintext_allowed(server), rows[i].plaintext);
        buf_free(&mechs);
        sasl_srv_free(&server);
    }
}

/* What is not offered is refused, too. */
static void test_plaintext_refused(void)
{
    struct sasl_server *server;
    const char *out;
    size_t n;
    int r;

    configure("");
    server = new_server(&(struct sasl_server_config){0});
    r = sasl_srv_start(server, "PLAIN", "\0fred\0secret", 12, &out, &n);
    CU_ASSERT(r == ERR_UNSUPPORTED || r == ERR_TLS);
    sasl_srv_free(&server);
}

static void test_external(void)
{
    struct sasl_server *server;
    struct sasl_client *client;
    int asked = 0;

    configure("");
    server = new_server(&(struct sasl_server_config){
        .tls = true, .tls_bits = 256, .external = "murder", .may_proxy = murder_may, .context = &asked});
    client = new_client(&(struct sasl_client_config){
        .tls = true, .tls_bits = 256, .external = true, .authname = "murder", .username = "fred"});
    CU_ASSERT_EQUAL(exchange(server, client, "PLAIN EXTERNAL SCRAM-SHA-256", true), 0);
    CU_ASSERT_STRING_EQUAL(sasl_srv_mech(server), "EXTERNAL");
    CU_ASSERT_STRING_EQUAL(sasl_srv_userid(server), "fred");
    CU_ASSERT_STRING_EQUAL(sasl_srv_authid(server), "murder");
    sasl_cli_free(&client);
    sasl_srv_free(&server);
}

static void test_choice(void)
{
    static const struct {
        struct sasl_client_config client;
        const char *offered, *wanted;
        int r;
        const char *mech;
    } rows[] = {
        {{.authname = "a", .password = "p"},
         "PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-1",
         NULL,
         1,
         "SCRAM-SHA-256"},
        {{.authname = "a", .password = "p"}, "LOGIN PLAIN", NULL, 0, "PLAIN"},
        {{.authname = "a", .password = "p"}, "\"LOGIN\" \"PLAIN\"", NULL, 0, "PLAIN"},
        {{.authname = "a", .password = "p"}, "PLAIN LOGIN SCRAM-SHA-256", "plain", 0, "PLAIN"},
        {{.authname = "a", .password = "p"}, "PLAIN LOGIN", "GSSAPI", ERR_UNSUPPORTED, NULL},
        {{.authname = "a", .password = "p"}, "", NULL, ERR_UNSUPPORTED, NULL},
        {{.authname = "a", .password = "p"}, "EXTERNAL ANONYMOUS NOSUCH", NULL, ERR_UNSUPPORTED, NULL},
        {{.authname = "a", .password = "p", .username = "u"}, "LOGIN CRAM-MD5", NULL, ERR_UNSUPPORTED, NULL},
        {{.authname = "a", .password = "p", .username = "u"}, "LOGIN CRAM-MD5 PLAIN", NULL, 0, "PLAIN"},
        {{.authname = "a"}, "PLAIN SCRAM-SHA-256", NULL, ERR_AUTH, NULL},
        {{.authname = "a", .password = "p"}, "GSSAPI GS2-KRB5 PLAIN", NULL, 0, "PLAIN"},
    };

    configure("force_sasl_client_mech: PLAIN\nbe2_mechs: SCRAM-SHA-1 GSSAPI\n");
    CU_ASSERT_STRING_EQUAL(sasl_cli_wanted_mechs("be1.lab:143"), "PLAIN");
    CU_ASSERT_STRING_EQUAL(sasl_cli_wanted_mechs("be2.lab"), "SCRAM-SHA-1 GSSAPI");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct sasl_client *client = new_client(&rows[i].client);
        const char *mech, *out;
        size_t n;
        int r = sasl_cli_start(client, rows[i].offered, rows[i].wanted, &mech, &out, &n);

        if (rows[i].mech == NULL) {
            CU_ASSERT_EQUAL(r, rows[i].r);
        } else {
            CU_ASSERT(r >= 0 && mech != NULL);
            CU_ASSERT_STRING_EQUAL(mech, rows[i].mech);
            CU_ASSERT(out != NULL && n > 0);
        }
        sasl_cli_free(&client);
    }
}

/* A server that does not know the password cannot pass for ours. */
static void test_false_server(void)
{
    struct sasl_client *client;
    const char *mech, *out;
    size_t n;

    configure("");
    client = new_client(&(struct sasl_client_config){.authname = "fred", .password = "secret"});
    CU_ASSERT_EQUAL(sasl_cli_start(client, "SCRAM-SHA-256", NULL, &mech, &out, &n), SASL_STATUS_CONTINUE);
    CU_ASSERT_EQUAL(sasl_cli_step(client, "r=abc,s=QSXCR+Q6sek8bf92,i=4096", 31, &out, &n), ERR_AUTH);
    sasl_cli_free(&client);
}

/* A layer carries more than its buffer, in packets cut anywhere. */
static void test_layer(void)
{
    struct sasl_server *server;
    struct sasl_client *client;
    struct sasl_layer up, down;
    struct buf plain = BUF_INIT, wire = BUF_INIT, got = BUF_INIT;
    const char *out;
    size_t n;

    configure("sasl_maximum_layer: 256\n");
    server = new_server(&(struct sasl_server_config){0});
    client = new_client(&(struct sasl_client_config){.authname = "fred", .password = "secret"});
    CU_ASSERT_EQUAL_FATAL(exchange(server, client, "DIGEST-MD5", false), 0);
    CU_ASSERT(sasl_srv_ssf(server) > 1);
    CU_ASSERT_EQUAL(sasl_srv_ssf(server), sasl_cli_ssf(client));
    sasl_cli_layer(client, &up);
    sasl_srv_layer(server, &down);
    CU_ASSERT(up.max_out > 1000 && up.max_out <= SASL_LAYER_BUFFER_MAX);
    for (int i = 0; plain.len < 50000; i++)
        buf_printf(&plain, "%d NOOP\r\n", i);
    for (size_t at = 0; at < plain.len; at += up.max_out) {
        CU_ASSERT_EQUAL_FATAL(up.encode(up.context, plain.data + at,
                                        plain.len - at < up.max_out ? plain.len - at : up.max_out, &out, &n),
                              0);
        buf_append(&wire, out, n);
    }
    for (size_t at = 0, step = 1; at < wire.len; at += step, step = step % 3000 + 7) {
        size_t piece = wire.len - at < step ? wire.len - at : step;

        CU_ASSERT_EQUAL_FATAL(down.decode(down.context, wire.data + at, piece, &out, &n), 0);
        buf_append(&got, out, n);
    }
    CU_ASSERT_EQUAL(got.len, plain.len);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&got), buf_cstr(&plain));
    wire.data[4] ^= 1;
    CU_ASSERT(down.decode(down.context, wire.data, 2000, &out, &n) != 0 || n == 0);
    /* Under TLS none is negotiated. */
    sasl_srv_free(&server);
    sasl_cli_free(&client);
    server = new_server(&(struct sasl_server_config){.tls = true, .tls_bits = 128});
    client = new_client(
        &(struct sasl_client_config){.tls = true, .tls_bits = 128, .authname = "fred", .password = "secret"});
    CU_ASSERT_EQUAL(exchange(server, client, "DIGEST-MD5", false), 0);
    CU_ASSERT_EQUAL(sasl_srv_ssf(server), 0);
    sasl_srv_free(&server);
    sasl_cli_free(&client);
    buf_free(&plain);
    buf_free(&wire);
    buf_free(&got);
}

static void test_names(void)
{
    char long_name[SASL_NAME_MAX + 2], to[SASL_NAME_MAX + 1];
    static const struct {
        const char *name;
        size_t n;
        const char *canonical;
    } rows[] = {
        {"fred", 4, "fred"},         {"Fred", 4, "fred"}, {" fred\t", 6, "fred"}, {"Ä", 2, "Ä"},
        {"fred@Lab", 8, "fred@lab"}, {"", 0, NULL},       {"  ", 2, NULL},        {"a\0b", 3, NULL},
        {"\xff", 1, NULL},           {"a\nb", 3, NULL},   {"a\x7f", 2, NULL},     {"a b", 3, "a b"},
    };
    static const struct {
        const char *conf, *name, *canonical;
    } domains[] = {
        {"virtdomains: userid\ndefaultdomain: d.org\n", "fred@D.org", "fred"},
        {"virtdomains: on\ndefaultdomain: D.org\n", "fred@d.org", "fred"},
        {"virtdomains: on\ndefaultdomain: d.org\n", "fred@e.d.org", "fred@e.d.org"},
        {"virtdomains: on\ndefaultdomain: d.org\n", "fred@d.org@d.org", "fred@d.org"},
        {"virtdomains: on\ndefaultdomain: d.org\n", "@d.org", "@d.org"},
        {"virtdomains: off\ndefaultdomain: d.org\n", "fred@d.org", "fred@d.org"},
    };

    configure("");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int r = sasl_canonical_name(rows[i].name, rows[i].n, to);

        CU_ASSERT_EQUAL(r, rows[i].canonical != NULL ? 0 : ERR_INVALID);
        if (r == 0)
            CU_ASSERT_STRING_EQUAL(to, rows[i].canonical);
    }
    memset(long_name, 'x', sizeof(long_name));
    CU_ASSERT_EQUAL(sasl_canonical_name(long_name, SASL_NAME_MAX, to), 0);
    CU_ASSERT_EQUAL(sasl_canonical_name(long_name, SASL_NAME_MAX + 1, to), ERR_INVALID);
    configure("username_tolower: no\n");
    CU_ASSERT_EQUAL(sasl_canonical_name("Fred", 4, to), 0);
    CU_ASSERT_STRING_EQUAL(to, "Fred");
    for (size_t i = 0; i < ARRAY_SIZE(domains); i++) {
        configure(domains[i].conf);
        CU_ASSERT_EQUAL(sasl_canonical_name(domains[i].name, strlen(domains[i].name), to), 0);
        CU_ASSERT_STRING_EQUAL(to, domains[i].canonical);
    }
}

/* ---- saslauthd ---- */

struct daemon_log {
    int fd;
    char asked[300]; /* user:password:service:realm of the last request */
};

/* tools: "Login": four counted strings, one counted answer. */
static void *run_daemon(void *arg)
{
    struct daemon_log *d = arg;
    int fd;

    while ((fd = accept(d->fd, NULL, NULL)) >= 0) {
        char *to = d->asked;

        for (int i = 0; i < 4; i++) {
            unsigned char len[2];

            if (read(fd, len, 2) != 2)
                break;
            for (int n = len[0] << 8 | len[1]; n > 0 && read(fd, to, 1) == 1; n--)
                to++;
            *to++ = ':';
        }
        *to = '\0';
        BUG_ON(write(fd, strncmp(d->asked, "fred:open:", 10) == 0 ? "\0\2OK" : "\0\2NO", 4) != 4);
        close(fd);
    }
    return NULL;
}

/* A name that cannot be ends LOGIN before the password is asked for: the plugin would lose it. */
static void test_login_bad_name(void)
{
    static const char *const names[] = {"fre\xff", "a\x01", " ", ""};
    struct sasl_server *server;
    const char *out;
    size_t n;

    configure("allowplaintext: yes\n");
    server = new_server(&(struct sasl_server_config){0});
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        CU_ASSERT_EQUAL(sasl_srv_start(server, "LOGIN", NULL, 0, &out, &n), SASL_STATUS_CONTINUE);
        CU_ASSERT_EQUAL(sasl_srv_step(server, names[i], strlen(names[i]), &out, &n), ERR_AUTH);
        CU_ASSERT_EQUAL(sasl_srv_start(server, "login", names[i], strlen(names[i]), &out, &n), ERR_AUTH);
    }
    CU_ASSERT_EQUAL(sasl_srv_start(server, "LOGIN", "fred", 4, &out, &n), SASL_STATUS_CONTINUE);
    CU_ASSERT_EQUAL(sasl_srv_step(server, "secret", 6, &out, &n), SASL_STATUS_DONE);
    sasl_srv_free(&server);
}

static void test_saslauthd(void)
{
    struct daemon_log d;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct sasl_server *server;
    const char *out;
    char more[200];
    pthread_t thread;
    size_t n;

    configure("");
    snprintf(a.sun_path, sizeof(a.sun_path), "%s/mux", dir);
    snprintf(more, sizeof(more),
             "allowplaintext: yes\nsasl_pwcheck_method: saslauthd\nsasl_saslauthd_path: %s\n", a.sun_path);
    configure(more);
    server = new_server(&(struct sasl_server_config){0});
    CU_ASSERT_EQUAL(sasl_srv_password(server, "fred", "open"), ERR_UNAVAILABLE);
    d.fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CU_ASSERT_EQUAL_FATAL(bind(d.fd, (struct sockaddr *)&a, sizeof(a)), 0);
    CU_ASSERT_EQUAL_FATAL(listen(d.fd, 5), 0);
    pthread_create(&thread, NULL, run_daemon, &d);
    CU_ASSERT_EQUAL(sasl_srv_password(server, "Fred", "open"), 0);
    CU_ASSERT(strncmp(d.asked, "fred:open:imap:", 15) == 0);
    CU_ASSERT_STRING_EQUAL(sasl_srv_userid(server), "fred");
    CU_ASSERT_EQUAL(sasl_srv_password(server, "fred", "secret"), ERR_AUTH);
    CU_ASSERT_EQUAL(sasl_srv_start(server, "PLAIN", "\0fred\0open", 10, &out, &n), 0);
    CU_ASSERT_EQUAL(sasl_srv_start(server, "PLAIN", "\0fred\0no", 8, &out, &n), ERR_AUTH);
    sasl_srv_free(&server);
    shutdown(d.fd, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(d.fd);
}

/* ---- threads ---- */

static atomic_int failures;

static void *authenticate(void *arg)
{
    static const char *const mechs[] = {"PLAIN", "SCRAM-SHA-1", "CRAM-MD5", "DIGEST-MD5", "LOGIN"};
    int first = *(int *)arg, asked = 0;

    for (int i = 0; i < 10; i++) {
        bool right = (i + first) % 3 != 0;
        struct sasl_server *server =
            new_server(&(struct sasl_server_config){.may_proxy = murder_may, .context = &asked});
        struct sasl_client *client = new_client(
            &(struct sasl_client_config){.authname = "fred", .password = right ? "secret" : "wrong"});
        int r = exchange(server, client, mechs[(i + first) % 5], i % 2 == 0);

        if (r != (right ? 0 : ERR_AUTH) || (right && strcmp(sasl_srv_userid(server), "fred") != 0))
            atomic_fetch_add(&failures, 1);
        sasl_cli_free(&client);
        sasl_srv_free(&server);
    }
    return NULL;
}

static void test_threads(void)
{
    pthread_t threads[6];
    int numbers[6];

    configure("allowplaintext: yes\n");
    for (int i = 0; i < 6; i++) {
        numbers[i] = i;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, authenticate, &numbers[i]), 0);
    }
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(atomic_load(&failures), 0);
}

static const struct unit_case cases[] = {
    {"mechanisms", test_mechanisms},
    {"no plain text", test_no_plaintext},
    {"again after a failure", test_again},
    {"offer", test_offer},
    {"passwords in clear refused", test_plaintext_refused},
    {"EXTERNAL", test_external},
    {"the client's choice", test_choice},
    {"a false server", test_false_server},
    {"layer", test_layer},
    {"names", test_names},
    {"LOGIN with a bad name", test_login_bad_name},
    {"saslauthd", test_saslauthd},
    {"threads", test_threads},
    {NULL, NULL},
};

static const struct unit_suite sasl_suite = {"sasl", cases};
const struct unit_suite *const unit_suites[] = {&sasl_suite, NULL};
