#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "imap/proxy/offers.h"
#include "imap/proxy/proxy-private.h"
#include "imap/session/enable.h"
#include "imap/session/notify.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/engine/engine.h"
#include "lib/name/identity.h"

/* A connection has a slot of the engine only while somebody waits for it: of the servers that a session may
 * talk to there are more than slots. */
static void unwatch(struct proxy_leg *p)
{
    if (p->slot >= 0)
        client_slot_put(p->leg.client, p->slot);
    p->slot = -1;
}

/* A free slot.  Those that only watch (NOTIFY) give theirs up to one that has work. */
static int get_slot(struct proxy_leg *p)
{
    struct client *c = p->leg.client;
    int slot = client_slot_get(c);

    for (struct leg *leg = c->legs; leg != NULL && slot < 0; leg = leg->next) {
        struct proxy_leg *other = (struct proxy_leg *)leg;

        if (leg->ops != &proxy_leg_ops || other == p || !other->watching || other->selected ||
            other->open != 0)
            continue;
        unwatch(other);
        slot = client_slot_get(c);
    }
    return slot;
}

static void watch(struct proxy_leg *p, int fd, unsigned events)
{
    if (fd < 0) {
        unwatch(p);
        return;
    }
    if (p->slot < 0)
        p->slot = get_slot(p);
    BUG_ON(p->slot < 0);
    session_watch(p->leg.client->session, (unsigned)p->slot, fd, events);
}

static void close_connection(struct proxy_leg *p)
{
    unwatch(p);
    p->stream = NULL;
    backend_free(&p->backend);
    buf_free(&p->line);
    p->line_complete = p->drop = false;
    p->tag = p->open = p->last = p->ignore = p->enable_tag = 0;
    p->enabled = 0;
    p->lull_at = 0;
    p->unselecting = false;
    p->watching = p->linking = p->listing = p->news = false;
    p->notify_number = 0;
    p->notify_print = 0;
    p->notify_tag = p->unheard = 0;
    p->left = false;
    p->phase = 0;
    if (p->passing)
        client_bye(p->leg.client, "UNAVAILABLE", "The mailbox's server went away in the middle of an answer");
    p->passing = false;
}

void proxy_release(struct proxy_leg *p)
{
    bool at_rest = p->stream != NULL && p->open == 0 && (p->ignore == 0 || p->unselecting) &&
                   p->notify_tag == 0 && p->unheard == 0 && !p->passing && imap_reader_end(&p->reader);

    if (at_rest) {
        unwatch(p);
        p->stream = NULL;
        backend_give_back(&p->backend);
    }
    close_connection(p);
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
    if (p->stream == NULL && p->backend != NULL && backend_was_tried(p->backend))
        LOG(LOG_WARNING, PROXY_AWAY, LOG_STR(SERVER, p->leg.server), LOG_STR(ERROR, why));
    cmd->failure = pool_printf(cmd->pool, "[UNAVAILABLE] Server %s: %s", p->leg.server, why);
    proxy_disconnect(p, why);
    return ERR_UNAVAILABLE;
}

/* Is a command meaningless on a connection without the selection? */
static bool needs_selection(const struct command *cmd)
{
    switch (cmd->def->id) {
    case COMMAND_CHECK:
    case COMMAND_COPY:
    case COMMAND_IDLE:
    case COMMAND_MOVE:
    case COMMAND_NOOP:
    case COMMAND_REPLACE:
        return true;
    default:
        return cmd->def->route == ROUTE_SELECTED;
    }
}

/* A connection that was kept may have ended meanwhile: all that has arrived tells, a BYE before the end too. */
static int check_kept(struct proxy_leg *p, struct command *cmd)
{
    bool selected = p->selected;
    const char *text;
    size_t len;
    enum reply reply = proxy_relay(p, selected ? p->leg.client->stream : NULL, &text, &len);

    if (reply == REPLY_NONE || reply == REPLY_BLOCKED)
        return 0;
    proxy_disconnect(p, "closed by the server");
    if (!selected || !needs_selection(cmd))
        return 0;
    cmd->failure = CLIENT_LOST_TEXT;
    return ERR_UNAVAILABLE;
}

static void open_connection(struct proxy_leg *p)
{
    const struct backend_config config = {
        .protocol = BACKEND_IMAP,
        .server = p->leg.server,
        .authzid = p->leg.client->identity->userid,
        .pooled = true,
    };

    p->backend = backend_new(&config);
}

/* With one of these enabled names are UTF-8: a server that lacks it would take them for others. */
static int check_names(struct proxy_leg *p, struct command *cmd)
{
    static const enum enable_bit bits[] = {ENABLE_BIT_IMAP4REV2, ENABLE_BIT_UTF8};

    for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
        if (!enable_is_on(p->leg.client, 1u << bits[i]) || backend_has(p->backend, enable_name(bits[i])))
            continue;
        cmd->failure = pool_printf(cmd->pool, "[CANNOT] Server %s does not have %s", p->leg.server,
                                   enable_name(bits[i]));
        return ERR_REFUSED;
    }
    return 0;
}

int proxy_connect(struct proxy_leg *p, struct command *cmd)
{
    int r;

    if (p->stream != NULL && p->open == 0 && (r = check_kept(p, cmd)) < 0)
        return r;
    if (p->stream != NULL)
        return check_names(p, cmd);
    if (p->backend == NULL)
        open_connection(p);
    while ((r = backend_step(p->backend)) == BACKEND_MORE)
        ;
    if (r == BACKEND_DONE) {
        p->stream = backend_stream(p->backend);
        imap_reader_init(&p->reader, p->stream);
        offers_note(p->leg.server, backend_capabilities(p->backend));
        return check_names(p, cmd);
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
    p->ignore = p->last > p->open ? p->last : p->open;
    p->open = 0;
    p->drop = true;
    buf_reset(&p->line);
    p->line_complete = false;
}

/* What the client has enabled counts on every connection, as soon as anything is said there: not waited for. */
static void say_enabled(struct proxy_leg *p)
{
    unsigned missing = p->leg.client->enabled & ~p->enabled;
    struct buf names = BUF_INIT;

    p->enabled |= missing;
    for (unsigned i = 0; i < ENABLE_BITS; i++)
        if (!backend_has(p->backend, enable_name(i)))
            missing &= ~(1u << i);
    if (missing == 0 || !backend_has(p->backend, "ENABLE"))
        return;
    enable_put(missing, &names);
    p->enable_tag = ++p->tag;
    stream_printf(p->stream, "P%u ENABLE%s\r\n", p->enable_tag, buf_cstr(&names));
    buf_free(&names);
}

void proxy_begin(struct proxy_leg *p)
{
    proxy_abandon(p);
    if ((p->leg.client->enabled & ~p->enabled) != 0)
        say_enabled(p);
    /* one that only reads bytes wants no news: a message fetched for the client might be taken for what it asked for */
    if (!p->selected && !p->reading && p->notify_number != notify_number(p->leg.client))
        proxy_say_notify(p);
    p->open = ++p->tag;
    stream_printf(p->stream, "P%u ", p->open);
    p->silent_at = p->lull_at = 0;
    p->unselecting = false;
}

void proxy_begin_another(struct proxy_leg *p)
{
    p->last = ++p->tag;
    stream_printf(p->stream, "P%u ", p->last);
}

bool proxy_is_silent(struct proxy_leg *p)
{
    if (p->silent_at == 0)
        p->silent_at = clock_deadline(opt_duration_ms(OPT_BACKEND_TIMEOUT));
    return clock_ms() >= p->silent_at;
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
    /* Without a selection nobody looks at what the backend says meanwhile: proxy_connect() will, unless it watches. */
    if (p->selected || p->watching)
        watch(p, stream_fd(p->stream), stream_poll_events(p->stream, true));
    else
        unwatch(p);
    stream_park(p->stream);
    buf_free(&p->line);
    p->line_complete = false;
}

int proxy_hear(struct proxy_leg *p, struct command *cmd)
{
    const char *text;
    size_t len;
    enum reply reply = proxy_relay(p, proxy_listener(p, cmd), &text, &len);

    if (reply == REPLY_NONE)
        return 0;
    if (reply != REPLY_TAGGED)
        return proxy_waiting(p, cmd, reply);
    if (proxy_judge(p, cmd, text, len, NULL) == 0)
        return proxy_fail(p, cmd, ERR_PROTOCOL);
    proxy_disconnect(p, "answer in the middle of a command");
    return ERR_UNAVAILABLE;
}

/* It takes nothing more: perhaps as it has to say something first. */
static int hear_out(struct proxy_leg *p, struct command *cmd)
{
    int r = proxy_hear(p, cmd);

    return r < 0 ? r : proxy_waiting(p, cmd, REPLY_NONE);
}

int proxy_push(struct proxy_leg *p, struct command *cmd)
{
    size_t before = stream_unsent(p->stream);
    int r = stream_flush(p->stream);

    if (r < 0 && r != ERR_AGAIN)
        return proxy_fail(p, cmd, r);
    if (stream_unsent(p->stream) < before || before < STREAM_OUT_HIGH)
        p->silent_at = 0;
    return stream_unsent(p->stream) < STREAM_OUT_HIGH ? 0 : hear_out(p, cmd);
}

/* ---- the leg ---- */

static void leg_close(struct leg *leg)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;

    if (p->passing)
        p->passing = false;
    else
        proxy_release(p);
    p->selected = false;
    close_connection(p);
    free(p);
}

/* With NOTIFY the client has asked for it. */
static void wait_for_rest(struct proxy_leg *p)
{
    struct command *cmd = p->leg.client->command;

    if (cmd != NULL)
        proxy_arm(p, cmd, true);
    else
        proxy_rest(p);
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
        if (!p->passing)
            break;
        if (session_slice_over(leg->client->session))
            return ERR_AGAIN;
        if (notify_is_immediate(leg->client, false) && !proxy_is_silent(p)) {
            wait_for_rest(p);
            return ERR_AGAIN;
        }
        /* Half a response that nobody asked for: no answer can be put behind it. */
        proxy_disconnect(p, "unfinished response");
        return 0;
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
    return p->passing && p->stream != NULL ? p->silent_at : CLOCK_NEVER;
}

enum { LULL_MS = 5000 };

static int64_t leg_lull(struct leg *leg)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;

    if (p->stream == NULL || p->open != 0 || p->watching || !backend_is_reusable(p->backend))
        return CLOCK_NEVER;
    if (p->lull_at == 0)
        p->lull_at = clock_deadline(LULL_MS);
    if (clock_left(p->lull_at) != 0)
        return p->lull_at;
    proxy_release(p);
    return CLOCK_NEVER;
}

static void leg_unselect(struct leg *leg)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;

    if (!p->selected || p->stream == NULL)
        return;
    p->selected = false;
    if (p->passing || !backend_has(p->backend, "UNSELECT")) {
        close_connection(p);
        return;
    }
    proxy_begin(p);
    stream_puts(p->stream, "UNSELECT\r\n");
    proxy_abandon(p);
    p->unselecting = true;
    stream_flush(p->stream);
    proxy_rest(p);
}

const struct leg_ops proxy_leg_ops = {
    .name = "proxy",
    .close = leg_close,
    .start = proxy_start,
    .sync = leg_sync,
    .poll = proxy_poll,
    .unselect = leg_unselect,
    .between = leg_between,
    .lull = leg_lull,
    .idle_start = proxy_idle_start,
    .idle_run = proxy_idle_run,
    .idle_stop = proxy_idle_stop,
    .notify = proxy_notify,
    .leave = proxy_leave_notify,
    .hear = proxy_hear_notify,
    .deaf = proxy_deaf,
    .source_open = proxy_source_open,
    .source_uids = proxy_source_uids,
    .source_next = proxy_source_next,
    .source_read = proxy_source_read,
    .source_close = proxy_source_close,
    .expunge_uids = proxy_expunge_uids,
    .may_expunge = proxy_may_expunge,
    .sink_open = proxy_sink_open,
    .sink_replace = proxy_sink_replace,
    .sink_message = proxy_sink_message,
    .sink_part = proxy_sink_part,
    .sink_url = proxy_sink_url,
    .sink_write = proxy_sink_write,
    .sink_commit = proxy_sink_commit,
    .sink_cancel = proxy_sink_cancel,
    .sink_close = proxy_sink_close,
    .undo = proxy_undo,
    .reader_open = proxy_reader_open,
    .reader_read = proxy_reader_read,
    .reader_close = proxy_reader_close,
    .status_many = proxy_status_many,
    .metadata_many = proxy_metadata_many,
    .search = proxy_search_many,
    .search_end = proxy_search_end,
    .specials = proxy_specials,
    .lsub = proxy_lsub,
};

static struct proxy_leg *new_leg(struct client *c, const char *server)
{
    struct proxy_leg *p = xcalloc(1, sizeof(*p));

    p->leg = (struct leg){.magic = LEG_MAGIC, .ops = &proxy_leg_ops, .client = c, .server = server};
    p->slot = -1;
    return p;
}

struct leg *proxy_leg_new(struct client *c, const char *server)
{
    BUG_ON(server == NULL);
    return &new_leg(c, pool_strdup(c->pool, server))->leg;
}

struct proxy_leg *proxy_reading(const struct proxy_leg *of)
{
    struct proxy_leg *p = new_leg(of->leg.client, of->leg.server);

    p->reading = true;
    return p;
}
