#include "imap/session/route.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/imapwire/args.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/mboxlist/remote.h"
#include "lib/name/mboxname.h"
#include "lib/name/namespace.h"

static bool is_usable(const struct mboxlist_record *record)
{
    return record->type == MBOXLIST_LOCAL || record->type == MBOXLIST_REMOTE;
}

static int lookup_once(struct command *cmd, const char *internal, struct mboxlist_record *record_r)
{
    int r = mboxlist_lookup(cmd->client->list, internal, cmd->pool, record_r);

    if (r < 0)
        return r;
    if (!is_usable(record_r))
        return ERR_NOTFOUND;
    return (record_r->flags & MBOXLIST_MOVING) != 0 ? ERR_BUSY : 0;
}

/* True while the barrier is under way; begins it at the first call. */
static bool in_barrier(struct command *cmd)
{
    const struct leg_program *program = leg_program();
    int r;

    if (program->barrier_begin == NULL)
        return false;
    if (!cmd->barrier_taken) {
        cmd->barrier_taken = true;
        cmd->barrier = program->barrier_begin(cmd->client);
    }
    if (cmd->barrier == NULL)
        return false;
    r = program->barrier_result(&cmd->barrier);
    if (r == ERR_AGAIN)
        cmd->wake_at = clock_deadline(LEG_BARRIER_MS);
    else
        cmd->list_is_old = r < 0;
    return r == ERR_AGAIN;
}

/* What the list lacks may exist all the same: a client that hears that it does not would drop what it has of it. */
static int unknown(struct command *cmd)
{
    cmd->failure = "[UNAVAILABLE] The mailbox list is not up to date: the MUPDATE server cannot be reached";
    return ERR_UNAVAILABLE;
}

int route_lookup(struct command *cmd, const char *internal, struct mboxlist_record *record_r)
{
    bool first = !cmd->barrier_taken;
    int r;

    if (cmd->barrier == NULL) {
        r = lookup_once(cmd, internal, record_r);
        if (r != ERR_NOTFOUND || !first)
            return r;
    }
    if (in_barrier(cmd))
        return ERR_AGAIN;
    r = lookup_once(cmd, internal, record_r);
    return r == ERR_NOTFOUND && cmd->list_is_old ? unknown(cmd) : r;
}

int route_list(struct command *cmd)
{
    int r = leg_program()->barrier_begin != NULL ? mboxlist_remote_is_whole(cmd->client->list) : 1;

    if (r != 0)
        return r < 0 ? r : 0;
    if (in_barrier(cmd))
        return ERR_AGAIN;
    return mboxlist_remote_is_whole(cmd->client->list) == 1 ? 0 : unknown(cmd);
}

struct leg *route_leg(struct client *c, const struct mboxlist_record *record)
{
    return client_leg(c, record->type == MBOXLIST_LOCAL ? NULL : record->server);
}

int route_mailbox(struct command *cmd, const char *internal, struct leg **leg_r)
{
    struct mboxlist_record record;
    int r = route_lookup(cmd, internal, &record);

    if (r < 0)
        return r;
    *leg_r = route_leg(cmd->client, &record);
    return *leg_r != NULL ? 0 : ERR_UNAVAILABLE;
}

int route_inbox(struct command *cmd, struct leg **leg_r)
{
    const char *inbox = cmd->client->ns->inbox;
    int r = ERR_NOTFOUND;

    if (*inbox != '\0')
        r = route_mailbox(cmd, inbox, leg_r);
    if (r != ERR_NOTFOUND)
        return r;
    *leg_r = client_leg(cmd->client, NULL);
    return *leg_r != NULL ? 0 : ERR_NOTFOUND;
}

int route_subscriptions(struct command *cmd, leg_lsub_fn *fn, void *context)
{
    if (cmd->leg == NULL) {
        int r = route_inbox(cmd, &cmd->leg);

        if (r < 0)
            return r == ERR_NOTFOUND ? 0 : r;
    }
    return cmd->leg->ops->lsub(cmd->leg, cmd, fn, context);
}

int route_ancestor(struct command *cmd, const char *internal, struct mboxlist_record *record_r)
{
    struct buf parent = BUF_INIT, next = BUF_INIT;
    int r = ERR_NOTFOUND;

    buf_puts(&parent, internal);
    while (r == ERR_NOTFOUND && mboxname_parent(buf_cstr(&parent), &next)) {
        buf_reset(&parent);
        buf_append(&parent, next.data, next.len);
        buf_reset(&next);
        r = lookup_once(cmd, buf_cstr(&parent), record_r);
    }
    buf_free(&parent);
    buf_free(&next);
    return r;
}

/* ---- commands whose first argument decides ---- */

static enum step not_found(struct command *cmd)
{
    if (cmd->failure != NULL)
        return command_error(cmd, ERR_NOTFOUND);
    if (cmd->def->id == COMMAND_APPEND || cmd->def->id == COMMAND_LOCALAPPEND)
        return command_no(cmd, "TRYCREATE", "Mailbox does not exist");
    if (cmd->def->id == COMMAND_GETQUOTA || cmd->def->id == COMMAND_SETQUOTA)
        return command_no(cmd, "NONEXISTENT", "Quota root does not exist");
    return command_error(cmd, ERR_NOTFOUND);
}

/* A mailbox that is not there has the quota root that it would have if it were made (RFC 9208 4.1.2): its parent's server
 * knows. */
static int locate_parent(struct command *cmd, struct leg **leg_r)
{
    struct mboxlist_record record;
    int r = route_ancestor(cmd, cmd->mailbox, &record);

    if (r < 0)
        return r;
    *leg_r = route_leg(cmd->client, &record);
    return *leg_r != NULL ? 0 : ERR_UNAVAILABLE;
}

static enum step locate_step(struct command *cmd)
{
    struct leg *leg;
    int r = route_mailbox(cmd, cmd->mailbox, &leg);

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (r == ERR_NOTFOUND && cmd->def->id == COMMAND_GETQUOTAROOT)
        r = locate_parent(cmd, &leg);
    /* what a peer believes to be here and is not is not sought elsewhere for it */
    if (r == ERR_NOTFOUND || (r == 0 && (cmd->def->flags & CMD_PEER) != 0 && leg->server != NULL))
        return not_found(cmd);
    if (r < 0)
        return command_error(cmd, r);
    cmd->leg = leg;
    if (cmd->def->route == ROUTE_MAILBOX && cmd->def->start != NULL)
        return cmd->def->start(cmd); /* over the leg's primitives */
    return leg->ops->start(leg, cmd);
}

enum step route_named(struct command *cmd, const char *external)
{
    int r = client_name_in(cmd->client, cmd->pool, external, &cmd->mailbox);

    if (r < 0)
        return cmd->def->id == COMMAND_GETQUOTA ? not_found(cmd) : command_error(cmd, r);
    cmd->step = locate_step;
    return locate_step(cmd);
}

enum step route_start(struct command *cmd)
{
    struct imap_args args;
    const char *external;

    command_args(cmd, &args);
    if (imap_args_mailbox(&args, &external) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    return route_named(cmd, external);
}

/* Waits for the barrier, then asks the list anew: only another server is worth a second try. */
static enum step relocate_step(struct command *cmd)
{
    struct mboxlist_record record;
    struct leg *leg;
    int r;

    if (in_barrier(cmd))
        return STEP_WAIT;
    r = lookup_once(cmd, cmd->mailbox, &record);
    leg = r == 0 ? route_leg(cmd->client, &record) : NULL;
    if (leg == NULL || leg == cmd->leg)
        return not_found(cmd);
    cmd->failure = NULL;
    cmd->leg = leg;
    return leg->ops->start(leg, cmd);
}

enum step route_again(struct command *cmd)
{
    if (cmd->cleanup != NULL)
        cmd->cleanup(cmd);
    cmd->cleanup = NULL;
    cmd->state = NULL;
    if (cmd->barrier_taken || cmd->mailbox == NULL)
        return not_found(cmd);
    cmd->step = relocate_step;
    return relocate_step(cmd);
}
