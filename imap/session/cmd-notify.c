/* cmd-notify.c: NOTIFY (RFC 5465). */
#include <string.h>

#include "imap/session/commands.h"
#include "imap/session/notify-private.h"
#include "imap/session/route.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/imapwire/args.h"

static enum step overflow(struct command *cmd)
{
    return command_no(cmd, "NOTIFICATIONOVERFLOW", "More than %d mailboxes are not watched",
                      (int)NOTIFY_MAILBOXES_MAX);
}

/* What the groups come to. */
static void take_groups(struct notify *n)
{
    for (size_t i = 0; i < n->request.group_count; i++) {
        const struct notify_group *group = &n->request.groups[i];

        if (!notify_group_is_selected(group)) {
            n->events |= group->events;
            continue;
        }
        n->selected = group->events;
        n->delayed = group->where.kind == SOURCE_SELECTED_DELAYED;
    }
}

/* ---- NOTIFY SET ---- */

struct setting {
    struct notify *n;        /* what it makes; NULL once it is the client's for good */
    struct notify *previous; /* what counted until then, while servers are told */
};

static void notify_cleanup(struct command *cmd)
{
    struct setting *set = cmd->state;
    struct client *c = cmd->client;

    if (set->n != NULL && c->notify == set->n) { /* the client is gone */
        notify_links_stop(set->n);
        c->notify = NULL;
    }
    notify_destroy(&set->n);
    notify_destroy(&set->previous);
}

static void settle(struct client *c)
{
    c->notify->settling = false;
}

/* One that cannot be: what counted before counts again.  Servers that have taken it already are told so. */
static void put_back(struct setting *set)
{
    struct client *c = set->n->client;

    c->notify = set->previous;
    set->previous = NULL;
    if (c->notify == NULL) { /* as near as may be to what RFC 3501 has */
        c->notify = notify_new(c);
        c->notify->selected = NOTIFY_MESSAGES;
        c->notify->delayed = true;
    }
    notify_links_changed(c->notify);
}

static enum step refuse(struct command *cmd, int error)
{
    put_back(cmd->state);
    if (error == ERR_SYNTAX)
        return command_bad(cmd, "Invalid items to fetch");
    if (error == ERR_REFUSED)
        return overflow(cmd);
    return command_no(cmd, "CANNOT", "A server does not have NOTIFY");
}

/* Servers that are away are told when they are back. */
static enum step link_step(struct command *cmd)
{
    struct setting *set = cmd->state;
    int r = notify_links_run(set->n, cmd);

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (r == ERR_SYNTAX || r == ERR_REFUSED || r == ERR_UNSUPPORTED)
        return refuse(cmd, r);
    notify_destroy(&set->previous);
    set->n->fetch_checked = true;
    notify_links_find(set->n);
    set->n = NULL;
    cmd->after = settle;
    return command_ok(cmd, NULL, "Completed");
}

/* From here on it counts.  NOTIFY SET tells all that is new in the selected mailbox (section 3.1). */
static enum step install(struct command *cmd)
{
    struct setting *set = cmd->state;
    struct client *c = cmd->client;

    set->previous = c->notify;
    c->notify = set->n;
    c->notify->settling = !set->n->request.none;
    notify_links_changed(c->notify);
    cmd->step = link_step;
    return link_step(cmd);
}

static enum step evaluate_step(struct command *cmd)
{
    int r = notify_evaluate(((struct setting *)cmd->state)->n, true);

    if (r > 0)
        return STEP_MORE;
    if (r == ERR_LIMIT)
        return overflow(cmd);
    return r < 0 ? command_error(cmd, r) : install(cmd);
}

static void take_subscription(const char *internal, void *context)
{
    struct notify *n = context;

    hash_set(n->subs, internal, n);
}

/* Subscriptions that have come or gone since what counted before heard of them the last time: it tells, as what is known is
 * no news later. */
struct difference {
    struct notify *before, *n;
    struct pool *pool;
    const char **gone;
    size_t gone_count;
};

static void tell_new(const char *internal, void *value, void *context)
{
    struct difference *d = context;

    (void)value;
    notify_subscribed(d->before, internal, true, true);
}

static void note_gone(const char *internal, void *value, void *context)
{
    struct difference *d = context;

    (void)value;
    if (hash_get(d->n->subs, internal) == NULL)
        d->gone[d->gone_count++] = pool_strdup(d->pool, internal);
}

static void tell_difference(struct command *cmd, struct notify *n)
{
    struct difference d = {.before = cmd->client->notify, .n = n, .pool = cmd->pool};

    if (d.before == NULL || d.before->subs == NULL)
        return;
    hash_each(n->subs, tell_new, &d);
    d.gone = pool_alloc(cmd->pool, (hash_count(d.before->subs) + 1) * sizeof(*d.gone));
    hash_each(d.before->subs, note_gone, &d);
    for (size_t i = 0; i < d.gone_count; i++)
        notify_subscribed(d.before, d.gone[i], false, true);
}

/* The subscriptions are needed to know which mailboxes are meant, and for the attributes that LIST gives. */
static enum step subscriptions_step(struct command *cmd)
{
    struct notify *n = ((struct setting *)cmd->state)->n;
    int r;

    if (n->subs == NULL)
        n->subs = hash_new(NULL);
    r = route_subscriptions(cmd, take_subscription, n);
    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (r < 0)
        return command_error(cmd, r);
    tell_difference(cmd, n);
    cmd->step = evaluate_step;
    return evaluate_step(cmd);
}

/* What has happened until now is told by what counted before: to the last row, and as the new one reads on there, none
 * twice.  Before anything else, so that what is read after it is not older. */
static int join(struct command *cmd, struct notify *n)
{
    struct notify *before = cmd->client->notify;

    if (before == NULL || !before->seat.seated)
        return notify_hub_join(cmd->client, &n->seat, NULL);
    notify_read_journal(before, cmd);
    return notify_hub_join(cmd->client, &n->seat, &before->seat);
}

static bool needs_subscriptions(const struct notify *n)
{
    for (size_t i = 0; i < n->request.group_count; i++)
        if (n->request.groups[i].where.kind == SOURCE_SUBSCRIBED)
            return true;
    return (n->events & (NOTIFY_MAILBOX_NAME | NOTIFY_SUBSCRIPTION)) != 0;
}

/* Items that FETCH does not know: its parser is where the store is. */
static bool is_fetchable(struct command *cmd, const char *items)
{
    struct leg *local = client_leg(cmd->client, NULL);

    return items == NULL || local == NULL || local->ops->fetch_check(local, items) == 0;
}

enum step cmd_notify(struct command *cmd)
{
    struct setting *set = pool_alloc(cmd->pool, sizeof(*set));
    struct imap_args args;
    struct notify *n;
    int r;

    cmd->state = set;
    cmd->cleanup = notify_cleanup;
    set->n = n = notify_new(cmd->client);
    command_args(cmd, &args);
    args.pool = n->pool; /* what is read lives as long as it counts */
    r = notify_args_parse(cmd->client, &args, &n->request);
    if (r == ERR_SYNTAX)
        return command_bad(cmd, "%s", imap_args_error(&args));
    if (r == ERR_UNSUPPORTED)
        return command_no(cmd, "BADEVENT (" NOTIFY_EVENT_NAMES ")", "Unsupported event");
    if (r == ERR_LIMIT)
        return overflow(cmd);
    if (!is_fetchable(cmd, n->request.fetch))
        return command_bad(cmd, "Invalid items to fetch");
    if (n->request.none)
        return install(cmd);
    take_groups(n);
    r = join(cmd, n);
    if (r < 0)
        return command_error(cmd, r);
    cmd->step = needs_subscriptions(n) ? subscriptions_step : evaluate_step;
    return cmd->step(cmd);
}
