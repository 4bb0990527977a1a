/* notify-links.c: mailboxes of other servers: these watch them for us, and say so on the connection that the session has
 * there anyway.  A link is such a connection that is kept. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "imap/session/notify-private.h"
#include "imap/session/route.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/name/namespace.h"
#include "lib/stream/stream.h"

enum { RETRY_MS = 1000, RETRY_MAX_MS = 60 * 1000 };

/* Servers that are told at a time.  A command of the client's may begin meanwhile and wait for the selected mailbox's server
 * and SPREAD_AT_ONCE others: all of them need a slot. */
enum { LINKS_AT_ONCE = 2 };

/* ---- what a server is told ---- */

static void put_event(struct buf *to, const char *name)
{
    if (to->len > 0 && to->data[to->len - 1] != '(')
        buf_putc(to, ' ');
    buf_puts(to, name);
}

static void put_events(struct buf *to, unsigned events, const char *fetch)
{
    buf_puts(to, " (");
    if ((events & NOTIFY_MESSAGE_NEW) != 0)
        put_event(to, "MessageNew");
    if (fetch != NULL)
        buf_printf(to, " %s", fetch);
    if ((events & NOTIFY_MESSAGE_EXPUNGE) != 0)
        put_event(to, "MessageExpunge");
    if ((events & NOTIFY_FLAG_CHANGE) != 0)
        put_event(to, "FlagChange");
    if ((events & NOTIFY_MAILBOX_METADATA) != 0)
        put_event(to, "MailboxMetadataChange");
    buf_puts(to, "))");
}

static void put_selected(const struct notify *n, struct buf *to)
{
    buf_puts(to, n->delayed ? "(selected-delayed" : "(selected");
    if (n->selected == 0)
        buf_puts(to, " NONE)");
    else
        put_events(to, n->selected, n->request.fetch);
}

/* The mailboxes of this server whose events are these. */
static void put_mailboxes(const struct notify *n, const struct leg *leg, unsigned events, struct buf *to)
{
    struct pool *pool = pool_new(0);
    bool first = true;

    for (size_t i = 0; i < n->count; i++) {
        const struct watched *w = &n->watched[i];
        const char *name;

        if (w->leg != leg || w->no_access || w->events != events)
            continue;
        name = client_name_out(n->client, pool, w->name);
        if (name == NULL)
            continue;
        buf_printf(to, "%s%s", first ? " (mailboxes (" : " ", name);
        first = false;
    }
    if (!first) {
        buf_putc(to, ')');
        put_events(to, events, NULL);
    }
    pool_free(&pool);
}

/* Subscriptions and the server's annotations are where the INBOX is. */
static void put_home(const struct notify *n, const struct leg *leg, struct buf *to)
{
    if (leg != n->home)
        return;
    if (n->subs != NULL)
        buf_puts(to, " (subscribed (SubscriptionChange))");
    if ((n->events & NOTIFY_SERVER_METADATA) != 0)
        buf_puts(to, " (personal (ServerMetadataChange))");
}

bool notify_words(const struct client *c, const struct leg *leg, bool status, struct buf *to)
{
    static const unsigned masks[] = {
        NOTIFY_MESSAGE_NEW | NOTIFY_MESSAGE_EXPUNGE,
        NOTIFY_MESSAGES,
        NOTIFY_MAILBOX_METADATA,
        NOTIFY_MESSAGE_NEW | NOTIFY_MESSAGE_EXPUNGE | NOTIFY_MAILBOX_METADATA,
        NOTIFY_MESSAGES | NOTIFY_MAILBOX_METADATA,
    };
    const struct notify *n = c->notify;
    size_t before;

    if (n == NULL)
        return false;
    if (n->request.none) {
        buf_puts(to, "NONE");
        return false;
    }
    buf_puts(to, status ? "SET STATUS " : "SET ");
    put_selected(n, to);
    before = to->len;
    for (size_t i = 0; i < ARRAY_SIZE(masks); i++)
        put_mailboxes(n, leg, masks[i], to);
    put_home(n, leg, to);
    return to->len > before;
}

/* A mailbox that is new, or has come from elsewhere.  NOTIFY SET has words of its own for what there is at first. */
void notify_take_fresh(struct client *c, const struct leg *leg, struct leg_batch *batch)
{
    struct notify *n = c->notify;

    for (size_t i = 0; n != NULL && i < n->count; i++) {
        struct watched *w = &n->watched[i];

        if (w->leg != leg || !w->fresh)
            continue;
        w->fresh = false;
        if ((w->events & NOTIFY_MESSAGES) != 0 && !w->no_access && !n->settling &&
            !notify_is_selected(n, w->name))
            leg_batch_add(batch, w->name);
    }
}

unsigned notify_number(const struct client *c)
{
    return c->notify != NULL ? c->notify->number : 0;
}

/* ---- which servers ---- */

static struct notify_link *find_link(struct notify *n, const struct leg *leg)
{
    for (size_t i = 0; i < n->link_count; i++)
        if (n->links[i].leg == leg)
            return &n->links[i];
    return NULL;
}

static bool add_link(struct notify *n, struct leg *leg)
{
    if (find_link(n, leg) != NULL)
        return true;
    if (n->link_count == NOTIFY_SERVERS_MAX)
        return false;
    n->links[n->link_count++] = (struct notify_link){.leg = leg, .due = true};
    return true;
}

static bool is_needed(const struct notify *n, const struct leg *leg)
{
    if (leg == n->home)
        return true;
    for (size_t i = 0; i < n->count; i++)
        if (n->watched[i].leg == leg && !n->watched[i].no_access)
            return true;
    return false;
}

/* Who keeps the user's subscriptions, and can say what of items to fetch is wrong. */
static void find_home(struct notify *n)
{
    struct client *c = n->client;
    struct pool *pool = pool_new(0);
    struct mboxlist_record record;
    bool needed = n->subs != NULL || (n->events & NOTIFY_SERVER_METADATA) != 0 ||
                  (n->request.fetch != NULL && !n->fetch_checked);

    n->home = NULL;
    if (needed && *c->ns->inbox != '\0' && mboxlist_lookup(c->list, c->ns->inbox, pool, &record) == 0 &&
        record.type == MBOXLIST_REMOTE)
        n->home = route_leg(c, &record);
    pool_free(&pool);
}

int notify_links_find(struct notify *n)
{
    size_t kept = 0;

    find_home(n);
    for (size_t i = 0; i < n->link_count; i++)
        if (is_needed(n, n->links[i].leg))
            n->links[kept++] = n->links[i];
    n->link_count = kept;
    if (n->home != NULL && !add_link(n, n->home))
        return ERR_LIMIT;
    for (size_t i = 0; i < n->count; i++)
        if (n->watched[i].leg->server != NULL && !n->watched[i].no_access && !add_link(n, n->watched[i].leg))
            return ERR_LIMIT;
    return 0;
}

void notify_links_changed(struct notify *n)
{
    static atomic_uint last;

    n->number = atomic_fetch_add(&last, 1) + 1;
    if (n->number == 0) /* 0: never told */
        n->number = atomic_fetch_add(&last, 1) + 1;
    for (size_t i = 0; i < n->link_count; i++)
        n->links[i].due = true;
    n->selected_due = true;
}

/* Servers that nothing is watched on any more give their connection back. */
static void drop_others(struct notify *n)
{
    for (struct leg *leg = n->client->legs; leg != NULL; leg = leg->next)
        if (leg->ops->deaf != NULL && find_link(n, leg) == NULL)
            leg->ops->deaf(leg);
}

/* ---- telling them ---- */

/* A server where the client idles takes nothing but DONE: its leg tells it in between. */
static bool is_idling(const struct notify *n, const struct leg *leg)
{
    const struct client *c = n->client;

    return c->command != NULL && c->command->def->id == COMMAND_IDLE && leg == c->selected;
}

static bool is_due(const struct notify *n, const struct notify_link *link)
{
    return link->due && !is_idling(n, link->leg);
}

static int ask_part(struct command *cmd, struct spread_part *part, void *context)
{
    struct notify *n = context;
    struct notify_link *link = find_link(n, part->leg);
    int r;

    if (is_idling(n, part->leg)) {
        if (link != NULL)
            link->due = true;
        return 0;
    }
    r = part->leg->ops->notify(part->leg, cmd,
                               link != NULL && (n->settling ? n->request.status : link->lost));
    if (r == 0 && link != NULL) {
        link->lost = false;
        link->delay = 0;
    }
    return r;
}

static void note_failure(struct notify *n, const struct spread_part *part)
{
    struct notify_link *link = find_link(n, part->leg);

    if (link == NULL || part->result == 0)
        return;
    link->due = link->lost = true;
    link->delay = link->delay == 0                 ? RETRY_MS
                  : link->delay * 2 < RETRY_MAX_MS ? link->delay * 2
                                                   : RETRY_MAX_MS;
    link->retry_at = clock_deadline(link->delay);
}

/* Who becomes due again meanwhile is told once more. */
static void begin(struct notify *n)
{
    drop_others(n);
    n->spread.at_once = LINKS_AT_ONCE;
    for (size_t i = 0; i < n->link_count; i++)
        if (is_due(n, &n->links[i]) && clock_left(n->links[i].retry_at) == 0) {
            n->links[i].due = false;
            spread_part(&n->spread, n->links[i].leg);
        }
}

/* What it says now is its answer. */
static bool is_being_told(const struct notify *n, const struct leg *leg)
{
    for (size_t i = 0; n->linking && i < n->spread.count; i++)
        if (n->spread.parts[i].leg == leg)
            return !n->spread.parts[i].done;
    return false;
}

/* The selected mailbox's server last: when it has taken it, nothing can be refused any more. */
static int tell_selected(struct notify *n, struct command *cmd)
{
    struct leg *leg = n->client->selected;
    int r = 0;

    if (is_idling(n, leg))
        return 0;
    if (n->selected_due && leg != NULL && leg->ops->notify != NULL && find_link(n, leg) == NULL)
        r = leg->ops->notify(leg, cmd, false);
    if (r != ERR_AGAIN)
        n->selected_due = false;
    return r;
}

int notify_links_run(struct notify *n, struct command *cmd)
{
    int r = 0;

    if (!n->linking)
        begin(n);
    n->linking = true;
    if (spread_run(&n->spread, cmd, ask_part, n) == ERR_AGAIN)
        return ERR_AGAIN;
    for (size_t i = 0; i < n->spread.count; i++) {
        int result = n->spread.parts[i].result;

        note_failure(n, &n->spread.parts[i]);
        if (result == ERR_UNSUPPORTED || result == ERR_REFUSED || result == ERR_SYNTAX)
            r = result;
    }
    if (r == 0)
        r = tell_selected(n, cmd);
    if (r != ERR_AGAIN)
        notify_links_stop(n);
    return r;
}

void notify_leave(struct client *c)
{
    for (struct leg *leg = c->legs; c->notify != NULL && c->notify->linking && leg != NULL; leg = leg->next)
        if (leg->ops->leave != NULL)
            leg->ops->leave(leg);
}

void notify_links_stop(struct notify *n)
{
    spread_reset(&n->spread);
    n->linking = false;
}

bool notify_links_due(const struct notify *n)
{
    if (n->selected_due && !is_idling(n, n->client->selected))
        return true;
    for (size_t i = 0; i < n->link_count; i++)
        if (is_due(n, &n->links[i]) && clock_left(n->links[i].retry_at) == 0)
            return true;
    return false;
}

int64_t notify_links_deadline(const struct notify *n)
{
    int64_t at = n->speaker != NULL ? n->speaker_until : CLOCK_NEVER;

    for (size_t i = 0; i < n->link_count; i++)
        if (is_due(n, &n->links[i]) && n->links[i].retry_at < at)
            at = n->links[i].retry_at;
    return at;
}

/* ---- listening ---- */

static int hear(struct notify *n, const struct notify_link *link)
{
    const struct client *c = n->client;
    bool before = c->mid_response;
    int64_t until = CLOCK_NEVER;
    int r;

    if ((link->due && link->leg != n->speaker) || link->leg == c->selected || is_being_told(n, link->leg))
        return 0;
    r = link->leg->ops->hear(link->leg, &until);
    if (!c->mid_response)
        n->speaker = NULL;
    else if (!before)
        n->speaker = link->leg;
    if (n->speaker == link->leg)
        n->speaker_until = until;
    return r;
}

bool notify_links_hear(struct notify *n)
{
    for (size_t i = 0; i < n->link_count; i++) {
        struct notify_link *link = &n->links[i];
        int r = hear(n, link);

        if (r == ERR_AGAIN)
            return true;
        if (r < 0) { /* what changes until it is back is told then */
            link->due = link->lost = true;
            link->delay = RETRY_MS;
            link->retry_at = clock_deadline(RETRY_MS);
        }
    }
    return false;
}

void notify_take_subscription(struct client *c, const char *internal, bool subscribed)
{
    if (c->notify != NULL)
        notify_subscribed(c->notify, internal, subscribed, true);
}
