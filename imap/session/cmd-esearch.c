/* cmd-esearch.c: ESEARCH (RFC 7377): the mailboxes are chosen here, and their servers search, at the same time. */
#include <string.h>

#include "imap/session/commands.h"
#include "imap/session/route.h"
#include "imap/session/search-return.h"
#include "imap/session/sources.h"
#include "imap/session/spread.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/stream/stream.h"

enum {
    SOURCES_MAX = 100,     /* of one command */
    MAILBOXES_MAX = 10000, /* likewise */
};

struct esearch {
    struct source *sources;
    size_t source_count;
    bool selected;       /* the selected mailbox is one of them, by that word */
    const char *program; /* behind the sources */
    size_t program_len;
    struct source_walk *walk;
    struct spread spread;
    size_t mailboxes;
    struct leg_search *searches; /* one a part */
    bool more, blocked;          /* what the parts said in this step */
};

static void esearch_cleanup(struct command *cmd)
{
    struct esearch *e = cmd->state;

    for (size_t i = 0; e->searches != NULL && i < e->spread.count; i++) {
        struct leg *leg = e->spread.parts[i].leg;

        leg->ops->search_end(leg, &e->searches[i]);
    }
    source_walk_free(&e->walk);
    spread_reset(&e->spread);
}

/* ---- searching ---- */

static int ask(struct command *cmd, struct spread_part *part, void *context)
{
    struct esearch *e = context;
    struct leg_search *search = &e->searches[part - e->spread.parts];
    int r = part->leg->ops->search(part->leg, cmd, search);

    if (r == ERR_AGAIN && search->blocked)
        e->blocked = true;
    if (r != 1)
        return r;
    e->more = true;
    return ERR_AGAIN;
}

/* A BAD is said before a NO: whatever the others found, the command was wrong. */
static const char *worst_answer(const struct esearch *e)
{
    const char *worst = NULL;

    for (size_t i = 0; i < e->spread.count; i++) {
        const char *answer = e->searches[i].answer;

        if (answer != NULL &&
            (worst == NULL || (str_has_iprefix(answer, "BAD") && !str_has_iprefix(worst, "BAD"))))
            worst = answer;
    }
    return worst;
}

static enum step run_step(struct command *cmd)
{
    struct esearch *e = cmd->state;
    struct client *c = cmd->client;
    const char *answer;

    e->more = e->blocked = false;
    if (spread_run(&e->spread, cmd, ask, e) == ERR_AGAIN) {
        /* whoever was blocked may go on as soon as nobody is in the middle of a response */
        bool again =
            e->more || (e->blocked && !c->mid_response) || stream_unsent(c->stream) >= STREAM_OUT_HIGH;

        return again ? STEP_MORE : STEP_WAIT;
    }
    answer = worst_answer(e);
    return answer != NULL ? command_pass(cmd, answer, strlen(answer)) : command_ok(cmd, NULL, "Completed");
}

static enum step begin_search(struct command *cmd)
{
    struct esearch *e = cmd->state;

    e->searches = pool_alloc(cmd->pool, (e->spread.count + 1) * sizeof(*e->searches));
    for (size_t i = 0; i < e->spread.count; i++)
        e->searches[i] = (struct leg_search){
            .batch = &e->spread.parts[i].batch, .program = e->program, .len = e->program_len};
    command_progress(cmd, 0, (uint32_t)e->mailboxes);
    cmd->step = run_step;
    return run_step(cmd);
}

/* Nothing is to be searched, and yet somebody has to look at what is searched for: the server of the INBOX. */
static enum step nobody_step(struct command *cmd)
{
    struct esearch *e = cmd->state;
    struct leg *leg;
    int r = route_inbox(cmd, &leg);

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (r == ERR_NOTFOUND)
        return command_ok(cmd, NULL, "Completed");
    if (r < 0)
        return command_error(cmd, r);
    spread_part(&e->spread, leg);
    return begin_search(cmd);
}

/* ---- the mailboxes ---- */

static int add_mailbox(struct esearch *e, struct leg *leg, const char *internal)
{
    if (leg == NULL)
        return ERR_UNAVAILABLE;
    if (e->mailboxes == MAILBOXES_MAX)
        return ERR_LIMIT;
    e->mailboxes++;
    leg_batch_add(&spread_part(&e->spread, leg)->batch, internal);
    return 0;
}

static int take_mailbox(struct client *c, const struct mboxlist_record *record, void *context)
{
    struct esearch *e = context;

    if (e->selected && strcmp(record->name, c->selected_name) == 0)
        return 0;
    return add_mailbox(e, route_leg(c, record), record->name);
}

static enum step walk_step(struct command *cmd)
{
    struct esearch *e = cmd->state;
    int r = source_walk_step(e->walk, take_mailbox, e);

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (r == ERR_LIMIT)
        return command_no(cmd, "LIMIT", "More than %d mailboxes", MAILBOXES_MAX);
    if (r < 0)
        return command_error(cmd, r);
    if (r > 0)
        return STEP_MORE;
    if (e->spread.count > 0)
        return begin_search(cmd);
    cmd->step = nobody_step;
    return nobody_step(cmd);
}

static enum step begin_walk(struct command *cmd)
{
    /* RFC 7377 section 2.2 */
    static const struct source_rights rights = {.named = ACL_READ, .found = ACL_READ | ACL_LOOKUP};
    struct esearch *e = cmd->state;
    struct client *c = cmd->client;

    if (e->selected && c->selected_lost)
        return command_lost(cmd);
    if (e->selected)
        add_mailbox(e, c->selected, c->selected_name);
    e->walk = source_walk_new(cmd, e->sources, e->source_count, rights);
    cmd->step = walk_step;
    return walk_step(cmd);
}

/* ---- the arguments ---- */

/* "IN (source ...) ", which may be missing.  No scope options are known. */
static int read_sources(struct command *cmd, struct esearch *e, struct imap_args *args)
{
    if (!imap_args_word(args, "IN")) {
        e->selected = true;
        return 0;
    }
    if (imap_args_space(args) < 0 || imap_args_char(args, '(') < 0)
        return ERR_SYNTAX;
    e->sources = pool_alloc(cmd->pool, SOURCES_MAX * sizeof(*e->sources));
    do {
        int r;

        if (e->source_count == SOURCES_MAX)
            return ERR_LIMIT;
        r = source_read(cmd->client, args, SOURCES_ESEARCH, &e->sources[e->source_count]);
        if (r < 0)
            return r;
        e->selected |= e->sources[e->source_count++].kind == SOURCE_SELECTED;
    } while (imap_args_skip(args, ' '));
    return imap_args_char(args, ')') < 0 ? ERR_SYNTAX : imap_args_space(args);
}

/* 0, or the answer has been made. */
static int read_args(struct command *cmd, struct esearch *e)
{
    static const unsigned allowed =
        RETURN_MIN | RETURN_MAX | RETURN_ALL | RETURN_COUNT | RETURN_SAVE | RETURN_PARTIAL;
    struct search_return ret;
    struct imap_args args;
    int r;

    command_args(cmd, &args);
    r = read_sources(cmd, e, &args);
    e->program = args.at;
    e->program_len = (size_t)(args.end - args.at);
    if (r == 0)
        r = search_parse_return(&args, allowed, &ret);
    if (r == ERR_LIMIT)
        command_no(cmd, "LIMIT", "Too many mailboxes are named");
    else if (r < 0)
        command_bad(cmd, "%s", imap_args_error(&args));
    else if (imap_args_at_end(&args))
        r = (command_bad(cmd, "Missing SEARCH key"), ERR_SYNTAX);
    else if (e->selected && cmd->client->state != CLIENT_SELECTED)
        r = (command_bad(cmd, "Please select a mailbox first"), ERR_SYNTAX);
    else if ((ret.options & RETURN_SAVE) != 0 && (!e->selected || e->source_count > 1))
        r = (command_bad(cmd, "SAVE is for the selected mailbox alone"), ERR_SYNTAX);
    return r;
}

enum step cmd_esearch(struct command *cmd)
{
    struct esearch *e = pool_alloc(cmd->pool, sizeof(*e));

    cmd->state = e;
    if (read_args(cmd, e) < 0)
        return STEP_DONE;
    cmd->cleanup = esearch_cleanup;
    return begin_walk(cmd);
}
