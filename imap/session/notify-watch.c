/* notify-watch.c: the mailboxes whose messages are watched, and the STATUS responses that tell of them. */
#include <stdlib.h>
#include <string.h>

#include "imap/session/enable.h"
#include "imap/session/list.h"
#include "imap/session/notify-private.h"
#include "imap/session/route.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/engine/engine.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/name/identity.h"
#include "lib/name/mboxname.h"
#include "lib/name/namespace.h"
#include "lib/stream/stream.h"

/* ---- who is meant ---- */

/* Several groups may mean it (section 6); NONE for it is NONE, whatever the others say. */
unsigned notify_wanted(const struct notify *n, const char *internal)
{
    unsigned events = 0;

    for (size_t i = 0; i < n->request.group_count; i++) {
        const struct notify_group *group = &n->request.groups[i];

        if (!source_covers(n->client, &group->where, internal, n->subs))
            continue;
        if (group->events == 0)
            return 0;
        events |= group->events;
    }
    return events;
}

bool notify_is_selected(const struct notify *n, const char *internal)
{
    const struct client *c = n->client;

    return c->selected_name != NULL && !c->selected_lost && strcmp(c->selected_name, internal) == 0;
}

struct watched *notify_find(struct notify *n, const char *internal)
{
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->watched[i].name, internal) == 0)
            return &n->watched[i];
    return NULL;
}

void notify_watched_free(struct watched *w)
{
    free(w->name);
    session_file_free(&w->file);
}

bool notify_needs_poll(const struct notify *n)
{
    for (size_t i = 0; i < n->count; i++)
        if (n->watched[i].leg->server == NULL && !n->watched[i].no_access && !n->watched[i].watching)
            return true;
    return false;
}

/* ---- STATUS ---- */

static bool knows_modseq(const struct notify *n)
{
    return enable_is_on(n->client, ENABLED_CONDSTORE);
}

/* Section 5.2 and 5.3, or with `initial` 3.1. */
static void tell_status(struct notify *n, const struct watched *w, const struct leg_glance *now, bool initial)
{
    struct pool *pool = pool_new(0);
    const char *name = client_name_out(n->client, pool, w->name);
    bool flags = (w->events & NOTIFY_FLAG_CHANGE) != 0;
    struct buf line = BUF_INIT;

    if (name != NULL) {
        buf_printf(&line, "* STATUS %s (MESSAGES %u UIDNEXT %u UIDVALIDITY %u", name, now->messages,
                   now->uidnext, now->uidvalidity);
        if (flags)
            buf_printf(&line, " UNSEEN %u", now->unseen);
        if (knows_modseq(n) || (initial && flags))
            buf_printf(&line, " HIGHESTMODSEQ %llu", (unsigned long long)now->highest_modseq);
        buf_puts(&line, ")\r\n");
        stream_write(n->client->stream, line.data, line.len);
    }
    buf_free(&line);
    pool_free(&pool);
}

/* Is the difference one that this client is told of? */
static bool is_news(const struct notify *n, const struct watched *w, const struct leg_glance *now)
{
    const struct leg_glance *known = &w->known;

    if (now->uidvalidity != known->uidvalidity || now->messages != known->messages ||
        now->uidnext != known->uidnext)
        return true;
    if ((w->events & NOTIFY_FLAG_CHANGE) == 0)
        return false;
    return now->unseen != known->unseen || (knows_modseq(n) && now->highest_modseq != known->highest_modseq);
}

/* ---- looking at a mailbox ---- */

/* The record as it is now, if the user may still watch it. */
static bool may_watch(struct notify *n, const struct watched *w, struct pool *pool,
                      struct mboxlist_record *record_r)
{
    rights_t rights;

    if (mboxlist_lookup(n->client->list, w->name, pool, record_r) < 0 ||
        (MBOXLIST_TYPE_BIT(record_r->type) & MBOXLIST_TYPES_ACTIVE) == 0)
        return false;
    rights = client_rights(n->client, record_r->name, record_r->acl);
    return (rights & ACL_LOOKUP) != 0 && (rights & ACL_READ) != 0;
}

/* Before the look, so that what happens meanwhile is not missed. */
static void watch(struct notify *n, struct watched *w, const struct mboxlist_record *record)
{
    struct buf path = BUF_INIT;

    if (w->file == NULL)
        w->file = session_file_new(n->client->session);
    w->watching = w->leg->ops->watch_path(w->leg, record, &path) == 0 &&
                  session_file_watch(w->file, buf_cstr(&path)) == 0;
    buf_free(&path);
}

int notify_glance(struct notify *n, struct watched *w, struct leg_glance *now_r)
{
    struct pool *pool = pool_new(0);
    struct mboxlist_record record;
    int r = may_watch(n, w, pool, &record) ? 0 : 1;

    if (r == 0) {
        watch(n, w, &record);
        r = w->leg->ops->glance(w->leg, &record, now_r);
    }
    pool_free(&pool);
    return r;
}

/* Of what is selected SELECTED speaks (section 3.1): what the client is told there directly after this it knows here. */
static void look_at(struct notify *n, struct watched *w)
{
    bool selected = notify_is_selected(n, w->name);
    struct leg_glance now;
    int r;

    if (selected && n->selected == 0)
        return;
    r = notify_glance(n, w, &now);
    if (r != 0) { /* what is damaged is looked at again when it is written to */
        n->stale = n->stale || r == 1;
        w->is_known = true;
        return;
    }
    if (w->is_known && !selected && is_news(n, w, &now))
        tell_status(n, w, &now, false);
    w->known = now;
    w->is_known = true;
}

/* What happens in the selected mailbox of a client that does not want to hear of it is no news later. */
static void forget_selected(struct notify *n)
{
    struct watched *w = n->selected == 0 && n->client->selected_name != NULL
                            ? notify_find(n, n->client->selected_name)
                            : NULL;

    if (w != NULL && !n->client->selected_lost)
        w->is_known = false;
}

bool notify_look(struct notify *n, bool all)
{
    forget_selected(n);
    for (size_t i = 0; i < n->count; i++) {
        struct watched *w = &n->watched[i];

        if (w->leg->server != NULL || w->no_access)
            continue;
        if (stream_unsent(n->client->stream) >= STREAM_OUT_HIGH)
            return true;
        if ((w->file != NULL && session_file_take(w->file)) || all || !w->is_known)
            look_at(n, w);
    }
    return false;
}

/* ---- the set ---- */

/* The set is made anew, a part of the list at a time. */
struct gathering {
    struct notify *n;
    struct hash *places; /* name -> its place in the set, counted from 1 */
    bool first;
    struct source sources[NOTIFY_GROUPS_MAX];
    size_t source_count;
    struct source_walk *walk;
};

static struct watched *add(struct notify *n, const char *name)
{
    if (n->count == n->room) {
        n->room = n->room == 0 ? 16 : 2 * n->room;
        n->watched = xreallocarray(n->watched, n->room, sizeof(*n->watched));
    }
    n->watched[n->count] = (struct watched){.name = xstrdup(name)};
    return &n->watched[n->count++];
}

/* What the client knows by the NOTIFY before. */
static bool take_over(const struct notify *n, struct watched *w)
{
    struct notify *before = n->client->notify;
    const struct watched *old = before != NULL ? notify_find(before, w->name) : NULL;

    if (old == NULL || !old->is_known)
        return false;
    w->known = old->known;
    return true;
}

/* A mailbox that is in the set for the first time, or again.  A client that watches hears how one stands that comes later. */
static void begin_watch(struct notify *n, struct watched *w, bool first)
{
    struct leg_glance now;
    bool tell = first ? n->request.status : true;

    w->is_known = false;
    if (w->leg->server != NULL || notify_is_selected(n, w->name))
        return;
    if (notify_glance(n, w, &now) != 0)
        return;
    if (tell && (first || now.messages > 0))
        tell_status(n, w, &now, first);
    else if (first && take_over(n, w) && is_news(n, w, &now))
        tell_status(n, w, &now, false);
    w->known = now;
    w->is_known = true;
}

/* Sections 3.1 and 5.9. */
static void set_access(struct gathering *g, struct watched *w, bool fresh, bool may_read)
{
    bool had = !w->no_access;

    w->no_access = !may_read;
    if (!may_read) {
        session_file_free(&w->file);
        w->watching = false;
        if (fresh || had)
            notify_tell_list(g->n, w->name, "\\NoAccess ", NULL);
        return;
    }
    if (!fresh && !had)
        notify_tell_list(g->n, w->name, "", NULL);
    if (fresh || !had)
        begin_watch(g->n, w, g->first);
}

static int take(struct client *c, const struct mboxlist_record *record, void *context)
{
    struct gathering *g = context;
    struct notify *n = g->n;
    unsigned events = notify_wanted(n, record->name);
    uintptr_t place = (uintptr_t)hash_get(g->places, record->name);
    struct leg *leg = route_leg(c, record);
    struct watched *w;

    if (leg != NULL) /* of annotations here the journal tells */
        events &= leg->server == NULL ? NOTIFY_MESSAGES : NOTIFY_MESSAGES | NOTIFY_MAILBOX_METADATA;
    if (leg == NULL || events == 0)
        return 0;
    if (place == 0 && n->count == NOTIFY_MAILBOXES_MAX)
        return ERR_LIMIT;
    w = place != 0 ? &n->watched[place - 1] : add(n, record->name);
    if (place == 0)
        hash_set(g->places, record->name, (void *)(uintptr_t)n->count);
    w->kept = true;
    w->fresh = leg->server != NULL && (w->fresh || w->leg != leg || w->no_access);
    if (w->leg != leg)
        session_file_free(&w->file);
    w->leg = leg;
    w->events = events;
    set_access(g, w, place == 0, (client_rights(c, record->name, record->acl) & ACL_READ) != 0);
    return 0;
}

/* Section 5.9.  One that is gone, MailboxName tells of, if that is wanted; and so it does of lost rights (section 5.4). */
static void tell_lost(struct notify *n, const struct watched *w)
{
    struct pool *pool = pool_new(0);
    struct mboxlist_record record;
    unsigned wanted = notify_wanted(n, w->name);

    if ((wanted & NOTIFY_MAILBOX_NAME) == 0 && (wanted & NOTIFY_MESSAGES) != 0 && !w->no_access &&
        mboxlist_lookup(n->client->list, w->name, pool, &record) == 0 &&
        (MBOXLIST_TYPE_BIT(record.type) & MBOXLIST_TYPES_ACTIVE) != 0)
        notify_tell_list(n, w->name, "\\NoAccess ", NULL);
    pool_free(&pool);
}

static void drop_others(struct notify *n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n->count; i++) {
        if (n->watched[i].kept) {
            n->watched[kept++] = n->watched[i];
            continue;
        }
        tell_lost(n, &n->watched[i]);
        notify_watched_free(&n->watched[i]);
    }
    n->count = kept;
}

static struct gathering *gathering_new(struct notify *n, bool first)
{
    struct gathering *g = xcalloc(1, sizeof(*g));

    g->n = n;
    g->first = first;
    g->places = hash_new(NULL);
    for (size_t i = 0; i < n->count; i++) {
        n->watched[i].kept = false;
        hash_set(g->places, n->watched[i].name, (void *)(uintptr_t)(i + 1));
    }
    for (size_t i = 0; i < n->request.group_count; i++)
        if ((n->request.groups[i].events & (NOTIFY_MESSAGES | NOTIFY_MAILBOX_METADATA)) != 0)
            g->sources[g->source_count++] = n->request.groups[i].where;
    g->walk = source_walk_known(n->client, g->sources, g->source_count, n->subs);
    return g;
}

void notify_gathering_free(struct gathering **gp)
{
    struct gathering *g = *gp;

    if (g == NULL)
        return;
    *gp = NULL;
    source_walk_free(&g->walk);
    hash_free(&g->places);
    free(g);
}

int notify_evaluate(struct notify *n, bool first)
{
    int r;

    if (n->gathering == NULL) {
        n->stale = false; /* what changes from here on counts for the next time */
        n->gathering = gathering_new(n, first);
    }
    r = source_walk_step(n->gathering->walk, take, n->gathering);
    if (r > 0)
        return r;
    notify_gathering_free(&n->gathering);
    if (r < 0)
        return r;
    drop_others(n);
    notify_links_changed(n);
    return notify_links_find(n);
}
