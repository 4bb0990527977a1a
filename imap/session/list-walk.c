/* list-walk.c: LIST over the mailbox list.
 *
 * The list is walked in its order, in which a mailbox stands directly before what is below it.  A mailbox is held back
 * until the next visible name tells whether it has children. */
#include <string.h>

#include "imap/session/list-private.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/engine/engine.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/name/identity.h"
#include "lib/name/mboxname.h"
#include "lib/name/namespace.h"
#include "lib/stream/stream.h"

enum { BATCH = 200 }; /* records a step, at most */

/* ---- who sees what ---- */

bool list_is_visible(const struct client *c, const struct mboxlist_record *record)
{
    if (mboxname_is_deleted(name_config(), record->name) && !c->identity->is_admin &&
        !opt_switch(OPT_ALLOWDELETED))
        return false;
    return (client_rights(c, record->name, record->acl) & ACL_LOOKUP) != 0;
}

/* The userid, the groups, "anyone": under which the reverse table may have the user's names. */
static const char **identifiers_of(const struct identity *identity, struct pool *pool)
{
    const char **identifiers = pool_alloc(pool, (identity->group_count + 3) * sizeof(*identifiers));
    size_t n = 0;

    identifiers[n++] = identity->userid;
    for (size_t i = 0; i < identity->group_count; i++)
        identifiers[n++] = pool_printf(pool, "group:%s", identity->groups[i]);
    identifiers[n++] = "anyone";
    return identifiers;
}

struct mboxlist_iter *list_iter(const struct client *c, struct pool *pool, const char ***identifiers,
                                const char *prefix)
{
    if (c->identity->is_admin)
        return mboxlist_iter_all(c->list, prefix, MBOXLIST_TYPES_ACTIVE);
    if (*identifiers == NULL)
        *identifiers = identifiers_of(c->identity, pool);
    return mboxlist_iter_visible(c->list, prefix, *c->ns->inbox != '\0' ? c->ns->inbox : NULL, *identifiers,
                                 MBOXLIST_TYPES_ACTIVE);
}

static struct mboxlist_iter *open_iter(struct command *cmd, const char *prefix)
{
    struct list *l = cmd->state;

    return list_iter(cmd->client, cmd->pool, &l->identifiers, prefix);
}

/* ---- children ---- */

/* INBOX/x is stored as user.fred.INBOX.x, and what is below INBOX in the list is beside it. */
bool list_is_beside(const struct client *c, const char *internal)
{
    return c->ns->alt && strcmp(internal, c->ns->inbox) == 0;
}

/* Is there a mailbox that the user may know of whose internal name begins so, and whose external one (NULL: any)
 * begins so? */
static bool has_visible(const struct client *c, struct mboxlist_iter *iter, const char *external)
{
    const struct mboxlist_record *record;
    struct buf name = BUF_INIT;
    bool found = false;

    while (!found && mboxlist_iter_next(iter, &record) == 1) {
        buf_reset(&name);
        found = list_is_visible(c, record) && namespace_to_external(c->ns, record->name, &name) == 0 &&
                (external == NULL || str_has_prefix(buf_cstr(&name), external));
    }
    mboxlist_iter_free(&iter);
    buf_free(&name);
    return found;
}

bool list_has_children(struct command *cmd, const char *internal)
{
    struct buf prefix = BUF_INIT;
    bool found;

    buf_printf(&prefix, "%s.%s", internal, list_is_beside(cmd->client, internal) ? "INBOX." : "");
    found = has_visible(cmd->client, open_iter(cmd, buf_cstr(&prefix)), NULL);
    buf_free(&prefix);
    return found;
}

bool list_has_visible_below(const struct client *c, struct pool *pool, const char ***identifiers,
                            const char *external)
{
    struct buf prefix = BUF_INIT, level = BUF_INIT;
    bool found;

    buf_printf(&level, "%s%c", external, c->ns->separator);
    namespace_scan_prefix(c->ns, buf_cstr(&level), &prefix);
    found = has_visible(c, list_iter(c, pool, identifiers, buf_cstr(&prefix)), buf_cstr(&level));
    buf_free(&level);
    buf_free(&prefix);
    return found;
}

bool list_level_has_children(struct command *cmd, const char *external)
{
    struct list *l = cmd->state;

    return list_has_visible_below(cmd->client, cmd->pool, &l->identifiers, external);
}

/* ---- the walk ---- */

const char *list_special(struct command *cmd, const struct mboxlist_record *record, struct pool *pool)
{
    const struct list *l = cmd->state;
    const char *userid = cmd->client->identity->userid;

    /* what a mailbox was to him before it was renamed to somewhere else, it is no longer */
    if (!l->options.special || record == NULL || !mboxname_is_owner(name_config(), record->name, userid))
        return "";
    /* where the servers were not asked, what our slave was told of it */
    return record->type == MBOXLIST_LOCAL || l->specials.uses == NULL
               ? mboxlist_special_use(record, userid, pool)
               : specials_of(&l->specials, record->name);
}

static int tell_held(struct command *cmd, const char *next_internal)
{
    struct list *l = cmd->state;

    if (!l->is_held)
        return 0;
    l->is_held = false;
    l->held.has_children = l->held_beside
                               ? list_has_children(cmd, l->held.internal)
                               : next_internal != NULL && mboxname_is_below(next_internal, l->held.internal);
    return list_entry_tell(cmd, &l->held);
}

static const struct mboxlist_record *copy_record(struct pool *pool, const struct mboxlist_record *record)
{
    struct mboxlist_record *copy = pool_memdup(pool, record, sizeof(*record));

    copy->name = pool_strdup(pool, record->name);
    copy->server = pool_strdup(pool, record->server);
    copy->acl = pool_strdup(pool, record->acl);
    copy->id = copy->partition = copy->special_use = "";
    return copy;
}

static void hold(struct command *cmd, const struct mboxlist_record *record)
{
    struct list *l = cmd->state;
    const char *special;

    if (l->held_pool == NULL)
        l->held_pool = pool_new(0);
    pool_reset(l->held_pool);
    special = list_special(cmd, record, l->held_pool);
    if (l->options.only_special && *special == '\0')
        return;
    l->held = (struct list_entry){.external = pool_strdup(l->held_pool, buf_cstr(&l->name)),
                                  .record = copy_record(l->held_pool, record),
                                  .special = special,
                                  .chosen = true};
    l->held.internal = l->held.record->name;
    l->is_held = true;
    l->held_beside = list_is_beside(cmd->client, record->name);
}

/* Levels without a mailbox: what RFC 3501 says of them, and RFC 5258 section 3.5.  Where only some mailboxes are
 * wanted, what is below a level may be none of them. */
static void tell_levels(struct command *cmd)
{
    struct list *l = cmd->state;

    if (l->options.only_special)
        return;
    list_levels_tell(&l->levels, cmd->client, &l->patterns, buf_cstr(&l->name), l->word,
                     l->options.extended ? "\\NonExistent \\HasChildren" : "\\Noselect \\HasChildren");
}

static int take_record(struct command *cmd, const struct mboxlist_record *record)
{
    struct list *l = cmd->state;
    struct client *c = cmd->client;
    int r;

    buf_reset(&l->name);
    if (!list_is_visible(c, record) || namespace_to_external(c->ns, record->name, &l->name) < 0)
        return 0;
    r = tell_held(cmd, record->name);
    tell_levels(cmd);
    if (r == 0 && list_matches(&l->patterns, l->name.data, l->name.len))
        hold(cmd, record);
    return r;
}

static void begin(struct command *cmd)
{
    struct list *l = cmd->state;
    struct buf prefix = BUF_INIT;

    list_patterns_prefix(&l->patterns, cmd->client->ns, &prefix);
    l->iter = open_iter(cmd, buf_cstr(&prefix));
    buf_free(&prefix);
}

bool list_must_pause(const struct command *cmd)
{
    const struct list *l = cmd->state;

    return l->asked_count >= LIST_ASK_AT_ONCE || session_slice_over(cmd->client->session) ||
           stream_unsent(cmd->client->stream) >= STREAM_OUT_HIGH;
}

int list_walk(struct command *cmd)
{
    struct list *l = cmd->state;
    const struct mboxlist_record *record;

    if (l->iter == NULL)
        begin(cmd);
    for (int i = 0; i < BATCH && !list_must_pause(cmd); i++) {
        int r = mboxlist_iter_next(l->iter, &record);

        if (r == 0)
            return tell_held(cmd, NULL);
        if (r > 0)
            r = take_record(cmd, record);
        if (r < 0)
            return r;
    }
    return 1;
}

void list_walk_free(struct list *l)
{
    mboxlist_iter_free(&l->iter);
    pool_free(&l->held_pool);
}
