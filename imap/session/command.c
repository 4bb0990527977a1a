#include "imap/session/command.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "imap/session/capability.h"
#include "imap/session/client.h"
#include "imap/session/commands.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/imapwire/args.h"
#include "lib/imapwire/out.h"
#include "lib/name/namespace.h"
#include "lib/stream/stream.h"

/* ---- the table ---- */

#define N       (1u << CLIENT_NOAUTH)
#define A       (1u << CLIENT_AUTH)
#define S       (1u << CLIENT_SELECTED)
#define UID     CMD_UID
#define SINK    CMD_SINK
#define QUIET   CMD_QUIET
#define WRITES  CMD_WRITES
#define NAMES   CMD_NAMES
#define PEER    CMD_PEER
#define ITSELF  CMD_ITSELF
#define TRUSTED CMD_TRUSTED
static const struct command_def table[] = {
#define COMMAND(id, name, start, states, capability, route, flags)                                           \
    {COMMAND_##id, name, start, states, capability, ROUTE_##route, flags},
#include "imap/session/commands.def"
#undef COMMAND
};
#undef N
#undef A
#undef S
#undef UID
#undef SINK
#undef QUIET
#undef WRITES
#undef NAMES
#undef PEER
#undef ITSELF
#undef TRUSTED

const struct command_def *command_find(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (strlen(table[i].name) == len && str_ieq_n(table[i].name, name, len))
            return &table[i];
    return NULL;
}

/* ---- arguments ---- */

void command_args(const struct command *cmd, struct imap_args *args)
{
    command_args_of(cmd, cmd->args, cmd->args_len, args);
}

void command_args_of(const struct command *cmd, const char *text, size_t len, struct imap_args *args)
{
    int64_t word = opt_bytes(OPT_MAXWORD), quoted = opt_bytes(OPT_MAXQUOTED);

    imap_args_init(args, cmd->pool, text, len);
    if (word > 0)
        args->max_word = (size_t)word;
    if (quoted > 0)
        args->max_quoted = (size_t)quoted;
    args->utf8 = cmd->client->ns != NULL && cmd->client->ns->utf8;
}

/* ---- counters ---- */

static struct {
    atomic_uint_fast64_t runs, failed, microseconds;
} counters[COMMAND_END];

void command_count(const struct command *cmd, int64_t microseconds)
{
    enum command_id id = cmd->def->id;

    atomic_fetch_add_explicit(&counters[id].runs, 1, memory_order_relaxed);
    if (cmd->failed)
        atomic_fetch_add_explicit(&counters[id].failed, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&counters[id].microseconds, (uint64_t)microseconds, memory_order_relaxed);
}

void command_counters(enum command_id id, struct command_counter *out)
{
    out->runs = atomic_load_explicit(&counters[id].runs, memory_order_relaxed);
    out->failed = atomic_load_explicit(&counters[id].failed, memory_order_relaxed);
    out->microseconds = atomic_load_explicit(&counters[id].microseconds, memory_order_relaxed);
}

/* ---- progress ---- */

static void set_progress(struct command *cmd)
{
    int64_t interval = opt_duration_ms(OPT_IMAP_INPROGRESS_INTERVAL);

    cmd->progress_at = interval > 0 ? clock_deadline(interval) : CLOCK_NEVER;
    cmd->bytes_out = stream_bytes_out(cmd->client->stream);
}

static void put_progress(struct command *cmd)
{
    struct stream *to = cmd->client->stream;

    stream_printf(to, "* OK [INPROGRESS (\"%s\" ", cmd->tag);
    if (cmd->done == 0 && cmd->goal == 0)
        stream_puts(to, "NIL NIL");
    else if (cmd->goal <= cmd->done)
        stream_printf(to, "%u NIL", cmd->done);
    else
        stream_printf(to, "%u %u", cmd->done, cmd->goal);
    stream_puts(to, ")] Still working\r\n");
}

int64_t command_progress_due(struct command *cmd)
{
    struct client *c = cmd->client;

    if (cmd->progress_at == 0)
        set_progress(cmd);
    if (clock_left(cmd->progress_at) != 0)
        return cmd->progress_at;
    /* who hears something knows that it goes on; who reads nothing needs no more */
    if (!c->mid_response && stream_unsent(c->stream) == 0 && stream_bytes_out(c->stream) == cmd->bytes_out &&
        !capability_is_suppressed("INPROGRESS"))
        put_progress(cmd);
    set_progress(cmd);
    return cmd->progress_at;
}

void command_progress(struct command *cmd, uint32_t done, uint32_t goal)
{
    cmd->done = done > cmd->done ? done : cmd->done;
    cmd->goal = goal;
    command_progress_due(cmd);
}

/* ---- answers ---- */

static enum step finish(struct command *cmd, const char *status, const char *code, const char *fmt,
                        va_list ap)
{
    struct buf text = BUF_INIT, line = BUF_INIT;

    buf_vprintf(&text, fmt, ap);
    buf_printf(&line, "%s ", status);
    if (code != NULL)
        buf_printf(&line, "[%s] ", code);
    imap_put_text(&line, buf_cstr(&text));
    buf_free(&text);
    free(cmd->final);
    cmd->final = buf_steal(&line);
    cmd->failed = strcmp(status, "OK") != 0;
    return STEP_DONE;
}

enum step command_ok(struct command *cmd, const char *code, const char *fmt, ...)
{
    va_list ap;
    enum step s;

    va_start(ap, fmt);
    s = finish(cmd, "OK", code, fmt, ap);
    va_end(ap);
    return s;
}

enum step command_no(struct command *cmd, const char *code, const char *fmt, ...)
{
    va_list ap;
    enum step s;

    va_start(ap, fmt);
    s = finish(cmd, "NO", code, fmt, ap);
    va_end(ap);
    return s;
}

enum step command_bad(struct command *cmd, const char *fmt, ...)
{
    va_list ap;
    enum step s;

    va_start(ap, fmt);
    s = finish(cmd, "BAD", NULL, fmt, ap);
    va_end(ap);
    return s;
}

enum step command_pass(struct command *cmd, const char *rest, size_t len)
{
    free(cmd->final);
    cmd->final = xstrndup(rest, len);
    cmd->failed = !str_has_iprefix(cmd->final, "OK");
    return STEP_DONE;
}

const char *command_take_back(struct command *cmd)
{
    const char *answer = pool_strdup(cmd->pool, cmd->final);

    free(cmd->final);
    cmd->final = NULL;
    cmd->failed = false;
    cmd->failure = NULL;
    return answer;
}

enum step command_lost(struct command *cmd)
{
    static const char no[] = "NO " CLIENT_LOST_TEXT;

    return command_pass(cmd, no, sizeof(no) - 1);
}

enum step command_uid_required(struct command *cmd)
{
    static const char bad[] = "BAD " COMMAND_UID_REQUIRED;

    return command_pass(cmd, bad, sizeof(bad) - 1);
}

/* What a client is told about an error (RFC 5530). */
static const struct {
    int error;
    const char *code, *text;
} texts[] = {
    {ERR_NOTFOUND, "NONEXISTENT", "Mailbox does not exist"},
    {ERR_EXISTS, "ALREADYEXISTS", "Mailbox already exists"},
    {ERR_CONFLICT, "ALREADYEXISTS", "Mailbox exists on another server"},
    {ERR_DENIED, "NOPERM", "Permission denied"},
    {ERR_OVERQUOTA, "OVERQUOTA", "Over quota"},
    {ERR_BUSY, "INUSE", "Mailbox is in use"},
    {ERR_TIMEOUT, "INUSE", "Mailbox is locked"},
    {ERR_LIMIT, "LIMIT", "Limit exceeded"},
    {ERR_TOOBIG, "LIMIT", "Too large"},
    {ERR_BADNAME, "CANNOT", "Invalid mailbox name"},
    {ERR_UNAVAILABLE, "UNAVAILABLE", "Server is unavailable"},
    {ERR_SPECIAL_USE, "USEATTR", "Another mailbox has this special use"},
    {ERR_EXPUNGED, "EXPUNGEISSUED", "Some of the messages no longer exist"},
    {ERR_READONLY, NULL, "Mailbox is open read-only"},
    {ERR_UNSUPPORTED, "CANNOT", "Not supported"},
    {ERR_DISKFULL, "UNAVAILABLE", "No space left on the server"},
    {ERR_ROFS, "UNAVAILABLE", "The server's disk is read-only"},
    {ERR_DESCRIPTORS, "UNAVAILABLE", "The server has too many files open"},
    {ERR_CORRUPT, "CORRUPTION", "Mailbox is damaged"},
    {ERR_VERSION, "CORRUPTION", "Mailbox has an unknown format"},
};

/* What an administrator must hear of. */
static bool is_trouble(int error)
{
    static const int troubles[] = {ERR_IO, ERR_DISKFULL, ERR_ROFS, ERR_DESCRIPTORS, ERR_CORRUPT, ERR_VERSION};

    for (size_t i = 0; i < ARRAY_SIZE(troubles); i++)
        if (troubles[i] == error)
            return true;
    return false;
}

enum step command_error(struct command *cmd, int error)
{
    if (is_trouble(error)) {
        const char *mailbox = cmd->mailbox != NULL ? cmd->mailbox : cmd->client->selected_name;

        LOG(LOG_ERR, IMAP_FAILED, LOG_STR(NAME, cmd->def->name),
            LOG_STR(MAILBOX, mailbox != NULL ? mailbox : ""), LOG_ERROR(error));
    }
    if (cmd->failure != NULL) {
        const char *no = pool_printf(cmd->pool, "NO %s", cmd->failure);

        return command_pass(cmd, no, strlen(no));
    }
    if (error == ERR_SYNTAX)
        return command_bad(cmd, "Invalid arguments");
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (texts[i].error == error)
            return command_no(cmd, texts[i].code, "%s", texts[i].text);
    return command_no(cmd, "SERVERBUG", "System error: %s", error_text(error));
}

/* ---- the message literal ---- */

void command_literal_accept(struct command *cmd)
{
    if (cmd->literal.accepted)
        return;
    cmd->literal.accepted = true;
    if (cmd->literal.synchronising)
        stream_puts(cmd->client->stream, "+ go ahead\r\n");
}

const char *command_literal_data(struct command *cmd, size_t *len_r)
{
    const char *data = stream_data(cmd->client->stream, len_r);

    if (*len_r > cmd->literal.left)
        *len_r = (size_t)cmd->literal.left;
    return *len_r > 0 ? data : NULL;
}

void command_literal_consume(struct command *cmd, size_t n)
{
    BUG_ON(n > cmd->literal.left);
    stream_consume(cmd->client->stream, n);
    cmd->literal.left -= n;
}

size_t command_literal_move(struct command *cmd, struct stream *to, size_t max)
{
    size_t n;

    if (max > cmd->literal.left)
        max = (size_t)cmd->literal.left;
    n = stream_move(cmd->client->stream, to, max);
    cmd->literal.left -= n;
    return n;
}

enum { BETWEEN_MAX = 32768 /* bytes behind a literal: flags and a date of the next message, or URLs */ };

/* RFC 7888 5: with LITERAL- announced, a literal that does not wait is small. */
uint64_t command_nonsync_max(void)
{
    return opt_switch(OPT_LITERALMINUS) ? 4096 : UINT64_MAX;
}

void command_literal_begin(struct command *cmd, const struct imap_literal *literal)
{
    cmd->literal = (struct command_literal){.size = literal->size,
                                            .left = literal->size,
                                            .announced = true,
                                            .synchronising = literal->synchronising,
                                            .binary = literal->binary};
}

int command_literal_text(struct command *cmd, const char **text_r, size_t *len_r)
{
    struct stream *stream = cmd->client->stream;
    struct imap_literal next;
    size_t n, line;
    const char *data = stream_data(stream, &n);
    const char *lf = n > 0 ? memchr(data, '\n', n) : NULL;
    int found;

    BUG_ON(cmd->literal.left > 0 || cmd->literal_over);
    if (lf == NULL)
        return n < BETWEEN_MAX ? ERR_AGAIN : ERR_SYNTAX;
    line = (size_t)(lf - data);
    if (line > 0 && data[line - 1] == '\r')
        line--;
    found = line <= BETWEEN_MAX ? imap_literal_at_end(data, line, &next) : ERR_SYNTAX;
    if (found < 0)
        return ERR_SYNTAX;
    if (found == 1 && !next.synchronising && next.size > command_nonsync_max())
        return ERR_TOOBIG;
    *len_r = found == 1 ? next.at : line;
    *text_r = pool_strndup(cmd->pool, data, *len_r);
    stream_consume(stream, (size_t)(lf - data) + 1);
    if (found == 1)
        command_literal_begin(cmd, &next);
    else
        cmd->literal_over = true;
    return found;
}
