/* imap.c: IMAP as a client before it is authenticated (RFC 3501 sections 6.1, 6.2; RFC 4959). */
#include <string.h>

#include <stdio.h>

#include "lib/backend/backend-private.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/imapwire/response.h"

static void set_caps(struct backend *b, struct imap_slice words)
{
    buf_reset(&b->caps);
    buf_append(&b->caps, words.s, words.n);
    b->have_caps = true;
}

/* Capabilities, wherever a response brings them. */
static void notice_caps(struct backend *b, const struct imap_response *r)
{
    if (imap_slice_is(r->code, "CAPABILITY"))
        set_caps(b, r->code_args);
    else if (r->kind == IMAP_UNTAGGED && imap_slice_is(r->word, "CAPABILITY"))
        set_caps(b, r->args);
}

/* The next response.  1, 0, or an error; BYE is the end. */
static int next(struct backend *b, struct imap_response *response)
{
    const char *line;
    size_t n;
    int r = backend_line(b, &line, &n);

    if (r <= 0)
        return r;
    if (imap_response_parse(line, n, response) != 0)
        return backend_fail(b, ERR_PROTOCOL, "not an IMAP server: \"%.*s\"", (int)(n < 80 ? n : 80), line);
    if (response->kind == IMAP_UNTAGGED && response->status == IMAP_BYE)
        return backend_fail(b, ERR_UNAVAILABLE, "%.*s", (int)response->args.n, response->args.s);
    notice_caps(b, response);
    return 1;
}

static int greeting(struct backend *b)
{
    struct imap_response response;
    int r = next(b, &response);

    if (r <= 0)
        return r;
    if (response.kind != IMAP_UNTAGGED || (response.status != IMAP_OK && response.status != IMAP_PREAUTH))
        return backend_fail(b, ERR_PROTOCOL, "no IMAP greeting");
    b->preauth = response.status == IMAP_PREAUTH;
    buf_append(&b->greeting, response.args.s, response.args.n);
    return ANSWER_DONE;
}

/* Up to the tagged answer of the only command there is.  What a NO means is `refused`. */
static int tagged(struct backend *b, int refused, bool challenges)
{
    struct imap_response response;
    int r;

    while ((r = next(b, &response)) == 1) {
        if (response.kind == IMAP_UNTAGGED)
            continue;
        if (response.kind == IMAP_CONTINUE && challenges) {
            buf_reset(&b->data);
            buf_append(&b->data, response.rest.s, response.rest.n);
            return ANSWER_DATA;
        }
        if (response.kind == IMAP_TAGGED && response.status == IMAP_OK)
            return ANSWER_DONE;
        return backend_fail(b, response.status == IMAP_NO ? refused : ERR_PROTOCOL, "%.*s",
                            (int)response.rest.n, response.rest.s);
    }
    return r;
}

static int capability(struct backend *b)
{
    return tagged(b, ERR_PROTOCOL, false);
}

static int starttls_answer(struct backend *b)
{
    return tagged(b, ERR_TLS, false);
}

static int auth_answer(struct backend *b)
{
    return tagged(b, ERR_AUTH, true);
}

/* A NO or BAD is no reason to do without the server. */
static int compress_answer(struct backend *b)
{
    struct imap_response response;
    int r;

    buf_reset(&b->data);
    while ((r = next(b, &response)) == 1) {
        if (response.kind != IMAP_TAGGED)
            continue;
        if (response.status == IMAP_OK)
            buf_puts(&b->data, "OK");
        return ANSWER_DONE;
    }
    return r;
}

/* ---- UNAUTHENTICATE (RFC 8437) ---- */

/* The tag is one that nothing in the former user's mail can imitate. */
static void reset(struct backend *b)
{
    uint32_t random;

    digest_random(&random, sizeof(random));
    snprintf(b->reset_tag, sizeof(b->reset_tag), "U%08x", random);
    imap_reader_init(&b->reader, b->stream);
    stream_printf(b->stream, "%s UNAUTHENTICATE\r\n", b->reset_tag);
}

/* Drops whatever it says, literals by count, up to its OK. */
static int reset_answer(struct backend *b)
{
    struct imap_response response;
    struct imap_piece piece;
    int r;

    while ((r = imap_reader_next(&b->reader, &piece)) == 1) {
        b->dropped += piece.len;
        if (b->dropped > BACKEND_LINE_MAX)
            return ERR_TOOBIG;
        if (!piece.first || !piece.last || imap_response_parse(piece.data, piece.len, &response) < 0 ||
            response.kind != IMAP_TAGGED || !imap_slice_is(response.tag, b->reset_tag))
            continue;
        imap_reader_end(&b->reader);
        return response.status == IMAP_OK ? ANSWER_DONE : ERR_PROTOCOL;
    }
    return r == 0 ? ANSWER_MORE : r;
}

static void ask_capability(struct backend *b)
{
    stream_puts(b->stream, "C01 CAPABILITY\r\n");
}

static bool has(const struct backend *b, const char *word)
{
    struct imap_slice list = {buf_cstr(&b->caps), b->caps.len};

    return imap_slice_has(list, word);
}

/* The words AUTH=x. */
static void mechs(const struct backend *b, struct buf *to)
{
    const char *p = buf_cstr(&b->caps);

    while (*p != '\0') {
        size_t n = strcspn(p, " ");

        if (n > 5 && strncasecmp(p, "AUTH=", 5) == 0)
            buf_printf(to, "%s%.*s", to->len > 0 ? " " : "", (int)(n - 5), p + 5);
        p += n + strspn(p + n, " ");
    }
}

static bool initial_response(const struct backend *b)
{
    return has(b, "SASL-IR");
}

static void authenticate(struct backend *b, const char *mech, const char *base64)
{
    stream_printf(b->stream, "A01 AUTHENTICATE %s", mech);
    if (base64 != NULL)
        stream_printf(b->stream, " %s", base64[0] != '\0' ? base64 : "=");
    stream_puts(b->stream, "\r\n");
}

const struct backend_ops backend_imap_ops = {
    .service = "imap",
    .port = 143,
    .caps_by_user = true,
    .starttls = "S01 STARTTLS\r\n",
    .cancel = "*\r\n",
    .logout = "Q01 LOGOUT\r\n",
    .compress = "Z01 COMPRESS DEFLATE\r\n",
    .compress_word = "COMPRESS=DEFLATE",
    .greeting = greeting,
    .capability = capability,
    .starttls_answer = starttls_answer,
    .auth_answer = auth_answer,
    .compress_answer = compress_answer,
    .reset = reset,
    .reset_answer = reset_answer,
    .ask_capability = ask_capability,
    .mechs = mechs,
    .initial_response = initial_response,
    .authenticate = authenticate,
    .has = has,
};
