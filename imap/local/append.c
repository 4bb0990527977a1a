/* append.c: APPEND (RFC 3501 6.3.11, RFC 4315 3): the literal goes straight to a stage file. */
#include <stdlib.h>
#include <string.h>

#include "imap/local/local-private.h"
#include "imap/store/append.h"
#include "imap/store/quota.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/mail/date.h"
#include "lib/stream/stream.h"

enum { MESSAGES_MAX = 1000 /* of one APPEND: each has a descriptor until all are there */ };

/* A message as it is to enter, its bytes on disk. */
struct staged {
    struct staged *next;
    struct append_message how;
    struct stage *stage;
};

/* What is on its way into a mailbox; for APPEND and for a copy from another server. */
struct incoming {
    struct local_leg *l;
    struct local_mailbox to;
    struct staged message; /* the one that comes now */
};

/* ---- what APPEND and the sink of a copy share ---- */

/* Takes the flags that the user may set there (RFC 4314 section 4: others are left out silently). */
static void set_flags(struct pool *pool, struct incoming *in, const char *const *flags)
{
    struct append_message *how = &in->message.how;

    local_split_flags(pool, flags, &how->system, &how->keywords);
    how->system &= local_settable(in->to.rights);
    if ((in->to.rights & ACL_WRITE) == 0)
        how->keywords = NULL;
}

static int set_date(struct incoming *in, const char *date)
{
    struct append_message *how = &in->message.how;

    how->has_internal_date = true;
    return mail_date_time_parse(date, strlen(date), &how->internal_date, &how->internal_zone);
}

/* Before the first byte of the last of `count` messages of `bytes` in all: rights, quota, size.  What is over the
 * quota is refused here, the commit checks again. */
static int check_incoming(struct command *cmd, struct incoming *in, const char *name, uint64_t size,
                          uint64_t bytes, int64_t count)
{
    int64_t max = opt_bytes(OPT_MAXMESSAGESIZE);
    struct mailbox *mailbox;
    int r = local_lookup_with(cmd, name, ACL_INSERT, &in->to);

    if (r == 0)
        r = local_open(in->l, &in->to, &mailbox);
    if (r < 0)
        return r;
    if (mailbox_header(mailbox)->quota_root[0] != '\0')
        r = store_quota_check(in->l->env->store, mailbox_header(mailbox)->quota_root, QUOTA_STRICT, bytes,
                              count);
    mailbox_close(&mailbox);
    return r == 0 && max > 0 && size > (uint64_t)max ? ERR_TOOBIG : r;
}

/* All are staged: into the mailbox with them, all or none.  result_r->uids is the caller's to free. */
static int commit_incoming(struct incoming *in, struct staged *messages, struct append_result *result_r)
{
    struct mailbox_reader reader;
    struct append *append;
    struct mailbox *mailbox;
    int r = local_open(in->l, &in->to, &mailbox);

    *result_r = (struct append_result){0};
    if (r < 0)
        return r;
    reader = local_reader(in->l, in->to.record.name, mailbox_header(mailbox));
    append_begin(mailbox, &reader, &append);
    for (struct staged *m = messages; m != NULL && r == 0; m = m->next)
        r = append_add(append, &m->stage, &m->how);
    if (r == 0)
        r = append_commit(&append, QUOTA_STRICT, result_r);
    else
        append_abort(&append);
    mailbox_close(&mailbox);
    return r;
}

/* ---- APPEND ---- */

struct append_state {
    struct incoming in;
    struct staged *first, **last; /* those that have come */
    int64_t count;
    uint64_t bytes;
};

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

/* "SP [flags SP] [date-time SP]" before a literal. */
static int parse_options(struct imap_args *args, const char *const **flags_r, const char **date_r)
{
    static const char *const none[] = {NULL};
    size_t count;

    *flags_r = none;
    *date_r = NULL;
    if (imap_args_char(args, ' ') < 0 ||
        (imap_args_peek(args) == '(' &&
         (imap_args_flags(args, false, flags_r, &count) < 0 || imap_args_char(args, ' ') < 0)) ||
        (imap_args_peek(args) == '"' &&
         (imap_args_date_time(args, date_r) < 0 || imap_args_char(args, ' ') < 0)))
        return ERR_SYNTAX;
    return imap_args_end(args);
}

static void append_cleanup(struct command *cmd)
{
    struct append_state *s = cmd->state;

    for (struct staged *m = s->first; m != NULL; m = m->next)
        stage_free(&m->stage);
    stage_free(&s->in.message.stage);
}

static enum step answer_error(struct command *cmd, int error)
{
    if (error == ERR_NOTFOUND)
        return command_no(cmd, "TRYCREATE", "Mailbox does not exist");
    if (error == ERR_TOOBIG)
        return command_no(cmd, "TOOBIG", "Message is too large");
    return command_error(cmd, error);
}

static enum step commit(struct command *cmd, struct append_state *s)
{
    struct append_result result;
    struct buf code = BUF_INIT;
    enum step step;
    int r = commit_incoming(&s->in, s->first, &result);

    if (r < 0)
        return answer_error(cmd, r);
    buf_printf(&code, "APPENDUID %u ", result.uidvalidity);
    uid_set_format(&result.uids, &code);
    uid_set_free(&result.uids);
    step = command_ok(cmd, buf_cstr(&code), "Completed");
    buf_free(&code);
    return step;
}

/* The message has come whole: it joins those before it.  *wrong_r: what is not right with it, or NULL. */
static int keep_message(struct command *cmd, struct append_state *s, const char **wrong_r)
{
    struct staged *m = pool_alloc(cmd->pool, sizeof(*m));
    struct stage_info info;
    int r = stage_finish(s->in.message.stage, &info);

    *wrong_r = NULL;
    if (r < 0)
        return r;
    if (info.has_nul)
        *wrong_r = "Message contains NUL characters";
    else if (info.has_bare_lf)
        *wrong_r = "Message contains bare newlines";
    *m = s->in.message;
    s->in.message = (struct staged){0};
    *s->last = m;
    s->last = &m->next;
    return 0;
}

static enum step literal_step(struct command *cmd);

/* The options of a message have been read: its bytes are asked for. */
static enum step begin_message(struct command *cmd, const char *const *flags, const char *date)
{
    struct append_state *s = cmd->state;
    int r;

    if (date != NULL && set_date(&s->in, date) < 0)
        return command_bad(cmd, "Invalid date-time");
    s->bytes += cmd->literal.size;
    if (++s->count > MESSAGES_MAX)
        return command_no(cmd, "LIMIT", "Too many messages at a time");
    r = check_incoming(cmd, &s->in, cmd->mailbox, cmd->literal.size, s->bytes, s->count);
    if (r == 0 && cmd->literal.size == 0)
        return command_no(cmd, NULL, "Message is empty");
    if (r == 0)
        r = stage_new(s->in.l->env->store, s->in.to.record.partition, &s->in.message.stage);
    if (r < 0)
        return answer_error(cmd, r);
    set_flags(cmd->pool, &s->in, flags);
    command_literal_accept(cmd);
    cmd->step = literal_step;
    return STEP_MORE;
}

/* Behind a message: the end, or another (RFC 3502), which frontends alone are told of. */
static enum step between_step(struct command *cmd)
{
    struct append_state *s = cmd->state;
    const char *const *flags;
    const char *text, *date;
    struct imap_args args;
    size_t n;
    int r = cmd->client->is_peer ? command_literal_next(cmd, &text, &n) : command_literal_end(cmd);

    if (r == ERR_AGAIN) {
        cmd->wants_input = true;
        return STEP_WAIT;
    }
    if (r == 0)
        return commit(cmd, s);
    if (r < 0)
        return command_bad(cmd, "Unexpected extra arguments");
    imap_args_init(&args, cmd->pool, text, n);
    if (parse_options(&args, &flags, &date) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    return begin_message(cmd, flags, date);
}

static enum step literal_step(struct command *cmd)
{
    struct append_state *s = cmd->state;
    const char *data, *wrong;
    size_t n;
    int r;

    while (cmd->literal.left > 0) {
        data = command_literal_data(cmd, &n);
        if (data == NULL) {
            cmd->wants_input = true;
            return STEP_WAIT;
        }
        r = stage_write(s->in.message.stage, data, n);
        if (r < 0)
            return answer_error(cmd, r);
        command_literal_consume(cmd, n);
    }
    r = keep_message(cmd, s, &wrong);
    if (r < 0)
        return answer_error(cmd, r);
    if (wrong != NULL)
        return command_no(cmd, NULL, "%s", wrong);
    cmd->step = between_step;
    return between_step(cmd);
}

enum step local_append(struct command *cmd)
{
    struct append_state *s = pool_alloc(cmd->pool, sizeof(*s));
    const char *const *flags;
    struct imap_args args;
    const char *date;

    s->in.l = local_of(cmd);
    s->last = &s->first;
    cmd->state = s;
    cmd->cleanup = append_cleanup;
    command_args(cmd, &args);
    if (skip_names(cmd, &args) < 0 || parse_options(&args, &flags, &date) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    return begin_message(cmd, flags, date);
}

/* ---- the sink of a copy from another server ---- */

struct leg_sink {
    struct incoming in;
};

/* "\Seen $lab" as a list. */
static const char *const *split_words(struct pool *pool, const char *flags)
{
    struct imap_args args;
    const char **list = pool_alloc(pool, (strlen(flags) + 2) * sizeof(*list));
    size_t n = 0;

    imap_args_init(&args, pool, flags, strlen(flags));
    while (!imap_args_at_end(&args) && imap_args_flag(&args, true, &list[n]) == 0) {
        n++;
        imap_args_skip(&args, ' ');
    }
    list[n] = NULL;
    return list;
}

int local_sink_open(struct leg *leg, struct command *cmd, const struct leg_append *what,
                    struct leg_sink **sink_r)
{
    struct leg_sink *sink = xcalloc(1, sizeof(*sink));
    int r;

    *sink_r = sink;
    sink->in.l = (struct local_leg *)leg;
    r = set_date(&sink->in, what->internal_date);
    if (r < 0)
        sink->in.message.how.has_internal_date = false;
    r = check_incoming(cmd, &sink->in, what->mailbox, what->size, what->size, 1);
    if (r < 0)
        return r;
    set_flags(cmd->pool, &sink->in, split_words(cmd->pool, what->flags));
    return stage_new(sink->in.l->env->store, sink->in.to.record.partition, &sink->in.message.stage);
}

int local_sink_write(struct leg_sink *sink, const char *data, size_t len)
{
    size_t n = len < 65536 ? len : 65536; /* fits the result */
    int r = stage_write(sink->in.message.stage, data, n);

    return r < 0 ? r : (int)n;
}

int local_sink_commit(struct leg_sink *sink, uint32_t *uidvalidity_r, uint32_t *uid_r)
{
    struct append_result result;
    int r = stage_finish(sink->in.message.stage, NULL);

    if (r == 0)
        r = commit_incoming(&sink->in, &sink->in.message, &result);
    if (r < 0)
        return r;
    *uidvalidity_r = result.uidvalidity;
    *uid_r = uid_set_first(&result.uids);
    uid_set_free(&result.uids);
    return 0;
}

void local_sink_close(struct leg_sink **sink)
{
    if (*sink == NULL)
        return;
    stage_free(&(*sink)->in.message.stage);
    free(*sink);
    *sink = NULL;
}
