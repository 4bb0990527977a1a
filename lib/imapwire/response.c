#include "lib/imapwire/response.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/imapwire/args.h"
#include "lib/stream/stream.h"

void imap_reader_init(struct imap_reader *r, struct stream *stream)
{
    *r = (struct imap_reader){.stream = stream};
}

bool imap_reader_end(struct imap_reader *r)
{
    stream_consume(r->stream, r->consume);
    r->consume = 0;
    return !r->inside;
}

/* Keeps the end of what has been seen of a line: enough for "{18446744073709551615+}" and CRLF. */
static void keep_tail(struct imap_reader *r, const char *data, size_t n)
{
    size_t max = sizeof(r->tail);

    if (n >= max) {
        memcpy(r->tail, data + n - max, max);
        r->tail_len = max;
        return;
    }
    if (r->tail_len + n > max) {
        size_t drop = r->tail_len + n - max;

        memmove(r->tail, r->tail + drop, r->tail_len - drop);
        r->tail_len -= drop;
    }
    memcpy(r->tail + r->tail_len, data, n);
    r->tail_len += n;
}

/* The line has ended: is a literal announced? */
static int end_line(struct imap_reader *r)
{
    struct imap_literal literal;
    size_t n = r->tail_len;
    int found;

    while (n > 0 && (r->tail[n - 1] == '\n' || r->tail[n - 1] == '\r'))
        n--;
    found = r->text ? 0 : imap_literal_at_end(r->tail, n, &literal);
    r->tail_len = 0;
    if (found < 0)
        return ERR_PROTOCOL;
    r->literal = found ? literal.size : 0;
    return found;
}

static int next_literal(struct imap_reader *r, const char *data, size_t n, struct imap_piece *piece_r)
{
    if (n > r->literal)
        n = (size_t)r->literal;
    r->literal -= n;
    r->consume = n;
    *piece_r = (struct imap_piece){.data = data, .len = n, .literal = true};
    return 1;
}

/* A tagged line, a "+", a status response end in free text, which may well look like a literal's count. */
static bool ends_in_text(const char *data, size_t n)
{
    struct imap_response response;

    return imap_response_parse(data, n, &response) == 0 &&
           (response.kind != IMAP_UNTAGGED || response.status != IMAP_STATUS_NONE);
}

int imap_reader_next(struct imap_reader *r, struct imap_piece *piece_r)
{
    const char *data, *lf;
    size_t n;
    int more;

    if (r->consume > 0)
        stream_consume(r->stream, r->consume);
    r->consume = 0;
    data = stream_data(r->stream, &n);
    if (n == 0)
        return 0;
    if (r->literal > 0)
        return next_literal(r, data, n, piece_r);
    lf = memchr(data, '\n', n);
    if (lf == NULL && n < IMAP_HEAD_MAX)
        return 0;
    if (lf != NULL)
        n = (size_t)(lf - data) + 1;
    *piece_r = (struct imap_piece){.data = data, .len = n, .first = !r->inside};
    if (!r->inside)
        r->text = ends_in_text(data, n);
    r->consume = n;
    r->inside = true;
    keep_tail(r, data, n);
    if (lf == NULL)
        return 1;
    more = end_line(r);
    if (more < 0)
        return more;
    r->inside = more;
    piece_r->last = !more;
    return 1;
}

int imap_reader_collect(struct imap_reader *r, size_t max, struct buf *to)
{
    struct imap_piece piece;
    int got;

    while ((got = imap_reader_next(r, &piece)) == 1) {
        if (piece.len > max || to->len > max - piece.len)
            return ERR_TOOBIG;
        buf_append(to, piece.data, piece.len);
        if (!piece.last)
            continue;
        while (to->len > 0 && (to->data[to->len - 1] == '\n' || to->data[to->len - 1] == '\r'))
            buf_truncate(to, to->len - 1);
        return 1;
    }
    return got;
}

/* ---- the head ---- */

bool imap_slice_is(struct imap_slice s, const char *word)
{
    return strlen(word) == s.n && str_ieq_n(s.s, word, s.n);
}

bool imap_slice_has(struct imap_slice list, const char *word)
{
    while (list.n > 0) {
        const char *blank = memchr(list.s, ' ', list.n);
        size_t n = blank != NULL ? (size_t)(blank - list.s) : list.n;

        if (imap_slice_is((struct imap_slice){list.s, n}, word))
            return true;
        list.s += n;
        list.n -= n;
        while (list.n > 0 && *list.s == ' ') {
            list.s++;
            list.n--;
        }
    }
    return false;
}

/* Splits off the word at the front; the blank behind it is dropped. */
static struct imap_slice cut_word(struct imap_slice *rest)
{
    const char *blank = memchr(rest->s, ' ', rest->n);
    struct imap_slice word = {rest->s, blank != NULL ? (size_t)(blank - rest->s) : rest->n};
    size_t skip = word.n + (blank != NULL);

    rest->s += skip;
    rest->n -= skip;
    return word;
}

static enum imap_status status_of(struct imap_slice word)
{
    static const struct {
        const char *name;
        enum imap_status status;
    } rows[] = {
        {"OK", IMAP_OK}, {"NO", IMAP_NO}, {"BAD", IMAP_BAD}, {"BYE", IMAP_BYE}, {"PREAUTH", IMAP_PREAUTH}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (imap_slice_is(word, rows[i].name))
            return rows[i].status;
    return IMAP_STATUS_NONE;
}

/* "[CODE args] text" */
static void parse_code(struct imap_response *r)
{
    const char *end;
    struct imap_slice inner;

    if (r->args.n == 0 || r->args.s[0] != '[')
        return;
    end = memchr(r->args.s, ']', r->args.n);
    if (end == NULL)
        return;
    inner = (struct imap_slice){r->args.s + 1, (size_t)(end - r->args.s) - 1};
    r->args.n -= (size_t)(end + 1 - r->args.s);
    r->args.s = end + 1;
    if (r->args.n > 0 && r->args.s[0] == ' ') {
        r->args.s++;
        r->args.n--;
    }
    r->code = cut_word(&inner);
    r->code_args = inner;
}

static int parse_untagged(struct imap_response *r)
{
    struct imap_slice rest = r->rest;

    r->word = cut_word(&rest);
    if (str_parse_u32(r->word.s, r->word.n, &r->number) == 0) {
        r->has_number = true;
        r->word = cut_word(&rest);
    }
    r->args = rest;
    return r->word.n > 0 ? 0 : ERR_PROTOCOL;
}

int imap_response_parse(const char *line, size_t len, struct imap_response *response_r)
{
    struct imap_slice rest;

    while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
        len--;
    rest = (struct imap_slice){line, len};
    *response_r = (struct imap_response){.kind = IMAP_TAGGED};
    response_r->tag = cut_word(&rest);
    response_r->rest = rest;
    if (imap_slice_is(response_r->tag, "+")) {
        response_r->kind = IMAP_CONTINUE;
        return 0;
    }
    if (response_r->tag.n == 0)
        return ERR_PROTOCOL;
    if (imap_slice_is(response_r->tag, "*")) {
        response_r->kind = IMAP_UNTAGGED;
        if (parse_untagged(response_r) < 0)
            return ERR_PROTOCOL;
    } else {
        response_r->word = cut_word(&rest);
        response_r->args = rest;
    }
    if (!response_r->has_number)
        response_r->status = status_of(response_r->word);
    if (response_r->kind == IMAP_TAGGED && (response_r->status < IMAP_OK || response_r->status > IMAP_BAD))
        return ERR_PROTOCOL;
    if (response_r->status != IMAP_STATUS_NONE)
        parse_code(response_r);
    return 0;
}
