/* exchange.c: commands of our own to a backend, and IDLE. */
#include <string.h>

#include "imap/proxy/proxy-private.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/imapwire/args.h"

/* Sends a command's text unless it has been sent. */
static int begin_once(struct proxy_leg *p, struct command *cmd, const char *text)
{
    int r = proxy_connect(p, cmd);

    if (r < 0 || p->open != 0)
        return r;
    proxy_begin(p);
    stream_printf(p->stream, "%s\r\n", text);
    return 0;
}

int proxy_exchange(struct proxy_leg *p, struct command *cmd, struct stream *to, const char **ok_r,
                   const char *text)
{
    int r = begin_once(p, cmd, text);

    return r < 0 ? r : proxy_answer(p, cmd, to, ok_r);
}

int proxy_poll(struct leg *leg, struct command *cmd)
{
    return proxy_exchange((struct proxy_leg *)leg, cmd, leg->client->stream, NULL, "NOOP");
}

/* ---- IDLE ---- */

int proxy_idle_start(struct leg *leg, struct command *cmd)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;
    const char *text;
    size_t len;
    int r = begin_once(p, cmd, "IDLE");
    enum reply reply;

    if (r < 0)
        return r;
    r = stream_flush(p->stream);
    if (r < 0 && r != ERR_AGAIN)
        return proxy_fail(p, cmd, r);
    reply = proxy_relay(p, leg->client->stream, &text, &len);
    if (reply == REPLY_TAGGED)
        return proxy_judge(p, cmd, text, len, NULL) < 0 ? ERR_REFUSED : ERR_PROTOCOL;
    return reply == REPLY_CONTINUE ? 0 : proxy_waiting(p, cmd, reply);
}

int proxy_idle_run(struct leg *leg, struct command *cmd)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;
    const char *text;
    size_t len;
    int r;

    if (p->stream == NULL)
        return ERR_UNAVAILABLE;
    p->silent_at = CLOCK_NEVER; /* nothing to say is nothing wrong */
    r = proxy_waiting(p, cmd, proxy_relay(p, leg->client->stream, &text, &len));
    return r;
}

int proxy_idle_stop(struct leg *leg, struct command *cmd)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;

    if (p->stream == NULL)
        return ERR_UNAVAILABLE;
    if (p->phase == 0) {
        stream_puts(p->stream, "DONE\r\n");
        p->silent_at = clock_deadline(PROXY_SILENCE_MS);
        p->phase = 1;
    }
    int r = proxy_answer(p, cmd, leg->client->stream, NULL);
    if (r != ERR_AGAIN)
        p->phase = 0;
    return r;
}

/* ---- removing messages ---- */

/* Steps through a list of commands; p->phase tells which one is under way. */
static int run_script(struct proxy_leg *p, struct command *cmd, struct stream *to, const char *const *script)
{
    while (script[p->phase] != NULL) {
        int r = proxy_exchange(p, cmd, to, NULL, script[p->phase]);

        if (r == ERR_AGAIN)
            return r;
        if (r < 0) {
            p->phase = 0;
            return r;
        }
        p->phase++;
    }
    p->phase = 0;
    return 0;
}

int proxy_expunge_uids(struct leg *leg, struct command *cmd, const char *uids)
{
    const char *const script[] = {
        pool_printf(cmd->pool, "UID STORE %s +FLAGS.SILENT (\\Deleted)", uids),
        pool_printf(cmd->pool, "UID EXPUNGE %s", uids),
        NULL,
    };

    return run_script((struct proxy_leg *)leg, cmd, leg->client->stream, script);
}

int proxy_may_expunge(struct leg *leg)
{
    return leg->client->read_only ? ERR_READONLY : 0;
}

/* SELECT of the mailbox where something is to be undone: its UIDVALIDITY must be the one of before. */
static int undo_select(struct proxy_leg *p, struct command *cmd, const char *mailbox, uint32_t uidvalidity)
{
    const char *name = client_name_out(p->leg.client, cmd->pool, mailbox), *ok;
    struct imap_response response;
    enum reply reply;
    uint32_t found;
    int r = begin_once(p, cmd, pool_printf(cmd->pool, "SELECT %s", name));

    if (r < 0)
        return r;
    r = stream_flush(p->stream);
    if (r < 0 && r != ERR_AGAIN)
        return proxy_fail(p, cmd, r);
    while ((reply = proxy_collect(p, &response)) == REPLY_UNTAGGED) {
        if (imap_slice_is(response.code, "UIDVALIDITY") &&
            str_parse_u32(response.code_args.s, response.code_args.n, &found) == 0 && found != uidvalidity)
            p->mismatch = true;
    }
    if (reply != REPLY_TAGGED)
        return proxy_waiting(p, cmd, reply);
    r = proxy_judge(p, cmd, response.rest.s, response.rest.n, &ok);
    return r == 0 && p->mismatch ? ERR_CONFLICT : r;
}

int proxy_undo(struct leg *leg, struct command *cmd, const char *mailbox, uint32_t uidvalidity,
               const char *uids)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;
    const char *const script[] = {
        "", /* phase 0: SELECT */
        pool_printf(cmd->pool, "UID STORE %s +FLAGS.SILENT (\\Deleted)", uids),
        pool_printf(cmd->pool, "UID EXPUNGE %s", uids),
        "UNSELECT",
        NULL,
    };

    BUG_ON(p->selected);
    if (p->phase == 0) {
        int r = undo_select(p, cmd, mailbox, uidvalidity);

        if (r < 0)
            return r;
        p->phase = 1;
    }
    return run_script(p, cmd, NULL, script);
}

/* ---- subscriptions ---- */

/* "* LSUB (flags) "/" name": the name in internal form to fn. */
static void give_subscription(struct client *c, struct command *cmd, const struct imap_response *response,
                              leg_lsub_fn *fn, void *context)
{
    const char *separator, *name, *internal;
    struct imap_args args;

    imap_args_init(&args, cmd->pool, response->args.s, response->args.n);
    if (imap_args_skip_value(&args) == 0 && imap_args_space(&args) == 0 &&
        imap_args_nstring(&args, &separator) == 0 && imap_args_space(&args) == 0 &&
        imap_args_mailbox(&args, &name) == 0 && client_name_in(c, cmd->pool, name, &internal) == 0)
        fn(internal, context);
}

int proxy_lsub(struct leg *leg, struct command *cmd, leg_lsub_fn *fn, void *context)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;
    struct imap_response response;
    enum reply reply;
    int r = begin_once(p, cmd, "LSUB \"\" \"*\"");

    if (r < 0)
        return r;
    r = stream_flush(p->stream);
    if (r < 0 && r != ERR_AGAIN)
        return proxy_fail(p, cmd, r);
    while ((reply = proxy_collect(p, &response)) == REPLY_UNTAGGED) {
        if (imap_slice_is(response.word, "LSUB"))
            give_subscription(leg->client, cmd, &response, fn, context);
        else
            proxy_pass_line(p);
    }
    if (reply != REPLY_TAGGED)
        return proxy_waiting(p, cmd, reply);
    return proxy_judge(p, cmd, response.rest.s, response.rest.n, NULL);
}
