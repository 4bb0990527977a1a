/* setquota.c: the limits of a quota root, and the headers of the mailboxes that it governs then, or no more. */
#include <string.h>

#include "imap/mboxop/op-private.h"
#include "imap/store/mailbox.h"
#include "lib/base/error.h"
#include "lib/mboxlist/quota.h"

struct mboxop *mboxop_setquota(const struct mboxop_env *env, const char *root,
                               const struct quota_limits *limits)
{
    struct mboxop *op = op_new(env, &op_setquota, root, NULL);

    if (limits != NULL) {
        op->limits = pool_alloc(op->pool, sizeof(*op->limits));
        *op->limits = *limits;
    }
    return op;
}

static int setquota_prepare(struct mboxop *op)
{
    op_add_intent(op);
    return 0;
}

static int setquota_resume(struct mboxop *op)
{
    (void)op;
    return 0;
}

static int setquota_commit(struct mboxop *op, struct mboxlist_txn *txn)
{
    return quota_txn_limits_set(txn, op->name, op->limits);
}

/* The mailboxes of this name and below it. */
static int collect(struct mboxop *op)
{
    struct mboxlist_iter *it = mboxlist_iter_all(op->env->list, op->name, MBOXLIST_TYPE_BIT(MBOXLIST_LOCAL));
    const struct mboxlist_record *record;
    int r;

    while ((r = mboxlist_iter_next(it, &record)) == 1) {
        struct change *c;

        if (strcmp(record->name, op->name) != 0 && !mboxname_is_below(record->name, op->name))
            continue;
        c = op_add_record(op, record);
        c->new_name = pool_strdup(op->pool, record->name);
        c->uidvalidity = 0; /* stays as it is */
    }
    mboxlist_iter_free(&it);
    return r;
}

static int setquota_finish(struct mboxop *op)
{
    int r = op->change_count == 0 ? collect(op) : 0;

    if (r != 0 || op->at == op->change_count)
        return r;
    r = op_adjust_mailbox(op, &op->changes[op->at]);
    if (r != 0)
        return r;
    op->at++;
    return 1;
}

static const enum op_stage plan[] = {STAGE_LOCK,   STAGE_PREPARE, STAGE_COMMIT,
                                     STAGE_FINISH, STAGE_CLEAR,   STAGE_DONE};
static const enum op_stage finish_plan[] = {STAGE_FINISH, STAGE_CLEAR, STAGE_DONE};
static const enum op_stage undo_plan[] = {STAGE_CLEAR, STAGE_DONE};

const struct op_kind op_setquota = {
    .name = "setquota",
    .operation = INTENT_SETQUOTA,
    .plan = plan,
    .undo_plan = undo_plan,
    .begun_plan = undo_plan,
    .finish_plan = finish_plan,
    .prepare = setquota_prepare,
    .resume = setquota_resume,
    .commit = setquota_commit,
    .finish = setquota_finish,
};
