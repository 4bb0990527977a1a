/* lmtp.c: LMTP and SMTP before the first transaction (RFC 2033, RFC 5321, RFC 3207, RFC 4954). */
#include <string.h>

#include "lib/backend/backend-private.h"
#include "lib/backend/lines.h"
#include "lib/base/config.h"
#include "lib/base/error.h"

/* A reply of that code; another is `refused`, and a 4xx ERR_UNAVAILABLE. */
static int expect(struct backend *b, int code, int refused)
{
    int r = smtp_reply_read(&b->reply, b->stream);

    if (r < 0)
        return backend_fail(b, ERR_PROTOCOL, "malformed reply");
    if (r == 0 || b->reply.code == code)
        return r == 0 ? ANSWER_MORE : ANSWER_DONE;
    return backend_fail(b, b->reply.code / 100 == 4 ? ERR_UNAVAILABLE : refused, "%d %s", b->reply.code,
                        buf_cstr(&b->reply.text));
}

static int greeting(struct backend *b)
{
    int r = expect(b, 220, ERR_UNAVAILABLE);

    if (r == ANSWER_DONE)
        buf_append(&b->greeting, b->reply.text.data, b->reply.text.len);
    return r;
}

static void ask_capability(struct backend *b)
{
    stream_printf(b->stream, "LHLO %s\r\n", config_servername());
}

/* RFC 5321 4.1.1.1: a domain, without the port that a server's name may carry here. */
static void say_ehlo(struct backend *b)
{
    const char *name = config_servername();

    stream_printf(b->stream, "EHLO %.*s\r\n", (int)strcspn(name, ":"), name);
}

static int capability(struct backend *b)
{
    int r = expect(b, 250, ERR_PROTOCOL);
    const char *lines;

    if (r != ANSWER_DONE)
        return r;
    lines = strchr(buf_cstr(&b->reply.text), '\n'); /* behind the server's name */
    buf_reset(&b->caps);
    buf_puts(&b->caps, lines != NULL ? lines + 1 : "");
    return r;
}

static int starttls_answer(struct backend *b)
{
    return expect(b, 220, ERR_TLS);
}

static int auth_answer(struct backend *b)
{
    int r = expect(b, 235, ERR_AUTH);

    if (r >= 0 || b->reply.partial || b->reply.code != 334)
        return r;
    buf_reset(&b->data);
    buf_append(&b->data, b->reply.text.data, b->reply.text.len);
    return ANSWER_DATA;
}

static void authenticate(struct backend *b, const char *mech, const char *base64)
{
    stream_printf(b->stream, "AUTH %s", mech);
    if (base64 != NULL)
        stream_printf(b->stream, " %s", base64[0] != '\0' ? base64 : "=");
    stream_puts(b->stream, "\r\n");
}

const struct backend_ops backend_lmtp_ops = {
    .service = "lmtp",
    .port = 2003,
    .starttls = "STARTTLS\r\n",
    .cancel = "*\r\n",
    .logout = "QUIT\r\n",
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

const struct backend_ops backend_smtp_ops = {
    .service = "smtp",
    .port = 25,
    .starttls = "STARTTLS\r\n",
    .cancel = "*\r\n",
    .logout = "QUIT\r\n",
    .greeting = greeting,
    .capability = capability,
    .starttls_answer = starttls_answer,
    .auth_answer = auth_answer,
    .ask_capability = say_ehlo,
    .mechs = backend_lines_mechs,
    .initial_response = backend_initial_always,
    .authenticate = authenticate,
    .has = backend_lines_has,
};
