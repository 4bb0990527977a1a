/* send.c: passes a command's arguments on as the client wrote them, literals included.
 *
 * In the arguments a CRLF stands only behind a literal's count, so that what must be sent in
 * pieces is found without understanding the command. */
#include <string.h>

#include "imap/proxy/proxy-private.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

bool proxy_nonsync(const struct proxy_leg *p, uint64_t size)
{
    return backend_has(p->backend, "LITERAL+") || (size <= 4096 && backend_has(p->backend, "LITERAL-"));
}

void proxy_outgoing(struct outgoing *out, const char *args, size_t len)
{
    *out = (struct outgoing){.at = args, .left = len};
}

/* The count of the literal whose "{n}" or "{n+}" ends at `end`; *brace_r is where it begins. */
static uint64_t literal_before(const char *begin, const char *end, const char **brace_r)
{
    const char *brace = end - 1, *digits_end = end - 1;
    uint64_t n = 0;

    BUG_ON(brace <= begin || *brace != '}');
    if (digits_end[-1] == '+')
        digits_end--;
    while (brace > begin && *brace != '{')
        brace--;
    BUG_ON(str_parse_u64(brace + 1, (size_t)(digits_end - brace - 1), &n) < 0);
    *brace_r = brace;
    return n;
}

/* Is every quoted string closed where its line ends?  If not, what looks like a literal to the assembler is the
 * rest of a string to the backend, and the literal's bytes are commands. */
bool proxy_is_balanced(const char *args, size_t len)
{
    const char *s = args, *end = args + len, *brace;
    bool quoted = false;

    for (; s < end; s++) {
        if (*s == '"')
            quoted = !quoted;
        else if (*s == '\\' && quoted && s + 1 < end && s[1] != '\r')
            s++;
        else if (*s == '\r' && s + 1 < end && s[1] == '\n') {
            if (quoted)
                return false;
            s += 1 + literal_before(args, s, &brace);
        }
    }
    return !quoted;
}

/* Writes the next text and, where the backend takes it at once, the literal behind it. */
static void send_piece(struct proxy_leg *p, struct outgoing *out)
{
    const char *crlf = memmem(out->at, out->left, "\r\n", 2), *brace;
    uint64_t n;
    size_t used;

    if (crlf == NULL) {
        stream_write(p->stream, out->at, out->left);
        out->left = 0;
        return;
    }
    n = literal_before(out->at, crlf, &brace);
    BUG_ON(n > out->left - (size_t)(crlf + 2 - out->at));
    stream_write(p->stream, out->at, (size_t)(brace - out->at));
    out->waiting = !proxy_nonsync(p, n);
    stream_printf(p->stream, "{%llu%s}\r\n", (unsigned long long)n, out->waiting ? "" : "+");
    if (!out->waiting)
        stream_write(p->stream, crlf + 2, n);
    /* A literal that waits stays in front, as its bytes alone. */
    used = (size_t)(crlf + 2 - out->at) + (out->waiting ? 0 : n);
    out->at += used;
    out->left -= used;
    out->literal = out->waiting ? n : 0;
}

/* Waits for the "+" of a synchronising literal.  As proxy_send(). */
static int await_go_ahead(struct proxy_leg *p, struct command *cmd, struct outgoing *out, const char **text_r,
                          size_t *len_r)
{
    int r = stream_flush(p->stream);
    enum reply reply;

    if (r < 0 && r != ERR_AGAIN)
        return proxy_fail(p, cmd, r);
    reply = proxy_relay(p, p->leg.client->stream, text_r, len_r);
    if (reply == REPLY_TAGGED)
        return 1;
    if (reply != REPLY_CONTINUE)
        return proxy_waiting(p, cmd, reply);
    stream_write(p->stream, out->at, out->literal);
    out->at += out->literal;
    out->left -= out->literal;
    out->waiting = false;
    return 0;
}

int proxy_send(struct proxy_leg *p, struct command *cmd, struct outgoing *out, const char **text_r,
               size_t *len_r)
{
    int r;

    while (out->left > 0 || out->waiting) {
        if (out->waiting && (r = await_go_ahead(p, cmd, out, text_r, len_r)) != 0)
            return r;
        if (out->left > 0)
            send_piece(p, out);
        r = proxy_push(p, cmd);
        if (r < 0)
            return r;
    }
    return 0;
}
