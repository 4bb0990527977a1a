/* notify.c: what a session does about NOTIFY, while it has no other work. */
#include "imap/session/notify-private.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/engine/engine.h"
#include "lib/imapwire/args.h"
#include "lib/stream/stream.h"

/* ---- its life ---- */

struct notify *notify_new(struct client *c)
{
    struct notify *n = xcalloc(1, sizeof(*n));

    n->client = c;
    n->pool = pool_new(0);
    n->poll_at = CLOCK_NEVER;
    return n;
}

static void stop_watching(struct notify *n)
{
    for (size_t i = 0; i < n->count; i++)
        notify_watched_free(&n->watched[i]);
    free(n->watched);
    n->watched = NULL;
    n->count = n->room = 0;
    notify_gathering_free(&n->gathering);
    hash_free(&n->subs);
    notify_hub_leave(&n->seat);
}

void notify_destroy(struct notify **np)
{
    struct notify *n = *np;

    if (n == NULL)
        return;
    *np = NULL;
    stop_watching(n);
    notify_links_stop(n);
    if (n->sub != NULL)
        notify_command_free(&n->sub);
    free(n->renamed_from);
    free(n->renamed_to);
    pool_free(&n->own_pool);
    pool_free(&n->pool);
    free(n);
}

void notify_free(struct client *c)
{
    notify_destroy(&c->notify);
}

void notify_overflow(struct notify *n)
{
    stop_watching(n);
    n->link_count = 0;
    n->home = NULL;
    n->request.none = true;
    n->request.group_count = 0;
    n->selected = n->events = 0;
    n->request.fetch = NULL;
    n->stale = n->overflowed = false;
    notify_links_changed(n);
    stream_puts(n->client->stream, "* OK [NOTIFICATIONOVERFLOW] Nothing is watched any more\r\n");
}

void notify_overflowed(struct client *c)
{
    if (c->notify != NULL)
        c->notify->overflowed = true;
}

/* ---- the selected mailbox ---- */

unsigned notify_selected(const struct client *c)
{
    return c->notify == NULL || c->notify->settling ? NOTIFY_MESSAGES : c->notify->selected;
}

bool notify_is_immediate(const struct client *c, bool expunge)
{
    return c->notify != NULL && c->notify->selected != 0 && (!expunge || !c->notify->delayed);
}

void notify_enabled(struct client *c)
{
    if (c->notify != NULL)
        notify_links_changed(c->notify);
}

bool notify_is_settling(const struct client *c)
{
    return c->notify != NULL && c->notify->settling;
}

const char *notify_fetch(const struct client *c)
{
    return c->notify != NULL ? c->notify->request.fetch : NULL;
}

/* ---- a command of our own ---- */

struct command *notify_command(struct client *c, const char *name, const char *args)
{
    struct pool *pool = pool_new(0);
    struct command *cmd = pool_alloc(pool, sizeof(*cmd));

    cmd->client = c;
    cmd->pool = pool;
    cmd->def = command_find(name, strlen(name));
    cmd->tag = "";
    cmd->uid = (cmd->def->flags & CMD_UID) != 0;
    cmd->args = pool_strdup(pool, args);
    cmd->args_len = strlen(args);
    cmd->wake_at = CLOCK_NEVER;
    cmd->progress_at = CLOCK_NEVER; /* nobody waits for it */
    return cmd;
}

void notify_command_free(struct command **cmdp)
{
    struct command *cmd = *cmdp;
    struct pool *pool = cmd->pool;

    *cmdp = NULL;
    if (cmd->cleanup != NULL)
        cmd->cleanup(cmd);
    free(cmd->final);
    pool_free(&pool);
}

/* True: it goes on. */
static bool run_sub(struct notify *n)
{
    enum step s;

    n->sub->wake_at = CLOCK_NEVER;
    s = n->sub->step(n->sub);
    if (s == STEP_MORE || s == STEP_WAIT)
        return s == STEP_MORE;
    notify_command_free(&n->sub);
    return true;
}

/* ---- new messages: FETCH (section 5.2) ---- */

/* Those of `fresh` that this session has not put there itself; "" none. */
static char *without_own(struct notify *n, const char *fresh, struct pool *pool)
{
    struct seqset all, rest;
    struct seqset_iter it;
    struct buf text = BUF_INIT;
    uint32_t uid;
    char *result;

    seqset_init(&all, pool);
    seqset_init(&rest, pool);
    if (seqset_parse(&all, fresh, strlen(fresh), 0) == 0) {
        seqset_iter_init(&it, &all);
        while (seqset_iter_next(&it, &uid))
            if (!seqset_contains(&n->own, uid))
                seqset_add(&rest, uid);
    }
    seqset_print(&rest, &text);
    result = pool_strdup(pool, buf_cstr(&text));
    buf_free(&text);
    return result;
}

static void forget_own(struct notify *n)
{
    pool_free(&n->own_pool);
    n->own = (struct seqset){0};
}

/* True: a FETCH has begun. */
static bool fetch_fresh(struct notify *n)
{
    struct leg *leg = n->client->selected;
    struct pool *pool = pool_new(0);
    const char *fresh = leg->ops->fresh != NULL ? leg->ops->fresh(leg, pool) : NULL;

    if (fresh != NULL && n->own_pool != NULL)
        fresh = without_own(n, fresh, pool);
    if (fresh != NULL)
        forget_own(n);
    if (fresh != NULL && *fresh != '\0' && n->request.fetch != NULL) {
        n->sub = notify_command(n->client, "FETCH", pool_printf(pool, "%s %s", fresh, n->request.fetch));
        n->sub->leg = leg;
        n->sub->mailbox = n->client->selected_name;
        if (leg->ops->start(leg, n->sub) == STEP_DONE)
            notify_command_free(&n->sub);
    }
    pool_free(&pool);
    return n->sub != NULL;
}

/* What is new in it.  True: there is more. */
static bool tell_selected(struct notify *n)
{
    struct client *c = n->client;
    struct leg *leg = c->selected;

    if (leg == NULL || leg->ops->listen == NULL) /* another server says by itself what is new there */
        return false;
    leg->ops->listen(leg, n->selected != 0);
    if (n->selected != 0 && leg->ops->sync(leg, !n->delayed || c->command != NULL) == ERR_AGAIN)
        return true;
    return c->bye != NULL || (c->selected != NULL && n->sub == NULL && fetch_fresh(n));
}

/* ---- other servers ---- */

static enum step link_step(struct command *cmd)
{
    struct notify *n = cmd->client->notify;
    int r = notify_links_run(n, cmd);

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (r == ERR_SYNTAX || r == ERR_REFUSED ||
        r == ERR_UNSUPPORTED) /* it took it before, or is another one now */
        notify_overflow(n);
    return STEP_DONE;
}

static bool tell_links(struct notify *n)
{
    if (n->sub != NULL || !notify_links_due(n))
        return false;
    n->sub = notify_command(n->client, "NOTIFY", "");
    n->sub->step = link_step;
    return true;
}

/* ---- steps ---- */

static bool is_time(struct notify *n)
{
    if (n->poll_at != CLOCK_NEVER && clock_left(n->poll_at) == 0) {
        n->poll_at = CLOCK_NEVER;
        return true;
    }
    return false;
}

/* True: there is more of it, and others may have their turn first. */
static bool evaluate(struct notify *n)
{
    int r = n->stale || n->gathering != NULL ? notify_evaluate(n, false) : 0;

    if (r < 0)
        notify_overflow(n);
    return r > 0;
}

bool notify_step(struct client *c)
{
    struct notify *n = c->notify;

    if (n == NULL)
        return false;
    if (c->mid_response) /* the rest of it, if it is of what is watched */
        return notify_links_hear(n) || !c->mid_response;
    if (n->sub != NULL && run_sub(n))
        return true;
    if (n->sub != NULL && !n->linking)
        return false;
    if (n->overflowed)
        notify_overflow(n);
    notify_read_journal(n, NULL);
    if (evaluate(n))
        return true;
    if (notify_look(n, is_time(n)) || tell_selected(n) || tell_links(n) || notify_links_hear(n))
        return true;
    if (n->stale || n->overflowed) /* by what another server said */
        return true;
    if (n->poll_at == CLOCK_NEVER && (notify_hub_is_blind() || notify_needs_poll(n)))
        n->poll_at = clock_deadline(opt_duration_ms(OPT_IMAPIDLEPOLL));
    return false;
}

int64_t notify_deadline(const struct client *c)
{
    const struct notify *n = c->notify;
    int64_t at;

    if (n == NULL)
        return CLOCK_NEVER;
    at = n->sub != NULL ? n->sub->wake_at : notify_links_deadline(n);
    return at < n->poll_at ? at : n->poll_at;
}

bool notify_is_busy(const struct client *c)
{
    const struct notify *n = c->notify;

    return n != NULL && (c->mid_response || (n->sub != NULL && !n->linking));
}

bool notify_is_telling(const struct client *c)
{
    const struct notify *n = c->notify;

    return n != NULL && ((n->sub != NULL && !n->linking) || (c->mid_response && n->speaker != NULL));
}

/* ---- own doings ---- */

/* The UIDs that the answer to APPEND, COPY or REPLACE gives. */
static bool uids_of(const struct command *cmd, const char *code, unsigned sets_before, struct seqset *uids)
{
    const char *s = cmd->final != NULL ? strstr(cmd->final, code) : NULL;
    size_t len;

    if (s == NULL)
        return false;
    s += strlen(code);
    for (unsigned i = 0; i <= sets_before; i++) {
        s += strspn(s, " ");
        if (i < sets_before)
            s += strcspn(s, " ]");
    }
    len = strcspn(s, " ]");
    return seqset_parse(uids, s, len, 0) == 0 && !seqset_is_empty(uids);
}

/* Where they went. */
static const char *destination(struct command *cmd)
{
    struct imap_args args;
    const char *set, *external, *internal;

    if (cmd->def->id != COMMAND_COPY)
        return cmd->mailbox;
    command_args(cmd, &args);
    if (imap_args_seqset(&args, &set) < 0 || imap_args_space(&args) < 0 ||
        imap_args_mailbox(&args, &external) < 0 ||
        client_name_in(cmd->client, cmd->pool, external, &internal) < 0)
        return NULL;
    return internal;
}

/* Nothing but these messages has come: then it is no news. */
static void absorb_messages(struct notify *n, const char *mailbox, const struct seqset *uids)
{
    struct watched *w = notify_find(n, mailbox);
    struct leg_glance now;
    uint32_t count = (uint32_t)seqset_count(uids);

    if (w == NULL || w->leg->server != NULL || !w->is_known || w->no_access ||
        notify_glance(n, w, &now) != 0 || now.uidvalidity != w->known.uidvalidity ||
        now.messages != w->known.messages + count || now.uidnext != w->known.uidnext + count)
        return;
    w->known = now;
}

static void absorb_appended(struct notify *n, struct command *cmd)
{
    struct seqset uids;
    const char *mailbox;
    bool copied = cmd->def->id == COMMAND_COPY;

    seqset_init(&uids, cmd->pool);
    if (!uids_of(cmd, copied ? "[COPYUID " : "[APPENDUID ", copied ? 2 : 1, &uids))
        return;
    mailbox = destination(cmd);
    if (mailbox == NULL)
        return;
    if (!notify_is_selected(n, mailbox)) {
        absorb_messages(n, mailbox, &uids);
        return;
    }
    if (n->request.fetch == NULL || n->client->selected->ops->fresh == NULL)
        return; /* nothing is fetched here */
    if (n->own_pool == NULL) {
        n->own_pool = pool_new(0);
        seqset_init(&n->own, n->own_pool);
    }
    seqset_add_set(&n->own, &uids);
}

void notify_absorb(struct client *c, struct command *cmd)
{
    struct notify *n = c->notify;

    if (n == NULL || cmd->failed)
        return;
    switch (cmd->def->id) {
    case COMMAND_APPEND:
    case COMMAND_COPY:
    case COMMAND_REPLACE:
        absorb_appended(n, cmd);
        break;
    case COMMAND_CREATE:
    case COMMAND_DELETE:
    case COMMAND_DELETEACL:
    case COMMAND_RENAME:
    case COMMAND_SETACL:
    case COMMAND_SETMETADATA:
        if (n->seat.seated)
            notify_read_journal(n, cmd);
        break;
    case COMMAND_SUBSCRIBE:
    case COMMAND_UNSUBSCRIBE:
        if (n->seat.seated)
            notify_read_journal(n, cmd);
        if (cmd->mailbox != NULL) /* another server keeps it, and tells others */
            notify_subscribed(n, cmd->mailbox, cmd->def->id == COMMAND_SUBSCRIBE, false);
        break;
    default:
        break;
    }
}
