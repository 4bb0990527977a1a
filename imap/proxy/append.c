/* append.c: APPEND through the proxy: the message goes on as it comes, never held whole. */
#include <string.h>

#include "imap/proxy/proxy-private.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/str.h"

enum phase { CONNECT, ARGUMENTS, GO_AHEAD, MESSAGE, ANSWER };

struct append {
    struct proxy_leg *p;
    enum phase phase;
    bool begun;
    struct outgoing out;
    const char *refusal; /* the backend's answer, if it came before the message was sent */
};

static void append_cleanup(struct command *cmd)
{
    struct append *a = cmd->state;

    if (a->begun && a->p->stream != NULL)
        proxy_disconnect(a->p, "message not complete");
}

static enum step failed(struct command *cmd, int error)
{
    struct append *a = cmd->state;

    if (error == ERR_AGAIN)
        return STEP_WAIT;
    a->begun = false;
    return command_error(cmd, error);
}

static enum step answered(struct command *cmd, const char *text, size_t len)
{
    struct append *a = cmd->state;

    a->begun = false;
    return proxy_final(a->p, cmd, text, len);
}

/* The literal's announcement.  A client that waits for "+" waits for the backend's, so that a message
 * that would be refused is never sent. */
static void announce(struct command *cmd)
{
    struct append *a = cmd->state;
    bool wait = cmd->literal.synchronising || !proxy_nonsync(a->p, cmd->literal.size);

    stream_printf(a->p->stream, "{%llu%s}\r\n", (unsigned long long)cmd->literal.size, wait ? "" : "+");
    a->phase = wait ? GO_AHEAD : MESSAGE;
    if (!wait)
        command_literal_accept(cmd);
}

/* Reads what the backend says: ERR_AGAIN (armed), 0 for "+", 1 for the answer. */
static int listen_to_backend(struct command *cmd, const char **text_r, size_t *len_r)
{
    struct append *a = cmd->state;
    enum reply reply;
    int r = stream_flush(a->p->stream);

    if (r < 0 && r != ERR_AGAIN)
        return proxy_fail(a->p, cmd, r);
    reply = proxy_relay(a->p, cmd->client->stream, text_r, len_r);
    if (reply == REPLY_CONTINUE || reply == REPLY_TAGGED)
        return reply == REPLY_TAGGED;
    return proxy_waiting(a->p, cmd, reply);
}

/* What the backend says during the message.  A refusal is kept until the message is over: a server that
 * announces LITERAL+ reads the bytes all the same (RFC 7888 4), and so stays in step. */
static int hear_early(struct command *cmd)
{
    struct append *a = cmd->state;
    enum reply reply;
    const char *text;
    size_t len;

    if (a->refusal != NULL)
        return 0;
    reply = proxy_relay(a->p, proxy_listener(a->p, cmd), &text, &len);
    if (reply == REPLY_NONE)
        return 0;
    if (reply != REPLY_TAGGED)
        return proxy_waiting(a->p, cmd, reply);
    if (len >= 3 && str_ieq_n(text, "OK ", 3))
        return proxy_fail(a->p, cmd, ERR_PROTOCOL);
    a->refusal = pool_strndup(cmd->pool, text, len);
    return 0;
}

/* Parks for the client's bytes, and for what the backend may say meanwhile. */
static int await_client(struct command *cmd)
{
    struct append *a = cmd->state;

    cmd->wants_input = true;
    proxy_arm(a->p, cmd, true);
    cmd->wake_at = CLOCK_NEVER; /* the client may take its time */
    return ERR_AGAIN;
}

/* Moves the message; then ends the command's line.  What the client said behind the literal, if it was
 * nonsense, makes the backend's command nonsense too, so that nothing is stored. */
static int send_message(struct command *cmd)
{
    struct append *a = cmd->state;
    int r;

    while (cmd->literal.left > 0) {
        r = proxy_push(a->p, cmd);
        if (r == 0)
            r = hear_early(cmd);
        if (r < 0)
            return r;
        if (command_literal_move(cmd, a->p->stream, STREAM_OUT_HIGH) == 0)
            return await_client(cmd);
    }
    r = command_literal_end(cmd);
    if (r == ERR_AGAIN) {
        r = hear_early(cmd);
        return r < 0 ? r : await_client(cmd);
    }
    stream_puts(a->p->stream, r == 0 ? "\r\n" : " )\r\n");
    a->phase = ANSWER;
    return 0;
}

static enum step refused(struct command *cmd)
{
    struct append *a = cmd->state;
    int r = stream_flush(a->p->stream);

    if (r < 0 && r != ERR_AGAIN)
        return failed(cmd, proxy_fail(a->p, cmd, r));
    return answered(cmd, a->refusal, strlen(a->refusal));
}

static enum step append_step(struct command *cmd)
{
    struct append *a = cmd->state;
    const char *text = "";
    size_t len = 0;
    int r = 0;

    for (;;) {
        switch (a->phase) {
        case CONNECT:
            r = proxy_connect(a->p, cmd);
            if (r == 0) {
                a->begun = true;
                proxy_begin(a->p);
                stream_puts(a->p->stream, "APPEND ");
                a->phase = ARGUMENTS;
            }
            break;
        case ARGUMENTS:
            r = proxy_send(a->p, cmd, &a->out, &text, &len);
            if (r == 0)
                announce(cmd);
            break;
        case GO_AHEAD:
            r = listen_to_backend(cmd, &text, &len);
            if (r == 0) {
                command_literal_accept(cmd);
                a->phase = MESSAGE;
            }
            break;
        case MESSAGE:
            r = send_message(cmd);
            break;
        case ANSWER:
            if (a->refusal != NULL)
                return refused(cmd);
            r = listen_to_backend(cmd, &text, &len);
            if (r == 0) /* a "+" nobody asked for */
                r = proxy_fail(a->p, cmd, ERR_PROTOCOL);
            break;
        }
        if (r == 1)
            return answered(cmd, text, len);
        if (r < 0)
            return failed(cmd, r);
    }
}

enum step proxy_append_start(struct proxy_leg *p, struct command *cmd)
{
    struct append *a = pool_alloc(cmd->pool, sizeof(*a));

    a->p = p;
    proxy_outgoing(&a->out, cmd->args, cmd->args_len);
    cmd->state = a;
    cmd->cleanup = append_cleanup;
    cmd->step = append_step;
    return append_step(cmd);
}
