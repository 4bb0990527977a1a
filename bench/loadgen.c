#include "bench/loadgen.h"

#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/stream/stream.h"
#include "lib/stream/tls.h"

enum { LINE_MAX_BYTES = 60 * 1024, STALL_MS = 120 * 1000 };

struct load {
    struct load_options options;
    const struct load_protocol *protocol;
    struct tls_context *tls;
    int epoll_fd;
    struct load_conn *conns;
    unsigned opened, ready, waiting;
    bool measuring;
    uint32_t *latency; /* of each request in this mode, microseconds */
    size_t count, room;
};

void load_die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("loadgen: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

const char *load_message(size_t size, size_t *len_r)
{
    static struct buf message;
    static size_t made;

    if (message.len == 0 || made != size) {
        buf_reset(&message);
        buf_puts(&message, "From: Bench <bench@example.org>\r\nTo: Fred <fred@example.org>\r\n"
                           "Subject: how long does it take\r\nDate: Sat, 21 Nov 2026 22:00:00 +0000\r\n"
                           "Message-ID: <bench@example.org>\r\nMIME-Version: 1.0\r\n"
                           "Content-Type: text/plain; charset=us-ascii\r\n\r\n");
        while (message.len < size)
            buf_puts(&message, "All work and no play makes for a dull benchmark of a mail server.\r\n");
        made = size;
    }
    *len_r = message.len;
    return message.data;
}

/* ---- connections ---- */

static int connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(address.sun_path))
        load_die("%s: too long", path);
    strcpy(address.sun_path, path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        load_die("%s: %s", path, strerror(errno));
    return fd;
}

static int connect_tcp(const struct load_options *o)
{
    static struct addrinfo *found; /* looked up once */
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int r = found == NULL ? getaddrinfo(o->host, o->service, &hints, &found) : 0, fd;

    if (r != 0)
        load_die("%s: %s", o->host, gai_strerror(r));
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) < 0)
        load_die("%s:%s: %s", o->host, o->service, strerror(errno));
    return fd;
}

static void conn_arm(struct load *l, struct load_conn *c, int op)
{
    struct epoll_event ev = {.data.ptr = c};
    unsigned events = stream_poll_events(c->stream, true);

    if (op == EPOLL_CTL_MOD && events == c->poll_events)
        return;
    ev.events = (events & POLLIN ? EPOLLIN : 0) | (events & POLLOUT ? EPOLLOUT : 0);
    c->poll_events = events;
    BUG_ON(epoll_ctl(l->epoll_fd, op, stream_fd(c->stream), &ev) < 0);
}

static void conn_open(struct load *l)
{
    const struct load_options *o = &l->options;
    struct load_conn *c = &l->conns[l->opened];

    c->number = l->opened++;
    c->protocol = l->protocol;
    c->stream = stream_new(o->host[0] == '/' ? connect_unix(o->host) : connect_tcp(o));
    if (l->tls != NULL && stream_tls_begin(c->stream, l->tls, false, NULL) < 0)
        load_die("TLS: %s", stream_error(c->stream));
    c->waiting = true; /* for the greeting */
    l->waiting++;
    conn_arm(l, c, EPOLL_CTL_ADD);
}

static void note_latency(struct load *l, const struct load_conn *c)
{
    if (!l->measuring)
        return;
    if (l->count == l->room) {
        l->room = l->room == 0 ? 65536 : l->room * 2;
        l->latency = xreallocarray(l->latency, l->room, sizeof(*l->latency));
    }
    l->latency[l->count++] = (uint32_t)(clock_us() - c->began_us);
}

/* A request is answered: the next one, unless there is none for this connection now. */
static void conn_next(struct load *l, struct load_conn *c)
{
    bool more = true;

    c->began_us = clock_us();
    if (c->mode != NULL)
        c->protocol->request(c, &l->options);
    else if (!c->ready)
        more = c->protocol->prepare(c, &l->options);
    else
        more = false;
    if (!more && !c->ready) {
        c->ready = true;
        l->ready++;
    }
    if (c->waiting && !more)
        l->waiting--;
    else if (!c->waiting && more)
        l->waiting++;
    c->waiting = more;
}

static bool is_greeting(const struct load_conn *c)
{
    return c->requests == 0 && c->step == 0;
}

static void conn_line(struct load *l, struct load_conn *c, const char *line, size_t len)
{
    enum load_answer answer;

    if (is_greeting(c)) {
        conn_next(l, c);
        return;
    }
    answer = c->protocol->line(c, line, len);
    if (answer == LOAD_FAILED)
        load_die("connection %u: %.*s", c->number, (int)len, line);
    if (answer == LOAD_DONE) {
        note_latency(l, c);
        conn_next(l, c);
    }
}

/* Takes what is there, lines and the bytes of literals. */
static void conn_read(struct load *l, struct load_conn *c)
{
    const char *line;
    size_t len;
    int r;

    for (;;) {
        if (c->skip > 0) {
            stream_data(c->stream, &len);
            len = len < c->skip ? len : c->skip;
            stream_consume(c->stream, len);
            c->skip -= len;
        }
        r = c->skip == 0 ? stream_line(c->stream, LINE_MAX_BYTES, &line, &len) : 0;
        if (r == 1)
            conn_line(l, c, line, len);
        else
            r = stream_fill(c->stream);
        if (r == ERR_AGAIN)
            return;
        if (r < 0)
            load_die("connection %u: %s", c->number, error_text(r));
    }
}

static void conn_event(struct load *l, struct load_conn *c)
{
    int r = stream_in_handshake(c->stream) ? stream_handshake(c->stream) : 0;

    if (r == 0)
        conn_read(l, c);
    else if (r != ERR_AGAIN)
        load_die("TLS: %s", stream_error(c->stream));
    r = stream_flush(c->stream);
    if (r < 0 && r != ERR_AGAIN)
        load_die("connection %u: %s", c->number, error_text(r));
    conn_arm(l, c, EPOLL_CTL_MOD);
    if (!c->waiting)
        stream_park(c->stream);
}

/* ---- phases ---- */

static void round_of_events(struct load *l, int timeout_ms)
{
    struct epoll_event ev[256];
    int n = epoll_wait(l->epoll_fd, ev, 256, timeout_ms);

    if (n == 0 && timeout_ms >= STALL_MS)
        load_die("no answer within %d s", STALL_MS / 1000);
    for (int i = 0; i < n; i++)
        conn_event(l, ev[i].data.ptr);
}

static void open_all(struct load *l)
{
    const struct load_options *o = &l->options;
    int64_t began = clock_us();
    double seconds;

    while (l->ready < o->connections) {
        while (l->opened < o->connections && l->opened - l->ready < o->opening)
            conn_open(l);
        round_of_events(l, STALL_MS);
    }
    seconds = (double)(clock_us() - began) / 1e6;
    printf("%s.open %.0f sessions/s\n", l->protocol->name, o->connections / seconds);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static double quantile_ms(const struct load *l, double q)
{
    return l->count > 0 ? l->latency[(size_t)(q * (double)(l->count - 1))] / 1e3 : 0;
}

static void run_mode(struct load *l, const char *mode)
{
    int64_t began = clock_us(), end = began + (int64_t)(l->options.seconds * 1e6), now;
    unsigned step = l->options.connections / l->options.busy;
    double seconds;

    l->count = 0;
    l->measuring = true;
    for (unsigned i = 0; i < l->options.busy; i++) {
        struct load_conn *c = &l->conns[i * step];

        c->mode = mode;
        conn_next(l, c);
        conn_event(l, c);
    }
    while ((now = clock_us()) < end)
        round_of_events(l, 100);
    seconds = (double)(now - began) / 1e6;
    l->measuring = false;
    for (unsigned i = 0; i < l->options.connections; i++)
        l->conns[i].mode = NULL;
    printf("%s.%s %.0f /s\n", l->protocol->name, mode, (double)l->count / seconds);
    qsort(l->latency, l->count, sizeof(*l->latency), by_value);
    printf("%s.%s.p50 %.2f ms\n", l->protocol->name, mode, quantile_ms(l, 0.5));
    printf("%s.%s.p99 %.2f ms\n", l->protocol->name, mode, quantile_ms(l, 0.99));
    while (l->waiting > 0)
        round_of_events(l, STALL_MS);
}

/* The driver looks at the server meanwhile. */
static void hold(void)
{
    char line[16];

    printf("hold\n");
    fflush(stdout);
    if (fgets(line, sizeof(line), stdin) == NULL)
        exit(0);
}

/* ---- the program ---- */

static _Noreturn void usage(void)
{
    fprintf(stderr,
            "usage: loadgen [-L] [-t] [-H host|/path] [-P port] [-n connections] [-b busy] [-o opening]\n"
            "               [-u user%%d] [-U users] [-w password] [-D @domain] [-s seconds] [-z bytes]\n"
            "               [-M messages] [-W] [mode...]\n"
            "  -L  LMTP (modes: %s), else IMAP (modes: %s)\n"
            "  -W  says `hold` when all connections are there and waits for a line\n",
            load_lmtp.modes, load_imap.modes);
    exit(64);
}

static unsigned number(const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (*end != '\0' || n == 0 || n > 10 * 1000 * 1000)
        load_die("%s: not a number that makes sense", text);
    return (unsigned)n;
}

static void parse_option(struct load *l, int letter, bool *hold_r)
{
    struct load_options *o = &l->options;

    switch (letter) {
    case 'L':
        l->protocol = &load_lmtp;
        break;
    case 't':
        o->tls = true;
        break;
    case 'H':
        o->host = optarg;
        break;
    case 'P':
        o->service = optarg;
        break;
    case 'n':
        o->connections = number(optarg);
        break;
    case 'b':
        o->busy = number(optarg);
        break;
    case 'o':
        o->opening = number(optarg);
        break;
    case 'u':
        o->user = optarg;
        break;
    case 'U':
        o->users = number(optarg);
        break;
    case 'w':
        o->password = optarg;
        break;
    case 'D':
        o->domain = optarg;
        break;
    case 's':
        o->seconds = strtod(optarg, NULL);
        break;
    case 'z':
        o->size = number(optarg);
        break;
    case 'M':
        o->messages = number(optarg);
        break;
    case 'W':
        *hold_r = true;
        break;
    default:
        usage();
    }
}

static void prepare_process(struct load *l)
{
    struct load_options *o = &l->options;
    struct tls_config config = {0};
    struct buf error = BUF_INIT;
    struct rlimit limit;

    BUG_ON(getrlimit(RLIMIT_NOFILE, &limit) < 0);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (o->busy > o->connections)
        o->busy = o->connections;
    if (o->tls && tls_context_new(&config, false, &l->tls, &error) < 0)
        load_die("%s", buf_cstr(&error));
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->conns = xcalloc(o->connections, sizeof(*l->conns));
    setvbuf(stdout, NULL, _IOLBF, 0);
}

int main(int argc, char **argv)
{
    struct load l = {
        .protocol = &load_imap,
        .options = {.host = "127.0.0.1",
                    .service = "143",
                    .user = "user%d",
                    .password = "secret",
                    .domain = "",
                    .users = 1,
                    .connections = 1,
                    .busy = 1,
                    .opening = 64,
                    .seconds = 5,
                    .size = 4096},
    };
    bool wants_hold = false;
    int letter;

    while ((letter = getopt(argc, argv, "LtH:P:n:b:o:u:U:w:D:s:z:M:W")) != -1)
        parse_option(&l, letter, &wants_hold);
    prepare_process(&l);
    open_all(&l);
    if (wants_hold)
        hold();
    for (int i = optind; i < argc; i++)
        run_mode(&l, argv[i]);
    for (unsigned i = 0; i < l.options.connections; i++)
        stream_free(&l.conns[i].stream);
    free(l.conns);
    free(l.latency);
    tls_context_free(&l.tls);
    close(l.epoll_fd);
    return 0;
}
