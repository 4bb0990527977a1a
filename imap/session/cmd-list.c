/* cmd-list.c: LIST (RFC 3501 6.3.8, with the attributes of RFC 3348), from the mailbox list alone; and what a frontend
 * asks for beyond it.
 *
 * The list is walked in its order, in which a mailbox stands directly before what is below it.  A line is held
 * back until the next visible name tells whether the mailbox has children. */
#include <stdlib.h>
#include <string.h>

#include "imap/session/commands.h"
#include "imap/session/list.h"
#include "imap/session/route.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/imapwire/args.h"
#include "lib/imapwire/out.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/name/identity.h"
#include "lib/name/mboxname.h"
#include "lib/name/namespace.h"
#include "lib/name/wildcard.h"
#include "lib/stream/stream.h"

enum { BATCH = 200 }; /* records a step */

struct list {
    struct list_pattern pattern;
    struct mboxlist_iter *iter;
    struct list_levels levels;
    struct buf name;         /* the external name of the current record */
    struct buf held;         /* the external name held back; empty: none */
    char *held_internal;     /* malloc'ed */
    bool held_local;         /* it is here */
    struct buf held_special; /* its uses, as far as asked for */
    bool held_inbox;         /* INBOX, altnamespace: what follows it in the list is beside it */

    struct list_options options;
    struct hash *subscribed; /* internal names; only with options.subscribed */
    const char **subs; /* and in the list's order, NULL-terminated: what options.only_subscribed walks */
    size_t sub_count, sub_room, next_sub;
};

/* ---- the pattern ---- */

int list_pattern_parse(struct command *cmd, struct imap_args *args, struct list_pattern *p)
{
    char separator = cmd->client->ns->separator;

    if (imap_args_mailbox(args, &p->reference) < 0 || imap_args_space(args) < 0 ||
        imap_args_list_mailbox(args, &p->pattern) < 0) {
        command_bad(cmd, "%s", imap_args_error(args));
        return ERR_SYNTAX;
    }
    if (opt_switch(OPT_IGNOREREFERENCE))
        p->reference = "";
    if (wildcard_new(separator, p->reference, p->pattern, &p->wildcard) < 0) {
        command_no(cmd, "LIMIT", "Pattern too long");
        return ERR_TOOBIG;
    }
    p->levels = wildcard_ends_in_percent(p->wildcard);
    return 0;
}

void list_pattern_free(struct list_pattern *p)
{
    wildcard_free(&p->wildcard);
}

/* ---- levels without a mailbox of their own ---- */

static void put_line(struct client *c, const char *word, const char *attributes, const char *external)
{
    struct buf line = BUF_INIT;

    buf_printf(&line, "* %s (%s) \"%c\" ", word, attributes, c->ns->separator);
    imap_put_astring(&line, external);
    buf_puts(&line, "\r\n");
    stream_write(c->stream, line.data, line.len);
    buf_free(&line);
}

void list_put(struct client *c, const char *word, const char *attributes, const char *external)
{
    put_line(c, word, attributes, external);
}

void list_levels_init(struct list_levels *l)
{
    *l = (struct list_levels){.told = hash_new(NULL)};
}

void list_levels_free(struct list_levels *l)
{
    hash_free(&l->told);
    buf_free(&l->last);
}

/* Has `level` (the first n bytes of a name) been seen as a mailbox just before?  Mailboxes stand before what is
 * below them, so the chain of the last visible name is enough. */
static bool is_level_of_last(const struct list_levels *l, const char *name, size_t n, char separator)
{
    return l->last.len >= n && memcmp(l->last.data, name, n) == 0 &&
           (l->last.len == n || l->last.data[n] == separator);
}

void list_levels_tell(struct list_levels *l, struct client *c, const struct list_pattern *p, const char *name,
                      const char *word, const char *attributes)
{
    char separator = c->ns->separator;

    /* RFC 3501 6.3.8: levels are told if the pattern ends in "%" */
    for (const char *s = p->levels ? strchr(name, separator) : NULL; s != NULL;
         s = strchr(s + 1, separator)) {
        size_t n = (size_t)(s - name);
        char *level;

        if (n == 0 || is_level_of_last(l, name, n, separator) || !wildcard_match(p->wildcard, name, n))
            continue;
        level = xstrndup(name, n);
        if (hash_get(l->told, level) == NULL) {
            hash_set(l->told, level, l);
            put_line(c, word, attributes, level);
        }
        free(level);
    }
    /* With altnamespace what is below INBOX does not follow it. */
    if (strcmp(name, "INBOX") == 0)
        hash_set(l->told, name, l);
    buf_reset(&l->last);
    buf_puts(&l->last, name);
}

/* ---- who sees what ---- */

bool list_is_visible(const struct client *c, const struct mboxlist_record *record)
{
    if (mboxname_is_deleted(name_config(), record->name) && !c->identity->is_admin &&
        !opt_switch(OPT_ALLOWDELETED))
        return false;
    return (client_rights(c, record->name, record->acl) & ACL_LOOKUP) != 0;
}

/* The userid, the groups, "anyone": under which the reverse table may have the user's names. */
static const char *const *identifiers_of(struct command *cmd)
{
    const struct identity *identity = cmd->client->identity;
    const char **ids = pool_alloc(cmd->pool, (identity->group_count + 3) * sizeof(*ids));
    size_t n = 0;

    ids[n++] = identity->userid;
    for (size_t i = 0; i < identity->group_count; i++)
        ids[n++] = pool_printf(cmd->pool, "group:%s", identity->groups[i]);
    ids[n++] = "anyone";
    return ids;
}

static struct mboxlist_iter *open_iter(struct command *cmd, const struct list_pattern *p)
{
    struct client *c = cmd->client;
    struct mboxlist_iter *iter;
    struct buf prefix = BUF_INIT;

    namespace_scan_prefix(c->ns, wildcard_literal(p->wildcard), &prefix);
    if (c->identity->is_admin)
        iter = mboxlist_iter_all(c->list, buf_cstr(&prefix), MBOXLIST_TYPES_ACTIVE);
    else
        iter = mboxlist_iter_visible(c->list, buf_cstr(&prefix), *c->ns->inbox != '\0' ? c->ns->inbox : NULL,
                                     identifiers_of(cmd), MBOXLIST_TYPES_ACTIVE);
    buf_free(&prefix);
    return iter;
}

/* ---- the walk ---- */

/* altnamespace: INBOX/x is stored as user.fred.INBOX.x, and what is below INBOX in the list is beside it. */
static bool is_lone_inbox(const struct client *c, const char *internal)
{
    return c->ns->alt && strcmp(internal, c->ns->inbox) == 0;
}

static bool inbox_has_children(struct client *c)
{
    struct buf name = BUF_INIT;
    bool yes;

    buf_printf(&name, "%s.INBOX", c->ns->inbox);
    yes = mboxlist_has_children(c->list, buf_cstr(&name)) == 1;
    buf_free(&name);
    return yes;
}

/* The attributes in RFC 5258's order, then what RFC 6154 adds. */
static void put_mailbox(struct command *cmd, const char *internal, const char *external, bool exists,
                        bool has_children, const char *special)
{
    struct list *l = cmd->state;
    struct buf attributes = BUF_INIT;

    if (!exists)
        buf_puts(&attributes, "\\NonExistent ");
    if (l->options.subscribed && hash_get(l->subscribed, internal) != NULL)
        buf_puts(&attributes, "\\Subscribed ");
    buf_puts(&attributes, has_children ? "\\HasChildren" : "\\HasNoChildren");
    if (*special != '\0')
        buf_printf(&attributes, " %s", special);
    put_line(cmd->client, "LIST", buf_cstr(&attributes), external);
    buf_free(&attributes);
}

/* RFC 5819: of a mailbox that cannot be asked, nothing is told; a frontend asks each server for its own.  0;
 * ERR_SYNTAX: of the items. */
static int put_status(struct command *cmd, const char *internal, bool local)
{
    struct list *l = cmd->state;
    struct leg *leg = local && l->options.status != NULL ? client_leg(cmd->client, NULL) : NULL;

    if (leg == NULL)
        return 0;
    return leg->ops->status(leg, cmd, internal, l->options.status) == ERR_SYNTAX ? ERR_SYNTAX : 0;
}

/* 0; ERR_SYNTAX as put_status(). */
static int flush_held(struct command *cmd, const char *next_internal)
{
    struct list *l = cmd->state;
    bool has_children;
    int r;

    if (l->held_internal == NULL)
        return 0;
    if (l->held_inbox)
        has_children = inbox_has_children(cmd->client);
    else
        has_children = next_internal != NULL && mboxname_is_below(next_internal, l->held_internal);
    put_mailbox(cmd, l->held_internal, buf_cstr(&l->held), true, has_children, buf_cstr(&l->held_special));
    r = put_status(cmd, l->held_internal, l->held_local);
    free(l->held_internal);
    l->held_internal = NULL;
    return r;
}

/* The uses of the record, if they are asked for. */
static void take_special(struct command *cmd, const struct mboxlist_record *record, struct buf *to)
{
    struct list *l = cmd->state;
    struct pool *pool;

    buf_reset(to);
    if (!l->options.special || *record->special_use == '\0')
        return;
    pool = pool_new(0);
    buf_puts(to, mboxlist_special_use(record, cmd->client->identity->userid, pool));
    pool_free(&pool);
}

static int take_record(struct command *cmd, const struct mboxlist_record *record)
{
    struct list *l = cmd->state;
    struct client *c = cmd->client;
    int r;

    buf_reset(&l->name);
    if (!list_is_visible(c, record) || namespace_to_external(c->ns, record->name, &l->name) < 0)
        return 0;
    r = flush_held(cmd, record->name);
    list_levels_tell(&l->levels, c, &l->pattern, buf_cstr(&l->name), "LIST", "\\Noselect \\HasChildren");
    if (!wildcard_match(l->pattern.wildcard, l->name.data, l->name.len))
        return r;
    take_special(cmd, record, &l->held_special);
    if (l->options.only_special && l->held_special.len == 0)
        return r;
    buf_reset(&l->held);
    buf_append(&l->held, l->name.data, l->name.len);
    l->held_internal = xstrdup(record->name);
    l->held_local = record->type == MBOXLIST_LOCAL;
    l->held_inbox = is_lone_inbox(c, record->name);
    return r;
}

static enum step walk_step(struct command *cmd)
{
    struct list *l = cmd->state;
    const struct mboxlist_record *record;

    for (int i = 0; i < BATCH; i++) {
        int r = mboxlist_iter_next(l->iter, &record);

        if (r == 0)
            return flush_held(cmd, NULL) == 0 ? command_ok(cmd, NULL, "Completed")
                                              : command_error(cmd, ERR_SYNTAX);
        if (r > 0)
            r = take_record(cmd, record);
        if (r < 0)
            return command_error(cmd, r);
    }
    return STEP_MORE;
}

/* ---- subscriptions ---- */

/* One subscription; the record is there for those that this list knows. */
static int tell_subscription(struct command *cmd, const char *internal)
{
    struct list *l = cmd->state;
    struct client *c = cmd->client;
    struct mboxlist_record record;
    bool exists = mboxlist_lookup(c->list, internal, cmd->pool, &record) == 0 && list_is_visible(c, &record);
    bool has_children;

    buf_reset(&l->name);
    if (namespace_to_external(c->ns, internal, &l->name) < 0)
        return 0;
    list_levels_tell(&l->levels, c, &l->pattern, buf_cstr(&l->name), "LIST", "\\NonExistent \\HasChildren");
    if (!wildcard_match(l->pattern.wildcard, l->name.data, l->name.len))
        return 0;
    buf_reset(&l->held_special);
    if (exists)
        take_special(cmd, &record, &l->held_special);
    if (l->options.only_special && l->held_special.len == 0)
        return 0;
    has_children =
        is_lone_inbox(c, internal) ? inbox_has_children(c) : mboxlist_has_children(c->list, internal) == 1;
    put_mailbox(cmd, internal, buf_cstr(&l->name), exists, has_children, buf_cstr(&l->held_special));
    return exists ? put_status(cmd, internal, record.type == MBOXLIST_LOCAL) : 0;
}

static enum step walk_subs_step(struct command *cmd)
{
    struct list *l = cmd->state;

    for (int i = 0; i < BATCH && l->next_sub < l->sub_count; i++)
        if (tell_subscription(cmd, l->subs[l->next_sub++]) < 0)
            return command_error(cmd, ERR_SYNTAX);
    return l->next_sub < l->sub_count ? STEP_MORE : command_ok(cmd, NULL, "Completed");
}

static void take_subscription(const char *internal, void *context)
{
    struct command *cmd = context;
    struct list *l = cmd->state;

    if (l->sub_count == l->sub_room) {
        l->sub_room = l->sub_room == 0 ? 64 : 2 * l->sub_room;
        l->subs = xreallocarray(l->subs, l->sub_room, sizeof(*l->subs));
    }
    l->subs[l->sub_count++] = pool_strdup(cmd->pool, internal);
    hash_set(l->subscribed, internal, l);
}

static enum step begin_walk(struct command *cmd)
{
    struct list *l = cmd->state;

    if (l->options.only_subscribed) {
        cmd->step = walk_subs_step;
    } else {
        l->iter = open_iter(cmd, &l->pattern);
        cmd->step = walk_step;
    }
    return cmd->step(cmd);
}

static enum step subs_step(struct command *cmd)
{
    int r = cmd->leg == NULL ? route_inbox(cmd, &cmd->leg) : 0;

    if (r == 0)
        r = cmd->leg->ops->lsub(cmd->leg, cmd, take_subscription, cmd);
    if (r == ERR_AGAIN)
        return STEP_WAIT;
    return r < 0 ? command_error(cmd, r) : begin_walk(cmd);
}

static enum step begin_step(struct command *cmd)
{
    struct list *l = cmd->state;
    int r = route_list(cmd);

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (r < 0)
        return command_error(cmd, r);
    if (!l->options.subscribed)
        return begin_walk(cmd);
    l->subscribed = hash_new(NULL);
    cmd->step = subs_step;
    return subs_step(cmd);
}

static void list_cleanup(struct command *cmd)
{
    struct list *l = cmd->state;

    list_pattern_free(&l->pattern);
    mboxlist_iter_free(&l->iter);
    list_levels_free(&l->levels);
    hash_free(&l->subscribed);
    free(l->subs);
    buf_free(&l->name);
    buf_free(&l->held);
    buf_free(&l->held_special);
    free(l->held_internal);
}

/* LIST reference "": the separator and the root of the reference (RFC 3501 6.3.8). */
static enum step answer_root(struct command *cmd, const char *reference)
{
    struct client *c = cmd->client;
    const char *s = strchr(reference, c->ns->separator);
    char *root = s != NULL ? pool_strndup(cmd->pool, reference, (size_t)(s - reference) + 1)
                           : pool_strdup(cmd->pool, "");

    put_line(c, "LIST", "\\Noselect", root);
    return command_ok(cmd, NULL, "Completed");
}

/* 0, or the answer has been made. */
static int parse(struct command *cmd, struct list *l)
{
    struct imap_args args;
    bool peer = cmd->client->is_peer;

    command_args(cmd, &args);
    if (peer && list_options_select(&args, &l->options) < 0) {
        command_bad(cmd, "%s", imap_args_error(&args));
        return ERR_SYNTAX;
    }
    if (list_pattern_parse(cmd, &args, &l->pattern) < 0)
        return ERR_SYNTAX;
    if ((peer ? list_options_return(&args, &l->options) : imap_args_end(&args)) == 0)
        return 0;
    command_bad(cmd, "%s", imap_args_error(&args));
    return ERR_SYNTAX;
}

enum step cmd_list(struct command *cmd)
{
    struct list *l = pool_alloc(cmd->pool, sizeof(*l));

    list_levels_init(&l->levels);
    cmd->state = l;
    cmd->cleanup = list_cleanup;
    if (parse(cmd, l) < 0)
        return STEP_DONE;
    if (*l->pattern.pattern == '\0')
        return answer_root(cmd, l->pattern.reference);
    cmd->step = begin_step;
    return begin_step(cmd);
}
