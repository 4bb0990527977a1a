/* cmd-list.c: LIST (RFC 3501 6.3.8 with RFC 3348, 5258, 5819, 6154, 8440), XLIST, and RLIST (RFC 2193 5.1). */
#include <stdlib.h>
#include <string.h>

#include "imap/session/capability.h"
#include "imap/session/commands.h"
#include "imap/session/list-private.h"
#include "imap/session/referral.h"
#include "imap/session/route.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/imapwire/out.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/name/acl.h"
#include "lib/name/namespace.h"
#include "lib/stream/stream.h"

/* ---- a name, listed ---- */

/* May STATUS be told of it? */
static bool is_selectable(const struct client *c, const struct mboxlist_record *record)
{
    return (client_rights(c, record->name, record->acl) & ACL_READ) != 0;
}

/* RFC 5258's attributes, then what RFC 6154 adds. */
static void put_attributes(struct command *cmd, const struct list_entry *entry, struct buf *to)
{
    struct list *l = cmd->state;

    if (entry->record == NULL)
        buf_puts(to, "\\NonExistent ");
    else if (l->options.status != NULL && !is_selectable(cmd->client, entry->record))
        buf_puts(to, "\\Noselect "); /* RFC 5819 section 2 */
    if (l->options.subscribed && hash_get(l->subscribed, entry->internal) != NULL)
        buf_puts(to, "\\Subscribed ");
    if (l->options.remote && entry->record != NULL && referral_is_due(cmd->client, entry->record))
        buf_puts(to, "\\Remote ");
    buf_puts(to, entry->has_children ? "\\HasChildren" : "\\HasNoChildren");
    if (*entry->special != '\0')
        buf_printf(to, " %s", entry->special);
    if (strcmp(l->word, "XLIST") == 0 && strcmp(entry->internal, cmd->client->ns->inbox) == 0)
        buf_puts(to, " \\Inbox");
}

static void tell_rights(struct command *cmd, const struct list_entry *entry)
{
    const struct client *c = cmd->client;
    struct buf line = BUF_INIT, letters = BUF_INIT;

    acl_format_rights(name_config(), client_rights(c, entry->internal, entry->record->acl), &letters);
    buf_puts(&line, "* MYRIGHTS ");
    client_put_name(c, entry->external, &line);
    buf_putc(&line, ' ');
    imap_put_astring(&line, buf_cstr(&letters));
    buf_puts(&line, "\r\n");
    stream_write(c->stream, line.data, line.len);
    buf_free(&letters);
    buf_free(&line);
}

int list_entry_tell(struct command *cmd, const struct list_entry *entry)
{
    struct list *l = cmd->state;
    struct buf attributes = BUF_INIT;

    put_attributes(cmd, entry, &attributes);
    list_put(cmd->client, l->word, buf_cstr(&attributes), entry->external,
             entry->childinfo ? " (\"CHILDINFO\" (\"SUBSCRIBED\"))" : "");
    buf_free(&attributes);
    if (!entry->chosen || entry->record == NULL)
        return 0;
    if (l->options.myrights)
        tell_rights(cmd, entry);
    if (l->options.metadata != NULL)
        list_metadata_add(cmd, entry->record);
    if (l->options.status == NULL || !is_selectable(cmd->client, entry->record))
        return 0;
    return list_status_add(cmd, entry->record);
}

/* (OLDNAME is for a name that was made another one: here only INBOX is, and what ends in a separator.) */
static void put_oldname(struct command *cmd, const char *external, struct buf *to)
{
    struct imap_args args;
    const char *said;

    command_args(cmd, &args);
    if (imap_args_astring(&args, &said) < 0 || strcmp(said, external) == 0)
        return;
    buf_puts(to, " (\"OLDNAME\" (");
    client_put_name(cmd->client, said, to);
    buf_puts(to, "))");
}

void list_tell_selected(struct command *cmd)
{
    struct client *c = cmd->client;
    struct list list = {.options.special = opt_switch(OPT_SPECIALUSEALWAYS)};
    struct command lister = *cmd;
    struct buf external = BUF_INIT, attributes = BUF_INIT, more = BUF_INIT;
    struct mboxlist_record record;
    const char *special;

    if (c->selected_name == NULL || mboxlist_lookup(c->list, c->selected_name, cmd->pool, &record) < 0 ||
        namespace_to_external(c->ns, record.name, &external) < 0)
        return;
    lister.state = &list;
    special = list_special(&lister, &record, cmd->pool);
    buf_printf(&attributes, "%s%s%s",
               list_has_children(&lister, record.name) ? "\\HasChildren" : "\\HasNoChildren",
               *special != '\0' ? " " : "", special);
    put_oldname(cmd, buf_cstr(&external), &more);
    list_put(c, "LIST", buf_cstr(&attributes), buf_cstr(&external), buf_cstr(&more));
    buf_free(&external);
    buf_free(&attributes);
    buf_free(&more);
}

/* ---- its steps ---- */

static enum step walk_step(struct command *cmd);

/* Other servers are asked when enough of their mailboxes are listed, and at the end. */
static enum step ask_step(struct command *cmd)
{
    const struct list *l = cmd->state;

    if (list_status_run(cmd) == ERR_AGAIN || list_metadata_run(cmd) == ERR_AGAIN)
        return STEP_WAIT;
    if (l->is_over)
        return command_ok(cmd, NULL, "Completed");
    cmd->step = walk_step;
    return STEP_MORE;
}

static enum step walk_step(struct command *cmd)
{
    struct list *l = cmd->state;
    int r = l->walk(cmd);

    if (r < 0)
        return command_error(cmd, r);
    l->is_over = r == 0;
    if (!l->is_over && l->asked_count < LIST_ASK_AT_ONCE)
        return STEP_MORE;
    cmd->step = ask_step;
    return ask_step(cmd);
}

static enum step begin_walk(struct command *cmd)
{
    struct list *l = cmd->state;

    if (!l->options.only_subscribed)
        l->walk = list_walk;
    else
        l->walk = l->options.recursive ? list_walk_recursive : list_walk_subscribed;
    cmd->step = walk_step;
    return walk_step(cmd);
}

static enum step specials_step(struct command *cmd)
{
    struct list *l = cmd->state;

    return specials_run(&l->specials) == ERR_AGAIN ? STEP_WAIT : begin_walk(cmd);
}

/* Only who asks for special uses is kept waiting for other servers' word of them. */
static enum step begin_specials(struct command *cmd)
{
    struct list *l = cmd->state;
    int r;

    if (!l->options.special || (!l->options.extended && cmd->def->id != COMMAND_XLIST))
        return begin_walk(cmd);
    r = specials_begin(&l->specials, cmd, NULL);
    if (r < 0)
        return command_error(cmd, r);
    cmd->step = specials_step;
    return specials_step(cmd);
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

static enum step subs_step(struct command *cmd)
{
    int r = route_subscriptions(cmd, take_subscription, cmd);

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    return r < 0 ? command_error(cmd, r) : begin_specials(cmd);
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
        return begin_specials(cmd);
    l->subscribed = hash_new(NULL);
    cmd->step = subs_step;
    return subs_step(cmd);
}

static void list_cleanup(struct command *cmd)
{
    struct list *l = cmd->state;

    list_patterns_free(&l->patterns);
    list_levels_free(&l->levels);
    list_walk_free(l);
    list_status_free(l);
    hash_free(&l->subscribed);
    specials_free(&l->specials);
    free(l->subs);
    buf_free(&l->name);
}

/* LIST reference "": the separator and the root of the reference (RFC 3501 6.3.8). */
static enum step answer_root(struct command *cmd, const char *reference)
{
    const struct list *l = cmd->state;
    struct client *c = cmd->client;
    const char *s = strchr(reference, c->ns->separator);
    char *root = s != NULL ? pool_strndup(cmd->pool, reference, (size_t)(s - reference) + 1)
                           : pool_strdup(cmd->pool, "");

    list_put(c, l->word, "\\Noselect", root, "");
    return command_ok(cmd, NULL, "Completed");
}

/* ---- the arguments ---- */

/* Who may say more than RFC 3501 has: with LIST-EXTENDED suppressed, servers of a murder. */
static bool may_extend(const struct command *cmd)
{
    return cmd->def->id == COMMAND_LIST &&
           (cmd->client->is_peer || !capability_is_suppressed("LIST-EXTENDED"));
}

static int read_args(struct command *cmd, struct list *l, struct imap_args *args)
{
    bool more = may_extend(cmd);
    int r;

    if (more && list_options_select(args, &l->options) < 0)
        return ERR_SYNTAX;
    r = list_patterns_read(args, more, &l->patterns);
    if (r < 0)
        return r;
    l->options.extended |= l->patterns.several;
    r = more ? list_options_return(args, &l->options) : imap_args_end(args);
    return r < 0 ? r : list_patterns_compile(&l->patterns, cmd->client->ns->separator, l->options.extended);
}

/* 0, or the answer has been made. */
static int parse(struct command *cmd, struct list *l)
{
    struct imap_args args;
    int r;

    command_args(cmd, &args);
    r = read_args(cmd, l, &args);
    if (r == ERR_SYNTAX)
        command_bad(cmd, "%s", imap_args_error(&args));
    else if (r < 0)
        command_no(cmd, "LIMIT", r == ERR_LIMIT ? "Too many patterns" : "Pattern too long");
    return r;
}

enum step cmd_list(struct command *cmd)
{
    struct list *l = pool_alloc(cmd->pool, sizeof(*l));

    l->word = cmd->def->id == COMMAND_XLIST ? "XLIST" : "LIST";
    list_levels_init(&l->levels);
    cmd->state = l;
    cmd->cleanup = list_cleanup;
    if (parse(cmd, l) < 0)
        return STEP_DONE;
    if (l->options.remote || cmd->def->id == COMMAND_RLIST)
        referral_accept(cmd->client);
    if (!l->options.extended && *l->patterns.texts[0] == '\0')
        return answer_root(cmd, l->patterns.reference);
    if (!l->options.extended)
        l->options.special = opt_switch(OPT_SPECIALUSEALWAYS);
    cmd->step = begin_step;
    return begin_step(cmd);
}
