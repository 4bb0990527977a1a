#include "imap/login/login.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "imap/login/deny.h"
#include "imap/login/login-private.h"
#include "imap/login/proc.h"
#include "imap/login/proxy-header.h"
#include "imap/login/tally.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/pool.h"
#include "lib/base/ticker.h"
#include "lib/name/identity.h"
#include "lib/stream/stream.h"
#include "lib/stream/tls.h"

enum { DENY_LOOK_MS = 1000, DENY_SETTLED_S = 2 };

/* ---- users who are denied ---- */

static void wake(struct session *s, void *object, void *context)
{
    (void)object;
    (void)context;
    session_wake(s);
}

/* The last session's end waits for the lock, so that the engine is there while it is held. */
static void look_for_denials(void *context)
{
    struct login_service *service = context;
    int64_t changed = deny_changed();

    if (changed == service->denials_seen)
        return;
    /* two changes may have one time: look once more when it is past */
    if (clock_wall() - changed / INT64_C(1000000000) >= DENY_SETTLED_S)
        service->denials_seen = changed;
    atomic_fetch_add(&service->denials, 1);
    pthread_mutex_lock(&service->lock);
    if (service->connections > 0)
        engine_each(service->engine, wake, NULL);
    pthread_mutex_unlock(&service->lock);
}

static void count_connection(struct login_service *service, struct engine *e, int change)
{
    pthread_mutex_lock(&service->lock);
    service->connections += (unsigned)change;
    if (e != NULL)
        service->engine = e;
    pthread_mutex_unlock(&service->lock);
}

/* Does a session have to end, and why? */
static const char *now_denied(struct login *l)
{
    if (l->p->state != LOGIN_STATE_RUN || l->p->denials == atomic_load(&l->service->denials))
        return NULL;
    return auth_denied(l);
}

/* ---- a process ---- */

/* 0, or ERR_CONFIG where TLS is a must. */
static int service_tls(struct login_service *service, char **error_r)
{
    struct buf error = BUF_INIT;
    int r;

    if (!service->tls_always && !opt_switch(OPT_ALLOWSTARTTLS))
        return 0;
    r = tls_server_context(&service->tls, &error);
    if (r < 0 && service->tls_always) {
        *error_r = error.len > 0 ? buf_steal(&error) : xstrdup("tls_server_cert is not configured");
        return ERR_CONFIG;
    }
    if (r == ERR_CONFIG)
        LOG(LOG_ERR, LOGIN_TLS_CONFIG, LOG_STR(ERROR, buf_cstr(&error)));
    service->starttls = r == 0 && opt_switch(OPT_ALLOWSTARTTLS);
    buf_free(&error);
    return 0;
}

/* Without its database sessions are let in uncounted: a limit is no reason to lock everybody out. */
static void open_tally(struct login_service *service)
{
    struct tally_limits limits = {opt_int(OPT_MAXLOGINS_PER_USER), opt_int(OPT_MAXLOGINS_PER_HOST)};
    int r = service->ops->for_users ? tally_open(service->name, &limits, &service->tally) : 0;

    if (r < 0)
        LOG(LOG_ERR, LOGIN_TALLY, LOG_ERROR(r));
}

static char *short_host(void)
{
    const char *name = config_servername();

    return xstrndup(name, strcspn(name, ".:"));
}

int login_service_new(const struct login_config *config, struct login_service **service_r, char **error_r)
{
    struct login_service *service = xcalloc(1, sizeof(*service));
    int r;

    MAGIC_CHECK(config->ops, LOGIN_OPS_MAGIC);
    service->magic = LOGIN_SERVICE_MAGIC;
    pthread_mutex_init(&service->lock, NULL);
    service->name = xstrdup(config->service);
    service->ops = config->ops;
    service->context = config->context;
    service->tls_always = config->tls_always;
    service->proxies = config->proxies != NULL ? xstrdup(config->proxies) : NULL;
    service->tls_required = opt_switch(OPT_TLS_REQUIRED);
    service->failed_pause_ms = opt_duration_ms(OPT_FAILEDLOGINPAUSE);
    service->plain_pause_ms = opt_duration_ms(OPT_PLAINTEXTLOGINPAUSE);
    service->timeout_ms = opt_duration_ms(OPT_TIMEOUT);
    service->login_ms = config->login_ms > 0 ? config->login_ms : LOGIN_TIME_MAX_MS;
    service->handshake_ms = config->handshake_ms > 0 ? config->handshake_ms : LOGIN_HANDSHAKE_MS;
    service->host = short_host();
    r = service_tls(service, error_r);
    if (r == 0 && service->proxies != NULL && proxy_trusted_check(service->proxies) < 0) {
        *error_r = xstrdup("proxyprotocol is no list of addresses");
        r = ERR_CONFIG;
    }
    if (r < 0) {
        login_service_free(&service);
        return r;
    }
    service->proc = proc_open(opt_string(OPT_PROC_PATH), service->name);
    open_tally(service);
    service->denials_seen = deny_changed();
    r = ticker_start(DENY_LOOK_MS, look_for_denials, service, &service->ticker);
    if (r < 0)
        login_service_free(&service);
    *service_r = service;
    return r;
}

void login_service_free(struct login_service **service)
{
    if (*service == NULL)
        return;
    ticker_stop(&(*service)->ticker);
    pthread_mutex_destroy(&(*service)->lock);
    free((*service)->name);
    free((*service)->proxies);
    free((*service)->host);
    proc_close(&(*service)->proc);
    tally_close(&(*service)->tally);
    free(*service);
    *service = NULL;
}

void *login_service_context(const struct login_service *service)
{
    MAGIC_CHECK(service, LOGIN_SERVICE_MAGIC);
    return service->context;
}

/* ---- a connection: its beginning ---- */

/* The text of an address; an IPv4 address in IPv6 clothes is shown as what it is. */
static const char *address_text(struct pool *pool, const struct sockaddr_storage *address, unsigned *port_r)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
    char text[INET6_ADDRSTRLEN] = "";

    *port_r = 0;
    if (address->ss_family == AF_INET) {
        *port_r = ntohs(in->sin_port);
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
    } else if (address->ss_family == AF_INET6) {
        *port_r = ntohs(in6->sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
            inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], text, sizeof(text));
        else
            inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
    }
    return pool_strdup(pool, text);
}

/* A peer whose machine is gone without a word is noticed by the kernel, long before the inactivity timer. */
static void keep_alive(int fd)
{
    struct stream_probes probes = stream_probes_configured(false);

    if (opt_switch(OPT_TCP_KEEPALIVE))
        stream_probe_peer(fd, &probes);
}

static void find_addresses(struct login *l, int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t n = sizeof(address);

    getsockname(fd, (struct sockaddr *)&address, &n);
    l->local = address_text(l->pool, &address, &l->local_port);
    memset(&address, 0, sizeof(address));
    n = sizeof(address);
    getpeername(fd, (struct sockaddr *)&address, &n);
    l->peer = address_text(l->pool, &address, &l->peer_port);
}

static const char *session_id_make(struct pool *pool, const struct login_service *service, uint64_t number)
{
    uint64_t random;

    digest_random(&random, sizeof(random));
    return pool_printf(pool, "%s-%" PRId64 "-%d-%" PRIu64 "-%" PRIu64, service->host, clock_wall(),
                       (int)getpid(), number, random);
}

static struct login *login_new(struct login_service *service, int fd)
{
    struct login *l = xcalloc(1, sizeof(*l) + sizeof(*l->p));
    struct login_private *p = (struct login_private *)(l + 1);

    l->magic = LOGIN_MAGIC;
    l->service = service;
    l->ops = service->ops;
    l->p = p;
    l->pool = pool_new(256);
    find_addresses(l, fd);
    keep_alive(fd);
    l->stream = stream_new(fd);
    p->number = atomic_fetch_add(&service->sessions, 1) + 1;
    l->id = session_id_make(l->pool, service, p->number);
    p->state = LOGIN_STATE_GREETING;
    p->state_deadline = p->login_deadline = clock_deadline(service->login_ms);
    login_set_timeout(l, service->timeout_ms);
    return l;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void tls_begin(struct login *l)
{
    struct login_private *p = l->p;

    if (stream_tls_begin(l->stream, l->service->tls, true, NULL) < 0) {
        login_close(l);
        return;
    }
    p->state = LOGIN_STATE_HANDSHAKE;
    p->state_deadline = sooner(clock_deadline(l->service->handshake_ms), p->login_deadline);
}

static void begin(struct login *l)
{
    if (l->service->tls_always)
        tls_begin(l);
    else
        l->p->state = LOGIN_STATE_GREETING;
}

/* Does whoever connected speak for others? */
static bool is_proxy(const struct login *l)
{
    struct sockaddr_storage address = {0};
    socklen_t n = sizeof(address);

    return l->service->proxies != NULL &&
           getpeername(stream_fd(l->stream), (struct sockaddr *)&address, &n) == 0 &&
           proxy_trusted_has(l->service->proxies, &address);
}

static void await_proxy(struct login *l)
{
    l->p->state = LOGIN_STATE_PROXY;
    l->p->state_deadline = sooner(clock_deadline(l->service->handshake_ms), l->p->login_deadline);
}

static enum engine_verdict login_run(struct session *s, void *object);
static void login_end(struct session *s, void *object);

static const struct engine_ops login_engine_ops = {.name = "login", .run = login_run, .close = login_end};

void login_accept(struct engine *e, int fd, void *service)
{
    struct login *l;

    MAGIC_CHECK((struct login_service *)service, LOGIN_SERVICE_MAGIC);
    l = login_new(service, fd);
    count_connection(l->service, e, 1);
    if (is_proxy(l))
        await_proxy(l);
    else
        begin(l);
    session_new(e, &login_engine_ops, l, l->id);
}

static void login_end(struct session *s, void *object)
{
    struct login *l = object;

    MAGIC_CHECK(l, LOGIN_MAGIC);
    session_watch(s, 0, -1, 0);
    if (l->p->greeted)
        l->ops->close(l);
    LOG(LOG_DEBUG, LOGIN_END, LOG_INT(BYTES_IN, stream_bytes_in(l->stream)),
        LOG_INT(BYTES_OUT, stream_bytes_out(l->stream)));
    trace_proc_remove(l);
    auth_uncount(l);
    count_connection(l->service, NULL, -1);
    stream_free(&l->stream);
    buf_free(&l->p->header);
    auth_free(l);
    identity_free(&l->identity);
    pool_free(&l->pool);
    l->magic = 0;
    free(l);
}

/* ---- waiting ---- */

/* Bytes that passed since the last look put the end of patience off. */
static void note_activity(struct login *l)
{
    struct login_private *p = l->p;
    uint64_t bytes = stream_bytes_in(l->stream) + stream_bytes_out(l->stream);

    if (bytes == p->bytes_seen)
        return;
    p->bytes_seen = bytes;
    p->idle_deadline = clock_deadline(p->timeout_ms);
}

enum engine_verdict login_park(struct login *l, bool want_input, int64_t deadline)
{
    struct login_private *p = l->p;
    bool had_output = stream_unsent(l->stream) > 0;
    int r = stream_flush(l->stream);

    if (r < 0 && r != ERR_AGAIN)
        return ENGINE_CLOSE;
    if (want_input && stream_has_input(l->stream))
        return ENGINE_AGAIN;
    /* Who waits for room has it, if the client has just read: nothing would wake him for it. */
    if (!want_input && had_output && stream_unsent(l->stream) == 0)
        return ENGINE_AGAIN;
    note_activity(l);
    session_watch(l->session, 0, stream_fd(l->stream), stream_poll_events(l->stream, want_input));
    deadline = sooner(deadline, p->state == LOGIN_STATE_RUN ? p->idle_deadline : p->state_deadline);
    session_set_deadline(l->session, deadline);
    stream_park(l->stream);
    return ENGINE_PARK;
}

void login_set_timeout(struct login *l, int64_t ms)
{
    l->p->timeout_ms = ms;
    l->p->idle_deadline = clock_deadline(ms);
}

enum engine_verdict login_fill_or_park(struct login *l)
{
    int r = stream_fill(l->stream);

    if (r > 0)
        return ENGINE_AGAIN;
    if (r == ERR_AGAIN)
        return login_park(l, true, CLOCK_NEVER);
    if (r == ERR_TOOBIG)
        return login_bye(l, "Line too long");
    return ENGINE_CLOSE;
}

/* ---- the end ---- */

enum engine_verdict login_close(struct login *l)
{
    struct login_private *p = l->p;

    if (p->state < LOGIN_STATE_CLOSING) {
        p->state = LOGIN_STATE_CLOSING;
        p->state_deadline = clock_deadline(LOGIN_CLOSE_MS);
    }
    return ENGINE_AGAIN;
}

enum engine_verdict login_bye(struct login *l, const char *text)
{
    if (l->p->greeted && l->p->state < LOGIN_STATE_CLOSING)
        l->ops->bye(l, text);
    return login_close(l);
}

static enum engine_verdict step_closing(struct login *l)
{
    struct login_private *p = l->p;
    int r = stream_flush(l->stream);

    if (r == ERR_AGAIN && clock_ms() < p->state_deadline)
        return login_park(l, false, CLOCK_NEVER);
    if (r < 0 || !stream_is_unread(l->stream))
        return ENGINE_CLOSE;
    stream_end(l->stream);
    p->state = LOGIN_STATE_LINGER;
    p->state_deadline = clock_deadline(LOGIN_LINGER_MS);
    p->linger_left = LOGIN_LINGER_MAX;
    return ENGINE_AGAIN;
}

static enum engine_verdict step_linger(struct login *l)
{
    struct login_private *p = l->p;

    if (stream_drop(l->stream, &p->linger_left) != ERR_AGAIN || clock_ms() >= p->state_deadline)
        return ENGINE_CLOSE;
    return login_park(l, true, CLOCK_NEVER);
}

/* ---- TLS ---- */

bool login_may_starttls(const struct login *l)
{
    return l->service->starttls && !stream_is_tls(l->stream) && !login_is_authenticated(l);
}

bool login_is_tls(const struct login *l)
{
    return stream_is_tls(l->stream);
}

void login_starttls(struct login *l)
{
    BUG_ON(!login_may_starttls(l));
    l->p->state = LOGIN_STATE_STARTTLS;
}

static enum engine_verdict step_starttls(struct login *l)
{
    int r = stream_flush(l->stream);

    if (r == ERR_AGAIN)
        return login_park(l, false, CLOCK_NEVER);
    if (r < 0)
        return ENGINE_CLOSE;
    tls_begin(l);
    return ENGINE_AGAIN;
}

static enum engine_verdict handshake_done(struct login *l)
{
    struct login_private *p = l->p;

    p->state_deadline = p->login_deadline;
    if (!p->greeted) {
        p->state = LOGIN_STATE_GREETING;
        return ENGINE_AGAIN;
    }
    p->state = LOGIN_STATE_COMMAND;
    auth_forget(l);
    if (l->ops->tls_started != NULL)
        l->ops->tls_started(l);
    return ENGINE_AGAIN;
}

static enum engine_verdict step_handshake(struct login *l)
{
    int r = stream_handshake(l->stream);

    if (r == ERR_AGAIN)
        return login_park(l, true, CLOCK_NEVER);
    if (r == 0)
        return handshake_done(l);
    LOG(LOG_INFO, LOGIN_TLS, LOG_STR(PEER, l->peer), LOG_STR(ERROR, stream_error(l->stream)));
    return ENGINE_CLOSE;
}

/* ---- the PROXY protocol ---- */

/* Not a byte more than the header's is taken.  1: it is whole; else as recv(2)'s outcome. */
static int receive_header(struct login *l)
{
    struct buf *header = &l->p->header;
    int need;

    while ((need = proxy_header_need(buf_cstr(header), header->len)) > 0) {
        char *to = buf_reserve(header, (size_t)need);
        ssize_t n = recv(stream_fd(l->stream), to, (size_t)need, 0);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return ERR_AGAIN;
        if (n <= 0)
            return ERR_EOF;
        buf_added(header, (size_t)n);
    }
    return need == 0 ? 1 : need;
}

/* Logs and limits are to see the client, not who brought it. */
static enum engine_verdict step_proxy(struct login *l)
{
    struct buf *header = &l->p->header;
    struct sockaddr_storage client, local;
    int r = receive_header(l);

    if (r == ERR_AGAIN)
        return login_park(l, true, CLOCK_NEVER);
    if (r == 1)
        r = proxy_header_read(buf_cstr(header), header->len, &client, &local);
    if (r < 0) {
        LOG(LOG_NOTICE, LOGIN_PROXY, LOG_STR(PEER, l->peer), LOG_ERROR(r));
        return ENGINE_CLOSE;
    }
    if (r == 1) {
        l->peer = address_text(l->pool, &client, &l->peer_port);
        l->local = address_text(l->pool, &local, &l->local_port);
    }
    buf_free(header);
    l->p->state_deadline = l->p->login_deadline;
    begin(l);
    return ENGINE_AGAIN;
}

/* ---- before login ---- */

static enum engine_verdict step_greeting(struct login *l)
{
    enum engine_verdict verdict;

    l->p->state = LOGIN_STATE_COMMAND;
    l->p->greeted = true;
    verdict = l->ops->greeting(l);
    if (verdict == ENGINE_AGAIN && l->identity != NULL)
        return login_enter(l);
    return verdict;
}

static enum engine_verdict step_command(struct login *l)
{
    enum engine_verdict verdict;

    if (session_stopping(l->session))
        return login_bye(l, "Server is shutting down");
    if (l->p->commands >= LOGIN_COMMANDS_MAX)
        return login_bye(l, "Too many commands before login");
    if (l->p->bad >= LOGIN_BAD_MAX)
        return login_bye(l, "Too many invalid commands");
    verdict = l->ops->command(l);
    if (verdict == ENGINE_PARK)
        return login_fill_or_park(l);
    l->p->commands++;
    return verdict;
}

void login_note_bad(struct login *l)
{
    l->p->bad++;
}

/* ---- afterwards ---- */

bool login_is_authenticated(const struct login *l)
{
    return l->identity != NULL;
}

enum engine_verdict login_enter(struct login *l)
{
    l->p->state = LOGIN_STATE_RUN;
    if (l->p->sasl != NULL && l->ssf == 0)
        auth_free(l);
    login_set_timeout(l, l->service->timeout_ms);
    trace_telemetry(l);
    login_proc(l, NULL, NULL);
    return l->ops->authenticated(l);
}

/* ---- and before again ---- */

enum engine_verdict login_unauthenticate(struct login *l)
{
    BUG_ON(l->ops->restart == NULL || l->p->state != LOGIN_STATE_RUN);
    l->p->state = LOGIN_STATE_RESET;
    l->p->state_deadline = l->p->login_deadline = clock_deadline(l->service->login_ms);
    return ENGINE_AGAIN;
}

/* The pool keeps what is the connection's. */
static void renew_pool(struct login *l)
{
    struct pool *old = l->pool;

    l->pool = pool_new(256);
    l->id = pool_strdup(l->pool, l->id);
    l->local = pool_strdup(l->pool, l->local);
    l->peer = pool_strdup(l->pool, l->peer);
    pool_free(&old);
}

static void forget_user(struct login *l)
{
    struct login_private *p = l->p;

    session_watch_file(l->session, NULL);
    stream_set_telemetry(l->stream, -1);
    trace_proc_remove(l);
    auth_uncount(l);
    auth_free(l);
    identity_free(&l->identity);
    l->authid = l->mech = NULL;
    l->ssf = 0;
    p->outcome = (struct login_result){0};
    p->commands = 0;
    p->number = atomic_fetch_add(&l->service->sessions, 1) + 1; /* for the next telemetry file */
    renew_pool(l);
}

static enum engine_verdict step_reset(struct login *l)
{
    int r = stream_layers_end(l->stream);

    if (r == ERR_AGAIN)
        return login_park(l, true, CLOCK_NEVER);
    if (r < 0)
        return login_close(l);
    LOG(LOG_DEBUG, LOGIN_RESET, LOG_STR(USER, l->identity->userid));
    l->ops->close(l);
    forget_user(l);
    l->p->state = LOGIN_STATE_COMMAND;
    l->ops->restart(l);
    return ENGINE_AGAIN;
}

/* ---- the engine's run() ---- */

/* A handshake, a login or a client that takes too long.  An event of the client at the same time
 * counts for the client. */
static bool is_overdue(const struct login *l)
{
    const struct login_private *p = l->p;
    int64_t now = session_run_began(l->session);

    if (p->state >= LOGIN_STATE_CLOSING)
        return false;
    if (p->state != LOGIN_STATE_RUN)
        return now >= p->state_deadline;
    return now >= p->idle_deadline && !session_ready(l->session, 0);
}

static enum engine_verdict give_up(struct login *l)
{
    LOG(LOG_INFO, LOGIN_TIMEOUT, LOG_STR(PEER, l->peer));
    if (l->p->state == LOGIN_STATE_HANDSHAKE || l->p->state == LOGIN_STATE_PROXY)
        return ENGINE_CLOSE;
    return login_bye(l, login_is_authenticated(l) ? "Idle for too long" : "No login in time");
}

static enum engine_verdict login_step(struct login *l)
{
    switch (l->p->state) {
    case LOGIN_STATE_PROXY:
        return step_proxy(l);
    case LOGIN_STATE_HANDSHAKE:
        return step_handshake(l);
    case LOGIN_STATE_GREETING:
        return step_greeting(l);
    case LOGIN_STATE_COMMAND:
        return step_command(l);
    case LOGIN_STATE_STARTTLS:
        return step_starttls(l);
    case LOGIN_STATE_SASL:
        return auth_step_sasl(l);
    case LOGIN_STATE_ANSWER:
        return auth_step_answer(l);
    case LOGIN_STATE_LAYER:
        return auth_step_layer(l);
    case LOGIN_STATE_RUN:
        return l->ops->run(l);
    case LOGIN_STATE_RESET:
        return step_reset(l);
    case LOGIN_STATE_LINGER:
        return step_linger(l);
    case LOGIN_STATE_CLOSING:
        break;
    }
    return step_closing(l);
}

static enum engine_verdict login_run(struct session *s, void *object)
{
    struct login *l = object;
    enum engine_verdict verdict = ENGINE_AGAIN;
    const char *denied;

    MAGIC_CHECK(l, LOGIN_MAGIC);
    l->session = s;
    note_activity(l);
    denied = now_denied(l);
    if (denied != NULL)
        verdict = login_bye(l, denied);
    else if (is_overdue(l))
        verdict = give_up(l);
    while (verdict == ENGINE_AGAIN && !session_slice_over(s))
        verdict = login_step(l);
    return verdict;
}
