/* list-subs.c: LIST (SUBSCRIBED) and its RECURSIVEMATCH, over the user's subscriptions (RFC 5258 section 3).  A
 * subscription may name what does not exist. */
#include <stdlib.h>
#include <string.h>

#include "imap/session/list-private.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/engine/engine.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/name/namespace.h"

enum { BATCH = 200 }; /* subscriptions a step, at most */

/* What the list has of a name; the record in the pool.  False: nothing that the user may know of. */
static bool look_up(struct command *cmd, const char *internal, struct pool *pool,
                    struct mboxlist_record *record)
{
    struct client *c = cmd->client;

    return mboxlist_lookup(c->list, internal, pool, record) == 0 &&
           (MBOXLIST_TYPE_BIT(record->type) & MBOXLIST_TYPES_ACTIVE) != 0 && list_is_visible(c, record);
}

/* Has a level of the hierarchy a mailbox? */
static bool level_exists(struct command *cmd, const char *external)
{
    struct mboxlist_record record;
    struct pool *pool = pool_new(0);
    const char *internal;
    bool yes =
        client_name_in(cmd->client, pool, external, &internal) == 0 && look_up(cmd, internal, pool, &record);

    pool_free(&pool);
    return yes;
}

/* Fills in what the list has of an entry's name. */
static void describe(struct command *cmd, struct pool *pool, struct mboxlist_record *record,
                     struct list_entry *entry)
{
    entry->record = look_up(cmd, entry->internal, pool, record) ? record : NULL;
    entry->special = list_special(cmd, entry->record, pool);
    entry->has_children = list_has_children(cmd, entry->internal);
}

/* ---- without RECURSIVEMATCH ---- */

/* One subscription, in the list's order. */
static int take_subscription(struct command *cmd, const char *internal, struct pool *pool)
{
    struct list *l = cmd->state;
    struct list_entry entry = {.internal = internal, .chosen = true};
    struct mboxlist_record record;

    buf_reset(&l->name);
    if (namespace_to_external(cmd->client->ns, internal, &l->name) < 0)
        return 0;
    entry.external = buf_cstr(&l->name);
    if (l->options.only_special) {
        entry.record = look_up(cmd, internal, pool, &record) ? &record : NULL;
        if (*list_special(cmd, entry.record, pool) == '\0')
            return 0;
    }
    list_levels_tell_missing(&l->levels, cmd, &l->patterns, entry.external, level_exists);
    if (!list_matches(&l->patterns, l->name.data, l->name.len))
        return 0;
    describe(cmd, pool, &record, &entry);
    return list_entry_tell(cmd, &entry);
}

int list_walk_subscribed(struct command *cmd)
{
    struct list *l = cmd->state;
    struct pool *pool = pool_new(0);
    int r = 0;

    for (int i = 0; i < BATCH && r == 0 && l->next_sub < l->sub_count; i++) {
        if (list_must_pause(cmd))
            break;
        r = take_subscription(cmd, l->subs[l->next_sub++], pool);
        pool_reset(pool);
    }
    pool_free(&pool);
    if (r < 0)
        return r;
    return l->next_sub < l->sub_count ? 1 : 0;
}

/* ---- with RECURSIVEMATCH ---- */

struct subscription {
    const char *internal;
    char *external;
    bool matches; /* a pattern */
};

/* The order of the hierarchy as the client sees it, in which what is below a name follows it. */
static int compare(const void *one, const void *other, void *separator)
{
    const char *a = ((const struct subscription *)one)->external;
    const char *b = ((const struct subscription *)other)->external;
    char s = *(const char *)separator;

    while (*a == *b && *a != '\0')
        a++, b++;
    if (*a == *b || *a == '\0' || *b == '\0')
        return (*a != '\0') - (*b != '\0');
    if (*a == s || *b == s)
        return *a == s ? -1 : 1;
    return (unsigned char)*a - (unsigned char)*b;
}

static bool is_chosen(struct command *cmd, const char *internal)
{
    struct list *l = cmd->state;
    struct mboxlist_record record;
    struct pool *pool;
    bool yes;

    if (!l->options.only_special)
        return true;
    pool = pool_new(0);
    yes = look_up(cmd, internal, pool, &record) && *list_special(cmd, &record, pool) != '\0';
    pool_free(&pool);
    return yes;
}

/* The subscriptions that meet the other selection options too, sorted. */
static void sort_subscriptions(struct command *cmd)
{
    struct list *l = cmd->state;
    char separator = cmd->client->ns->separator;
    size_t n = 0;

    l->sorted = pool_alloc(cmd->pool, (l->sub_count + 1) * sizeof(*l->sorted));
    for (size_t i = 0; i < l->sub_count; i++) {
        buf_reset(&l->name);
        if (namespace_to_external(cmd->client->ns, l->subs[i], &l->name) < 0 || !is_chosen(cmd, l->subs[i]))
            continue;
        l->sorted[n++] =
            (struct subscription){.internal = l->subs[i],
                                  .external = pool_strdup(cmd->pool, buf_cstr(&l->name)),
                                  .matches = list_matches(&l->patterns, l->name.data, l->name.len)};
    }
    l->sub_count = n;
    qsort_r(l->sorted, n, sizeof(*l->sorted), compare, &separator);
}

/* Is the name at `i` below the first n bytes of `name`? */
static bool is_below(const struct list *l, size_t i, const char *name, size_t n, char separator)
{
    const char *other = i < l->sub_count ? l->sorted[i].external : "";

    return strncmp(other, name, n) == 0 && other[n] == separator;
}

/* Is there a subscription below that no pattern matches, so that the client would not hear of it otherwise? */
static bool hides(const struct list *l, size_t first, const char *name, size_t n, char separator)
{
    for (size_t i = first; is_below(l, i, name, n, separator); i++)
        if (!l->sorted[i].matches)
            return true;
    return false;
}

/* An ancestor of the subscription at `i`, which is the first below it: told if it is the only sign of one (RFC 5258
 * 3.5). */
static int tell_ancestor(struct command *cmd, size_t i, size_t n, struct pool *pool)
{
    struct list *l = cmd->state;
    const char *name = l->sorted[i].external;
    struct list_entry entry = {.external = pool_strndup(pool, name, n), .childinfo = true};
    struct mboxlist_record record;

    if (!list_matches(&l->patterns, name, n) || !hides(l, i, name, n, cmd->client->ns->separator))
        return 0;
    if (client_name_in(cmd->client, pool, entry.external, &entry.internal) == 0) {
        describe(cmd, pool, &record, &entry);
    } else { /* no mailbox has such a name: "Other Users" */
        entry.internal = entry.special = "";
        entry.has_children = list_level_has_children(cmd, entry.external);
    }
    return list_entry_tell(cmd, &entry);
}

/* Those ancestors of the subscription at `i` that the one before has not, and that are not subscribed themselves. */
static int tell_ancestors(struct command *cmd, size_t i, struct pool *pool)
{
    const struct list *l = cmd->state;
    char separator = cmd->client->ns->separator;
    const char *name = l->sorted[i].external, *before = i > 0 ? l->sorted[i - 1].external : "";
    int r = 0;

    for (const char *s = strchr(name, separator); s != NULL && r == 0; s = strchr(s + 1, separator)) {
        size_t n = (size_t)(s - name);

        if (strncmp(before, name, n) != 0 || (before[n] != separator && before[n] != '\0'))
            r = tell_ancestor(cmd, i, n, pool);
    }
    return r;
}

static int take_sorted(struct command *cmd, size_t i, struct pool *pool)
{
    struct list *l = cmd->state;
    const struct subscription *s = &l->sorted[i];
    struct list_entry entry = {.internal = s->internal, .external = s->external, .chosen = true};
    struct mboxlist_record record;
    int r = tell_ancestors(cmd, i, pool);

    if (r < 0 || !s->matches)
        return r;
    describe(cmd, pool, &record, &entry);
    entry.childinfo = is_below(l, i + 1, s->external, strlen(s->external), cmd->client->ns->separator);
    return list_entry_tell(cmd, &entry);
}

int list_walk_recursive(struct command *cmd)
{
    struct list *l = cmd->state;
    struct pool *pool;
    int r = 0;

    if (l->sorted == NULL)
        sort_subscriptions(cmd);
    pool = pool_new(0);
    for (int i = 0; i < BATCH && r == 0 && l->next_sub < l->sub_count; i++) {
        if (list_must_pause(cmd))
            break;
        r = take_sorted(cmd, l->next_sub++, pool);
        pool_reset(pool);
    }
    pool_free(&pool);
    if (r < 0)
        return r;
    return l->next_sub < l->sub_count ? 1 : 0;
}
