/* sink.c: one message appended to a backend's mailbox, for a copy from another server. */
#include <inttypes.h>
#include <string.h>

#include "imap/proxy/proxy-private.h"
#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/imapwire/args.h"

struct leg_sink {
    struct proxy_leg *p;
    struct command *cmd;
    bool begun, announced, ended;
};

static int announce(struct leg_sink *s, const struct leg_append *what, bool nonsync)
{
    const char *name = client_name_out(s->p->leg.client, s->cmd->pool, what->mailbox);

    if (name == NULL)
        return ERR_BADNAME;
    proxy_begin(s->p);
    stream_printf(s->p->stream, "APPEND %s (%s) \"%s\" {%" PRIu64 "%s}\r\n", name, what->flags,
                  what->internal_date, what->size, nonsync ? "+" : "");
    s->begun = true;
    s->announced = nonsync;
    return 0;
}

int proxy_sink_open(struct leg *leg, struct command *cmd, const struct leg_append *what,
                    struct leg_sink **sink_r)
{
    struct leg_sink *s = *sink_r;
    const char *text;
    size_t len;
    enum reply reply;
    int r;

    if (s == NULL) {
        s = *sink_r = pool_alloc(cmd->pool, sizeof(*s));
        *s = (struct leg_sink){.p = (struct proxy_leg *)leg, .cmd = cmd};
    }
    r = proxy_connect(s->p, cmd);
    if (r < 0)
        return r;
    if (!s->begun && (r = announce(s, what, proxy_nonsync(s->p, what->size))) < 0)
        return r;
    if (s->announced)
        return 0;
    r = stream_flush(s->p->stream);
    if (r < 0 && r != ERR_AGAIN)
        return proxy_fail(s->p, cmd, r);
    reply = proxy_relay(s->p, NULL, &text, &len);
    if (reply == REPLY_TAGGED) {
        s->ended = true;
        return proxy_judge(s->p, cmd, text, len, NULL) < 0 ? ERR_REFUSED : ERR_PROTOCOL;
    }
    if (reply != REPLY_CONTINUE)
        return proxy_waiting(s->p, cmd, reply);
    s->announced = true;
    return 0;
}

int proxy_sink_write(struct leg_sink *s, const char *data, size_t len)
{
    int r;

    if (s->p->stream == NULL)
        return ERR_UNAVAILABLE;
    r = proxy_push(s->p, s->cmd);
    if (r == 0)
        r = proxy_hear(s->p, s->cmd);
    if (r < 0)
        return r;
    if (len > STREAM_OUT_HIGH)
        len = STREAM_OUT_HIGH;
    stream_write(s->p->stream, data, len);
    return (int)len;
}

/* "OK [APPENDUID validity uid] ...": RFC 4315 section 3. */
static void read_appenduid(struct command *cmd, const char *ok, uint32_t *uidvalidity_r, uint32_t *uid_r)
{
    const char *line = pool_printf(cmd->pool, "* %s", ok);
    struct imap_response response;
    struct imap_args args;

    *uidvalidity_r = *uid_r = 0;
    if (imap_response_parse(line, strlen(line), &response) < 0 || !imap_slice_is(response.code, "APPENDUID"))
        return;
    imap_args_init(&args, cmd->pool, response.code_args.s, response.code_args.n);
    if (imap_args_nz_number(&args, uidvalidity_r) < 0 || imap_args_space(&args) < 0 ||
        imap_args_nz_number(&args, uid_r) < 0)
        *uidvalidity_r = *uid_r = 0;
}

int proxy_sink_commit(struct leg_sink *s, uint32_t *uidvalidity_r, uint32_t *uid_r)
{
    const char *ok;
    int r;

    if (s->p->stream == NULL)
        return ERR_UNAVAILABLE;
    if (!s->ended)
        stream_puts(s->p->stream, "\r\n");
    s->ended = true;
    r = proxy_answer(s->p, s->cmd, NULL, &ok);
    if (r == 0)
        read_appenduid(s->cmd, ok, uidvalidity_r, uid_r);
    return r;
}

/* A message that was announced and not sent whole: the backend waits for its bytes, so the connection
 * must go. */
void proxy_sink_close(struct leg_sink **sink)
{
    struct leg_sink *s = *sink;

    if (s != NULL && s->begun && !s->ended && s->p->stream != NULL)
        proxy_disconnect(s->p, "message not complete");
    *sink = NULL;
}
