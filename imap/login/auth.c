/* Who is it: SASL exchanges, passwords, acting for others. */
#include <string.h>

#include "imap/login/deny.h"
#include "imap/login/login-private.h"
#include "imap/login/tally.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/pool.h"
#include "lib/base/str.h"
#include "lib/name/identity.h"
#include "lib/sasl/layer.h"
#include "lib/sasl/server.h"
#include "lib/stream/stream.h"

/* ---- who may act for whom ---- */

/* The canonical name of who has shown or asked to be `name`, appended.  Without virtual domains a name with an "@"
 * is one of another realm, which must be among loginrealms.  0, or ERR_DENIED: nobody here can have that name. */
static int canonical(const char *name, struct buf *to)
{
    const char *at = name_config()->virtdomains == VIRTDOMAINS_OFF ? strrchr(name, '@') : NULL;
    struct pool *pool = at != NULL ? pool_new(0) : NULL;
    int r = 0;

    if (at != NULL) {
        struct str_list realms = str_split(pool, opt_string(OPT_LOGINREALMS), " \t");

        r = ERR_DENIED;
        for (size_t i = 0; i < realms.count && r != 0; i++)
            r = str_ieq(realms.items[i], at + 1) ? 0 : ERR_DENIED;
    }
    if (r == 0 && identity_canonical(name_config(), name, opt_switch(OPT_USERNAME_TOLOWER), to) < 0)
        r = ERR_DENIED;
    pool_free(&pool);
    return r;
}

/* NULL: no such name can be. */
static struct identity *identity_named(const char *name)
{
    struct buf userid = BUF_INIT;
    struct identity *identity = NULL;

    if (canonical(name, &userid) == 0)
        identity =
            identity_new(name_config(), str_ieq(buf_cstr(&userid), "anonymous") ? NULL : buf_cstr(&userid));
    buf_free(&userid);
    return identity;
}

/* Proxyservers and administrators may; proxyservers for administrators only where proxy_admins allows; others by
 * rights, and never for those. */
static bool may_act_for(struct login *l, const struct identity *proxy, const struct identity *user)
{
    if (proxy->is_proxy && user->is_admin && !opt_switch(OPT_PROXY_ADMINS))
        return false;
    if (proxy->is_admin || proxy->is_proxy)
        return true;
    return opt_switch(OPT_LOGINUSEACL) && l->ops->may_act_for != NULL && !proxy->is_anonymous &&
           !user->is_anonymous && !user->is_admin && !user->is_proxy && l->ops->may_act_for(l, proxy, user);
}

/* Names are compared as what they mean: "cyrus@example.org" may be just another way to write "cyrus". */
static bool may_proxy(void *context, const char *authid, const char *userid)
{
    struct identity *proxy = identity_named(authid), *user = identity_named(userid);
    bool may = proxy != NULL && user != NULL &&
               (strcmp(proxy->userid, user->userid) == 0 || may_act_for(context, proxy, user));

    identity_free(&proxy);
    identity_free(&user);
    return may;
}

/* The identity of who has proved to be `authid` and may be `userid`; NULL: no such name can be, or not here.
 * *limited_r: the limits on sessions hold for it: not for a frontend or an administrator. */
static struct identity *identity_of(const char *authid, const char *userid, bool *limited_r)
{
    struct identity *proxy = identity_named(authid), *user = identity_named(userid);
    bool itself = proxy != NULL && user != NULL && strcmp(proxy->userid, user->userid) == 0;

    if (proxy == NULL || (user != NULL && user->is_anonymous && !opt_switch(OPT_ALLOWANONYMOUSLOGIN)))
        identity_free(&user);
    *limited_r = proxy != NULL && !proxy->is_admin && !proxy->is_proxy;
    /* A frontend's own identity is never an administrator. */
    if (user != NULL && user->is_proxy && itself)
        user->is_admin = false;
    identity_free(&proxy);
    return user;
}

/* ---- the SASL server of a connection ---- */

static struct sasl_server *sasl_of(struct login *l)
{
    struct login_private *p = l->p;
    bool is_unix = l->peer[0] == '\0';
    struct sasl_server_config config = {
        .service = l->ops->sasl_service,
        .local = is_unix ? NULL : l->local,
        .peer = is_unix ? NULL : l->peer,
        .local_port = l->local_port,
        .peer_port = l->peer_port,
        .tls = login_is_tls(l),
        .trusted_transport = is_unix,
        .success_data = l->ops->success_data,
        .may_proxy = may_proxy,
        .context = l,
    };

    if (p->sasl != NULL)
        return p->sasl;
    if (config.tls) {
        config.tls_bits = (unsigned)stream_tls_bits(l->stream);
        config.external = stream_tls_peer(l->stream);
    }
    if (sasl_srv_new(&config, &p->sasl) < 0)
        LOG(LOG_ERR, LOGIN_SASL, LOG_ERROR(ERR_CONFIG));
    return p->sasl;
}

void auth_forget(struct login *l)
{
    sasl_srv_free(&l->p->sasl);
}

void auth_free(struct login *l)
{
    sasl_srv_free(&l->p->sasl);
    buf_free(&l->p->mechanisms);
}

static bool needs_tls(const struct login *l)
{
    return l->service->tls_required && !login_is_tls(l) && l->peer[0] != '\0';
}

/* A password by a command of the protocol's own has no SASL layer. */
static bool is_layer_enough(const struct login *l)
{
    int bits = login_is_tls(l) ? stream_tls_bits(l->stream) : 0;

    return bits >= opt_int(OPT_SASL_MINIMUM_LAYER);
}

bool login_may_plain(const struct login *l)
{
    return !needs_tls(l) && is_layer_enough(l) &&
           (login_is_tls(l) || l->peer[0] == '\0' || opt_switch(OPT_ALLOWPLAINTEXT));
}

const char *login_mechanisms(struct login *l)
{
    struct login_private *p = l->p;

    buf_reset(&p->mechanisms);
    if (!needs_tls(l) && sasl_of(l) != NULL)
        sasl_srv_mechs(p->sasl, "", " ", &p->mechanisms);
    return buf_cstr(&p->mechanisms);
}

/* ---- outcomes ---- */

static const char *outcome_text(enum login_code code)
{
    switch (code) {
    case LOGIN_OK:
        return "User logged in";
    case LOGIN_FAILED:
        return "Authentication failed";
    case LOGIN_DENIED:
        return "Not authorized";
    case LOGIN_NEEDS_TLS:
        return "Use STARTTLS first: not without encryption";
    case LOGIN_UNAVAILABLE:
        return "The authentication service is not available now";
    case LOGIN_NO_MECH:
        return "No such authentication mechanism";
    case LOGIN_CANCELLED:
        return "Authentication cancelled";
    case LOGIN_LIMIT:
        return "Too many sessions";
    case LOGIN_BAD:
        break;
    }
    return "Malformed authentication data";
}

static enum login_code code_of_error(int error)
{
    switch (error) {
    case ERR_AUTH:
        return LOGIN_FAILED;
    case ERR_DENIED:
        return LOGIN_DENIED;
    case ERR_TLS:
        return LOGIN_NEEDS_TLS;
    case ERR_UNSUPPORTED:
        return LOGIN_NO_MECH;
    case ERR_PROTOCOL:
    case ERR_SYNTAX:
    case ERR_TOOBIG:
        return LOGIN_BAD;
    default:
        return LOGIN_UNAVAILABLE;
    }
}

static void set_outcome(struct login *l, enum login_code code, const char *text, int64_t pause_ms)
{
    struct login_private *p = l->p;

    p->outcome = (struct login_result){.code = code, .text = text != NULL ? text : outcome_text(code)};
    p->answer_at = pause_ms > 0 ? clock_deadline(pause_ms) : 0;
    p->state = LOGIN_STATE_ANSWER;
}

/* For the log: what the SASL library says, where it has had a word in it. */
static const char *failure_detail(const struct login *l, enum login_code code)
{
    const char *detail = "";

    if (l->p->sasl != NULL && (code == LOGIN_FAILED || code == LOGIN_DENIED || code == LOGIN_UNAVAILABLE))
        detail = sasl_srv_error(l->p->sasl);
    return detail[0] != '\0' ? detail : outcome_text(code);
}

static void fail(struct login *l, enum login_code code, const char *text)
{
    bool guessing = code == LOGIN_FAILED || code == LOGIN_DENIED;

    const char *user = l->p->sasl != NULL ? sasl_srv_authid(l->p->sasl) : NULL;

    LOG(guessing ? LOG_NOTICE : LOG_INFO, LOGIN_FAILED, LOG_STR(PEER, l->peer), LOG_STR(MECH, l->mech),
        LOG_STR(USER, user != NULL ? user : ""), LOG_STR(ERROR, failure_detail(l, code)));
    l->p->failures++;
    identity_free(&l->identity);
    set_outcome(l, code, text, guessing ? l->service->failed_pause_ms : 0);
}

/* The mechanism's last word, where the protocol lets it go with the answer (ops->success_data). */
static const char *last_word(struct login *l, const char *data, size_t n)
{
    struct buf base64 = BUF_INIT;
    const char *copy = NULL;

    if (data != NULL) {
        str_base64_encode(&base64, data, n);
        copy = pool_strdup(l->pool, buf_cstr(&base64));
    }
    buf_free(&base64);
    return copy;
}

const char *auth_denied(struct login *l)
{
    struct buf text = BUF_INIT;
    const char *denied = NULL;

    l->p->denials = atomic_load(&l->service->denials); /* before: a change meanwhile is asked for again */
    if (l->identity->userid != NULL &&
        deny_check(l->identity->userid, l->service->name, l->ops->sasl_service, &text))
        denied = pool_strdup(l->pool, buf_cstr(&text));
    buf_free(&text);
    return denied;
}

/* Counts the session in.  False: there are too many (and the login has failed). */
static bool count(struct login *l)
{
    struct login_private *p = l->p;
    int r = tally_enter(l->service->tally, l->identity->userid, l->peer, &p->tally_number);

    if (r < 0)
        LOG(LOG_ERR, LOGIN_TALLY, LOG_ERROR(r));
    p->is_counted = r == TALLY_IN;
    if (r == TALLY_USER_FULL || r == TALLY_HOST_FULL)
        fail(l, LOGIN_LIMIT,
             r == TALLY_USER_FULL ? "Too many sessions of this user" : "Too many sessions from this host");
    return r != TALLY_USER_FULL && r != TALLY_HOST_FULL;
}

void auth_uncount(struct login *l)
{
    if (l->p->is_counted)
        tally_leave(l->service->tally, l->identity->userid, l->peer, l->p->tally_number);
    l->p->is_counted = false;
}

/* The mechanism says yes; may this user use the service? */
static void succeed(struct login *l, const char *data, size_t n)
{
    struct login_private *p = l->p;
    const char *text = NULL;
    bool limited;
    int r;

    l->authid = pool_strdup(l->pool, sasl_srv_authid(p->sasl));
    l->mech = pool_strdup(l->pool, sasl_srv_mech(p->sasl));
    l->ssf = sasl_srv_ssf(p->sasl);
    l->identity = identity_of(l->authid, sasl_srv_userid(p->sasl), &limited);
    if (l->identity == NULL) {
        fail(l, LOGIN_DENIED, NULL);
        return;
    }
    text = auth_denied(l);
    r = text != NULL ? ERR_DENIED : 0;
    if (r == 0 && l->ops->authorize != NULL)
        r = l->ops->authorize(l, &text);
    if (r < 0) {
        fail(l, r == ERR_DENIED ? LOGIN_DENIED : LOGIN_UNAVAILABLE, text);
        return;
    }
    if (limited && l->service->tally != NULL && !count(l))
        return;
    LOG(LOG_INFO, LOGIN_OK, LOG_STR(USER, l->identity->userid), LOG_STR(AUTHID, l->authid),
        LOG_STR(MECH, l->mech), LOG_STR(PEER, l->peer),
        LOG_STR(TLS, login_is_tls(l) ? stream_tls_protocol(l->stream) : ""));
    set_outcome(l, LOGIN_OK, NULL, login_is_tls(l) || l->ssf > 0 ? 0 : l->service->plain_pause_ms);
    p->outcome.layer = l->ssf > 0;
    p->outcome.data = last_word(l, data, n);
}

static enum engine_verdict tell_success(struct login *l)
{
    l->ops->result(l, &l->p->outcome);
    if (l->ssf == 0)
        return login_enter(l);
    l->p->state = LOGIN_STATE_LAYER;
    return ENGINE_AGAIN;
}

enum engine_verdict auth_step_answer(struct login *l)
{
    struct login_private *p = l->p;

    if (clock_ms() < p->answer_at)
        return login_park(l, false, p->answer_at);
    if (p->outcome.code == LOGIN_OK)
        return tell_success(l);
    p->state = LOGIN_STATE_COMMAND;
    l->ops->result(l, &p->outcome);
    if (p->failures >= LOGIN_FAILURES_MAX)
        return login_bye(l, "Too many failed logins");
    return ENGINE_AGAIN;
}

enum engine_verdict auth_step_layer(struct login *l)
{
    struct sasl_layer layer;
    int r = stream_flush(l->stream);

    if (r == ERR_AGAIN)
        return login_park(l, false, CLOCK_NEVER);
    if (r < 0)
        return ENGINE_CLOSE;
    sasl_srv_layer(l->p->sasl, &layer);
    stream_sasl_begin(l->stream, &layer);
    return login_enter(l);
}

/* ---- exchanges ---- */

static void challenge(struct login *l, const char *data, size_t n)
{
    struct buf base64 = BUF_INIT;

    str_base64_encode(&base64, data, n);
    l->ops->challenge(l, buf_cstr(&base64));
    buf_free(&base64);
    l->p->state = LOGIN_STATE_SASL;
}

static void sasl_progress(struct login *l, int r, const char *out, size_t n)
{
    if (r < 0)
        fail(l, code_of_error(r), NULL);
    else if (r == SASL_STATUS_CONTINUE)
        challenge(l, out, out != NULL ? n : 0);
    else
        succeed(l, out, out != NULL ? n : 0);
}

void login_authenticate(struct login *l, const char *mech, const char *initial)
{
    struct buf data = BUF_INIT;
    const char *out = NULL;
    size_t n = 0;

    l->mech = pool_strndup(l->pool, mech, 32);
    if (needs_tls(l)) {
        fail(l, LOGIN_NEEDS_TLS, NULL);
    } else if (sasl_of(l) == NULL) {
        fail(l, LOGIN_UNAVAILABLE, NULL);
    } else if (initial != NULL && strcmp(initial, "=") != 0 &&
               str_base64_decode(&data, initial, strlen(initial)) < 0) {
        fail(l, LOGIN_BAD, NULL);
    } else {
        int r =
            sasl_srv_start(l->p->sasl, mech, initial != NULL ? buf_cstr(&data) : NULL, data.len, &out, &n);

        sasl_progress(l, r, out, n);
    }
    buf_free(&data);
}

/* One answer of the client's to a challenge. */
static void sasl_response(struct login *l, const char *base64, size_t len)
{
    struct buf data = BUF_INIT;
    const char *out = NULL;
    size_t n = 0;

    if (len == 1 && base64[0] == '*') {
        fail(l, LOGIN_CANCELLED, NULL);
    } else if (str_base64_decode(&data, base64, len) < 0) {
        fail(l, LOGIN_BAD, NULL);
    } else {
        int r = sasl_srv_step(l->p->sasl, buf_cstr(&data), data.len, &out, &n);

        sasl_progress(l, r, out, n);
    }
    buf_free(&data);
}

enum engine_verdict auth_step_sasl(struct login *l)
{
    const char *base64;
    size_t len;
    int r;

    if (session_stopping(l->session))
        return login_bye(l, "Server is shutting down");
    if (l->ops->response != NULL)
        r = l->ops->response(l, &base64, &len);
    else
        r = stream_line(l->stream, LOGIN_SASL_LINE_MAX, &base64, &len);
    if (r == 0)
        return login_fill_or_park(l);
    if (r < 0)
        return login_bye(l, "Authentication data too long");
    sasl_response(l, base64, len);
    return ENGINE_AGAIN;
}

void login_plain(struct login *l, const char *user, const char *password)
{
    int r;

    l->mech = "LOGIN";
    if (!login_may_plain(l)) {
        fail(l, LOGIN_NEEDS_TLS, NULL);
    } else if (sasl_of(l) == NULL) {
        fail(l, LOGIN_UNAVAILABLE, NULL);
    } else {
        r = sasl_srv_password(l->p->sasl, user, password);
        if (r < 0)
            fail(l, code_of_error(r), NULL);
        else
            succeed(l, NULL, 0);
    }
}

void login_preauth(struct login *l, const char *userid)
{
    BUG_ON(l->identity != NULL);
    l->identity = identity_new(name_config(), userid);
    l->authid = pool_strdup(l->pool, userid);
    l->mech = "PREAUTH";
}
