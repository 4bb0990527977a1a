#include "imap/session/sources.h"

#include <stdlib.h>
#include <string.h>

#include "imap/session/list.h"
#include "imap/session/route.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/name/mboxname.h"
#include "lib/name/namespace.h"

enum { BATCH = 200 }; /* mailboxes a step, at most */

/* ---- reading ---- */

static const struct {
    const char *word;
    bool has_names;
} kinds[SOURCE_KINDS] = {
    [SOURCE_SELECTED] = {"SELECTED", false},      [SOURCE_SELECTED_DELAYED] = {"SELECTED-DELAYED", false},
    [SOURCE_INBOXES] = {"INBOXES", false},        [SOURCE_PERSONAL] = {"PERSONAL", false},
    [SOURCE_SUBSCRIBED] = {"SUBSCRIBED", false},  [SOURCE_SUBTREE] = {"SUBTREE", true},
    [SOURCE_SUBTREE_ONE] = {"SUBTREE-ONE", true}, [SOURCE_MAILBOXES] = {"MAILBOXES", true},
};

static int read_name(const struct client *c, struct imap_args *args, struct source *source)
{
    struct source_name *name = &source->names[source->count];
    struct buf external = BUF_INIT;
    const char *given;
    size_t len;

    if (imap_args_mailbox(args, &given) < 0)
        return ERR_SYNTAX;
    len = strlen(given);
    if (len > 1 && given[len - 1] == c->ns->separator)
        given = pool_strndup(args->pool, given, len - 1);
    *name = (struct source_name){.external = given};
    if (client_name_in(c, args->pool, given, &name->internal) < 0)
        name->internal = NULL;
    else if (namespace_to_external(c->ns, name->internal, &external) == 0)
        name->external = pool_strdup(args->pool, buf_cstr(&external)); /* INBOX in its one spelling */
    buf_free(&external);
    source->count++;
    return 0;
}

/* "one-or-more-mailbox" (RFC 5465 section 8) */
static int read_names(const struct client *c, struct imap_args *args, struct source *source)
{
    size_t room = 1;
    bool many;

    if (imap_args_space(args) < 0)
        return ERR_SYNTAX;
    many = imap_args_skip(args, '(');
    source->names = pool_alloc(args->pool, sizeof(*source->names));
    do {
        int r;

        if (source->count == SOURCE_NAMES_MAX)
            return ERR_LIMIT;
        if (source->count == room) {
            struct source_name *names = pool_alloc(args->pool, 2 * room * sizeof(*names));

            memcpy(names, source->names, room * sizeof(*names));
            source->names = names;
            room *= 2;
        }
        r = read_name(c, args, source);
        if (r < 0)
            return r;
    } while (many && imap_args_skip(args, ' '));
    return many ? imap_args_char(args, ')') : 0;
}

int source_read(const struct client *c, struct imap_args *args, unsigned allowed, struct source *source_r)
{
    for (unsigned i = 0; i < SOURCE_KINDS; i++) {
        if ((allowed & SOURCE_BIT(i)) == 0 || !imap_args_word(args, kinds[i].word))
            continue;
        *source_r = (struct source){.kind = (enum source_kind)i};
        return kinds[i].has_names ? read_names(c, args, source_r) : 0;
    }
    args->error = "Unknown choice of mailboxes";
    return ERR_SYNTAX;
}

/* ---- what is meant ---- */

static bool is_personal(const struct client *c, const char *internal)
{
    const char *inbox = c->ns->inbox;

    return *inbox != '\0' && (strcmp(internal, inbox) == 0 || mboxname_is_below(internal, inbox));
}

/* The hierarchy is the client's: what stands beside INBOX (altnamespace) is not below it. */
static bool is_in_subtree(const struct client *c, const struct source_name *root, const char *external,
                          bool one)
{
    size_t len = strlen(root->external);

    if (strncmp(external, root->external, len) != 0)
        return false;
    if (external[len] == '\0')
        return true;
    return external[len] == c->ns->separator &&
           (!one || strchr(external + len + 1, c->ns->separator) == NULL);
}

static bool is_named(const struct source *source, const char *internal)
{
    for (size_t i = 0; i < source->count; i++)
        if (source->names[i].internal != NULL && strcmp(source->names[i].internal, internal) == 0)
            return true;
    return false;
}

static bool subtrees_cover(const struct client *c, const struct source *source, const char *internal)
{
    struct buf external = BUF_INIT;
    bool yes = false;

    if (namespace_to_external(c->ns, internal, &external) == 0)
        for (size_t i = 0; !yes && i < source->count; i++)
            yes =
                is_in_subtree(c, &source->names[i], buf_cstr(&external), source->kind == SOURCE_SUBTREE_ONE);
    buf_free(&external);
    return yes;
}

bool source_covers(const struct client *c, const struct source *source, const char *internal,
                   const struct hash *subscribed)
{
    switch (source->kind) {
    case SOURCE_INBOXES:
    case SOURCE_PERSONAL:
        return is_personal(c, internal);
    case SOURCE_SUBSCRIBED:
        return subscribed != NULL && hash_get(subscribed, internal) != NULL;
    case SOURCE_SUBTREE:
    case SOURCE_SUBTREE_ONE:
        return subtrees_cover(c, source, internal);
    case SOURCE_MAILBOXES:
        return is_named(source, internal);
    default:
        return false;
    }
}

/* ---- expansion ---- */

struct source_walk {
    struct client *client;
    struct command *cmd; /* NULL: nothing is waited for */
    const struct source *sources;
    size_t count;
    struct source_rights rights;
    struct hash *given;  /* internal names that fn has had */
    struct pool *pool;   /* lives as long */
    struct pool *lookup; /* of one name */
    struct buf external;

    size_t at;                /* which source, */
    size_t next;              /* which of its names, or of the subscriptions, */
    struct mboxlist_iter *it; /* where in the list */
    int looked_at;            /* in this step */
    bool list_asked;
    const char **identifiers;

    const struct hash *subscribed; /* of a walk without a command; NULL */
    bool subs_known;
    const char **subs; /* malloc'ed; the names in the pool */
    size_t sub_count, sub_room;
};

static struct source_walk *walk_new(struct client *c, const struct source *sources, size_t count)
{
    struct source_walk *w = xcalloc(1, sizeof(*w));

    w->client = c;
    w->sources = sources;
    w->count = count;
    w->given = hash_new(NULL);
    w->pool = pool_new(0);
    w->lookup = pool_new(0);
    return w;
}

struct source_walk *source_walk_new(struct command *cmd, const struct source *sources, size_t count,
                                    struct source_rights rights)
{
    struct source_walk *w = walk_new(cmd->client, sources, count);

    w->cmd = cmd;
    w->rights = rights;
    return w;
}

struct source_walk *source_walk_known(struct client *c, const struct source *sources, size_t count,
                                      const struct hash *subscribed)
{
    struct source_walk *w = walk_new(c, sources, count);

    w->subscribed = subscribed;
    w->list_asked = true;
    return w;
}

void source_walk_free(struct source_walk **w)
{
    struct source_walk *walk = *w;

    if (walk == NULL)
        return;
    mboxlist_iter_free(&walk->it);
    hash_free(&walk->given);
    pool_free(&walk->pool);
    pool_free(&walk->lookup);
    buf_free(&walk->external);
    free(walk->subs);
    free(walk);
    *w = NULL;
}

static int give(struct source_walk *w, const struct mboxlist_record *record, rights_t needed, source_fn *fn,
                void *context)
{
    if ((client_rights(w->client, record->name, record->acl) & needed) != needed ||
        hash_get(w->given, record->name) != NULL)
        return 0;
    hash_set(w->given, record->name, w);
    return fn(w->client, record, context);
}

/* A mailbox of the list as it is here, which the user may know of. */
static int give_known(struct source_walk *w, const char *internal, rights_t needed, source_fn *fn,
                      void *context)
{
    struct mboxlist_record record;
    int r = 0;

    if (mboxlist_lookup(w->client->list, internal, w->lookup, &record) == 0 &&
        (MBOXLIST_TYPE_BIT(record.type) & MBOXLIST_TYPES_ACTIVE) != 0 && list_is_visible(w->client, &record))
        r = give(w, &record, needed, fn, context);
    pool_reset(w->lookup);
    return r;
}

/* A mailbox that the client has named; not there, it is left out, but not before the barrier says so. */
static int give_named(struct source_walk *w, const char *internal, source_fn *fn, void *context)
{
    struct mboxlist_record record;
    int r;

    if (w->cmd == NULL)
        return give_known(w, internal, w->rights.named, fn, context);
    r = route_lookup(w->cmd, internal, &record);
    if (r < 0)
        return r == ERR_NOTFOUND ? 0 : r;
    return give(w, &record, w->rights.named, fn, context);
}

/* ---- the list ---- */

/* What of a part of the list a source means. */
static bool is_meant(struct source_walk *w, const struct mboxlist_record *record)
{
    const struct client *c = w->client;
    const struct source *source = &w->sources[w->at];

    if (source->kind == SOURCE_PERSONAL || source->kind == SOURCE_INBOXES)
        return is_personal(c, record->name);
    buf_reset(&w->external);
    return namespace_to_external(c->ns, record->name, &w->external) == 0 &&
           is_in_subtree(c, &source->names[w->next], buf_cstr(&w->external),
                         source->kind == SOURCE_SUBTREE_ONE);
}

/* Part of what begins with a prefix: 1, 0, or an error. */
static int walk_list(struct source_walk *w, const char *prefix, source_fn *fn, void *context)
{
    const struct client *c = w->client;
    const struct mboxlist_record *record;

    if (!w->list_asked) {
        int r = route_list(w->cmd);

        if (r < 0)
            return r;
        w->list_asked = true;
    }
    if (w->it == NULL)
        w->it = list_iter(c, w->pool, &w->identifiers, prefix);
    for (; w->looked_at < BATCH; w->looked_at++) {
        int r = mboxlist_iter_next(w->it, &record);

        if (r != 1) {
            mboxlist_iter_free(&w->it);
            return r;
        }
        if (!list_is_visible(c, record) || !is_meant(w, record))
            continue;
        r = give(w, record, w->rights.found, fn, context);
        if (r < 0)
            return r;
    }
    return 1;
}

static int walk_personal(struct source_walk *w, source_fn *fn, void *context)
{
    const char *inbox = w->client->ns->inbox;

    return *inbox != '\0' ? walk_list(w, inbox, fn, context) : 0;
}

static int walk_subtree(struct source_walk *w, const struct source_name *root, source_fn *fn, void *context)
{
    const struct namespace *ns = w->client->ns;
    struct buf level = BUF_INIT, prefix = BUF_INIT;
    int r = 0;

    if (w->it == NULL && root->internal != NULL)
        r = give_named(w, root->internal, fn, context);
    if (r == 0) {
        buf_printf(&level, "%s%c", root->external, ns->separator);
        namespace_scan_prefix(ns, buf_cstr(&level), &prefix);
        r = walk_list(w, buf_cstr(&prefix), fn, context);
    }
    buf_free(&level);
    buf_free(&prefix);
    return r;
}

/* ---- subscriptions ---- */

static void take_subscription(const char *internal, void *context)
{
    struct source_walk *w = context;

    if (w->sub_count == w->sub_room) {
        w->sub_room = w->sub_room == 0 ? 64 : 2 * w->sub_room;
        w->subs = xreallocarray(w->subs, w->sub_room, sizeof(*w->subs));
    }
    w->subs[w->sub_count++] = pool_strdup(w->pool, internal);
}

static void take_known_subscription(const char *internal, void *value, void *context)
{
    (void)value;
    take_subscription(internal, context);
}

static int find_subscriptions(struct source_walk *w)
{
    int r = 0;

    if (w->cmd != NULL)
        r = route_subscriptions(w->cmd, take_subscription, w);
    else if (w->subscribed != NULL)
        hash_each(w->subscribed, take_known_subscription, w);
    w->subs_known = r == 0;
    return r;
}

static int walk_subscribed(struct source_walk *w, source_fn *fn, void *context)
{
    int r = w->subs_known ? 0 : find_subscriptions(w);

    for (; r == 0 && w->looked_at < BATCH && w->next < w->sub_count; w->looked_at++)
        r = give_known(w, w->subs[w->next++], w->rights.found, fn, context);
    return r == 0 && w->next < w->sub_count ? 1 : r;
}

/* ---- */

/* The names of a source one after the other; w->next is done when `walk` says 0. */
static int walk_names(struct source_walk *w, source_fn *fn, void *context)
{
    const struct source *source = &w->sources[w->at];
    int r = 0;

    for (; r == 0 && w->next < source->count; w->looked_at++) {
        const struct source_name *name = &source->names[w->next];

        if (w->looked_at >= BATCH)
            return 1;
        if (source->kind != SOURCE_MAILBOXES)
            r = walk_subtree(w, name, fn, context);
        else if (name->internal != NULL)
            r = give_named(w, name->internal, fn, context);
        if (r == 0)
            w->next++;
    }
    return r;
}

static int walk_source(struct source_walk *w, source_fn *fn, void *context)
{
    switch (w->sources[w->at].kind) {
    case SOURCE_INBOXES:
    case SOURCE_PERSONAL:
        return walk_personal(w, fn, context);
    case SOURCE_SUBSCRIBED:
        return walk_subscribed(w, fn, context);
    case SOURCE_SUBTREE:
    case SOURCE_SUBTREE_ONE:
    case SOURCE_MAILBOXES:
        return walk_names(w, fn, context);
    default:
        return 0;
    }
}

int source_walk_step(struct source_walk *w, source_fn *fn, void *context)
{
    int r;

    w->looked_at = 0;
    if (w->at == w->count)
        return 0;
    r = walk_source(w, fn, context);
    if (r != 0)
        return r;
    w->next = 0;
    return ++w->at < w->count ? 1 : 0;
}
