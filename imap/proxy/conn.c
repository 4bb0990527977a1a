#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "imap/proxy/proxy-private.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/engine/engine.h"
#include "lib/name/identity.h"

static void unwatch(struct proxy_leg *p)
{
    if (p->watched_fd >= 0)
        session_watch(p->leg.client->session, (unsigned)p->slot, -1, 0);
    p->watched_fd = -1;
}

static void watch(struct proxy_leg *p, int fd, unsigned events)
{
    if (fd != p->watched_fd)
        unwatch(p);
    if (fd < 0)
        return;
    session_watch(p->leg.client->session, (unsigned)p->slot, fd, events);
    p->watched_fd = fd;
}

static void close_connection(struct proxy_leg *p)
{
    unwatch(p);
    if (p->slot >= 0)
        client_slot_put(p->leg.client, p->slot);
    p->slot = -1;
    p->stream = NULL;
    backend_free(&p->backend);
    buf_free(&p->line);
    p->line_complete = p->drop = false;
    p->tag = p->open = p->ignore = 0;
    p->phase = 0;
}

void proxy_disconnect(struct proxy_leg *p, const char *why)
{
    bool lost = p->selected;

    if (p->backend != NULL && lost)
        LOG(LOG_WARNING, PROXY_LOST, LOG_STR(SERVER, p->leg.server), LOG_STR(ERROR, why));
    p->selected = false;
    close_connection(p);
    if (lost)
        client_selection_lost(p->leg.client);
}

int proxy_fail(struct proxy_leg *p, struct command *cmd, int error)
{
    const char *why = p->backend != NULL ? backend_error(p->backend) : "";

    if (*why == '\0')
        why = error_text(error);
    cmd->failure = pool_printf(cmd->pool, "[UNAVAILABLE] Server %s: %s", p->leg.server, why);
    proxy_disconnect(p, why);
    return ERR_UNAVAILABLE;
}

/* A connection that was kept may have ended meanwhile: what has arrived tells. */
static void check_kept(struct proxy_leg *p)
{
    int r = stream_fill(p->stream);

    if (r < 0 && r != ERR_AGAIN && r != ERR_TOOBIG)
        proxy_disconnect(p, error_text(r));
}

static int open_connection(struct proxy_leg *p, struct command *cmd)
{
    struct client *c = p->leg.client;
    const struct backend_config config = {
        .protocol = BACKEND_IMAP,
        .server = p->leg.server,
        .authzid = c->identity->userid,
    };

    p->slot = client_slot_get(c);
    if (p->slot < 0) {
        cmd->failure = "[LIMIT] Too many servers in use by this session";
        return ERR_UNAVAILABLE;
    }
    p->backend = backend_new(&config);
    return 0;
}

int proxy_connect(struct proxy_leg *p, struct command *cmd)
{
    int r;

    if (p->stream != NULL && p->open == 0)
        check_kept(p);
    if (p->stream != NULL)
        return 0;
    if (p->backend == NULL && (r = open_connection(p, cmd)) < 0)
        return r;
    while ((r = backend_step(p->backend)) == BACKEND_MORE)
        ;
    if (r == BACKEND_DONE) {
        p->stream = backend_stream(p->backend);
        imap_reader_init(&p->reader, p->stream);
        return 0;
    }
    if (r < 0)
        return proxy_fail(p, cmd, r);
    watch(p, backend_fd(p->backend), backend_events(p->backend));
    cmd->wake_at = backend_deadline(p->backend);
    return ERR_AGAIN;
}

void proxy_abandon(struct proxy_leg *p)
{
    if (p->open == 0)
        return;
    p->ignore = p->open;
    p->open = 0;
    p->drop = true;
}

void proxy_begin(struct proxy_leg *p)
{
    proxy_abandon(p);
    p->open = ++p->tag;
    stream_printf(p->stream, "P%u ", p->open);
    p->silent_at = clock_deadline(PROXY_SILENCE_MS);
}

void proxy_arm(struct proxy_leg *p, struct command *cmd, bool input)
{
    watch(p, stream_fd(p->stream), stream_poll_events(p->stream, input));
    stream_park(p->stream);
    cmd->wake_at = p->silent_at;
}

void proxy_rest(struct proxy_leg *p)
{
    if (p->stream == NULL)
        return;
    /* Without a selection nobody looks at what the backend says meanwhile: proxy_connect() will. */
    if (p->selected)
        watch(p, stream_fd(p->stream), stream_poll_events(p->stream, true));
    else
        unwatch(p);
    stream_park(p->stream);
    buf_free(&p->line);
    p->line_complete = false;
}

int proxy_push(struct proxy_leg *p, struct command *cmd)
{
    int r = stream_flush(p->stream);

    if (r < 0 && r != ERR_AGAIN)
        return proxy_fail(p, cmd, r);
    if (stream_unsent(p->stream) < STREAM_OUT_HIGH) {
        p->silent_at = clock_deadline(PROXY_SILENCE_MS);
        return 0;
    }
    if (clock_ms() >= p->silent_at)
        return proxy_fail(p, cmd, ERR_TIMEOUT);
    proxy_arm(p, cmd, false);
    return ERR_AGAIN;
}

/* ---- the leg ---- */

static void leg_close(struct leg *leg)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;

    p->selected = false;
    close_connection(p);
    free(p);
}

static int leg_sync(struct leg *leg, bool expunges)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;
    const char *text;
    size_t len;

    (void)expunges; /* a backend says them only where they are allowed */
    if (p->stream == NULL)
        return 0;
    switch (proxy_relay(p, leg->client->stream, &text, &len)) {
    case REPLY_BLOCKED:
        return ERR_AGAIN;
    case REPLY_NONE:
        break;
    default:
        proxy_disconnect(p, "unexpected answer");
        return 0;
    }
    proxy_rest(p);
    return 0;
}

static int64_t leg_between(struct leg *leg)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;

    if (p->stream != NULL)
        leg_sync(leg, false);
    else if (p->backend != NULL)
        proxy_disconnect(p, "closed");
    return CLOCK_NEVER;
}

static void leg_unselect(struct leg *leg)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;

    if (!p->selected || p->stream == NULL)
        return;
    p->selected = false;
    if (!backend_has(p->backend, "UNSELECT")) {
        close_connection(p);
        return;
    }
    proxy_begin(p);
    stream_puts(p->stream, "UNSELECT\r\n");
    proxy_abandon(p);
    stream_flush(p->stream);
}

const struct leg_ops proxy_leg_ops = {
    .name = "proxy",
    .close = leg_close,
    .start = proxy_start,
    .sync = leg_sync,
    .poll = proxy_poll,
    .unselect = leg_unselect,
    .between = leg_between,
    .idle_start = proxy_idle_start,
    .idle_run = proxy_idle_run,
    .idle_stop = proxy_idle_stop,
    .source_open = proxy_source_open,
    .source_next = proxy_source_next,
    .source_read = proxy_source_read,
    .source_close = proxy_source_close,
    .expunge_uids = proxy_expunge_uids,
    .may_expunge = proxy_may_expunge,
    .sink_open = proxy_sink_open,
    .sink_write = proxy_sink_write,
    .sink_commit = proxy_sink_commit,
    .sink_close = proxy_sink_close,
    .undo = proxy_undo,
    .lsub = proxy_lsub,
};

struct leg *proxy_leg_new(struct client *c, const char *server)
{
    struct proxy_leg *p = xcalloc(1, sizeof(*p));

    BUG_ON(server == NULL);
    p->leg = (struct leg){
        .magic = LEG_MAGIC, .ops = &proxy_leg_ops, .client = c, .server = pool_strdup(c->pool, server)};
    p->slot = p->watched_fd = -1;
    return &p->leg;
}
