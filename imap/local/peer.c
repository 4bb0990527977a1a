/* peer.c: LOCALCREATE, LOCALDELETE, MUPDATEPUSH: what the servers of a murder say to one another while a mailbox moves
 * (doc/protocols/cyrus-private.md).  Session lets them through from proxyservers and administrators only. */
#include <string.h>

#include "imap/local/local-private.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/name/namespace.h"

/* Servers name mailboxes as an administrator does, whoever they authenticate as. */
static int read_name(struct command *cmd, struct imap_args *args)
{
    struct buf internal = BUF_INIT;
    struct namespace ns;
    const char *external;
    int r;

    command_args(cmd, args);
    if (imap_args_mailbox(args, &external) < 0)
        return ERR_SYNTAX;
    namespace_init(&ns, name_config(), NULL, true, cmd->pool);
    r = namespace_to_internal(&ns, external, &internal);
    if (r == 0)
        cmd->mailbox = pool_strdup(cmd->pool, buf_cstr(&internal));
    buf_free(&internal);
    return r;
}

/* The whole of "mailbox". 0, or the answer has been made. */
static int only_name(struct command *cmd)
{
    struct imap_args args;
    int r = read_name(cmd, &args);

    if (r == ERR_SYNTAX || (r == 0 && imap_args_end(&args) < 0)) {
        command_bad(cmd, "%s", imap_args_error(&args));
        return ERR_SYNTAX;
    }
    if (r < 0)
        command_error(cmd, r);
    return r;
}

/* "mailbox [SP partition]" */
enum step local_localcreate(struct command *cmd)
{
    struct imap_args args;
    const char *partition = NULL;
    int r = read_name(cmd, &args);

    if (r == 0 && imap_args_skip(&args, ' '))
        r = imap_args_astring(&args, &partition);
    if (r == ERR_SYNTAX || (r == 0 && imap_args_end(&args) < 0))
        return command_bad(cmd, "%s", imap_args_error(&args));
    if (r < 0)
        return command_error(cmd, r);
    if (partition != NULL && config_partition(partition) == NULL)
        return command_no(cmd, "CANNOT", "No such partition");
    return local_run_operation(cmd, mboxop_create_here(local_of(cmd)->env->mboxop, cmd->mailbox, partition));
}

enum step local_localdelete(struct command *cmd)
{
    if (only_name(cmd) < 0)
        return STEP_DONE;
    return local_run_operation(cmd, mboxop_delete_here(local_of(cmd)->env->mboxop, cmd->mailbox));
}

enum step local_mupdatepush(struct command *cmd)
{
    if (only_name(cmd) < 0)
        return STEP_DONE;
    return local_run_operation(cmd, mboxop_publish(local_of(cmd)->env->mboxop, cmd->mailbox));
}
