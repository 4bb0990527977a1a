/* sink.c: messages appended to a backend's mailbox, for APPEND and for copies from other servers: they go on as they
 * come, never held whole. */
#include <inttypes.h>
#include <string.h>

#include "imap/proxy/proxy-private.h"
#include "imap/session/annotate-args.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/imapwire/args.h"

struct leg_sink {
    struct proxy_leg *p;
    struct command *cmd;
    const char *mailbox; /* as the backend knows it */
    const char *verb;    /* APPEND, or REPLACE with its number */
    const char *refusal; /* the backend's words, if they came before all was sent */
    uint64_t left;       /* of the bytes that were announced */
    bool begun, waiting; /* waiting: for the "+" before them */
    bool catenated;      /* the message that comes is put together: "CATENATE (" is said, */
    bool has_part;       /* and a part of it, */
    bool in_utf8;        /* which is "UTF8 (" and a literal8 */
    bool ended;          /* the command: its line is sent whole, or it is answered */
};

int proxy_sink_open(struct leg *leg, struct command *cmd, const char *mailbox, struct leg_sink **sink_r)
{
    struct leg_sink *s = *sink_r;

    if (s == NULL) {
        s = *sink_r = pool_alloc(cmd->pool, sizeof(*s));
        s->p = (struct proxy_leg *)leg;
        s->cmd = cmd;
        s->verb = "APPEND";
        s->mailbox = client_name_out(leg->client, cmd->pool, mailbox);
    }
    return s->mailbox != NULL ? proxy_connect(s->p, cmd) : ERR_BADNAME;
}

static bool is_ok(const char *text, size_t len)
{
    return len >= 2 && str_ieq_n(text, "OK", 2) && (len == 2 || text[2] == ' ');
}

/* What the backend says while bytes are sent.  A refusal is kept until they are over: a server that has let them come
 * reads them all the same (RFC 7888 4), and so stays in step. */
static int hear(struct leg_sink *s)
{
    struct proxy_leg *p = s->p;
    const char *text;
    size_t len;
    enum reply reply;

    if (s->refusal != NULL)
        return 0;
    reply = proxy_relay(p, proxy_listener(p, s->cmd), &text, &len);
    if (reply == REPLY_NONE)
        return 0;
    if (reply != REPLY_TAGGED)
        return proxy_waiting(p, s->cmd, reply);
    if (is_ok(text, len))
        return proxy_fail(p, s->cmd, ERR_PROTOCOL);
    proxy_judge(p, s->cmd, text, len, NULL);
    s->refusal = s->cmd->failure;
    s->cmd->failure = NULL;
    return 0;
}

/* It has been refused: what is left of the line ends here. */
static int end_refused(struct leg_sink *s)
{
    int r;

    stream_puts(s->p->stream, "\r\n");
    s->ended = true;
    r = stream_flush(s->p->stream);
    if (r < 0 && r != ERR_AGAIN)
        return proxy_fail(s->p, s->cmd, r);
    s->cmd->failure = s->refusal;
    return ERR_REFUSED;
}

int proxy_sink_replace(struct leg_sink *s, const char *number, bool uid)
{
    if (!s->p->selected || !backend_has(s->p->backend, "REPLACE"))
        return ERR_UNSUPPORTED;
    s->verb = pool_printf(s->cmd->pool, "%sREPLACE %s", uid ? "UID " : "", number);
    return 0;
}

/* The message is whole. */
static void end_message(struct leg_sink *s)
{
    if (s->catenated)
        stream_puts(s->p->stream, s->in_utf8 ? "))" : ")");
    s->catenated = s->has_part = s->in_utf8 = false;
}

static int lacks_catenate(struct leg_sink *s)
{
    s->cmd->failure = pool_printf(s->cmd->pool, "[CANNOT] The server %s has no CATENATE", s->p->leg.server);
    return ERR_REFUSED;
}

/* " ANNOTATION (...)" or nothing, appended.  0; ERR_REFUSED: the server cannot take a client's. */
static int put_annotations(struct leg_sink *s, const struct leg_append *what, struct buf *to)
{
    const struct annotate_list *list = what->annotations;
    size_t longest = 0;

    if (list == NULL || list->count == 0)
        return 0;
    for (size_t i = 0; i < list->count; i++)
        longest = list->values[i].len > longest ? list->values[i].len : longest;
    if (backend_has(s->p->backend, ANNOTATE_CAPABILITY) && proxy_nonsync(s->p, longest)) {
        annotate_list_put(list, to);
        return 0;
    }
    s->cmd->failure =
        pool_printf(s->cmd->pool, "[CANNOT] The server %s takes no such annotations", s->p->leg.server);
    return what->strict ? ERR_REFUSED : 0;
}

int proxy_sink_message(struct leg_sink *s, const struct leg_append *what)
{
    struct buf annotations = BUF_INIT;
    struct stream *to = s->p->stream;

    if (to == NULL)
        return ERR_UNAVAILABLE;
    if (s->refusal != NULL)
        return end_refused(s);
    if (s->begun && !backend_has(s->p->backend, "MULTIAPPEND"))
        return ERR_UNSUPPORTED;
    if (what->catenated && !backend_has(s->p->backend, "CATENATE"))
        return lacks_catenate(s);
    if (put_annotations(s, what, &annotations) < 0)
        return ERR_REFUSED;
    s->cmd->failure = NULL;
    end_message(s);
    if (!s->begun) {
        proxy_begin(s->p);
        stream_printf(to, "%s %s", s->verb, s->mailbox);
    }
    s->begun = true;
    if (*what->flags != '\0')
        stream_printf(to, " (%s)", what->flags);
    if (what->internal_date != NULL)
        stream_printf(to, " \"%s\"", what->internal_date);
    stream_write(to, annotations.data, annotations.len);
    buf_free(&annotations);
    if (what->catenated)
        stream_puts(to, " CATENATE (");
    s->catenated = what->catenated;
    return 0;
}

/* Waits until the backend lets the bytes come. */
static int await_go_ahead(struct leg_sink *s)
{
    struct proxy_leg *p = s->p;
    const char *text;
    size_t len;
    enum reply reply;
    int r = stream_flush(p->stream);

    if (r < 0 && r != ERR_AGAIN)
        return proxy_fail(p, s->cmd, r);
    reply = proxy_relay(p, proxy_listener(p, s->cmd), &text, &len);
    if (reply == REPLY_TAGGED) {
        s->ended = true;
        return proxy_judge(p, s->cmd, text, len, NULL) < 0 ? ERR_REFUSED : ERR_PROTOCOL;
    }
    if (reply != REPLY_CONTINUE)
        return proxy_waiting(p, s->cmd, reply);
    s->waiting = false;
    return 0;
}

/* What stands before a part. */
static void begin_part(struct leg_sink *s, const char *word)
{
    stream_printf(s->p->stream, "%s%s%s", s->in_utf8 ? ")" : "", s->catenated && !s->has_part ? "" : " ",
                  s->catenated ? word : "");
    s->has_part = true;
    s->in_utf8 = false;
}

int proxy_sink_part(struct leg_sink *s, const struct leg_part *part)
{
    struct proxy_leg *p = s->p;

    if (p->stream == NULL)
        return ERR_UNAVAILABLE;
    if (s->refusal != NULL)
        return end_refused(s);
    if (part->binary && !backend_has(p->backend, s->catenated ? "UTF8=ACCEPT" : "BINARY")) {
        s->cmd->failure = "[UNKNOWN-CTE] The mailbox's server has no BINARY";
        return ERR_REFUSED;
    }
    if (!s->waiting) {
        s->waiting = part->wait || !proxy_nonsync(p, part->size);
        s->left = part->size;
        begin_part(s, part->binary ? "UTF8 (" : "TEXT ");
        s->in_utf8 = s->catenated && part->binary;
        stream_printf(p->stream, "%s{%" PRIu64 "%s}\r\n", part->binary ? "~" : "", part->size,
                      s->waiting ? "" : "+");
    }
    return s->waiting ? await_go_ahead(s) : 0;
}

int proxy_sink_url(struct leg_sink *s, const char *url)
{
    struct proxy_leg *p = s->p;
    int r;

    if (p->stream == NULL)
        return ERR_UNAVAILABLE;
    if (s->refusal != NULL)
        return end_refused(s);
    if (strstr(url, "/;PARTIAL=") != NULL && !backend_has(p->backend, "URL-PARTIAL"))
        return ERR_UNSUPPORTED;
    r = proxy_push(p, s->cmd);
    if (r < 0)
        return r;
    begin_part(s, "URL ");
    stream_printf(p->stream, "\"%s\"", url);
    return 0;
}

/* Nothing to send yet: what has been sent goes out, what is said meanwhile is heard. */
static int await_bytes(struct leg_sink *s)
{
    int r = hear(s);

    if (r < 0)
        return r;
    proxy_arm(s->p, s->cmd, s->refusal == NULL);
    s->cmd->wake_at = CLOCK_NEVER; /* whoever sends may take his time */
    return 0;
}

int proxy_sink_write(struct leg_sink *s, const char *data, size_t len)
{
    int r;

    if (s->p->stream == NULL)
        return ERR_UNAVAILABLE;
    r = proxy_push(s->p, s->cmd);
    if (r < 0)
        return r;
    if (len == 0)
        return await_bytes(s);
    r = hear(s);
    if (r < 0)
        return r;
    if (len > STREAM_OUT_HIGH)
        len = STREAM_OUT_HIGH;
    stream_write(s->p->stream, data, len);
    s->left -= len < s->left ? len : s->left;
    return (int)len;
}

/* "OK [APPENDUID validity set] ...": RFC 4315 section 3. */
static void read_appenduid(struct command *cmd, const char *ok, struct leg_appended *result_r)
{
    const char *line = pool_printf(cmd->pool, "* %s", ok), *set;
    struct imap_response response;
    struct imap_args args;

    seqset_init(&result_r->uids, cmd->pool);
    if (imap_response_parse(line, strlen(line), &response) < 0 || !imap_slice_is(response.code, "APPENDUID"))
        return;
    imap_args_init(&args, cmd->pool, response.code_args.s, response.code_args.n);
    if (imap_args_nz_number(&args, &result_r->uidvalidity) < 0 || imap_args_space(&args) < 0 ||
        imap_args_seqset(&args, &set) < 0 || seqset_parse(&result_r->uids, set, strlen(set), 0) < 0)
        seqset_init(&result_r->uids, cmd->pool);
}

int proxy_sink_commit(struct leg_sink *s, struct leg_appended *result_r)
{
    const char *ok;
    int r;

    if (s->p->stream == NULL)
        return ERR_UNAVAILABLE;
    if (s->refusal != NULL)
        return end_refused(s);
    if (!s->ended) {
        end_message(s);
        stream_puts(s->p->stream, "\r\n");
    }
    s->ended = true;
    r = proxy_answer(s->p, s->cmd, proxy_listener(s->p, s->cmd), &ok);
    if (r == 0)
        read_appenduid(s->cmd, ok, result_r);
    return r;
}

/* Makes nonsense of the command's line, where a literal is not under way. */
static void spoil(struct leg_sink *s)
{
    stream_puts(s->p->stream, s->refusal != NULL ? "\r\n" : (s->catenated ? " X\r\n" : " )\r\n"));
    s->ended = true;
}

static bool is_open(const struct leg_sink *s)
{
    return s->begun && !s->ended && s->p->stream != NULL;
}

int proxy_sink_cancel(struct leg_sink *s)
{
    int r;

    if (is_open(s) && (s->left > 0 || s->waiting))
        proxy_disconnect(s->p, "message not complete"); /* the backend waits for its bytes */
    else if (is_open(s))
        spoil(s);
    if (s->p->stream == NULL)
        return 0;
    if (s->p->open == 0) {
        (void)stream_flush(s->p->stream); /* what does not go now goes with the next command */
        return 0;
    }
    r = proxy_answer(s->p, s->cmd, proxy_listener(s->p, s->cmd), NULL);
    return r == ERR_AGAIN ? r : 0;
}

void proxy_sink_close(struct leg_sink **sink)
{
    struct leg_sink *s = *sink;

    *sink = NULL;
    if (s == NULL || !is_open(s))
        return;
    if (s->left > 0 || s->waiting || s->p->selected) {
        proxy_disconnect(s->p, "message not complete");
        return;
    }
    spoil(s);
    proxy_abandon(s->p);
    (void)stream_flush(s->p->stream); /* what does not go now goes with the next command */
}
