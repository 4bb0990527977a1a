/* cmd-metadata.c: where GETMETADATA and SETMETADATA (RFC 5464) go: a mailbox's to its server, the server's entries to the
 * server of the user's INBOX. */
#include "imap/session/commands.h"
#include "imap/session/route.h"
#include "lib/base/error.h"
#include "lib/imapwire/args.h"

static enum step inbox_step(struct command *cmd)
{
    int r = route_inbox(cmd, &cmd->leg);

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (r == ERR_NOTFOUND)
        return command_no(cmd, "CANNOT",
                          "The entries are those of the server of your INBOX, and there is none");
    if (r < 0)
        return command_error(cmd, r);
    return cmd->leg->ops->start(cmd->leg, cmd);
}

enum step cmd_metadata(struct command *cmd)
{
    struct imap_args args;
    const char *external;
    int r = 0;

    command_args(cmd, &args);
    if (cmd->def->id == COMMAND_GETMETADATA && imap_args_peek(&args) == '(') {
        r = imap_args_skip_value(&args);
        if (r == 0)
            r = imap_args_space(&args);
    }
    if (r < 0 || imap_args_mailbox(&args, &external) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    if (*external != '\0')
        return route_named(cmd, external);
    cmd->step = inbox_step;
    return inbox_step(cmd);
}
