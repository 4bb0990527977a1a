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

/* A message on its way into a mailbox; for APPEND and for a copy from another server. */
struct incoming {
    struct local_leg *l;
    struct local_mailbox to;
    struct append_message how;
    struct stage *stage;
};

/* ---- what APPEND and the sink of a copy share ---- */

/* Takes the flags that the user may set there (RFC 4314 section 4: others are left out silently). */
static void set_flags(struct pool *pool, struct incoming *in, const char *const *flags)
{
    local_split_flags(pool, flags, &in->how.system, &in->how.keywords);
    in->how.system &= local_settable(in->to.rights);
    if ((in->to.rights & ACL_WRITE) == 0)
        in->how.keywords = NULL;
}

static int set_date(struct incoming *in, const char *date)
{
    in->how.has_internal_date = true;
    return mail_date_time_parse(date, strlen(date), &in->how.internal_date, &in->how.internal_zone);
}

/* Before the first byte: rights, quota, size.  A size over the quota is refused here, the commit checks again. */
static int check_incoming(struct command *cmd, struct incoming *in, const char *name, uint64_t size)
{
    int64_t max = opt_bytes(OPT_MAXMESSAGESIZE);
    struct mailbox *mailbox;
    int r = local_lookup_with(cmd, name, ACL_INSERT, &in->to);

    if (r == 0)
        r = local_open(in->l, &in->to, &mailbox);
    if (r < 0)
        return r;
    if (mailbox_header(mailbox)->quota_root[0] != '\0')
        r = store_quota_check(in->l->env->store, mailbox_header(mailbox)->quota_root, QUOTA_STRICT, size, 1);
    mailbox_close(&mailbox);
    return r == 0 && max > 0 && size > (uint64_t)max ? ERR_TOOBIG : r;
}

/* The whole message is staged: into the mailbox with it. */
static int commit_incoming(struct incoming *in, uint32_t *uidvalidity_r, uint32_t *uid_r)
{
    struct append_result result = {0};
    struct mailbox_reader reader;
    struct append *append;
    struct mailbox *mailbox;
    int r = local_open(in->l, &in->to, &mailbox);

    if (r < 0)
        return r;
    reader = local_reader(in->l, in->to.record.name, mailbox_header(mailbox));
    append_begin(mailbox, &reader, &append);
    r = append_add(append, &in->stage, &in->how);
    if (r == 0)
        r = append_commit(&append, QUOTA_STRICT, &result);
    else
        append_abort(&append);
    if (r == 0) {
        *uidvalidity_r = result.uidvalidity;
        *uid_r = uid_set_first(&result.uids);
    }
    uid_set_free(&result.uids);
    mailbox_close(&mailbox);
    return r;
}

/* ---- APPEND ---- */

struct append_state {
    struct incoming in;
    const char *const *flags;
    const char *date;
};

/* A frontend's LOCALAPPEND also says which mailbox its client has selected, or "": it is no news here. */
static int skip_names(struct command *cmd, struct imap_args *args)
{
    const char *ignored;

    if (imap_args_mailbox(args, &ignored) < 0 || imap_args_char(args, ' ') < 0)
        return ERR_SYNTAX;
    if (cmd->def->id != COMMAND_LOCALAPPEND)
        return 0;
    return imap_args_astring(args, &ignored) == 0 ? imap_args_char(args, ' ') : ERR_SYNTAX;
}

/* "mailbox SP [flags SP] [date-time SP]" before the literal. */
static int parse(struct command *cmd, struct append_state *s)
{
    static const char *const none[] = {NULL};
    struct imap_args args;
    size_t count;

    command_args(cmd, &args);
    s->flags = none;
    if (skip_names(cmd, &args) < 0 ||
        (imap_args_peek(&args) == '(' &&
         (imap_args_flags(&args, false, &s->flags, &count) < 0 || imap_args_char(&args, ' ') < 0)) ||
        (imap_args_peek(&args) == '"' &&
         (imap_args_date_time(&args, &s->date) < 0 || imap_args_char(&args, ' ') < 0)) ||
        imap_args_end(&args) < 0) {
        command_bad(cmd, "%s", imap_args_error(&args));
        return ERR_SYNTAX;
    }
    return 0;
}

static void append_cleanup(struct command *cmd)
{
    struct append_state *s = cmd->state;

    stage_free(&s->in.stage);
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
    struct stage_info info;
    uint32_t uidvalidity, uid;
    int r = stage_finish(s->in.stage, &info);

    if (r < 0)
        return answer_error(cmd, r);
    if (info.has_nul)
        return command_no(cmd, NULL, "Message contains NUL characters");
    if (info.has_bare_lf)
        return command_no(cmd, NULL, "Message contains bare newlines");
    r = commit_incoming(&s->in, &uidvalidity, &uid);
    if (r < 0)
        return answer_error(cmd, r);
    return command_ok(cmd, pool_printf(cmd->pool, "APPENDUID %u %u", uidvalidity, uid), "Completed");
}

static enum step literal_step(struct command *cmd)
{
    struct append_state *s = cmd->state;
    const char *data;
    size_t n;
    int r;

    while (cmd->literal.left > 0) {
        data = command_literal_data(cmd, &n);
        if (data == NULL) {
            cmd->wants_input = true;
            return STEP_WAIT;
        }
        r = stage_write(s->in.stage, data, n);
        if (r < 0)
            return answer_error(cmd, r);
        command_literal_consume(cmd, n);
    }
    r = command_literal_end(cmd);
    if (r == ERR_AGAIN) {
        cmd->wants_input = true;
        return STEP_WAIT;
    }
    if (r < 0)
        return command_bad(cmd, "Unexpected extra arguments");
    return commit(cmd, s);
}

enum step local_append(struct command *cmd)
{
    struct append_state *s = pool_alloc(cmd->pool, sizeof(*s));
    int r;

    if (parse(cmd, s) < 0)
        return STEP_DONE;
    s->in.l = local_of(cmd);
    if (s->date != NULL && set_date(&s->in, s->date) < 0)
        return command_bad(cmd, "Invalid date-time");
    r = check_incoming(cmd, &s->in, cmd->mailbox, cmd->literal.size);
    if (r == 0 && cmd->literal.size == 0)
        return command_no(cmd, NULL, "Message is empty");
    if (r == 0)
        r = stage_new(s->in.l->env->store, s->in.to.record.partition, &s->in.stage);
    if (r < 0)
        return answer_error(cmd, r);
    set_flags(cmd->pool, &s->in, s->flags);
    cmd->state = s;
    cmd->cleanup = append_cleanup;
    cmd->step = literal_step;
    command_literal_accept(cmd);
    return literal_step(cmd);
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
        sink->in.how.has_internal_date = false;
    r = check_incoming(cmd, &sink->in, what->mailbox, what->size);
    if (r < 0)
        return r;
    set_flags(cmd->pool, &sink->in, split_words(cmd->pool, what->flags));
    return stage_new(sink->in.l->env->store, sink->in.to.record.partition, &sink->in.stage);
}

int local_sink_write(struct leg_sink *sink, const char *data, size_t len)
{
    size_t n = len < 65536 ? len : 65536; /* fits the result */
    int r = stage_write(sink->in.stage, data, n);

    return r < 0 ? r : (int)n;
}

int local_sink_commit(struct leg_sink *sink, uint32_t *uidvalidity_r, uint32_t *uid_r)
{
    int r = stage_finish(sink->in.stage, NULL);

    return r < 0 ? r : commit_incoming(&sink->in, uidvalidity_r, uid_r);
}

void local_sink_close(struct leg_sink **sink)
{
    if (*sink == NULL)
        return;
    stage_free(&(*sink)->in.stage);
    free(*sink);
    *sink = NULL;
}
