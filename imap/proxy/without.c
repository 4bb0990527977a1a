/* without.c: what the frontend promises and a backend lacks: MOVE (RFC 6851), UNSELECT (RFC 3691).  (IDLE: exchange.c.) */
#include <string.h>

#include "imap/proxy/proxy-private.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/imapwire/args.h"

struct move {
    struct proxy_leg *p;
    const char *copy; /* the command that copies */
    const char *uids; /* copied, to be removed */
};

static void move_cleanup(struct command *cmd)
{
    struct move *move = cmd->state;

    if (move->p->stream != NULL)
        proxy_abandon(move->p);
}

static enum step wait_or_fail(struct command *cmd, int error)
{
    if (error == ERR_AGAIN)
        return stream_unsent(cmd->client->stream) >= STREAM_OUT_HIGH ? STEP_MORE : STEP_WAIT;
    return command_error(cmd, error);
}

static enum step expunge_step(struct command *cmd)
{
    struct move *move = cmd->state;
    int r = proxy_expunge_uids(&move->p->leg, cmd, move->uids);

    return r < 0 ? wait_or_fail(cmd, r) : command_ok(cmd, NULL, "Completed");
}

/* "OK [COPYUID validity from to] text": the code, and the UIDs copied; false: nothing was. */
static bool read_copyuid(struct pool *pool, const char *ok, const char **code_r, const char **uids_r)
{
    static const char begin[] = "OK [COPYUID ";
    const char *end = strchr(ok, ']'), *uids, *to;

    if (!str_ieq_n(ok, begin, strlen(begin)) || end == NULL)
        return false;
    uids = memchr(ok + strlen(begin), ' ', (size_t)(end - ok) - strlen(begin));
    to = uids != NULL ? memchr(uids + 1, ' ', (size_t)(end - uids) - 1) : NULL;
    if (to == NULL)
        return false;
    *code_r = pool_strndup(pool, ok + 4, (size_t)(end - ok) - 4);
    *uids_r = pool_strndup(pool, uids + 1, (size_t)(to - uids) - 1);
    return true;
}

static enum step copy_step(struct command *cmd)
{
    struct move *move = cmd->state;
    struct stream *to = cmd->client->stream;
    const char *ok, *code;
    int r = proxy_exchange(move->p, cmd, to, &ok, move->copy);

    if (r < 0)
        return wait_or_fail(cmd, r);
    if (!read_copyuid(cmd->pool, ok, &code, &move->uids))
        return command_ok(cmd, NULL, "No matching messages");
    stream_printf(to, "* OK [%s] Completed\r\n", code); /* RFC 6851 4.3 */
    cmd->step = expunge_step;
    return expunge_step(cmd);
}

/* RFC 6851 3.3: COPY, then the source is removed. */
static enum step move_start(struct proxy_leg *p, struct command *cmd)
{
    struct move *move = pool_alloc(cmd->pool, sizeof(*move));
    const char *set, *external, *internal;
    struct imap_args args;
    int r;

    r = proxy_may_expunge(&p->leg);
    if (r < 0)
        return command_error(cmd, r);
    command_args(cmd, &args);
    if (imap_args_seqset(&args, &set) < 0 || imap_args_space(&args) < 0 ||
        imap_args_mailbox(&args, &external) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    r = client_name_in(cmd->client, cmd->pool, external, &internal);
    if (r < 0)
        return command_error(cmd, r);
    move->p = p;
    move->copy = pool_printf(cmd->pool, "%sCOPY %s %s", cmd->uid ? "UID " : "", set,
                             client_name_out(cmd->client, cmd->pool, internal));
    cmd->state = move;
    cmd->cleanup = move_cleanup;
    cmd->step = copy_step;
    return copy_step(cmd);
}

static enum step unselect_start(struct proxy_leg *p, struct command *cmd)
{
    p->leg.ops->unselect(&p->leg);
    client_unselected(p->leg.client);
    return command_ok(cmd, NULL, "Completed");
}

bool proxy_does_without(struct proxy_leg *p, struct command *cmd, enum step *step_r)
{
    if (p->stream == NULL || (cmd->def->id != COMMAND_MOVE && cmd->def->id != COMMAND_UNSELECT) ||
        backend_has(p->backend, cmd->def->capability))
        return false;
    *step_r = cmd->def->id == COMMAND_MOVE ? move_start(p, cmd) : unselect_start(p, cmd);
    return true;
}
