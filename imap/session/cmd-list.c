/* cmd-list.c: LIST (RFC 3501 6.3.8, with the attributes of RFC 3348), from the mailbox list alone.
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
    struct buf name;     /* the external name of the current record */
    struct buf held;     /* the external name held back; empty: none */
    char *held_internal; /* malloc'ed */
    bool held_inbox;     /* INBOX, altnamespace: what follows it in the list is beside it */
};

/* ---- the pattern ---- */

int list_pattern_parse(struct command *cmd, struct imap_args *args, struct list_pattern *p)
{
    char separator = cmd->client->ns->separator;

    if (imap_args_mailbox(args, &p->reference) < 0 || imap_args_space(args) < 0 ||
        imap_args_list_mailbox(args, &p->pattern) < 0 || imap_args_end(args) < 0) {
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

/* altnamespace: INBOX/x is stored as user.fred.INBOX.x. */
static bool inbox_has_children(struct client *c)
{
    struct buf name = BUF_INIT;
    bool yes;

    buf_printf(&name, "%s.INBOX", c->ns->inbox);
    yes = mboxlist_has_children(c->list, buf_cstr(&name)) == 1;
    buf_free(&name);
    return yes;
}

static void flush_held(struct list *l, struct client *c, const char *next_internal)
{
    bool has_children;

    if (l->held_internal == NULL)
        return;
    if (l->held_inbox)
        has_children = inbox_has_children(c);
    else
        has_children = next_internal != NULL && mboxname_is_below(next_internal, l->held_internal);
    put_line(c, "LIST", has_children ? "\\HasChildren" : "\\HasNoChildren", buf_cstr(&l->held));
    free(l->held_internal);
    l->held_internal = NULL;
}

static void take_record(struct list *l, struct client *c, const struct mboxlist_record *record)
{
    buf_reset(&l->name);
    if (!list_is_visible(c, record) || namespace_to_external(c->ns, record->name, &l->name) < 0)
        return;
    flush_held(l, c, record->name);
    list_levels_tell(&l->levels, c, &l->pattern, buf_cstr(&l->name), "LIST", "\\Noselect \\HasChildren");
    if (!wildcard_match(l->pattern.wildcard, l->name.data, l->name.len))
        return;
    buf_reset(&l->held);
    buf_append(&l->held, l->name.data, l->name.len);
    l->held_internal = xstrdup(record->name);
    l->held_inbox = c->ns->alt && strcmp(record->name, c->ns->inbox) == 0;
}

static enum step walk_step(struct command *cmd)
{
    struct list *l = cmd->state;
    struct client *c = cmd->client;
    const struct mboxlist_record *record;

    for (int i = 0; i < BATCH; i++) {
        int r = mboxlist_iter_next(l->iter, &record);

        if (r < 0)
            return command_error(cmd, r);
        if (r == 0) {
            flush_held(l, c, NULL);
            return command_ok(cmd, NULL, "Completed");
        }
        take_record(l, c, record);
    }
    return STEP_MORE;
}

static void list_cleanup(struct command *cmd)
{
    struct list *l = cmd->state;

    list_pattern_free(&l->pattern);
    mboxlist_iter_free(&l->iter);
    list_levels_free(&l->levels);
    buf_free(&l->name);
    buf_free(&l->held);
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

static enum step begin_step(struct command *cmd)
{
    struct list *l = cmd->state;
    int r = route_list(cmd);

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (r < 0)
        return command_error(cmd, r);
    l->iter = open_iter(cmd, &l->pattern);
    cmd->step = walk_step;
    return walk_step(cmd);
}

enum step cmd_list(struct command *cmd)
{
    struct list *l = pool_alloc(cmd->pool, sizeof(*l));
    struct imap_args args;

    command_args(cmd, &args);
    if (list_pattern_parse(cmd, &args, &l->pattern) < 0)
        return STEP_DONE;
    list_levels_init(&l->levels);
    cmd->state = l;
    cmd->cleanup = list_cleanup;
    if (*l->pattern.pattern == '\0')
        return answer_root(cmd, l->pattern.reference);
    cmd->step = begin_step;
    return begin_step(cmd);
}
