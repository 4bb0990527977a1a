/* cmd-replace.c: REPLACE (RFC 8508): a message is appended, another one of the selected mailbox removed.  A server that has
 * both mailboxes does it alone; else the old message is removed once the new one is on disk.
 * A server that dies in between has both, never neither; within a mailbox there is no in between, as the store does it in
 * one commit. */
#include "imap/session/appending.h"
#include "imap/session/commands.h"
#include "imap/session/route.h"
#include "lib/base/error.h"
#include "lib/stream/stream.h"

struct replace {
    struct appending append; /* first */
    const char *number;      /* of the old message, or its UID */
    struct leg *from;
    struct leg_source *source;
    const char *uid;          /* the old message's; NULL: it goes with the commit */
    struct leg_appended done; /* the new one */
    const char *failure;      /* what the client is told of why the old one could not be removed */
    int error;
    void (*append_cleanup)(struct command *cmd);
};

static enum step undo_step(struct command *cmd)
{
    struct replace *re = cmd->state;
    struct buf uids = BUF_INIT;
    int r;

    seqset_print(&re->done.uids, &uids);
    r = cmd->leg->ops->undo(cmd->leg, cmd, cmd->mailbox, re->done.uidvalidity,
                            pool_strdup(cmd->pool, buf_cstr(&uids)));
    buf_free(&uids);
    if (r == ERR_AGAIN)
        return STEP_WAIT;
    cmd->failure =
        r == 0 ? re->failure : "[CANNOT] The new message is there, and the old one could not be removed";
    return command_error(cmd, re->error);
}

/* The old message is still there: the new one goes.  Where its server has it selected it stays, as a connection cannot
 * select another mailbox without the client's knowledge. */
static enum step fail(struct command *cmd, int error)
{
    struct replace *re = cmd->state;

    if (seqset_is_empty(&re->done.uids) || (cmd->leg == re->from && cmd->leg->server != NULL)) {
        cmd->failure = "[CANNOT] The new message is there, and the old one could not be removed";
        return command_error(cmd, error);
    }
    re->failure = cmd->failure;
    re->error = error;
    cmd->step = undo_step;
    return undo_step(cmd);
}

static enum step expunge_step(struct command *cmd)
{
    struct replace *re = cmd->state;
    int r = re->from->ops->expunge_uids(re->from, cmd, re->uid);

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    return r < 0 ? fail(cmd, r) : command_ok(cmd, NULL, "Completed");
}

/* RFC 8508 4.3: APPENDUID comes before the EXPUNGE. */
static enum step committed(struct command *cmd, const struct leg_appended *done)
{
    struct replace *re = cmd->state;
    const char *code = appending_uid(cmd, done);

    if (re->uid == NULL && re->from->server != NULL) /* who has told of it in that order */
        return command_ok(cmd, code, "Completed");
    if (code != NULL)
        stream_printf(cmd->client->stream, "* OK [%s] Completed\r\n", code);
    if (re->uid == NULL)
        return command_ok(cmd, NULL, "Completed");
    re->done = *done;
    cmd->step = expunge_step;
    return expunge_step(cmd);
}

/* Which message is it?  Asked before anything is appended. */
static enum step number_step(struct command *cmd)
{
    struct replace *re = cmd->state;
    const struct leg_ops *ops = re->from->ops;
    struct seqset uids;
    int r = ops->source_open(re->from, cmd, re->number, cmd->uid, &re->source);

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    seqset_init(&uids, cmd->pool);
    if (r == 0)
        r = ops->source_uids(re->source, &uids);
    ops->source_close(&re->source);
    if (r < 0 && r != ERR_SYNTAX) /* which is a number beyond the last */
        return command_error(cmd, r);
    if (seqset_count(&uids) != 1)
        return command_no(cmd, "NONEXISTENT", "No such message");
    re->uid = pool_printf(cmd->pool, "%u", seqset_min(&uids));
    return appending_open(cmd);
}

/* The new message's mailbox is open. */
static enum step opened(struct command *cmd)
{
    struct replace *re = cmd->state;
    int r = cmd->leg == re->from ? cmd->leg->ops->sink_replace(re->append.sink, re->number, cmd->uid)
                                 : ERR_UNSUPPORTED;

    if (r == 0)
        re->uid = NULL;
    return r < 0 && r != ERR_UNSUPPORTED ? appending_fail(cmd, r) : appending_go_on(cmd);
}

static enum step locate_step(struct command *cmd)
{
    struct replace *re = cmd->state;
    int r = route_mailbox(cmd, cmd->mailbox, &cmd->leg);

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (r == ERR_NOTFOUND)
        return command_no(cmd, "TRYCREATE", "Mailbox does not exist");
    if (r == 0)
        r = re->from->ops->may_expunge(re->from);
    if (r < 0)
        return command_error(cmd, r);
    cmd->step = number_step;
    return number_step(cmd);
}

static void replace_cleanup(struct command *cmd)
{
    struct replace *re = cmd->state;

    re->from->ops->source_close(&re->source);
    re->append_cleanup(cmd);
}

/* "seq-number" or "*" */
static int take_number(struct imap_args *args, const char **number_r)
{
    uint32_t n;

    if (imap_args_skip(args, '*')) {
        *number_r = "*";
        return 0;
    }
    if (imap_args_nz_number(args, &n) < 0)
        return ERR_SYNTAX;
    *number_r = pool_printf(args->pool, "%u", n);
    return 0;
}

enum step cmd_replace(struct command *cmd)
{
    struct replace *re = pool_alloc(cmd->pool, sizeof(*re));
    struct imap_args args;
    const char *external;
    int r;

    command_args(cmd, &args);
    if (take_number(&args, &re->number) < 0 || imap_args_space(&args) < 0 ||
        imap_args_mailbox(&args, &external) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    re->append.single = true;
    re->append.opened = opened;
    re->append.committed = committed;
    re->from = cmd->client->selected;
    cmd->state = re;
    if (appending_begin(cmd, &args) < 0)
        return STEP_DONE;
    if (re->from == NULL)
        return command_lost(cmd);
    r = client_name_in(cmd->client, cmd->pool, external, &cmd->mailbox);
    if (r < 0)
        return command_error(cmd, r);
    re->append_cleanup = cmd->cleanup;
    cmd->cleanup = replace_cleanup;
    cmd->step = locate_step;
    return locate_step(cmd);
}
