#include <string.h>

#include "imap/mboxop/op-private.h"
#include "imap/store/mailbox.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/mboxlist/special-use.h"

struct mboxop *mboxop_create(const struct mboxop_env *env, const char *name, const char *partition,
                             const char *acl, const char *uniqueid, uint32_t uidvalidity,
                             const char *special_use)
{
    struct mboxop *op = op_new(env, &op_create, name, NULL);

    op->partition = partition != NULL ? pool_strdup(op->pool, partition) : NULL;
    op->acl = acl != NULL ? pool_strdup(op->pool, acl) : NULL;
    op->uniqueid = uniqueid != NULL ? pool_strdup(op->pool, uniqueid) : NULL;
    op->special_use = special_use != NULL ? pool_strdup(op->pool, special_use) : NULL;
    op->uidvalidity = uidvalidity;
    return op;
}

struct mboxop *mboxop_create_here(const struct mboxop_env *env, const char *name, const char *partition)
{
    struct mboxop *op = op_new(env, &op_create_here, name, NULL);

    op->partition = partition != NULL ? pool_strdup(op->pool, partition) : NULL;
    return op;
}

/* An id from outside is taken only when it is valid and new here. */
static const char *choose_id(struct mboxop *op)
{
    struct mboxlist_record record;
    char fresh[MAILBOX_ID_SIZE];

    if (op->uniqueid != NULL && mailbox_id_valid(op->uniqueid) &&
        mboxlist_lookup_id(op->env->list, op->uniqueid, op->pool, &record) == ERR_NOTFOUND)
        return op->uniqueid;
    if (op->uniqueid != NULL)
        LOG(LOG_NOTICE, MBOXOP_FRESH_ID, LOG_STR(MAILBOX, op->name), LOG_STR(VALUE, op->uniqueid));
    mailbox_id_new(fresh);
    return pool_strdup(op->pool, fresh);
}

static int check_absent(struct mboxop *op)
{
    struct mboxlist_record record;
    int r = mboxname_check_new(op->env->config, op->name);

    if (r == 0)
        r = mboxlist_lookup(op->env->list, op->name, op->pool, &record);
    if (r != 0)
        return r == ERR_NOTFOUND ? 0 : r;
    if (op->kind == &op_create_here) /* what is to come here is still another server's */
        return record.type == MBOXLIST_LOCAL ? ERR_EXISTS : 0;
    return MBOXLIST_TYPE_BIT(record.type) & MBOXLIST_TYPES_ACTIVE ? ERR_EXISTS : 0;
}

/* A use is of one mailbox of its user. */
static int check_special_use(const struct mboxop *op)
{
    struct buf owner = BUF_INIT, inbox = BUF_INIT;
    const char *holder;
    int r = ERR_NOTFOUND;

    if (op->special_use != NULL && mboxname_owner(op->env->config, op->name, &owner) &&
        mboxname_inbox(op->env->config, buf_cstr(&owner), &inbox) == 0)
        r = special_use_holder(op->env->list, buf_cstr(&inbox), buf_cstr(&owner), op->special_use, NULL,
                               op->pool, &holder);
    buf_free(&owner);
    buf_free(&inbox);
    if (r == 0)
        return ERR_SPECIAL_USE;
    return r == ERR_NOTFOUND ? 0 : r;
}

/* What the new mailbox has from its ancestor or by the configuration. */
static void inherit(struct mboxop *op, struct change *c)
{
    struct mboxlist_record ancestor;
    bool has = env_nearest(op->env, op->name, op->pool, &ancestor) == 0;
    struct buf text = BUF_INIT;

    c->partition =
        op->partition != NULL ? op->partition : partition_for_new(op->pool, has ? ancestor.partition : NULL);
    if (op->acl == NULL)
        acl_for_new(op->env->config, op->name, has ? ancestor.acl : NULL, &text);
    c->acl = c->old_acl = op->acl != NULL ? op->acl : pool_strdup(op->pool, buf_cstr(&text));
    buf_reset(&text);
    if (op->special_use != NULL && mboxname_owner(op->env->config, op->name, &text))
        buf_printf(&text, "\t%s\t", op->special_use);
    c->special_use = pool_strdup(op->pool, buf_cstr(&text));
    buf_free(&text);
}

static int create_prepare(struct mboxop *op)
{
    struct intent *intent;
    struct change *c;
    int r = check_absent(op);

    if (r == 0)
        r = check_special_use(op);
    if (r != 0)
        return r;
    c = op_add_change(op);
    inherit(op, c);
    if (c->partition == NULL || config_partition(c->partition) == NULL)
        return ERR_INVALID;
    if (acl_check(op->env->config, c->acl) != 0)
        return ERR_INVALID;
    if (op->kind == &op_create) /* what comes from another server is there already */
        r = op_check_quota(op, op->name, 1);
    if (r != 0)
        return r;
    c->new_name = op->name;
    c->id = choose_id(op);
    c->uidvalidity = op->uidvalidity;
    intent = op_add_intent(op);
    intent->id = c->id;
    intent->location = op_location(op, c->partition);
    intent->acl = c->acl;
    return 0;
}

static int create_record(struct mboxop *op, struct mboxlist_txn *txn)
{
    struct change *c = &op->changes[0];

    return c->uidvalidity != 0 ? 0 : op_new_uidvalidity(op, txn, op->name, &c->uidvalidity);
}

static int create_resume(struct mboxop *op)
{
    const struct intent *intent = &op->intents[0];
    struct change *c = op_add_change(op);

    c->new_name = op->name;
    c->id = intent->id;
    c->partition = op_partition(op, intent->location);
    c->acl = c->old_acl = intent->acl;
    return 0;
}

static int create_build(struct mboxop *op)
{
    const struct change *c = &op->changes[0];
    const struct mboxlist_record record = {.name = op->name,
                                           .id = c->id,
                                           .partition = c->partition,
                                           .acl = c->acl,
                                           .special_use = c->special_use,
                                           .uidvalidity = c->uidvalidity};

    return op_make_mailbox(op, &record);
}

static int put_record(struct mboxop *op, struct mboxlist_txn *txn, unsigned flags)
{
    const struct change *c = &op->changes[0];
    const struct mboxlist_record record = {
        .name = op->name,
        .type = MBOXLIST_LOCAL,
        .flags = flags,
        .id = c->id,
        .partition = c->partition,
        .acl = c->acl,
        .special_use = c->special_use,
        .uidvalidity = c->uidvalidity,
        .created_modseq = 1,
        .folder_modseq = 1,
    };

    return mboxlist_txn_put(txn, &record);
}

/* Whoever writes is alone: nobody has taken the special use since, or does now. */
static int create_commit(struct mboxop *op, struct mboxlist_txn *txn)
{
    int r = check_special_use(op);

    return r == 0 ? put_record(op, txn, 0) : r;
}

/* Where there is no master there is nothing to wait for. */
static int create_here_commit(struct mboxop *op, struct mboxlist_txn *txn)
{
    return put_record(op, txn, op->env->link != NULL ? MBOXLIST_MOVING : 0);
}

static int create_undo(struct mboxop *op)
{
    const struct change *c = &op->changes[0];

    return mailbox_delete(op->env->store, c->partition, c->id);
}

static const enum op_stage plan[] = {STAGE_CONNECT, STAGE_LOCK,  STAGE_LEFT,   STAGE_PREPARE,
                                     STAGE_RESERVE, STAGE_BUILD, STAGE_COMMIT, STAGE_ACTIVATE,
                                     STAGE_CLEAR,   STAGE_DONE};
static const enum op_stage undo_plan[] = {STAGE_UNDO_FIND, STAGE_UNDO_DELETE, STAGE_UNDO, STAGE_CLEAR,
                                          STAGE_DONE};
static const enum op_stage finish_plan[] = {STAGE_ACTIVATE, STAGE_CLEAR, STAGE_DONE};

const struct op_kind op_create = {
    .name = "create",
    .operation = INTENT_CREATE,
    .plan = plan,
    .undo_plan = undo_plan,
    .begun_plan = undo_plan,
    .finish_plan = finish_plan,
    .prepare = create_prepare,
    .record = create_record,
    .resume = create_resume,
    .build = create_build,
    .commit = create_commit,
    .undo = create_undo,
};

/* Its intent goes with the commit, so that recovery only ever undoes one: as any other's, which finds nothing of ours
 * at the master. */
static const enum op_stage here_plan[] = {STAGE_LOCK,   STAGE_LEFT,  STAGE_PREPARE, STAGE_BUILD,
                                          STAGE_COMMIT, STAGE_CLEAR, STAGE_DONE};
static const enum op_stage here_undo_plan[] = {STAGE_UNDO, STAGE_CLEAR, STAGE_DONE};

const struct op_kind op_create_here = {
    .name = "create here",
    .operation = INTENT_CREATE,
    .plan = here_plan,
    .undo_plan = here_undo_plan,
    .prepare = create_prepare,
    .record = create_record,
    .build = create_build,
    .commit = create_here_commit,
    .undo = create_undo,
};
