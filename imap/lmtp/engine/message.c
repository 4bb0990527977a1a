/* A message: how it is read behind DATA, its delivery, an answer for each recipient. */
#include <string.h>

#include "config.h"
#include "imap/lmtp/engine/front-private.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/options.h"
#include "lib/mail/date.h"
#include "lib/stream/stream.h"

/* RFC 3848, RFC 6531 section 4.3 */
static void append_protocol(const struct lmtpd_front *f, struct buf *to)
{
    buf_puts(to, f->txn->utf8 ? "UTF8LMTP" : "LMTP");
    if (login_is_tls(f->login))
        buf_putc(to, 'S');
    if (strcmp(f->login->mech, "PREAUTH") != 0)
        buf_putc(to, 'A');
}

/* What LHLO said, as far as it may stand in a field. */
static void append_client(struct buf *to, const char *client)
{
    if (client == NULL)
        client = "unknown";
    for (const char *p = client; *p != '\0' && p - client < 255; p++) {
        bool fits = (unsigned char)*p > ' ' && (unsigned char)*p < 0x7f && strchr("()<>\\\"", *p) == NULL;

        buf_putc(to, fits ? *p : '?');
    }
}

void lmtpd_trace_fields(const struct lmtpd_front *f, struct buf *to)
{
    const char *peer = f->login->peer;
    int64_t now = clock_wall();
    char date[MAIL_DATE_SIZE];

    mail_date_format(date, now, mail_date_local_zone(now));
    buf_printf(to, "Return-Path: <%s>\r\nReceived: from ", f->txn->from);
    append_client(to, f->client);
    if (peer[0] != '\0')
        buf_printf(to, " ([%s%s])", strchr(peer, ':') != NULL ? "IPv6:" : "", peer);
    buf_printf(to, "\r\n\tby %s (iatlas %s) with ", config_servername(), PACKAGE_VERSION);
    append_protocol(f, to);
    buf_printf(to, ";\r\n\t%s\r\n", date);
}

/* The transport's error, which the sender hears of too: for the log, once. */
static void note_error(struct lmtpd_front *f, int r)
{
    if (r < 0 && f->write_error == 0)
        LOG(LOG_ERR, LMTP_NOT_TAKEN, LOG_STR(SENDER, f->txn->from), LOG_ERROR(r));
    if (f->write_error == 0)
        f->write_error = r;
}

static void pass_on(struct lmtpd_front *f, const char *data, size_t n)
{
    int64_t max = opt_bytes(OPT_MAXMESSAGESIZE);

    f->txn->size += (int64_t)n;
    if (max > 0 && f->txn->size > max)
        f->too_big = true;
    if (n > 0 && !f->too_big && f->write_error == 0)
        note_error(f, f->service->transport->write(f->txn, data, n));
}

void lmtpd_message_write(struct lmtpd_front *f, const char *data, size_t n)
{
    struct buf header = BUF_INIT;

    if (f->header.state == LMTPD_HEADER_BODY) {
        pass_on(f, data, n);
        return;
    }
    lmtpd_header_feed(&f->header, data, n, &header);
    pass_on(f, buf_cstr(&header), header.len);
    buf_free(&header);
}

int lmtpd_message_begin(struct lmtpd_front *f)
{
    struct buf trace = BUF_INIT;

    lmtpd_data_begin(&f->data);
    f->too_big = false;
    f->txn->size = 0;
    f->write_error = 0;
    note_error(f, f->service->transport->begin(f->txn));
    if (!f->trusted)
        lmtpd_trace_fields(f, &trace);
    pass_on(f, buf_cstr(&trace), trace.len);
    buf_free(&trace);
    /* A frontend has put a Return-Path; UTF-8 is what a header of SMTPUTF8 is made of. */
    lmtpd_header_begin(&f->header, !f->trusted, opt_switch(OPT_MUNGE8BIT) && !f->txn->utf8);
    return f->write_error;
}

/* What cannot be done now, or NULL. */
static const char *bad_sequence(const struct lmtpd_front *f)
{
    if (f->txn == NULL)
        return "Need MAIL before DATA";
    if (f->chunked)
        return "DATA within BDAT";
    if (f->txn->body_binary)
        return "A binary message needs BDAT";
    return f->txn->rcpt_count == 0 ? "No recipients" : NULL;
}

enum lmtpd_progress lmtpd_data(struct lmtpd_front *f)
{
    const char *bad = bad_sequence(f);

    if (bad != NULL)
        return lmtpd_error(f, 503, "5.5.1", bad);
    if (lmtpd_message_begin(f) < 0) {
        struct lmtpd_rcpt answer = {.next = NULL};
        enum lmtpd_progress progress;

        lmtpd_answer_error(f->txn, &answer, f->write_error);
        progress = lmtpd_error(f, answer.code, answer.enhanced, answer.text);
        lmtpd_txn_end(f);
        return progress;
    }
    lmtpd_reply(f, 354, "", "go ahead");
    f->state = LMTPD_MESSAGE;
    return LMTPD_GO_ON;
}

static enum lmtpd_progress write_answers(struct lmtpd_front *f)
{
    for (struct lmtpd_rcpt *r = f->txn->rcpts; r != NULL; r = r->next) {
        if (r->code / 100 == 2)
            lmtpd_replyf(f, r->code, r->enhanced, "%s SESSIONID=<%s>", r->text, f->login->id);
        else
            lmtpd_reply(f, r->code, r->enhanced, r->text);
        LOG(LOG_INFO, LMTP_ANSWER, LOG_STR(RCPT, r->address), LOG_INT(CODE, r->code),
            LOG_STR(SENDER, f->txn->from), LOG_INT(SIZE, f->txn->size));
    }
    lmtpd_txn_end(f);
    return LMTPD_GO_ON;
}

bool lmtpd_message_failed(struct lmtpd_front *f, struct lmtpd_rcpt *answer)
{
    if (f->too_big)
        lmtpd_answer(f->txn, answer, 552, "5.3.4", "Message exceeds the size limit");
    else if (f->data.has_nul)
        lmtpd_answer(f->txn, answer, 554, "5.6.0", "Message contains NUL characters");
    else if (f->header.has_8bit && opt_switch(OPT_REJECT8BIT) && !f->txn->utf8)
        lmtpd_answer(f->txn, answer, 554, "5.6.0", "Message has 8-bit characters in its header");
    else if (f->write_error != 0)
        lmtpd_answer_error(f->txn, answer, f->write_error);
    else
        return false;
    return true;
}

/* What cannot be delivered is answered at once. */
enum lmtpd_progress lmtpd_message_end(struct lmtpd_front *f)
{
    struct buf held = BUF_INIT;
    bool failed = false;

    lmtpd_header_end(&f->header, &held);
    pass_on(f, buf_cstr(&held), held.len);
    buf_free(&held);
    f->state = LMTPD_DELIVER;
    for (struct lmtpd_rcpt *r = f->txn->rcpts; r != NULL; r = r->next)
        failed = lmtpd_message_failed(f, r);
    return failed ? write_answers(f) : LMTPD_GO_ON;
}

enum lmtpd_progress lmtpd_step_message(struct lmtpd_front *f)
{
    struct stream *s = f->login->stream;
    struct buf piece = BUF_INIT;
    size_t n, used;
    const char *in = stream_data(s, &n);
    bool end;

    if (n == 0)
        return LMTPD_NEED_INPUT;
    end = lmtpd_data_feed(&f->data, in, n < LMTPD_PIECE ? n : LMTPD_PIECE, &used, &piece);
    stream_consume(s, used);
    lmtpd_message_write(f, buf_cstr(&piece), piece.len);
    buf_free(&piece);
    return end ? lmtpd_message_end(f) : LMTPD_GO_ON;
}

enum lmtpd_progress lmtpd_step_deliver(struct lmtpd_front *f)
{
    switch (f->service->transport->deliver(f->txn)) {
    case LMTPD_WAIT:
        return LMTPD_NEED_OTHER;
    case LMTPD_MORE:
        return LMTPD_GO_ON;
    default:
        return write_answers(f);
    }
}
