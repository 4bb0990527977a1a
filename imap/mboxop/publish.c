/* What makes a mailbox that was made here alone everybody's: MUPDATEPUSH. */
#include "imap/mboxop/op-private.h"
#include "lib/base/error.h"

static const struct op_kind op_publish;

struct mboxop *mboxop_publish(const struct mboxop_env *env, const char *name)
{
    return op_new(env, &op_publish, name, NULL);
}

static int publish_prepare(struct mboxop *op)
{
    int r = op->env->link != NULL ? op_collect(op, op->name, false) : ERR_UNSUPPORTED;

    if (r == 0)
        op->changes[0].new_name = op->name;
    return r;
}

/* The master has it: so may clients. */
static int publish_commit(struct mboxop *op, struct mboxlist_txn *txn)
{
    struct mboxlist_record record;
    int r = mboxlist_txn_lookup(txn, op->name, op->pool, &record);

    if (r != 0)
        return r;
    record.flags &= ~(unsigned)MBOXLIST_MOVING;
    return mboxlist_txn_put(txn, &record);
}

/* No intent: who died behind ACTIVATE is asked again, and may be. */
static const enum op_stage plan[] = {STAGE_CONNECT,  STAGE_LOCK,   STAGE_LEFT, STAGE_PREPARE,
                                     STAGE_ACTIVATE, STAGE_COMMIT, STAGE_DONE};

static const struct op_kind op_publish = {
    .name = "publish",
    .plan = plan,
    .prepare = publish_prepare,
    .commit = publish_commit,
};
