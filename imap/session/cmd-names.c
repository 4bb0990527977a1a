/* cmd-names.c: SELECT, EXAMINE, CREATE, RENAME: which leg they go to. */
#include <string.h>

#include "imap/session/commands.h"
#include "imap/session/create-args.h"
#include "imap/session/enable.h"
#include "imap/session/list.h"
#include "imap/session/referral.h"
#include "imap/session/route.h"
#include "imap/session/select-params.h"
#include "imap/session/specials.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/charset/fold.h"
#include "lib/imapwire/args.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/name/namespace.h"
#include "lib/stream/stream.h"

/* Reads one mailbox argument, `is_new`: of a mailbox to be, for which RFC 9051 5.1 has rules. 0, or the answer has been
 * made. */
static int read_name(struct command *cmd, struct imap_args *args, bool is_new, const char **internal_r)
{
    const char *external;
    int r;

    if (imap_args_mailbox(args, &external) < 0) {
        command_bad(cmd, "%s", imap_args_error(args));
        return ERR_SYNTAX;
    }
    if (is_new && cmd->client->ns->utf8 && !fold_is_nfc(external, strlen(external))) {
        command_no(cmd, "CANNOT", "Mailbox name is not in Unicode Normalization Form C");
        return ERR_BADNAME;
    }
    r = client_name_in(cmd->client, cmd->pool, external, internal_r);
    if (r < 0)
        command_error(cmd, r);
    return r;
}

/* ---- SELECT, EXAMINE ---- */

/* A client that can go where the mailbox is. */
static enum step refer_step(struct command *cmd)
{
    struct mboxlist_record record;
    int r = route_lookup(cmd, cmd->mailbox, &record);

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    return r == 0 && referral_is_due(cmd->client, &record) ? referral_answer(cmd, &record) : route_start(cmd);
}

/* Whatever becomes of it, the mailbox selected before is no longer (RFC 3501 6.3.1). */
enum step cmd_select(struct command *cmd)
{
    struct client *c = cmd->client;
    struct select_params params;
    struct imap_args args;
    const char *name;

    command_args(cmd, &args);
    if (imap_args_mailbox(&args, &name) < 0 || select_params_parse(&args, &params) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    if (params.qresync && !enable_is_on(c, ENABLED_QRESYNC))
        return command_bad(cmd, "QRESYNC has not been enabled");
    if (params.match_seqs != NULL && enable_is_on(c, ENABLED_UIDONLY))
        return command_uid_required(cmd);
    if (c->selected != NULL)
        c->selected->ops->unselect(c->selected);
    if (c->state == CLIENT_SELECTED) {
        client_reselects(c);
        stream_puts(c->stream, "* OK [CLOSED] Ok\r\n"); /* RFC 7162 3.2.11 */
    }
    if (params.condstore)
        enable_on(c, ENABLED_CONDSTORE);
    if (enable_is_on(c, ENABLED_IMAP4REV2))
        cmd->before = list_tell_selected;
    if (!c->takes_referrals || client_name_in(c, cmd->pool, name, &cmd->mailbox) < 0)
        return route_start(cmd);
    cmd->step = refer_step;
    return refer_step(cmd);
}

/* ---- CREATE ---- */

struct create {
    struct create_args args;
    const char *server;       /* where it goes */
    struct specials specials; /* of the user's mailboxes on other servers */
};

static enum step start_at(struct command *cmd, const char *server)
{
    cmd->leg = client_leg(cmd->client, server);
    if (cmd->leg == NULL)
        return command_error(cmd, ERR_UNAVAILABLE);
    return cmd->leg->ops->start(cmd->leg, cmd);
}

static void create_cleanup(struct command *cmd)
{
    struct create *create = cmd->state;

    specials_free(&create->specials);
}

/* RFC 6154 section 3: a use is one mailbox's.  Its own server looks for itself. */
static enum step specials_step(struct command *cmd)
{
    struct create *create = cmd->state;

    if (specials_run(&create->specials) == ERR_AGAIN)
        return STEP_WAIT;
    if (specials_have(&create->specials, create->args.uses))
        return command_error(cmd, ERR_SPECIAL_USE);
    create_cleanup(cmd);
    cmd->cleanup = NULL;
    cmd->state = NULL;
    return start_at(cmd, create->server);
}

static enum step place_at(struct command *cmd, const char *server)
{
    struct create *create = cmd->state;
    int r;

    cmd->state = NULL;
    if (create->args.uses == NULL || *create->args.uses == '\0')
        return start_at(cmd, server);
    cmd->state = create;
    cmd->cleanup = create_cleanup;
    create->server = server;
    r = specials_begin(&create->specials, cmd, client_leg(cmd->client, server));
    if (r < 0)
        return command_error(cmd, r);
    cmd->step = specials_step;
    return specials_step(cmd);
}

/* Does an administrator want it on another server than its parent's? */
static bool is_apart(const char *wanted, const struct mboxlist_record *parent)
{
    const char *server = parent->type == MBOXLIST_LOCAL ? config_servername() : parent->server;
    size_t n = wanted != NULL ? strcspn(wanted, "!") : 0;

    if (n == 0 || (wanted[n] == '\0' && leg_program()->local != NULL))
        return false; /* nothing, or a partition */
    return strlen(server) != n || strncmp(server, wanted, n) != 0;
}

static enum step place_step(struct command *cmd)
{
    const struct leg_program *program = leg_program();
    struct create *create = cmd->state;
    struct mboxlist_record ancestor;
    const char *server = NULL;
    int r;

    r = route_ancestor(cmd, cmd->mailbox, &ancestor);
    if (r == 0 && is_apart(create->args.place, &ancestor))
        return command_no(cmd, "CANNOT", "The parent is on another server");
    if (r == 0)
        return place_at(cmd, ancestor.type == MBOXLIST_LOCAL ? NULL : ancestor.server);
    if (r != ERR_NOTFOUND)
        return command_error(cmd, r);
    if (program->place != NULL)
        r = program->place(cmd->client, cmd, cmd->mailbox, create->args.place, &server);
    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (r < 0 && program->place != NULL)
        return command_error(cmd, r);
    return place_at(cmd, server);
}

/* A name that is there already is refused here; one that is not must be missing behind the barrier. */
static enum step create_step(struct command *cmd)
{
    struct mboxlist_record record;
    int r = route_lookup(cmd, cmd->mailbox, &record);

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (r == 0)
        return command_error(cmd, ERR_EXISTS);
    if (r != ERR_NOTFOUND)
        return command_error(cmd, r);
    cmd->step = place_step;
    return place_step(cmd);
}

enum step cmd_create(struct command *cmd)
{
    struct create *create = pool_alloc(cmd->pool, sizeof(*create));
    struct imap_args args;

    command_args(cmd, &args);
    if (read_name(cmd, &args, true, &cmd->mailbox) < 0)
        return STEP_DONE;
    if (create_args_read(&args, &create->args) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    cmd->state = create;
    cmd->step = create_step;
    return create_step(cmd);
}

/* ---- RENAME ---- */

/* Where its server is not asked: whoever may not rename a mailbox is not told that it is there (RFC 4314 section 6).  0 or the
 * error. */
static int check_old_name(struct command *cmd)
{
    const struct client *c = cmd->client;
    struct mboxlist_record record;
    int r = route_lookup(cmd, cmd->mailbox, &record);

    if (r < 0 || c->identity->is_admin || (client_rights(c, record.name, record.acl) & ACL_DELETE_MBOX) != 0)
        return r;
    return list_is_visible(c, &record) ? ERR_DENIED : ERR_NOTFOUND;
}

/* The new name's parent must be on the same server: a mailbox's children live with it. */
static enum step rename_step(struct command *cmd)
{
    struct mboxlist_record ancestor;
    const char *to = cmd->state;
    struct leg *leg, *new_leg;
    int r = route_mailbox(cmd, cmd->mailbox, &leg);

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (r < 0)
        return command_error(cmd, r);
    r = route_ancestor(cmd, to, &ancestor);
    if (r < 0 && r != ERR_NOTFOUND)
        return command_error(cmd, r);
    new_leg = r == 0 ? route_leg(cmd->client, &ancestor) : leg;
    if (new_leg != leg && (r = check_old_name(cmd)) < 0)
        return r == ERR_AGAIN ? STEP_WAIT : command_error(cmd, r);
    if (new_leg != leg)
        return command_no(cmd, "CANNOT", "The new name's parent is on another server");
    cmd->leg = leg;
    cmd->state = NULL;
    return leg->ops->start(leg, cmd);
}

enum step cmd_rename(struct command *cmd)
{
    struct imap_args args;
    const char *to, *partition;
    int r = 0;

    command_args(cmd, &args);
    if (read_name(cmd, &args, false, &cmd->mailbox) < 0)
        return STEP_DONE;
    if (imap_args_space(&args) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    if (read_name(cmd, &args, true, &to) < 0)
        return STEP_DONE;
    if (imap_args_skip(&args, ' '))
        r = imap_args_astring(&args, &partition);
    if (r < 0 || imap_args_end(&args) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    cmd->state = (void *)(uintptr_t)to;
    cmd->step = rename_step;
    return rename_step(cmd);
}
