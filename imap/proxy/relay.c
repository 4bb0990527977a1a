/* relay.c: reads a backend's responses and passes them on.
 *
 * A response is looked at where it begins: is it ours, a "+", a BYE?  Everything else is moved as bytes,
 * literals by count. */
#include <string.h>

#include "imap/proxy/proxy-private.h"
#include "imap/session/notify.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/engine/engine.h"
#include "lib/imapwire/args.h"

static enum reply unheard(struct proxy_leg *p, uint32_t tag)
{
    if (tag == p->unheard)
        p->unheard = 0;
    return REPLY_IGNORED;
}

/* A tagged answer.  What answers a command that nobody waits for is dropped. */
static enum reply tagged(struct proxy_leg *p, const struct imap_response *response)
{
    uint32_t tag;

    if (response->tag.n < 2 || response->tag.s[0] != 'P' ||
        str_parse_u32(response->tag.s + 1, response->tag.n - 1, &tag) < 0 || tag > p->tag)
        return REPLY_LOST;
    if (tag == p->enable_tag && tag > p->ignore) {
        p->enable_tag = 0;
        return REPLY_IGNORED;
    }
    if (tag == p->notify_tag) {
        p->notify_tag = 0;
        if (!imap_slice_is(response->word, "OK")) /* asked again when its answer is waited for */
            p->notify_print = 0;
        return unheard(p, tag);
    }
    if (tag == p->open && tag > p->ignore) {
        p->open = p->open < p->last ? p->open + 1 : 0;
        return REPLY_TAGGED;
    }
    if (tag <= p->unheard)
        return unheard(p, tag);
    if (tag > p->ignore)
        return REPLY_LOST;
    if (tag == p->ignore)
        p->ignore = 0;
    return REPLY_IGNORED;
}

/* Does a response speak of the selected mailbox? */
static bool is_of_selection(const struct imap_response *r)
{
    static const char *const words[] = {"FLAGS", "SEARCH", "SORT", "THREAD", "ESEARCH", "VANISHED"};

    if (r->has_number)
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (imap_slice_is(r->word, words[i]))
            return true;
    return false;
}

static bool is_selecting(const struct proxy_leg *p)
{
    const struct command *cmd = p->leg.client->command;

    return cmd != NULL && (cmd->def->id == COMMAND_SELECT || cmd->def->id == COMMAND_EXAMINE);
}

/* Whose selection is the one that the client sees? */
static bool shows_selection(const struct proxy_leg *p)
{
    const struct command *cmd = p->leg.client->command;

    if (is_selecting(p))
        return cmd->leg == &p->leg;
    return p->selected || p->reading;
}

/* RFC 3501 7.4.1: no EXPUNGE while nothing runs, nor during FETCH, STORE, SEARCH with sequence numbers, which the
 * client could not understand any more. */
static bool may_tell_expunge(const struct proxy_leg *p)
{
    const struct command *cmd = p->leg.client->command;

    if (p->selected &&
        notify_is_immediate(p->leg.client, true)) /* the client has asked for it (RFC 5465 6.1.1) */
        return true;
    return cmd != NULL && ((cmd->def->flags & CMD_QUIET) == 0 || cmd->uid);
}

/* VANISHED (EARLIER) speaks of what the client may not even have known (RFC 7162 3.2.10). */
static bool tells_expunge(const struct imap_response *r)
{
    static const char earlier[] = "(EARLIER)";

    if (r->has_number)
        return imap_slice_is(r->word, "EXPUNGE");
    return imap_slice_is(r->word, "VANISHED") &&
           (r->args.n < strlen(earlier) || !str_ieq_n(r->args.s, earlier, strlen(earlier)));
}

/* CLOSE and UNSELECT tell nothing of what they remove. */
static bool is_leaving(const struct proxy_leg *p)
{
    const struct command *cmd = p->leg.client->command;

    return cmd != NULL && (cmd->def->id == COMMAND_CLOSE || cmd->def->id == COMMAND_UNSELECT);
}

/* Its tag is not the client's; how far it is counts for the client's command. */
static void take_progress(struct proxy_leg *p, const struct imap_response *r)
{
    struct command *cmd = p->leg.client->command;
    struct pool *pool = pool_new(0);
    struct imap_args args;
    uint32_t done, goal = 0;
    const char *tag;

    imap_args_init(&args, pool, r->code_args.s, r->code_args.n);
    if (cmd != NULL && p->open != 0 && imap_args_char(&args, '(') == 0 &&
        imap_args_nstring(&args, &tag) == 0 && imap_args_space(&args) == 0 &&
        imap_args_number(&args, &done) == 0 && imap_args_space(&args) == 0 &&
        (imap_args_word(&args, "NIL") || imap_args_number(&args, &goal) == 0)) {
        if (cmd->def->id == COMMAND_ESEARCH) /* the frontend counts, over all servers */
            command_progress(cmd, cmd->done, cmd->goal);
        else
            command_progress(cmd, done, goal);
    }
    pool_free(&pool);
}

/* ESEARCH says of which mailbox it speaks (RFC 7377). */
static bool names_mailbox(const struct proxy_leg *p, const struct imap_response *r)
{
    const struct command *cmd = p->leg.client->command;

    return cmd != NULL && cmd->def->id == COMMAND_ESEARCH && imap_slice_is(r->word, "ESEARCH");
}

/* Is it told before the answer to a command that nobody waits for any more? */
static bool is_dropped(const struct proxy_leg *p)
{
    return p->ignore != 0 && (p->unheard == 0 || p->unheard > p->ignore);
}

static enum reply untagged(struct proxy_leg *p, const struct imap_response *r)
{
    /* Capabilities and what is enabled are those of the connection between the servers: not for the client. */
    if (is_dropped(p) || imap_slice_is(r->word, "CAPABILITY") || imap_slice_is(r->code, "CAPABILITY") ||
        imap_slice_is(r->word, "ENABLED"))
        return REPLY_IGNORED;
    if (imap_slice_is(r->word, "LIST") && is_selecting(p))
        return REPLY_IGNORED; /* list_tell_selected() */
    if (imap_slice_is(r->word, "LIST") && p->watching && !p->listing) {
        proxy_take_list(p, r);
        return REPLY_IGNORED;
    }
    if (imap_slice_is(r->code, "NOTIFICATIONOVERFLOW")) {
        notify_overflowed(p->leg.client);
        return REPLY_IGNORED;
    }
    if (imap_slice_is(r->code, "INPROGRESS")) {
        take_progress(p, r);
        return REPLY_IGNORED;
    }
    if (is_of_selection(r) && !shows_selection(p) && !names_mailbox(p, r))
        return REPLY_IGNORED;
    if (tells_expunge(r) && !may_tell_expunge(p))
        return is_leaving(p) ? REPLY_IGNORED : REPLY_LOST;
    return REPLY_UNTAGGED;
}

enum reply proxy_classify(struct proxy_leg *p, const char *line, size_t len, struct imap_response *response)
{
    if (imap_response_parse(line, len, response) < 0)
        return REPLY_LOST;
    switch (response->kind) {
    case IMAP_CONTINUE:
        return p->ignore != 0 ? REPLY_IGNORED : REPLY_CONTINUE;
    case IMAP_TAGGED:
        return tagged(p, response);
    default:
        break;
    }
    return response->status == IMAP_BYE ? REPLY_LOST : untagged(p, response);
}

int proxy_fill(struct proxy_leg *p)
{
    int r = stream_fill(p->stream);

    if (r > 0)
        p->silent_at = 0;
    return r;
}

/* The next bytes, unless this session has run long: then others get their turn first. */
static int fill_in_turn(struct proxy_leg *p)
{
    return session_slice_over(p->leg.client->session) ? ERR_AGAIN : proxy_fill(p);
}

/* May nothing be written to it now?  Several servers' responses may come at the same time (ESEARCH). */
static bool is_full(struct proxy_leg *p, const struct stream *to)
{
    const struct client *c = p->leg.client;

    if (to == NULL || (stream_unsent(to) < STREAM_OUT_HIGH && (!c->mid_response || p->passing)))
        return false;
    p->silent_at = 0; /* the client lets it wait */
    return true;
}

struct stream *proxy_listener(const struct proxy_leg *p, const struct command *cmd)
{
    bool ours = cmd->def->route == ROUTE_SPANS || cmd->def->route == ROUTE_INBOX;

    return p->selected || !ours ? p->leg.client->stream : NULL;
}

/* Behind the tag that an ESEARCH response begins with, "(TAG "P12""; NULL: it has none, or not there. */
static const char *behind_tag(const struct imap_response *response)
{
    static const char begin[] = "(TAG ";
    const char *s = response->args.s, *end = s + response->args.n;

    if (response->args.n < sizeof(begin) || !str_ieq_n(s, begin, sizeof(begin) - 1))
        return NULL;
    s += sizeof(begin) - 1;
    if (*s == '"') {
        s = memchr(s + 1, '"', (size_t)(end - s - 1));
        return s != NULL ? s + 1 : NULL;
    }
    while (s < end && *s != ' ' && *s != ')')
        s++;
    return s;
}

/* The beginning of an ESEARCH response: the client knows its command by its own tag (RFC 4466 section 2.6.2). */
static void pass_esearch(struct proxy_leg *p, const struct imap_piece *piece,
                         const struct imap_response *response)
{
    const struct command *cmd = p->leg.client->command;
    const char *rest = cmd != NULL ? behind_tag(response) : NULL;
    struct imap_piece left = *piece;

    if (rest != NULL) {
        stream_printf(p->leg.client->stream, "* ESEARCH (TAG \"%s\"", cmd->tag);
        left.data = rest;
        left.len = (size_t)(piece->data + piece->len - rest);
    }
    proxy_pass_piece(p, &left);
}

/* Something that is watched (NOTIFY): for the client, whatever else is going on. */
static bool is_news(const struct proxy_leg *p, const struct imap_response *r)
{
    return p->watching && !p->leg.client->mid_response &&
           (imap_slice_is(r->word, "STATUS") || imap_slice_is(r->word, "METADATA"));
}

enum reply proxy_relay(struct proxy_leg *p, struct stream *to, const char **text_r, size_t *len_r)
{
    for (;;) {
        struct imap_response response;
        struct imap_piece piece;
        int r;

        if (is_full(p, to))
            return REPLY_BLOCKED;
        r = imap_reader_next(&p->reader, &piece);
        if (r == 0 && (r = fill_in_turn(p)) > 0)
            continue;
        if (r < 0)
            return r == ERR_AGAIN ? REPLY_NONE : REPLY_LOST;
        if (piece.first) {
            enum reply reply = proxy_classify(p, piece.data, piece.len, &response);

            if (reply != REPLY_UNTAGGED && reply != REPLY_IGNORED) {
                *text_r = response.rest.s;
                *len_r = response.rest.n;
                return piece.last ? reply : REPLY_LOST;
            }
            p->drop = reply == REPLY_IGNORED;
            p->news = is_news(p, &response);
        }
        if (p->drop || (to == NULL && !p->news))
            continue;
        if (piece.first && imap_slice_is(response.word, "ESEARCH"))
            pass_esearch(p, &piece, &response);
        else
            proxy_pass_piece(p, &piece);
    }
}

/* What is left of a response that proxy_relay() has begun.  As imap_reader_next(). */
static int skip_rest(struct proxy_leg *p)
{
    struct imap_piece piece;
    int r;

    while (p->reader.inside && p->line.len == 0) {
        r = imap_reader_next(&p->reader, &piece);
        if (r != 1)
            return r;
        if (p->passing)
            proxy_pass_piece(p, &piece);
    }
    return 1;
}

enum reply proxy_collect(struct proxy_leg *p, struct imap_response *response_r)
{
    return proxy_collect_long(p, PROXY_LINE_MAX, response_r);
}

enum reply proxy_collect_long(struct proxy_leg *p, size_t max, struct imap_response *response_r)
{
    for (;;) {
        enum reply reply;
        int r;

        if (p->line_complete) {
            buf_reset(&p->line);
            p->line_complete = false;
        }
        if (is_full(p, p->leg.client->stream))
            return REPLY_BLOCKED;
        r = skip_rest(p);
        if (r == 1)
            r = imap_reader_collect(&p->reader, max, &p->line);
        if (r == 0 && (r = fill_in_turn(p)) > 0)
            continue;
        if (r < 0)
            return r == ERR_AGAIN ? REPLY_NONE : REPLY_LOST;
        p->line_complete = true;
        reply = proxy_classify(p, buf_cstr(&p->line), p->line.len, response_r);
        if (reply != REPLY_IGNORED)
            return reply;
    }
}

void proxy_pass_piece(struct proxy_leg *p, const struct imap_piece *piece)
{
    stream_write(p->leg.client->stream, piece->data, piece->len);
    p->passing = p->leg.client->mid_response = !piece->last;
}

void proxy_pass_line(struct proxy_leg *p)
{
    struct stream *to = p->leg.client->stream;

    stream_write(to, p->line.data, p->line.len);
    stream_puts(to, "\r\n");
}

/* The words of "NO words" or "BAD words". */
static const char *refusal(struct command *cmd, const char *text, size_t len)
{
    const char *words = memchr(text, ' ', len);

    if (words == NULL)
        return "Refused by the mailbox's server";
    words++;
    return pool_strndup(cmd->pool, words, len - (size_t)(words - text));
}

int proxy_judge(struct proxy_leg *p, struct command *cmd, const char *text, size_t len, const char **ok_r)
{
    bool ok = len >= 2 && str_ieq_n(text, "OK", 2) && (len == 2 || text[2] == ' ');

    if (!ok)
        cmd->failure = refusal(cmd, text, len);
    else if (ok_r != NULL)
        *ok_r = pool_strndup(cmd->pool, text, len);
    proxy_rest(p);
    return ok ? 0 : ERR_REFUSED;
}

int proxy_waiting(struct proxy_leg *p, struct command *cmd, enum reply reply)
{
    if (reply == REPLY_BLOCKED)
        return ERR_AGAIN;
    if (reply != REPLY_NONE)
        return proxy_fail(p, cmd, reply == REPLY_LOST ? ERR_UNAVAILABLE : ERR_PROTOCOL);
    if (proxy_is_silent(p))
        return proxy_fail(p, cmd, ERR_TIMEOUT);
    proxy_arm(p, cmd, true);
    return ERR_AGAIN;
}

int proxy_answer(struct proxy_leg *p, struct command *cmd, struct stream *to, const char **ok_r)
{
    const char *text;
    size_t len;
    int r = stream_flush(p->stream);
    enum reply reply;

    if (r < 0 && r != ERR_AGAIN)
        return proxy_fail(p, cmd, r);
    reply = proxy_relay(p, to, &text, &len);
    return reply == REPLY_TAGGED ? proxy_judge(p, cmd, text, len, ok_r) : proxy_waiting(p, cmd, reply);
}
