#include "imap/sievehost/remote.h"

#include <string.h>

#include "lib/backend/backend.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/pool.h"
#include "lib/base/str.h"
#include "lib/imapwire/args.h"
#include "lib/imapwire/out.h"
#include "lib/imapwire/response.h"
#include "lib/stream/stream.h"

#define TAG "S1"

enum { LINE_MAX = 64 * 1024, LINES_MAX = 1000 };

/* The next line that matters: "+" (1) or the tagged answer (0, or what it means); untagged ones are passed over. */
static int read_answer(struct stream *s, int64_t deadline, struct buf *why)
{
    const char *line;
    size_t n;

    for (int i = 0; i < LINES_MAX; i++) {
        int r = stream_line_wait(s, LINE_MAX, deadline, &line, &n);

        if (r < 0)
            return r == ERR_EOF ? ERR_UNAVAILABLE : r;
        if (n > 0 && *line == '+')
            return 1;
        if (n <= strlen(TAG " ") || memcmp(line, TAG " ", strlen(TAG " ")) != 0)
            continue;
        line += strlen(TAG " ");
        n -= strlen(TAG " ");
        if (n >= 2 && str_ieq_n(line, "OK", 2))
            return 0;
        buf_append(why, line, n < 300 ? n : 300);
        return ERR_REFUSED;
    }
    return ERR_PROTOCOL;
}

static int write_all(struct stream *s, const char *data, size_t n, int64_t deadline)
{
    int r = 0;

    while (n > 0 && r == 0) {
        size_t piece = n < STREAM_OUT_HIGH ? n : STREAM_OUT_HIGH;

        stream_write(s, data, piece);
        r = stream_flush_wait(s, deadline);
        data += piece;
        n -= piece;
    }
    return r;
}

/* The command up to its literal.  0, ERR_UNSUPPORTED: a name that cannot be sent. */
static int write_command(struct backend *b, const struct remote_message *m, bool plus)
{
    struct buf command = BUF_INIT;
    int r;

    /* that server's own scripts are to leave it alone (doc/protocols/imap.md) */
    buf_puts(&command, "S0 ID (\"x-iatlas-sieve\" \"1\")\r\n" TAG " APPEND ");
    r = imap_put_argument(&command, m->mailbox, plus);
    if (r == 0) {
        if (m->flags != NULL && *m->flags != NULL) {
            buf_putc(&command, ' ');
            imap_put_flags(&command, m->flags);
        }
        buf_printf(&command, " {%zu%s}\r\n", m->header_len + m->body_len, plus ? "+" : "");
        stream_write(backend_stream(b), command.data, command.len);
    }
    buf_free(&command);
    return r;
}

static int append(struct backend *b, const struct remote_message *m, int64_t deadline, struct buf *why)
{
    struct stream *s = backend_stream(b);
    bool plus = backend_literal_plus(b, m->header_len + m->body_len);
    int r = write_command(b, m, plus);

    if (r == 0)
        r = stream_flush_wait(s, deadline);
    if (r == 0 && !plus) {
        r = read_answer(s, deadline, why);
        if (r == 0) /* OK before there was a message */
            r = ERR_PROTOCOL;
        else if (r == 1)
            r = 0;
    }
    if (r == 0)
        r = write_all(s, m->header, m->header_len, deadline);
    if (r == 0)
        r = write_all(s, m->body, m->body_len, deadline);
    if (r == 0)
        r = write_all(s, "\r\n", 2, deadline);
    if (r == 0)
        r = read_answer(s, deadline, why);
    return r == 1 ? ERR_PROTOCOL : r;
}

int remote_append(const struct remote_message *m, int64_t deadline, struct buf *why)
{
    const struct backend_config config = {
        .protocol = BACKEND_IMAP, .server = m->server, .authzid = m->userid};
    struct backend *b = NULL;
    int r = backend_connect_wait(&config, deadline, &b, why);

    if (r == 0) {
        r = append(b, m, deadline, why);
        if (r < 0 && why->len == 0)
            buf_puts(why, error_text(r));
    }
    backend_free(&b);
    return r;
}

/* ---- GETMETADATA ---- */

enum { RESPONSE_MAX = 256 * 1024 }; /* a value has 64 KiB at most (doc/limits.md), or what a Cyrus allows */

/* "mailbox (entry value ...)": 1 with the value of that entry, 0: it is not there, or has none. */
static int read_value(struct imap_args *args, const char *entry, struct buf *value)
{
    const char *text;
    size_t n;

    if (imap_args_mailbox(args, &text) < 0 || imap_args_space(args) < 0 || !imap_args_skip(args, '('))
        return 0;
    do {
        bool wanted;

        if (imap_args_astring(args, &text) < 0)
            return ERR_PROTOCOL;
        wanted = str_ieq(text, entry);
        if (imap_args_space(args) < 0 || imap_args_nstring8(args, &text, &n) < 0)
            return ERR_PROTOCOL;
        if (wanted && text != NULL) {
            buf_append(value, text, n);
            return 1;
        }
    } while (imap_args_skip(args, ' '));
    return 0;
}

/* One response: 0 for the tagged one, whether or not there was a value (NO: none that the user may see; BAD: a server without
 * annotations, or no name of one); ERR_AGAIN: read on. */
static int take_response(const struct buf *line, const char *entry, struct buf *value)
{
    struct imap_response response;
    struct imap_args args;
    struct pool *pool;
    int r = imap_response_parse(line->data, line->len, &response);

    if (r < 0)
        return r;
    if (response.kind == IMAP_TAGGED)
        return 0;
    if (response.kind != IMAP_UNTAGGED || !imap_slice_is(response.word, "METADATA") || value->len > 0)
        return ERR_AGAIN;
    pool = pool_new(0);
    imap_args_init(&args, pool, response.args.s, (size_t)(line->data + line->len - response.args.s));
    r = read_value(&args, entry, value);
    pool_free(&pool);
    return r < 0 ? r : ERR_AGAIN;
}

static int ask(struct backend *b, const struct remote_entry *question, int64_t deadline, struct buf *value)
{
    struct stream *s = backend_stream(b);
    struct buf line = BUF_INIT;
    struct imap_reader reader;
    int r;

    buf_puts(&line, TAG " GETMETADATA ");
    r = imap_put_argument(&line, question->mailbox, false);
    if (r == 0) {
        buf_putc(&line, ' ');
        r = imap_put_argument(&line, question->entry, false);
    }
    if (r == 0) {
        buf_puts(&line, "\r\n");
        stream_write(s, line.data, line.len);
        r = stream_flush_wait(s, deadline);
    }
    buf_reset(&line);
    imap_reader_init(&reader, s);
    for (int i = 0; r == 0 && i < LINES_MAX;) {
        int complete = imap_reader_collect(&reader, RESPONSE_MAX, &line);

        if (complete < 0) {
            r = complete;
        } else if (complete == 0) {
            r = stream_fill_wait(s, deadline);
            r = r > 0 ? 0 : r;
        } else {
            r = take_response(&line, question->entry, value);
            buf_reset(&line);
            if (r != ERR_AGAIN)
                break;
            r = 0;
            i++;
        }
    }
    buf_free(&line);
    return r < 0 ? (r == ERR_EOF ? ERR_UNAVAILABLE : r) : value->len > 0;
}

int remote_metadata(const struct remote_entry *question, int64_t deadline, struct buf *value)
{
    const struct backend_config config = {
        .protocol = BACKEND_IMAP, .server = question->server, .authzid = question->userid};
    struct backend *b = NULL;
    struct buf why = BUF_INIT;
    int r = backend_connect_wait(&config, deadline, &b, &why);

    if (r == 0)
        r = ask(b, question, deadline, value);
    buf_free(&why);
    backend_free(&b);
    return r;
}
