#include <string.h>

#include "imap/mboxop/op-private.h"
#include "imap/store/mailbox.h"
#include "imap/store/seen.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/options.h"
#include "lib/mboxlist/annotations.h"
#include "lib/mboxlist/quota.h"

struct mboxop *mboxop_delete(const struct mboxop_env *env, const char *name, unsigned flags)
{
    bool now = !(flags & MBOXOP_SET_ASIDE) &&
               ((flags & MBOXOP_DELETE_NOW) || mboxname_is_deleted(env->config, name) ||
                opt_enum(OPT_DELETE_MODE) == DELETE_IMMEDIATE);
    struct mboxop *op = op_new(env, now ? &op_delete_now : &op_delete_later, name, NULL);

    op->flags = flags;
    return op;
}

struct mboxop *mboxop_delete_here(const struct mboxop_env *env, const char *name)
{
    struct mboxop *op = op_new(env, &op_delete_here, name, NULL);

    op->flags = MBOXOP_DELETE_NOW | MBOXOP_NO_RECURSE;
    return op;
}

/* Deleting an INBOX deletes what is below it; any other mailbox leaves its children (RFC 3501 6.3.4). */
static int collect(struct mboxop *op)
{
    return op_collect(op, op->name,
                      mboxname_is_inbox(op->name) && !(op->flags & (MBOXOP_NO_RECURSE | MBOXOP_SET_ASIDE)));
}

/* The quota root of that very name, unless it still governs something. */
static int drop_root(struct mboxop *op, const char *name)
{
    int r = mboxlist_has_children(op->env->list, name);

    if (r != 0)
        return r < 0 ? r : 0;
    r = quota_root_delete(op->env->list, name);
    return r == ERR_NOTFOUND ? 0 : r;
}

/* ---- at once: an intent for each mailbox, so that each can be finished by itself ---- */

static int now_prepare(struct mboxop *op)
{
    int r = collect(op);

    for (size_t i = 0; i < op->change_count && r == 0; i++) {
        struct change *c = &op->changes[i];
        struct intent *intent = op_add_intent(op);

        intent->name = c->old_name;
        intent->id = c->id;
        intent->location = op_location(op, c->partition);
        intent->acl = c->old_acl;
    }
    return r;
}

static int now_resume(struct mboxop *op)
{
    const struct intent *intent = &op->intents[0];
    struct change *c = op_add_change(op);

    c->old_name = op->name;
    c->id = intent->id;
    c->partition = op_partition(op, intent->location);
    c->acl = c->old_acl = intent->acl;
    return 0;
}

static int now_commit(struct mboxop *op, struct mboxlist_txn *txn)
{
    int r = 0;

    for (size_t i = 0; i < op->change_count && r == 0; i++) {
        r = mboxlist_txn_delete(txn, op->changes[i].old_name, true);
        if (r == ERR_NOTFOUND) /* recovery, and somebody has mended the list by hand */
            r = 0;
        if (r == 0)
            r = annotations_txn_drop(txn, op->changes[i].id);
        if (r == 0)
            r = op_commit_no_user(op, txn, op->changes[i].old_name);
    }
    return r;
}

static int now_finish(struct mboxop *op)
{
    const struct change *c = &op->changes[op->at];
    int r;

    if (op->at == op->change_count)
        return 0;
    r = mailbox_delete(op->env->store, c->partition, c->id);
    if (r == 0)
        r = seen_forget_mailbox(op->env->store, c->id);
    if (r == 0)
        r = drop_root(op, c->old_name);
    if (r == 0)
        r = op_forget_user(op, c->old_name);
    if (r != 0)
        return r;
    op->at++;
    return 1;
}

static const enum op_stage now_plan[] = {STAGE_CONNECT, STAGE_LOCK,   STAGE_LEFT, STAGE_PREPARE,
                                         STAGE_RESERVE, STAGE_COMMIT, STAGE_FIND, STAGE_DELETE,
                                         STAGE_FINISH,  STAGE_CLEAR,  STAGE_DONE};
static const enum op_stage now_begun_plan[] = {STAGE_RESERVE, STAGE_COMMIT, STAGE_FIND, STAGE_DELETE,
                                               STAGE_FINISH,  STAGE_CLEAR,  STAGE_DONE};
static const enum op_stage now_finish_plan[] = {STAGE_FIND, STAGE_DELETE, STAGE_FINISH, STAGE_CLEAR,
                                                STAGE_DONE};
static const enum op_stage now_undo_plan[] = {STAGE_UNDO_ACTIVATE, STAGE_CLEAR, STAGE_DONE};

const struct op_kind op_delete_now = {
    .name = "delete",
    .operation = INTENT_DELETE,
    .plan = now_plan,
    .undo_plan = now_undo_plan,
    .begun_plan = now_begun_plan,
    .finish_plan = now_finish_plan,
    .prepare = now_prepare,
    .resume = now_resume,
    .commit = now_commit,
    .finish = now_finish,
};

/* Recovery of one that died behind its commit asks the master too; it deletes there only what is said to be here and
 * is not. */
static const enum op_stage here_plan[] = {STAGE_LOCK,   STAGE_LEFT,  STAGE_PREPARE, STAGE_COMMIT,
                                          STAGE_FINISH, STAGE_CLEAR, STAGE_DONE};
static const enum op_stage here_undo_plan[] = {STAGE_CLEAR, STAGE_DONE};

const struct op_kind op_delete_here = {
    .name = "delete here",
    .operation = INTENT_DELETE,
    .plan = here_plan,
    .undo_plan = here_undo_plan,
    .prepare = now_prepare,
    .commit = now_commit,
    .finish = now_finish,
};

/* ---- later: a rename to DELETED.name.stamp ---- */

/* In the intent, as its ACL. */
#define ASIDE "aside"

/* What is deleted already (and set aside) gets another stamp. */
static int deleted_name(struct mboxop *op, const char *name, int64_t stamp, struct buf *deleted)
{
    struct buf former = BUF_INIT;
    int64_t when;
    int r;

    if (mboxname_from_deleted(op->env->config, name, &former, &when))
        name = former.data;
    r = mboxname_to_deleted(op->env->config, name, stamp, deleted);
    buf_free(&former);
    return r;
}

static int set_deleted_names(struct mboxop *op, int64_t stamp)
{
    struct buf name = BUF_INIT;
    int r = 0;

    for (size_t i = 0; i < op->change_count && r == 0; i++) {
        buf_reset(&name);
        r = deleted_name(op, op->changes[i].old_name, stamp, &name);
        op->changes[i].new_name = pool_strdup(op->pool, buf_cstr(&name));
    }
    buf_free(&name);
    return r;
}

/* 1: one of the new names is taken. */
static int any_taken(struct mboxop *op)
{
    struct mboxlist_record record;

    for (size_t i = 0; i < op->change_count; i++) {
        int r = mboxlist_lookup(op->env->list, op->changes[i].new_name, op->pool, &record);

        if (r != ERR_NOTFOUND)
            return r == 0 ? 1 : r;
    }
    return 0;
}

static int later_prepare(struct mboxop *op)
{
    int64_t stamp = clock_wall();
    int r = collect(op), taken = 1;
    struct intent *intent;

    /* a second deletion of the name within a second takes the next second */
    for (; r == 0 && taken == 1; stamp++) {
        r = set_deleted_names(op, stamp);
        taken = r == 0 ? any_taken(op) : r;
    }
    if (r == 0)
        r = taken;
    if (r != 0)
        return r;
    op->to = op->changes[0].new_name;
    intent = op_add_intent(op);
    intent->new_name = op->to;
    if (op->flags & MBOXOP_SET_ASIDE)
        intent->acl = ASIDE;
    return 0;
}

/* After the commit: the mailboxes in the DELETED hierarchy that bear the stamp. */
static int collect_deleted(struct mboxop *op, int64_t stamp)
{
    const struct name_config *config = op->env->config;
    size_t domain = (size_t)(mboxname_local(op->name, NULL) - op->name);
    const char *prefix =
        pool_printf(op->pool, "%.*s%s.%s", (int)domain, op->name, config->deletedprefix, op->name + domain);
    struct mboxlist_iter *it = mboxlist_iter_all(op->env->list, prefix, MBOXLIST_TYPE_BIT(MBOXLIST_LOCAL));
    const struct mboxlist_record *record;
    struct buf old = BUF_INIT;
    int64_t when;
    int r;

    while ((r = mboxlist_iter_next(it, &record)) == 1) {
        struct change *c;

        buf_reset(&old);
        if (!mboxname_from_deleted(config, record->name, &old, &when) || when != stamp ||
            (strcmp(old.data, op->name) != 0 && !mboxname_is_below(old.data, op->name)))
            continue;
        c = op_add_record(op, record);
        c->old_name = pool_strdup(op->pool, old.data);
        c->new_name = pool_strdup(op->pool, record->name);
    }
    mboxlist_iter_free(&it);
    buf_free(&old);
    return r;
}

/* One mailbox: under its old name, or already under the new one. */
static int resume_aside(struct mboxop *op)
{
    int r = op_collect(op, op->intents[0].phase == PHASE_COMMITTED ? op->to : op->name, false);

    op->flags |= MBOXOP_SET_ASIDE;
    if (r != 0)
        return r;
    op->changes[0].old_name = op->name;
    op->changes[0].new_name = op->to;
    return 0;
}

static int later_resume(struct mboxop *op)
{
    struct buf old = BUF_INIT;
    int64_t stamp;
    bool ok = mboxname_from_deleted(op->env->config, op->to, &old, &stamp);
    int r;

    buf_free(&old);
    if (!ok) /* nothing that we wrote: let it go */
        return ERR_NOTFOUND;
    if (strcmp(op->intents[0].acl, ASIDE) == 0)
        return resume_aside(op);
    if (op->intents[0].phase == PHASE_COMMITTED)
        return collect_deleted(op, stamp);
    r = collect(op);
    return r == 0 ? set_deleted_names(op, stamp) : r;
}

static int later_commit(struct mboxop *op, struct mboxlist_txn *txn)
{
    int r = op->flags & MBOXOP_SET_ASIDE ? 0 : op_commit_no_user(op, txn, op->name);

    for (size_t i = 0; i < op->change_count && r == 0; i++)
        r = op_commit_rename(op, txn, &op->changes[i]);
    return r;
}

static int later_finish(struct mboxop *op)
{
    const struct change *c = &op->changes[op->at];
    int r;

    if (op->at == op->change_count)
        return op->flags & MBOXOP_SET_ASIDE ? 0 : op_forget_user(op, op->name);
    r = drop_root(op, c->old_name);
    if (r == 0)
        r = op_adjust_mailbox(op, c);
    if (r != 0)
        return r;
    op->at++;
    return 1;
}

static const enum op_stage later_plan[] = {STAGE_CONNECT, STAGE_LOCK,   STAGE_LEFT,     STAGE_PREPARE,
                                           STAGE_RESERVE, STAGE_COMMIT, STAGE_ACTIVATE, STAGE_FIND,
                                           STAGE_DELETE,  STAGE_FINISH, STAGE_CLEAR,    STAGE_DONE};
static const enum op_stage later_finish_plan[] = {STAGE_ACTIVATE, STAGE_FIND,  STAGE_DELETE,
                                                  STAGE_FINISH,   STAGE_CLEAR, STAGE_DONE};
static const enum op_stage later_undo_plan[] = {STAGE_UNDO_FIND, STAGE_UNDO_DELETE, STAGE_CLEAR, STAGE_DONE};

const struct op_kind op_delete_later = {
    .name = "delete",
    .operation = INTENT_DELETE,
    .plan = later_plan,
    .undo_plan = later_undo_plan,
    .begun_plan = later_undo_plan,
    .finish_plan = later_finish_plan,
    .prepare = later_prepare,
    .resume = later_resume,
    .commit = later_commit,
    .finish = later_finish,
};
