/* cmd-misc.c: CAPABILITY, COMPRESS, ENABLE, ID, LOGOUT, NAMESPACE, NOOP, CHECK, UNAUTHENTICATE. */
#include <config.h>

#include "imap/session/capability.h"
#include "imap/session/commands.h"
#include "imap/session/enable.h"
#include "lib/base/error.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/imapwire/args.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/name/namespace.h"
#include "lib/stream/stream.h"

enum { ID_PAIRS_MAX = 30 }; /* RFC 2971 3.3 */

/* For commands without arguments: 0, or the answer has been made. */
static int no_arguments(struct command *cmd)
{
    struct imap_args args;

    command_args(cmd, &args);
    if (imap_args_end(&args) == 0)
        return 0;
    command_bad(cmd, "%s", imap_args_error(&args));
    return ERR_SYNTAX;
}

enum step cmd_capability(struct command *cmd)
{
    struct buf list = BUF_INIT;

    if (no_arguments(cmd) < 0)
        return STEP_DONE;
    capability_list(cmd->client, &list);
    stream_printf(cmd->client->stream, "* CAPABILITY %s\r\n", buf_cstr(&list));
    buf_free(&list);
    return command_ok(cmd, NULL, "Completed");
}

static void begin_deflate(struct client *c)
{
    stream_deflate_begin(c->stream);
}

/* (TLS never compresses here: RFC 4978 3's COMPRESSIONACTIVE cannot come up.) */
enum step cmd_compress(struct command *cmd)
{
    struct imap_args args;
    const char *name;

    command_args(cmd, &args);
    if (imap_args_atom(&args, &name) < 0 || imap_args_end(&args) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    if (!str_ieq(name, "DEFLATE"))
        return command_bad(cmd, "Unknown compression mechanism");
    if (stream_is_deflate(cmd->client->stream))
        return command_bad(cmd, "COMPRESS is active already");
    cmd->after = begin_deflate;
    return command_ok(cmd, NULL, "DEFLATE active");
}

/* RFC 5161: what cannot be enabled is ignored. */
enum step cmd_enable(struct command *cmd)
{
    struct client *c = cmd->client;
    struct buf names = BUF_INIT;
    struct imap_args args;
    unsigned wanted = 0;
    const char *name;
    int r;

    command_args(cmd, &args);
    do {
        r = imap_args_atom(&args, &name);
        wanted |= r == 0 ? enable_find(c, name) : 0;
    } while (r == 0 && imap_args_skip(&args, ' '));
    if (r < 0 || imap_args_end(&args) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    enable_on(c, wanted);
    enable_put(wanted, &names);
    stream_printf(c->stream, "* ENABLED%s\r\n", buf_cstr(&names));
    buf_free(&names);
    return command_ok(cmd, NULL, "Completed");
}

/* NIL, or (string nstring ...).  Does it say that a script of another server speaks (doc/protocols/imap.md)? */
static int parse_id(struct imap_args *args, bool *is_script_r)
{
    const char *s, *value;
    int pairs = 0;

    *is_script_r = false;

    if (imap_args_word(args, "NIL"))
        return imap_args_end(args);
    if (imap_args_char(args, '(') < 0)
        return ERR_SYNTAX;
    while (!imap_args_skip(args, ')')) {
        if (pairs > 0 && imap_args_space(args) < 0)
            return ERR_SYNTAX;
        if (++pairs > ID_PAIRS_MAX || imap_args_string(args, &s) < 0 || imap_args_space(args) < 0 ||
            imap_args_nstring(args, &value) < 0)
            return ERR_SYNTAX;
        *is_script_r |= str_ieq(s, "x-iatlas-sieve");
    }
    return imap_args_end(args);
}

enum step cmd_id(struct command *cmd)
{
    struct imap_args args;
    bool is_script;

    command_args(cmd, &args);
    if (parse_id(&args, &is_script) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    if (cmd->client->is_proxied)
        cmd->client->is_script |= is_script;
    stream_puts(cmd->client->stream, opt_switch(OPT_IMAPIDRESPONSE)
                                         ? "* ID (\"name\" \"iatlas\" \"version\" \"" PACKAGE_VERSION
                                           "\" \"vendor\" \"iatlas\")\r\n"
                                         : "* ID NIL\r\n");
    return command_ok(cmd, NULL, "Completed");
}

/* Without EXPUNGE, and nothing is told of it. */
static void leave_selection(struct client *c)
{
    if (c->selected != NULL)
        c->selected->ops->unselect(c->selected);
    if (c->state == CLIENT_SELECTED)
        client_unselected(c);
}

enum step cmd_logout(struct command *cmd)
{
    struct client *c = cmd->client;

    if (no_arguments(cmd) < 0)
        return STEP_DONE;
    leave_selection(c);
    stream_puts(c->stream, "* BYE LOGOUT received\r\n");
    c->state = CLIENT_LOGOUT;
    return command_ok(cmd, NULL, "Completed");
}

/* All that a session knows goes with its struct client (login_unauthenticate). */
enum step cmd_unauthenticate(struct command *cmd)
{
    if (no_arguments(cmd) < 0)
        return STEP_DONE;
    leave_selection(cmd->client);
    cmd->client->state = CLIENT_NOBODYS;
    return command_ok(cmd, NULL, "Completed");
}

enum step cmd_namespace(struct command *cmd)
{
    struct client *c = cmd->client;
    struct mboxlist_record record;
    struct buf text = BUF_INIT;
    bool has_inbox;

    if (no_arguments(cmd) < 0)
        return STEP_DONE;
    has_inbox = *c->ns->inbox != '\0' && mboxlist_lookup(c->list, c->ns->inbox, cmd->pool, &record) == 0;
    namespace_response(c->ns, has_inbox, &text);
    stream_printf(c->stream, "* NAMESPACE %s\r\n", buf_cstr(&text));
    buf_free(&text);
    return command_ok(cmd, NULL, "Completed");
}

/* NOOP never fails (RFC 3501 6.1.2), but whoever polls so must learn that there will be no news. */
static enum step answer_lost(struct command *cmd)
{
    if (cmd->def->id == COMMAND_CHECK)
        return command_lost(cmd);
    stream_puts(cmd->client->stream, "* NO " CLIENT_LOST_TEXT "\r\n");
    return command_ok(cmd, NULL, "Completed");
}

static enum step poll_step(struct command *cmd)
{
    struct leg *leg = cmd->client->selected;
    int r = leg != NULL ? leg->ops->poll(leg, cmd) : 0;

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (cmd->client->selected_lost)
        return answer_lost(cmd);
    if (r < 0)
        return command_error(cmd, r);
    return command_ok(cmd, NULL, "Completed");
}

enum step cmd_noop(struct command *cmd)
{
    if (no_arguments(cmd) < 0)
        return STEP_DONE;
    cmd->step = poll_step;
    return poll_step(cmd);
}
