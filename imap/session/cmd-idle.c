/* cmd-idle.c: IDLE (RFC 2177). */
#include "imap/login/login.h"
#include "imap/session/commands.h"
#include "imap/session/notify.h"
#include "lib/base/error.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/engine/engine.h"
#include "lib/stream/stream.h"

enum { DONE_LINE_MAX = 1024 };

static enum step stop_step(struct command *cmd)
{
    struct leg *leg = cmd->client->selected;
    int r = leg != NULL ? leg->ops->idle_stop(leg, cmd) : 0;

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    login_set_timeout(cmd->client->login, opt_duration_ms(OPT_TIMEOUT));
    client_proc(cmd->client, NULL);
    if (cmd->state == NULL)
        return command_bad(cmd, "Expected DONE");
    if (cmd->client->selected_lost)
        return command_lost(cmd);
    if (r < 0)
        return command_error(cmd, r);
    return command_ok(cmd, NULL, "Completed");
}

/* command.state is not NULL when the client said DONE. */
static enum step stop(struct command *cmd, bool done)
{
    cmd->state = done ? cmd : NULL;
    cmd->step = stop_step;
    return stop_step(cmd);
}

static enum step idle_step(struct command *cmd)
{
    struct client *c = cmd->client;
    unsigned number = notify_number(c);
    const char *line;
    size_t n;
    int r;

    if (session_stopping(c->session)) {
        client_bye(c, NULL, "Server is shutting down");
        return STEP_DONE;
    }
    r = notify_is_telling(c) ? 0 : stream_line(c->stream, DONE_LINE_MAX, &line, &n);
    if (r != 0)
        return stop(cmd, r == 1 && n == 4 && str_ieq_n(line, "DONE", 4));
    if (c->selected != NULL && !notify_is_telling(c)) {
        c->selected->ops->idle_run(c->selected, cmd);
        /* The answer waits for DONE; a client that idles should not wait for mail that will not come. */
        if (c->selected_lost)
            stream_puts(c->stream, "* NO " CLIENT_LOST_TEXT "\r\n");
    }
    if (notify_step(c) || notify_number(c) != number) /* the leg tells its server what is watched now */
        return STEP_MORE;
    cmd->wake_at = notify_deadline(c) < cmd->wake_at ? notify_deadline(c) : cmd->wake_at;
    cmd->wants_input = true;
    return STEP_WAIT;
}

static enum step start_step(struct command *cmd)
{
    struct client *c = cmd->client;
    int r = c->selected != NULL ? c->selected->ops->idle_start(c->selected, cmd) : 0;
    int64_t timeout = opt_duration_ms(OPT_IMAPIDLETIMEOUT);

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (r < 0)
        return command_error(cmd, r);
    stream_puts(c->stream, "+ idling\r\n");
    client_proc(c, "IDLE");
    if (opt_is_set(OPT_IMAPIDLETIMEOUT))
        login_set_timeout(c->login, timeout);
    cmd->step = idle_step;
    return idle_step(cmd);
}

enum step cmd_idle(struct command *cmd)
{
    if (cmd->args_len > 0)
        return command_bad(cmd, "Unexpected extra arguments");
    if (cmd->client->selected_lost)
        return command_lost(cmd);
    cmd->step = start_step;
    return start_step(cmd);
}
