#include "lib/smtp/lmtp.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/pool.h"
#include "lib/stream/stream.h"

enum {
    BODY_PIECE = 8 * 1024,
    STEP_ROUNDS = 64, /* then others get their turn */
};

enum state {
    STATE_GREETING,
    STATE_LHLO,
    STATE_ENVELOPE, /* RSET, MAIL, RCPTs */
    STATE_DATA,
    STATE_BODY,
    STATE_REPLIES, /* one for each accepted recipient */
    STATE_IDLE,
    STATE_DEAD,
};

struct rcpt {
    char *address;
    char *original; /* NULL: not known */
    bool accepted;  /* RCPT said 2xx */
    bool final;     /* the result is known */
    struct lmtp_result result;
};

struct lmtp {
    unsigned magic;
    struct stream *s;
    char *name;
    struct smtp_caps caps;
    enum state state;
    bool ready; /* LHLO is done */
    bool used;  /* a transaction was begun before this one */
    bool cause; /* c->reply is why the connection is of no more use */
    int error;
    int64_t deadline;
    struct smtp_reply reply;

    struct pool *pool; /* the transaction's */
    struct lmtp_message message;
    struct rcpt *rcpts;
    unsigned count, size;
    unsigned sent, replied, total; /* commands of the envelope: RSET, MAIL, then a recipient each */
    unsigned next_final;           /* the recipient whose final reply comes next */
    int64_t offset;
    char last; /* the last byte of the body that was sent */
};

#define LMTP_MAGIC 0x1a7b10c5u

enum { COMMAND_RSET, COMMAND_MAIL, COMMAND_RCPT };

/* ---- life ---- */

struct lmtp *lmtp_new(struct stream *s, const struct smtp_caps *caps, const char *name)
{
    struct lmtp *c = xcalloc(1, sizeof(*c));

    c->magic = LMTP_MAGIC;
    c->s = s;
    c->name = xstrdup(name != NULL ? name : "");
    c->ready = caps != NULL;
    if (caps != NULL)
        c->caps = *caps;
    c->state = STATE_IDLE;
    c->deadline = CLOCK_NEVER;
    c->pool = pool_new(0);
    return c;
}

void lmtp_free(struct lmtp **c)
{
    struct lmtp *f = *c;

    if (f == NULL)
        return;
    MAGIC_CHECK(f, LMTP_MAGIC);
    smtp_reply_free(&f->reply);
    pool_free(&f->pool);
    free(f->rcpts);
    free(f->name);
    f->magic = 0;
    free(f);
    *c = NULL;
}

static bool is_clean(const char *s)
{
    for (; *s != '\0'; s++) {
        if ((unsigned char)*s < ' ' || *s == 0x7f)
            return false;
    }
    return true;
}

static void touch(struct lmtp *c)
{
    int64_t ms = c->message.step_ms > 0 ? c->message.step_ms : opt_duration_ms(OPT_LMTPTXN_TIMEOUT);

    c->deadline = clock_deadline(ms);
}

int lmtp_begin(struct lmtp *c, const struct lmtp_message *m)
{
    MAGIC_CHECK(c, LMTP_MAGIC);
    BUG_ON(c->state != STATE_IDLE && c->state != STATE_DEAD);
    if (!is_clean(m->from))
        return ERR_INVALID;
    pool_reset(c->pool);
    c->message = *m;
    c->message.from = pool_strdup(c->pool, m->from);
    c->message.auth = m->auth != NULL ? pool_strdup(c->pool, m->auth) : NULL;
    c->count = 0;
    c->total = COMMAND_RCPT;
    c->sent = c->replied = c->used ? COMMAND_RSET : COMMAND_MAIL;
    c->next_final = 0;
    c->offset = 0;
    c->last = '\n';
    if (c->state != STATE_DEAD)
        c->state = c->ready ? STATE_ENVELOPE : STATE_GREETING;
    touch(c);
    return 0;
}

int lmtp_rcpt(struct lmtp *c, const char *address)
{
    return lmtp_rcpt_from(c, address, NULL);
}

int lmtp_rcpt_from(struct lmtp *c, const char *address, const char *original)
{
    MAGIC_CHECK(c, LMTP_MAGIC);
    if (!is_clean(address))
        return ERR_INVALID;
    if (c->count == LMTP_RCPTS_MAX)
        return ERR_LIMIT;
    if (c->count == c->size) {
        c->size = c->size > 0 ? c->size * 2 : 8;
        c->rcpts = xreallocarray(c->rcpts, c->size, sizeof(*c->rcpts));
    }
    c->rcpts[c->count] = (struct rcpt){
        .address = pool_strdup(c->pool, address),
        .original = original != NULL ? pool_strdup(c->pool, original) : NULL,
    };
    c->total = COMMAND_RCPT + c->count + 1;
    return (int)c->count++;
}

/* ---- results ---- */

static void set_result(struct lmtp *c, struct rcpt *r, const struct smtp_reply *reply)
{
    r->final = true;
    r->result = (struct lmtp_result){
        .code = reply->code,
        .enhanced = pool_strdup(c->pool, reply->enhanced),
        .text = pool_strdup(c->pool, buf_cstr(&reply->text)),
    };
}

/* The same for all that have none. */
static void set_results(struct lmtp *c, const struct smtp_reply *reply)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (!c->rcpts[i].final)
            set_result(c, &c->rcpts[i], reply);
    }
}

/* The connection is of no more use; recipients without a reply get a temporary one, whatever the
 * server said: nobody's mail is returned because a connection broke. */
static int die(struct lmtp *c, int code)
{
    if (!c->cause)
        smtp_reply_set(&c->reply, 451, "4.4.2",
                       code == ERR_TIMEOUT ? "no answer in time" : "connection lost");
    else if (c->reply.code / 100 != 4)
        smtp_reply_set(&c->reply, 451, "4.4.0", "unexpected answer by the server");
    set_results(c, &c->reply);
    c->state = STATE_DEAD;
    c->deadline = CLOCK_NEVER;
    c->error = code;
    c->cause = false;
    return code;
}

/* As die() is to be called: because of the reply that has come. */
static int because(struct lmtp *c, int code)
{
    c->cause = true;
    return code;
}

static int finish(struct lmtp *c)
{
    c->state = STATE_IDLE;
    c->deadline = CLOCK_NEVER;
    c->used = true;
    return LMTP_DONE;
}

struct lmtp_result lmtp_result_get(const struct lmtp *c, unsigned rcpt)
{
    BUG_ON(rcpt >= c->count || !c->rcpts[rcpt].final);
    return c->rcpts[rcpt].result;
}

/* ---- the dialogue ---- */

/* 1: a whole reply is in c->reply; 0: more input is needed; or an error. */
static int read_reply(struct lmtp *c)
{
    int r;

    while ((r = smtp_reply_read(&c->reply, c->s)) == 0) {
        r = stream_fill(c->s);
        if (r == ERR_AGAIN)
            return 0;
        if (r < 0)
            return r;
    }
    if (r == 1)
        touch(c);
    return r == 1 && c->reply.code == 421 ? because(c, ERR_UNAVAILABLE) : r;
}

static bool is_ok(const struct lmtp *c)
{
    return c->reply.code / 100 == 2;
}

static int greeting(struct lmtp *c)
{
    int r = read_reply(c);

    if (r <= 0)
        return r == 0 ? LMTP_WAIT : r;
    if (!is_ok(c))
        return because(c, ERR_UNAVAILABLE);
    stream_printf(c->s, "LHLO %s\r\n", c->name);
    c->state = STATE_LHLO;
    return LMTP_MORE;
}

static int lhlo(struct lmtp *c)
{
    int r = read_reply(c);
    const char *lines;

    if (r <= 0)
        return r == 0 ? LMTP_WAIT : r;
    if (!is_ok(c))
        return because(c, ERR_UNAVAILABLE);
    lines = strchr(buf_cstr(&c->reply.text), '\n');
    smtp_caps_parse(&c->caps, lines != NULL ? lines + 1 : "");
    c->ready = true;
    c->state = STATE_ENVELOPE;
    return LMTP_MORE;
}

/* RFC 4954 section 8 */
static void write_xtext(struct stream *s, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text > ' ' && *text < 0x7f && *text != '+' && *text != '=')
            stream_write(s, text, 1);
        else
            stream_printf(s, "+%02X", (unsigned char)*text);
    }
}

static void write_mail(struct lmtp *c)
{
    const struct lmtp_message *m = &c->message;

    stream_printf(c->s, "MAIL FROM:<%s>", m->from);
    if (m->size > 0 && c->caps.size)
        stream_printf(c->s, " SIZE=%llu", (unsigned long long)m->size);
    if (m->binary)
        stream_puts(c->s, " BODY=BINARYMIME");
    else if (m->body_8bit && c->caps.eightbitmime)
        stream_puts(c->s, " BODY=8BITMIME");
    if (m->utf8 && c->caps.smtputf8)
        stream_puts(c->s, " SMTPUTF8");
    if (m->auth_empty && c->caps.auth_param)
        stream_puts(c->s, " AUTH=<>");
    if (m->auth != NULL) {
        stream_puts(c->s, " AUTH=");
        write_xtext(c->s, m->auth);
    }
    stream_puts(c->s, "\r\n");
}

/* ORCPT: RFC 3461 4.2, 6533 3 */
static void write_rcpt(struct lmtp *c, const struct rcpt *rcpt)
{
    stream_printf(c->s, "RCPT TO:<%s>%s", rcpt->address,
                  c->message.ignore_quota && c->caps.ignorequota ? " IGNOREQUOTA" : "");
    if (rcpt->original != NULL && c->caps.xorcpt) {
        stream_puts(c->s, " ORCPT=rfc822;");
        write_xtext(c->s, rcpt->original);
    }
    stream_puts(c->s, "\r\n");
}

static void write_command(struct lmtp *c, unsigned command)
{
    if (command == COMMAND_RSET)
        stream_puts(c->s, "RSET\r\n");
    else if (command == COMMAND_MAIL)
        write_mail(c);
    else
        write_rcpt(c, &c->rcpts[command - COMMAND_RCPT]);
}

/* RFC 2920: the envelope in one go; else a command at a time. */
static void write_commands(struct lmtp *c)
{
    while (c->sent < c->total && (c->caps.pipelining || c->sent == c->replied) &&
           stream_unsent(c->s) < STREAM_OUT_HIGH)
        write_command(c, c->sent++);
}

static int envelope_reply(struct lmtp *c)
{
    unsigned command = c->replied++;

    if (command == COMMAND_RSET)
        return is_ok(c) ? 0 : because(c, ERR_UNAVAILABLE);
    if (command == COMMAND_MAIL) {
        if (!is_ok(c)) { /* answers to what was sent behind it are read and mean nothing */
            set_results(c, &c->reply);
            c->total = c->sent;
        }
        return 0;
    }
    if (is_ok(c))
        c->rcpts[command - COMMAND_RCPT].accepted = !c->rcpts[command - COMMAND_RCPT].final;
    else if (!c->rcpts[command - COMMAND_RCPT].final)
        set_result(c, &c->rcpts[command - COMMAND_RCPT], &c->reply);
    return 0;
}

static bool any_accepted(const struct lmtp *c)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (c->rcpts[i].accepted)
            return true;
    }
    return false;
}

static bool is_chunked(const struct lmtp *c)
{
    return c->message.chunked && c->caps.chunking;
}

/* One piece is enough: its length is known, and it costs no answer before the bytes. */
static void begin_body(struct lmtp *c)
{
    if (is_chunked(c))
        stream_printf(c->s, "BDAT %llu LAST\r\n", (unsigned long long)c->message.size);
    else
        stream_puts(c->s, "DATA\r\n");
    c->state = is_chunked(c) ? STATE_BODY : STATE_DATA;
}

static int envelope(struct lmtp *c)
{
    int r;

    if (c->replied >= c->total || c->count == 0) {
        if (!any_accepted(c))
            return finish(c);
        /* Not before all recipients are answered: with none accepted a server that said 354 to it would wait
         * for a message that nobody gets. */
        begin_body(c);
        return LMTP_MORE;
    }
    write_commands(c);
    r = read_reply(c);
    if (r <= 0)
        return r == 0 ? LMTP_WAIT : r;
    if (c->replied == c->sent)
        return because(c, ERR_PROTOCOL); /* an answer to nothing */
    r = envelope_reply(c);
    return r != 0 ? r : LMTP_MORE;
}

static int data(struct lmtp *c)
{
    int r = read_reply(c);

    if (r <= 0)
        return r == 0 ? LMTP_WAIT : r;
    if (c->reply.code == 354) {
        c->state = STATE_BODY;
        return LMTP_MORE;
    }
    if (c->reply.code < 400)
        return because(c, ERR_PROTOCOL);
    set_results(c, &c->reply);
    return finish(c);
}

/* RFC 5321 4.5.2.  Behind a bare LF too, though there should be none: no receiver may see an end of
 * the message where there is none. */
static void write_stuffed(struct lmtp *c, const char *p, size_t n)
{
    const char *end = p + n;

    while (p < end) {
        const char *lf = memchr(p, '\n', (size_t)(end - p)), *stop = lf != NULL ? lf + 1 : end;

        if (c->last == '\n' && *p == '.')
            stream_write(c->s, ".", 1);
        stream_write(c->s, p, (size_t)(stop - p));
        c->last = stop[-1];
        p = stop;
    }
}

/* The next piece of a body of known length. */
static int write_counted(struct lmtp *c)
{
    char piece[BODY_PIECE];
    uint64_t left = c->message.size - (uint64_t)c->offset;
    ssize_t n;

    if (left == 0) {
        c->state = STATE_REPLIES;
        return LMTP_MORE;
    }
    n = c->message.read(c->message.context, c->offset, piece,
                        left < sizeof(piece) ? (size_t)left : sizeof(piece));
    if (n <= 0)
        return n < 0 ? (int)n : ERR_IO; /* shorter than was said */
    stream_write(c->s, piece, (size_t)n);
    c->offset += n;
    return LMTP_MORE;
}

/* The next piece of the body, or its end. */
static int write_body(struct lmtp *c)
{
    char piece[BODY_PIECE];
    ssize_t n = c->message.read(c->message.context, c->offset, piece, sizeof(piece));

    if (n < 0)
        return (int)n;
    if (n > 0) {
        write_stuffed(c, piece, (size_t)n);
        c->offset += n;
        return LMTP_MORE;
    }
    stream_puts(c->s, c->last == '\n' ? ".\r\n" : "\r\n.\r\n");
    c->state = STATE_REPLIES;
    return LMTP_MORE;
}

static int body(struct lmtp *c)
{
    int r;

    if (stream_unsent(c->s) < STREAM_OUT_HIGH)
        return is_chunked(c) ? write_counted(c) : write_body(c);
    stream_flush(c->s);
    if (stream_unsent(c->s) < STREAM_OUT_HIGH) {
        touch(c);
        return LMTP_MORE;
    }
    r = read_reply(c);
    if (r == 1)
        return because(c, ERR_PROTOCOL); /* an answer before the end */
    return r == 0 ? LMTP_WAIT : r;
}

static int replies(struct lmtp *c)
{
    struct rcpt *rcpt;
    int r;

    while (c->next_final < c->count && c->rcpts[c->next_final].final)
        c->next_final++;
    if (c->next_final == c->count)
        return finish(c);
    r = read_reply(c);
    if (r <= 0)
        return r == 0 ? LMTP_WAIT : r;
    if (c->reply.code < 400 && !is_ok(c))
        return because(c, ERR_PROTOCOL);
    do {
        rcpt = &c->rcpts[c->next_final++];
        if (rcpt->final)
            continue;
        set_result(c, rcpt, &c->reply);
        rcpt->result.accepted = is_ok(c);
    } while (c->message.one_reply && c->next_final < c->count);
    return LMTP_MORE;
}

static int advance(struct lmtp *c)
{
    switch (c->state) {
    case STATE_GREETING:
        return greeting(c);
    case STATE_LHLO:
        return lhlo(c);
    case STATE_ENVELOPE:
        return envelope(c);
    case STATE_DATA:
        return data(c);
    case STATE_BODY:
        return body(c);
    case STATE_REPLIES:
        return replies(c);
    case STATE_IDLE:
        return LMTP_DONE;
    default:
        return die(c, c->error);
    }
}

/* Nothing more to do without the peer.  Output that cannot go any more is noticed by the reading: a
 * server that leaves may have said why. */
static int wait_for_peer(struct lmtp *c)
{
    size_t before = stream_unsent(c->s);

    stream_flush(c->s);
    if (stream_unsent(c->s) < before)
        touch(c);
    if (stream_has_input(c->s))
        return LMTP_MORE;
    return clock_left(c->deadline) == 0 ? ERR_TIMEOUT : LMTP_WAIT;
}

int lmtp_step(struct lmtp *c)
{
    int r = LMTP_MORE;

    MAGIC_CHECK(c, LMTP_MAGIC);
    for (int i = 0; i < STEP_ROUNDS && r == LMTP_MORE; i++)
        r = advance(c);
    if (r == LMTP_WAIT)
        r = wait_for_peer(c);
    return r < 0 ? die(c, r) : r;
}

unsigned lmtp_events(const struct lmtp *c)
{
    return stream_poll_events(c->s, true);
}

int64_t lmtp_deadline(const struct lmtp *c)
{
    return c->deadline;
}

void lmtp_quit(struct lmtp *c)
{
    if (c->state != STATE_IDLE)
        return;
    stream_puts(c->s, "QUIT\r\n");
    stream_flush(c->s);
}
