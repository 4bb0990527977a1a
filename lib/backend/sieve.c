/* sieve.c: ManageSieve before its user's first command (RFC 5804 sections 1.7, 2.1, 2.2). */
#include <string.h>

#include "lib/backend/backend-private.h"
#include "lib/backend/lines.h"
#include "lib/base/error.h"
#include "lib/base/str.h"

/* Is the line this word, alone or with more behind it? */
static bool begins(const char *line, size_t n, const char *word)
{
    size_t k = strlen(word);

    return n >= k && str_ieq_n(line, word, k) && (n == k || line[k] == ' ');
}

static int refuse(struct backend *b, int code, const char *line, size_t n)
{
    return backend_fail(b, code, "%.*s", (int)n, line);
}

/* The name and the value of a capability, each a quoted string, go to the list without their quotes. */
static int keep_capability(struct backend *b, const char *line, size_t n)
{
    if (n == 0 || line[0] != '"' || b->caps.len + n > BACKEND_LINE_MAX)
        return backend_fail(b, ERR_PROTOCOL, "no list of capabilities");
    for (size_t i = 0; i < n; i++) {
        if (line[i] == '\\' && i + 1 < n)
            buf_putc(&b->caps, line[++i]);
        else if (line[i] != '"')
            buf_putc(&b->caps, line[i]);
    }
    buf_putc(&b->caps, '\n');
    return 0;
}

static int capability(struct backend *b)
{
    const char *line;
    size_t n;
    int r;

    while ((r = backend_line(b, &line, &n)) == 1) {
        if (begins(line, n, "OK")) {
            b->have_caps = true;
            return ANSWER_DONE;
        }
        if (begins(line, n, "NO") || begins(line, n, "BYE"))
            return refuse(b, ERR_UNAVAILABLE, line, n);
        r = keep_capability(b, line, n);
        if (r < 0)
            return r;
    }
    return r;
}

/* What the server says of itself comes unasked at the beginning, after STARTTLS and under a security layer. */
static void ask_capability(struct backend *b)
{
    buf_reset(&b->caps);
    if (!stream_is_sasl(b->stream))
        stream_puts(b->stream, "CAPABILITY\r\n");
}

static int starttls_answer(struct backend *b)
{
    const char *line;
    size_t n;
    int r = backend_line(b, &line, &n);

    if (r != 1)
        return r;
    return begins(line, n, "OK") ? ANSWER_DONE : refuse(b, ERR_TLS, line, n);
}

/* OK (SASL "..."): the server's last word of the exchange. */
static void keep_last_word(struct backend *b, const char *line, size_t n)
{
    static const char begin[] = "OK (SASL \"";
    const char *data = line + sizeof(begin) - 1, *end;

    buf_reset(&b->data);
    if (n < sizeof(begin) - 1 || !str_ieq_n(line, begin, sizeof(begin) - 1))
        return;
    end = memchr(data, '"', n - (sizeof(begin) - 1));
    if (end != NULL)
        buf_append(&b->data, data, (size_t)(end - data));
}

/* A challenge is a quoted string, or a literal: base64 has no line's end in it. */
static int auth_answer(struct backend *b)
{
    const char *line;
    size_t n;
    int r;

    while ((r = backend_line(b, &line, &n)) == 1) {
        bool quoted = n >= 2 && line[0] == '"' && line[n - 1] == '"';

        if (b->in_literal || quoted) {
            buf_reset(&b->data);
            buf_append(&b->data, line + quoted, n - 2 * (size_t)quoted);
            b->in_literal = false;
            return ANSWER_DATA;
        }
        if (begins(line, n, "OK")) {
            keep_last_word(b, line, n);
            return ANSWER_DONE;
        }
        if (n == 0 || line[0] != '{')
            return refuse(b, begins(line, n, "NO") ? ERR_AUTH : ERR_UNAVAILABLE, line, n);
        b->in_literal = true;
    }
    return r;
}

static void mechs(const struct backend *b, struct buf *to)
{
    backend_lines_args(&b->caps, "SASL", to);
}

static void authenticate(struct backend *b, const char *mech, const char *base64)
{
    stream_printf(b->stream, "AUTHENTICATE \"%s\"", mech);
    if (base64 != NULL)
        stream_printf(b->stream, " {%zu+}\r\n%s", strlen(base64), base64);
    stream_puts(b->stream, "\r\n");
}

const struct backend_ops backend_sieve_ops = {
    .service = "sieve",
    .port = 4190,
    .banner_after_tls = true,
    .strings = true,
    .starttls = "STARTTLS\r\n",
    .cancel = "\"*\"\r\n",
    .logout = "LOGOUT\r\n",
    .greeting = capability,
    .capability = capability,
    .starttls_answer = starttls_answer,
    .auth_answer = auth_answer,
    .ask_capability = ask_capability,
    .mechs = mechs,
    .initial_response = backend_initial_always,
    .authenticate = authenticate,
    .has = backend_lines_has,
};
