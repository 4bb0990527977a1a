/* pass.c: whole commands: passed on with the client's arguments, answers passed back. */
#include <string.h>

#include "imap/proxy/proxy-private.h"
#include "imap/session/capability.h"
#include "imap/session/enable.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/imapwire/args.h"
#include "lib/imapwire/out.h"

struct pass {
    struct proxy_leg *p;
    bool begun; /* something of it has been sent */
    bool sent;
    struct outgoing out;
};

static void select_done(struct proxy_leg *p, struct command *cmd, const char *text, size_t len)
{
    static const char read_only[] = "[READ-ONLY]";
    bool examine =
        cmd->def->id == COMMAND_EXAMINE || memmem(text, len, read_only, sizeof(read_only) - 1) != NULL;

    p->selected = true;
    client_selected(p->leg.client, &p->leg, cmd->mailbox, examine);
}

enum step proxy_final(struct proxy_leg *p, struct command *cmd, const char *text, size_t len)
{
    bool ok = len >= 2 && str_ieq_n(text, "OK", 2);
    const char *lacking = proxy_lacks_words(p, cmd, text, len);

    switch (cmd->def->id) {
    case COMMAND_SELECT:
    case COMMAND_EXAMINE:
        if (ok)
            select_done(p, cmd, text, len);
        break;
    case COMMAND_CLOSE:
    case COMMAND_UNSELECT:
        if (ok) {
            p->selected = false;
            client_unselected(p->leg.client);
        }
        break;
    default:
        break;
    }
    if (ok && !enable_is_on(p->leg.client, ENABLED_CONDSTORE) && capability_is_used("CONDSTORE", cmd))
        enable_on(p->leg.client, ENABLED_CONDSTORE); /* by the way (RFC 7162 3.1): on other servers too */
    if (lacking != NULL)
        proxy_lacking(p, cmd, lacking);
    else
        command_pass(cmd, text, len);
    proxy_rest(p);
    return STEP_DONE;
}

/* A command that was sent in part: the connection is out of step. */
static void pass_cleanup(struct command *cmd)
{
    struct pass *pass = cmd->state;

    if (!pass->begun || pass->p->stream == NULL)
        return;
    if (pass->sent)
        proxy_abandon(pass->p);
    else
        proxy_disconnect(pass->p, "command abandoned");
}

/* Does the backend say that the mailbox is not there?  Ours has the response code of RFC 5530. */
static bool is_missing(const char *text, size_t len)
{
    static const char *const words[] = {"NO [NONEXISTENT]", "NO Mailbox does not exist"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (len >= strlen(words[i]) && str_ieq_n(text, words[i], strlen(words[i])))
            return true;
    }
    return false;
}

static enum step answered(struct command *cmd, const char *text, size_t len)
{
    struct pass *pass = cmd->state;

    pass->begun = false;
    if (cmd->mailbox == NULL || cmd->def->id == COMMAND_CREATE || !is_missing(text, len))
        return proxy_final(pass->p, cmd, text, len);
    proxy_judge(pass->p, cmd, text, len, NULL); /* cmd->failure */
    return STEP_ELSEWHERE;
}

static enum step failed(struct command *cmd, int error)
{
    struct pass *pass = cmd->state;

    if (error == ERR_AGAIN)
        return stream_unsent(cmd->client->stream) >= STREAM_OUT_HIGH ? STEP_MORE : STEP_WAIT;
    pass->begun = false;
    return command_error(cmd, error);
}

static enum step receive(struct command *cmd)
{
    struct pass *pass = cmd->state;
    struct proxy_leg *p = pass->p;
    enum reply reply;
    const char *text;
    size_t len;
    int r = stream_flush(p->stream);

    if (r < 0 && r != ERR_AGAIN)
        return failed(cmd, proxy_fail(p, cmd, r));
    reply = proxy_relay(p, cmd->client->stream, &text, &len);
    if (reply == REPLY_TAGGED)
        return answered(cmd, text, len);
    return failed(cmd, proxy_waiting(p, cmd, reply));
}

static enum step pass_step(struct command *cmd)
{
    struct pass *pass = cmd->state;
    const char *text, *lacking;
    size_t len;
    int r;

    if (pass->sent)
        return receive(cmd);
    r = proxy_connect(pass->p, cmd);
    if (r < 0)
        return failed(cmd, r);
    lacking = proxy_lacks_command(pass->p, cmd);
    if (lacking != NULL && !pass->begun)
        return proxy_lacking(pass->p, cmd, lacking);
    if (!pass->begun) {
        pass->begun = true;
        proxy_begin(pass->p);
        stream_printf(pass->p->stream, "%s%s%s", cmd->uid ? "UID " : "", cmd->def->name,
                      pass->out.left > 0 ? " " : "");
    }
    r = proxy_send(pass->p, cmd, &pass->out, &text, &len);
    if (r == 1)
        return answered(cmd, text, len);
    if (r < 0)
        return failed(cmd, r);
    stream_puts(pass->p->stream, "\r\n");
    pass->sent = true;
    return receive(cmd);
}

/* CREATE's third argument says `server!partition` to a frontend and `partition` to a backend. */
static void pass_create(struct command *cmd, struct outgoing *out)
{
    struct client *c = cmd->client;
    const char *name, *place = NULL, *partition;
    struct imap_args args;
    struct buf text = BUF_INIT;

    proxy_outgoing(out, cmd->args, cmd->args_len);
    command_args(cmd, &args);
    if (imap_args_mailbox(&args, &name) < 0 || imap_args_space(&args) < 0 ||
        imap_args_astring(&args, &place) < 0)
        return;
    partition = strchr(place, '!');
    buf_puts(&text, client_name_out(c, cmd->pool, cmd->mailbox));
    if (partition != NULL && partition[1] != '\0') {
        buf_putc(&text, ' ');
        imap_put_astring(&text, partition + 1);
    }
    proxy_outgoing(out, pool_strdup(cmd->pool, buf_cstr(&text)), text.len);
    buf_free(&text);
}

/* RENAME's third argument may be a partition; nothing here moves a mailbox to another server. */
static bool is_transfer(struct command *cmd)
{
    const char *from, *to, *place;
    struct imap_args args;

    command_args(cmd, &args);
    return imap_args_mailbox(&args, &from) == 0 && imap_args_space(&args) == 0 &&
           imap_args_mailbox(&args, &to) == 0 && imap_args_space(&args) == 0 &&
           imap_args_astring(&args, &place) == 0 && proxy_is_server(place);
}

enum step proxy_start(struct leg *leg, struct command *cmd)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;
    struct pass *pass;
    enum step step;

    if (!proxy_is_balanced(cmd->args, cmd->args_len))
        return command_bad(cmd, "Missing closing quote");
    if (cmd->def->id == COMMAND_RENAME && is_transfer(cmd))
        return command_no(cmd, "CANNOT", "Mailboxes are not moved between servers by RENAME");
    if (proxy_does_without(p, cmd, &step))
        return step;
    pass = pool_alloc(cmd->pool, sizeof(*pass));
    pass->p = p;
    if (cmd->def->id == COMMAND_CREATE)
        pass_create(cmd, &pass->out);
    else
        proxy_outgoing(&pass->out, cmd->args, cmd->args_len);
    cmd->state = pass;
    cmd->cleanup = pass_cleanup;
    cmd->step = pass_step;
    return pass_step(cmd);
}
