/* search.c: ESEARCH (RFC 7377) over the mailboxes of one backend, some of them a command. */
#include <stdlib.h>
#include <string.h>

#include "imap/proxy/proxy-private.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

enum {
    NAMES_AT_ONCE = 100, /* of one command, */
    NAMES_SIZE = 4000,   /* and their bytes: RFC 2683 3.2.1.5 wants lines below 8,000 */
};

struct proxy_esearch {
    size_t next, end; /* of the batch: what the command under way is about */
    bool begun, sent;
    struct buf text; /* its arguments */
    struct outgoing out;
};

void proxy_search_end(struct leg *leg, struct leg_search *s)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;
    struct proxy_esearch *e = s->state;

    if (e == NULL)
        return;
    if (e->begun && p->stream != NULL) {
        if (e->sent)
            proxy_abandon(p);
        else
            proxy_disconnect(p, "command abandoned");
    }
    buf_free(&e->text);
    free(e);
    s->state = NULL;
}

static bool is_selected(const struct proxy_leg *p, const char *internal)
{
    const struct client *c = p->leg.client;

    return p->selected && c->selected == &p->leg && strcmp(internal, c->selected_name) == 0;
}

/* The next mailboxes of the batch as sources.  The selected one may have got another name meanwhile. */
static void put_sources(struct proxy_leg *p, struct command *cmd, const struct leg_search *s)
{
    struct proxy_esearch *e = s->state;
    const char *separator = "";
    struct buf names = BUF_INIT;
    bool selected = false;

    for (e->end = e->next; e->end < s->batch->count && e->end - e->next < NAMES_AT_ONCE; e->end++) {
        const char *internal = s->batch->names[e->end];
        const char *name = client_name_out(p->leg.client, cmd->pool, internal);

        if (names.len >= NAMES_SIZE)
            break;
        if (is_selected(p, internal))
            selected = true;
        else if (name != NULL)
            buf_printf(&names, "%s%s", separator, name);
        if (names.len > 0)
            separator = " ";
    }
    if (names.len == 0 && !selected)
        buf_puts(&names, "\"\""); /* none at all: the rest is looked at */
    buf_printf(&e->text, "IN (%s", selected ? "selected" : "");
    if (names.len > 0)
        buf_printf(&e->text, "%smailboxes (%s)", selected ? " " : "", buf_cstr(&names));
    buf_puts(&e->text, ") ");
    buf_free(&names);
}

static void begin_command(struct proxy_leg *p, struct command *cmd, struct leg_search *s)
{
    struct proxy_esearch *e = s->state;

    buf_reset(&e->text);
    put_sources(p, cmd, s);
    buf_append(&e->text, s->program, s->len);
    proxy_outgoing(&e->out, e->text.data, e->text.len);
    e->begun = true;
    e->sent = false;
    proxy_begin(p);
    stream_puts(p->stream, "ESEARCH ");
}

/* Sends what can be sent, reads what has come.  1: the tagged answer is there; ERR_AGAIN; ERR_UNAVAILABLE. */
static int talk(struct proxy_leg *p, struct command *cmd, struct leg_search *s, const char **text_r,
                size_t *len_r)
{
    struct proxy_esearch *e = s->state;
    enum reply reply;
    int r;

    if (!e->sent) {
        r = proxy_send(p, cmd, &e->out, text_r, len_r);
        if (r != 0)
            return r;
        stream_puts(p->stream, "\r\n");
        e->sent = true;
    }
    r = stream_flush(p->stream);
    if (r < 0 && r != ERR_AGAIN)
        return proxy_fail(p, cmd, r);
    reply = proxy_relay(p, p->leg.client->stream, text_r, len_r);
    return reply == REPLY_TAGGED ? 1 : proxy_waiting(p, cmd, reply);
}

/* It failed for another reason than the answer. */
static int give_up(struct command *cmd, struct leg_search *s, int error)
{
    struct proxy_esearch *e = s->state;

    e->begun = false;
    command_error(cmd, error);
    s->answer = command_take_back(cmd);
    return 0;
}

/* The answer to a command of some mailboxes: 1: the next ones; 0: no more. */
static int answered(struct proxy_leg *p, struct command *cmd, struct leg_search *s, const char *text,
                    size_t len)
{
    struct proxy_esearch *e = s->state;
    bool ok = len >= 2 && str_ieq_n(text, "OK", 2);

    e->begun = false;
    if (!ok)
        s->answer = pool_strndup(cmd->pool, text, len);
    proxy_rest(p);
    command_progress(cmd, cmd->done + (uint32_t)(e->end - e->next), cmd->goal);
    e->next = e->end;
    return ok && e->next < s->batch->count ? 1 : 0;
}

static int refuse_lacking(struct proxy_leg *p, struct command *cmd, struct leg_search *s, const char *name)
{
    proxy_lacking(p, cmd, name);
    s->answer = command_take_back(cmd);
    return 0;
}

int proxy_search_many(struct leg *leg, struct command *cmd, struct leg_search *s)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;
    struct proxy_esearch *e = s->state;
    const char *text, *lacking;
    size_t len;
    int r;

    if (e == NULL && !proxy_is_balanced(s->program, s->len)) {
        s->answer = "BAD Missing closing quote";
        return 0;
    }
    if (e == NULL)
        s->state = e = xcalloc(1, sizeof(*e));
    r = e->begun && p->stream == NULL ? ERR_UNAVAILABLE : proxy_connect(p, cmd);
    if (r < 0)
        return r == ERR_AGAIN ? r : give_up(cmd, s, r);
    lacking = e->begun ? NULL : proxy_lacks_command(p, cmd);
    if (lacking != NULL)
        return refuse_lacking(p, cmd, s, lacking);
    if (!e->begun)
        begin_command(p, cmd, s);
    s->blocked = leg->client->mid_response && !p->passing;
    r = talk(p, cmd, s, &text, &len);
    if (r == 1)
        return answered(p, cmd, s, text, len);
    return r == ERR_AGAIN ? r : give_up(cmd, s, r);
}
