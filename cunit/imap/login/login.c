#include "imap/login/login.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cunit/imap/login/toy.h"
#include "cunit/unit.h"
#include "imap/login/proc.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/sasl/client.h"
#include "lib/stream/stream.h"

#define SAME(a, b) CU_ASSERT_STRING_EQUAL(a, b)

static struct stream *greeted(void)
{
    struct stream *s = toy_connect();

    SAME(toy_line(s), "HELLO");
    return s;
}

static void words_before_login(void)
{
    struct stream *s;

    toy_start("allowplaintext: yes\nsasl_mech_list: PLAIN\n", false);
    s = greeted();
    SAME(toy_ask(s, "CAPA"), "starttls=0 plain=1 mechs=PLAIN");
    SAME(toy_ask(s, "WHO"), "what?");
    SAME(toy_ask(s, "LOGIN fred secret"), "0 User logged in");
    SAME(toy_line(s), "WELCOME");
    SAME(toy_ask(s, "WHO"), "fred fred LOGIN admin=0 proxy=0");
    SAME(toy_ask(s, "QUIT"), "bye");
    SAME(toy_line(s), "<closed>");
    stream_free(&s);
    s = greeted();
    SAME(toy_ask(s, "QUIT"), "bye");
    SAME(toy_line(s), "<closed>");
    stream_free(&s);
    toy_stop();
}

static void byte_by_byte(void)
{
    static const char words[] = "CAPA\r\nAUTH PLAIN\r\nAGZyZWQAc2VjcmV0\r\nWHO\r\nQUIT\r\n";
    struct stream *s;

    toy_start("allowplaintext: yes\nsasl_mech_list: PLAIN\n", false);
    s = greeted();
    for (const char *p = words; *p != '\0'; p++) {
        stream_write(s, p, 1);
        CU_ASSERT_EQUAL(stream_flush_wait(s, clock_deadline(30000)), 0);
    }
    SAME(toy_line(s), "starttls=0 plain=1 mechs=PLAIN");
    SAME(toy_line(s), "+ ");
    SAME(toy_line(s), "0 User logged in");
    SAME(toy_line(s), "WELCOME");
    SAME(toy_line(s), "fred fred PLAIN admin=0 proxy=0");
    SAME(toy_line(s), "bye");
    stream_free(&s);
    toy_stop();
}

static void encode(const char *authzid, const char *user, const char *password, struct buf *to)
{
    struct buf plain = BUF_INIT;

    buf_puts(&plain, authzid);
    buf_putc(&plain, '\0');
    buf_puts(&plain, user);
    buf_putc(&plain, '\0');
    buf_puts(&plain, password);
    buf_puts(to, "AUTH PLAIN ");
    str_base64_encode(to, plain.data, plain.len);
    buf_free(&plain);
}

/* Who may act for whom, and as what. */
static void acting_for_others(void)
{
    static const struct {
        const char *proxy_admins, *authzid, *user, *password, *answer, *who;
    } rows[] = {
        {"yes", "", "fred", "secret", "0 User logged in", "fred fred PLAIN admin=0 proxy=0"},
        {"yes", "", "FRED", "secret", "0 User logged in", "fred fred PLAIN admin=0 proxy=0"},
        {"yes", "", "fred", "wrong", "1 Authentication failed", NULL},
        {"yes", "", "cyrus", "admin", "0 User logged in", "cyrus cyrus PLAIN admin=1 proxy=0"},
        {"yes", "fred", "murder", "geheim", "0 User logged in", "fred murder PLAIN admin=0 proxy=0"},
        {"yes", "fred", "cyrus", "admin", "0 User logged in", "fred cyrus PLAIN admin=0 proxy=0"},
        {"yes", "cyrus", "murder", "geheim", "0 User logged in", "cyrus murder PLAIN admin=1 proxy=0"},
        {"no", "cyrus", "murder", "geheim", "2 Not authorized", NULL},
        {"no", "fred", "murder", "geheim", "0 User logged in", "fred murder PLAIN admin=0 proxy=0"},
        {"yes", "murder", "fred", "secret", "2 Not authorized", NULL},
        /* the proxy itself is no administrator, though in admins */
        {"yes", "", "murder", "geheim", "0 User logged in", "murder murder PLAIN admin=0 proxy=1"},
        {"yes", "", "lazy", "lazy", "2 too lazy", NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf words = BUF_INIT;
        char more[100];
        struct stream *s;

        snprintf(more, sizeof(more), "allowplaintext: yes\nproxy_admins: %s\n", rows[i].proxy_admins);
        toy_start(more, false);
        s = greeted();
        encode(rows[i].authzid, rows[i].user, rows[i].password, &words);
        SAME(toy_ask(s, buf_cstr(&words)), rows[i].answer);
        if (rows[i].who != NULL) {
            SAME(toy_line(s), "WELCOME");
            SAME(toy_ask(s, "WHO"), rows[i].who);
        }
        stream_free(&s);
        buf_free(&words);
        toy_stop();
    }
}

static void failures_pause_and_end(void)
{
    struct stream *s;
    int64_t began;

    toy_start("allowplaintext: yes\n", false);
    s = greeted();
    for (int i = 0; i < LOGIN_FAILURES_MAX; i++) {
        began = clock_ms();
        SAME(toy_ask(s, "LOGIN fred wrong"), "1 Authentication failed");
        CU_ASSERT(clock_ms() - began >= 30);
    }
    SAME(toy_line(s), "BYE Too many failed logins");
    SAME(toy_line(s), "<closed>");
    stream_free(&s);
    toy_stop();
}

static void exchanges_that_go_wrong(void)
{
    struct stream *s;

    toy_start("allowplaintext: yes\n", false);
    s = greeted();
    SAME(toy_ask(s, "AUTH NOSUCH"), "5 No such authentication mechanism");
    SAME(toy_ask(s, "AUTH PLAIN"), "+ ");
    SAME(toy_ask(s, "*"), "6 Authentication cancelled");
    SAME(toy_ask(s, "AUTH PLAIN !!!"), "7 Malformed authentication data");
    SAME(toy_ask(s, "AUTH PLAIN"), "+ ");
    SAME(toy_ask(s, "!!!"), "7 Malformed authentication data");
    SAME(toy_ask(s, "AUTH PLAIN AGZyZWQAc2VjcmV0"), "0 User logged in");
    stream_free(&s);
    toy_stop();
}

static void nothing_in_clear(void)
{
    struct stream *s;

    toy_start("allowplaintext: no\nsasl_mech_list: PLAIN SCRAM-SHA-256\n", false);
    s = greeted();
    SAME(toy_ask(s, "CAPA"), "starttls=0 plain=0 mechs=SCRAM-SHA-256");
    SAME(toy_ask(s, "LOGIN fred secret"), "3 Use STARTTLS first: not without encryption");
    CU_ASSERT_STRING_NOT_EQUAL(toy_ask(s, "AUTH PLAIN AGZyZWQAc2VjcmV0"), "0 User logged in");
    stream_free(&s);
    toy_stop();
    toy_start("allowplaintext: yes\ntls_required: yes\nallowstarttls: yes\n", false);
    s = greeted();
    SAME(toy_ask(s, "CAPA"), "starttls=1 plain=0 mechs=");
    SAME(toy_ask(s, "AUTH PLAIN AGZyZWQAc2VjcmV0"), "3 Use STARTTLS first: not without encryption");
    stream_free(&s);
    toy_stop();
}

static void starttls(void)
{
    struct stream *s;

    toy_start("allowstarttls: yes\nsasl_mech_list: PLAIN\n", false);
    s = greeted();
    SAME(toy_ask(s, "CAPA"), "starttls=1 plain=0 mechs=");
    /* What comes in clear behind the command is never obeyed (RFC 3501 6.2.1). */
    toy_say(s, "STARTTLS\r\nLOGIN fred secret\r\n");
    SAME(toy_line(s), "GO");
    toy_tls(s);
    SAME(toy_line(s), "SECURE");
    SAME(toy_ask(s, "CAPA"), "starttls=0 plain=1 mechs=PLAIN");
    SAME(toy_ask(s, "STARTTLS"), "what?");
    SAME(toy_ask(s, "LOGIN fred secret"), "0 User logged in");
    SAME(toy_line(s), "WELCOME");
    stream_free(&s);
    toy_stop();
}

static void tls_from_the_first_byte(void)
{
    struct stream *s;

    toy_start("", true);
    s = toy_connect();
    toy_tls(s);
    SAME(toy_line(s), "HELLO tls");
    SAME(toy_ask(s, "LOGIN fred secret"), "0 User logged in");
    stream_free(&s);
    /* One who leaves in the handshake, and one who speaks something else. */
    s = toy_connect();
    stream_free(&s);
    s = toy_connect();
    toy_say(s, "hello?\r\nhello?\r\n");
    CU_ASSERT_STRING_NOT_EQUAL(toy_line(s), "HELLO");
    stream_free(&s);
    toy_stop();
}

/* An exchange of several rounds, with a security layer where the mechanism has one. */
static void exchange(const char *mech, bool layer)
{
    struct sasl_client_config config = {
        .service = "imap", .server = "be1.lab", .authname = "fred", .password = "secret", .realm = "be1.lab"};
    struct buf line = BUF_INIT;
    struct sasl_client *client;
    struct sasl_layer wrap;
    struct stream *s = greeted();
    const char *out, *name, *answer;
    size_t n;

    CU_ASSERT_EQUAL_FATAL(sasl_cli_new(&config, &client), 0);
    CU_ASSERT_FATAL(sasl_cli_start(client, mech, NULL, &name, &out, &n) >= 0);
    buf_printf(&line, "AUTH %s ", mech);
    if (out != NULL)
        str_base64_encode(&line, out, n);
    while ((answer = toy_ask(s, buf_cstr(&line)))[0] == '+') {
        buf_reset(&line);
        CU_ASSERT_EQUAL(str_base64_decode(&line, answer + 2, strlen(answer + 2)), 0);
        CU_ASSERT(sasl_cli_step(client, buf_cstr(&line), line.len, &out, &n) >= 0);
        buf_reset(&line);
        if (out != NULL)
            str_base64_encode(&line, out, n);
    }
    SAME(answer, layer ? "0 User logged in (layer)" : "0 User logged in");
    CU_ASSERT_EQUAL(sasl_cli_ssf(client) > 0, layer);
    if (layer) {
        sasl_cli_layer(client, &wrap);
        stream_sasl_begin(s, &wrap);
    }
    SAME(toy_line(s), "WELCOME");
    CU_ASSERT(strncmp(toy_ask(s, "WHO"), "fred fred ", 10) == 0);
    SAME(toy_ask(s, "QUIT"), "bye");
    stream_free(&s);
    sasl_cli_free(&client);
    buf_free(&line);
}

static void mechanisms(void)
{
    toy_start("", false);
    exchange("SCRAM-SHA-256", false);
    exchange("CRAM-MD5", false);
    exchange("DIGEST-MD5", true);
    toy_stop();
}

static void preauthenticated(void)
{
    struct stream *s;

    toy_start_preauth();
    s = greeted();
    SAME(toy_line(s), "WELCOME");
    SAME(toy_ask(s, "WHO"), "postman postman PREAUTH admin=0 proxy=0");
    stream_free(&s);
    toy_stop();
}

static void limits(void)
{
    struct buf longline = BUF_INIT;
    struct stream *s;

    toy_start("allowplaintext: yes\nsasl_mech_list: PLAIN\n", false);
    s = greeted();
    for (int i = 0; i < LOGIN_LINE_MAX + 10; i++)
        buf_putc(&longline, 'x');
    toy_say(s, buf_cstr(&longline));
    SAME(toy_line(s), "BYE too long");
    SAME(toy_line(s), "<closed>");
    stream_free(&s);
    s = greeted();
    for (int i = 0; i < LOGIN_COMMANDS_MAX; i++)
        stream_puts(s, "CAPA\r\n");
    for (int i = 0; i < LOGIN_COMMANDS_MAX; i++)
        SAME(i == 0 ? toy_ask(s, "CAPA") : toy_line(s), "starttls=0 plain=1 mechs=PLAIN");
    SAME(toy_line(s), "BYE Too many commands before login");
    SAME(toy_line(s), "<closed>");
    stream_free(&s);
    s = greeted();
    SAME(toy_ask(s, "CAPA"), "starttls=0 plain=1 mechs=PLAIN");
    for (int i = 0; i < LOGIN_BAD_MAX; i++)
        SAME(toy_ask(s, "x"), "what?");
    SAME(toy_line(s), "BYE Too many invalid commands");
    SAME(toy_line(s), "<closed>");
    stream_free(&s);
    buf_free(&longline);
    toy_stop();
}

/* A session with that time limit that says something in time, again and again, and then nothing any more.
 * False: this machine was too busy for so small a limit. */
static bool inactivity_within(int limit_ms)
{
    struct stream *s = greeted();
    char words[32];
    int64_t began;
    bool in_time = true;

    snprintf(words, sizeof(words), "WAIT %d", limit_ms);
    SAME(toy_ask(s, "LOGIN fred secret"), "0 User logged in");
    SAME(toy_line(s), "WELCOME");
    began = clock_ms();
    SAME(toy_ask(s, words), "waiting");
    for (int i = 0; i < 5 && in_time; i++) {
        int64_t asked;
        bool alive;

        usleep((useconds_t)limit_ms * 400);
        asked = clock_ms();
        alive = strncmp(toy_ask(s, "WHO"), "fred", 4) == 0;
        in_time = clock_ms() - began < limit_ms;
        CU_ASSERT(alive || !in_time);
        began = asked;
    }
    if (in_time) {
        SAME(toy_line(s), "BYE Idle for too long");
        CU_ASSERT(clock_ms() - began >= limit_ms - 1);
        SAME(toy_line(s), "<closed>");
    }
    stream_free(&s);
    return in_time;
}

static void say_slowly(struct stream *s, const char *bytes, int step_ms)
{
    for (; *bytes != '\0'; bytes++) {
        usleep((useconds_t)step_ms * 1000);
        stream_write(s, bytes, 1);
        if (stream_flush(s) < 0)
            return;
    }
}

/* Bytes that come one by one put off neither the end of the handshake nor that of the login. */
static void time_to_log_in(void)
{
    static const char hello[] =
        "\x16\x03\x01\x02\x05\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01";
    int64_t began = clock_ms();
    struct stream *s;

    toy_start_impatient("allowplaintext: yes\nallowstarttls: yes\n", false, 300, 0);
    s = greeted();
    say_slowly(s, "LOGIN fred secr", 25);
    SAME(toy_line(s), "BYE No login in time");
    SAME(toy_line(s), "<closed>");
    stream_free(&s);
    toy_stop();
    toy_start_impatient("allowplaintext: yes\nallowstarttls: yes\n", false, 0, 300);
    s = greeted();
    SAME(toy_ask(s, "STARTTLS"), "GO");
    say_slowly(s, hello, 25);
    SAME(toy_line(s), "<closed>");
    stream_free(&s);
    toy_stop();
    toy_start_impatient("", true, 0, 300);
    s = toy_connect();
    say_slowly(s, hello, 25);
    SAME(toy_line(s), "<closed>");
    stream_free(&s);
    toy_stop();
    CU_ASSERT(clock_ms() - began >= 3 * 299);
    /* the handshake's end is not the login's */
    toy_start_impatient("", true, 0, 1000);
    s = toy_connect();
    toy_tls(s);
    SAME(toy_line(s), "HELLO tls");
    usleep(1200 * 1000);
    SAME(toy_ask(s, "LOGIN fred secret"), "0 User logged in");
    stream_free(&s);
    toy_stop();
}

static void inactivity(void)
{
    toy_start("allowplaintext: yes\n", false);
    for (int limit_ms = 100; !inactivity_within(limit_ms); limit_ms *= 4)
        CU_ASSERT_FATAL(limit_ms < 20000);
    toy_stop();
}

/* maxlogins_per_user, maxlogins_per_host. */
static void sessions_at_a_time(void)
{
    struct buf murder = BUF_INIT;
    struct stream *s[4];

    toy_start("allowplaintext: yes\nsasl_mech_list: PLAIN\nmaxlogins_per_user: 2\n", false);
    for (int i = 0; i < 4; i++)
        s[i] = greeted();
    for (int i = 0; i < 2; i++)
        SAME(toy_ask(s[i], "LOGIN fred secret"), "0 User logged in");
    SAME(toy_ask(s[2], "LOGIN fred secret"), "8 Too many sessions of this user");
    SAME(toy_ask(s[2], "LOGIN fred wrong"), "1 Authentication failed");
    encode("fred", "murder", "geheim", &murder);
    SAME(toy_ask(s[2], buf_cstr(&murder)), "0 User logged in"); /* counted at the frontend */
    SAME(toy_ask(s[3], "LOGIN FRED secret"), "8 Too many sessions of this user");
    SAME(toy_line(s[1]), "WELCOME");
    SAME(toy_ask(s[1], "QUIT"), "bye");
    SAME(toy_line(s[1]), "<closed>");
    while (strcmp(toy_ask(s[3], "LOGIN fred secret"), "0 User logged in") != 0)
        CU_ASSERT_FATAL(strcmp(toy_line(s[3]), "<closed>") != 0);
    for (int i = 0; i < 4; i++)
        stream_free(&s[i]);
    toy_stop();
    toy_start("allowplaintext: yes\nmaxlogins_per_host: 1\n", false);
    for (int i = 0; i < 3; i++)
        s[i] = greeted();
    SAME(toy_ask(s[0], "LOGIN fred secret"), "0 User logged in");
    SAME(toy_ask(s[1], "LOGIN lazy lazy"), "2 too lazy");
    SAME(toy_ask(s[1], "LOGIN fred secret"), "8 Too many sessions from this host");
    SAME(toy_ask(s[2], "LOGIN cyrus admin"), "0 User logged in"); /* somebody has to look into it */
    for (int i = 0; i < 3; i++)
        stream_free(&s[i]);
    toy_stop();
    buf_free(&murder);
}

/* The same user by another name has no other rights. */
static void names_of_other_realms(void)
{
    static const struct {
        const char *conf, *authzid, *user, *password, *answer, *who;
    } rows[] = {
        {"", "", "fred@example.org", "secret", "2 Not authorized", NULL},
        {"loginrealms: example.com EXAMPLE.org\n", "", "fred@example.org", "secret", "0 User logged in",
         "fred@example.org fred@example.org PLAIN admin=0 proxy=0"},
        {"loginrealms: example.org\n", "cyrus", "murder@example.org", "geheim", "2 Not authorized", NULL},
        {"", "cyrus@example.org", "murder", "geheim", "2 Not authorized", NULL},
        {"", "anonymous", "murder", "geheim", "2 Not authorized", NULL},
        {"allowanonymouslogin: yes\n", "anonymous", "murder", "geheim", "0 User logged in",
         "anonymous murder PLAIN admin=0 proxy=0"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf conf = BUF_INIT, line = BUF_INIT;
        struct stream *s;

        buf_printf(&conf, "allowplaintext: yes\nsasl_mech_list: PLAIN\n%s", rows[i].conf);
        toy_start(buf_cstr(&conf), false);
        s = greeted();
        encode(rows[i].authzid, rows[i].user, rows[i].password, &line);
        SAME(toy_ask(s, buf_cstr(&line)), rows[i].answer);
        if (rows[i].who != NULL) {
            SAME(toy_line(s), "WELCOME");
            SAME(toy_ask(s, "WHO"), rows[i].who);
        }
        stream_free(&s);
        toy_stop();
        buf_free(&conf);
        buf_free(&line);
    }
}

static void stopping(void)
{
    struct stream *a, *b, *c;

    toy_start("allowplaintext: yes\n", false);
    a = greeted();
    b = greeted();
    c = greeted();
    SAME(toy_ask(b, "LOGIN fred secret"), "0 User logged in");
    SAME(toy_line(b), "WELCOME");
    SAME(toy_ask(c, "AUTH PLAIN"), "+ ");
    toy_drain();
    SAME(toy_line(a), "BYE Server is shutting down");
    SAME(toy_line(b), "BYE stopping");
    SAME(toy_line(c), "BYE Server is shutting down");
    stream_free(&a);
    stream_free(&b);
    stream_free(&c);
    toy_stop();
}

/* The only entry of a directory; NULL when there is none. */
static const char *only_entry(const char *dir, char *path, size_t size)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    int found = 0;

    while (d != NULL && (e = readdir(d)) != NULL) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, size, "%s/%s", dir, e->d_name);
        found++;
    }
    if (d != NULL)
        closedir(d);
    CU_ASSERT(found < 2);
    return found == 1 ? path : NULL;
}

static void proc_entry(void)
{
    char dir[128], path[512];
    struct buf line = BUF_INIT;
    struct stream *s;

    snprintf(dir, sizeof(dir), "%s/proc", toy_dir());
    toy_start("allowplaintext: yes\n", false);
    s = greeted();
    CU_ASSERT_PTR_NOT_NULL_FATAL(only_entry(dir, path, sizeof(path)));
    CU_ASSERT_EQUAL(file_read_all(path, 10000, &line), 0);
    CU_ASSERT_EQUAL(line.len, 0);
    SAME(toy_ask(s, "LOGIN fred secret"), "0 User logged in");
    SAME(toy_line(s), "WELCOME");
    SAME(toy_ask(s, "SHOW INBOX\tx"), "shown");
    CU_ASSERT_EQUAL(file_read_all(path, 10000, &line), 0);
    CU_ASSERT_EQUAL(line.len, PROC_RECORD);
    SAME(buf_cstr(&line), "toy\t127.0.0.1\tfred\tINBOX?x\t\n");
    SAME(toy_ask(s, "QUIT"), "bye");
    SAME(toy_line(s), "<closed>");
    toy_drain();
    buf_reset(&line);
    CU_ASSERT_EQUAL(file_read_all(path, 10000, &line), 0);
    SAME(buf_cstr(&line), "");
    stream_free(&s);
    buf_free(&line);
    toy_stop();
    CU_ASSERT_PTR_NULL(only_entry(dir, path, sizeof(path)));
}

static void proc_records(void)
{
    struct proc_table *t = proc_open(toy_dir(), "unit");
    char longline[PROC_RECORD + 10], path[128];
    struct buf file = BUF_INIT;
    uint32_t a = proc_take(t), b = proc_take(t);

    CU_ASSERT_NOT_EQUAL(a, b);
    memset(longline, 'x', sizeof(longline));
    proc_show(t, a, "a\n", 2);
    proc_show(t, b, longline, sizeof(longline));
    snprintf(path, sizeof(path), "%s/%d-unit", toy_dir(), (int)getpid());
    CU_ASSERT_EQUAL(file_read_all(path, 10000, &file), 0);
    CU_ASSERT_EQUAL_FATAL(file.len, 2 * PROC_RECORD);
    SAME(file.data + a * PROC_RECORD, "a\n");
    CU_ASSERT_EQUAL(file.data[b * PROC_RECORD + PROC_RECORD - 1], '\n');
    proc_give_back(t, a);
    CU_ASSERT_EQUAL(proc_take(t), a);
    proc_close(&t);
    CU_ASSERT_EQUAL(access(path, F_OK), -1);
    buf_free(&file);
    /* Where nothing can be shown, nothing fails. */
    t = proc_open("/proc/nowhere", "unit");
    proc_show(t, proc_take(t), "a\n", 2);
    proc_close(&t);
}

static void telemetry(void)
{
    char path[128];
    struct buf text = BUF_INIT;
    struct stream *s;

    snprintf(path, sizeof(path), "%s/log/fred", toy_dir());
    CU_ASSERT_EQUAL(file_make_dirs(path, 0700, 0), 0);
    toy_start("allowplaintext: yes\n", false);
    for (int i = 0; i < 2; i++) {
        s = greeted();
        SAME(toy_ask(s, "LOGIN fred secret"), "0 User logged in");
        SAME(toy_line(s), "WELCOME");
        SAME(toy_ask(s, "WHO"), "fred fred LOGIN admin=0 proxy=0");
        SAME(toy_ask(s, "QUIT"), "bye");
        SAME(toy_line(s), "<closed>");
        stream_free(&s);
    }
    toy_drain();
    snprintf(path, sizeof(path), "%s/log/fred/toy-%d", toy_dir(), (int)getpid());
    CU_ASSERT_EQUAL(file_read_all(path, 10000, &text), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&text), "WHO\r\n"));
    CU_ASSERT_PTR_NULL(strstr(buf_cstr(&text), "secret"));
    /* The second session of the process has its own. */
    snprintf(path, sizeof(path), "%s/log/fred/toy-%d-2", toy_dir(), (int)getpid());
    CU_ASSERT_EQUAL(access(path, R_OK), 0);
    snprintf(path, sizeof(path), "%s/log/fred", toy_dir());
    CU_ASSERT_EQUAL(file_remove_tree(path), 0);
    buf_free(&text);
    toy_stop();
}

/* The client takes everything between the last try to write and the parking for room. */
static void test_room_before_parking(void)
{
    struct stream *s;
    const char *line;

    toy_start("allowplaintext: yes\nsasl_mech_list: PLAIN\n", false);
    s = greeted();
    SAME(toy_ask(s, "LOGIN fred secret"), "0 User logged in");
    SAME(toy_line(s), "WELCOME");
    toy_say(s, "FLOOD\r\n");
    while (strcmp(line = toy_line(s), "flood") == 0)
        ;
    SAME(line, "over");
    stream_free(&s);
    toy_stop();
}

static const struct unit_case cases[] = {
    {"words before login", words_before_login},
    {"byte by byte", byte_by_byte},
    {"acting for others", acting_for_others},
    {"failures pause and end", failures_pause_and_end},
    {"exchanges that go wrong", exchanges_that_go_wrong},
    {"nothing in clear", nothing_in_clear},
    {"STARTTLS", starttls},
    {"TLS from the first byte", tls_from_the_first_byte},
    {"mechanisms", mechanisms},
    {"preauthenticated", preauthenticated},
    {"limits", limits},
    {"time to log in", time_to_log_in},
    {"sessions at a time", sessions_at_a_time},
    {"names of other realms", names_of_other_realms},
    {"inactivity", inactivity},
    {"stopping", stopping},
    {"proc entry", proc_entry},
    {"proc records", proc_records},
    {"telemetry", telemetry},
    {"room before parking", test_room_before_parking},
    {NULL, NULL},
};

static const struct unit_suite login_suite = {"login", cases};

extern const struct unit_suite proxy_header_suite, tally_suite;

const struct unit_suite *const unit_suites[] = {&login_suite, &proxy_header_suite, &tally_suite, NULL};
