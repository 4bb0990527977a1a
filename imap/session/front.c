#include "imap/session/front.h"

#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "imap/session/capability.h"
#include "imap/session/client.h"
#include "imap/session/commands.h"
#include "imap/session/dispatch.h"
#include "imap/session/notify.h"
#include "lib/base/config.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/imapwire/args.h"
#include "lib/imapwire/out.h"
#include "lib/mboxlist/inbox-rights.h"
#include "lib/name/identity.h"
#include "lib/name/namespace.h"
#include "lib/stream/stream.h"

static struct client *client_of(struct login *l)
{
    struct client *c = l->front;

    MAGIC_CHECK(c, CLIENT_MAGIC);
    return c;
}

static void write_capabilities(struct client *c)
{
    struct buf list = BUF_INIT;

    capability_list(c, &list);
    stream_printf(c->stream, "[CAPABILITY %s] ", buf_cstr(&list));
    buf_free(&list);
}

static void make_client(struct login *l)
{
    struct client *c = pool_alloc(l->pool, sizeof(*c));
    const struct front_context *context = login_service_context(l->service);

    *c = (struct client){.magic = CLIENT_MAGIC,
                         .login = l,
                         .session = l->session,
                         .stream = l->stream,
                         .pool = l->pool,
                         .list = context->list,
                         .state = CLIENT_NOAUTH};
    input_init(&c->input);
    l->front = c;
}

static bool front_may_act_for(struct login *l, const struct identity *who, const struct identity *user)
{
    return (mboxlist_inbox_rights(client_of(l)->list, user->userid, who) & ACL_ADMIN) != 0;
}

static enum engine_verdict front_greeting(struct login *l)
{
    int info = opt_enum(OPT_SERVERINFO);
    struct client *c;

    make_client(l);
    c = client_of(l);
    stream_puts(c->stream, "* OK ");
    write_capabilities(c);
    stream_printf(c->stream, "%s%s%s server ready\r\n", config_servername(),
                  info >= SERVERINFO_MIN ? " iatlas IMAP" : "",
                  info == SERVERINFO_ON ? " " PACKAGE_VERSION : "");
    return ENGINE_AGAIN;
}

static enum engine_verdict front_command(struct login *l)
{
    return dispatch_one(client_of(l));
}

static void front_challenge(struct login *l, const char *base64)
{
    stream_printf(l->stream, "+ %s\r\n", base64);
}

/* RFC 5530 section 3 */
static const char *result_words(enum login_code code)
{
    switch (code) {
    case LOGIN_OK:
        return "OK ";
    case LOGIN_FAILED:
        return "NO [AUTHENTICATIONFAILED] ";
    case LOGIN_DENIED:
        return "NO [AUTHORIZATIONFAILED] ";
    case LOGIN_NEEDS_TLS:
        return "NO [PRIVACYREQUIRED] ";
    case LOGIN_UNAVAILABLE:
        return "NO [UNAVAILABLE] ";
    case LOGIN_LIMIT:
        return "NO [LIMIT] ";
    case LOGIN_NO_MECH:
        return "NO ";
    case LOGIN_CANCELLED:
    case LOGIN_BAD:
        return "BAD ";
    }
    return "NO ";
}

static void front_result(struct login *l, const struct login_result *result)
{
    struct client *c = client_of(l);

    stream_printf(c->stream, "%s %s", c->login_tag, result_words(result->code));
    free(c->login_tag);
    c->login_tag = NULL;
    if (result->code != LOGIN_OK) {
        stream_printf(c->stream, "%s\r\n", result->text);
        return;
    }
    c->state = CLIENT_AUTH;
    client_authenticated(c);
    if (!result->layer)
        write_capabilities(c);
    stream_printf(c->stream, "%s SESSIONID=<%s>\r\n", result->text, l->id);
}

static enum engine_verdict front_authenticated(struct login *l)
{
    struct client *c = client_of(l);
    const struct leg_program *program = leg_program();

    client_authenticated(c);
    c->state = CLIENT_AUTH;
    c->ns = pool_alloc(c->pool, sizeof(*c->ns));
    namespace_init(c->ns, name_config(), c->identity->is_anonymous ? NULL : c->identity->userid,
                   c->identity->is_admin, c->pool);
    if (program->barrier_begin != NULL)
        c->barrier = program->barrier_begin(c);
    return ENGINE_AGAIN;
}

static enum engine_verdict front_run(struct login *l)
{
    return dispatch_run(client_of(l));
}

static void front_bye(struct login *l, const char *text)
{
    stream_printf(l->stream, "* BYE %s\r\n", text);
}

static void front_close(struct login *l)
{
    struct client *c = client_of(l);

    dispatch_abort(c);
    notify_free(c);
    while (c->legs != NULL) {
        struct leg *leg = c->legs;

        c->legs = leg->next;
        leg->ops->close(leg);
    }
    input_reset(&c->input);
    free(c->selected_name);
    free(c->login_tag);
    c->magic = 0;
}

const struct login_ops imap_front = {
    .magic = LOGIN_OPS_MAGIC,
    .sasl_service = "imap",
    .for_users = true,
    .greeting = front_greeting,
    .command = front_command,
    .challenge = front_challenge,
    .may_act_for = front_may_act_for,
    .result = front_result,
    .authenticated = front_authenticated,
    .run = front_run,
    .bye = front_bye,
    .close = front_close,
    .restart = make_client,
};

/* ---- STARTTLS, AUTHENTICATE, LOGIN ---- */

static void say_bad(const struct command *cmd, const char *text)
{
    login_note_bad(cmd->client->login);
    stream_printf(cmd->client->stream, "%s BAD %s\r\n", cmd->tag, text);
}

static void starttls(struct command *cmd, struct imap_args *args)
{
    struct login *l = cmd->client->login;

    if (imap_args_end(args) < 0) {
        say_bad(cmd, imap_args_error(args));
    } else if (!login_may_starttls(l)) {
        say_bad(cmd, login_is_tls(l) ? "TLS is active already" : "STARTTLS is not available");
    } else {
        stream_printf(l->stream, "%s OK Begin TLS negotiation now\r\n", cmd->tag);
        login_starttls(l);
    }
}

/* AUTHENTICATE mechanism [initial response] (RFC 4959) */
static void authenticate(struct command *cmd, struct imap_args *args)
{
    const char *mech, *initial = NULL;
    int r = imap_args_atom(args, &mech);

    if (r == 0 && imap_args_skip(args, ' '))
        r = imap_args_astring(args, &initial);
    if (r < 0 || imap_args_end(args) < 0) {
        say_bad(cmd, imap_args_error(args));
        return;
    }
    cmd->client->login_tag = xstrdup(cmd->tag);
    login_authenticate(cmd->client->login, mech, initial);
}

static void login(struct command *cmd, struct imap_args *args)
{
    const char *user, *password;

    if (imap_args_astring(args, &user) < 0 || imap_args_space(args) < 0 ||
        imap_args_astring(args, &password) < 0 || imap_args_end(args) < 0) {
        say_bad(cmd, imap_args_error(args));
        return;
    }
    cmd->client->login_tag = xstrdup(cmd->tag);
    login_plain(cmd->client->login, user, password);
}

void login_command(struct command *cmd)
{
    struct imap_args args;

    command_args(cmd, &args);
    switch (cmd->def->id) {
    case COMMAND_STARTTLS:
        starttls(cmd, &args);
        break;
    case COMMAND_AUTHENTICATE:
        authenticate(cmd, &args);
        break;
    default:
        login(cmd, &args);
        break;
    }
}
