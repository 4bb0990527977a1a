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
    uint32_t *latency; /* of each request in this mode, microseconds */
    size_t count, room;
    uint64_t total_us;
    bool over; /* no new requests */
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
    static size_t made, id_at;
    static unsigned count;
    char id[17];

    if (message.len == 0 || made != size) {
        buf_reset(&message);
        buf_puts(&message,
                 "From: Bench <bench@example.org>\r\nTo: Fred <fred@example.org>\r\n"
                 "Subject: how long does it take\r\nDate: Sat, 21 Nov 2026 22:00:00 +0000\r\n"
                 "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\nMessage-ID: <");
        id_at = message.len;
        buf_puts(&message, "0123456789abcdef@bench.example.org>\r\n\r\n");
        while (message.len < size)
            buf_puts(&message, "All work and no play makes for a dull benchmark of a mail server.\r\n");
        made = size;
    }
    snprintf(id, sizeof(id), "%08x%08x", (unsigned)getpid(), count++);
    memcpy(message.data + id_at, id, 16);
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

static void conn_open(struct load *l, struct load_conn *c)
{
    const struct load_options *o = &l->options;

    *c = (struct load_conn){.number = l->opened++, .protocol = l->protocol, .opened_us = clock_us()};
    c->stream = stream_new(o->host[0] == '/' ? connect_unix(o->host) : connect_tcp(o));
    if (l->tls != NULL && stream_tls_begin(c->stream, l->tls, false, NULL) < 0)
        load_die("TLS: %s", stream_error(c->stream));
    c->waiting = true; /* for the greeting */
    l->waiting++;
    conn_arm(l, c, EPOLL_CTL_ADD);
}

static void note_latency(struct load *l, const struct load_conn *c)
{
    uint32_t us = (uint32_t)(clock_us() - c->began_us);

    if (l->count == l->room) {
        l->room = l->room == 0 ? 65536 : l->room * 2;
        l->latency = xreallocarray(l->latency, l->room, sizeof(*l->latency));
    }
    l->latency[l->count++] = us;
    l->total_us += us;
}

/* A request is answered: the next one, unless there is none for this connection now. */
static void conn_next(struct load *l, struct load_conn *c)
{
    bool more = true;

    c->began_us = clock_us();
    if (c->mode != NULL && !l->over)
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

static bool in_greeting(const struct load_conn *c)
{
    return c->requests == 0 && c->step == 0;
}

static bool is_greeting_end(const struct load_conn *c, const char *line, size_t len)
{
    const char *end = c->protocol->greeting_end;

    return end == NULL || (len >= strlen(end) && memcmp(line, end, strlen(end)) == 0);
}

static void conn_line(struct load *l, struct load_conn *c, const char *line, size_t len)
{
    enum load_answer answer;

    if (in_greeting(c)) {
        if (is_greeting_end(c, line, len))
            conn_next(l, c);
        return;
    }
    answer = c->protocol->line(c, line, len);
    if (answer == LOAD_FAILED)
        load_die("connection %u: %.*s", c->number, (int)len, line);
    if (answer == LOAD_DONE) {
        if (c->mode != NULL)
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
            conn_open(l, &l->conns[l->opened]);
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

/* Requests that were under way at the end count too, so that a mode of few long requests is not cut short: the
 * rate of a closed loop is its connections by their mean answer time. */
static void report(struct load *l, const char *mode)
{
    const char *protocol = l->protocol->name;
    double mean = l->count > 0 ? (double)l->total_us / (double)l->count / 1e6 : 0;

    qsort(l->latency, l->count, sizeof(*l->latency), by_value);
    printf("%s.%s %.6g /s\n", protocol, mode, mean > 0 ? l->options.busy / mean : 0);
    printf("%s.%s.p50 %.3f ms\n", protocol, mode, quantile_ms(l, 0.5));
    printf("%s.%s.p99 %.3f ms\n", protocol, mode, quantile_ms(l, 0.99));
}

static void begin_mode(struct load *l)
{
    l->count = 0;
    l->total_us = 0;
    l->over = false;
}

static void run_mode(struct load *l, const char *mode)
{
    int64_t end = clock_us() + (int64_t)(l->options.seconds * 1e6);
    unsigned step = l->options.connections / l->options.busy;

    begin_mode(l);
    for (unsigned i = 0; i < l->options.busy; i++) {
        struct load_conn *c = &l->conns[i * step];

        c->mode = mode;
        conn_next(l, c);
        conn_event(l, c);
    }
    while (clock_us() < end)
        round_of_events(l, 100);
    l->over = true;
    while (l->waiting > 0)
        round_of_events(l, STALL_MS);
    for (unsigned i = 0; i < l->options.connections; i++)
        l->conns[i].mode = NULL;
    report(l, mode);
}

/* The mode `connect`: new connections, each prepared and closed. */
static void run_connect(struct load *l)
{
    int64_t end = clock_us() + (int64_t)(l->options.seconds * 1e6);
    unsigned left = l->options.busy;

    begin_mode(l);
    for (unsigned i = 0; i < l->options.busy; i++)
        conn_open(l, &l->conns[i]);
    while (left > 0) {
        round_of_events(l, STALL_MS);
        for (unsigned i = 0; i < l->options.busy; i++) {
            struct load_conn *c = &l->conns[i];

            if (!c->ready)
                continue;
            c->began_us = c->opened_us;
            note_latency(l, c);
            stream_free(&c->stream);
            c->ready = false;
            if (clock_us() < end)
                conn_open(l, c);
            else
                left--;
        }
    }
    report(l, "connect");
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

static const struct load_protocol *const protocols[] = {&load_imap, &load_lmtp, &load_mupdate};

static _Noreturn void usage(void)
{
    fprintf(
        stderr,
        "usage: loadgen [-T imap|lmtp|mupdate] [-t] [-H host|/path] [-P port] [-n connections] [-b busy]\n"
        "               [-o opening] [-p script] [-u user] [-U users] [-w password] [-m mailbox]\n"
        "               [-M messages] [-c commands] [-d depth] [-R recipients] [-z bytes] [-s seconds] [-W]\n"
        "               [mode...]\n"
        "  -W  says `hold` when all connections are there and waits for a line\n"
        "  the mode `connect` opens, prepares and closes connections all the time\n");
    for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
        fprintf(stderr, "  %s: scripts %s; modes %s\n", protocols[i]->name, protocols[i]->scripts,
                protocols[i]->modes);
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

static const struct load_protocol *find_protocol(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
        if (strcmp(protocols[i]->name, name) == 0)
            return protocols[i];
    usage();
}

static void parse_option(struct load *l, int letter, bool *hold_r)
{
    struct load_options *o = &l->options;

    switch (letter) {
    case 'T':
        l->protocol = find_protocol(optarg);
        break;
    case 'p':
        o->script = optarg;
        break;
    case 'c':
        o->commands = optarg;
        break;
    case 'm':
        o->mailbox = optarg;
        break;
    case 'R':
        o->recipients = number(optarg);
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
    case 's':
        o->seconds = strtod(optarg, NULL);
        break;
    case 'z':
        o->size = number(optarg);
        break;
    case 'M':
        o->messages = number(optarg);
        break;
    case 'd':
        o->depth = number(optarg);
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
                    .user = "user",
                    .password = "secret",
                    .mailbox = "INBOX",
                    .script = "",
                    .commands = "NOOP",
                    .users = 1,
                    .messages = 1,
                    .recipients = 1,
                    .depth = 1,
                    .connections = 1,
                    .busy = 1,
                    .opening = 64,
                    .seconds = 5,
                    .size = 4096},
    };
    bool wants_hold = false;
    int letter;

    while ((letter = getopt(argc, argv, "T:tH:P:n:b:c:d:o:p:u:U:w:m:M:R:z:s:W")) != -1)
        parse_option(&l, letter, &wants_hold);
    prepare_process(&l);
    if (optind < argc && strcmp(argv[optind], "connect") == 0) {
        run_connect(&l);
    } else {
        open_all(&l);
        if (wants_hold)
            hold();
        for (int i = optind; i < argc; i++)
            run_mode(&l, argv[i]);
    }
    for (unsigned i = 0; i < l.options.connections; i++)
        stream_free(&l.conns[i].stream);
    free(l.conns);
    free(l.latency);
    tls_context_free(&l.tls);
    close(l.epoll_fd);
    return 0;
}
