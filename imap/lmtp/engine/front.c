#include "imap/lmtp/engine/front.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "imap/lmtp/engine/front-private.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/name/identity.h"
#include "lib/stream/stream.h"

void lmtpd_naming_configured(struct lmtpd_naming *naming_r)
{
    naming_r->names = name_config();
    naming_r->downcase = opt_switch(OPT_LMTP_DOWNCASE_RCPT);
    naming_r->postuser = opt_string(OPT_POSTUSER) != NULL ? opt_string(OPT_POSTUSER) : "";
}

/* ---- replies ---- */

void lmtpd_reply(struct lmtpd_front *f, int code, const char *enhanced, const char *text)
{
    struct stream *s = f->login->stream;

    for (;;) {
        const char *lf = strchr(text, '\n');
        size_t n = lf != NULL ? (size_t)(lf - text) : strlen(text);
        bool coded = lf == NULL && enhanced[0] != '\0';

        stream_printf(s, "%d%c%s%s%.*s\r\n", code, lf != NULL ? '-' : ' ', coded ? enhanced : "",
                      coded ? " " : "", (int)n, text);
        if (lf == NULL)
            return;
        text = lf + 1;
    }
}

void lmtpd_replyf(struct lmtpd_front *f, int code, const char *enhanced, const char *fmt, ...)
{
    struct buf text = BUF_INIT;
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    lmtpd_reply(f, code, enhanced, buf_cstr(&text));
    buf_free(&text);
}

static enum lmtpd_progress closing(struct lmtpd_front *f, enum engine_verdict verdict)
{
    f->verdict = verdict;
    return LMTPD_CLOSING;
}

enum lmtpd_progress lmtpd_error(struct lmtpd_front *f, int code, const char *enhanced, const char *text)
{
    if (++f->errors >= LMTPD_ERRORS_MAX)
        return closing(f, login_bye(f->login, "Too many errors"));
    lmtpd_reply(f, code, enhanced, text);
    return LMTPD_GO_ON;
}

/* ---- the commands that are not a transaction's ---- */

static enum lmtpd_progress cmd_lhlo(struct lmtpd_front *f, const char *args)
{
    struct login *l = f->login;
    struct buf b = BUF_INIT;
    const char *mechanisms = login_is_authenticated(l) ? "" : login_mechanisms(l);

    if (args[0] == '\0')
        return lmtpd_error(f, 501, "5.5.4", "Syntax error in parameters");
    lmtpd_txn_end(f);
    free(f->client);
    f->client = xstrdup(args);
    buf_printf(&b, "%s\n8BITMIME\nCHUNKING\nBINARYMIME\nSMTPUTF8\nENHANCEDSTATUSCODES\nPIPELINING\nSIZE",
               config_servername());
    if (opt_bytes(OPT_MAXMESSAGESIZE) > 0)
        buf_printf(&b, " %" PRId64, opt_bytes(OPT_MAXMESSAGESIZE));
    if (login_may_starttls(l))
        buf_puts(&b, "\nSTARTTLS");
    if (mechanisms[0] != '\0')
        buf_printf(&b, "\nAUTH %s", mechanisms);
    buf_puts(&b, "\nXORCPT\nIGNOREQUOTA");
    lmtpd_reply(f, 250, "", buf_cstr(&b));
    buf_free(&b);
    return LMTPD_GO_ON;
}

static enum lmtpd_progress cmd_auth(struct lmtpd_front *f, char *args)
{
    char *initial = strchr(args, ' ');

    if (login_is_authenticated(f->login))
        return lmtpd_error(f, 503, "5.5.1", "Already authenticated");
    if (f->client == NULL)
        return lmtpd_error(f, 503, "5.5.1", "Say LHLO first");
    if (args[0] == '\0')
        return lmtpd_error(f, 501, "5.5.4", "Syntax: AUTH mechanism [initial-response]");
    if (initial != NULL)
        *initial++ = '\0';
    login_authenticate(f->login, args, initial);
    return closing(f, ENGINE_AGAIN);
}

static enum lmtpd_progress cmd_starttls(struct lmtpd_front *f, const char *args)
{
    if (args[0] != '\0')
        return lmtpd_error(f, 501, "5.5.4", "STARTTLS takes no parameters");
    if (!login_may_starttls(f->login))
        return lmtpd_error(f, 503, "5.5.1", "STARTTLS is not possible now");
    lmtpd_txn_end(f);
    lmtpd_reply(f, 220, "2.0.0", "Begin TLS negotiation now");
    login_starttls(f->login);
    return closing(f, ENGINE_AGAIN);
}

static enum lmtpd_progress cmd_rset(struct lmtpd_front *f)
{
    lmtpd_txn_end(f);
    lmtpd_reply(f, 250, "2.0.0", "Ok");
    return LMTPD_GO_ON;
}

static enum lmtpd_progress cmd_quit(struct lmtpd_front *f)
{
    lmtpd_reply(f, 221, "2.0.0", "bye");
    return closing(f, login_close(f->login));
}

static enum lmtpd_progress cmd_noop(struct lmtpd_front *f)
{
    lmtpd_reply(f, 250, "2.0.0", "ok");
    return LMTPD_GO_ON;
}

static enum lmtpd_progress cmd_vrfy(struct lmtpd_front *f)
{
    lmtpd_reply(f, 252, "2.5.0", "Try RCPT TO");
    return LMTPD_GO_ON;
}

/* Commands of a transaction: for those who may deliver. */
static enum lmtpd_progress need_auth(struct lmtpd_front *f)
{
    if (opt_switch(OPT_SOFT_NOAUTH))
        return lmtpd_error(f, 430, "4.7.0", "Authentication required");
    return lmtpd_error(f, 530, "5.7.0", "Authentication required");
}

/* ---- dispatch ---- */

enum verb { LHLO, HELO, AUTH, STARTTLS, RSET, QUIT, NOOP, VRFY, MAIL, RCPT, DATA, BDAT, VERBS };

static const char *const verb_names[VERBS] = {"LHLO", "HELO", "AUTH", "STARTTLS", "RSET", "QUIT",
                                              "NOOP", "VRFY", "MAIL", "RCPT",     "DATA", "BDAT"};

static int find_verb(const char *word)
{
    for (int i = 0; i < VERBS; i++) {
        if (str_ieq(word, verb_names[i]))
            return i;
    }
    return str_ieq(word, "EHLO") ? HELO : VERBS;
}

static enum lmtpd_progress dispatch_transaction(struct lmtpd_front *f, int verb, const char *args)
{
    if (verb == BDAT)
        return lmtpd_bdat(f, args);
    if (!login_is_authenticated(f->login))
        return need_auth(f);
    if (verb == MAIL)
        return lmtpd_mail(f, args);
    if (verb == RCPT)
        return lmtpd_rcpt(f, args);
    if (args[0] != '\0')
        return lmtpd_error(f, 501, "5.5.4", "DATA takes no parameters");
    return lmtpd_data(f);
}

static enum lmtpd_progress dispatch(struct lmtpd_front *f, char *line)
{
    char *args = strchr(line, ' ');
    int verb;

    if (args != NULL)
        *args++ = '\0';
    else
        args = line + strlen(line);
    verb = find_verb(line);
    switch (verb) {
    case LHLO:
        return cmd_lhlo(f, args);
    case HELO:
        return lmtpd_error(f, 500, "5.5.1", "This is LMTP: use LHLO");
    case AUTH:
        return cmd_auth(f, args);
    case STARTTLS:
        return cmd_starttls(f, args);
    case RSET:
        return cmd_rset(f);
    case QUIT:
        return cmd_quit(f);
    case NOOP:
        return cmd_noop(f);
    case VRFY:
        return cmd_vrfy(f);
    case VERBS:
        return lmtpd_error(f, 500, "5.5.2", "Syntax error: unknown command");
    default:
        return dispatch_transaction(f, verb, args);
    }
}

enum lmtpd_progress lmtpd_command(struct lmtpd_front *f)
{
    const char *line;
    size_t n;
    char *copy;
    enum lmtpd_progress p;
    int r = stream_line(f->login->stream, LOGIN_LINE_MAX, &line, &n);

    if (r == 0)
        return LMTPD_NEED_INPUT;
    if (r < 0)
        return closing(f, login_bye(f->login, "Line too long"));
    if (memchr(line, '\0', n) != NULL)
        return lmtpd_error(f, 500, "5.5.2", "Syntax error: NUL");
    while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
        n--;
    copy = xstrndup(line, n);
    p = dispatch(f, copy);
    free(copy);
    return p;
}

/* ---- the hooks of login ---- */

static struct lmtpd_front *front_of(struct login *l)
{
    struct lmtpd_front *f = l->front;

    MAGIC_CHECK(f, LMTPD_FRONT_MAGIC);
    return f;
}

/* A client waits silently while backends take the message. */
static int64_t inactivity_ms(void)
{
    int64_t transaction = opt_duration_ms(OPT_LMTPTXN_TIMEOUT) + 60 * 1000;

    return transaction > LMTPD_TIMEOUT_MS ? transaction : LMTPD_TIMEOUT_MS;
}

static enum engine_verdict greeting(struct login *l)
{
    struct lmtpd_front *f = xcalloc(1, sizeof(*f));

    f->magic = LMTPD_FRONT_MAGIC;
    f->login = l;
    f->service = login_service_context(l->service);
    l->front = f;
    login_set_timeout(l, inactivity_ms());
    lmtpd_replyf(f, 220, "", "%s LMTP iatlas %s server ready", config_servername(), PACKAGE_VERSION);
    if (f->service->preauthorised || l->peer[0] == '\0')
        login_preauth(l, "postman");
    return ENGINE_AGAIN;
}

/* Before authentication: a piece of a message that is refused has to be read behind its command. */
static enum engine_verdict command(struct login *l)
{
    struct lmtpd_front *f = front_of(l);

    switch (f->state == LMTPD_CHUNK ? lmtpd_step_chunk(f) : lmtpd_command(f)) {
    case LMTPD_NEED_INPUT:
        return ENGINE_PARK;
    case LMTPD_CLOSING:
        return f->verdict;
    default:
        return ENGINE_AGAIN;
    }
}

static void challenge(struct login *l, const char *base64)
{
    stream_printf(l->stream, "334 %s\r\n", base64);
}

/* admins and lmtp_admins only. */
static int authorize(struct login *l, const char **text_r)
{
    const char *lmtp_admins = config_overflow("lmtp_admins");

    if (l->identity->is_admin || (lmtp_admins != NULL && identity_in_list(l->identity, lmtp_admins)))
        return 0;
    *text_r = "Not one of lmtp_admins";
    return ERR_DENIED;
}

static void result(struct login *l, const struct login_result *res)
{
    static const struct {
        int code;
        const char *enhanced;
    } answers[] = {[LOGIN_OK] = {235, "2.7.0"},          [LOGIN_FAILED] = {535, "5.7.8"},
                   [LOGIN_DENIED] = {535, "5.7.8"},      [LOGIN_NEEDS_TLS] = {538, "5.7.11"},
                   [LOGIN_UNAVAILABLE] = {454, "4.7.0"}, [LOGIN_NO_MECH] = {504, "5.5.4"},
                   [LOGIN_CANCELLED] = {501, "5.7.0"},   [LOGIN_BAD] = {501, "5.5.2"},
                   [LOGIN_LIMIT] = {454, "4.7.0"}};

    lmtpd_reply(front_of(l), answers[res->code].code, answers[res->code].enhanced, res->text);
}

/* RFC 3207 section 4.2: what LHLO said is forgotten. */
static void tls_started(struct login *l)
{
    struct lmtpd_front *f = front_of(l);

    free(f->client);
    f->client = NULL;
}

static enum engine_verdict authenticated(struct login *l)
{
    login_set_timeout(l, inactivity_ms());
    return ENGINE_AGAIN;
}

static enum lmtpd_progress step(struct lmtpd_front *f)
{
    switch (f->state) {
    case LMTPD_RCPT:
        return lmtpd_step_rcpt(f);
    case LMTPD_MESSAGE:
        return lmtpd_step_message(f);
    case LMTPD_CHUNK:
        return lmtpd_step_chunk(f);
    case LMTPD_DELIVER:
        return lmtpd_step_deliver(f);
    default:
        return lmtpd_command(f);
    }
}

/* Takes input, or waits for it; ENGINE_AGAIN: there is some. */
static enum engine_verdict take_input(struct lmtpd_front *f)
{
    struct login *l = f->login;
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
    struct lmtpd_front *f = front_of(l);

    while (!session_slice_over(l->session)) {
        enum lmtpd_progress p;
        enum engine_verdict v;

        if (stream_unsent(l->stream) > STREAM_OUT_HIGH && stream_flush(l->stream) == ERR_AGAIN)
            return login_park(l, false, CLOCK_NEVER);
        p = step(f);
        if (p == LMTPD_CLOSING)
            return f->verdict;
        if (p == LMTPD_NEED_OTHER)
            return login_park(l, false, f->service->transport->deadline(f->txn));
        v = p == LMTPD_NEED_INPUT ? take_input(f) : ENGINE_AGAIN;
        if (v != ENGINE_AGAIN)
            return v;
    }
    return ENGINE_AGAIN;
}

static void bye(struct login *l, const char *text)
{
    lmtpd_reply(front_of(l), 421, "4.3.2", text);
}

static void close_front(struct login *l)
{
    struct lmtpd_front *f = front_of(l);

    lmtpd_txn_end(f);
    free(f->client);
    free(f);
    l->front = NULL;
}

const struct login_ops lmtpd_login_ops = {
    .magic = LOGIN_OPS_MAGIC,
    .sasl_service = "lmtp",
    .greeting = greeting,
    .command = command,
    .challenge = challenge,
    .authorize = authorize,
    .result = result,
    .tls_started = tls_started,
    .authenticated = authenticated,
    .run = run,
    .bye = bye,
    .close = close_front,
};
