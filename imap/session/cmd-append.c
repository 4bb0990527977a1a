/* cmd-append.c: APPEND (RFC 3501 6.3.11, RFC 3502, RFC 4469): the arguments are read here, the bytes go to the mailbox's leg
 * as they come.  All messages enter, or none. */
#include <string.h>

#include "imap/session/annotate-args.h"
#include "imap/session/appending.h"
#include "imap/session/capability.h"
#include "imap/session/commands.h"
#include "lib/base/error.h"
#include "lib/name/namespace.h"

/* Of one APPEND: each holds a descriptor on the store's side until all are there. */
enum { MESSAGES_MAX = 250, MESSAGES_MAX_PEER = 1000 };
enum { PARTS_MAX = 1000 /* that messages of one APPEND are put together from */ };

static void append_cleanup(struct command *cmd)
{
    struct appending *a = cmd->state;

    if (a->sink != NULL)
        cmd->leg->ops->sink_close(&a->sink);
    appending_url_cleanup(a);
}

/* ---- failure ---- */

static enum step answer_failure(struct command *cmd)
{
    struct appending *a = cmd->state;

    if (cmd->failure != NULL)
        cmd->failure = appending_refused_url(cmd, cmd->failure);
    if (cmd->failure != NULL && a->is_bad) {
        const char *bad = pool_printf(cmd->pool, "BAD %s", cmd->failure);

        return command_pass(cmd, bad, strlen(bad));
    }
    if (cmd->failure == NULL && a->error == ERR_NOTFOUND)
        return command_no(cmd, "TRYCREATE", "Mailbox does not exist");
    if (cmd->failure == NULL && a->error == ERR_TOOBIG)
        return command_no(cmd, "TOOBIG", "Message is too large");
    return command_error(cmd, a->error);
}

static enum step cancel_step(struct command *cmd)
{
    struct appending *a = cmd->state;
    const char *failure = cmd->failure; /* the first one is what the client is told */
    int r = a->sink != NULL ? cmd->leg->ops->sink_cancel(a->sink) : 0;

    cmd->failure = failure;
    return r == ERR_AGAIN ? STEP_WAIT : answer_failure(cmd);
}

static enum step fail(struct command *cmd, int error)
{
    struct appending *a = cmd->state;

    a->error = error;
    cmd->step = cancel_step;
    return cancel_step(cmd);
}

enum step appending_refuse(struct command *cmd, int error, const char *text)
{
    struct appending *a = cmd->state;

    a->is_bad = error == ERR_SYNTAX;
    cmd->failure = text;
    return fail(cmd, error);
}

enum step appending_fail(struct command *cmd, int error)
{
    return error == ERR_AGAIN ? STEP_WAIT : fail(cmd, error);
}

/* ---- the end ---- */

const char *appending_uid(struct command *cmd, const struct leg_appended *done)
{
    struct buf code = BUF_INIT;
    const char *text;

    if (seqset_is_empty(&done->uids))
        return NULL;
    buf_printf(&code, "APPENDUID %u ", done->uidvalidity);
    seqset_print(&done->uids, &code);
    text = pool_strdup(cmd->pool, buf_cstr(&code));
    buf_free(&code);
    return text;
}

static enum step commit_step(struct command *cmd)
{
    struct appending *a = cmd->state;
    struct leg_appended done = {0};
    int r = cmd->leg->ops->sink_commit(a->sink, &done);

    if (r < 0)
        return appending_fail(cmd, r);
    if (a->committed != NULL)
        return a->committed(cmd, &done);
    return command_ok(cmd, appending_uid(cmd, &done), "Completed");
}

/* ---- messages ---- */

/* Behind a literal: the text up to the next one, or to the end. */
static enum step text_step(struct command *cmd)
{
    struct appending *a = cmd->state;
    struct imap_args args;
    const char *text;
    size_t n;
    int r = command_literal_text(cmd, &text, &n);

    if (r == ERR_AGAIN) {
        r = cmd->leg->ops->sink_write(a->sink, NULL, 0);
        cmd->wants_input = true;
        return r < 0 ? appending_fail(cmd, r) : STEP_WAIT;
    }
    if (r == ERR_TOOBIG)
        return appending_refuse(cmd, ERR_SYNTAX, "[TOOBIG] Literal too big to come without being asked for");
    if (r < 0)
        return appending_refuse(cmd, ERR_SYNTAX, "Unexpected extra arguments");
    command_args_of(cmd, text, n, &args);
    append_syntax_text(&a->syntax, &args, r == 1);
    if (a->url_text != NULL)
        return appending_url(cmd, a->url_text);
    cmd->step = appending_next;
    return STEP_MORE; /* many short messages may have come at once */
}

bool appending_scan(struct appending *a, const char *data, size_t n)
{
    bool found = false;

    for (size_t i = 0; a->in_header && i < n; i++) {
        found = found || (unsigned char)data[i] >= 0x80;
        if (data[i] == '\n') {
            a->in_header = !a->is_blank;
            a->is_blank = true;
        } else if (data[i] != '\r') {
            a->is_blank = false;
        }
    }
    return found;
}

/* RFC 6855 4: UTF-8 in a header is for those who have said that they know of it, where they can.  A frontend has asked its
 * client. */
static bool may_have_8bit(const struct client *c)
{
    return c->is_proxied || c->ns->utf8 || !capability_is_announced(c, "UTF8=ACCEPT");
}

static enum step bytes_step(struct command *cmd)
{
    struct appending *a = cmd->state;
    const char *data;
    size_t n;
    int r;

    while (cmd->literal.left > 0) {
        data = command_literal_data(cmd, &n);
        r = cmd->leg->ops->sink_write(a->sink, data, n);
        if (r < 0)
            return appending_fail(cmd, r);
        if (n == 0) {
            cmd->wants_input = true;
            return STEP_WAIT;
        }
        if (appending_scan(a, data, (size_t)r) && !may_have_8bit(cmd->client))
            a->has_8bit = true;
        command_literal_consume(cmd, (size_t)r);
    }
    cmd->step = text_step;
    return text_step(cmd);
}

/* The message's server is ready for the bytes before the client is asked for them. */
static enum step literal_step(struct command *cmd)
{
    struct appending *a = cmd->state;
    struct leg_part part = {cmd->literal.size, cmd->literal.binary, cmd->literal.synchronising};
    int r = part.size > 0 ? cmd->leg->ops->sink_part(a->sink, &part) : 0;

    if (r < 0)
        return appending_fail(cmd, r);
    command_literal_accept(cmd);
    cmd->step = bytes_step;
    return bytes_step(cmd);
}

static enum step begin_literal(struct command *cmd)
{
    if (appending_grow(cmd->state, cmd->literal.size) < 0)
        return appending_fail(cmd, ERR_TOOBIG);
    cmd->step = literal_step;
    return literal_step(cmd);
}

/* A literal that is no message, in a->url_literal: 0 when it is there. */
static int collect(struct command *cmd)
{
    struct appending *a = cmd->state;
    size_t n;
    const char *data = command_literal_data(cmd, &n);

    buf_append(&a->url_literal, data, n);
    command_literal_consume(cmd, n);
    cmd->wants_input = cmd->literal.left > 0;
    return cmd->wants_input ? ERR_AGAIN : 0;
}

/* The value of an annotation (RFC 5257). */
static enum step value_step(struct command *cmd)
{
    struct appending *a = cmd->state;
    const struct buf *value = &a->url_literal;
    char *copy;

    if (collect(cmd) == ERR_AGAIN)
        return STEP_WAIT;
    if (!cmd->literal.binary && value->len > 0 && memchr(value->data, '\0', value->len) != NULL)
        return appending_refuse(cmd, ERR_SYNTAX, "NUL byte in literal");
    copy = pool_alloc(cmd->pool, value->len + 1);
    if (value->len > 0)
        memcpy(copy, value->data, value->len);
    copy[value->len] = '\0';
    if (append_syntax_value(&a->syntax, copy, value->len) < 0)
        return appending_refuse(cmd, ERR_SYNTAX, imap_args_error(&a->syntax.args));
    cmd->step = text_step;
    return text_step(cmd);
}

static enum step begin_value(struct command *cmd)
{
    struct appending *a = cmd->state;

    if (cmd->literal.size > ANNOTATE_LITERAL_MAX)
        return appending_refuse(cmd, ERR_LIMIT, "[ANNOTATE TOOBIG] An annotation is too big");
    buf_reset(&a->url_literal);
    command_literal_accept(cmd);
    cmd->step = value_step;
    return value_step(cmd);
}

/* A URL that comes as a literal. */
static enum step url_step(struct command *cmd)
{
    struct appending *a = cmd->state;

    if (collect(cmd) == ERR_AGAIN)
        return STEP_WAIT;
    if (memchr(a->url_literal.data, '\0', a->url_literal.len) != NULL)
        return appending_refuse(cmd, ERR_SYNTAX, "NUL byte in literal");
    a->url_text = pool_strdup(cmd->pool, buf_cstr(&a->url_literal));
    cmd->step = text_step;
    return text_step(cmd);
}

static enum step begin_url(struct command *cmd)
{
    struct appending *a = cmd->state;

    if (a->syntax.url != NULL)
        return appending_url(cmd, a->syntax.url);
    if (cmd->literal.binary)
        return appending_refuse(cmd, ERR_SYNTAX, "Unexpected literal8");
    if (cmd->literal.size == 0 || cmd->literal.size > IMAP_URL_MAX)
        return appending_refuse(cmd, ERR_LIMIT, "[LIMIT] URL is empty or too long");
    buf_reset(&a->url_literal);
    command_literal_accept(cmd);
    cmd->step = url_step;
    return url_step(cmd);
}

/* One more part of a message that is put together.  0, or the command is to end with *step_r. */
static int begin_part(struct command *cmd, int item, enum step *step_r)
{
    struct appending *a = cmd->state;

    if (++a->parts > PARTS_MAX) {
        *step_r = appending_refuse(cmd, ERR_LIMIT, "[LIMIT] Too many parts");
        return ERR_LIMIT;
    }
    if (item == APPEND_ITEM_TEXT && cmd->literal.binary) {
        *step_r = appending_refuse(cmd, ERR_SYNTAX, "Unexpected literal8");
        return ERR_SYNTAX;
    }
    return 0;
}

/* A whole message in one literal. */
static enum step begin_whole(struct command *cmd)
{
    if (cmd->literal.binary && capability_is_suppressed("BINARY"))
        return appending_refuse(cmd, ERR_SYNTAX, "Unexpected literal8");
    if (cmd->literal.size == 0) /* RFC 3502: cancels */
        return appending_refuse(cmd, ERR_INVALID, "Message is empty");
    return begin_literal(cmd);
}

/* "UTF8 (literal8)": a whole message, or a part. */
static enum step begin_utf8(struct command *cmd)
{
    struct appending *a = cmd->state;
    enum step step;

    if (!cmd->literal.binary)
        return appending_refuse(cmd, ERR_SYNTAX, "Missing literal8");
    if (!a->what.catenated)
        return begin_whole(cmd);
    return begin_part(cmd, APPEND_ITEM_UTF8, &step) < 0 ? step : begin_literal(cmd);
}

static enum step message_step(struct command *cmd)
{
    struct appending *a = cmd->state;
    int r = cmd->leg->ops->sink_message(a->sink, &a->what);

    if (r == ERR_UNSUPPORTED)
        return appending_refuse(cmd, r, "[CANNOT] The mailbox's server takes one message at a time");
    if (r < 0)
        return appending_fail(cmd, r);
    cmd->step = appending_next;
    return appending_next(cmd);
}

/* The options of a message have been read.  0, or the command is to end with *step_r. */
static int begin_message(struct command *cmd, enum step *step_r)
{
    struct appending *a = cmd->state;

    if (a->count > 0 && (a->single || capability_is_suppressed("MULTIAPPEND"))) {
        *step_r = appending_refuse(cmd, ERR_SYNTAX, "Unexpected extra arguments");
        return ERR_SYNTAX;
    }
    if (++a->count > (cmd->client->is_peer ? MESSAGES_MAX_PEER : MESSAGES_MAX)) {
        *step_r = appending_refuse(cmd, ERR_LIMIT, "[LIMIT] Too many messages at a time");
        return ERR_LIMIT;
    }
    a->what = (struct leg_append){a->syntax.flags, a->syntax.date, true, a->syntax.is_catenated,
                                  &a->syntax.annotations};
    a->size = 0;
    a->is_empty = a->in_header = a->is_blank = true;
    return 0;
}

int appending_grow(struct appending *a, uint64_t n)
{
    a->is_empty = a->is_empty && n == 0;
    if (a->what.catenated && n > UINT32_MAX - a->size) /* RFC 4469 4.2 */
        return ERR_TOOBIG;
    a->size += n;
    return 0;
}

enum step appending_next(struct command *cmd)
{
    struct appending *a = cmd->state;
    enum step step;
    int item;

    for (;;) {
        switch (item = append_syntax_next(&a->syntax)) {
        case APPEND_ITEM_VALUE:
            return begin_value(cmd);
        case APPEND_ITEM_MESSAGE:
            if (begin_message(cmd, &step) < 0)
                return step;
            cmd->step = message_step;
            return message_step(cmd);
        case APPEND_ITEM_LITERAL:
            return begin_whole(cmd);
        case APPEND_ITEM_UTF8:
            return begin_utf8(cmd);
        case APPEND_ITEM_TEXT:
        case APPEND_ITEM_URL:
            if (begin_part(cmd, item, &step) < 0)
                return step;
            return item == APPEND_ITEM_URL ? begin_url(cmd) : begin_literal(cmd);
        case APPEND_ITEM_END:
            if (a->is_empty)
                return appending_refuse(cmd, ERR_INVALID, "Message is empty");
            if (a->has_8bit)
                return appending_refuse(cmd, ERR_REFUSED,
                                        "8-bit text in the header: ENABLE UTF8=ACCEPT first");
            break;
        case APPEND_ITEM_DONE:
            cmd->step = commit_step;
            return commit_step(cmd);
        default:
            return appending_refuse(cmd, ERR_SYNTAX, imap_args_error(&a->syntax.args));
        }
    }
}

/* ---- the beginning ---- */

static enum step open_step(struct command *cmd)
{
    struct appending *a = cmd->state;
    int r = cmd->leg->ops->sink_open(cmd->leg, cmd, cmd->mailbox, &a->sink);

    if (r < 0)
        return appending_fail(cmd, r);
    return a->opened != NULL ? a->opened(cmd) : appending_go_on(cmd);
}

enum step appending_go_on(struct command *cmd)
{
    struct appending *a = cmd->state;

    if (a->in_options)
        return begin_value(cmd);
    cmd->step = message_step;
    return message_step(cmd);
}

enum step appending_open(struct command *cmd)
{
    cmd->step = open_step;
    return open_step(cmd);
}

int appending_begin(struct command *cmd, const struct imap_args *args)
{
    struct appending *a = cmd->state;
    enum step step;
    int item;

    cmd->cleanup = append_cleanup;
    append_syntax_init(&a->syntax);
    a->syntax.catenate = !capability_is_suppressed("CATENATE");
    a->syntax.utf8 = !capability_is_suppressed("UTF8=ACCEPT");
    a->syntax.annotate = !capability_is_suppressed(ANNOTATE_CAPABILITY);
    append_syntax_text(&a->syntax, args, cmd->literal.announced);
    item = append_syntax_next(&a->syntax);
    if (item == APPEND_ITEM_MESSAGE)
        return begin_message(cmd, &step);
    a->in_options = item == APPEND_ITEM_VALUE;
    if (a->in_options)
        return 0;
    command_bad(cmd, "%s", imap_args_error(&a->syntax.args));
    return ERR_SYNTAX;
}

/* A frontend's LOCALAPPEND also says which mailbox its client has selected, or "": it is no news here. */
static int skip_names(struct command *cmd, struct imap_args *args)
{
    const char *ignored;

    if (imap_args_mailbox(args, &ignored) < 0)
        return ERR_SYNTAX;
    if (cmd->def->id != COMMAND_LOCALAPPEND)
        return 0;
    return imap_args_char(args, ' ') == 0 ? imap_args_astring(args, &ignored) : ERR_SYNTAX;
}

enum step cmd_append(struct command *cmd)
{
    struct imap_args args;

    cmd->state = pool_alloc(cmd->pool, sizeof(struct appending));
    command_args(cmd, &args);
    if (skip_names(cmd, &args) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    return appending_begin(cmd, &args) < 0 ? STEP_DONE : appending_open(cmd);
}
