/* mupdate.c: MUPDATE before it is authenticated (RFC 3656 sections 3.8, 4.2, 4.10). */
#include <string.h>

#include "lib/backend/backend-private.h"
#include "lib/backend/lines.h"
#include "lib/base/error.h"
#include "lib/base/str.h"

/* Does the line begin with these words? */
static bool begins(const char *line, size_t n, const char *words)
{
    size_t k = strlen(words);

    return n >= k && str_ieq_n(line, words, k) && (n == k || line[k] == ' ');
}

/* The last of the four strings of the greeting: "(master)", or the master's URL. */
static void keep_greeting(struct backend *b, const char *line, size_t n)
{
    size_t end = n, at;

    while (end > 0 && line[end - 1] != '"')
        end--;
    for (at = end > 0 ? end - 1 : 0; at > 0 && line[at - 1] != '"'; at--)
        ;
    buf_reset(&b->greeting);
    if (end > at)
        buf_append(&b->greeting, line + at, end - 1 - at);
}

static int greeting(struct backend *b)
{
    const char *line;
    size_t n;
    int r;

    while ((r = backend_line(b, &line, &n)) == 1) {
        if (begins(line, n, "* OK MUPDATE")) {
            keep_greeting(b, line, n);
            b->have_caps = true;
            return ANSWER_DONE;
        }
        if (begins(line, n, "* BYE") || begins(line, n, "* NO"))
            return backend_fail(b, ERR_UNAVAILABLE, "%.*s", (int)n - 2, line + 2);
        if (n < 2 || line[0] != '*' || line[1] != ' ')
            return backend_fail(b, ERR_PROTOCOL, "no MUPDATE greeting");
        if (b->caps.len + n > BACKEND_LINE_MAX)
            return backend_fail(b, ERR_PROTOCOL, "the greeting does not end");
        buf_append(&b->caps, line + 2, n - 2);
        buf_putc(&b->caps, '\n');
    }
    return r;
}

/* The answer tagged so: yes, or why not.  Other lines are `data` or skipped. */
static int tagged(struct backend *b, const char *tag, int refused, bool challenges)
{
    const char *line;
    size_t n, k = strlen(tag);
    int r;

    while ((r = backend_line(b, &line, &n)) == 1) {
        if (begins(line, n, tag)) {
            bool no = n > k && begins(line + k + 1, n - k - 1, "NO");

            if (n > k && begins(line + k + 1, n - k - 1, "OK"))
                return ANSWER_DONE;
            return backend_fail(b, no ? refused : ERR_PROTOCOL, "%.*s", (int)(n - k), line + k);
        }
        if (begins(line, n, "*"))
            return backend_fail(b, ERR_UNAVAILABLE, "%.*s", (int)n, line);
        if (!challenges)
            return backend_fail(b, ERR_PROTOCOL, "unexpected line");
        buf_reset(&b->data);
        buf_append(&b->data, line, n);
        return ANSWER_DATA;
    }
    return r;
}

static int starttls_answer(struct backend *b)
{
    return tagged(b, "S01", ERR_TLS, false);
}

/* No command asks for capabilities: those of the banner hold, under a layer too. */
static int auth_answer(struct backend *b)
{
    return tagged(b, "A01", ERR_AUTH, true);
}

static int capability(struct backend *b)
{
    b->have_caps = true;
    return ANSWER_DONE;
}

static void ask_capability(struct backend *b)
{
    (void)b;
}

static void authenticate(struct backend *b, const char *mech, const char *base64)
{
    stream_printf(b->stream, "A01 AUTHENTICATE \"%s\"", mech);
    if (base64 != NULL)
        stream_printf(b->stream, " {%zu+}\r\n%s", strlen(base64), base64);
    stream_puts(b->stream, "\r\n");
}

const struct backend_ops backend_mupdate_ops = {
    .service = "mupdate",
    .port = 3905,
    .banner_after_tls = true,
    .starttls = "S01 STARTTLS\r\n",
    .cancel = "*\r\n",
    .logout = "Q01 LOGOUT\r\n",
    .greeting = greeting,
    .capability = capability,
    .starttls_answer = starttls_answer,
    .auth_answer = auth_answer,
    .ask_capability = ask_capability,
    .mechs = backend_lines_mechs,
    .initial_response = backend_initial_always,
    .authenticate = authenticate,
    .has = backend_lines_has,
};
