/* The backends of a transaction: each gets the message for its own recipients, all at the same time. */
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "imap/lmtp/relay/relay-private.h"
#include "lib/backend/backend.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/engine/engine.h"
#include "lib/smtp/lmtp.h"

struct leg {
    struct leg *next;
    const char *server;
    bool ignore_quota; /* of all its recipients: LMTP has it by recipient, lib/smtp by message */
    enum { LEG_CONNECTING, LEG_TALKING, LEG_OVER } phase;
    struct link link;
    bool rested;     /* the connection was used before: it may have died unnoticed */
    bool read_begun; /* the message has begun to go out */
    int watched;     /* the descriptor in the epoll; -1 */
    unsigned events;
    int64_t deadline; /* for everything */
    const struct spool *spool;
};

/* ---- what the session waits for ---- */

static void unwatch(struct relay_state *s, struct leg *leg)
{
    if (leg->watched >= 0)
        epoll_ctl(s->epoll, EPOLL_CTL_DEL, leg->watched, NULL);
    leg->watched = -1;
}

/* 0, or ERR_LIMIT: the kernel takes no more. */
static int watch(struct relay_state *s, struct leg *leg, int fd, unsigned events)
{
    struct epoll_event e = {.events = (events & POLLIN ? EPOLLIN : 0) | (events & POLLOUT ? EPOLLOUT : 0)};

    if (fd == leg->watched && events == leg->events)
        return 0;
    unwatch(s, leg);
    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) < 0)
        return ERR_LIMIT;
    leg->watched = fd;
    leg->events = events;
    return 0;
}

/* ---- a leg ---- */

static bool serves(const struct leg *leg, const struct lmtpd_rcpt *r)
{
    return strcmp(r->target, leg->server) == 0 && r->ignore_quota == leg->ignore_quota;
}

static ssize_t read_message(void *context, int64_t offset, void *to, size_t n)
{
    struct leg *leg = context;

    leg->read_begun = true;
    return spool_read(leg->spool, offset, to, n);
}

static void leg_end(struct relay_state *s, struct leg *leg)
{
    unwatch(s, leg);
    link_close(&leg->link, false);
    leg->phase = LEG_OVER;
}

/* The leg came to nothing: its recipients are told to try again later. */
static void leg_fail(struct lmtpd_txn *txn, struct relay_state *s, struct leg *leg, int error)
{
    const char *why = leg->link.backend != NULL ? backend_error(leg->link.backend) : "";

    LOG(LOG_WARNING, LMTP_BACKEND, LOG_STR(SERVER, leg->server),
        LOG_STR(ERROR, why[0] != '\0' ? why : error_text(error)));
    leg_end(s, leg);
    for (struct lmtpd_rcpt *r = txn->rcpts; r != NULL; r = r->next) {
        if (serves(leg, r))
            lmtpd_answer_error(txn, r, ERR_UNAVAILABLE);
    }
}

static void connect_leg(struct relay_state *s, struct leg *leg)
{
    const struct backend_config config = {.protocol = BACKEND_LMTP, .server = leg->server};

    leg->phase = LEG_CONNECTING;
    leg->rested = links_take(s->relay->links, leg->server, &leg->link);
    if (!leg->rested)
        leg->link.backend = backend_new(&config);
}

/* The server does not take such messages (RFC 6531 section 3.5, RFC 3030 section 3): its recipients are told, the
 * connection is as good as before. */
static void leg_refuse(struct lmtpd_txn *txn, struct relay_state *s, struct leg *leg, int code,
                       const char *enhanced, const char *text)
{
    for (struct lmtpd_rcpt *r = txn->rcpts; r != NULL; r = r->next) {
        if (serves(leg, r))
            lmtpd_answer(txn, r, code, enhanced, "%s", text);
    }
    unwatch(s, leg);
    links_put(s->relay->links, leg->server, &leg->link);
    leg_end(s, leg);
}

/* Connected: hands the envelope over. */
static void begin_talk(struct lmtpd_txn *txn, struct relay_state *s, struct leg *leg)
{
    struct backend *b = leg->link.backend;
    struct smtp_caps caps;
    struct lmtp_message message = {
        .from = txn->from,
        .body_8bit = txn->body_8bit,
        .chunked = true,
        .binary = txn->body_binary,
        .utf8 = txn->utf8,
        .auth_empty = true,
        .ignore_quota = leg->ignore_quota,
        .size = (uint64_t)txn->size,
        .read = read_message,
        .context = leg,
    };

    smtp_caps_parse(&caps, backend_capabilities(b));
    if (leg->link.lmtp == NULL)
        leg->link.lmtp = lmtp_new(backend_stream(b), &caps, NULL);
    if (txn->utf8 && !caps.smtputf8) {
        leg_refuse(txn, s, leg, 550, "5.6.7", "The mailbox's server does not take SMTPUTF8");
        return;
    }
    if (txn->body_binary && !(caps.chunking && caps.binarymime)) {
        leg_refuse(txn, s, leg, 554, "5.6.3", "The mailbox's server does not take BINARYMIME");
        return;
    }
    lmtp_begin(leg->link.lmtp, &message);
    for (const struct lmtpd_rcpt *r = txn->rcpts; r != NULL; r = r->next) {
        if (serves(leg, r))
            lmtp_rcpt_from(leg->link.lmtp, r->names.forward, r->original);
    }
    leg->phase = LEG_TALKING;
}

/* A backend does not know a mailbox that the list has there: it is being moved or deleted; whether it is gone
 * is for the master to say at the next attempt. */
static bool is_unknown(const struct lmtp_result *result)
{
    return result->code == 550 && (result->enhanced[0] == '\0' || strncmp(result->enhanced, "5.1.", 4) == 0);
}

static void take_results(struct lmtpd_txn *txn, const struct leg *leg)
{
    unsigned i = 0;

    for (struct lmtpd_rcpt *r = txn->rcpts; r != NULL; r = r->next) {
        struct lmtp_result result;

        if (!serves(leg, r))
            continue;
        result = lmtp_result_get(leg->link.lmtp, i++);
        if (result.accepted)
            lmtpd_answer(txn, r, 250, "2.1.5", "Ok");
        else if (is_unknown(&result))
            lmtpd_answer(txn, r, 451, "4.2.1", "The mailbox is not where it was");
        else
            lmtpd_answer(txn, r, result.code / 100 == 2 ? 451 : result.code,
                         pool_strdup(txn->pool, result.enhanced), "%s", result.text);
    }
}

/* A step of connecting: LMTPD_DONE when nothing more is to be done with the leg now. */
static enum lmtpd_verdict step_connecting(struct lmtpd_txn *txn, struct relay_state *s, struct leg *leg)
{
    struct backend *b = leg->link.backend;
    int r = leg->rested ? BACKEND_DONE : backend_step(b);

    if (r == BACKEND_DONE)
        begin_talk(txn, s, leg);
    if (r == BACKEND_WAIT)
        r = watch(s, leg, backend_fd(b), backend_events(b)) < 0 ? ERR_LIMIT : BACKEND_WAIT;
    if (r < 0)
        leg_fail(txn, s, leg, r);
    return r == BACKEND_WAIT ? LMTPD_WAIT : LMTPD_MORE;
}

static enum lmtpd_verdict step_talking(struct lmtpd_txn *txn, struct relay_state *s, struct leg *leg)
{
    int r = lmtp_step(leg->link.lmtp);

    if (r == LMTP_MORE)
        return LMTPD_MORE;
    if (r == LMTP_WAIT && watch(s, leg, backend_fd(leg->link.backend), lmtp_events(leg->link.lmtp)) == 0)
        return LMTPD_WAIT;
    unwatch(s, leg);
    if (r < 0 && leg->rested && !leg->read_begun) { /* it died while it rested */
        link_close(&leg->link, false);
        connect_leg(s, leg);
        return LMTPD_MORE;
    }
    if (r == LMTP_WAIT) {
        leg_fail(txn, s, leg, ERR_LIMIT);
        return LMTPD_MORE;
    }
    take_results(txn, leg);
    if (r == LMTP_DONE)
        links_put(s->relay->links, leg->server, &leg->link);
    else
        LOG(LOG_WARNING, LMTP_BACKEND, LOG_STR(SERVER, leg->server), LOG_ERROR(r));
    leg_end(s, leg);
    return LMTPD_MORE;
}

static enum lmtpd_verdict step_leg(struct lmtpd_txn *txn, struct relay_state *s, struct leg *leg)
{
    if (leg->phase != LEG_OVER && clock_ms() >= leg->deadline)
        leg_fail(txn, s, leg, ERR_TIMEOUT);
    switch (leg->phase) {
    case LEG_CONNECTING:
        return step_connecting(txn, s, leg);
    case LEG_TALKING:
        return step_talking(txn, s, leg);
    default:
        return LMTPD_DONE;
    }
}

/* ---- all of them ---- */

static bool has_leg(const struct relay_state *s, const struct lmtpd_rcpt *r)
{
    const struct leg *leg = s->legs;

    while (leg != NULL && !serves(leg, r))
        leg = leg->next;
    return leg != NULL;
}

static int make_legs(struct lmtpd_txn *txn, struct relay_state *s)
{
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll < 0)
        return ERR_LIMIT;
    for (const struct lmtpd_rcpt *r = txn->rcpts; r != NULL; r = r->next) {
        struct leg *leg;

        if (has_leg(s, r))
            continue;
        leg = pool_alloc(txn->pool, sizeof(*leg));
        leg->server = r->target;
        leg->ignore_quota = r->ignore_quota;
        leg->spool = &s->spool;
        leg->watched = -1;
        leg->deadline = clock_deadline(opt_duration_ms(OPT_LMTPTXN_TIMEOUT));
        leg->next = s->legs;
        s->legs = leg;
        connect_leg(s, leg);
    }
    session_watch(txn->session, LMTPD_SLOT, s->epoll, POLLIN);
    return 0;
}

enum lmtpd_verdict relay_legs_step(struct lmtpd_txn *txn, struct relay_state *s)
{
    enum lmtpd_verdict all = LMTPD_DONE;

    if (s->epoll < 0 && make_legs(txn, s) < 0) {
        for (struct lmtpd_rcpt *r = txn->rcpts; r != NULL; r = r->next)
            lmtpd_answer_error(txn, r, ERR_LIMIT);
        return LMTPD_DONE;
    }
    for (struct leg *leg = s->legs; leg != NULL; leg = leg->next) {
        enum lmtpd_verdict v = step_leg(txn, s, leg);

        if (v == LMTPD_MORE || (v == LMTPD_WAIT && all == LMTPD_DONE))
            all = v;
    }
    return all;
}

int64_t relay_legs_deadline(const struct relay_state *s)
{
    int64_t first = CLOCK_NEVER;

    for (const struct leg *leg = s->legs; leg != NULL; leg = leg->next) {
        int64_t own = leg->deadline, step;

        if (leg->phase == LEG_OVER)
            continue;
        step =
            leg->phase == LEG_TALKING ? lmtp_deadline(leg->link.lmtp) : backend_deadline(leg->link.backend);
        own = step < own ? step : own;
        first = own < first ? own : first;
    }
    return first;
}

void relay_legs_end(struct lmtpd_txn *txn, struct relay_state *s)
{
    if (s->epoll < 0)
        return;
    session_watch(txn->session, LMTPD_SLOT, -1, 0);
    for (struct leg *leg = s->legs; leg != NULL; leg = leg->next) {
        if (leg->phase != LEG_OVER)
            leg_end(s, leg);
    }
    close(s->epoll);
    s->epoll = -1;
    s->legs = NULL;
}
