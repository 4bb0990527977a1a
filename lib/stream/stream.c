#include "lib/stream/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/stream/stream-private.h"

/* Transport reads in one stream_fill() that may give the application nothing (empty deflate
 * blocks, partial packets): then others get their turn. */
enum { FILL_ROUNDS = 16 };

/* The most that Linux takes (tcp(7)). */
enum { PROBE_SECONDS_MAX = 32767, PROBES_MAX = 127 };

static void ignore_sigpipe(void)
{
    struct sigaction old;

    if (sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

struct stream *stream_new(int fd)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct stream *s = xcalloc(1, sizeof(*s));
    int on = 1;

    pthread_once(&once, ignore_sigpipe);
    s->magic = STREAM_MAGIC;
    s->fd = fd;
    s->telemetry = -1;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* no TCP: not needed */
    return s;
}

static void set_tcp(int fd, int option, int value)
{
    if (value > 0)
        setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value)); /* no TCP: not needed */
}

void stream_probe_peer(int fd, const struct stream_probes *probes)
{
    int on = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) != 0)
        return;
    set_tcp(fd, TCP_KEEPIDLE, probes->idle_s);
    set_tcp(fd, TCP_KEEPINTVL, probes->interval_s);
    set_tcp(fd, TCP_KEEPCNT, probes->count);
    if (probes->idle_s > 0 && probes->interval_s > 0 && probes->count > 0)
        set_tcp(fd, TCP_USER_TIMEOUT, 1000 * (probes->idle_s + probes->interval_s * probes->count));
}

static int seconds(enum option option, int otherwise)
{
    int64_t ms = opt_duration_ms(option);

    return ms > 0 && ms <= PROBE_SECONDS_MAX * 1000 ? (int)((ms + 999) / 1000) : otherwise;
}

struct stream_probes stream_probes_configured(bool servers)
{
    int count = (int)opt_int(OPT_TCP_KEEPALIVE_CNT);

    return (struct stream_probes){.idle_s = seconds(OPT_TCP_KEEPALIVE_IDLE, servers ? 60 : 0),
                                  .interval_s = seconds(OPT_TCP_KEEPALIVE_INTVL, servers ? 15 : 0),
                                  .count = count > 0 && count <= PROBES_MAX ? count : (servers ? 4 : 0)};
}

void stream_free(struct stream **s)
{
    struct stream *f = *s;

    if (f == NULL)
        return;
    MAGIC_CHECK(f, STREAM_MAGIC);
    stream_set_telemetry(f, -1);
    tls_layer_free(&f->tls);
    deflate_layer_free(&f->deflate);
    sbuf_free(&f->in);
    sbuf_free(&f->out);
    sbuf_free(&f->coded_in);
    sbuf_free(&f->coded_out);
    free(f->sasl);
    free(f->error);
    close(f->fd);
    f->magic = 0;
    free(f);
    *s = NULL;
}

bool stream_is_unread(const struct stream *s)
{
    int n;

    return sbuf_used(&s->in) > 0 || sbuf_used(&s->coded_in) > 0 ||
           (s->tls != NULL && tls_layer_pending(s->tls)) || (ioctl(s->fd, FIONREAD, &n) == 0 && n > 0);
}

void stream_end(struct stream *s)
{
    tls_layer_free(&s->tls);
    deflate_layer_free(&s->deflate);
    shutdown(s->fd, SHUT_WR);
    sbuf_free(&s->in);
    sbuf_free(&s->out);
    sbuf_free(&s->coded_in);
    sbuf_free(&s->coded_out);
}

int stream_drop(struct stream *s, size_t *left)
{
    char block[4096];

    while (*left > 0) {
        ssize_t n = recv(s->fd, block, sizeof(block) < *left ? sizeof(block) : *left, MSG_DONTWAIT);

        if (n == 0)
            return ERR_EOF;
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? ERR_AGAIN : ERR_IO;
        *left -= (size_t)n;
    }
    return ERR_EOF;
}

int stream_fd(const struct stream *s)
{
    return s->fd;
}

uint64_t stream_bytes_in(const struct stream *s)
{
    return s->bytes_in;
}

uint64_t stream_bytes_out(const struct stream *s)
{
    return s->bytes_out;
}

const char *stream_error(const struct stream *s)
{
    return s->error != NULL ? s->error : "";
}

int stream_fail(struct stream *s, int code, const char *text)
{
    if (s->error == NULL)
        s->error = xstrdup(text);
    return code;
}

/* ---- telemetry ---- */

void stream_set_telemetry(struct stream *s, int fd)
{
    if (s->telemetry >= 0)
        close(s->telemetry);
    s->telemetry = fd;
    s->telemetry_last = 0;
    s->logged = sbuf_used(&s->out);
}

static void telemetry_write(struct stream *s, char direction, const char *data, size_t n)
{
    char mark[32];
    int r = 0;

    if (s->telemetry < 0 || n == 0)
        return;
    if (s->telemetry_last != direction) {
        snprintf(mark, sizeof(mark), "%c%lld%c", direction, (long long)clock_wall(), direction);
        r = file_write(s->telemetry, mark, strlen(mark));
        s->telemetry_last = direction;
    }
    if (r != 0 || file_write(s->telemetry, data, n) != 0)
        stream_set_telemetry(s, -1);
}

static void telemetry_out(struct stream *s)
{
    size_t used = sbuf_used(&s->out), from = s->logged;

    s->logged = used;
    if (used > from)
        telemetry_write(s, '>', sbuf_head(&s->out) + from, used - from);
}

/* ---- transport ---- */

int stream_transport_read(struct stream *s, char *to, size_t n)
{
    ssize_t k;

    if (s->tls != NULL)
        return tls_layer_read(s, to, n);
    do
        k = read(s->fd, to, n);
    while (k < 0 && errno == EINTR);
    if (k > 0)
        return (int)k;
    if (k == 0)
        return ERR_EOF;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return ERR_AGAIN;
    return stream_fail(s, ERR_IO, strerror(errno));
}

int stream_transport_write(struct stream *s, const char *from, size_t n)
{
    ssize_t k;

    if (s->tls != NULL)
        return tls_layer_write(s, from, n);
    do
        k = write(s->fd, from, n);
    while (k < 0 && errno == EINTR);
    if (k >= 0)
        return (int)k;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return ERR_AGAIN;
    return stream_fail(s, ERR_IO, strerror(errno));
}

/* ---- input ---- */

/* n more bytes stand at the end of s->in. */
static int readable(struct stream *s, size_t n)
{
    s->bytes_in += n;
    telemetry_write(s, '<', s->in.data + s->in.len - n, n);
    return (int)n;
}

/* Unwraps n bytes of the SASL layer into s->in or, under deflate, s->coded_in.  How many came out. */
static int unwrap(struct stream *s, const char *data, size_t n)
{
    const char *plain = NULL;
    size_t plain_n = 0;

    if (s->sasl->decode(s->sasl->context, data, n, &plain, &plain_n) != 0)
        return stream_fail(s, ERR_PROTOCOL, "damaged packet of the SASL layer");
    sbuf_append(s->deflate != NULL ? &s->coded_in : &s->in, plain, plain_n);
    return (int)plain_n;
}

/* One read of the transport into `b`. */
static int read_into(struct stream *s, struct sbuf *b)
{
    char *to = sbuf_reserve(b, STREAM_FILL_LEAST);
    int n = stream_transport_read(s, to, sbuf_room(b) < BLOCK_SIZE ? sbuf_room(b) : BLOCK_SIZE);

    if (n > 0)
        sbuf_added(b, (size_t)n);
    return n;
}

static int read_sasl(struct stream *s)
{
    char *block = block_get();
    int n = stream_transport_read(s, block, BLOCK_SIZE);

    if (n > 0)
        n = unwrap(s, block, (size_t)n);
    block_put(block);
    return n;
}

static int inflate_some(struct stream *s)
{
    int n = deflate_layer_read(s->deflate, &s->coded_in, &s->in, BLOCK_SIZE);

    return n < 0 ? stream_fail(s, n, "damaged compressed data") : n;
}

static int fill_once(struct stream *s)
{
    int n;

    if (s->deflate == NULL)
        return s->sasl != NULL ? read_sasl(s) : read_into(s, &s->in);
    if (sbuf_used(&s->coded_in) == 0 && !deflate_layer_pending(s->deflate)) {
        n = s->sasl != NULL ? read_sasl(s) : read_into(s, &s->coded_in);
        if (n <= 0)
            return n;
    }
    return inflate_some(s);
}

int stream_fill(struct stream *s)
{
    int n = 0;

    MAGIC_CHECK(s, STREAM_MAGIC);
    if (s->in_error != 0)
        return s->in_error;
    if (stream_in_handshake(s))
        return ERR_AGAIN;
    if (sbuf_used(&s->in) >= STREAM_IN_MAX)
        return ERR_TOOBIG;
    for (int i = 0; i < FILL_ROUNDS && n == 0; i++)
        n = fill_once(s);
    if (n > 0)
        return readable(s, (size_t)n);
    if (n == 0)
        return ERR_AGAIN;
    if (n != ERR_AGAIN)
        s->in_error = n;
    return n;
}

const char *stream_data(const struct stream *s, size_t *len_r)
{
    *len_r = sbuf_used(&s->in);
    return *len_r > 0 ? sbuf_head(&s->in) : "";
}

void stream_consume(struct stream *s, size_t n)
{
    sbuf_consume(&s->in, n);
    s->scanned = 0;
}

int stream_line(struct stream *s, size_t max, const char **line_r, size_t *len_r)
{
    size_t used = sbuf_used(&s->in), n;
    const char *line = sbuf_head(&s->in);
    const char *lf = used > s->scanned ? memchr(line + s->scanned, '\n', used - s->scanned) : NULL;

    if (lf == NULL) {
        s->scanned = used;
        return used > max ? ERR_TOOBIG : 0;
    }
    n = (size_t)(lf - line);
    if (n + 1 > max)
        return ERR_TOOBIG;
    stream_consume(s, n + 1);
    if (n > 0 && line[n - 1] == '\r')
        n--;
    *line_r = line;
    *len_r = n;
    return 1;
}

bool stream_has_input(const struct stream *s)
{
    if (s->in_error != 0 || stream_in_handshake(s))
        return false;
    if (s->tls != NULL && tls_layer_pending(s->tls))
        return true;
    return s->deflate != NULL && (sbuf_used(&s->coded_in) > 0 || deflate_layer_pending(s->deflate));
}

/* ---- output ---- */

void stream_write(struct stream *s, const void *data, size_t n)
{
    MAGIC_CHECK(s, STREAM_MAGIC);
    if (s->out_error != 0)
        return;
    sbuf_append(&s->out, data, n);
    s->bytes_out += n;
}

void stream_puts(struct stream *s, const char *text)
{
    stream_write(s, text, strlen(text));
}

void stream_printf(struct stream *s, const char *fmt, ...)
{
    char small[512];
    char *text = small;
    va_list ap, again;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(small, sizeof(small), fmt, ap);
    BUG_ON(n < 0);
    if ((size_t)n >= sizeof(small)) {
        text = xmalloc((size_t)n + 1);
        vsnprintf(text, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    va_end(ap);
    stream_write(s, text, (size_t)n);
    if (text != small)
        free(text);
}

int64_t stream_write_file(struct stream *s, int fd, int64_t offset, int64_t n)
{
    int64_t done = 0;

    while (done < n && stream_unsent(s) < STREAM_OUT_HIGH && s->out_error == 0) {
        size_t piece = n - done < BLOCK_SIZE ? (size_t)(n - done) : BLOCK_SIZE;
        ssize_t k = file_pread_some(fd, sbuf_reserve(&s->out, piece), piece, offset + done);

        if (k < 0)
            return k;
        if (k == 0)
            return ERR_EOF;
        sbuf_added(&s->out, (size_t)k);
        s->bytes_out += (uint64_t)k;
        done += k;
    }
    return s->out_error != 0 ? n : done; /* the flush tells */
}

/* Wraps n bytes of the SASL layer to the end of coded_out. */
static int wrap(struct stream *s, const char *data, size_t n)
{
    while (n > 0) {
        size_t piece = n < s->sasl->max_out ? n : s->sasl->max_out, coded_n = 0;
        const char *coded = NULL;

        if (s->sasl->encode(s->sasl->context, data, piece, &coded, &coded_n) != 0)
            return stream_fail(s, ERR_PROTOCOL, "the SASL layer cannot encode");
        sbuf_append(&s->coded_out, coded, coded_n);
        data += piece;
        n -= piece;
    }
    return 0;
}

/* Moves n bytes of s->out through the layers to coded_out. */
static int encode(struct stream *s, size_t n)
{
    struct sbuf packed = {0};
    int r = 0;

    if (s->deflate == NULL) {
        r = wrap(s, sbuf_head(&s->out), n);
    } else {
        struct sbuf *to = s->sasl != NULL ? &packed : &s->coded_out;

        deflate_layer_write(s->deflate, sbuf_head(&s->out), n, n == sbuf_used(&s->out), to);
        if (s->sasl != NULL)
            r = wrap(s, sbuf_head(&packed), sbuf_used(&packed));
    }
    sbuf_free(&packed);
    sbuf_consume(&s->out, n);
    s->logged -= n < s->logged ? n : s->logged;
    return r;
}

/* Everything written so far becomes bytes of the wire, whatever its size. */
static int encode_all(struct stream *s)
{
    telemetry_out(s);
    if (sbuf_used(&s->out) == 0)
        return 0;
    if (s->sasl == NULL && s->deflate == NULL) {
        sbuf_take(&s->coded_out, &s->out);
        s->logged = 0;
        return 0;
    }
    return encode(s, sbuf_used(&s->out));
}

/* The output cannot go on: what is left is dropped, so that nobody waits for it. */
static int output_failed(struct stream *s, int code)
{
    s->out_error = code;
    sbuf_free(&s->out);
    sbuf_free(&s->coded_out);
    s->logged = 0;
    return code;
}

static int flush_piece(struct stream *s)
{
    bool coded = s->sasl != NULL || s->deflate != NULL;
    struct sbuf *b;
    size_t n;
    int k = 0;

    if (coded && sbuf_used(&s->out) > 0 && sbuf_used(&s->coded_out) < BLOCK_SIZE)
        k = encode(s, sbuf_used(&s->out) < BLOCK_SIZE ? sbuf_used(&s->out) : BLOCK_SIZE);
    b = coded || sbuf_used(&s->coded_out) > 0 ? &s->coded_out : &s->out;
    n = sbuf_used(b);
    if (k == 0 && n > 0)
        k = stream_transport_write(s, sbuf_head(b), n);
    if (k > 0) {
        sbuf_consume(b, (size_t)k);
        if (b == &s->out)
            s->logged -= (size_t)k;
    }
    return k;
}

int stream_flush(struct stream *s)
{
    MAGIC_CHECK(s, STREAM_MAGIC);
    if (s->out_error != 0)
        return s->out_error;
    telemetry_out(s);
    while (stream_unsent(s) > 0) {
        int k = stream_in_handshake(s) ? ERR_AGAIN : flush_piece(s);

        if (k == ERR_AGAIN)
            return k;
        if (k < 0)
            return output_failed(s, k);
    }
    return 0;
}

size_t stream_unsent(const struct stream *s)
{
    return sbuf_used(&s->out) + sbuf_used(&s->coded_out);
}

unsigned stream_poll_events(const struct stream *s, bool want_input)
{
    unsigned events = 0;

    if (stream_in_handshake(s))
        return tls_layer_read_events(s->tls);
    if (want_input && s->in_error == 0)
        events |= s->tls != NULL ? tls_layer_read_events(s->tls) : POLLIN;
    if (stream_unsent(s) > 0)
        events |= s->tls != NULL ? tls_layer_write_events(s->tls) : POLLOUT;
    return events;
}

/* ---- layers and parking ---- */

void stream_sasl_begin(struct stream *s, const struct sasl_layer *layer)
{
    struct sbuf unread = s->in;

    BUG_ON(s->sasl != NULL || s->deflate != NULL);
    encode_all(s);
    s->sasl = xmalloc(sizeof(*s->sasl));
    *s->sasl = *layer;
    s->in = (struct sbuf){0};
    s->scanned = 0;
    if (sbuf_used(&unread) > 0 && s->in_error == 0) {
        int r = unwrap(s, sbuf_head(&unread), sbuf_used(&unread));

        s->in_error = r < 0 ? r : 0;
    }
    sbuf_free(&unread);
}

bool stream_is_sasl(const struct stream *s)
{
    return s->sasl != NULL;
}

int stream_deflate_begin(struct stream *s)
{
    int r;

    if (s->deflate != NULL)
        return ERR_INVALID;
    r = encode_all(s);
    if (r != 0)
        return output_failed(s, r);
    sbuf_take(&s->coded_in, &s->in);
    s->scanned = 0;
    s->deflate = deflate_layer_new();
    return 0;
}

bool stream_is_deflate(const struct stream *s)
{
    return s->deflate != NULL;
}

/* Has the peer's compressed part come to its end? */
static bool is_read_up(const struct stream *s)
{
    return s->deflate == NULL || (sbuf_used(&s->coded_in) == 0 && deflate_layer_at_rest(s->deflate));
}

int stream_layers_end(struct stream *s)
{
    int r = 0;

    if (s->sasl == NULL && s->deflate == NULL)
        return 0;
    if (!is_read_up(s))
        r = stream_fill(s);
    if (r > 0 || sbuf_used(&s->in) > 0)
        return ERR_PROTOCOL;
    if (r < 0 && (r != ERR_AGAIN || !is_read_up(s)))
        return r;
    r = encode_all(s);
    if (r != 0)
        return output_failed(s, r);
    deflate_layer_free(&s->deflate);
    free(s->sasl);
    s->sasl = NULL;
    return 0;
}

size_t stream_park(struct stream *s)
{
    MAGIC_CHECK(s, STREAM_MAGIC);
    if (s->deflate != NULL) {
        if (s->out_error == 0 && encode_all(s) != 0)
            output_failed(s, ERR_PROTOCOL);
        deflate_layer_park(s->deflate);
    }
    sbuf_park(&s->in);
    sbuf_park(&s->out);
    sbuf_park(&s->coded_in);
    sbuf_park(&s->coded_out);
    return sbuf_used(&s->in) + sbuf_used(&s->coded_in) + stream_unsent(s);
}
