#include "cunit/imap/login/toy.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cunit/lib/stream/certs.h"
#include "cunit/unit.h"
#include "imap/login/login.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/name/identity.h"
#include "lib/stream/stream.h"
#include "lib/stream/tls.h"

enum { TOY_WAIT_MS = 30 * 1000 };

/* ---- the toy protocol ---- */

static bool toy_is_preauth;

static enum engine_verdict toy_greeting(struct login *l)
{
    l->front = xstrdup("toy");
    stream_printf(l->stream, "HELLO%s\r\n", login_is_tls(l) ? " tls" : "");
    if (toy_is_preauth)
        login_preauth(l, "postman");
    return ENGINE_AGAIN;
}

static void toy_words(char *line, char *word[3])
{
    for (int i = 0; i < 3; i++) {
        word[i] = line;
        line += strcspn(line, " ");
        if (*line != '\0')
            *line++ = '\0';
    }
}

static enum engine_verdict toy_do(struct login *l, char *word[3])
{
    if (strcmp(word[0], "CAPA") == 0) {
        stream_printf(l->stream, "starttls=%d plain=%d mechs=%s\r\n", login_may_starttls(l),
                      login_may_plain(l), login_mechanisms(l));
    } else if (strcmp(word[0], "STARTTLS") == 0 && login_may_starttls(l)) {
        stream_puts(l->stream, "GO\r\n");
        login_starttls(l);
    } else if (strcmp(word[0], "AUTH") == 0) {
        login_authenticate(l, word[1], word[2][0] != '\0' ? word[2] : NULL);
    } else if (strcmp(word[0], "LOGIN") == 0) {
        login_plain(l, word[1], word[2]);
    } else if (strcmp(word[0], "QUIT") == 0) {
        stream_puts(l->stream, "bye\r\n");
        return login_close(l);
    } else {
        stream_puts(l->stream, "what?\r\n");
        login_note_bad(l);
    }
    return ENGINE_AGAIN;
}

static enum engine_verdict toy_command(struct login *l)
{
    char copy[LOGIN_LINE_MAX + 1], *word[3];
    const char *line;
    size_t len;
    int r = stream_line(l->stream, LOGIN_LINE_MAX, &line, &len);

    if (r == 0)
        return ENGINE_PARK;
    if (r < 0)
        return login_bye(l, "too long");
    memcpy(copy, line, len);
    copy[len] = '\0';
    toy_words(copy, word);
    return toy_do(l, word);
}

static void toy_challenge(struct login *l, const char *base64)
{
    stream_printf(l->stream, "+ %s\r\n", base64);
}

static int toy_authorize(struct login *l, const char **text_r)
{
    *text_r = "too lazy";
    return strcmp(l->identity->userid, "lazy") == 0 ? ERR_DENIED : 0;
}

static void toy_result(struct login *l, const struct login_result *result)
{
    stream_printf(l->stream, "%d %s%s\r\n", result->code, result->text, result->layer ? " (layer)" : "");
}

static void toy_tls_started(struct login *l)
{
    stream_puts(l->stream, "SECURE\r\n");
}

static enum engine_verdict toy_authenticated(struct login *l)
{
    stream_puts(l->stream, "WELCOME\r\n");
    return ENGINE_AGAIN;
}

/* Writes until the client's buffers are full, lets it read all that, and then parks for room. */
static enum engine_verdict toy_flood(struct login *l)
{
    enum engine_verdict verdict;
    int left = 1;

    while (stream_unsent(l->stream) == 0) {
        for (int i = 0; i < 4096; i++) /* faster than the client reads */
            stream_puts(l->stream, "flood\r\n");
        BUG_ON(stream_flush(l->stream) < 0 && stream_unsent(l->stream) == 0);
    }
    while (left > 0) {
        usleep(1000);
        BUG_ON(ioctl(stream_fd(l->stream), SIOCOUTQ, &left) < 0);
    }
    verdict = login_park(l, false, CLOCK_NEVER);
    if (verdict == ENGINE_AGAIN)
        stream_puts(l->stream, "over\r\n");
    return verdict;
}

static enum engine_verdict toy_serve(struct login *l, char *word[3])
{
    if (strcmp(word[0], "WHO") == 0) {
        stream_printf(l->stream, "%s %s %s admin=%d proxy=%d\r\n", l->identity->userid, l->authid, l->mech,
                      l->identity->is_admin, l->identity->is_proxy);
    } else if (strcmp(word[0], "SHOW") == 0) {
        login_proc(l, word[1], NULL);
        stream_puts(l->stream, "shown\r\n");
    } else if (strcmp(word[0], "FLOOD") == 0) {
        return toy_flood(l);
    } else if (strcmp(word[0], "WAIT") == 0) {
        login_set_timeout(l, atoi(word[1]));
        stream_puts(l->stream, "waiting\r\n");
    } else {
        stream_puts(l->stream, "bye\r\n");
        return login_close(l);
    }
    return ENGINE_AGAIN;
}

static enum engine_verdict toy_run(struct login *l)
{
    char copy[LOGIN_LINE_MAX + 1], *word[3];
    const char *line;
    size_t len;
    int r;

    if (session_stopping(l->session))
        return login_bye(l, "stopping");
    r = stream_line(l->stream, LOGIN_LINE_MAX, &line, &len);
    if (r == 1) {
        memcpy(copy, line, len);
        copy[len] = '\0';
        toy_words(copy, word);
        return toy_serve(l, word);
    }
    r = stream_fill(l->stream);
    if (r == ERR_AGAIN)
        return login_park(l, true, CLOCK_NEVER);
    return r > 0 ? ENGINE_AGAIN : ENGINE_CLOSE;
}

static void toy_bye(struct login *l, const char *text)
{
    stream_printf(l->stream, "BYE %s\r\n", text);
}

static void toy_close(struct login *l)
{
    free(l->front);
}

static const struct login_ops toy_ops = {
    .magic = LOGIN_OPS_MAGIC,
    .sasl_service = "imap",
    .for_users = true,
    .greeting = toy_greeting,
    .command = toy_command,
    .challenge = toy_challenge,
    .authorize = toy_authorize,
    .result = toy_result,
    .tls_started = toy_tls_started,
    .authenticated = toy_authenticated,
    .run = toy_run,
    .bye = toy_bye,
    .close = toy_close,
};

/* ---- its server ---- */

static char dir[64];
static struct engine *engine;
static struct login_service *service;
static struct sockaddr_in address;
static int listen_fd;

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

const char *toy_dir(void)
{
    if (dir[0] != '\0')
        return dir;
    snprintf(dir, sizeof(dir), "/tmp/iatlas-login-XXXXXX");
    BUG_ON(mkdtemp(dir) == NULL);
    atexit(clean);
    add_user("fred", "secret");
    add_user("fred@example.org", "secret");
    add_user("murder@example.org", "geheim");
    add_user("murder", "geheim");
    add_user("cyrus", "admin");
    add_user("lazy", "lazy");
    return dir;
}

void toy_configure(const char *more)
{
    char path[100], *error = NULL;
    FILE *f;

    snprintf(path, sizeof(path), "%s/imapd.conf", toy_dir());
    f = fopen(path, "w");
    BUG_ON(f == NULL);
    fprintf(f,
            "configdirectory: %s\nlog_target: file:%s/log.txt\nservername: be1.lab\n"
            "sasl_pwcheck_method: auxprop\nsasl_auxprop_plugin: sasldb\nsasl_sasldb_path: %s/sasldb2\n"
            "admins: cyrus murder\nproxyservers: murder\nunix_group_enable: no\nfailedloginpause: 30ms\n"
            "tls_server_cert: %s\ntls_server_key: %s\n%s",
            dir, dir, dir, certs()->server, certs()->server, more);
    fclose(f);
    CU_ASSERT_EQUAL_FATAL(config_read(path, "imap", "test", &error), 0);
}

static void toy_listen(void)
{
    socklen_t n = sizeof(address);

    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    BUG_ON(listen_fd < 0 || bind(listen_fd, (struct sockaddr *)&address, n) < 0 || listen(listen_fd, 16) < 0);
    BUG_ON(getsockname(listen_fd, (struct sockaddr *)&address, &n) < 0);
}

static int64_t toy_login_ms, toy_handshake_ms;

void toy_start(const char *more, bool tls_always)
{
    struct login_config config = {.service = "toy",
                                  .ops = &toy_ops,
                                  .tls_always = tls_always,
                                  .login_ms = toy_login_ms,
                                  .handshake_ms = toy_handshake_ms};
    struct engine_config limits = {.workers_min = 2, .workers_max = 4};
    char *error = NULL;

    toy_configure(more);
    CU_ASSERT_EQUAL_FATAL(login_service_new(&config, &service, &error), 0);
    CU_ASSERT_EQUAL_FATAL(engine_start(&limits, &engine), 0);
    toy_listen();
    CU_ASSERT_EQUAL_FATAL(engine_listen(engine, listen_fd, login_accept, service), 0);
}

void toy_start_impatient(const char *more, bool tls_always, int login_ms, int handshake_ms)
{
    toy_login_ms = login_ms;
    toy_handshake_ms = handshake_ms;
    toy_start(more, tls_always);
    toy_login_ms = toy_handshake_ms = 0;
}

void toy_start_preauth(void)
{
    toy_is_preauth = true;
    toy_start("", false);
}

void toy_drain(void)
{
    CU_ASSERT_EQUAL(engine_drain(engine, clock_deadline(TOY_WAIT_MS)), 0);
}

void toy_stop(void)
{
    toy_drain();
    engine_stop(&engine);
    login_service_free(&service);
    close(listen_fd);
    toy_is_preauth = false;
}

/* ---- a client ---- */

struct stream *toy_connect(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    BUG_ON(fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0);
    return stream_new(fd);
}

void toy_tls(struct stream *s)
{
    struct tls_config config = {.ca_file = certs()->ca};
    struct tls_context *ctx = NULL;
    struct buf error = BUF_INIT;

    CU_ASSERT_EQUAL_FATAL(tls_context_new(&config, false, &ctx, &error), 0);
    CU_ASSERT_EQUAL_FATAL(stream_tls_begin(s, ctx, false, "127.0.0.1"), 0);
    CU_ASSERT_EQUAL_FATAL(stream_handshake_wait(s, clock_deadline(TOY_WAIT_MS)), 0);
    tls_context_free(&ctx);
    buf_free(&error);
}

void toy_say(struct stream *s, const char *text)
{
    stream_puts(s, text);
    CU_ASSERT_EQUAL(stream_flush_wait(s, clock_deadline(TOY_WAIT_MS)), 0);
}

const char *toy_line(struct stream *s)
{
    static char copy[4096];
    const char *line;
    size_t len;

    if (stream_line_wait(s, sizeof(copy) - 1, clock_deadline(TOY_WAIT_MS), &line, &len) != 1)
        return "<closed>";
    memcpy(copy, line, len);
    copy[len] = '\0';
    return copy;
}

const char *toy_ask(struct stream *s, const char *line)
{
    stream_puts(s, line);
    toy_say(s, "\r\n");
    return toy_line(s);
}
