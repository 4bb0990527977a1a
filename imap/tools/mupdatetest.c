/* mupdatetest: a dialogue with a MUPDATE server: connects, starts TLS, authenticates, and then passes standard
 * input (or a file) on, showing what is said as `C: ` and `S: `. */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/sasl/client.h"
#include "lib/stream/stream.h"
#include "lib/stream/tls.h"

static const char program[] = "mupdatetest";

enum { LINE_LONGEST = 60 * 1024, ANSWER_MS = 60 * 1000, PASSWORD_LONGEST = 512 };

struct dialogue {
    /* wishes */
    const char *config, *host, *port, *mech, *authname, *username, *realm, *file, *key_file;
    const char *password;
    bool starttls, tls_at_once, verbose;
    /* the connection */
    struct stream *stream;
    struct buf mechs; /* offered, blank-separated */
    bool may_starttls;
};

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s%s%s\n", program, what, why[0] != '\0' ? ": " : "", why);
    return ERR_IO;
}

/* ---- lines ---- */

static int say(struct dialogue *d, const char *line)
{
    printf("C: %s\n", line);
    stream_printf(d->stream, "%s\r\n", line);
    return stream_flush_wait(d->stream, clock_deadline(ANSWER_MS));
}

static int hear(struct dialogue *d, const char **line_r)
{
    static struct buf copy;
    const char *line;
    size_t len;
    int r = stream_line_wait(d->stream, LINE_LONGEST, clock_deadline(ANSWER_MS), &line, &len);

    if (r < 0)
        return fail("the server does not answer", error_text(r));
    buf_reset(&copy);
    buf_append(&copy, line, len);
    printf("S: %s\n", buf_cstr(&copy));
    *line_r = buf_cstr(&copy);
    return 0;
}

/* ---- connecting ---- */

static int open_socket(const struct addrinfo *found)
{
    int fd = -1;

    for (const struct addrinfo *a = found; a != NULL && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
            close(fd);
            fd = -1;
        }
    }
    return fd;
}

static int connect_to(struct dialogue *d)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    int fd, r = getaddrinfo(d->host, d->port, &hints, &found);

    if (r != 0)
        return fail(d->host, gai_strerror(r));
    fd = open_socket(found);
    freeaddrinfo(found);
    if (fd < 0)
        return fail(d->host, strerror(errno));
    d->stream = stream_new(fd);
    return 0;
}

static int handshake(struct dialogue *d)
{
    const struct tls_config config = {.cert =
                                          d->key_file != NULL && d->key_file[0] != '\0' ? d->key_file : NULL};
    struct tls_context *context;
    struct buf why = BUF_INIT;
    int r = tls_context_new(&config, false, &context, &why);

    if (r < 0) {
        fail("TLS", buf_cstr(&why));
        buf_free(&why);
        return r;
    }
    buf_free(&why);
    r = stream_tls_begin(d->stream, context, false, d->host);
    tls_context_free(&context);
    while (r == 0 && (r = stream_handshake(d->stream)) == ERR_AGAIN) {
        struct pollfd fd = {stream_fd(d->stream), (short)stream_poll_events(d->stream, true), 0};

        r = poll(&fd, 1, ANSWER_MS) > 0 ? 0 : ERR_TIMEOUT;
    }
    if (r < 0)
        return fail("TLS", stream_error(d->stream));
    printf("TLS connection established: %s with cipher %s (%d bits)\n", stream_tls_protocol(d->stream),
           stream_tls_cipher(d->stream), stream_tls_bits(d->stream));
    return 0;
}

/* `"PLAIN" "LOGIN"`, or without quotes: the words. */
static void take_mechs(struct dialogue *d, const char *text)
{
    for (; *text != '\0'; text++)
        if (*text != '"')
            buf_putc(&d->mechs, *text);
}

/* RFC 3656 3.8 */
static int read_banner(struct dialogue *d)
{
    const char *line;
    int r;

    buf_reset(&d->mechs);
    d->may_starttls = false;
    while ((r = hear(d, &line)) == 0) {
        if (str_has_iprefix(line, "* AUTH"))
            take_mechs(d, line + strlen("* AUTH"));
        else if (str_ieq(line, "* STARTTLS"))
            d->may_starttls = true;
        else if (str_has_iprefix(line, "* OK MUPDATE"))
            return 0;
        else if (str_has_iprefix(line, "* BYE"))
            return ERR_UNAVAILABLE;
    }
    return r;
}

static int start_tls(struct dialogue *d)
{
    const char *line;
    int r;

    if (!d->may_starttls)
        return fail("STARTTLS", "the server does not offer it");
    r = say(d, "S01 STARTTLS");
    if (r == 0)
        r = hear(d, &line);
    if (r == 0 && !str_has_iprefix(line, "S01 OK"))
        r = ERR_REFUSED;
    if (r == 0)
        r = handshake(d);
    return r == 0 ? read_banner(d) : r;
}

/* ---- authentication ---- */

/* Not where a ticket or a certificate says who one is. */
static bool needs_password(const char *mech)
{
    return mech == NULL || !(str_ieq(mech, "GSSAPI") || str_ieq(mech, "EXTERNAL"));
}

static const char *ask_password(void)
{
    static char password[PASSWORD_LONGEST];
    const char *given = getpass("Please enter your password: ");

    if (given == NULL || !str_copy(password, sizeof(password), given))
        return "";
    return password;
}

static const char *user_name(void)
{
    const struct passwd *pw = getpwuid(getuid());

    return pw == NULL ? "anonymous" : pw->pw_name;
}

static int new_client(struct dialogue *d, struct sasl_client **client_r)
{
    struct sasl_client_config config = {.service = "mupdate",
                                        .server = d->host,
                                        .tls = stream_is_tls(d->stream),
                                        .authname = d->authname,
                                        .username = d->username,
                                        .realm = d->realm,
                                        .password = d->password};

    if (config.tls)
        config.tls_bits = (unsigned)stream_tls_bits(d->stream);
    if (config.authname == NULL)
        config.authname = d->username != NULL ? d->username : user_name();
    if (config.password == NULL && needs_password(d->mech))
        config.password = ask_password();
    config.external = d->key_file != NULL && d->key_file[0] != '\0';
    return sasl_cli_new(&config, client_r);
}

static int send_first(struct dialogue *d, const char *mech, const char *data, size_t n)
{
    struct buf line = BUF_INIT, base64 = BUF_INIT;
    int r;

    buf_printf(&line, "A01 AUTHENTICATE \"%s\"", mech);
    if (data != NULL) {
        str_base64_encode(&base64, data, n);
        buf_printf(&line, " {%zu+}\r\n%s", base64.len, buf_cstr(&base64));
    }
    r = say(d, buf_cstr(&line));
    buf_free(&line);
    buf_free(&base64);
    return r;
}

static int answer_challenge(struct dialogue *d, struct sasl_client *client, const char *challenge)
{
    struct buf data = BUF_INIT, base64 = BUF_INIT;
    const char *out;
    size_t n;
    int r = str_base64_decode(&data, challenge, strlen(challenge));

    if (r == 0)
        r = sasl_cli_step(client, buf_cstr(&data), data.len, &out, &n);
    if (r >= 0) {
        str_base64_encode(&base64, out == NULL ? "" : out, out == NULL ? 0 : n);
        r = say(d, buf_cstr(&base64));
    } else {
        say(d, "*");
    }
    buf_free(&data);
    buf_free(&base64);
    return r;
}

/* 0 when the server said OK. */
static int exchange(struct dialogue *d, struct sasl_client *client)
{
    const char *line;
    int r;

    while ((r = hear(d, &line)) == 0) {
        if (str_has_iprefix(line, "A01 OK"))
            return 0;
        if (str_has_iprefix(line, "A01 ") || line[0] == '*')
            return ERR_AUTH;
        r = answer_challenge(d, client, line);
        if (r < 0)
            return r;
    }
    return r;
}

static void begin_layer(struct dialogue *d, struct sasl_client *client)
{
    struct sasl_layer layer;

    if (sasl_cli_ssf(client) == 0)
        return;
    sasl_cli_layer(client, &layer);
    stream_sasl_begin(d->stream, &layer);
}

static int authenticate(struct dialogue *d, struct sasl_client *client)
{
    const char *mech, *out;
    size_t n;
    int r = sasl_cli_start(client, buf_cstr(&d->mechs), d->mech, &mech, &out, &n);

    if (r >= 0)
        r = send_first(d, mech, out, n);
    if (r >= 0)
        r = exchange(d, client);
    if (r == 0) {
        printf("Authenticated.\nSecurity strength factor: %u\n",
               stream_is_tls(d->stream) ? (unsigned)stream_tls_bits(d->stream) : sasl_cli_ssf(client));
        begin_layer(d, client);
    } else {
        printf("Authentication failed. %s\n",
               sasl_cli_error(client)[0] != '\0' ? sasl_cli_error(client) : error_text(r));
    }
    return r;
}

/* ---- what the user says ---- */

static int copy_out(struct dialogue *d)
{
    size_t len;
    int r = stream_fill(d->stream);
    const char *data = stream_data(d->stream, &len);

    fwrite(data, 1, len, stdout);
    fflush(stdout);
    stream_consume(d->stream, len);
    return r > 0 || r == ERR_AGAIN ? 0 : r;
}

/* A line end of the user's is CRLF on the wire. */
static void pass_on(struct dialogue *d, const char *data, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (data[i] == '\n' && (i == 0 || data[i - 1] != '\r'))
            stream_write(d->stream, "\r", 1);
        stream_write(d->stream, data + i, 1);
    }
}

/* Until the input ends (then LOGOUT) and the server closes. */
static int talk(struct dialogue *d, int input)
{
    bool open = true;
    char data[4096];
    int r = copy_out(d);

    while (r == 0) {
        struct pollfd fds[2] = {{stream_fd(d->stream), POLLIN, 0}, {open ? input : -1, POLLIN, 0}};

        if (poll(fds, 2, open ? -1 : ANSWER_MS) <= 0)
            return ERR_TIMEOUT;
        if (fds[1].revents != 0) {
            ssize_t n = read(input, data, sizeof(data));

            open = n > 0;
            pass_on(d, data, open ? (size_t)n : 0);
            r = open ? stream_flush_wait(d->stream, clock_deadline(ANSWER_MS)) : say(d, "Q01 LOGOUT");
        }
        if (r == 0 && fds[0].revents != 0)
            r = copy_out(d);
    }
    return r == ERR_EOF ? 0 : r;
}

static int talk_from_file(struct dialogue *d)
{
    FILE *file = d->file == NULL ? stdin : fopen(d->file, "re");
    int r;

    if (file == NULL)
        return fail(d->file, strerror(errno));
    r = talk(d, fileno(file));
    if (file != stdin)
        fclose(file);
    printf("Connection closed.\n");
    return r;
}

/* ---- all ---- */

static int usage(void)
{
    fprintf(stderr,
            "usage: %s [-C imapd.conf] [-p port] [-m mechanism] [-a authname] [-u username] [-r realm]\n"
            "       [-w password] [-t keyfile] [-s] [-f file] host\n"
            "  -t: STARTTLS, with the certificate in keyfile (\"\": none); -s: TLS from the first byte\n",
            program);
    return EX_USAGE;
}

/* -v, -k, -l, -n, -c and -q are Cyrus's, and change nothing here. */
static bool parse(int argc, char **argv, struct dialogue *d)
{
    int c;

    while ((c = getopt(argc, argv, "C:a:cf:k:l:m:n:p:qr:st:u:vw:")) != -1) {
        switch (c) {
        case 'C':
            d->config = optarg;
            break;
        case 'a':
            d->authname = optarg;
            break;
        case 'f':
            d->file = optarg;
            break;
        case 'm':
            d->mech = optarg;
            break;
        case 'p':
            d->port = optarg;
            break;
        case 'r':
            d->realm = optarg;
            break;
        case 's':
            d->tls_at_once = true;
            break;
        case 't':
            d->starttls = true;
            d->key_file = optarg;
            break;
        case 'u':
            d->username = optarg;
            break;
        case 'w':
            d->password = optarg;
            break;
        case '?':
            return false;
        }
    }
    if (optind + 1 != argc)
        return false;
    d->host = argv[optind];
    return true;
}

static int run(struct dialogue *d)
{
    struct sasl_client *client = NULL;
    int r = connect_to(d);

    if (r == 0 && d->tls_at_once)
        r = handshake(d);
    if (r == 0)
        r = read_banner(d);
    if (r == 0 && d->starttls)
        r = start_tls(d);
    if (r == 0)
        r = new_client(d, &client);
    if (r == 0) {
        r = authenticate(d, client);
        if (talk_from_file(d) != 0)
            r = ERR_IO;
    }
    stream_free(&d->stream);
    sasl_cli_free(&client);
    buf_free(&d->mechs);
    return r == 0 ? 0 : r == ERR_AUTH || r == ERR_UNSUPPORTED ? EX_NOPERM : EX_UNAVAILABLE;
}

int main(int argc, char **argv)
{
    struct dialogue d = {.port = "3905"};
    char *error = NULL;

    if (!parse(argc, argv, &d))
        return usage();
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (d.config != NULL && config_read(d.config, NULL, program, &error) != 0) {
        fail(d.config, error == NULL ? "" : error);
        free(error);
        return EX_CONFIG;
    }
    return run(&d);
}
