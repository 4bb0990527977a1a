#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "imap/mboxop/op-private.h"
#include "imap/store/relocate.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

/* ---- life ---- */

struct mboxop *op_new(const struct mboxop_env *env, const struct op_kind *kind, const char *name,
                      const char *to)
{
    struct mboxop *op = xcalloc(1, sizeof(*op));

    op->magic = OP_MAGIC;
    op->env = env;
    op->pool = pool_new(0);
    op->kind = kind;
    op->stage = kind->plan;
    op->name = pool_strdup(op->pool, name);
    op->to = to != NULL ? pool_strdup(op->pool, to) : NULL;
    op->deadline = CLOCK_NEVER;
    return op;
}

void mboxop_free(struct mboxop **opp)
{
    struct mboxop *op = *opp;

    if (op == NULL)
        return;
    MAGIC_CHECK(op, OP_MAGIC);
    mboxop_free(&op->left);
    relocate_abort(&op->relocation);
    op_drop_requests(op);
    op_unlock(op);
    buf_free(&op->text);
    buf_free(&op->text_out);
    free(op->changes);
    free(op->intents);
    pool_free(&op->pool);
    op->magic = 0;
    free(op);
    *opp = NULL;
}

void mboxop_set_waker(struct mboxop *op, void (*wake)(void *context), void *context)
{
    MAGIC_CHECK(op, OP_MAGIC);
    op->wake = wake;
    op->wake_context = context;
}

struct change *op_add_change(struct mboxop *op)
{
    if (op->change_count == op->change_room) {
        op->change_room = op->change_room == 0 ? 4 : 2 * op->change_room;
        op->changes = xreallocarray(op->changes, op->change_room, sizeof(*op->changes));
    }
    memset(&op->changes[op->change_count], 0, sizeof(*op->changes));
    return &op->changes[op->change_count++];
}

struct intent *op_add_intent(struct mboxop *op)
{
    struct intent *intent;

    op->intents = xreallocarray(op->intents, op->intent_count + 1, sizeof(*op->intents));
    intent = &op->intents[op->intent_count++];
    memset(intent, 0, sizeof(*intent));
    intent->operation = op->kind->operation;
    intent->name = op->name;
    intent->new_name = intent->id = intent->location = intent->acl = "";
    return intent;
}

const char *op_location(struct mboxop *op, const char *partition)
{
    return pool_printf(op->pool, "%s!%s", op->env->server, partition);
}

/* ---- what a stage can come to ---- */

static enum mboxop_verdict wait_until(struct mboxop *op, int64_t deadline)
{
    op->deadline = deadline;
    return MBOXOP_WAIT;
}

static void log_end(const struct mboxop *op)
{
    if (op->kind->operation == 0) /* of a push, which logs for itself */
        return;
    if (op->result == 0)
        LOG(LOG_INFO, MBOXOP_DONE, LOG_STR(NAME, op->kind->name), LOG_STR(MAILBOX, op->name),
            LOG_STR(VALUE, op->to != NULL ? op->to : ""));
    else
        LOG(LOG_NOTICE, MBOXOP_FAILED, LOG_STR(NAME, op->kind->name), LOG_STR(MAILBOX, op->name),
            LOG_ERROR(op->result), LOG_STR(TEXT, buf_cstr(&op->text)));
}

static enum mboxop_verdict end(struct mboxop *op)
{
    static const enum op_stage nothing[] = {STAGE_DONE};

    op->stage = nothing;
    op_unlock(op);
    log_end(op);
    return MBOXOP_DONE;
}

static enum mboxop_verdict next(struct mboxop *op)
{
    op->stage++;
    op->give_up = 0;
    op->deadline = CLOCK_NEVER;
    return *op->stage == STAGE_DONE ? end(op) : MBOXOP_MORE;
}

/* ---- intents in the list ---- */

static int write_intents(struct mboxop *op, int (*also)(struct mboxop *op, struct mboxlist_txn *txn),
                         int (*change)(struct mboxop *op, struct mboxlist_txn *txn, size_t i))
{
    struct mboxlist_txn *txn;
    int r = mboxlist_begin(op->env->list, &txn);

    if (r != 0)
        return r;
    if (also != NULL)
        r = also(op, txn);
    for (size_t i = 0; i < op->intent_count && r == 0; i++)
        r = change(op, txn, i);
    if (r == 0)
        return mboxlist_commit(&txn);
    mboxlist_abort(&txn);
    return r;
}

static int add_intent(struct mboxop *op, struct mboxlist_txn *txn, size_t i)
{
    return intent_txn_add(txn, &op->intents[i]);
}

static int update_intent(struct mboxop *op, struct mboxlist_txn *txn, size_t i)
{
    return intent_txn_update(txn, &op->intents[i]);
}

static int remove_intent(struct mboxop *op, struct mboxlist_txn *txn, size_t i)
{
    int r = intent_txn_remove(txn, op->intents[i].number);

    return r == ERR_NOTFOUND ? 0 : r;
}

static void set_phase(struct mboxop *op, enum op_phase phase)
{
    for (size_t i = 0; i < op->intent_count; i++)
        op->intents[i].phase = phase;
}

static int clear_intents(struct mboxop *op)
{
    int r = 0;

    if (op->recorded)
        r = write_intents(op, NULL, remove_intent);
    if (r == 0)
        op->recorded = false;
    return r;
}

/* ---- failure ---- */

/* The change is in the list, but not everywhere: the intent stays, and recovery brings it to its end.  For the
 * client it is done. */
static enum mboxop_verdict postpone(struct mboxop *op, int r)
{
    LOG(LOG_WARNING, MBOXOP_POSTPONED, LOG_STR(NAME, op->kind->name), LOG_STR(MAILBOX, op->name),
        LOG_ERROR(r), LOG_STR(TEXT, buf_cstr(&op->text)));
    buf_reset(&op->text);
    op->trouble = r;
    return end(op);
}

/* The way back failed as well, or cannot be tried: recovery does it. */
static enum mboxop_verdict leave(struct mboxop *op, int r)
{
    op->trouble = r;
    if (op->recorded && !op->resumed && op->intents[0].phase == PHASE_BEGUN) {
        set_phase(op, PHASE_REFUSED);
        if (write_intents(op, NULL, update_intent) != 0)
            LOG(LOG_ERR, MBOXOP_POSTPONED, LOG_STR(NAME, op->kind->name), LOG_STR(MAILBOX, op->name));
    }
    return end(op);
}

static enum mboxop_verdict fail(struct mboxop *op, int r)
{
    if (op->committed)
        return postpone(op, r);
    if (op->result == 0)
        op->result = r;
    if (op->resumed && !op->looked) {
        op->trouble = r;
        return end(op);
    }
    if (!op->recorded)
        return end(op);
    if (op->refused || r == ERR_UNAVAILABLE)
        return leave(op, r);
    op->refused = true;
    op->stage = op->kind->undo_plan;
    op->give_up = 0;
    return MBOXOP_MORE;
}

/* ---- the stages ---- */

static enum mboxop_verdict stage_lock(struct mboxop *op)
{
    int r = op_lock(op);

    if (r == 0)
        return next(op);
    if (r != ERR_AGAIN)
        return fail(op, r);
    if (op->give_up == 0)
        op->give_up = clock_deadline(LOCK_WAIT_MS);
    if (clock_left(op->give_up) == 0)
        return fail(op, ERR_BUSY);
    return wait_until(op, clock_deadline(LOCK_POLL_MS));
}

struct search {
    struct mboxop *op;
    struct mboxop *found;
};

static int find_left(const struct intent *intent, void *context)
{
    struct search *s = context;

    if (!op_covers(s->op, intent->name) &&
        (intent->new_name[0] == '\0' || !op_covers(s->op, intent->new_name)))
        return 0;
    s->found = op_resume(s->op->env, intent);
    return s->found != NULL;
}

/* What the dead left in our trees is brought to its end by an operation of its own, with its own locks, while
 * ours are released: nobody waits for a lock with another one in hand. */
static enum mboxop_verdict stage_left(struct mboxop *op)
{
    struct search s = {op, NULL};
    enum mboxop_verdict verdict;
    int r;

    if (op->left == NULL) {
        r = intent_each(op->env->list, find_left, &s);
        op->left = s.found;
        if (op->left == NULL)
            return r < 0 ? fail(op, r) : next(op);
        mboxop_set_waker(op->left, op->wake, op->wake_context);
        op_unlock(op);
    }
    verdict = mboxop_step(op->left);
    if (verdict != MBOXOP_DONE)
        return verdict == MBOXOP_WAIT ? wait_until(op, op->left->deadline) : MBOXOP_MORE;
    r = op->left->recorded ? op->left->trouble : 0;
    mboxop_free(&op->left);
    if (r != 0)
        return fail(op, r);
    op->stage = op->kind->plan;
    return MBOXOP_MORE;
}

/* The first operation of a process may find its link still connecting. */
static enum mboxop_verdict stage_connect(struct mboxop *op)
{
    if (op->env->link == NULL || mupdate_link_is_up(op->env->link))
        return next(op);
    if (op->give_up == 0)
        op->give_up = clock_deadline(CONNECT_WAIT_MS);
    if (clock_left(op->give_up) > 0)
        return wait_until(op, clock_deadline(CONNECT_POLL_MS));
    buf_puts(&op->text, "no connection");
    return fail(op, ERR_UNAVAILABLE);
}

static enum mboxop_verdict stage_prepare(struct mboxop *op)
{
    int r = op->kind->prepare(op);

    if (r != 0)
        return fail(op, r);
    if (op->intent_count > 0) {
        r = write_intents(op, op->kind->record, add_intent);
        if (r != 0)
            return fail(op, r);
        op->recorded = true;
    }
    return next(op);
}

static enum mboxop_verdict stage_ask(struct mboxop *op)
{
    int r = op_ask(op, *op->stage);

    if (r == ERR_AGAIN)
        return MBOXOP_WAIT;
    return r == 0 ? next(op) : fail(op, r);
}

static enum mboxop_verdict stage_call(struct mboxop *op, int (*call)(struct mboxop *op))
{
    int r = call != NULL ? call(op) : 0;

    if (r > 0)
        return MBOXOP_MORE;
    return r == 0 ? next(op) : fail(op, r);
}

/* Is this the last that the intent is needed for? */
static bool is_all(const struct mboxop *op)
{
    return op->stage[1] == STAGE_CLEAR || (op->env->link == NULL && op->kind->finish == NULL);
}

static int commit(struct mboxop *op)
{
    struct mboxlist_txn *txn;
    int r = mboxlist_begin(op->env->list, &txn);

    if (r != 0)
        return r;
    r = op->kind->commit(op, txn);
    for (size_t i = 0; op->recorded && i < op->intent_count && r == 0; i++) {
        op->intents[i].phase = PHASE_COMMITTED;
        r = is_all(op) ? remove_intent(op, txn, i) : update_intent(op, txn, i);
    }
    if (r == 0)
        return mboxlist_commit(&txn);
    mboxlist_abort(&txn);
    return r;
}

static enum mboxop_verdict stage_commit(struct mboxop *op)
{
    int r = commit(op);

    if (r != 0) {
        set_phase(op, PHASE_BEGUN);
        return fail(op, r);
    }
    op->committed = true;
    if (is_all(op))
        op->recorded = false;
    return next(op);
}

static int still_there(const struct intent *intent, void *context)
{
    struct mboxop *op = context;

    if (intent->number != op->intents[0].number)
        return 0;
    op->intents[0].phase = intent->phase;
    return 1;
}

/* Recovery, now that we have the lock: somebody else may have been faster. */
static enum mboxop_verdict stage_resume(struct mboxop *op)
{
    int r = intent_each(op->env->list, still_there, op);

    if (r < 0)
        return fail(op, r);
    op->recorded = r == 1;
    if (!op->recorded)
        return end(op);
    r = op->kind->resume(op);
    if (r != 0 && r != ERR_NOTFOUND) /* what has been taken out of the list needs nothing more */
        return fail(op, r);
    op->looked = true;
    op->committed = op->intents[0].phase == PHASE_COMMITTED;
    op->refused = op->intents[0].phase == PHASE_REFUSED;
    op->stage = op->committed ? op->kind->finish_plan
                : op->refused ? op->kind->undo_plan
                              : op->kind->begun_plan;
    op->give_up = 0;
    return MBOXOP_MORE;
}

enum mboxop_verdict mboxop_step(struct mboxop *op)
{
    MAGIC_CHECK(op, OP_MAGIC);
    switch (*op->stage) {
    case STAGE_DONE:
        return MBOXOP_DONE;
    case STAGE_CONNECT:
        return stage_connect(op);
    case STAGE_LOCK:
        return stage_lock(op);
    case STAGE_LEFT:
        return stage_left(op);
    case STAGE_RESUME:
        return stage_resume(op);
    case STAGE_PREPARE:
        return stage_prepare(op);
    case STAGE_BUILD:
        return stage_call(op, op->kind->build);
    case STAGE_COMMIT:
        return stage_commit(op);
    case STAGE_FINISH:
        return stage_call(op, op->kind->finish);
    case STAGE_UNDO:
        return stage_call(op, op->kind->undo);
    case STAGE_CLEAR:
        return stage_call(op, clear_intents);
    case STAGE_RESERVE:
    case STAGE_ACTIVATE:
    case STAGE_SEEK:
    case STAGE_FIND:
    case STAGE_DELETE:
    case STAGE_UNDO_FIND:
    case STAGE_UNDO_DELETE:
    case STAGE_UNDO_ACTIVATE:
        return stage_ask(op);
    }
    return MBOXOP_DONE;
}

/* ---- recovery ---- */

static const struct op_kind *kind_of(const struct intent *intent)
{
    switch (intent->operation) {
    case INTENT_CREATE:
        return &op_create;
    case INTENT_DELETE:
        return intent->new_name[0] == '\0' ? &op_delete_now : &op_delete_later;
    case INTENT_RENAME:
        return &op_rename;
    case INTENT_SETACL:
        return &op_setacl;
    case INTENT_MOVE:
        return &op_move;
    case INTENT_SETQUOTA:
        return &op_setquota;
    case INTENT_ADOPT:
        return &op_adopt;
    }
    return NULL;
}

struct mboxop *op_resume(const struct mboxop_env *env, const struct intent *intent)
{
    static const enum op_stage plan[] = {STAGE_LOCK, STAGE_RESUME, STAGE_DONE};
    const struct op_kind *kind = kind_of(intent);
    struct mboxop *op;
    struct intent *copy;

    if (kind == NULL)
        return NULL;
    op = op_new(env, kind, intent->name, intent->new_name[0] != '\0' ? intent->new_name : NULL);
    op->stage = plan;
    op->resumed = true;
    op->recorded = true;
    copy = op_add_intent(op);
    *copy = *intent;
    copy->name = op->name;
    copy->new_name = op->to != NULL ? op->to : "";
    copy->id = pool_strdup(op->pool, intent->id);
    copy->location = pool_strdup(op->pool, intent->location);
    copy->acl = pool_strdup(op->pool, intent->acl);
    return op;
}

/* ---- for the caller ---- */

int64_t mboxop_deadline(const struct mboxop *op)
{
    return op->deadline;
}

int mboxop_result(const struct mboxop *op)
{
    return op->result;
}

static const char *sentence(int result)
{
    switch (result) {
    case 0:
        return "Completed";
    case ERR_EXISTS:
        return "Mailbox already exists";
    case ERR_NOTFOUND:
        return "Mailbox does not exist";
    case ERR_BADNAME:
        return "Invalid mailbox name";
    case ERR_TOOBIG:
        return "Mailbox name or access control list is too long";
    case ERR_CONFLICT:
        return "Mailbox already exists on another server";
    case ERR_UNAVAILABLE:
        return "The MUPDATE server cannot be reached: nothing was changed";
    case ERR_BUSY:
        return "Another operation on this mailbox is under way";
    case ERR_UNSUPPORTED:
        return "A mailbox cannot be renamed and moved to another partition at once";
    case ERR_INVALID:
        return "There is no such partition";
    default:
        return error_text(result);
    }
}

const char *mboxop_text(struct mboxop *op)
{
    bool reason = (op->result == ERR_CONFLICT || op->result == ERR_UNAVAILABLE) && op->text.len > 0;

    buf_reset(&op->text_out);
    buf_puts(&op->text_out, sentence(op->result));
    if (reason)
        buf_printf(&op->text_out, " (%s)", buf_cstr(&op->text));
    return buf_cstr(&op->text_out);
}

unsigned mboxop_renamed(const struct mboxop *op, unsigned i, const char **from_r, const char **to_r)
{
    if (i < op->change_count && op->result == 0) {
        *from_r = op->changes[i].old_name != NULL ? op->changes[i].old_name : op->name;
        *to_r = op->changes[i].new_name;
    }
    return op->result == 0 ? (unsigned)op->change_count : 0;
}

const char *mboxop_uniqueid(const struct mboxop *op)
{
    return op->kind == &op_create && op->change_count > 0 ? op->changes[0].id : NULL;
}

void op_wait(struct mboxop *op)
{
    struct mboxop *asking = op->left != NULL ? op->left : op;
    int left = clock_left(op->deadline);

    if (!op_wait_answer(asking))
        usleep((useconds_t)(left < 0 || left > LOCK_POLL_MS ? LOCK_POLL_MS : left) * 1000);
}

int mboxop_run(struct mboxop **opp, struct buf *text)
{
    struct mboxop *op = *opp;
    enum mboxop_verdict verdict;
    int r;

    while ((verdict = mboxop_step(op)) != MBOXOP_DONE)
        if (verdict == MBOXOP_WAIT)
            op_wait(op);
    r = op->result;
    if (text != NULL)
        buf_puts(text, mboxop_text(op));
    mboxop_free(opp);
    return r;
}
