#include "imap/session/dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "imap/login/login.h"
#include "imap/session/capability.h"
#include "imap/session/commands.h"
#include "imap/session/enable.h"
#include "imap/session/newcomer.h"
#include "imap/session/notify.h"
#include "imap/session/route.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/imapwire/args.h"
#include "lib/stream/stream.h"

#define COMMAND_MAGIC 0x436f6d6du

enum {
    COMMAND_MAX = 1024 * 1024, /* where maxargssize sets no limit */
    TAG_MAX = 256,
};

/* ---- from text to a command ---- */

struct head {
    const char *tag, *name, *args;
    size_t tag_len, name_len, args_len;
    bool uid;
};

/* RFC 3501 section 9: tag = 1*<any ASTRING-CHAR except "+">. */
static bool is_tag_char(char c)
{
    unsigned char u = (unsigned char)c;

    return u > 0x20 && u < 0x7f && strchr("(){%*\"\\+", c) == NULL;
}

/* The word at *s up to a blank; steps over the blank. */
static size_t cut_word(const char **s, const char *end, const char **word_r)
{
    const char *begin = *s, *blank = memchr(begin, ' ', (size_t)(end - begin));

    *word_r = begin;
    *s = blank != NULL ? blank + 1 : end;
    return (size_t)((blank != NULL ? blank : end) - begin);
}

/* "tag [UID] name [args]".  ERR_PROTOCOL: no tag; ERR_SYNTAX: no name. */
static int parse_head(const char *text, size_t len, struct head *head)
{
    const char *s = text, *end = text + len;

    *head = (struct head){0};
    head->tag_len = cut_word(&s, end, &head->tag);
    for (size_t i = 0; i < head->tag_len; i++)
        if (!is_tag_char(head->tag[i]))
            return ERR_PROTOCOL;
    if (head->tag_len == 0 || head->tag_len > TAG_MAX)
        return ERR_PROTOCOL;
    head->name_len = cut_word(&s, end, &head->name);
    if (head->name_len == 3 && str_ieq_n(head->name, "UID", 3)) {
        head->uid = true;
        head->name_len = cut_word(&s, end, &head->name);
    }
    head->args = s;
    head->args_len = (size_t)(end - s);
    return head->name_len > 0 ? 0 : ERR_SYNTAX;
}

/* Is this command there for this client at all? */
static bool is_known(const struct client *c, const struct command_def *def, bool uid)
{
    if (def == NULL || (uid && (def->flags & CMD_UID) == 0) ||
        (def->capability != NULL && capability_is_suppressed(def->capability)))
        return false;
    if ((def->flags & CMD_TRUSTED) != 0)
        return c->is_peer;
    if ((def->flags & CMD_PEER) == 0)
        return true;
    return leg_program()->local != NULL && c->is_peer && (c->is_itself || (def->flags & CMD_ITSELF) == 0);
}

/* Are its arguments sequence numbers? */
static bool takes_numbers(const struct command_def *def, bool uid)
{
    return (def->flags & CMD_UID) != 0 && !uid && def->id != COMMAND_EXPUNGE;
}

/* What keeps a command from running now; NULL: nothing. */
static const char *refuse(const struct client *c, const struct command_def *def, bool uid)
{
    if (!is_known(c, def, uid))
        return uid ? "Unrecognized UID subcommand" : "Unrecognized command";
    if ((def->states & (1u << c->state)) != 0)
        return takes_numbers(def, uid) && enable_is_on(c, ENABLED_UIDONLY) ? COMMAND_UID_REQUIRED : NULL;
    if (c->state == CLIENT_NOAUTH)
        return "Please login first";
    return def->states == 1u << CLIENT_NOAUTH ? "Already logged in" : "Please select a mailbox first";
}

/* A literal behind APPEND's mailbox, LOCALAPPEND's two, or REPLACE's number and mailbox, is the message; one before is a
 * name. */
static bool names_are_there(const struct command_def *def, const struct head *head)
{
    struct pool *pool;
    struct imap_args args;
    const char *name;
    bool there;

    if (def->id == COMMAND_APPEND)
        return head->args_len > 0;
    pool = pool_new(0);
    imap_args_init(&args, pool, head->args, head->args_len);
    there = (def->id == COMMAND_REPLACE ? imap_args_seqset(&args, &name) : imap_args_astring(&args, &name)) ==
                0 &&
            imap_args_char(&args, ' ') == 0 && imap_args_astring(&args, &name) == 0 &&
            imap_args_char(&args, ' ') == 0;
    pool_free(&pool);
    return there;
}

/* Which literals are worth having: asked by the assembler before any "+". */
static enum input_literal decide_literal(void *context, const char *text, size_t len,
                                         const struct imap_literal *literal)
{
    struct client *c = context;
    const struct command_def *def;
    struct head head;

    (void)literal;
    if (parse_head(text, len, &head) < 0) {
        c->input.error = "Invalid command";
        return INPUT_REFUSE;
    }
    def = command_find(head.name, head.name_len);
    c->input.error = refuse(c, def, head.uid);
    if (c->input.error != NULL)
        return INPUT_REFUSE;
    return (def->flags & CMD_SINK) != 0 && names_are_there(def, &head) ? INPUT_STREAM : INPUT_COLLECT;
}

static void limits_of(const struct client *c, struct input_limits *limits)
{
    int64_t args = opt_bytes(OPT_MAXARGSSIZE);

    limits->nonsync = command_nonsync_max();
    if (c->state == CLIENT_NOAUTH) {
        limits->literal = LOGIN_LINE_MAX;
        limits->command = LOGIN_SASL_LINE_MAX;
        return;
    }
    limits->literal = (uint64_t)opt_bytes(OPT_MAXLITERAL);
    limits->command = args > 0 && args < COMMAND_MAX ? (size_t)args : COMMAND_MAX;
}

/* ---- the life of a command ---- */

static struct command *new_command(struct client *c, const struct head *head, const struct command_def *def)
{
    struct pool *pool = pool_new(0);
    struct command *cmd = pool_alloc(pool, sizeof(*cmd));

    cmd->magic = COMMAND_MAGIC;
    cmd->client = c;
    cmd->def = def;
    cmd->pool = pool;
    cmd->uid = head->uid;
    cmd->tag = pool_strndup(pool, head->tag, head->tag_len);
    cmd->args = head->args;
    cmd->args_len = head->args_len;
    cmd->wake_at = CLOCK_NEVER;
    cmd->began_us = clock_us();
    command_progress_due(cmd); /* counts from here */
    cmd->text = buf_steal(&c->input.text);
    c->command = cmd;
    return cmd;
}

/* What the client still sends of a message literal that nobody wants. */
static void drop_literal(struct client *c, const struct command *cmd)
{
    const struct command_literal *l = &cmd->literal;

    if (l->announced && !cmd->literal_over && (l->accepted || !l->synchronising))
        input_skip(&c->input, l->left);
}

static void free_command(struct client *c)
{
    struct command *cmd = c->command;
    struct pool *pool = cmd->pool;

    MAGIC_CHECK(cmd, COMMAND_MAGIC);
    if (cmd->cleanup != NULL)
        cmd->cleanup(cmd);
    if (cmd->barrier != NULL)
        leg_program()->barrier_cancel(&cmd->barrier);
    free(cmd->text);
    free(cmd->final);
    cmd->magic = 0;
    c->command = NULL;
    if (c->proc_is_old)
        client_proc(c, NULL);
    pool_free(&pool);
}

void dispatch_abort(struct client *c)
{
    if (c->command != NULL)
        free_command(c);
    if (c->barrier != NULL)
        leg_program()->barrier_cancel(&c->barrier);
    newcomer_cancel(c);
}

static enum step start_selected(struct command *cmd)
{
    struct client *c = cmd->client;

    if (c->selected_lost)
        return command_lost(cmd);
    cmd->leg = c->selected;
    cmd->mailbox = c->selected_name;
    return c->selected->ops->start(c->selected, cmd);
}

static enum step start_here(struct command *cmd)
{
    cmd->leg = client_leg(cmd->client, NULL);
    return cmd->leg->ops->start(cmd->leg, cmd);
}

/* The first command of a user who has no INBOX yet? */
static bool is_newcomers(struct command *cmd)
{
    struct client *c = cmd->client;

    if (c->looked_for_inbox || c->state == CLIENT_NOAUTH)
        return false;
    if (c->is_proxied && cmd->def->id == COMMAND_GETMETADATA) /* a frontend that still looks for a place */
        return false;
    c->looked_for_inbox = true;
    return newcomer_is(c);
}

static enum step start(struct command *cmd)
{
    notify_leave(cmd->client);
    if (is_newcomers(cmd)) {
        cmd->step = newcomer_step;
        return newcomer_step(cmd);
    }
    if ((cmd->def->flags & CMD_WRITES) != 0 && opt_switch(OPT_READONLY))
        return command_no(cmd, "NOPERM", "This server is read-only");
    switch (cmd->def->route) {
    case ROUTE_SELECTED:
        return start_selected(cmd);
    case ROUTE_MAILBOX:
        return route_start(cmd);
    case ROUTE_HERE:
        return start_here(cmd);
    default:
        return cmd->def->start(cmd);
    }
}

/* What is told before the tagged line.  False: more to tell when the output has drained. */
static bool tell_news(struct client *c, const struct command *cmd)
{
    bool expunges = (cmd->def->flags & CMD_QUIET) == 0 || cmd->uid;

    if (c->state != CLIENT_SELECTED || c->selected == NULL)
        return true;
    return c->selected->ops->sync(c->selected, expunges) != ERR_AGAIN;
}

/* Another server has changed its part of the list: its news are waited for (DESIGN 7, own writes). */
static bool in_final_barrier(struct command *cmd)
{
    const struct leg_program *program = leg_program();

    if ((cmd->def->flags & CMD_NAMES) == 0 || cmd->failed || cmd->leg == NULL || cmd->leg->server == NULL ||
        program->barrier_begin == NULL)
        return false;
    if (!cmd->final_barrier) {
        cmd->final_barrier = true;
        cmd->barrier = program->barrier_begin(cmd->client);
    }
    if (cmd->barrier == NULL || program->barrier_result(&cmd->barrier) != ERR_AGAIN)
        return false;
    cmd->wake_at = clock_deadline(LEG_BARRIER_MS);
    return true;
}

static enum step finish(struct command *cmd)
{
    struct client *c = cmd->client;

    if (in_final_barrier(cmd))
        return STEP_WAIT;
    notify_absorb(c, cmd);
    if (!tell_news(c, cmd))
        return c->mid_response ? STEP_WAIT : STEP_MORE; /* half a response: its leg waits for the rest */
    if (c->bye != NULL)
        return STEP_DONE;
    if (cmd->before != NULL && !cmd->failed)
        cmd->before(cmd);
    stream_puts(c->stream, cmd->tag);
    stream_write(c->stream, " ", 1);
    stream_puts(c->stream, cmd->final);
    stream_write(c->stream, "\r\n", 2);
    command_count(cmd, clock_us() - cmd->began_us);
    drop_literal(c, cmd);
    if (cmd->after != NULL)
        cmd->after(c);
    return STEP_DONE;
}

/* One step; STEP_DONE: the command is freed. */
static enum step step_command(struct client *c)
{
    struct command *cmd = c->command;
    enum step s = STEP_DONE;

    if (cmd->final == NULL) {
        cmd->wants_input = false;
        cmd->wake_at = CLOCK_NEVER;
        s = cmd->step != NULL ? cmd->step(cmd) : start(cmd);
        if (s == STEP_ELSEWHERE)
            s = route_again(cmd);
    }
    if (s == STEP_DONE && c->bye == NULL) {
        BUG_ON(cmd->final == NULL);
        s = finish(cmd);
    }
    if (s == STEP_DONE || c->bye != NULL) {
        free_command(c);
        s = STEP_DONE;
    }
    return s;
}

/* ---- what the assembler gives ---- */

static void refuse_text(struct client *c, const char *error)
{
    struct head head;
    int r = parse_head(buf_cstr(&c->input.text), c->input.text.len, &head);

    if (c->state == CLIENT_NOAUTH && (r < 0 || command_find(head.name, head.name_len) == NULL))
        login_note_bad(c->login);
    if (r == ERR_PROTOCOL)
        stream_puts(c->stream, "* BAD Invalid tag\r\n");
    else
        stream_printf(c->stream, "%.*s BAD %s\r\n", (int)head.tag_len, head.tag,
                      r < 0 ? "Null command" : error);
    input_reset(&c->input);
}

/* The collected text becomes a command, or is refused. */
static void take_text(struct client *c, bool sink)
{
    struct imap_literal literal = c->input.literal;
    const struct command_def *def;
    struct command *cmd;
    const char *why;
    struct head head;

    if (parse_head(buf_cstr(&c->input.text), c->input.text.len, &head) < 0) {
        refuse_text(c, "");
        return;
    }
    def = command_find(head.name, head.name_len);
    why = refuse(c, def, head.uid);
    if (why != NULL) {
        refuse_text(c, why);
        return;
    }
    cmd = new_command(c, &head, def);
    if (sink)
        command_literal_begin(cmd, &literal);
    if (opt_switch(OPT_CHATTY))
        LOG(LOG_DEBUG, IMAP_COMMAND, LOG_STR(NAME, def->name), LOG_STR(VALUE, cmd->tag));
    input_reset(&c->input);
}

/* Collects from what is readable: true if there is (or was) a command, false if bytes are missing. */
static bool next_command(struct client *c)
{
    struct input_limits limits;

    limits_of(c, &limits);
    switch (input_collect(&c->input, c->stream, &limits, decide_literal, c)) {
    case INPUT_MORE:
        return false;
    case INPUT_BAD:
        refuse_text(c, c->input.error != NULL ? c->input.error : "Invalid command");
        return true;
    case INPUT_COMMAND:
        take_text(c, false);
        return true;
    case INPUT_SINK:
        take_text(c, true);
        return true;
    }
    return false;
}

/* ---- not authenticated ---- */

enum engine_verdict dispatch_one(struct client *c)
{
    if (!next_command(c))
        return ENGINE_PARK;
    if (c->command == NULL)
        return ENGINE_AGAIN;
    if (c->command->def->route == ROUTE_LOGIN) {
        login_command(c->command);
        free_command(c);
        return ENGINE_AGAIN;
    }
    /* what runs before login is short: it ends in one step */
    BUG_ON(step_command(c) != STEP_DONE);
    return c->state == CLIENT_LOGOUT ? login_close(c->login) : ENGINE_AGAIN;
}

/* ---- authenticated ---- */

/* Takes bytes from the client.  1: some came; 0: none now; else the client is gone.  With more of them than
 * the stream holds, no more are wanted. */
static int fill(struct client *c, bool *want_input)
{
    int r = stream_fill(c->stream);

    if (r == ERR_TOOBIG)
        *want_input = false;
    c->is_drained = r > 0 && r < STREAM_FILL_LEAST;
    return r > 0 ? 1 : (r == ERR_AGAIN || r == ERR_TOOBIG ? 0 : r);
}

/* True while the output is so far behind that nothing more may be written. */
static bool is_blocked(struct client *c)
{
    if (stream_unsent(c->stream) >= STREAM_OUT_HIGH)
        stream_flush(c->stream);
    return stream_unsent(c->stream) >= STREAM_OUT_HIGH;
}

/* To the tail of the queue; what has been written goes out meanwhile. */
static enum engine_verdict yield(struct client *c)
{
    int r = stream_flush(c->stream);

    return r < 0 && r != ERR_AGAIN ? ENGINE_CLOSE : ENGINE_AGAIN;
}

/* A leg stops in the middle when its time is over or the output full: then its sources may not tell that there
 * is more. */
static bool must_go_on(struct client *c)
{
    return c->bye != NULL || session_slice_over(c->session) || stream_unsent(c->stream) >= STREAM_OUT_HIGH;
}

/* Nothing runs: legs without the selection may let go of what they hold.  When to ask again. */
static int64_t lull(struct client *c)
{
    int64_t again = CLOCK_NEVER;

    for (struct leg *leg = c->legs; leg != NULL; leg = leg->next) {
        int64_t at = leg != c->selected && leg->ops->lull != NULL ? leg->ops->lull(leg) : CLOCK_NEVER;

        again = at < again ? at : again;
    }
    return again;
}

static enum engine_verdict park(struct client *c, bool want_input, int64_t deadline)
{
    if (c->command == NULL) {
        int64_t again = lull(c);

        deadline = again < deadline ? again : deadline;
    }
    if (c->selected != NULL && c->selected->ops->between != NULL && c->command == NULL) {
        int64_t again;

        if (want_input) /* the client need not wait for what is closed now */
            stream_flush(c->stream);
        again = c->selected->ops->between(c->selected);
        deadline = again < deadline ? again : deadline;
        if (must_go_on(c))
            return ENGINE_AGAIN;
    }
    return login_park(c->login, want_input, deadline);
}

/* The command waits for its sources.  True: go on at once. */
static bool wait_command(struct client *c, enum engine_verdict *verdict_r)
{
    bool want_input = c->command->wants_input;
    int64_t due, deadline = c->command->wake_at;
    int r = want_input && !c->is_drained ? fill(c, &want_input) : 0;

    if (r > 0)
        return true;
    if (!c->command->wants_input) {
        due = command_progress_due(c->command);
        deadline = due < deadline ? due : deadline;
    }
    *verdict_r = r < 0 ? ENGINE_CLOSE : park(c, want_input, deadline);
    return false;
}

/* Nothing runs: the next command, or more bytes.  True: go on at once. */
static bool wait_client(struct client *c, enum engine_verdict *verdict_r)
{
    bool want_input = true, mid_response;
    int r;

    if (session_stopping(c->session)) {
        *verdict_r = login_bye(c->login, "Server is shutting down");
        return false;
    }
    if (notify_step(c))
        return true;
    if (!notify_is_busy(c) && next_command(c))
        return true;
    r = c->is_drained ? 0 : fill(c, &want_input); /* what has come since then will wake it */
    if (r > 0)
        return true;
    if (r < 0) {
        *verdict_r = ENGINE_CLOSE;
        return false;
    }
    mid_response = c->mid_response;
    *verdict_r = park(c, want_input, notify_deadline(c));
    if (mid_response && !c->mid_response) /* what has waited for its end */
        *verdict_r = ENGINE_AGAIN;
    return false;
}

/* The barrier at login (DESIGN 7): before the first command. */
static bool in_login_barrier(struct client *c)
{
    return c->barrier != NULL && leg_program()->barrier_result(&c->barrier) == ERR_AGAIN;
}

/* What must be looked at before anything else.  True: *verdict_r is the answer. */
static bool run_first(struct client *c, enum engine_verdict *verdict_r)
{
    if (c->bye != NULL)
        *verdict_r = login_bye(c->login, c->bye);
    else if (c->state == CLIENT_LOGOUT)
        *verdict_r = login_close(c->login);
    else if (c->state == CLIENT_NOBODYS)
        *verdict_r = login_unauthenticate(c->login);
    else if (session_slice_over(c->session))
        *verdict_r = yield(c);
    else if (is_blocked(c))
        *verdict_r = login_park(c->login, false, CLOCK_NEVER);
    else if (in_login_barrier(c))
        *verdict_r = login_park(c->login, false, clock_deadline(LEG_BARRIER_MS));
    else
        return false;
    return true;
}

enum engine_verdict dispatch_run(struct client *c)
{
    enum engine_verdict verdict;

    c->is_drained = false;
    for (;;) {
        client_slots_off(c);
        if (run_first(c, &verdict))
            return verdict;
        if (c->command == NULL) {
            if (!wait_client(c, &verdict))
                return verdict;
        } else if (step_command(c) == STEP_WAIT && !must_go_on(c) && !wait_command(c, &verdict)) {
            return verdict;
        }
    }
}
