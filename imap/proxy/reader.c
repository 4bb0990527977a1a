/* reader.c: the bytes that a URL names (RFC 5092 section 6), from any mailbox of a backend.
 *
 * A connection of its own: those of the client's legs have his mailbox selected, or take the message that the bytes are
 * for. */
#include <string.h>

#include "imap/proxy/proxy-private.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/imapwire/args.h"

struct leg_reader {
    struct proxy_leg *p;
    struct command *cmd;
    const char *mailbox;  /* that is examined; NULL: none */
    uint32_t uidvalidity; /* its own */
    uint32_t uid;
    bool asking; /* FETCH is under way, */
    bool found;  /* the answer that holds the bytes has begun: */
    uint64_t left;
    const char *quoted; /* they came in a quoted string; NULL: in a literal */
};

/* ---- EXAMINE ---- */

/* Is it the server's trouble and not the URL's? */
static bool is_trouble(const char *words)
{
    static const char *const codes[] = {"[UNAVAILABLE", "[INUSE", "[SERVERBUG", "[LIMIT"};

    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (str_has_iprefix(words, codes[i]))
            return true;
    return false;
}

static int refused(struct command *cmd)
{
    if (is_trouble(cmd->failure))
        return ERR_REFUSED;
    cmd->failure = NULL;
    return ERR_NOTFOUND;
}

static int examine(struct leg_reader *rd, const char *mailbox)
{
    const char *name = client_name_out(rd->p->leg.client, rd->cmd->pool, mailbox);
    struct imap_response response;
    enum reply reply;
    int r;

    if (name == NULL)
        return ERR_NOTFOUND;
    r = proxy_begin_once(rd->p, rd->cmd, pool_printf(rd->cmd->pool, "EXAMINE %s", name));
    if (r < 0)
        return r;
    r = stream_flush(rd->p->stream);
    if (r < 0 && r != ERR_AGAIN)
        return proxy_fail(rd->p, rd->cmd, r);
    while ((reply = proxy_collect(rd->p, &response)) == REPLY_UNTAGGED)
        if (imap_slice_is(response.code, "UIDVALIDITY") &&
            str_parse_u32(response.code_args.s, response.code_args.n, &rd->uidvalidity) < 0)
            rd->uidvalidity = 0;
    if (reply != REPLY_TAGGED)
        return proxy_waiting(rd->p, rd->cmd, reply);
    if (proxy_judge(rd->p, rd->cmd, response.rest.s, response.rest.n, NULL) < 0)
        return refused(rd->cmd);
    rd->mailbox = mailbox;
    return 0;
}

/* ---- FETCH ---- */

static void ask(struct leg_reader *rd, const struct leg_piece *piece)
{
    uint64_t rest = piece->offset < UINT32_MAX ? UINT32_MAX - piece->offset : 1;
    struct stream *to = rd->p->stream;

    proxy_begin(rd->p);
    stream_printf(to, "UID FETCH %u (UID BODY.PEEK[%s]", piece->uid, piece->section);
    if (piece->has_partial)
        stream_printf(to, "<%llu.%llu>", (unsigned long long)piece->offset,
                      (unsigned long long)(piece->size != 0 ? piece->size : rest));
    stream_puts(to, ")\r\n");
    rd->uid = piece->uid;
    rd->asking = true;
    rd->found = false;
    rd->quoted = NULL;
}

/* Behind "BODY": "[section]<start> " up to the value. */
static int skip_section(struct imap_args *args)
{
    const char *end = memchr(args->at, ']', (size_t)(args->end - args->at));

    if (end == NULL)
        return ERR_SYNTAX;
    args->at = end + 1;
    if (imap_args_peek(args) == '<') {
        end = memchr(args->at, '>', (size_t)(args->end - args->at));
        if (end == NULL)
            return ERR_SYNTAX;
        args->at = end + 1;
    }
    return imap_args_space(args);
}

/* The value of BODY[...]: a literal whose bytes are still to come, a quoted string, or NIL: it is as if there were no
 * answer. */
static int take_body(struct leg_reader *rd, struct imap_args *args)
{
    struct imap_literal literal;

    if (imap_args_peek(args) == '{') {
        if (imap_literal_at_end(args->at, (size_t)(args->end - args->at), &literal) != 1)
            return ERR_PROTOCOL;
        rd->left = literal.size;
        rd->found = true;
        return 0;
    }
    if (imap_args_nstring(args, &rd->quoted) < 0)
        return ERR_PROTOCOL;
    rd->found = rd->quoted != NULL;
    rd->left = rd->found ? strlen(rd->quoted) : 0;
    return 0;
}

/* "(UID u BODY[...] value": is it the message that was asked for?  Others are news that concern nobody. */
static int take_fetch(struct leg_reader *rd, const struct imap_piece *piece,
                      const struct imap_response *response)
{
    const char *end = piece->data + piece->len, *item;
    uint32_t uid = rd->uid;
    struct imap_args args;
    int r;

    while (end > response->args.s && (end[-1] == '\r' || end[-1] == '\n'))
        end--;
    imap_args_init(&args, rd->cmd->pool, response->args.s, (size_t)(end - response->args.s));
    r = imap_args_char(&args, '(');
    while (r == 0 && imap_args_item(&args, &item) == 0) {
        if (str_ieq(item, "BODY") && imap_args_peek(&args) == '[') {
            r = skip_section(&args);
            return r < 0 || uid != rd->uid ? r : take_body(rd, &args);
        }
        r = imap_args_space(&args);
        if (r == 0)
            r = str_ieq(item, "UID") ? imap_args_nz_number(&args, &uid) : imap_args_skip_value(&args);
        imap_args_skip(&args, ' ');
    }
    return 0;
}

/* A response begins.  0, or an error; ERR_EOF: it was the answer's end. */
static int begin_response(struct leg_reader *rd, const struct imap_piece *piece)
{
    struct imap_response response;
    int r;

    switch (proxy_classify(rd->p, piece->data, piece->len, &response)) {
    case REPLY_IGNORED:
        return 0;
    case REPLY_UNTAGGED:
        if (rd->found || !imap_slice_is(response.word, "FETCH"))
            return 0;
        r = take_fetch(rd, piece, &response);
        return r < 0 ? proxy_fail(rd->p, rd->cmd, ERR_PROTOCOL) : 0;
    case REPLY_TAGGED:
        rd->asking = false;
        if (proxy_judge(rd->p, rd->cmd, response.rest.s, response.rest.n, NULL) < 0)
            return refused(rd->cmd);
        return ERR_EOF;
    default:
        return proxy_fail(rd->p, rd->cmd, ERR_UNAVAILABLE);
    }
}

/* The next piece of the answer: 0; ERR_EOF at its end; ERR_AGAIN. */
static int next_piece(struct leg_reader *rd, struct imap_piece *piece)
{
    struct proxy_leg *p = rd->p;
    int r;

    if (p->stream == NULL)
        return ERR_UNAVAILABLE;
    if (!rd->asking)
        return ERR_EOF;
    while ((r = imap_reader_next(&p->reader, piece)) == 0) {
        r = stream_flush(p->stream);
        if (r == 0 || r == ERR_AGAIN)
            r = proxy_fill(p);
        if (r < 0)
            return proxy_waiting(p, rd->cmd, r == ERR_AGAIN ? REPLY_NONE : REPLY_LOST);
    }
    if (r < 0)
        return proxy_fail(p, rd->cmd, r);
    return piece->first ? begin_response(rd, piece) : 0;
}

/* ---- the primitives ---- */

int proxy_reader_open(struct leg *leg, struct command *cmd, const struct leg_piece *piece,
                      struct leg_reader **reader_r, uint64_t *size_r)
{
    struct leg_reader *rd = *reader_r;
    struct imap_piece bytes;
    int r = 0;

    if (rd == NULL) {
        rd = *reader_r = pool_alloc(cmd->pool, sizeof(*rd));
        rd->p = proxy_reading((struct proxy_leg *)leg);
        rd->cmd = cmd;
    }
    if (!rd->asking && (rd->mailbox == NULL || strcmp(rd->mailbox, piece->mailbox) != 0))
        r = examine(rd, piece->mailbox);
    if (r < 0)
        return r;
    if (piece->uidvalidity != 0 && piece->uidvalidity != rd->uidvalidity)
        return ERR_NOTFOUND;
    if (!rd->asking)
        ask(rd, piece);
    while (r == 0 && !rd->found)
        r = next_piece(rd, &bytes);
    if (r < 0)
        return r == ERR_EOF ? ERR_NOTFOUND : r;
    if (piece->size != 0 && rd->left > piece->size)
        return proxy_fail(rd->p, cmd, ERR_PROTOCOL);
    *size_r = rd->left;
    return 0;
}

int proxy_reader_read(struct leg_reader *rd, const char **data_r, size_t *len_r)
{
    struct imap_piece piece;
    int r;

    if (rd->quoted != NULL && rd->left > 0) {
        *data_r = rd->quoted;
        *len_r = (size_t)rd->left;
        rd->left = 0;
        return 0;
    }
    while ((r = next_piece(rd, &piece)) == 0) {
        if (!piece.literal || rd->left == 0)
            continue;
        rd->left -= piece.len < rd->left ? piece.len : rd->left;
        *data_r = piece.data;
        *len_r = piece.len;
        return 0;
    }
    return r;
}

void proxy_reader_close(struct leg_reader **reader)
{
    if (*reader != NULL)
        (*reader)->p->leg.ops->close(&(*reader)->p->leg);
    *reader = NULL;
}
