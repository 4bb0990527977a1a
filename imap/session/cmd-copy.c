/* cmd-copy.c: COPY and MOVE (RFC 6851).  Within one leg they are passed to it.  Across two, the messages are read
 * from the source and appended together (RFC 3502), all or none.  A destination that takes one at a time, or more
 * messages than enter together: if that fails half way, what was appended is taken back.  MOVE expunges the source
 * only after every copy is safe. */
#include <string.h>

#include "imap/session/annotate-args.h"
#include "imap/session/commands.h"
#include "imap/session/route.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/imapwire/args.h"
#include "lib/imapwire/seqset.h"
#include "lib/stream/stream.h"

enum { TOGETHER_MAX = 1000 /* messages that are appended together: as many as our own servers take */ };

struct copy {
    const char *set;
    const char *mailbox; /* the destination */
    rights_t rights;     /* there, as the list has them */
    struct leg *from, *to;
    struct leg_source *source;
    struct leg_sink *sink;
    struct leg_message message;
    const char *pending; /* bytes read and not yet written */
    size_t pending_len;
    uint64_t written;
    struct seqset together;           /* those in the sink */
    unsigned count;                   /* of them */
    unsigned begun;                   /* of all */
    bool has_message;                 /* `message` is read, and not in the sink yet */
    struct seqset from_uids, to_uids; /* those that are safe */
    uint32_t uidvalidity;
    bool uids_known; /* the destination has told every uid */
    int error;       /* what went wrong, while copies are undone */
    char *uids;      /* printed set, for undo and expunge */
};

static void copy_cleanup(struct command *cmd)
{
    struct copy *cp = cmd->state;

    cp->from->ops->source_close(&cp->source);
    cp->to->ops->sink_close(&cp->sink);
}

static char *print_set(struct command *cmd, const struct seqset *set)
{
    struct buf b = BUF_INIT;
    char *s;

    seqset_print(set, &b);
    s = pool_strdup(cmd->pool, buf_cstr(&b));
    buf_free(&b);
    return s;
}

/* ---- failure ---- */

static enum step answer_failure(struct command *cmd, int error)
{
    if (error == ERR_NOTFOUND && cmd->failure == NULL)
        return command_no(cmd, "TRYCREATE", "Mailbox does not exist");
    return command_error(cmd, error);
}

static enum step half_way(struct command *cmd)
{
    return command_no(cmd, "CANNOT", "Copying failed half way, and the copies made could not be removed");
}

static enum step undo_step(struct command *cmd)
{
    struct copy *cp = cmd->state;
    const char *failure = cmd->failure;
    int r = cp->to->ops->undo(cp->to, cmd, cp->mailbox, cp->uidvalidity, cp->uids);

    cmd->failure = failure; /* the first failure is what the client is told */
    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (r < 0) {
        cmd->failure = NULL;
        return half_way(cmd);
    }
    return answer_failure(cmd, cp->error);
}

/* Ends the copy: with nothing appended at once, else by undoing. */
static enum step fail(struct command *cmd, int error)
{
    struct copy *cp = cmd->state;

    cp->error = error;
    cp->to->ops->sink_close(&cp->sink);
    cp->from->ops->source_close(&cp->source);
    if (seqset_is_empty(&cp->from_uids))
        return answer_failure(cmd, error);
    if (!cp->uids_known)
        return half_way(cmd);
    cp->uids = print_set(cmd, &cp->to_uids);
    cmd->step = undo_step;
    return undo_step(cmd);
}

/* ---- success ---- */

static const char *copyuid(struct command *cmd, const struct copy *cp)
{
    if (!cp->uids_known)
        return NULL;
    return pool_printf(cmd->pool, "COPYUID %u %s %s", cp->uidvalidity, print_set(cmd, &cp->from_uids),
                       print_set(cmd, &cp->to_uids));
}

static enum step expunge_step(struct command *cmd)
{
    struct copy *cp = cmd->state;
    int r = cp->from->ops->expunge_uids(cp->from, cmd, cp->uids);

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (r < 0)
        return command_error(cmd, r);
    return command_ok(cmd, NULL, "Completed");
}

/* RFC 6851 4.3: MOVE tells COPYUID in an untagged OK before the EXPUNGEs. */
static enum step succeed(struct command *cmd)
{
    struct copy *cp = cmd->state;
    const char *code;

    cp->from->ops->source_close(&cp->source);
    if (seqset_is_empty(&cp->from_uids))
        return command_ok(cmd, NULL, "No matching messages");
    code = copyuid(cmd, cp);
    if (cmd->def->id == COMMAND_COPY)
        return command_ok(cmd, code, "Completed");
    if (code != NULL)
        stream_printf(cmd->client->stream, "* OK [%s] Completed\r\n", code);
    cp->uids = print_set(cmd, &cp->from_uids);
    cmd->step = expunge_step;
    return expunge_step(cmd);
}

/* ---- the loop: next message, its bytes; when all that go together are there: commit ---- */

static enum step next_step(struct command *cmd);
static enum step message_step(struct command *cmd);

static enum step commit_step(struct command *cmd)
{
    struct copy *cp = cmd->state;
    struct leg_appended done = {0};
    int r = cp->to->ops->sink_commit(cp->sink, &done);

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (r < 0)
        return fail(cmd, r);
    cp->to->ops->sink_close(&cp->sink);
    seqset_add_set(&cp->from_uids, &cp->together);
    cp->uids_known = cp->uids_known && seqset_count(&done.uids) == cp->count;
    seqset_add_set(&cp->to_uids, &done.uids);
    cp->uidvalidity = done.uidvalidity;
    if (!cp->has_message)
        return succeed(cmd);
    cmd->step = message_step;
    return STEP_MORE;
}

static enum step bytes_step(struct command *cmd)
{
    struct copy *cp = cmd->state;
    int n, r = 0;

    if (cp->pending_len == 0 && cp->written < cp->message.size) {
        r = cp->from->ops->source_read(cp->source, &cp->pending, &cp->pending_len);
        if (r == ERR_AGAIN)
            return STEP_WAIT;
        if (r < 0)
            return fail(cmd, r == ERR_EOF ? ERR_PROTOCOL : r);
    }
    if (cp->written == cp->message.size) {
        cmd->step = next_step;
        return STEP_MORE;
    }
    n = cp->to->ops->sink_write(cp->sink, cp->pending, cp->pending_len);
    if (n == ERR_AGAIN)
        return STEP_WAIT;
    if (n < 0)
        return fail(cmd, n);
    cp->pending += n;
    cp->pending_len -= (size_t)n;
    cp->written += (uint64_t)n;
    return STEP_MORE;
}

static enum step part_step(struct command *cmd)
{
    struct copy *cp = cmd->state;
    struct leg_part part = {cp->message.size, false, false};
    int r = cp->to->ops->sink_part(cp->sink, &part);

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (r < 0)
        return fail(cmd, r);
    seqset_add(&cp->together, cp->message.uid);
    cp->count++;
    command_progress(cmd, ++cp->begun - 1, 0);
    cp->has_message = false;
    cp->pending_len = 0;
    cp->written = 0;
    cmd->step = bytes_step;
    return bytes_step(cmd);
}

static int begin_together(struct command *cmd, struct copy *cp)
{
    if (cp->sink == NULL) {
        seqset_init(&cp->together, cmd->pool);
        cp->count = 0;
    }
    return cp->to->ops->sink_open(cp->to, cmd, cp->mailbox, &cp->sink);
}

/* Those that may be set there (RFC 5257 section 4.6): its server would refuse the message for others. */
static struct annotate_list annotations_for(struct command *cmd, const struct copy *cp)
{
    const struct annotate_list *from = cp->message.annotations;
    struct annotate_list list = {0};

    if (from == NULL || from->count == 0)
        return list;
    list.values = pool_alloc(cmd->pool, from->count * sizeof(*list.values));
    for (size_t i = 0; i < from->count; i++)
        if ((cp->rights & (from->values[i].is_private ? ACL_READ : ACL_ANNOTATE)) != 0)
            list.values[list.count++] = from->values[i];
    return list;
}

/* The message joins those before it, or begins anew behind them. */
static enum step message_step(struct command *cmd)
{
    struct copy *cp = cmd->state;
    struct annotate_list annotations = annotations_for(cmd, cp);
    struct leg_append what = {
        .flags = cp->message.flags, .internal_date = cp->message.internal_date, .annotations = &annotations};
    int r = cp->sink == NULL || cp->count == 0 ? begin_together(cmd, cp) : 0;

    if (r == 0)
        r = cp->count < TOGETHER_MAX ? cp->to->ops->sink_message(cp->sink, &what) : ERR_UNSUPPORTED;
    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (r == ERR_UNSUPPORTED && cp->count > 0) {
        cmd->step = commit_step;
        return commit_step(cmd);
    }
    if (r < 0)
        return fail(cmd, r);
    cmd->step = part_step;
    return part_step(cmd);
}

static enum step next_step(struct command *cmd)
{
    struct copy *cp = cmd->state;
    int r = cp->from->ops->source_next(cp->source, &cp->message);

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (r == ERR_EOF) {
        cmd->step = commit_step;
        return cp->sink != NULL ? commit_step(cmd) : succeed(cmd);
    }
    if (r < 0)
        return fail(cmd, r);
    cp->has_message = true;
    cmd->step = message_step;
    return message_step(cmd);
}

static enum step source_step(struct command *cmd)
{
    struct copy *cp = cmd->state;
    int r = cp->from->ops->source_open(cp->from, cmd, cp->set, cmd->uid, &cp->source);

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (r < 0)
        return command_error(cmd, r);
    cmd->step = next_step;
    return next_step(cmd);
}

/* ---- beginning ---- */

/* The destination's leg is known: one leg, or two. */
static enum step locate_step(struct command *cmd)
{
    struct copy *cp = cmd->state;
    struct client *c = cmd->client;
    struct mboxlist_record record;
    int r = route_lookup(cmd, cp->mailbox, &record);

    if (r == 0) {
        cp->rights = client_rights(c, record.name, record.acl);
        cp->to = route_leg(c, &record);
        r = cp->to != NULL ? 0 : ERR_UNAVAILABLE;
    }
    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (r == ERR_NOTFOUND)
        return command_no(cmd, "TRYCREATE", "Mailbox does not exist");
    if (r < 0)
        return command_error(cmd, r);
    cmd->leg = cp->from;
    if (cp->to == cp->from) {
        cmd->state = NULL;
        cmd->mailbox = c->selected_name;
        return cp->from->ops->start(cp->from, cmd);
    }
    if (cmd->def->id == COMMAND_MOVE && (r = cp->from->ops->may_expunge(cp->from)) < 0)
        return command_error(cmd, r);
    cmd->cleanup = copy_cleanup;
    cmd->step = source_step;
    return source_step(cmd);
}

enum step cmd_copy(struct command *cmd)
{
    struct copy *cp = pool_alloc(cmd->pool, sizeof(*cp));
    struct client *c = cmd->client;
    struct imap_args args;
    const char *external;
    int r;

    command_args(cmd, &args);
    if (imap_args_seqset(&args, &cp->set) < 0 || imap_args_space(&args) < 0 ||
        imap_args_mailbox(&args, &external) < 0 || imap_args_end(&args) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    if (c->selected == NULL)
        return command_lost(cmd);
    r = client_name_in(c, cmd->pool, external, &cp->mailbox);
    if (r < 0)
        return command_error(cmd, r);
    cp->from = c->selected;
    cp->uids_known = true;
    seqset_init(&cp->from_uids, cmd->pool);
    seqset_init(&cp->to_uids, cmd->pool);
    cmd->state = cp;
    cmd->step = locate_step;
    return locate_step(cmd);
}
