/* names.c: CREATE, DELETE, RENAME, SETACL, DELETEACL: operations of imap/mboxop, run step by step. */
#include <string.h>

#include "imap/local/local-private.h"
#include "imap/mboxop/mboxop.h"
#include "imap/session/capability.h"
#include "imap/session/create-args.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/options.h"
#include "lib/engine/engine.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/mboxlist/special-use.h"
#include "lib/name/identity.h"
#include "lib/name/mboxname.h"
#include "lib/stream/stream.h"

/* ---- running an operation ---- */

static void wake_session(void *context)
{
    session_wake(context);
}

static void operation_cleanup(struct command *cmd)
{
    struct mboxop *op = cmd->state;

    mboxop_free(&op);
}

/* `* OK rename a b` for each mailbox (as Cyrus's cyradm expects). */
static void tell_renames(struct command *cmd, const struct mboxop *op)
{
    const char *from, *to;
    unsigned count = mboxop_renamed(op, 0, &from, &to);

    if (cmd->def->id != COMMAND_RENAME)
        return;
    for (unsigned i = 0; i < count; i++) {
        mboxop_renamed(op, i, &from, &to);
        from = client_name_out(cmd->client, cmd->pool, from);
        to = client_name_out(cmd->client, cmd->pool, to);
        if (from != NULL && to != NULL)
            stream_printf(cmd->client->stream, "* OK rename %s %s\r\n", from, to);
    }
}

/* RFC 8474 4.1 */
static const char *mailboxid_code(struct command *cmd)
{
    struct mboxlist_record record;

    if (capability_is_suppressed("OBJECTID") ||
        mboxlist_lookup(cmd->client->list, cmd->mailbox, cmd->pool, &record) < 0)
        return NULL;
    return pool_printf(cmd->pool, "MAILBOXID (%s)", record.id);
}

/* The code of RFC 5530 comes from the error, the words from the operation. */
static enum step answer(struct command *cmd, struct mboxop *op)
{
    int r = mboxop_result(op);
    struct client *c = cmd->client;

    /* what has been set is: a push tells the master what it could not be told */
    if (r == 0 || cmd->def->id == COMMAND_SETMETADATA) {
        tell_renames(cmd, op);
        if (cmd->def->id == COMMAND_SETQUOTA)
            local_tell_limits(cmd);
        if (cmd->def->id == COMMAND_DELETE && c->selected == cmd->leg &&
            strcmp(c->selected_name, cmd->mailbox) == 0) {
            local_unselect(cmd->leg);
            client_unselected(c);
        }
        return command_ok(cmd, cmd->def->id == COMMAND_CREATE ? mailboxid_code(cmd) : NULL, "Completed");
    }
    if (r == ERR_UNAVAILABLE || r == ERR_CONFLICT)
        return command_no(cmd, r == ERR_CONFLICT ? "ALREADYEXISTS" : "UNAVAILABLE", "%s", mboxop_text(op));
    if (r == ERR_UNSUPPORTED || r == ERR_INVALID)
        return command_no(cmd, "CANNOT", "%s", mboxop_text(op));
    return command_error(cmd, r);
}

static enum step operation_step(struct command *cmd)
{
    struct mboxop *op = cmd->state;

    switch (mboxop_step(op)) {
    case MBOXOP_MORE:
        return STEP_MORE;
    case MBOXOP_WAIT:
        cmd->wake_at = mboxop_deadline(op);
        return STEP_WAIT;
    default:
        return answer(cmd, op);
    }
}

enum step local_run_operation(struct command *cmd, struct mboxop *op)
{
    mboxop_set_waker(op, wake_session, cmd->client->session);
    cmd->state = op;
    cmd->cleanup = operation_cleanup;
    cmd->step = operation_step;
    return operation_step(cmd);
}

/* ---- the commands ---- */

/* Reads a mailbox argument again, which session has checked already. */
static int skip_mailbox(struct command *cmd, struct imap_args *args)
{
    const char *ignored;

    command_args(cmd, args);
    return imap_args_mailbox(args, &ignored);
}

/* The third argument: "partition", "server", "server!partition" (NULL: none).  *partition_r NULL: none is meant.
 * ERR_INVALID: another server, or no such partition here. */
static int local_partition(struct command *cmd, const char *where, const char **partition_r)
{
    const char *bang = where != NULL ? strchr(where, '!') : NULL;

    *partition_r = NULL;
    if (where == NULL)
        return 0;
    if (bang != NULL) {
        if (strcmp(pool_strndup(cmd->pool, where, (size_t)(bang - where)), config_servername()) != 0)
            return ERR_INVALID;
        where = bang + 1;
    } else if (strcmp(where, config_servername()) == 0) {
        return 0;
    }
    if (*where == '\0')
        return 0;
    *partition_r = where;
    return config_partition(where) != NULL ? 0 : ERR_INVALID;
}

/* RFC 6154 section 3: uses that mailboxes can have, of a mailbox of the user's own (or of another user's, for an
 * administrator), not of INBOX.  In canonical form; NULL: none.  ERR_SPECIAL_USE. */
static int local_uses(struct command *cmd, const char *given, const char **uses_r)
{
    const struct identity *identity = cmd->client->identity;

    *uses_r = NULL;
    if (given == NULL || *given == '\0')
        return 0;
    if (special_use_read(given, cmd->pool, uses_r) < 0 || !special_use_is_settable(*uses_r)) {
        cmd->failure = "[USEATTR] No mailbox can have this special use";
        return ERR_SPECIAL_USE;
    }
    if (mboxname_is_inbox(cmd->mailbox) || !mboxname_is_user(cmd->mailbox) ||
        !(identity->is_admin || mboxname_is_owner(name_config(), cmd->mailbox, identity->userid))) {
        cmd->failure = "[USEATTR] Special uses are of a user's own mailboxes";
        return ERR_SPECIAL_USE;
    }
    return 0;
}

enum step local_create(struct command *cmd)
{
    const struct mboxop_env *env = local_of(cmd)->env->mboxop;
    const char *partition, *uses;
    struct create_args create;
    struct imap_args args;
    int r;

    if (skip_mailbox(cmd, &args) < 0 || create_args_read(&args, &create) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    if (local_partition(cmd, create.place, &partition) < 0)
        return command_no(cmd, "CANNOT", "No such partition or server");
    r = partition != NULL && !cmd->client->identity->is_admin ? ERR_DENIED : 0;
    if (r == 0)
        r = mboxop_may_create(env, cmd->client->identity, cmd->mailbox);
    if (r == 0)
        r = local_uses(cmd, create.uses, &uses);
    if (r < 0)
        return command_error(cmd, r);
    return local_run_operation(cmd, mboxop_create(env, cmd->mailbox, partition, NULL, NULL, 0, uses));
}

enum step local_delete(struct command *cmd)
{
    const struct mboxop_env *env = local_of(cmd)->env->mboxop;
    struct imap_args args;
    int r;

    if (skip_mailbox(cmd, &args) < 0 || imap_args_end(&args) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    r = mboxop_may_delete(env, cmd->client->identity, cmd->mailbox);
    if (r < 0)
        return command_error(cmd, r);
    return local_run_operation(cmd, mboxop_delete(env, cmd->mailbox, 0));
}

enum step local_rename(struct command *cmd)
{
    const struct mboxop_env *env = local_of(cmd)->env->mboxop;
    struct client *c = cmd->client;
    struct imap_args args;
    const char *external, *to, *where = NULL, *partition;
    int r;

    if (skip_mailbox(cmd, &args) < 0 || imap_args_space(&args) < 0 || imap_args_mailbox(&args, &external) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    r = imap_args_skip(&args, ' ') ? imap_args_astring(&args, &where) : 0;
    if (r < 0 || imap_args_end(&args) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    if (local_partition(cmd, where, &partition) < 0)
        return command_no(cmd, "CANNOT", "Mailboxes cannot be moved to another server yet");
    r = client_name_in(c, cmd->pool, external, &to);
    if (r == 0 && partition != NULL && !c->identity->is_admin)
        r = ERR_DENIED;
    if (r == 0 && partition != NULL && strcmp(cmd->mailbox, to) == 0)
        r = mboxop_may_move(env, c->identity, to);
    else if (r == 0)
        r = mboxop_may_rename(env, c->identity, cmd->mailbox, to);
    if (r < 0)
        return command_error(cmd, r);
    return local_run_operation(cmd, mboxop_rename(env, cmd->mailbox, to, partition, 0));
}

/* ---- SETACL, DELETEACL (RFC 4314 3.1, 3.2) ---- */

static int parse_acl(struct command *cmd, const char **identifier_r, enum acl_edit *edit_r,
                     rights_t *rights_r)
{
    struct imap_args args;
    const char *rights;

    *edit_r = ACL_REPLACE;
    *rights_r = 0;
    if (skip_mailbox(cmd, &args) == 0 && imap_args_space(&args) == 0 &&
        imap_args_astring(&args, identifier_r) == 0) {
        if (cmd->def->id == COMMAND_DELETEACL && imap_args_end(&args) == 0)
            return 0;
        if (cmd->def->id == COMMAND_SETACL && imap_args_space(&args) == 0 &&
            imap_args_astring(&args, &rights) == 0 && imap_args_end(&args) == 0) {
            if (acl_parse_edit(name_config(), rights, edit_r, rights_r) == 0)
                return 0;
            args.error = "Invalid rights";
        }
    }
    command_bad(cmd, "%s", imap_args_error(&args));
    return ERR_SYNTAX;
}

enum step local_setacl(struct command *cmd)
{
    const struct mboxop_env *env = local_of(cmd)->env->mboxop;
    const char *identifier;
    enum acl_edit edit;
    rights_t rights;
    int r;

    if (parse_acl(cmd, &identifier, &edit, &rights) < 0)
        return STEP_DONE;
    identifier = client_identifier(cmd->pool, identifier);
    if (!acl_identifier_ok(identifier) ||
        (edit != ACL_REMOVE && rights != 0 && !identity_may_be(name_config(), identifier)))
        return command_no(cmd, "CANNOT", "Invalid identifier");
    r = mboxop_may_setacl(env, cmd->client->identity, cmd->mailbox, identifier, rights);
    if (r < 0)
        return command_error(cmd, r);
    return local_run_operation(cmd, mboxop_setacl(env, cmd->mailbox, identifier, edit, rights));
}
