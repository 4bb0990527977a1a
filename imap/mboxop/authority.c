#include <string.h>

#include "imap/mboxop/op-private.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

/* What a stage asks about one change; a NULL name: nothing. */
struct question {
    enum mupdate_verb verb;
    const char *name, *location, *acl;
    struct mupdate_details details; /* ACTIVATE's */
};

/* What the list has about a mailbox whose name is, or stays, active. */
static struct mupdate_details details_of(struct mboxop *op, const char *name)
{
    struct mupdate_details details = {"", "", ""};
    struct mboxlist_record record;

    if (name != NULL && mboxlist_lookup(op->env->list, name, op->pool, &record) == 0)
        details = (struct mupdate_details){record.id, MUPDATE_TYPE_MAIL, record.special_use};
    return details;
}

static bool is_here(struct mboxop *op, const char *name)
{
    struct mboxlist_record record;
    struct pool *pool = pool_new(0);
    int r = mboxlist_lookup(op->env->list, name, pool, &record);

    pool_free(&pool);
    return r != ERR_NOTFOUND;
}

static struct question question_of(struct mboxop *op, enum op_stage stage, const struct change *c)
{
    struct question q = {.verb = MUPDATE_FIND};

    switch (stage) {
    case STAGE_RESERVE:
        q.verb = MUPDATE_RESERVE;
        q.name = c->new_name != NULL ? c->new_name : c->old_name;
        q.location = op_location(op, c->partition);
        break;
    case STAGE_ACTIVATE:
        q.verb = MUPDATE_ACTIVATE;
        q.name = c->elsewhere == NULL ? c->new_name : NULL;
        q.location = op_location(op, c->partition);
        q.acl = c->acl;
        q.details = details_of(op, q.name);
        break;
    case STAGE_FIND:
        q.name = c->old_name;
        break;
    case STAGE_SEEK:
    case STAGE_UNDO_FIND:
        q.name = c->new_name;
        break;
    case STAGE_DELETE:
        q.verb = MUPDATE_DELETE;
        q.name = c->ours ? c->old_name : NULL;
        break;
    case STAGE_UNDO_DELETE:
        q.verb = MUPDATE_DELETE;
        q.name = c->ours ? c->new_name : NULL;
        break;
    case STAGE_UNDO_ACTIVATE:
        q.verb = MUPDATE_ACTIVATE;
        q.name = is_here(op, c->old_name) ? c->old_name : NULL;
        q.location = op_location(op, c->partition);
        q.acl = c->old_acl;
        q.details = details_of(op, q.name);
        break;
    default:
        BUG_ON(true);
    }
    return q;
}

static bool is_our_location(const struct mboxop *op, const char *location)
{
    size_t n = strlen(op->env->server);

    return strncmp(location, op->env->server, n) == 0 && (location[n] == '!' || location[n] == '\0');
}

/* A name is deleted at the master only if the master has it at this server and our list does not have it: no
 * other server's mailbox can be hit, whatever has happened meanwhile. */
static bool may_release(struct mboxop *op, const struct mupdate_request *request, const char *name)
{
    return mupdate_request_state(request) != MUPDATE_ABSENT &&
           is_our_location(op, mupdate_request_location(request)) && !is_here(op, name);
}

static void send_next(struct mboxop *op, enum op_stage stage)
{
    struct question q = question_of(op, stage, &op->changes[op->sent]);

    struct mupdate_request **request = &op->requests[op->sent++ % OP_WINDOW];

    if (q.name != NULL && q.verb == MUPDATE_ACTIVATE)
        *request = mupdate_activate(op->env->link, q.name, q.location, q.acl, &q.details, op->wake,
                                    op->wake_context);
    else if (q.name != NULL)
        *request = mupdate_send(op->env->link, q.verb, q.name, q.location, q.acl, op->wake, op->wake_context);
}

/* Behind the commit, and on the way back, a refusal of the master's concerns that name alone: it is logged, and
 * the rest goes on; a push puts it right. */
static bool is_borne(struct mboxop *op, enum op_stage stage, const struct mupdate_request *request)
{
    int r = mupdate_request_result(request);

    if (r == ERR_UNAVAILABLE || (!op->committed && !op->refused))
        return false;
    LOG(LOG_ERR, MBOXOP_REFUSED, LOG_STR(NAME, op->kind->name), LOG_STR(MAILBOX, op->name), LOG_ERROR(r),
        LOG_STR(TEXT, mupdate_request_text(request)));
    keeper_ask_push();
    if (op->kind == &op_create && stage == STAGE_ACTIVATE && op->result == 0) {
        op->result = r;
        buf_puts(&op->text, mupdate_request_text(request));
    }
    return true;
}

static void take_answer(struct mboxop *op, enum op_stage stage, struct mupdate_request *request)
{
    struct change *c = &op->changes[op->answered];
    int r = mupdate_request_result(request);

    if (r == 0 && (stage == STAGE_FIND || stage == STAGE_UNDO_FIND))
        c->ours = may_release(op, request, stage == STAGE_FIND ? c->old_name : c->new_name);
    if (r == 0 && stage == STAGE_SEEK && mupdate_request_state(request) == MUPDATE_ACTIVE &&
        !is_our_location(op, mupdate_request_location(request)))
        c->elsewhere = pool_strdup(op->pool, mupdate_request_location(request));
    if (r == 0 || op->answer != 0 || is_borne(op, stage, request))
        return;
    op->answer = r;
    buf_reset(&op->text);
    buf_puts(&op->text, mupdate_request_text(request));
}

/* Takes the answers that are there, in order; false: the oldest is not. */
static bool take_answers(struct mboxop *op, enum op_stage stage)
{
    for (; op->answered < op->sent; op->answered++) {
        struct mupdate_request **request = &op->requests[op->answered % OP_WINDOW];

        if (*request == NULL)
            continue;
        if (!mupdate_request_done(*request))
            return false;
        take_answer(op, stage, *request);
        mupdate_request_free(request);
    }
    return true;
}

/* After a failure nothing more is sent, but what is under way is waited for: the way back must not overtake
 * it. */
static int ask_some(struct mboxop *op, enum op_stage stage)
{
    for (;;) {
        bool empty = take_answers(op, stage);
        size_t before = op->sent;

        while (op->answer == 0 && op->sent < op->change_count && op->sent - op->answered < OP_WINDOW)
            send_next(op, stage);
        if (empty && op->sent == before)
            return op->answer;
        if (!empty && op->sent == before)
            return ERR_AGAIN;
    }
}

int op_ask(struct mboxop *op, enum op_stage stage)
{
    int r;

    if (op->env->link == NULL)
        return 0;
    if (op->give_up == 0)
        op->give_up = clock_deadline(ANSWER_WAIT_MS);
    r = ask_some(op, stage);
    if (r == ERR_AGAIN && clock_left(op->give_up) == 0) {
        buf_reset(&op->text);
        buf_puts(&op->text, "no answer in time");
        r = ERR_UNAVAILABLE;
    }
    op->deadline = op->give_up;
    if (r != ERR_AGAIN)
        op_drop_requests(op);
    return r;
}

bool op_wait_answer(struct mboxop *op)
{
    for (size_t i = op->answered; i < op->sent; i++)
        if (op->requests[i % OP_WINDOW] != NULL) {
            mupdate_request_wait(op->requests[i % OP_WINDOW], op->deadline);
            return true;
        }
    return false;
}

void op_drop_requests(struct mboxop *op)
{
    for (size_t i = 0; i < OP_WINDOW; i++)
        mupdate_request_free(&op->requests[i]);
    op->sent = op->answered = 0;
    op->answer = 0;
}
