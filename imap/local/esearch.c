/* esearch.c: ESEARCH (RFC 7377): a search of several mailboxes, one after the other.
 *
 * The selected one is searched as its session sees it, others as EXAMINE would find them. */
#include <stdlib.h>
#include <string.h>

#include "imap/local/search.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/name/identity.h"
#include "lib/stream/stream.h"

struct local_esearch {
    size_t next;       /* of the batch */
    bool refused;      /* the program is wrong */
    struct view *view; /* opened for this; NULL with the selected mailbox */
    struct pool *pool; /* of one mailbox */
    struct search_run run;
    bool running, answering;
    bool writing; /* the client has the beginning of the response */
};

static void end_mailbox(struct local_esearch *e)
{
    search_run_end(&e->run);
    view_close(&e->view);
    pool_reset(e->pool);
    e->running = e->answering = e->writing = false;
}

void local_search_end(struct leg *leg, struct leg_search *s)
{
    struct local_esearch *e = s->state;

    (void)leg;
    if (e == NULL)
        return;
    end_mailbox(e);
    pool_free(&e->pool);
    free(e);
    s->state = NULL;
}

/* What is wrong with the program is wrong for all mailboxes. */
static enum step refuse(struct command *cmd, const struct search_run *run, int error)
{
    if (error == ERR_SYNTAX)
        return search_bad(cmd, &run->program);
    return error == ERR_UNSUPPORTED ? search_bad_charset(cmd) : command_error(cmd, error);
}

/* Reads the program for a view; without one, just to see whether it is right.  As search_run_parse(); in case of an error
 * s->answer is made.  A NO empties what was to be set (RFC 5182 section 2.1). */
static int read_program(struct local_leg *l, struct command *cmd, struct leg_search *s, struct view *view)
{
    struct local_esearch *e = s->state;
    bool selected = view != NULL && view == l->view;
    struct imap_args args;
    int r;

    e->run = (struct search_run){.view = view,
                                 .pool = e->pool,
                                 .saved = selected ? &l->saved : NULL,
                                 .uid = true,
                                 .userid = cmd->client->identity->userid,
                                 .uid_only = local_enabled(l, ENABLED_UIDONLY),
                                 .utf8 = local_enabled(l, ENABLED_UTF8)};
    command_args_of(cmd, s->program, s->len, &args);
    args.pool = e->pool;
    r = search_run_parse(&e->run, &args);
    if (r == ERR_UNSUPPORTED && search_run_saves(&e->run))
        uid_set_free(&l->saved);
    if (r < 0) {
        refuse(cmd, &e->run, r);
        s->answer = command_take_back(cmd);
        e->refused = true;
    }
    if (!e->run.ret.extended) /* RFC 7377 section 2.1 */
        e->run.ret = (struct search_return){.extended = true, .options = RETURN_ALL};
    return r;
}

/* Other mailboxes are searched all the same; the first failure is what the client hears. */
static void note_failure(struct local_leg *l, struct command *cmd, struct leg_search *s, int error)
{
    struct local_esearch *e = s->state;

    if (search_run_saves(&e->run))
        uid_set_free(&l->saved);
    if (s->answer != NULL)
        return;
    command_error(cmd, error);
    s->answer = command_take_back(cmd);
}

static int open_view(struct local_leg *l, struct command *cmd, struct local_esearch *e, const char *internal)
{
    struct mailbox_reader reader;
    struct local_mailbox m;
    struct mailbox *mailbox;
    int r = local_open_to_read(l, cmd, internal, &m, &mailbox, &reader);

    return r < 0 ? r : view_of(&mailbox, &reader, true, &e->view);
}

/* The mailbox's turn.  0, or an error; one that is gone or closed to the user is left out. */
static int begin_mailbox(struct local_leg *l, struct command *cmd, struct leg_search *s, const char *internal)
{
    const struct client *c = cmd->client;
    struct local_esearch *e = s->state;
    bool selected = c->selected == &l->leg && l->view != NULL && strcmp(internal, c->selected_name) == 0;
    int r = selected ? 0 : open_view(l, cmd, e, internal);

    if (r == ERR_NOTFOUND || r == ERR_DENIED)
        return 0;
    if (r == 0)
        r = read_program(l, cmd, s, selected ? l->view : e->view);
    if (r == 0)
        e->running = true;
    return r;
}

/* All hits are known: what is to be told of them. */
static int make_answer(struct local_leg *l, struct command *cmd, struct leg_search *s, const char *internal)
{
    struct local_esearch *e = s->state;
    const char *name = client_name_out(cmd->client, e->pool, internal);
    const char *correlator;
    int r = 0;

    e->running = false;
    if (search_run_saves(&e->run))
        r = search_save(l, &e->run.ret, search_run_uids(&e->run));
    if (r == ERR_LIMIT) {
        command_no(cmd, "NOTSAVED", "Too many ranges of messages to be saved");
        s->answer = command_take_back(cmd);
    }
    if (r < 0 || e->run.hits.count == 0 || name == NULL || e->run.ret.options == RETURN_SAVE)
        return r;
    correlator = pool_printf(e->pool, " MAILBOX %s UIDVALIDITY %u", name, view_uidvalidity(e->run.view));
    e->answering = true;
    return search_run_answer(&e->run, cmd->tag, correlator);
}

/* Writes some of the response: 1, or ERR_AGAIN while another leg is in the middle of one. */
static int write_some(struct command *cmd, struct leg_search *s)
{
    struct client *c = cmd->client;
    struct local_esearch *e = s->state;

    s->blocked = c->mid_response && !e->writing;
    if (s->blocked)
        return ERR_AGAIN;
    e->writing = c->mid_response = search_answer_write(&e->run.answer, c->stream);
    e->answering = e->writing;
    return 1;
}

static void check_program(struct local_leg *l, struct command *cmd, struct leg_search *s)
{
    struct local_esearch *e = s->state;

    if (read_program(l, cmd, s, NULL) == 0 && e->run.program.modseq)
        enable_on(cmd->client, ENABLED_CONDSTORE);
    end_mailbox(e);
}

/* Some of a mailbox's search: 1, or an error. */
static int go_on(struct local_leg *l, struct command *cmd, struct leg_search *s, const char *internal)
{
    struct local_esearch *e = s->state;
    int r = e->running ? search_run_step(&e->run) : begin_mailbox(l, cmd, s, internal);

    if (r == 0 && e->running && e->run.search != NULL)
        r = make_answer(l, cmd, s, internal);
    if (r < 0 && !e->refused)
        note_failure(l, cmd, s, r);
    command_progress(cmd, cmd->done, cmd->goal);
    return r < 0 ? r : 1;
}

int local_search_many(struct leg *leg, struct command *cmd, struct leg_search *s)
{
    struct local_leg *l = (struct local_leg *)leg;
    struct local_esearch *e = s->state;
    int r;

    if (e == NULL) {
        s->state = e = xcalloc(1, sizeof(*e));
        e->pool = pool_new(0);
        check_program(l, cmd, s);
    }
    if (e->refused || e->next == s->batch->count)
        return 0;
    if (e->answering) {
        r = write_some(cmd, s);
        if (r < 0 || e->answering)
            return r;
    } else {
        r = go_on(l, cmd, s, s->batch->names[e->next]);
        if (r == 1 && (e->running || e->answering))
            return 1;
    }
    end_mailbox(e);
    e->next++;
    command_progress(cmd, cmd->done + 1, cmd->goal);
    return 1;
}
