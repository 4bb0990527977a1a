/* MAIL and RCPT. */
#include <inttypes.h>
#include <string.h>

#include "imap/lmtp/engine/front-private.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/name/identity.h"

/* `FROM:` or `TO:` and a path: appends the path, and returns the parameters behind it, or NULL. */
static const char *read_path(const char *args, const char *word, struct buf *path)
{
    size_t used;

    if (!str_has_iprefix(args, word))
        return NULL;
    args += strlen(word);
    args += strspn(args, " ");
    if (lmtpd_path_parse(args, strlen(args), path, &used) < 0)
        return NULL;
    args += used;
    return *args == '\0' || *args == ' ' ? args : NULL;
}

/* The next parameter NAME or NAME=value of a list; false at the end. */
static bool next_param(const char **at, const char **name_r, size_t *name_len_r, const char **value_r,
                       size_t *value_len_r)
{
    const char *p = *at + strspn(*at, " ");
    size_t n = strcspn(p, " ");
    const char *equals = memchr(p, '=', n);

    *at = p + n;
    *name_r = p;
    *name_len_r = equals != NULL ? (size_t)(equals - p) : n;
    *value_r = equals != NULL ? equals + 1 : p + n;
    *value_len_r = (size_t)(p + n - *value_r);
    return n > 0;
}

static bool word_is(const char *s, size_t n, const char *word)
{
    return strlen(word) == n && str_ieq_n(s, word, n);
}

/* xtext (RFC 4954 section 8): +XX stands for a character.  NULL when it is none. */
static const char *xtext_decode(struct pool *pool, const char *s, size_t n)
{
    char *to = pool_alloc(pool, n + 1), *p = to;

    for (size_t i = 0; i < n; i++) {
        if (s[i] != '+') {
            *p++ = s[i];
            continue;
        }
        if (n - i < 3 || str_unhex(p, s + i + 1, 1) < 0 || *p == '\0')
            return NULL;
        p++;
        i += 2;
    }
    return to;
}

/* AUTH=: believed of those who authenticated to act for others. */
static bool take_auth(struct lmtpd_front *f, const char *value, size_t n)
{
    const char *auth = xtext_decode(f->txn->pool, value, n);

    if (auth == NULL)
        return false;
    f->trusted = strcmp(auth, "<>") == 0 && strcmp(f->login->mech, "PREAUTH") != 0;
    f->txn->auth = strcmp(auth, "<>") == 0 ? NULL : auth;
    return true;
}

/* 0, or the code that refuses the parameter. */
static int take_mail_param(struct lmtpd_front *f, const char *name, size_t name_len, const char *value,
                           size_t n)
{
    uint64_t size;

    if (word_is(name, name_len, "SIZE")) {
        if (str_parse_u64(value, n, &size) < 0 || size > INT64_MAX)
            return 501;
        f->txn->declared = (int64_t)size;
        return opt_bytes(OPT_MAXMESSAGESIZE) > 0 && f->txn->declared > opt_bytes(OPT_MAXMESSAGESIZE) ? 552
                                                                                                     : 0;
    }
    if (word_is(name, name_len, "BODY")) {
        f->txn->body_8bit = word_is(value, n, "8BITMIME");
        f->txn->body_binary = word_is(value, n, "BINARYMIME");
        return f->txn->body_8bit || f->txn->body_binary || word_is(value, n, "7BIT") ? 0 : 501;
    }
    if (word_is(name, name_len, "SMTPUTF8")) {
        f->txn->utf8 = true;
        return value == name + name_len ? 0 : 501;
    }
    if (word_is(name, name_len, "AUTH"))
        return take_auth(f, value, n) ? 0 : 501;
    return 555;
}

static enum lmtpd_progress refuse_param(struct lmtpd_front *f, int code)
{
    if (code == 552)
        return lmtpd_error(f, 552, "5.3.4", "Message size exceeds fixed limit");
    if (code == 555)
        return lmtpd_error(f, 555, "5.5.4", "Unsupported parameter");
    return lmtpd_error(f, 501, "5.5.4", "Syntax error in parameters");
}

static void txn_begin(struct lmtpd_front *f)
{
    struct pool *pool = pool_new(0);
    struct lmtpd_txn *txn = pool_alloc(pool, sizeof(*txn));

    txn->pool = pool;
    txn->session = f->login->session;
    txn->login = f->login;
    txn->naming = &f->service->naming;
    txn->context = f->service->context;
    f->txn = txn;
    f->rcpt_tail = &txn->rcpts;
    f->trusted = false;
    f->chunked = false;
    f->rcpts_tried = 0;
}

void lmtpd_txn_end(struct lmtpd_front *f)
{
    struct pool *pool;

    if (f->txn == NULL)
        return;
    f->service->transport->end(f->txn);
    pool = f->txn->pool;
    pool_free(&pool);
    f->txn = NULL;
    f->rcpt = NULL;
    f->chunked = false;
    f->state = LMTPD_COMMAND;
}

/* May an address of the envelope have these characters?  Beyond ASCII is UTF-8, and for SMTPUTF8 only (RFC 6531
 * section 3.3), unless an option lets others be. */
static bool characters_allowed(const struct lmtpd_txn *txn, const char *path)
{
    size_t n = strlen(path);

    if (txn->utf8)
        return str_is_utf8(path, n);
    return !opt_switch(OPT_LMTP_STRICT_RFC2821) || str_is_ascii(path, n);
}

enum lmtpd_progress lmtpd_mail(struct lmtpd_front *f, const char *args)
{
    struct buf path = BUF_INIT;
    const char *params, *name, *value;
    size_t name_len, n;
    int code = 0;

    if (f->txn != NULL)
        return lmtpd_error(f, 503, "5.5.1", "Nested MAIL command");
    params = read_path(args, "FROM:", &path);
    if (params == NULL) {
        buf_free(&path);
        return lmtpd_error(f, 501, "5.1.7", "Bad sender's address");
    }
    txn_begin(f);
    f->txn->from = pool_memdup(f->txn->pool, buf_cstr(&path), path.len);
    buf_free(&path);
    while (code == 0 && next_param(&params, &name, &name_len, &value, &n))
        code = take_mail_param(f, name, name_len, value, n);
    if (code != 0) {
        lmtpd_txn_end(f);
        return refuse_param(f, code);
    }
    if (!characters_allowed(f->txn, f->txn->from)) {
        lmtpd_txn_end(f);
        return lmtpd_error(f, 550, "5.6.7", "Characters that a sender's address may not have");
    }
    lmtpd_reply(f, 250, "2.1.0", "ok");
    return LMTPD_GO_ON;
}

/* ORCPT=rfc822;xtext (RFC 3461 4.2): believed of frontends, which have changed the address. */
static int take_original(struct lmtpd_front *f, struct lmtpd_rcpt *rcpt, const char *value, size_t n)
{
    const char *semicolon = memchr(value, ';', n), *original;

    if (semicolon == NULL)
        return 501;
    original = xtext_decode(f->txn->pool, semicolon + 1, (size_t)(value + n - semicolon - 1));
    if (original == NULL || *original == '\0' || !str_is_utf8(original, strlen(original)) ||
        strpbrk(original, "\r\n<>") != NULL)
        return 501;
    if (f->trusted && word_is(value, (size_t)(semicolon - value), "rfc822"))
        rcpt->original = original;
    return 0;
}

/* 0, or the code that refuses a parameter. */
static int take_rcpt_params(struct lmtpd_front *f, struct lmtpd_rcpt *rcpt, const char *params)
{
    const char *name, *value;
    size_t name_len, n;
    int code = 0;

    while (code == 0 && next_param(&params, &name, &name_len, &value, &n)) {
        if (word_is(name, name_len, "ORCPT"))
            code = take_original(f, rcpt, value, n);
        else if (!word_is(name, name_len, "IGNOREQUOTA") || n > 0)
            code = 555;
        else
            rcpt->ignore_quota = true;
    }
    return code;
}

enum lmtpd_progress lmtpd_rcpt(struct lmtpd_front *f, const char *args)
{
    struct buf path = BUF_INIT;
    struct lmtpd_rcpt *rcpt;
    const char *params;
    int code;

    if (f->txn == NULL)
        return lmtpd_error(f, 503, "5.5.1", "Need MAIL before RCPT");
    if (f->chunked)
        return lmtpd_error(f, 503, "5.5.1", "RCPT within BDAT");
    if (f->txn->rcpt_count >= LMTPD_RCPTS_MAX || ++f->rcpts_tried > LMTPD_TRIED_MAX)
        return lmtpd_error(f, 452, "4.5.3", "Too many recipients");
    params = read_path(args, "TO:", &path);
    if (params == NULL || path.len == 0) {
        buf_free(&path);
        return lmtpd_error(f, 501, "5.1.3", "Bad recipient's address");
    }
    rcpt = pool_alloc(f->txn->pool, sizeof(*rcpt));
    rcpt->address = pool_memdup(f->txn->pool, buf_cstr(&path), path.len);
    buf_free(&path);
    rcpt->original = rcpt->address;
    code = take_rcpt_params(f, rcpt, params);
    if (code != 0)
        return refuse_param(f, code);
    if (!characters_allowed(f->txn, rcpt->address))
        return lmtpd_error(f, 553, "5.6.7", "Characters that a recipient's address may not have");
    if (lmtpd_names_resolve(f->txn->naming, f->txn->pool, rcpt->address, &rcpt->names) < 0)
        lmtpd_answer_unknown(f->txn, rcpt);
    f->rcpt = rcpt;
    f->state = LMTPD_RCPT;
    return LMTPD_GO_ON;
}

enum lmtpd_progress lmtpd_step_rcpt(struct lmtpd_front *f)
{
    struct lmtpd_rcpt *rcpt = f->rcpt;

    if (rcpt->code == 0) {
        switch (f->service->transport->rcpt(f->txn, rcpt)) {
        case LMTPD_WAIT:
            return LMTPD_NEED_OTHER;
        case LMTPD_MORE:
            return LMTPD_GO_ON;
        default:
            break;
        }
    }
    BUG_ON(rcpt->code == 0);
    f->rcpt = NULL;
    f->state = LMTPD_COMMAND;
    if (rcpt->code / 100 == 2) {
        *f->rcpt_tail = rcpt;
        f->rcpt_tail = &rcpt->next;
        f->txn->rcpt_count++;
    } else {
        LOG(LOG_INFO, LMTP_REFUSED, LOG_STR(RCPT, rcpt->address), LOG_INT(CODE, rcpt->code),
            LOG_STR(SENDER, f->txn->from));
    }
    lmtpd_reply(f, rcpt->code, rcpt->enhanced, rcpt->text);
    return LMTPD_GO_ON;
}
