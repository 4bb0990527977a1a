/* notify.c: NOTIFY (RFC 5465) of a backend: it watches its mailboxes, and what it says is passed on. */
#include <string.h>

#include "imap/proxy/proxy-private.h"
#include "imap/session/notify.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/engine/engine.h"
#include "lib/imapwire/args.h"

/* Only to see that neither the words have changed nor what they mean to who has enabled something: not for keys that somebody could aim. */
static uint64_t fingerprint(const struct proxy_leg *p, const struct buf *words)
{
    const uint64_t seed[2] = {0x6e6f74696679, p->leg.client->enabled};

    return hash_bytes(seed, words->data, words->len);
}

/* ---- telling it ---- */

/* How those stand that it watches from now on; no answers are waited for.  With `told` it has said so already. */
static void ask_fresh(struct proxy_leg *p, bool told)
{
    struct client *c = p->leg.client;
    struct pool *pool = pool_new(0);
    struct leg_batch fresh = {0};

    notify_take_fresh(c, &p->leg, &fresh);
    for (size_t i = 0; !told && i < fresh.count; i++) {
        const char *name = client_name_out(c, pool, fresh.names[i]);

        if (name == NULL)
            continue;
        p->unheard = ++p->tag;
        stream_printf(p->stream, "P%u STATUS %s (MESSAGES UIDNEXT UIDVALIDITY)\r\n", p->unheard, name);
    }
    leg_batch_free(&fresh);
    pool_free(&pool);
}

void proxy_say_notify(struct proxy_leg *p)
{
    struct client *c = p->leg.client;
    struct buf words = BUF_INIT;
    uint64_t print;

    p->notify_number = notify_number(c);
    p->left = false;
    if (!backend_has(p->backend, "NOTIFY"))
        return;
    p->watching = notify_words(c, &p->leg, false, &words);
    print = fingerprint(p, &words);
    if (print != p->notify_print && words.len > 0) {
        p->notify_tag = p->unheard = ++p->tag;
        stream_printf(p->stream, "P%u NOTIFY %s\r\n", p->notify_tag, buf_cstr(&words));
        ask_fresh(p, false);
    }
    p->notify_print = print;
    buf_free(&words);
}

bool proxy_notify_is_new(struct proxy_leg *p)
{
    struct client *c = p->leg.client;
    struct buf words = BUF_INIT;
    bool is_new = false;

    if (p->notify_number == notify_number(c) || !backend_has(p->backend, "NOTIFY"))
        return false;
    notify_words(c, &p->leg, false, &words);
    if (fingerprint(p, &words) == p->notify_print)
        p->notify_number = notify_number(c);
    else
        is_new = words.len > 0;
    buf_free(&words);
    return is_new;
}

/* Is what was left what it would be told now? */
static bool left_as_it_is(const struct proxy_leg *p)
{
    return p->left && p->notify_number == notify_number(p->leg.client);
}

/* Goes on with what was left.  False: it has been answered, or there was nothing. */
static bool take_up(struct proxy_leg *p)
{
    if (!left_as_it_is(p) || p->notify_tag == 0)
        return false;
    p->left = false;
    p->linking = true;
    p->open = p->notify_tag;
    p->notify_tag = 0;
    return true;
}

void proxy_leave_notify(struct leg *leg)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;

    if (!p->linking)
        return;
    p->linking = false;
    p->left = true;
    p->notify_tag = p->open;
    if (p->unheard < p->open)
        p->unheard = p->open;
    p->open = 0;
}

/* False: that is what it does already. */
static bool begin(struct proxy_leg *p, bool status)
{
    struct client *c = p->leg.client;
    struct buf words = BUF_INIT;
    bool left = left_as_it_is(p);
    uint64_t print;

    p->left = false;
    p->watching = notify_words(c, &p->leg, false, &words);
    p->notify_number = notify_number(c);
    print = fingerprint(p, &words);
    if (print == p->notify_print && (left || (!status && !notify_is_settling(c)))) {
        buf_free(&words);
        return false;
    }
    buf_reset(&words);
    notify_words(c, &p->leg, status, &words);
    proxy_begin(p);
    p->notify_print = print;
    stream_printf(p->stream, "NOTIFY %s\r\n", buf_cstr(&words));
    p->linking = true;
    ask_fresh(p, status);
    buf_free(&words);
    return true;
}

/* As proxy_answer(), and ERR_SYNTAX for BAD. */
static int answer(struct proxy_leg *p, struct command *cmd)
{
    const char *text;
    size_t len;
    enum reply reply;
    int r = stream_flush(p->stream);
    bool bad;

    if (r < 0 && r != ERR_AGAIN)
        return proxy_fail(p, cmd, r);
    reply = proxy_relay(p, p->leg.client->stream, &text, &len);
    if (reply != REPLY_TAGGED)
        return proxy_waiting(p, cmd, reply);
    bad = len >= 3 && str_ieq_n(text, "BAD", 3);
    r = proxy_judge(p, cmd, text, len, NULL);
    return bad ? ERR_SYNTAX : r;
}

int proxy_notify(struct leg *leg, struct command *cmd, bool status)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;
    int r;

    if (!p->linking) {
        r = proxy_connect(p, cmd);
        if (r < 0)
            return r;
        if (!backend_has(p->backend, "NOTIFY")) {
            cmd->failure = pool_printf(cmd->pool, "[CANNOT] Server %s does not have NOTIFY", leg->server);
            return ERR_UNSUPPORTED;
        }
        if (!take_up(p) && !begin(p, status))
            return 0;
    }
    r = answer(p, cmd);
    if (r == ERR_AGAIN)
        return r;
    p->linking = false;
    if (r < 0)
        p->watching = false;
    return r;
}

/* ---- hearing it ---- */

int proxy_hear_notify(struct leg *leg, int64_t *until_r)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;
    const char *text;
    size_t len;

    *until_r = CLOCK_NEVER;
    if (p->stream == NULL || !p->watching)
        return ERR_UNAVAILABLE;
    if (leg->client->mid_response && !p->passing)
        return 0;
    switch (proxy_relay(p, leg->client->stream, &text, &len)) {
    case REPLY_BLOCKED:
        return ERR_AGAIN;
    case REPLY_NONE:
        if (session_slice_over(leg->client->session))
            return ERR_AGAIN;
        if (p->passing && proxy_is_silent(p)) { /* half a response, on which all others wait */
            proxy_disconnect(p, "unfinished response");
            return ERR_UNAVAILABLE;
        }
        *until_r = p->passing ? p->silent_at : CLOCK_NEVER;
        proxy_rest(p);
        return 0;
    default:
        proxy_disconnect(p, "closed by the server");
        return ERR_UNAVAILABLE;
    }
}

void proxy_deaf(struct leg *leg)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;

    if (!p->watching || p->selected)
        return;
    p->watching = false;
    proxy_release(p);
}

/* "* LIST (\Subscribed ...) "/" name": what the mailbox is like, our own list knows. */
void proxy_take_list(struct proxy_leg *p, const struct imap_response *response)
{
    struct client *c = p->leg.client;
    struct pool *pool = pool_new(0);
    const char *flag, *separator, *name, *internal;
    bool subscribed = false;
    struct imap_args args;
    int r;

    imap_args_init(&args, pool, response->args.s, response->args.n);
    r = imap_args_char(&args, '(');
    while (r == 0 && !imap_args_skip(&args, ')')) {
        imap_args_skip(&args, ' ');
        r = imap_args_item(&args, &flag);
        subscribed = subscribed || (r == 0 && str_ieq(flag, "\\Subscribed"));
    }
    if (r == 0 && imap_args_space(&args) == 0 && imap_args_nstring(&args, &separator) == 0 &&
        imap_args_space(&args) == 0 && imap_args_mailbox(&args, &name) == 0 &&
        client_name_in(c, pool, name, &internal) == 0)
        notify_take_subscription(c, internal, subscribed);
    pool_free(&pool);
}
