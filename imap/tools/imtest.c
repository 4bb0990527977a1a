/* imtest: a dialogue with a server: connects, starts TLS, logs in, and then passes standard input (or a file, or a
 * socket) on, showing what is said as `C: ` and `S: `. pop3test, lmtptest, sivtest, nntptest, mupdatetest and synctest
 * are other names of it. */
#include "imap/tools/imtest.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/sasl/client.h"
#include "lib/stream/stream.h"
#include "lib/stream/tls.h"

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

static bool unix_address(const char *path, struct sockaddr_un *address_r)
{
    *address_r = (struct sockaddr_un){.sun_family = AF_UNIX};
    return str_copy(address_r->sun_path, sizeof(address_r->sun_path), path);
}

static int open_unix(const char *path)
{
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && unix_address(path, &address) &&
        connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* A host that is a path is a Unix socket. */
static int connect_to(struct dialogue *d)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    int fd, r;

    if (d->host[0] == '/') {
        fd = open_unix(d->host);
    } else {
        r = getaddrinfo(d->host, d->port, &hints, &found);
        if (r != 0)
            return dialogue_fail(d, d->host, gai_strerror(r));
        fd = open_socket(found);
        freeaddrinfo(found);
    }
    if (fd < 0)
        return dialogue_fail(d, d->host, strerror(errno));
    if (d->verbose)
        printf("Connected to %s%s%s.\n", d->host, d->host[0] == '/' ? "" : " port ",
               d->host[0] == '/' ? "" : d->port);
    d->stream = stream_new(fd);
    return 0;
}

/* ---- TLS, COMPRESS ---- */

static int handshake(struct dialogue *d)
{
    const struct tls_config config = {.cert =
                                          d->key_file != NULL && d->key_file[0] != '\0' ? d->key_file : NULL};
    struct tls_context *context;
    struct buf why = BUF_INIT;
    int r = tls_context_new(&config, false, &context, &why);

    if (r < 0)
        dialogue_fail(d, "TLS", buf_cstr(&why));
    buf_free(&why);
    if (r < 0)
        return r;
    r = stream_tls_begin(d->stream, context, false, d->host);
    tls_context_free(&context);
    if (r == 0)
        r = stream_handshake_wait(d->stream, clock_deadline(DIALOGUE_ANSWER_MS));
    if (r < 0)
        return dialogue_fail(d, "TLS",
                             stream_error(d->stream)[0] != '\0' ? stream_error(d->stream) : error_text(r));
    printf("TLS connection established: %s with cipher %s (%d bits)\n", stream_tls_protocol(d->stream),
           stream_tls_cipher(d->stream), stream_tls_bits(d->stream));
    return 0;
}

static int start_tls(struct dialogue *d)
{
    int r;

    if (!dialogue_offers(d, d->protocol->starttls_word))
        return dialogue_fail(d, "STARTTLS", "the server does not offer it");
    r = dialogue_command(d, d->protocol->starttls, NULL);
    if (r < 0)
        return dialogue_fail(d, "STARTTLS", error_text(r));
    r = handshake(d);
    if (r == 0)
        r = d->protocol->greets_again ? dialogue_greet(d) : dialogue_capability(d);
    return r;
}

static int start_compression(struct dialogue *d)
{
    int r = dialogue_command(d, d->protocol->compress, NULL);

    if (r == 0)
        r = stream_deflate_begin(d->stream);
    return r < 0 ? dialogue_fail(d, "COMPRESS", error_text(r)) : 0;
}

/* ---- what the user says ---- */

static int copy_out(struct dialogue *d, int to)
{
    size_t len, done = 0;
    int r;
    const char *data;

    do {
        r = stream_fill(d->stream);
    } while (r > 0 && stream_has_input(d->stream));
    data = stream_data(d->stream, &len);
    while (done < len) {
        ssize_t n = write(to, data + done, len - done);

        if (n < 0 && errno != EINTR)
            return ERR_EOF; /* nobody listens any more */
        done += n > 0 ? (size_t)n : 0;
    }
    stream_consume(d->stream, len);
    return r > 0 || r == ERR_AGAIN || r == ERR_TOOBIG ? 0 : r;
}

/* A line end of the user's is CRLF on the wire. */
static void pass_on(struct dialogue *d, const char *data, size_t n, char *before)
{
    for (size_t i = 0; i < n; i++) {
        if (data[i] == '\n' && *before != '\r')
            stream_write(d->stream, "\r", 1);
        stream_write(d->stream, data + i, 1);
        *before = data[i];
    }
}

/* Until the input ends (then the protocol's goodbye) and the server closes. */
static int talk(struct dialogue *d, int input, int output)
{
    bool open = true;
    char data[4096], before = '\0';
    int r;

    fflush(stdout);
    r = copy_out(d, output);
    while (r == 0) {
        struct pollfd fds[2] = {{stream_fd(d->stream), POLLIN, 0}, {open ? input : -1, POLLIN, 0}};

        if (poll(fds, 2, open ? -1 : DIALOGUE_ANSWER_MS) <= 0)
            return ERR_TIMEOUT;
        if (fds[1].revents != 0) {
            ssize_t n = read(input, data, sizeof(data));

            open = n > 0;
            pass_on(d, data, open ? (size_t)n : 0, &before);
            r = open ? stream_flush_wait(d->stream, clock_deadline(DIALOGUE_ANSWER_MS))
                     : dialogue_say(d, d->protocol->logout, NULL);
            fflush(stdout);
        }
        if (r == 0 && fds[0].revents != 0)
            r = copy_out(d, output);
    }
    return r == ERR_EOF || r == ERR_IO ? 0 : r;
}

static int listen_at(const char *path)
{
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && unix_address(path, &address) &&
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 1) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* In the background the parent's work is done. */
static void leave(struct dialogue *d)
{
    int null;

    fflush(stdout);
    if (fork() > 0)
        _exit(0);
    setsid();
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd <= STDERR_FILENO && null >= 0; fd++)
        dup2(null, fd);
    if (null > STDERR_FILENO)
        close(null);
    (void)d;
}

static int write_pid(const struct dialogue *d)
{
    FILE *file = d->pid_file != NULL ? fopen(d->pid_file, "we") : NULL;

    if (d->pid_file == NULL)
        return 0;
    if (file == NULL)
        return dialogue_fail(d, d->pid_file, strerror(errno));
    fprintf(file, "%ld\n", (long)getpid());
    return fclose(file) == 0 ? 0 : dialogue_fail(d, d->pid_file, strerror(errno));
}

/* With whom connects to the socket, which only we may. */
static int talk_at_socket(struct dialogue *d)
{
    mode_t mask = umask(077);
    int listener = listen_at(d->socket), fd, r;

    umask(mask);
    if (listener < 0)
        return dialogue_fail(d, d->socket, strerror(errno));
    if (d->background)
        leave(d);
    r = write_pid(d);
    fd = r == 0 ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
    close(listener);
    unlink(d->socket);
    if (fd < 0)
        return r < 0 ? r : dialogue_fail(d, d->socket, strerror(errno));
    r = talk(d, fd, fd);
    close(fd);
    return r;
}

static int talk_here(struct dialogue *d)
{
    int fd = STDIN_FILENO, r = write_pid(d);

    if (r == 0 && d->file != NULL) {
        fd = open(d->file, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return dialogue_fail(d, d->file, strerror(errno));
    }
    if (r == 0)
        r = talk(d, fd, STDOUT_FILENO);
    if (fd > STDIN_FILENO)
        close(fd);
    printf("Connection closed.\n");
    return r;
}

/* ---- all ---- */

static int usage(const struct dialogue *d)
{
    fprintf(stderr,
            "usage: %s [-C imapd.conf] [-p port] [-m mechanism] [-a authname] [-u username] [-r realm]\n"
            "       [-w password] [-k bits] [-l bits] [-o option=value] [-t keyfile] [-s] [-q] [-i] [-v] [-n "
            "times]\n"
            "       [-f file | -x socket | -X socket] [-I pidfile] [host]\n"
            "  -t: STARTTLS, with the certificate in keyfile (\"\": none); -s: TLS from the first byte\n",
            d->protocol->program);
    return EX_USAGE;
}

/* sasl_NAME in imapd.conf; -k and -l are two of them. */
static int set_option(const struct dialogue *d, const char *name, const char *value)
{
    struct buf full = BUF_INIT;
    char *error = NULL;
    int r;

    buf_printf(&full, "sasl_%s", name);
    r = config_set(buf_cstr(&full), value, &error);
    if (r < 0)
        dialogue_fail(d, buf_cstr(&full), error != NULL ? error : "");
    free(error);
    buf_free(&full);
    return r == 0 ? 0 : EX_USAGE;
}

static int set_named_option(const struct dialogue *d, const char *argument)
{
    const char *equals = strchr(argument, '=');
    char *name;
    int r;

    if (equals == NULL)
        return usage(d);
    name = xstrndup(argument, (size_t)(equals - argument));
    r = set_option(d, name, equals + 1);
    free(name);
    return r;
}

/* The options that libsasl2 reads; -C comes before them, wherever it stands. */
static int read_options(const struct dialogue *d, int argc, char **argv, const char *letters)
{
    const char *path = NULL;
    char *error = NULL;
    int c, r = 0;

    for (optind = 1; (c = getopt(argc, argv, letters)) != -1;)
        path = c == 'C' ? optarg : path;
    if (path != NULL && config_read(path, NULL, d->protocol->program, &error) != 0) {
        dialogue_fail(d, path, error == NULL ? "" : error);
        free(error);
        return EX_CONFIG;
    }
    for (optind = 1; r == 0 && (c = getopt(argc, argv, letters)) != -1;) {
        if (c == 'k' || c == 'l')
            r = set_option(d, c == 'k' ? "minimum_layer" : "maximum_layer", optarg);
        else if (c == 'o')
            r = set_named_option(d, optarg);
    }
    return r;
}

static int refuse(const struct dialogue *d, int option)
{
    char text[] = {'-', (char)option, '\0'};

    dialogue_fail(d, text, "not possible here");
    return EX_USAGE;
}

static int take(struct dialogue *d, int c)
{
    switch (c) {
    case 'a':
        d->authname = optarg;
        break;
    case 'f':
        d->file = optarg;
        break;
    case 'i':
        d->no_initial = true;
        break;
    case 'I':
        d->pid_file = optarg;
        break;
    case 'm':
        d->mech = optarg;
        break;
    case 'n':
        d->times = (unsigned)strtoul(optarg, NULL, 10);
        break;
    case 'p':
        d->port = optarg;
        break;
    case 'q':
        d->compress = true;
        return d->protocol->compress != NULL ? 0 : refuse(d, c);
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
    case 'v':
        d->verbose = true;
        break;
    case 'w':
        d->password = optarg;
        break;
    case 'x':
    case 'X':
        d->socket = optarg;
        d->background = c == 'X';
        break;
    case 'c': /* one-time passwords */
    case 'z': /* a timing test: bench/ */
        return refuse(d, c);
    case '?':
    case 'h':
        return usage(d);
    }
    return 0;
}

/* 0, or an exit code. */
static int parse(struct dialogue *d, int argc, char **argv)
{
    static const char letters[] = "C:I:X:a:cf:hik:l:m:n:o:p:qr:st:u:vw:x:z";
    int c, r = 0;

    while (r == 0 && (c = getopt(argc, argv, letters)) != -1)
        r = take(d, c);
    if (r != 0)
        return r;
    if (argc - optind > 1 || d->times == 0 || (d->file != NULL && d->socket != NULL))
        return usage(d);
    if (optind < argc)
        d->host = argv[optind];
    else
        fprintf(stderr, "%s: no host given: %s\n", d->protocol->program, d->host);
    if (d->port == NULL)
        d->port = d->tls_at_once && d->protocol->tls_port != NULL ? d->protocol->tls_port : d->protocol->port;
    return read_options(d, argc, argv, letters);
}

/* From the connection to the user's turn. */
static int begin(struct dialogue *d)
{
    int r = connect_to(d);

    if (r == 0 && d->tls_at_once)
        r = handshake(d);
    if (r == 0)
        r = dialogue_greet(d);
    if (r == 0 && d->starttls)
        r = start_tls(d);
    return r;
}

static void end(struct dialogue *d)
{
    stream_free(&d->stream);
    sasl_cli_free(&d->client);
}

static int run_once(struct dialogue *d, bool last)
{
    int r = begin(d), logged_in = 0;

    if (r == 0 && dialogue_needs_no_login(d))
        printf("The server asks for no login.\n");
    else if (r == 0)
        logged_in = dialogue_authenticate(d);
    if (r == 0 && logged_in == 0 && d->compress)
        r = start_compression(d);
    if (r == 0 && !last)
        dialogue_command(d, d->protocol->logout, NULL);
    else if (r == 0)
        r = d->socket != NULL ? talk_at_socket(d) : talk_here(d);
    end(d);
    return r == 0 ? logged_in : r == ERR_AUTH ? ERR_IO : r;
}

static int run(struct dialogue *d)
{
    int r = 0;

    for (unsigned i = 1; r == 0 && i <= d->times; i++)
        r = run_once(d, i == d->times);
    buf_free(&d->mechs);
    buf_free(&d->words);
    buf_free(&d->line);
    buf_free(&d->data);
    return r == 0                                                                          ? 0
           : r == ERR_AUTH || r == ERR_UNSUPPORTED || r == ERR_REFUSED || r == ERR_INVALID ? EX_NOPERM
                                                                                           : EX_UNAVAILABLE;
}

/* The row of the name under which we were called. */
static const struct protocol *called(char *argv0)
{
    const char *name = basename(argv0);

    for (size_t i = 0; i < protocols_count; i++) {
        if (strcmp(protocols[i].program, name) == 0)
            return &protocols[i];
    }
    return &protocols[0];
}

int main(int argc, char **argv)
{
    struct dialogue d = {.protocol = called(argv[0]), .host = "localhost", .times = 1};
    int r;

    setvbuf(stdout, NULL, _IOLBF, 0);
    r = parse(&d, argc, argv);
    return r != 0 ? r : run(&d);
}
