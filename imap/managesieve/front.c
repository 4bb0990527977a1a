#include "imap/managesieve/front.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "imap/managesieve/front-private.h"
#include "imap/managesieve/relay.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/mboxlist/inbox-rights.h"
#include "lib/name/identity.h"
#include "lib/sieve/sieve.h"
#include "lib/stream/stream.h"

static struct managesieve_front *front_of(struct login *l)
{
    struct managesieve_front *f = l->front;

    MAGIC_CHECK(f, MANAGESIEVE_FRONT_MAGIC);
    return f;
}

static enum managesieve_progress closing(struct managesieve_front *f, enum engine_verdict verdict)
{
    f->verdict = verdict;
    return MANAGESIEVE_CLOSING;
}

/* A command that cannot be: NO, and the end after too many. */
static enum managesieve_progress refuse(struct managesieve_front *f, const char *text)
{
    if (++f->errors >= MANAGESIEVE_ERRORS_MAX)
        return closing(f, login_bye(f->login, "Too many errors"));
    managesieve_reply(f, "NO", NULL, text);
    return MANAGESIEVE_GO_ON;
}

/* One that is none: who comes here by mistake says many. */
static enum managesieve_progress refuse_nonsense(struct managesieve_front *f, const char *text)
{
    if (!login_is_authenticated(f->login))
        login_note_bad(f->login);
    return refuse(f, text);
}

/* ---- commands of any state ---- */

static enum managesieve_progress cmd_capability(struct managesieve_front *f)
{
    managesieve_capabilities(f);
    managesieve_reply(f, "OK", NULL, "");
    return MANAGESIEVE_GO_ON;
}

static enum managesieve_progress cmd_logout(struct managesieve_front *f)
{
    managesieve_reply(f, "OK", NULL, "Logout Complete");
    return closing(f, login_close(f->login));
}

/* RFC 5804 section 2.13: a tag comes back as it was. */
static enum managesieve_progress cmd_noop(struct managesieve_front *f)
{
    struct stream *s = f->login->stream;

    if (f->command.count == 1) {
        managesieve_reply(f, "OK", NULL, "Done");
        return MANAGESIEVE_GO_ON;
    }
    stream_puts(s, "OK (TAG ");
    managesieve_string(s, managesieve_text(&f->command, 1), f->command.args[1].len);
    stream_puts(s, ") \"Done\"\r\n");
    return MANAGESIEVE_GO_ON;
}

/* ---- before the login ---- */

static enum managesieve_progress cmd_starttls(struct managesieve_front *f)
{
    if (!login_may_starttls(f->login))
        return refuse(f, "STARTTLS is not possible now");
    managesieve_reply(f, "OK", NULL, "Begin TLS negotiation now");
    login_starttls(f->login);
    return closing(f, ENGINE_AGAIN);
}

static enum managesieve_progress cmd_authenticate(struct managesieve_front *f)
{
    const struct managesieve_command *c = &f->command;
    const char *initial = c->count == 3 ? managesieve_text(c, 2) : NULL;

    if (initial != NULL && initial[0] == '\0')
        initial = "=";
    login_authenticate(f->login, managesieve_text(c, 1), initial);
    return closing(f, ENGINE_AGAIN);
}

/* ---- after it ---- */

bool managesieve_may_unauthenticate(const struct login *l)
{
    return l->ssf == 0 && strcmp(l->authid, l->identity->userid) == 0;
}

/* RFC 5804 section 2.14.1: OK or BYE, and a security layer would have to stay. */
static enum managesieve_progress cmd_unauthenticate(struct managesieve_front *f)
{
    if (!managesieve_may_unauthenticate(f->login))
        return closing(f, login_bye(f->login, "Not in this session"));
    managesieve_reply(f, "OK", NULL, "");
    return closing(f, login_unauthenticate(f->login));
}

/* ---- the table ---- */

enum state { BEFORE = 1, AFTER = 2 };

/* Arguments: s a string, t a script's text, n a number; those behind "?" may be missing. */
static const struct command {
    const char *name;
    unsigned states;
    const char *arguments;
    enum managesieve_progress (*run)(struct managesieve_front *f);
    void (*on_scripts)(struct managesieve_front *f);
} commands[] = {
    {"AUTHENTICATE", BEFORE, "s?s", cmd_authenticate, NULL},
    {"CAPABILITY", BEFORE | AFTER, "", cmd_capability, NULL},
    {"CHECKSCRIPT", AFTER, "t", NULL, managesieve_checkscript},
    {"DELETESCRIPT", AFTER, "s", NULL, managesieve_deletescript},
    {"GETSCRIPT", AFTER, "s", NULL, managesieve_getscript},
    {"HAVESPACE", AFTER, "sn", NULL, managesieve_havespace},
    {"LISTSCRIPTS", AFTER, "", NULL, managesieve_listscripts},
    {"LOGOUT", BEFORE | AFTER, "", cmd_logout, NULL},
    {"NOOP", BEFORE | AFTER, "?s", cmd_noop, NULL},
    {"PUTSCRIPT", AFTER, "st", NULL, managesieve_putscript},
    {"RENAMESCRIPT", AFTER, "ss", NULL, managesieve_renamescript},
    {"SETACTIVE", AFTER, "s", NULL, managesieve_setactive},
    {"STARTTLS", BEFORE, "", cmd_starttls, NULL},
    {"UNAUTHENTICATE", AFTER, "", cmd_unauthenticate, NULL},
};

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        if (str_ieq(commands[i].name, name))
            return &commands[i];
    }
    return NULL;
}

/* Only the text of a script may have a NUL, and is refused for it elsewhere. */
static bool fits(const struct managesieve_command *c, unsigned i, char wanted)
{
    const struct managesieve_arg *arg = &c->args[i];

    if (wanted == 'n')
        return arg->kind == MANAGESIEVE_NUMBER;
    return arg->kind == MANAGESIEVE_STRING && (wanted == 't' || strlen(managesieve_text(c, i)) == arg->len);
}

static bool arguments_fit(const struct managesieve_command *c, const char *wanted)
{
    unsigned i = 1;
    bool optional = false;

    for (; *wanted != '\0'; wanted++) {
        if (*wanted == '?') {
            optional = true;
            continue;
        }
        if (i == c->count)
            return optional;
        if (!fits(c, i++, *wanted))
            return false;
    }
    return i == c->count;
}

static enum managesieve_progress execute(struct managesieve_front *f)
{
    const struct managesieve_command *c = &f->command;
    bool authenticated = login_is_authenticated(f->login);
    const struct command *command;

    if (c->error != NULL)
        return refuse_nonsense(f, c->error);
    command = c->args[0].kind == MANAGESIEVE_ATOM ? find(managesieve_text(c, 0)) : NULL;
    if (command == NULL)
        return refuse_nonsense(f, "Unknown command");
    if (!(command->states & (authenticated ? AFTER : BEFORE)))
        return refuse(f, authenticated ? "Already authenticated" : "Authenticate first");
    if (!arguments_fit(c, command->arguments))
        return refuse(f, "Wrong arguments");
    if (command->run != NULL)
        return command->run(f);
    command->on_scripts(f);
    return MANAGESIEVE_GO_ON;
}

/* Literals: SASL's before the login, scripts after it. */
static uint64_t literal_max(const struct managesieve_front *f)
{
    int64_t script = opt_bytes(OPT_SIEVE_MAXSCRIPTSIZE);

    if (!login_is_authenticated(f->login))
        return LOGIN_SASL_LINE_MAX;
    return script <= 0 || script > SIEVE_SCRIPT_MAX ? SIEVE_SCRIPT_MAX : (uint64_t)script;
}

static enum managesieve_progress next_command(struct managesieve_front *f)
{
    enum managesieve_progress p;
    int r = managesieve_read(&f->command, f->login->stream, literal_max(f));

    if (r == 0)
        return MANAGESIEVE_NEED_INPUT;
    if (r < 0)
        return closing(f, login_bye(f->login, "Line too long"));
    p = execute(f);
    managesieve_clear(&f->command);
    return p;
}

/* ---- the hooks of login ---- */

static void make_front(struct login *l)
{
    struct managesieve_front *f = xcalloc(1, sizeof(*f));

    f->magic = MANAGESIEVE_FRONT_MAGIC;
    f->login = l;
    f->service = login_service_context(l->service);
    l->front = f;
}

static enum engine_verdict greeting(struct login *l)
{
    make_front(l);
    cmd_capability(front_of(l));
    return ENGINE_AGAIN;
}

static enum engine_verdict command(struct login *l)
{
    struct managesieve_front *f = front_of(l);

    switch (next_command(f)) {
    case MANAGESIEVE_NEED_INPUT:
        return ENGINE_PARK;
    case MANAGESIEVE_CLOSING:
        return f->verdict;
    default:
        return ENGINE_AGAIN;
    }
}

/* As a literal: Cyrus's sivtest waits for ever behind a quoted one. */
static void challenge(struct login *l, const char *base64)
{
    stream_printf(l->stream, "{%zu}\r\n%s\r\n", strlen(base64), base64);
}

static int response(struct login *l, const char **base64_r, size_t *len_r)
{
    struct managesieve_front *f = front_of(l);
    struct managesieve_command *c = &f->command;
    int r;

    if (!c->in_command)
        managesieve_clear(c);
    r = managesieve_read(c, l->stream, LOGIN_SASL_LINE_MAX);
    if (r != 1)
        return r;
    if (c->error != NULL || c->count != 1 || c->args[0].kind != MANAGESIEVE_STRING || c->args[0].dropped)
        return ERR_PROTOCOL;
    *base64_r = managesieve_text(c, 0);
    *len_r = c->args[0].len;
    return 1;
}

static bool may_act_for(struct login *l, const struct identity *who, const struct identity *user)
{
    struct mboxlist *list = front_of(l)->service->list;

    return list != NULL && (mboxlist_inbox_rights(list, user->userid, who) & ACL_ADMIN) != 0;
}

/* Where are the user's scripts?  Asked before the answer to the login, so that it can be a referral.  What the list does
 * not have is here where anything can be. */
static int authorize(struct login *l, const char **text_r)
{
    struct managesieve_front *f = front_of(l);
    int r;

    f->elsewhere = false;
    if (!f->service->remote)
        return 0;
    r = managesieve_relay_new(l, f->service->list, &f->relay);
    f->elsewhere = r == 0 && !(f->service->local && !managesieve_relay_is_located(f->relay));
    if (r == 0 || (r == ERR_EXISTS && f->service->local))
        return 0;
    *text_r = "Your mailbox cannot be looked up now";
    return ERR_UNAVAILABLE;
}

static void result(struct login *l, const struct login_result *res)
{
    static const char *const codes[] = {
        [LOGIN_NEEDS_TLS] = "ENCRYPT-NEEDED", [LOGIN_UNAVAILABLE] = "TRYLATER", [LOGIN_LIMIT] = "TRYLATER"};
    struct managesieve_front *f = front_of(l);
    struct buf code = BUF_INIT;

    managesieve_clear(&f->command);
    f->capabilities_due = res->layer;
    if (res->code != LOGIN_OK) {
        managesieve_reply(f, "NO", res->code < ARRAY_SIZE(codes) ? codes[res->code] : NULL, res->text);
        return;
    }
    f->referred = f->elsewhere && managesieve_relay_refers(f->relay);
    if (f->referred)
        managesieve_relay_referral(f->relay, &code);
    else if (res->data != NULL && res->data[0] != '\0')
        buf_printf(&code, "SASL \"%s\"", res->data);
    managesieve_reply(f, f->referred ? "BYE" : "OK", code.len > 0 ? buf_cstr(&code) : NULL,
                      f->referred ? "Try Remote." : "");
    buf_free(&code);
}

/* RFC 5804 section 2.2: the capabilities come again, unasked. */
static void tls_started(struct login *l)
{
    cmd_capability(front_of(l));
}

static enum engine_verdict authenticated(struct login *l)
{
    struct managesieve_front *f = front_of(l);

    if (f->referred)
        return login_close(l);
    if (f->capabilities_due && !f->elsewhere)
        cmd_capability(f);
    return ENGINE_AGAIN;
}

/* Takes input, or waits for it; ENGINE_AGAIN: there is some. */
static enum engine_verdict take_input(struct login *l)
{
    int r = stream_fill(l->stream);

    if (r > 0)
        return ENGINE_AGAIN;
    if (r != ERR_AGAIN)
        return ENGINE_CLOSE;
    if (session_stopping(l->session))
        return login_bye(l, "Server shutting down");
    return login_park(l, true, CLOCK_NEVER);
}

static enum engine_verdict run(struct login *l)
{
    struct managesieve_front *f = front_of(l);

    if (f->elsewhere)
        return managesieve_relay_run(f->relay, f->capabilities_due);
    while (!session_slice_over(l->session)) {
        enum managesieve_progress p;
        enum engine_verdict v;

        if (stream_unsent(l->stream) > STREAM_OUT_HIGH && stream_flush(l->stream) == ERR_AGAIN)
            return login_park(l, false, CLOCK_NEVER);
        p = next_command(f);
        if (p == MANAGESIEVE_CLOSING)
            return f->verdict;
        v = p == MANAGESIEVE_NEED_INPUT ? take_input(l) : ENGINE_AGAIN;
        if (v != ENGINE_AGAIN)
            return v;
    }
    return ENGINE_AGAIN;
}

static void bye(struct login *l, const char *text)
{
    managesieve_reply(front_of(l), "BYE", NULL, text);
}

static void close_front(struct login *l)
{
    struct managesieve_front *f = front_of(l);

    managesieve_relay_free(&f->relay);
    managesieve_clear(&f->command);
    free(f);
    l->front = NULL;
}

const struct login_ops managesieve_login_ops = {
    .magic = LOGIN_OPS_MAGIC,
    .sasl_service = "sieve",
    .for_users = true,
    .success_data = true,
    .greeting = greeting,
    .command = command,
    .challenge = challenge,
    .response = response,
    .may_act_for = may_act_for,
    .authorize = authorize,
    .result = result,
    .tls_started = tls_started,
    .authenticated = authenticated,
    .run = run,
    .restart = make_front,
    .bye = bye,
    .close = close_front,
};
