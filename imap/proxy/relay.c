/* relay.c: reads a backend's responses and passes them on.
 *
 * A response is looked at where it begins: is it ours, a "+", a BYE?  Everything else is moved as bytes,
 * literals by count. */
#include <string.h>

#include "imap/proxy/proxy-private.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/str.h"

/* A tagged answer.  What answers a command that nobody waits for is dropped. */
static enum reply tagged(struct proxy_leg *p, const struct imap_response *response)
{
    uint32_t tag;

    if (response->tag.n < 2 || response->tag.s[0] != 'P' ||
        str_parse_u32(response->tag.s + 1, response->tag.n - 1, &tag) < 0 || tag > p->tag)
        return REPLY_LOST;
    if (tag == p->open && tag > p->ignore) {
        p->open = 0;
        return REPLY_TAGGED;
    }
    if (tag > p->ignore)
        return REPLY_LOST;
    if (tag == p->ignore)
        p->ignore = 0;
    return REPLY_IGNORED;
}

enum reply proxy_classify(struct proxy_leg *p, const char *line, size_t len, struct imap_response *response)
{
    if (imap_response_parse(line, len, response) < 0)
        return REPLY_LOST;
    switch (response->kind) {
    case IMAP_CONTINUE:
        return p->ignore != 0 ? REPLY_IGNORED : REPLY_CONTINUE;
    case IMAP_TAGGED:
        return tagged(p, response);
    default:
        break;
    }
    if (response->status == IMAP_BYE)
        return REPLY_LOST;
    /* A capability list speaks of the connection between the servers: not for the client. */
    return p->ignore != 0 || imap_slice_is(response->word, "CAPABILITY") ? REPLY_IGNORED : REPLY_UNTAGGED;
}

int proxy_fill(struct proxy_leg *p)
{
    int r = stream_fill(p->stream);

    if (r > 0)
        p->silent_at = clock_deadline(PROXY_SILENCE_MS);
    return r;
}

enum reply proxy_relay(struct proxy_leg *p, struct stream *to, const char **text_r, size_t *len_r)
{
    for (;;) {
        struct imap_response response;
        struct imap_piece piece;
        int r;

        if (to != NULL && stream_unsent(to) >= STREAM_OUT_HIGH)
            return REPLY_BLOCKED;
        r = imap_reader_next(&p->reader, &piece);
        if (r == 0 && (r = proxy_fill(p)) > 0)
            continue;
        if (r < 0)
            return r == ERR_AGAIN ? REPLY_NONE : REPLY_LOST;
        if (piece.first) {
            enum reply reply = proxy_classify(p, piece.data, piece.len, &response);

            if (reply != REPLY_UNTAGGED && reply != REPLY_IGNORED) {
                *text_r = response.rest.s;
                *len_r = response.rest.n;
                return piece.last ? reply : REPLY_LOST;
            }
            p->drop = reply == REPLY_IGNORED;
        }
        if (!p->drop && to != NULL)
            stream_write(to, piece.data, piece.len);
    }
}

enum reply proxy_collect(struct proxy_leg *p, struct imap_response *response_r)
{
    for (;;) {
        enum reply reply;
        int r;

        if (p->line_complete) {
            buf_reset(&p->line);
            p->line_complete = false;
        }
        r = imap_reader_collect(&p->reader, PROXY_LINE_MAX, &p->line);
        if (r == 0 && (r = proxy_fill(p)) > 0)
            continue;
        if (r < 0)
            return r == ERR_AGAIN ? REPLY_NONE : REPLY_LOST;
        p->line_complete = true;
        reply = proxy_classify(p, buf_cstr(&p->line), p->line.len, response_r);
        if (reply != REPLY_IGNORED)
            return reply;
    }
}

void proxy_pass_line(struct proxy_leg *p)
{
    struct stream *to = p->leg.client->stream;

    stream_write(to, p->line.data, p->line.len);
    stream_puts(to, "\r\n");
}

/* The words of "NO words" or "BAD words". */
static const char *refusal(struct command *cmd, const char *text, size_t len)
{
    const char *words = memchr(text, ' ', len);

    if (words == NULL)
        return "Refused by the mailbox's server";
    words++;
    return pool_strndup(cmd->pool, words, len - (size_t)(words - text));
}

int proxy_judge(struct proxy_leg *p, struct command *cmd, const char *text, size_t len, const char **ok_r)
{
    bool ok = len >= 2 && str_ieq_n(text, "OK", 2) && (len == 2 || text[2] == ' ');

    if (!ok)
        cmd->failure = refusal(cmd, text, len);
    else if (ok_r != NULL)
        *ok_r = pool_strndup(cmd->pool, text, len);
    proxy_rest(p);
    return ok ? 0 : ERR_REFUSED;
}

int proxy_waiting(struct proxy_leg *p, struct command *cmd, enum reply reply)
{
    if (reply == REPLY_BLOCKED)
        return ERR_AGAIN;
    if (reply != REPLY_NONE)
        return proxy_fail(p, cmd, reply == REPLY_LOST ? ERR_UNAVAILABLE : ERR_PROTOCOL);
    if (clock_ms() >= p->silent_at)
        return proxy_fail(p, cmd, ERR_TIMEOUT);
    proxy_arm(p, cmd, true);
    return ERR_AGAIN;
}

int proxy_answer(struct proxy_leg *p, struct command *cmd, struct stream *to, const char **ok_r)
{
    const char *text;
    size_t len;
    int r = stream_flush(p->stream);
    enum reply reply;

    if (r < 0 && r != ERR_AGAIN)
        return proxy_fail(p, cmd, r);
    reply = proxy_relay(p, to, &text, &len);
    return reply == REPLY_TAGGED ? proxy_judge(p, cmd, text, len, ok_r) : proxy_waiting(p, cmd, reply);
}
