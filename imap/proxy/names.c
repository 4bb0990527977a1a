/* names.c: what a frontend asks a mailbox's server about it for LIST and LSUB. */
#include <string.h>

#include "imap/proxy/proxy-private.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/imapwire/args.h"
#include "lib/mboxlist/special-use.h"

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
    int r = proxy_begin_once(p, cmd, "LSUB \"\" \"*\"");

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

/* ---- STATUS ---- */

/* A command for each mailbox of the batch. */
static void send_many(struct proxy_leg *p, struct command *cmd, const struct leg_batch *batch,
                      const char *word, const char *items)
{
    bool first = true;

    for (size_t i = 0; i < batch->count; i++) {
        const char *name = client_name_out(p->leg.client, cmd->pool, batch->names[i]);

        if (name == NULL)
            continue;
        if (first)
            proxy_begin(p);
        else
            proxy_begin_another(p);
        first = false;
        stream_printf(p->stream, "%s %s %s\r\n", word, name, items);
    }
}

int proxy_status_many(struct leg *leg, struct command *cmd, struct leg_batch *batch, const char *items)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;
    struct imap_response response;
    enum reply reply;
    int r = proxy_connect(p, cmd);

    if (r < 0)
        return r;
    if (!batch->begun)
        send_many(p, cmd, batch, "STATUS", items);
    batch->begun = true;
    r = stream_flush(p->stream);
    if (r < 0 && r != ERR_AGAIN)
        return proxy_fail(p, cmd, r);
    while (p->open != 0) {
        reply = proxy_collect(p, &response);
        if (reply == REPLY_UNTAGGED && (p->selected || p->watching || imap_slice_is(response.word, "STATUS")))
            proxy_pass_line(p);
        else if (reply != REPLY_UNTAGGED && reply != REPLY_TAGGED)
            return proxy_waiting(p, cmd, reply);
    }
    proxy_rest(p);
    return 0;
}

/* ---- METADATA ---- */

int proxy_metadata_many(struct leg *leg, struct command *cmd, struct leg_batch *batch, const char *entries)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;
    const char *text;
    size_t len;
    int r = proxy_connect(p, cmd);

    if (r < 0)
        return r;
    if (!batch->begun && !backend_has(p->backend, "METADATA"))
        return 0;
    if (!batch->begun)
        send_many(p, cmd, batch, "GETMETADATA", entries);
    batch->begun = true;
    r = stream_flush(p->stream);
    if (r < 0 && r != ERR_AGAIN)
        return proxy_fail(p, cmd, r);
    while (p->open != 0) {
        enum reply reply = proxy_relay(p, leg->client->stream, &text, &len);

        if (reply != REPLY_TAGGED)
            return proxy_waiting(p, cmd, reply);
    }
    proxy_rest(p);
    return 0;
}

/* ---- special uses ---- */

/* "* LIST (attributes) "/" name": those of them that are special uses. */
static bool give_special(struct client *c, struct command *cmd, const struct imap_response *response,
                         leg_special_fn *fn, void *context)
{
    bool given = false;
    const char *flag, *separator, *name, *internal, *uses;
    struct buf found = BUF_INIT;
    struct imap_args args;
    int r;

    imap_args_init(&args, cmd->pool, response->args.s, response->args.n);
    r = imap_args_char(&args, '(');
    while (r == 0 && !imap_args_skip(&args, ')')) {
        imap_args_skip(&args, ' ');
        r = imap_args_item(&args, &flag);
        if (r == 0 && special_use_is_known(flag))
            buf_printf(&found, "%s ", flag);
    }
    if (r == 0 && imap_args_space(&args) == 0 && imap_args_nstring(&args, &separator) == 0 &&
        imap_args_space(&args) == 0 && imap_args_mailbox(&args, &name) == 0 &&
        client_name_in(c, cmd->pool, name, &internal) == 0 &&
        special_use_read(buf_cstr(&found), cmd->pool, &uses) == 0 && *uses != '\0') {
        fn(internal, uses, context);
        given = true;
    }
    buf_free(&found);
    return given;
}

int proxy_specials(struct leg *leg, struct command *cmd, leg_special_fn *fn, void *context)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;
    struct imap_response response;
    enum reply reply;
    int r = proxy_connect(p, cmd);

    if (r == 0 && p->open == 0 && !backend_has(p->backend, "SPECIAL-USE"))
        return 0;
    if (r == 0)
        r = proxy_begin_once(p, cmd, "LIST (SPECIAL-USE) \"\" \"*\" RETURN (SPECIAL-USE)");
    if (r < 0)
        return r;
    p->listing = true;
    r = stream_flush(p->stream);
    if (r < 0 && r != ERR_AGAIN)
        return proxy_fail(p, cmd, r);
    while ((reply = proxy_collect(p, &response)) == REPLY_UNTAGGED) {
        if (!imap_slice_is(response.word, "LIST")) {
            if (p->selected || p->watching)
                proxy_pass_line(p);
        } else if (!give_special(leg->client, cmd, &response, fn, context) && p->watching) {
            proxy_take_list(p, &response); /* what we ask for has a special use */
        }
    }
    p->listing = p->listing && reply != REPLY_TAGGED;
    if (reply != REPLY_TAGGED)
        return proxy_waiting(p, cmd, reply);
    return proxy_judge(p, cmd, response.rest.s, response.rest.n, NULL);
}
