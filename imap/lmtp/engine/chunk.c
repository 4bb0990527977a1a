/* BDAT (RFC 3030): a message in pieces whose length is told, instead of DATA.
 *
 * A piece that is refused is read to its end all the same, since the client has sent it behind the command. */
#include <string.h>

#include "imap/lmtp/engine/front-private.h"
#include "imap/login/login.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/stream/stream.h"

static void refuse(struct lmtpd_front *f, int code, const char *enhanced, const char *text)
{
    f->chunk.refused = true;
    f->chunk.code = code;
    f->chunk.enhanced = enhanced;
    f->chunk.text = text;
}

/* Is this no time for it? */
static void check_sequence(struct lmtpd_front *f)
{
    if (!login_is_authenticated(f->login))
        refuse(f, opt_switch(OPT_SOFT_NOAUTH) ? 430 : 530, opt_switch(OPT_SOFT_NOAUTH) ? "4.7.0" : "5.7.0",
               "Authentication required");
    else if (f->txn == NULL)
        refuse(f, 503, "5.5.1", "Need MAIL before BDAT");
    else if (f->txn->rcpt_count == 0)
        refuse(f, 503, "5.5.1", "No recipients");
}

/* chunk-size [ SP "LAST" ] */
static bool parse(const char *args, struct lmtpd_chunk *chunk)
{
    size_t n = strcspn(args, " ");

    memset(chunk, 0, sizeof(*chunk));
    chunk->last = args[n] != '\0';
    return str_parse_u64(args, n, &chunk->left) == 0 && chunk->left <= INT64_MAX &&
           (!chunk->last || str_ieq(args + n + 1, "LAST"));
}

/* The limit is known to be exceeded before the bytes come. */
static bool exceeds_limit(const struct lmtpd_front *f)
{
    int64_t max = opt_bytes(OPT_MAXMESSAGESIZE);

    return f->chunk.left > (uint64_t)((max > 0 ? max : INT64_MAX) - f->txn->size);
}

enum lmtpd_progress lmtpd_bdat(struct lmtpd_front *f, const char *args)
{
    if (!parse(args, &f->chunk)) {
        /* What follows may be a message, whose lines are no commands. */
        lmtpd_reply(f, 501, "5.5.4", "Syntax: BDAT size [LAST]");
        f->verdict = login_close(f->login);
        return LMTPD_CLOSING;
    }
    check_sequence(f);
    if (!f->chunk.refused && !f->chunked) {
        f->chunked = true;
        lmtpd_message_begin(f); /* an error is told at the end of the piece */
    }
    if (!f->chunk.refused && !f->too_big)
        f->too_big = exceeds_limit(f);
    f->state = LMTPD_CHUNK;
    return LMTPD_GO_ON;
}

static void take(struct lmtpd_front *f, const char *in, size_t n)
{
    struct buf text = BUF_INIT;

    if (f->txn->body_binary) {
        lmtpd_message_write(f, in, n);
        return;
    }
    lmtpd_data_text(&f->data, in, n, &text);
    lmtpd_message_write(f, buf_cstr(&text), text.len);
    buf_free(&text);
}

/* One reply, but for the last piece one for each recipient (RFC 2033 section 4.3). */
static enum lmtpd_progress end_chunk(struct lmtpd_front *f)
{
    struct lmtpd_rcpt answer = {.next = NULL};

    f->state = LMTPD_COMMAND;
    if (f->chunk.refused)
        return lmtpd_error(f, f->chunk.code, f->chunk.enhanced, f->chunk.text);
    if (f->chunk.last)
        return lmtpd_message_end(f);
    if (lmtpd_message_failed(f, &answer))
        return lmtpd_error(f, answer.code, answer.enhanced, answer.text);
    lmtpd_reply(f, 250, "2.0.0", "ok");
    return LMTPD_GO_ON;
}

enum lmtpd_progress lmtpd_step_chunk(struct lmtpd_front *f)
{
    struct stream *s = f->login->stream;
    size_t n;
    const char *in = stream_data(s, &n);

    if (f->chunk.left == 0)
        return end_chunk(f);
    if (n == 0)
        return LMTPD_NEED_INPUT;
    if (n > LMTPD_PIECE)
        n = LMTPD_PIECE;
    if (n > f->chunk.left)
        n = (size_t)f->chunk.left;
    if (!f->chunk.refused)
        take(f, in, n);
    stream_consume(s, n);
    f->chunk.left -= n;
    return LMTPD_GO_ON;
}
