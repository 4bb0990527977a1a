#include "lib/backend/backend.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/backend/backend-private.h"
#include "lib/backend/pool.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/pool.h"
#include "lib/sasl/client.h"
#include "lib/stream/tls.h"

static const struct backend_ops *const ops_of[] = {
    [BACKEND_IMAP] = &backend_imap_ops,   [BACKEND_LMTP] = &backend_lmtp_ops,
    [BACKEND_SMTP] = &backend_smtp_ops,   [BACKEND_MUPDATE] = &backend_mupdate_ops,
    [BACKEND_SIEVE] = &backend_sieve_ops,
};

/* ---- life ---- */

static const char *copy(struct backend *b, const char *s)
{
    return s != NULL ? pool_strdup(b->pool, s) : NULL;
}

struct backend *backend_new(const struct backend_config *config)
{
    struct backend *b = xcalloc(1, sizeof(*b));

    b->magic = BACKEND_MAGIC;
    b->pool = pool_new(512);
    b->config = *config;
    b->config.server = copy(b, config->server);
    b->config.authzid = copy(b, config->authzid);
    b->config.authname = copy(b, config->authname);
    b->config.password = copy(b, config->password);
    b->config.realm = copy(b, config->realm);
    b->ops = ops_of[config->protocol];
    b->key = pool_printf(b->pool, "%s %u %s", b->ops->service, config->port, config->server);
    b->fd = b->old_fd = -1;
    b->deadline = CLOCK_NEVER;
    b->end = config->timeout_ms > 0 ? clock_deadline(config->timeout_ms) : CLOCK_NEVER;
    return b;
}

void backend_free(struct backend **b)
{
    struct backend *f = *b;

    if (f == NULL)
        return;
    MAGIC_CHECK(f, BACKEND_MAGIC);
    if (f->state == STATE_DONE && f->reset_tag[0] == '\0') {
        stream_puts(f->stream, f->ops->logout);
        stream_flush(f->stream); /* what does not go at once does not go */
    }
    if (f->stream == NULL && f->fd >= 0)
        close(f->fd);
    if (f->old_fd >= 0)
        close(f->old_fd);
    stream_free(&f->stream);
    stream_free(&f->old_stream);
    sasl_cli_free(&f->sasl);
    smtp_reply_free(&f->reply);
    buf_free(&f->text);
    buf_free(&f->greeting);
    buf_free(&f->caps);
    buf_free(&f->first_caps);
    buf_free(&f->data);
    buf_free(&f->initial);
    free(f->addresses);
    pool_free(&f->pool);
    f->magic = 0;
    free(f);
    *b = NULL;
}

int backend_fail(struct backend *b, int code, const char *fmt, ...)
{
    va_list ap;

    buf_reset(&b->text);
    va_start(ap, fmt);
    buf_vprintf(&b->text, fmt, ap);
    va_end(ap);
    return code;
}

int backend_line(struct backend *b, const char **line_r, size_t *len_r)
{
    int r = stream_line(b->stream, BACKEND_LINE_MAX, line_r, len_r);

    if (r == 1 && memchr(*line_r, '\0', *len_r) != NULL)
        r = ERR_PROTOCOL;
    return r < 0 ? backend_fail(b, ERR_PROTOCOL, "malformed line") : r;
}

/* ---- steps ---- */

static void enter(struct backend *b, enum backend_state state)
{
    b->state = state;
    b->deadline = clock_deadline(opt_duration_ms(OPT_CLIENT_TIMEOUT));
    if (b->deadline > b->end)
        b->deadline = b->end;
}

/* Takes over the connection of one that was another user's, and nothing else of it. */
static void adopt(struct backend *b, struct backend *other)
{
    b->stream = other->stream;
    b->fd = other->fd;
    b->tls = other->tls;
    memcpy(b->host, other->host, sizeof(b->host));
    buf_append(&b->greeting, other->greeting.data, other->greeting.len);
    buf_append(&b->caps, other->first_caps.data, other->first_caps.len);
    buf_append(&b->first_caps, other->first_caps.data, other->first_caps.len);
    b->have_caps = b->reused = true;
    other->stream = NULL;
    other->fd = -1;
    backend_free(&other);
}

static bool take_from_pool(struct backend *b)
{
    struct backend *other = b->config.pooled && !b->reused ? pool_take_connection(b->key) : NULL;

    if (other == NULL)
        return false;
    adopt(b, other);
    enter(b, STATE_LOGIN);
    return true;
}

static int start(struct backend *b)
{
    unsigned port;
    int n;

    if (!b->config.eager && backoff_enter(b->key) != 0)
        return backend_fail(b, ERR_UNAVAILABLE, "did not answer a moment ago");
    if (take_from_pool(b))
        return BACKEND_MORE;
    if (backend_parse_server(b->config.server, b->host, sizeof(b->host), &port) != 0)
        return backend_fail(b, ERR_CONFIG, "bad server name");
    port = backend_port(&b->config, b->ops->service, b->ops->port);
    b->addresses = xcalloc(BACKEND_ADDRESSES_MAX, sizeof(*b->addresses));
    n = backend_resolve(b->host, port, b->addresses, BACKEND_ADDRESSES_MAX);
    if (n < 0)
        return backend_fail(b, ERR_UNAVAILABLE, "no address found");
    b->address_count = n;
    backend_fail(b, 0, "no address");
    enter(b, STATE_CONNECT);
    return BACKEND_MORE;
}

/* Lets go of a socket that may be in the caller's epoll. */
static void drop_socket(struct backend *b)
{
    if (!b->waited)
        close(b->fd);
    else
        b->old_fd = b->fd;
    b->fd = -1;
    b->waited = false;
}

static int connect_next(struct backend *b)
{
    const struct backend_address *a = &b->addresses[b->address_next];

    if (b->address_next == b->address_count)
        return ERR_UNAVAILABLE; /* the text is the last address's */
    b->address_next++;
    b->fd = socket(a->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (b->fd < 0)
        return backend_fail(b, BACKEND_MORE, "socket: %s", strerror(errno));
    if (backend_bind(b->fd, a->addr.ss_family) != 0) {
        drop_socket(b);
        return backend_fail(b, BACKEND_MORE, "client_bind: no such address here");
    }
    if (connect(b->fd, (const struct sockaddr *)&a->addr, a->len) != 0 && errno != EINPROGRESS) {
        backend_fail(b, 0, "connect: %s", strerror(errno));
        drop_socket(b);
        return BACKEND_MORE;
    }
    enter(b, STATE_CONNECTING);
    return BACKEND_MORE;
}

static int connecting(struct backend *b)
{
    struct pollfd p = {.fd = b->fd, .events = POLLOUT};
    struct stream_probes probes;
    int error = 0;
    socklen_t len = sizeof(error);

    if (poll(&p, 1, 0) <= 0 && clock_left(b->deadline) != 0)
        return BACKEND_WAIT;
    if (p.revents == 0)
        error = ETIMEDOUT;
    else if (getsockopt(b->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error != 0) {
        backend_fail(b, 0, "connect: %s", strerror(error));
        drop_socket(b);
        b->state = STATE_CONNECT;
        return clock_left(b->end) != 0 ? BACKEND_MORE : ERR_TIMEOUT;
    }
    b->stream = stream_new(b->fd);
    probes = stream_probes_configured(true);
    stream_probe_peer(b->fd, &probes);
    enter(b, STATE_GREETING);
    return BACKEND_MORE;
}

/* Reads an answer by `parse`, taking what the peer has sent.  ANSWER_* or an error. */
static int read_answer(struct backend *b, int (*parse)(struct backend *b))
{
    int r;

    stream_flush(b->stream); /* a failure shows in the reading */
    while ((r = parse(b)) == ANSWER_MORE) {
        r = stream_fill(b->stream);
        if (r == ERR_AGAIN)
            return ANSWER_MORE;
        if (r < 0)
            return backend_fail(b, r == ERR_EOF || r == ERR_IO ? ERR_UNAVAILABLE : r, "connection lost: %s",
                                r == ERR_EOF ? "closed by the server" : stream_error(b->stream));
    }
    return r;
}

static int begin_tls(struct backend *b)
{
    struct tls_context *ctx = NULL;
    int r;

    buf_reset(&b->text);
    r = tls_client_context(b->config.server, &ctx, &b->text);
    if (r != 0)
        return r;
    r = stream_tls_begin(b->stream, ctx, false, b->host);
    tls_context_free(&ctx);
    if (r != 0)
        return backend_fail(b, ERR_TLS, "TLS: %s", stream_error(b->stream));
    enter(b, STATE_HANDSHAKE);
    return BACKEND_MORE;
}

static int handshake(struct backend *b)
{
    int r = stream_handshake(b->stream);

    if (r == ERR_AGAIN)
        return BACKEND_WAIT;
    if (r != 0)
        return backend_fail(b, r == ERR_TLS ? ERR_TLS : ERR_UNAVAILABLE, "TLS: %s",
                            r == ERR_EOF ? "closed by the server" : stream_error(b->stream));
    b->tls = true;
    b->have_caps = false; /* those told in clear are worth nothing */
    buf_reset(&b->caps);
    enter(b, b->ops->banner_after_tls ? STATE_GREETING : STATE_LOGIN);
    return BACKEND_MORE;
}

/* With a CA or a certificate of ours TLS is used where offered; with tls_required nothing goes without, verified if
 * there is a CA. */
static int choose_tls(struct backend *b, bool *begun)
{
    bool required = b->config.tls || opt_switch(OPT_TLS_REQUIRED);

    *begun = false;
    if (b->tls || b->host[0] == '/' || (!required && !tls_client_configured(b->config.server)))
        return 0;
    if (!b->ops->has(b, "STARTTLS"))
        return required ? backend_fail(b, ERR_TLS, "the server offers no TLS") : 0;
    stream_puts(b->stream, b->ops->starttls);
    enter(b, STATE_STARTTLS);
    *begun = true;
    return 0;
}

static bool wants_compress(const struct backend *b)
{
    return b->ops->compress != NULL && !b->asked_compress && opt_switch(OPT_PROXY_COMPRESS) &&
           b->ops->has(b, b->ops->compress_word);
}

static int compress(struct backend *b)
{
    stream_puts(b->stream, b->ops->compress);
    b->asked_compress = true;
    enter(b, STATE_COMPRESS);
    return BACKEND_MORE;
}

static int compress_begin(struct backend *b)
{
    if (b->data.len > 0)
        stream_deflate_begin(b->stream);
    enter(b, STATE_LOGIN);
    return BACKEND_MORE;
}

static int begin_auth(struct backend *b)
{
    int r;

    if (!b->reused) {
        buf_reset(&b->first_caps);
        buf_append(&b->first_caps, b->caps.data, b->caps.len);
    }
    r = backend_auth_begin(b);
    if (r != 0)
        return r;
    enter(b, STATE_AUTH);
    return BACKEND_MORE;
}

/* What comes next, the capabilities being known or not. */
static int login(struct backend *b)
{
    bool begun;
    int r;

    if (!b->have_caps) {
        b->ops->ask_capability(b);
        enter(b, STATE_CAPABILITY);
        return BACKEND_MORE;
    }
    if (b->authenticated && wants_compress(b))
        return compress(b);
    if (b->authenticated) {
        backoff_found(b, true);
        b->state = STATE_DONE;
        b->deadline = CLOCK_NEVER;
        buf_reset(&b->text); /* what an address did that failed before this one */
        return BACKEND_DONE;
    }
    r = choose_tls(b, &begun);
    if (r != 0 || begun)
        return r != 0 ? r : BACKEND_MORE;
    if (!b->reused)
        backoff_found(b, true);
    if (b->preauth || b->config.anonymous) {
        b->authenticated = true;
        return BACKEND_MORE;
    }
    return begin_auth(b);
}

static int authenticate(struct backend *b, int answer)
{
    int r = answer == ANSWER_DATA ? backend_auth_respond(b) : backend_auth_end(b);

    if (r == 0 && answer == ANSWER_DONE) {
        b->authenticated = true;
        enter(b, STATE_LOGIN);
    }
    return r != 0 ? r : BACKEND_MORE;
}

static int talk(struct backend *b)
{
    int (*parse)(struct backend *) = b->state == STATE_GREETING     ? b->ops->greeting
                                     : b->state == STATE_CAPABILITY ? b->ops->capability
                                     : b->state == STATE_STARTTLS   ? b->ops->starttls_answer
                                     : b->state == STATE_COMPRESS   ? b->ops->compress_answer
                                                                    : b->ops->auth_answer;
    int r;

    if (b->state == STATE_CAPABILITY)
        b->have_caps = true; /* unless the answer says nothing: then there are none */
    if (b->state == STATE_AUTH && b->ops->caps_by_user)
        b->have_caps = false;
    r = read_answer(b, parse);
    if (r < 0)
        return r;
    if (r == ANSWER_MORE)
        return BACKEND_WAIT;
    if (b->state == STATE_AUTH)
        return authenticate(b, r);
    if (b->state == STATE_STARTTLS)
        return begin_tls(b);
    if (b->state == STATE_COMPRESS)
        return compress_begin(b);
    enter(b, STATE_LOGIN);
    return BACKEND_MORE;
}

static int advance(struct backend *b)
{
    switch (b->state) {
    case STATE_START:
        return start(b);
    case STATE_CONNECT:
        return connect_next(b);
    case STATE_CONNECTING:
        return connecting(b);
    case STATE_HANDSHAKE:
        return handshake(b);
    case STATE_LOGIN:
        return login(b);
    case STATE_DONE:
        return BACKEND_DONE;
    case STATE_FAILED:
        return b->error;
    default:
        return talk(b);
    }
}

/* The server could not be reached, as against: it refuses us. */
static bool is_absence(int code)
{
    return code == ERR_UNAVAILABLE || code == ERR_TIMEOUT;
}

static int failed(struct backend *b, int code)
{
    struct buf text = BUF_INIT;

    bool no_try = (b->state == STATE_START && b->addresses == NULL) || (b->state == STATE_AUTH && !b->reused);

    if (is_absence(code) && !no_try)
        backoff_found(b, false);
    buf_printf(&text, "%s: %s", b->config.server, buf_cstr(&b->text));
    buf_free(&b->text);
    b->text = text;
    b->error = code;
    b->state = STATE_FAILED;
    b->deadline = CLOCK_NEVER;
    return code;
}

/* A connection of the pool that ended before it knew its new user: another is made.  (One that says nothing
 * is another matter: then the server hangs.) */
static bool try_afresh(struct backend *b, int code)
{
    if (!b->reused || code != ERR_UNAVAILABLE || b->state != STATE_AUTH)
        return false;
    b->old_stream = b->stream; /* the caller may be watching its descriptor */
    b->stream = NULL;
    b->fd = -1;
    b->waited = b->tls = b->have_caps = false;
    sasl_cli_free(&b->sasl);
    buf_reset(&b->caps);
    buf_reset(&b->greeting);
    buf_reset(&b->text);
    b->state = STATE_START;
    return true;
}

int backend_step(struct backend *b)
{
    int r;

    MAGIC_CHECK(b, BACKEND_MAGIC);
    if (b->old_fd >= 0)
        close(b->old_fd);
    b->old_fd = -1;
    stream_free(&b->old_stream);
    if (b->state == STATE_FAILED)
        return b->error;
    do
        r = advance(b);
    while (r == BACKEND_MORE || (r < 0 && try_afresh(b, r)));
    if (r == BACKEND_WAIT && clock_left(b->deadline) == 0 && b->state != STATE_CONNECTING)
        r = backend_fail(b, ERR_TIMEOUT, "no answer in time");
    b->waited |= r == BACKEND_WAIT;
    return r < 0 ? failed(b, r) : r;
}

int backend_connect_wait(const struct backend_config *config, int64_t deadline, struct backend **b_r,
                         struct buf *error)
{
    struct backend *b = backend_new(config);
    int r;

    if (deadline < b->end)
        b->end = deadline;
    while ((r = backend_step(b)) == BACKEND_WAIT) {
        struct pollfd p = {.fd = backend_fd(b), .events = (short)backend_events(b)};

        poll(&p, 1, clock_left(backend_deadline(b)));
    }
    if (r < 0 && error != NULL)
        buf_puts(error, backend_error(b));
    if (r < 0)
        backend_free(&b);
    *b_r = b;
    return r;
}

/* ---- the pool ---- */

int backend_reset_answer(struct backend *b)
{
    size_t unread;
    int r = b->is_nobodys ? ANSWER_DONE : read_answer(b, b->ops->reset_answer);

    if (r != ANSWER_DONE)
        return r == ANSWER_MORE ? 0 : r;
    b->is_nobodys = true;
    r = stream_layers_end(b->stream);
    stream_data(b->stream, &unread);
    if (r == ERR_AGAIN)
        return 0;
    if (r < 0 || unread > 0 || stream_fill(b->stream) != ERR_AGAIN || stream_unsent(b->stream) > 0)
        return ERR_PROTOCOL;
    sasl_cli_free(&b->sasl);
    return 1;
}

bool backend_is_reusable(const struct backend *b)
{
    return b->state == STATE_DONE && b->config.pooled && !b->preauth && b->ops->reset != NULL &&
           opt_int(OPT_PROXY_POOL_SIZE) > 0 && b->ops->has(b, "UNAUTHENTICATE");
}

void backend_give_back(struct backend **b)
{
    if (*b == NULL)
        return;
    if (!backend_is_reusable(*b)) {
        backend_free(b);
        return;
    }
    (*b)->ops->reset(*b);
    if (stream_flush((*b)->stream) != 0) {
        backend_free(b);
        return;
    }
    stream_park((*b)->stream);
    pool_put_connection(b);
}

/* ---- what there is ---- */

int backend_fd(const struct backend *b)
{
    return b->fd;
}

unsigned backend_events(const struct backend *b)
{
    return b->stream != NULL ? stream_poll_events(b->stream, true) : POLLOUT;
}

int64_t backend_deadline(const struct backend *b)
{
    return b->deadline;
}

struct stream *backend_stream(struct backend *b)
{
    return b->state == STATE_DONE ? b->stream : NULL;
}

const char *backend_capabilities(const struct backend *b)
{
    return b->state == STATE_DONE ? buf_cstr(&b->caps) : "";
}

bool backend_has(const struct backend *b, const char *capability)
{
    return b->ops->has(b, capability);
}

bool backend_literal_plus(const struct backend *b, uint64_t n)
{
    if (b->config.protocol == BACKEND_MUPDATE)
        return true;
    return backend_has(b, "LITERAL+") || (n <= 4096 && backend_has(b, "LITERAL-"));
}

const char *backend_server(const struct backend *b)
{
    return b->config.server;
}

const char *backend_greeting(const struct backend *b)
{
    return buf_cstr(&b->greeting);
}

bool backend_was_tried(const struct backend *b)
{
    return b->addresses != NULL || b->error != ERR_UNAVAILABLE;
}

const char *backend_error(const struct backend *b)
{
    return buf_cstr(&b->text);
}
