/* front.c: the MUPDATE protocol's server side.
 *
 * A session reads commands from what has arrived; writes that stand in the buffer one behind the other are a job of
 * the writer's, which is waited for before anything else is answered.  LIST, UPDATE and NOOP go on over many runs:
 * `doing` says what; meanwhile no command is read. */
#include "mupdate/front.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/pool.h"
#include "lib/base/str.h"
#include "lib/name/identity.h"
#include "lib/stream/stream.h"
#include "mupdate/front-private.h"

enum {
    FRONT_MAGIC = 0x7bda7e0f,
    SHORT_READ = 1024,             /* bytes: there is hardly more behind it */
    FOUND_BYTES = 384,             /* of what FIND says, mostly */
    BATCH_COMMANDS = 256,          /* in one job */
    BATCH_BYTES = 256 * 1024,      /* of its memory */
    BATCH_ENTRIES = 512,           /* of a list, or of changes, in one read transaction */
    LIST_OUT = 256 * 1024,         /* of a list, until it is sent: a turn in the lane is dear */
    SOON_MS = 20,                  /* between looks at what a group has not settled yet */
    SETTLED_MS = 5 * 1000,         /* that this is waited for */
    NEVER_ANSWERED_MS = 60 * 1000, /* a barrier that waits longer ends the session */
    SILENCE_MS = 15 * 60 * 1000    /* that a client may always keep (RFC 3656 2) */
};

static struct front *front_of(struct login *l)
{
    struct front *f = l->front;

    MAGIC_CHECK(f, FRONT_MAGIC);
    return f;
}

/* ---- words ---- */

void front_put(struct front *f, const struct buf *text)
{
    stream_write(f->login->stream, text->data, text->len);
}

void front_answer(struct front *f, const char *tag, const char *word, const char *text)
{
    struct buf out = BUF_INIT;

    mupdate_put_line(&out, tag, word, text, NULL);
    front_put(f, &out);
    buf_free(&out);
}

/* RFC 3656 3.8; the mechanisms as strings, as Cyrus has them. */
static void banner(struct login *l)
{
    struct front *f = front_of(l);
    struct str_list mechs = str_split(l->pool, login_mechanisms(l), " ");
    struct buf out = BUF_INIT;

    buf_puts(&out, "* AUTH");
    for (size_t i = 0; i < mechs.count; i++) {
        buf_putc(&out, ' ');
        mupdate_put_string(&out, mechs.items[i]);
    }
    buf_puts(&out, "\r\n");
    if (login_may_starttls(l))
        buf_puts(&out, "* STARTTLS\r\n");
    buf_puts(&out, "* COMPRESS \"DEFLATE\"\r\n* PARTIAL-UPDATE\r\n* X-RESUME\r\n* X-DETAILS\r\n");
    mupdate_put_line(&out, "*", "OK MUPDATE", config_servername(), PACKAGE_NAME, PACKAGE_VERSION,
                     f->server->role, NULL);
    front_put(f, &out);
    buf_free(&out);
}

static void put_entry(struct buf *out, const char *tag, const struct entry *entry, bool detailed)
{
    if (entry->state == MUPDATE_ACTIVE && detailed)
        mupdate_put_line(out, tag, "MAILBOX", entry->name, entry->location, entry->acl, entry->details.id,
                         entry->details.type, entry->details.special_use, NULL);
    else if (entry->state == MUPDATE_ACTIVE)
        mupdate_put_line(out, tag, "MAILBOX", entry->name, entry->location, entry->acl, NULL);
    else if (entry->state == MUPDATE_IS_RESERVED)
        mupdate_put_line(out, tag, "RESERVE", entry->name, entry->location, NULL);
    else
        mupdate_put_line(out, tag, "DELETE", entry->name, NULL);
}

/* ---- writes, many in a job ---- */

static bool is_batch_full(const struct front *f)
{
    return f->job != NULL && (f->job->count >= BATCH_COMMANDS || pool_footprint(f->job->pool) >= BATCH_BYTES);
}

static void add_write(struct front *f, enum mupdate_verb verb, const struct mupdate_line *line)
{
    const struct mupdate_details details = {line->args[3], line->args[4], line->args[5]};
    const struct write_command command = {.verb = verb,
                                          .tag = line->tag,
                                          .name = line->args[0],
                                          .location = line->count > 1 ? line->args[1] : NULL,
                                          .acl = line->count > 2 ? line->args[2] : NULL,
                                          .details = line->count > 3 ? &details : NULL};

    if (f->job == NULL)
        f->job = write_job_new();
    write_job_add(f->job, &command);
}

static void submit_writes(struct front *f)
{
    f->doing = WRITING;
    f->job->forwarded = f->member;
    writer_submit(f->server->writer, f->job, f->login->session);
}

static const char *job_text(const struct write_job *job, const struct write_command *c)
{
    switch (job->error) {
    case 0:
        return names_result_text(c->result);
    case ERR_UNAVAILABLE:
        return MUPDATE_NOT_DONE;
    case ERR_UNKNOWN:
        return MUPDATE_NO_QUORUM "outcome unknown";
    default:
        return "database error";
    }
}

/* Answers the commands of a job that is done. */
static void answer_writes(struct front *f)
{
    struct buf out = BUF_INIT;

    for (const struct write_command *c = f->job->first; c != NULL; c = c->next) {
        bool done = f->job->error == 0 && c->result == NAMES_DONE;

        if (f->job->error == 0 && c->result == NAMES_CONFLICT)
            conflicts_note(f->server->conflicts, c->name, c->location, clock_ms());
        mupdate_put_line(&out, c->tag, done ? "OK" : "NO", job_text(f->job, c), NULL);
    }
    if (f->go_ahead)
        buf_puts(&out, "+ go ahead\r\n");
    f->go_ahead = false;
    front_put(f, &out);
    buf_free(&out);
    write_job_free(&f->job);
    f->doing = IDLE;
}

/* At the end of a session: what it has said is done and answered first. */
static void finish_writes(struct front *f)
{
    if (f->job == NULL)
        return;
    if (f->doing != WRITING)
        submit_writes(f);
    writer_wait(f->server->writer, f->job);
    answer_writes(f);
}

/* ---- reading lines ---- */

/* The next line of what has arrived, without reading more: 1, 0, ERR_SYNTAX (the tag is there), ERR_TOOBIG. */
static int buffered_line(struct front *f, const struct mupdate_line **line_r)
{
    size_t len, used;
    const char *data;
    int r;

    if (f->held != NULL) {
        *line_r = f->held;
        f->held = NULL;
        return f->held_result;
    }
    data = stream_data(f->login->stream, &len);
    if (len == 0)
        return 0;
    r = mupdate_parser_feed(f->parser, data, len, &used, line_r);
    stream_consume(f->login->stream, used);
    if (mupdate_parser_go_ahead(f->parser)) {
        f->go_ahead = f->job != NULL; /* answers come in order */
        if (!f->go_ahead)
            stream_puts(f->login->stream, "+ go ahead\r\n");
    }
    return r;
}

/* ---- before login ---- */

static enum engine_verdict front_greeting(struct login *l)
{
    const struct door *door = login_service_context(l->service);
    struct front *f = xcalloc(1, sizeof(*f));
    struct stream_probes probes = stream_probes_configured(true);

    f->magic = FRONT_MAGIC;
    f->login = l;
    f->door = door;
    f->server = door->server;
    f->read_only = door->local || door->server->writer == NULL;
    f->parser = mupdate_parser_new();
    mupdate_parser_limit(f->parser, LOGIN_SASL_LINE_MAX);
    l->front = f;
    stream_probe_peer(stream_fd(l->stream), &probes); /* slaves and links say nothing for long */
    if (door->local)
        login_preauth(l, "mupdate");
    banner(l);
    return ENGINE_AGAIN;
}

static void begin_authenticate(struct login *l, const struct mupdate_line *line)
{
    const char *initial = line->count > 1 ? line->args[1] : NULL;

    if (line->count < 1 || line->count > 2)
        front_answer(front_of(l), line->tag, "BAD", "Usage: AUTHENTICATE mechanism [initial response]");
    else
        login_authenticate(l, line->args[0], initial != NULL && initial[0] == '\0' ? "=" : initial);
}

static void preauth_bad(struct login *l, const char *tag, const char *text)
{
    login_note_bad(l);
    front_answer(front_of(l), tag, "BAD", text);
}

static enum engine_verdict preauth_line(struct login *l, const struct mupdate_line *line)
{
    struct front *f = front_of(l);

    str_copy(f->tag, sizeof(f->tag), line->tag);
    if (str_ieq(line->word, "AUTHENTICATE")) {
        begin_authenticate(l, line);
    } else if (str_ieq(line->word, "STARTTLS") && login_may_starttls(l)) {
        front_answer(f, line->tag, "OK", "Begin TLS negotiation now");
        login_starttls(l);
    } else if (str_ieq(line->word, "STARTTLS")) {
        front_answer(f, line->tag, login_is_tls(l) ? "NO" : "BAD", "STARTTLS is not available");
    } else if (str_ieq(line->word, "LOGOUT")) {
        front_answer(f, line->tag, "OK", "bye-bye");
        return login_close(l);
    } else {
        preauth_bad(l, line->tag, "Please login first");
    }
    return ENGINE_AGAIN;
}

static enum engine_verdict front_command(struct login *l)
{
    struct front *f = front_of(l);
    const struct mupdate_line *line;
    int r;

    if (f->server->stopping)
        return login_bye(l, "Server is shutting down");
    r = buffered_line(f, &line);
    if (r == 0)
        return ENGINE_PARK;
    if (r == 1)
        return preauth_line(l, line);
    if (r == ERR_TOOBIG)
        return login_bye(l, "Command too long");
    preauth_bad(l, line->tag, "Need Command");
    return ENGINE_AGAIN;
}

static void front_challenge(struct login *l, const char *base64)
{
    stream_printf(l->stream, "%s\r\n", base64);
}

/* "All authenticated users have complete access" (RFC 3656 7): so only administrators are let in. */
static int front_authorize(struct login *l, const char **text_r)
{
    if (l->identity->is_admin)
        return 0;
    *text_r = "only administrators may use this service";
    return ERR_DENIED;
}

static void front_result(struct login *l, const struct login_result *result)
{
    struct front *f = front_of(l);

    switch (result->code) {
    case LOGIN_OK:
        front_answer(f, f->tag, "OK", "Authenticated");
        break;
    case LOGIN_CANCELLED:
    case LOGIN_BAD:
        front_answer(f, f->tag, "BAD", result->text);
        break;
    default:
        front_answer(f, f->tag, "NO", result->text);
    }
}

static enum engine_verdict front_authenticated(struct login *l)
{
    struct front *f = front_of(l);
    int64_t timeout = opt_duration_ms(OPT_TIMEOUT);

    if (timeout >= 0 && timeout < SILENCE_MS)
        login_set_timeout(l, SILENCE_MS);
    mupdate_parser_limit(f->parser, MUPDATE_LINE_MAX);
    f->place = hub_join(f->server->hub, l->session);
    return ENGINE_AGAIN;
}

/* ---- commands ---- */

/* The words for what cannot be read.  ERR_AGAIN: a group's member without a whole list. */
static const char *failure_text(int r)
{
    return r == ERR_AGAIN ? MUPDATE_NO_QUORUM "what is here may be old" : error_text(r);
}

/* False: in a group, there is no whole list here yet.  `stale`: no member could be asked that is elected; then a name that is not
 * here may be elsewhere, and whoever were told that it is nowhere might send mail back. */
static bool find(struct front *f, const char *tag, const char *name, bool last, bool stale)
{
    struct buf out = BUF_INIT;
    struct entry entry;
    bool settled;
    int r;

    if (f->pool == NULL)
        f->pool = pool_new(0);
    r = f->server->source->ops->find(f->server->source, name, f->pool, &entry);
    settled = r != ERR_AGAIN || last;
    buf_reserve(&out, FOUND_BYTES);
    if (r == 0)
        put_entry(&out, tag, &entry, false);
    if (r == ERR_NOTFOUND && stale)
        mupdate_put_line(&out, tag, "NO", MUPDATE_NO_QUORUM "what is here may be old", NULL);
    else if (r == 0 || r == ERR_NOTFOUND)
        mupdate_put_line(&out, tag, "OK", stale ? "Search completed, maybe stale" : "Search completed", NULL);
    else if (settled)
        mupdate_put_line(&out, tag, "NO", failure_text(r), NULL);
    front_put(f, &out);
    buf_free(&out);
    pool_reset(f->pool);
    return settled;
}

/* In a group the elected member is asked first how far it is, and makes sure that it still is elected. */
static void do_find(struct front *f, const struct mupdate_line *line)
{
    const struct door *door = f->door;
    bool ask = f->server->group != NULL;

    if (!ask && find(f, line->tag, line->args[0], false, false))
        return;
    f->doing = FINDING;
    str_copy(f->tag, sizeof(f->tag), line->tag);
    f->name = xstrdup(line->args[0]);
    f->deadline = clock_deadline(SETTLED_MS);
    hub_listen(f->place, true);
    f->ticket = ask ? door->barrier_ask(door->barrier_context) : 0;
}

/* A conflict that is still one, on a line; else it is forgotten. */
static void put_conflict(struct front *f, const char *tag, const struct conflict *conflict, struct pool *pool,
                         struct buf *out)
{
    struct source *source = f->server->source;
    size_t len = strcspn(conflict->claimant, "!");
    struct entry entry;
    int r = source->ops->find(source, conflict->name, pool, &entry);

    if (r != 0 && r != ERR_NOTFOUND)
        return;
    if (r == ERR_NOTFOUND || entry.state != MUPDATE_ACTIVE ||
        (strncmp(entry.location, conflict->claimant, len) == 0 && strcspn(entry.location, "!") == len)) {
        conflicts_forget(f->server->conflicts, conflict->name, conflict->claimant);
        return;
    }
    mupdate_put_line(out, tag, "CONFLICT", conflict->name, entry.location, conflict->claimant,
                     pool_printf(pool, "%" PRIu64, conflict->count),
                     pool_printf(pool, "%" PRId64, (clock_ms() - conflict->last) / 1000), NULL);
}

static void do_conflicts(struct front *f, const struct mupdate_line *line)
{
    struct pool *pool = pool_new(0);
    struct buf out = BUF_INIT;
    size_t count;
    struct conflict *list = conflicts_list(f->server->conflicts, clock_ms(), pool, &count);

    for (size_t i = 0; i < count; i++)
        put_conflict(f, line->tag, &list[i], pool, &out);
    mupdate_put_line(&out, line->tag, "OK", "that is all", NULL);
    front_put(f, &out);
    buf_free(&out);
    pool_free(&pool);
}

static void begin_list(struct front *f, enum doing doing, const char *tag)
{
    f->doing = doing;
    str_copy(f->tag, sizeof(f->tag), tag);
    f->deadline = CLOCK_NEVER;
    f->cursor = f->server->source->ops->list_begin(f->server->source);
}

static void do_list(struct front *f, const struct mupdate_line *line)
{
    f->detailed = str_ieq(line->word, "DETAILS");
    free(f->prefix);
    f->prefix = line->count > 0 ? xstrdup(line->args[0]) : NULL;
    begin_list(f, LISTING, line->tag);
}

static void free_hosts(struct front *f)
{
    for (size_t i = 0; i < f->n_hosts; i++)
        free(f->hosts[i]);
    free(f->hosts);
    f->hosts = NULL;
    f->n_hosts = 0;
}

static void begin_update(struct front *f, const char *tag)
{
    hub_listen(f->place, true);
    f->sent = f->server->source->ops->sequence(f->server->source);
    str_copy(f->update_tag, sizeof(f->update_tag), tag);
    begin_list(f, STARTING_UPDATE, tag);
}

static void do_update(struct front *f, const struct mupdate_line *line)
{
    free_hosts(f); /* of one that failed */
    if (line->count > 0)
        f->hosts = xcalloc(line->count, sizeof(*f->hosts));
    for (; f->n_hosts < line->count; f->n_hosts++)
        f->hosts[f->n_hosts] = xstrdup(line->args[f->n_hosts]);
    f->positions = f->detailed = false;
    begin_update(f, line->tag);
}

/* XCHANGES, XLIST, XPOSITION: an epoch and a sequence. */
static void put_position(struct front *f, const char *tag, const char *word, uint64_t sequence)
{
    struct source *source = f->server->source;

    stream_printf(f->login->stream, "%s %s \"%" PRIu64 "\" \"%" PRIu64 "\"\r\n", tag, word,
                  source->ops->epoch(source), sequence);
}

/* Is everything behind the position still known?  (A sequence that has not been given yet is of another copy.) */
static bool can_resume(struct front *f, uint64_t epoch, uint64_t sequence)
{
    struct source *source = f->server->source;

    return epoch == source->ops->epoch(source) && sequence <= source->ops->sequence(source) &&
           source->ops->changes(source, &sequence, 0, NULL, NULL) == 0;
}

static void do_xupdate(struct front *f, const struct mupdate_line *line)
{
    struct source *source = f->server->source;
    uint64_t epoch, sequence, now = source->ops->sequence(source);

    if (str_parse_u64(line->args[0], strlen(line->args[0]), &epoch) < 0 ||
        str_parse_u64(line->args[1], strlen(line->args[1]), &sequence) < 0) {
        front_answer(f, line->tag, "BAD", "Usage: XUPDATE epoch sequence");
        return;
    }
    if (source->ops->changes(source, &now, 0, NULL, NULL) ==
        ERR_AGAIN) { /* it may resume, here or elsewhere, soon */
        front_answer(f, line->tag, "NO", failure_text(ERR_AGAIN));
        return;
    }
    free_hosts(f);
    f->positions = f->detailed = true;
    if (can_resume(f, epoch, sequence)) {
        put_position(f, line->tag, "XCHANGES", sequence);
        hub_listen(f->place, true);
        str_copy(f->update_tag, sizeof(f->update_tag), line->tag);
        f->sent = sequence;
        f->subscribed = true;
        front_answer(f, line->tag, "OK", "streaming starts");
    } else {
        begin_update(f, line->tag);
        put_position(f, line->tag, "XLIST", f->sent);
    }
}

/* Behind its OK everything is compressed, both ways (RFC 4978, as Cyrus has it here). */
static void do_compress(struct front *f, const struct mupdate_line *line)
{
    if (!str_ieq(line->args[0], "DEFLATE")) {
        front_answer(f, line->tag, "NO", "no such compression");
    } else if (stream_is_deflate(f->login->stream)) {
        front_answer(f, line->tag, "NO", "compression is on already");
    } else {
        front_answer(f, line->tag, "OK", "DEFLATE active");
        f->doing = COMPRESSING;
    }
}

void front_noop(struct front *f, const struct mupdate_line *line)
{
    const struct door *door = f->door;

    f->doing = WAITING;
    str_copy(f->tag, sizeof(f->tag), line->tag);
    hub_listen(f->place, true);
    f->ticket = door->barrier_ask != NULL ? door->barrier_ask(door->barrier_context) : 0;
    f->wanted = 0;
    f->deadline = clock_deadline(NEVER_ANSWERED_MS);
}

enum command_kind { WRITE, READ, ALWAYS }; /* ALWAYS: behind an UPDATE too */

static const struct command {
    const char *word;
    unsigned min, max; /* arguments */
    enum command_kind kind;
    enum mupdate_verb verb; /* of WRITE */
    void (*fn)(struct front *f, const struct mupdate_line *line);
} commands[] = {
    {"ACTIVATE", 3, 6, WRITE, MUPDATE_ACTIVATE, NULL},
    {"COMPRESS", 1, 1, READ, 0, do_compress},
    {"DEACTIVATE", 2, 2, WRITE, MUPDATE_DEACTIVATE, NULL},
    {"DELETE", 1, 1, WRITE, MUPDATE_DELETE, NULL},
    {"RESERVE", 2, 2, WRITE, MUPDATE_RESERVE, NULL},
    {"CONFLICTS", 0, 0, READ, 0, do_conflicts},
    {"DETAILS", 0, 1, READ, 0, do_list},
    {"FIND", 1, 1, READ, 0, do_find},
    {"LIST", 0, 1, READ, 0, do_list},
    {"NOOP", 0, 0, ALWAYS, 0, front_noop},
    {"XCOPY", 2, 2, READ, 0, front_xcopy},
    {"XFOLLOW", 10, 10, READ, 0, front_xfollow},
    {"XGROUP", 0, 2, READ, 0, front_xgroup},
    {"XLEADS", 4, 4, READ, 0, front_xleads},
    {"XMEMBER", 0, 0, READ, 0, front_xmember},
    {"XROWS", 4, 4, READ, 0, front_xrows},
    {"XVISIBLE", 0, 0, READ, 0, front_xvisible},
    {"XVOTE", 6, 6, READ, 0, front_xvote},
    {"XWHERE", 0, 0, READ, 0, front_xwhere},
    {"UPDATE", 0, MUPDATE_ARGS_MAX, READ, 0, do_update},
    {"XUPDATE", 2, 2, READ, 0, do_xupdate},
};

static const struct command *find_command(const char *word)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (str_ieq(commands[i].word, word))
            return &commands[i];
    return NULL;
}

/* Why a command is not done; NULL: it is. */
static const char *refusal(const struct front *f, const struct command *c, const struct mupdate_line *line)
{
    if (c == NULL)
        return "Unrecognized command";
    if (line->count < c->min)
        return "Missing arguments";
    if (line->count > c->max)
        return "Extra arguments";
    if (c->kind == WRITE && c->max == 6 && line->count > 3 && line->count < 6)
        return "Either three arguments or six";
    if (c->kind == WRITE && f->read_only)
        return "read-only session";
    if (c->kind != ALWAYS && f->subscribed)
        return "only NOOP and LOGOUT while updates are streamed";
    return NULL;
}

static bool is_write(const struct front *f, const struct mupdate_line *line)
{
    const struct command *c = find_command(line->word);

    return c != NULL && c->kind == WRITE && refusal(f, c, line) == NULL;
}

/* False: the session ends. */
static bool do_line(struct front *f, const struct mupdate_line *line)
{
    const struct command *c = find_command(line->word);
    const char *why = refusal(f, c, line);

    if (str_ieq(line->word, "LOGOUT")) {
        front_answer(f, line->tag, "OK", "bye-bye");
        return false;
    }
    if (why != NULL)
        front_answer(f, line->tag, "BAD", why);
    else if (c->kind == WRITE)
        add_write(f, c->verb, line);
    else
        c->fn(f, line);
    return true;
}

/* ---- what goes on over many runs ---- */

struct emission {
    struct front *front;
    const char *tag;
    struct buf out;
};

static bool on_a_host(const struct front *f, const char *location)
{
    size_t len = strcspn(location, "!");

    for (size_t i = 0; i < f->n_hosts; i++)
        if (strncmp(f->hosts[i], location, len) == 0 && f->hosts[i][len] == '\0')
            return true;
    return f->n_hosts == 0;
}

static void emit_listed(const struct entry *entry, void *context)
{
    struct emission *e = context;
    const struct front *f = e->front;

    if (f->doing == LISTING ? f->prefix == NULL || str_has_prefix(entry->location, f->prefix)
                            : on_a_host(f, entry->location))
        put_entry(&e->out, e->tag, entry, f->detailed);
}

/* A name that is on none of a partial update's hosts may have been on one before. */
static void emit_change(const struct entry *entry, void *context)
{
    struct emission *e = context;
    struct entry gone = {.state = MUPDATE_ABSENT, .name = entry->name};

    put_entry(&e->out, e->tag, on_a_host(e->front, entry->location) ? entry : &gone, e->front->detailed);
}

static void end_list(struct front *f, int r)
{
    f->server->source->ops->list_end(&f->cursor);
    if (r < 0)
        front_answer(f, f->tag, "NO", failure_text(r));
    else
        front_answer(f, f->tag, "OK", f->doing == LISTING ? "list complete" : "streaming starts");
    f->subscribed = r == 0 && f->doing == STARTING_UPDATE;
    hub_listen(f->place, f->subscribed);
    f->doing = IDLE;
}

/* False: wait a little. */
static bool list_step(struct front *f)
{
    struct emission e = {.front = f, .tag = f->tag};
    int r = f->server->source->ops->list_next(f->cursor, BATCH_ENTRIES, emit_listed, &e);

    front_put(f, &e.out);
    buf_free(&e.out);
    if (r == ERR_AGAIN) {
        if (f->deadline == CLOCK_NEVER)
            f->deadline = clock_deadline(SETTLED_MS);
        if (clock_left(f->deadline) != 0)
            return false;
    } else {
        f->deadline = CLOCK_NEVER;
    }
    if (r <= 0)
        end_list(f, r);
    return true;
}

static bool changes_wait(const struct front *f)
{
    return f->subscribed && f->sent < f->server->source->ops->sequence(f->server->source);
}

/* 0, or why the stream cannot go on. */
static int changes_step(struct front *f)
{
    struct emission e = {.front = f, .tag = f->update_tag};
    int r = f->server->source->ops->changes(f->server->source, &f->sent, BATCH_ENTRIES, emit_change, &e);

    if (r == 0)
        front_put(f, &e.out);
    else
        buf_reset(&e.out);
    if (r == 0 && f->positions)
        put_position(f, f->update_tag, "XPOSITION", f->sent);
    buf_free(&e.out);
    return r;
}

/* Has everything before the NOOP been done and written? */
static bool barrier_step(struct front *f)
{
    const struct door *door = f->door;
    int done;

    if (f->wanted == 0) {
        done = door->barrier_done != NULL ? door->barrier_done(door->barrier_context, f->ticket) : 1;
        if (done == 0)
            return false;
        f->away = done < 0;
        f->wanted = f->server->source->ops->sequence(f->server->source) + 1; /* one more: 0 means not yet */
    }
    if (f->subscribed && f->sent + 1 < f->wanted)
        return false;
    /* a frontend's process must know; who follows us over the network has what there is to have, unless it could ask
     * another member */
    if (f->where && f->away)
        front_answer(f, f->tag, "NO", MUPDATE_NO_QUORUM "what is here may be old");
    else if (f->where)
        front_put_visible(f, f->tag);
    else if (f->away && (door->local || (f->server->group != NULL && f->positions)))
        front_answer(f, f->tag, "NO",
                     door->local ? "the master is away" : MUPDATE_NO_QUORUM "what is here may be old");
    else
        front_answer(f, f->tag, "OK", "Noop done");
    f->where = false;
    hub_listen(f->place, f->subscribed);
    f->doing = IDLE;
    return true;
}

/* ---- the run ---- */

/* False: wait. */
static bool find_step(struct front *f)
{
    const struct door *door = f->door;
    bool late = clock_left(f->deadline) == 0;
    int done = f->ticket != 0 ? door->barrier_done(door->barrier_context, f->ticket) : 1;

    if (done == 0 && !late)
        return false;
    if (!find(f, f->tag, f->name, late, done <= 0))
        return false;
    free(f->name);
    f->name = NULL;
    hub_listen(f->place, f->subscribed);
    f->doing = IDLE;
    return true;
}

enum step {
    STEP_ON,
    STEP_INPUT,
    STEP_EVENT,
    STEP_OUTPUT,
    STEP_WOKEN,
    STEP_SOON,
    STEP_LOGOUT,
    STEP_LAGGING,
    STEP_TOO_LONG,
    STEP_SLOW
};

/* A line that has been read.  STEP_ON: go on reading. */
static enum step take_line(struct front *f, const struct mupdate_line *line, int r)
{
    if (f->job != NULL && (r != 1 || !is_write(f, line))) { /* answers come in order */
        f->held = line;
        f->held_result = r;
        submit_writes(f);
        return STEP_ON;
    }
    if (r == ERR_TOOBIG)
        return STEP_TOO_LONG;
    if (r == ERR_SYNTAX)
        front_answer(f, line->tag, "BAD", "Need Command");
    else if (!do_line(f, line))
        return STEP_LOGOUT;
    return STEP_ON;
}

/* Reads and does commands that have arrived, until one takes longer. */
static enum step read_commands(struct front *f)
{
    const struct mupdate_line *line;
    enum step next = STEP_ON;
    int r = 1;

    while (f->doing == IDLE && !is_batch_full(f) && stream_unsent(f->login->stream) <= STREAM_OUT_HIGH) {
        r = buffered_line(f, &line);
        if (r == 0)
            break;
        next = take_line(f, line, r);
        if (next != STEP_ON)
            return next;
    }
    if (f->doing == IDLE && f->job != NULL)
        submit_writes(f);
    if (f->doing != IDLE || r != 0 || changes_wait(f))
        return STEP_ON;
    if (f->had_all) { /* the next wake, if not: a read that finds nothing is a fifth of what a FIND costs */
        f->had_all = false;
        return STEP_INPUT;
    }
    r = stream_fill(f->login->stream);
    if (r == ERR_AGAIN)
        return STEP_INPUT;
    f->had_all = r > 0 && r < SHORT_READ;
    return r > 0 ? STEP_ON : STEP_LOGOUT;
}

/* A session that writes has no UPDATE on: nothing else is to be written meanwhile. */
static enum step write_step(struct front *f)
{
    if (!writer_done(f->server->writer, f->job))
        return STEP_WOKEN;
    answer_writes(f);
    return STEP_ON;
}

/* The answer leaves in clear first. */
static enum step compress_step(struct front *f)
{
    int r = stream_flush(f->login->stream);

    if (r == ERR_AGAIN)
        return STEP_OUTPUT;
    f->doing = IDLE;
    return r < 0 || stream_deflate_begin(f->login->stream) < 0 ? STEP_LOGOUT : STEP_ON;
}

static enum step stream_step(struct front *f)
{
    int r = changes_step(f);

    if (r == ERR_AGAIN)
        return STEP_SOON;
    return r < 0 ? STEP_LAGGING : STEP_ON;
}

static enum step step(struct front *f)
{
    bool listing = f->doing == LISTING || f->doing == STARTING_UPDATE;

    if (stream_unsent(f->login->stream) > (listing ? LIST_OUT : STREAM_OUT_HIGH)) {
        stream_flush(f->login->stream);
        if (stream_unsent(f->login->stream) > STREAM_OUT_HIGH)
            return STEP_OUTPUT;
    }
    if (listing) {
        if (!lanes_enter(f->server->lanes, &f->lane, f->login->session))
            return STEP_WOKEN;
        return list_step(f) ? STEP_ON : STEP_SOON;
    }
    if (f->doing == FINDING)
        return find_step(f) ? STEP_ON : STEP_SOON;
    if (f->doing == FOLLOWING)
        return front_follow_step(f) ? STEP_ON : STEP_EVENT;
    if (f->doing == REMOVING)
        return front_remove_step(f) ? STEP_ON : STEP_SOON;
    if (f->doing == COMPRESSING)
        return compress_step(f);
    if (f->doing == WRITING)
        return write_step(f);
    if (changes_wait(f))
        return stream_step(f);
    if (f->doing == WAITING) {
        if (barrier_step(f))
            return STEP_ON;
        return clock_left(f->deadline) == 0 ? STEP_SLOW : STEP_EVENT;
    }
    return read_commands(f);
}

static enum engine_verdict front_run(struct login *l)
{
    struct front *f = front_of(l);
    enum step next = STEP_ON;

    if (f->server->stopping || session_stopping(l->session))
        return login_bye(l, "Server is shutting down");
    while (next == STEP_ON && !session_slice_over(l->session))
        next = step(f);
    pool_free(&f->pool);
    if (next != STEP_WOKEN)
        lanes_leave(f->server->lanes, &f->lane);
    switch (next) {
    case STEP_ON:
        return ENGINE_AGAIN;
    case STEP_INPUT:
        if (mupdate_parser_idle(f->parser))
            mupdate_parser_reset(f->parser);
        return login_park(l, true, CLOCK_NEVER);
    case STEP_EVENT:
        return login_park(l, false, f->deadline);
    case STEP_OUTPUT:
    case STEP_WOKEN:
        return login_park(l, false, CLOCK_NEVER);
    case STEP_SOON:
        return login_park(l, false, clock_deadline(SOON_MS));
    case STEP_LAGGING:
        return login_bye(l, "too far behind");
    case STEP_TOO_LONG:
        return login_bye(l, "Command too long");
    case STEP_SLOW:
        return login_bye(l, "no answer in time");
    case STEP_LOGOUT:
        break;
    }
    finish_writes(f);
    return login_close(l);
}

static void front_bye(struct login *l, const char *text)
{
    struct front *f = front_of(l);

    finish_writes(f);
    front_answer(f, "*", "BYE", text);
}

static void front_close(struct login *l)
{
    struct front *f = front_of(l);

    hub_leave(&f->place);
    lanes_leave(f->server->lanes, &f->lane);
    if (f->doing == WRITING)
        writer_wait(f->server->writer, f->job);
    write_job_free(&f->job);
    if (f->cursor != NULL)
        f->server->source->ops->list_end(&f->cursor);
    free_hosts(f);
    free(f->prefix);
    free(f->name);
    free(f->fetch);
    mupdate_parser_free(&f->parser);
    f->magic = 0;
    free(f);
    l->front = NULL;
}

const struct login_ops front_ops = {
    .magic = LOGIN_OPS_MAGIC,
    .sasl_service = "mupdate",
    .greeting = front_greeting,
    .command = front_command,
    .challenge = front_challenge,
    .authorize = front_authorize,
    .result = front_result,
    .tls_started = banner,
    .authenticated = front_authenticated,
    .run = front_run,
    .bye = front_bye,
    .close = front_close,
};
