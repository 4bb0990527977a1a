#include <string.h>

#include "imap/mboxop/op-private.h"
#include "lib/base/error.h"

struct mboxop *mboxop_setacl(const struct mboxop_env *env, const char *name, const char *identifier,
                             enum acl_edit edit, rights_t rights)
{
    struct mboxop *op = op_new(env, &op_setacl, name, NULL);

    op->identifier = pool_strdup(op->pool, identifier);
    op->edit = edit;
    op->rights = rights;
    return op;
}

static int setacl_prepare(struct mboxop *op)
{
    struct buf acl = BUF_INIT;
    struct change *c;
    int r = op_collect(op, op->name, false);

    if (r != 0)
        return r;
    c = &op->changes[0];
    c->new_name = op->name;
    r = acl_set(op->env->config, c->old_acl, op->identifier, op->edit, op->rights, &acl);
    c->acl = pool_strdup(op->pool, buf_cstr(&acl));
    buf_free(&acl);
    /* on a standalone server the commit is all there is */
    if (r == 0 && op->env->link != NULL)
        op_add_intent(op)->acl = c->old_acl;
    return r;
}

/* The list is right, whichever ACL it has: the master gets that one. */
static int setacl_resume(struct mboxop *op)
{
    int r = op_collect(op, op->name, false);

    return r == ERR_NOTFOUND ? 0 : r;
}

static int setacl_commit(struct mboxop *op, struct mboxlist_txn *txn)
{
    struct mboxlist_record record;
    int r = mboxlist_txn_lookup(txn, op->name, op->pool, &record);

    if (r != 0)
        return r;
    record.acl = op->changes[0].acl;
    record.mtime = 0;
    return mboxlist_txn_put(txn, &record);
}

/* What the mailbox remembers of its ACL is a hint: it may lag behind. */
static int setacl_finish(struct mboxop *op)
{
    (void)op_adjust_mailbox(op, &op->changes[0]);
    return 0;
}

/* The intent goes with the commit. */
static const enum op_stage plan[] = {STAGE_CONNECT, STAGE_LOCK,  STAGE_LEFT,   STAGE_PREPARE, STAGE_ACTIVATE,
                                     STAGE_COMMIT,  STAGE_CLEAR, STAGE_FINISH, STAGE_DONE};
static const enum op_stage undo_plan[] = {STAGE_UNDO_ACTIVATE, STAGE_CLEAR, STAGE_DONE};

const struct op_kind op_setacl = {
    .name = "setacl",
    .operation = INTENT_SETACL,
    .plan = plan,
    .undo_plan = undo_plan,
    .begun_plan = undo_plan,
    .finish_plan = undo_plan,
    .prepare = setacl_prepare,
    .resume = setacl_resume,
    .commit = setacl_commit,
    .finish = setacl_finish,
};
