/* adopt.c: a mailbox whose files are here, and that the list does not know (any more), gets its name again.  Nothing here
 * removes a file: what fails, or is undone, leaves the directory as it was found. */
#include <string.h>

#include "imap/mboxop/op-private.h"
#include "imap/store/listed.h"
#include "imap/store/mailbox.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/mboxlist/quota.h"
#include "lib/mboxlist/special-use.h"

struct mboxop *mboxop_adopt(const struct mboxop_env *env, const char *name, const char *partition,
                            const char *id)
{
    struct mboxop *op = op_new(env, &op_adopt, name, NULL);

    op->partition = pool_strdup(op->pool, partition);
    op->uniqueid = pool_strdup(op->pool, id);
    return op;
}

/* ---- prepare ---- */

/* The name was free and the directory nobody's before the lock was taken; others may have been at work. */
static int check_lost(struct mboxop *op)
{
    struct mboxlist_record record;
    int r = mboxname_is_deleted(op->env->config, op->name) ? mboxname_check(op->name)
                                                           : mboxname_check_new(op->env->config, op->name);

    if (r == 0)
        r = mboxlist_lookup_id(op->env->list, op->uniqueid, op->pool, &record);
    if (r != ERR_NOTFOUND)
        return r == 0 ? ERR_NOTFOUND : r;
    r = mboxlist_lookup(op->env->list, op->name, op->pool, &record);
    if (r != 0)
        return r == ERR_NOTFOUND ? 0 : r;
    return MBOXLIST_TYPE_BIT(record.type) & MBOXLIST_TYPES_ACTIVE ? ERR_EXISTS : 0;
}

/* As CREATE would give it; but a user's mailbox is the user's, and a list that was there and is not known
 * may have kept everybody out. */
static const char *acl_unknown(struct mboxop *op, bool was_known)
{
    struct mboxlist_record ancestor;
    bool has = env_nearest(op->env, op->name, op->pool, &ancestor) == 0;
    struct buf owner = BUF_INIT, name = BUF_INIT, acl = BUF_INIT;

    buf_puts(&name, op->name);
    if (mboxname_owner(op->env->config, op->name, &owner)) {
        if (!has) {
            buf_reset(&name);
            mboxname_inbox(op->env->config, buf_cstr(&owner), &name);
        }
        was_known = false;
    }
    if (!was_known)
        acl_for_new(op->env->config, buf_cstr(&name), has ? ancestor.acl : NULL, &acl);
    op->acl = pool_strdup(op->pool, buf_cstr(&acl));
    LOG(LOG_WARNING, MBOXOP_ACL, LOG_STR(MAILBOX, op->name), LOG_STR(VALUE, op->acl));
    buf_free(&owner);
    buf_free(&name);
    buf_free(&acl);
    return op->acl;
}

/* Another mailbox of the user may have got the use since. */
static const char *special_use_left(struct mboxop *op, const char *special_use)
{
    const struct mboxlist_record record = {.special_use = special_use};
    struct buf owner = BUF_INIT, inbox = BUF_INIT;
    const char *uses, *holder;

    if (special_use == NULL || strlen(special_use) > MBOXLIST_SPECIAL_USE_MAX)
        return "";
    if (mboxname_owner(op->env->config, op->name, &owner) &&
        mboxname_inbox(op->env->config, buf_cstr(&owner), &inbox) == 0) {
        uses = mboxlist_special_use(&record, buf_cstr(&owner), op->pool);
        if (*uses != '\0' && special_use_holder(op->env->list, buf_cstr(&inbox), buf_cstr(&owner), uses,
                                                op->name, op->pool, &holder) != ERR_NOTFOUND)
            special_use = "";
    }
    buf_free(&owner);
    buf_free(&inbox);
    return special_use;
}

static int read_header(struct mboxop *op, struct mailbox_listed *listed, struct mailbox_header *header)
{
    int r = mailbox_listed_read(op->env->store, op->partition, op->uniqueid, op->pool, listed, header);

    if (r == 0 && (strcmp(header->unique_id, op->uniqueid) != 0 || header->uidvalidity == 0))
        r = ERR_CORRUPT;
    return r;
}

static int adopt_prepare(struct mboxop *op)
{
    struct mailbox_listed listed;
    struct mailbox_header header;
    struct intent *intent;
    struct change *c;
    int r = check_lost(op);

    if (r == 0)
        r = read_header(op, &listed, &header);
    if (r != 0)
        return r;
    c = op_add_change(op);
    c->new_name = op->name;
    c->id = op->uniqueid;
    c->partition = op->partition;
    c->uidvalidity = header.uidvalidity;
    c->acl = listed.acl;
    if (c->acl == NULL || acl_check(op->env->config, c->acl) != 0)
        c->acl = acl_unknown(op, listed.name != NULL);
    c->old_acl = c->acl;
    c->special_use = special_use_left(op, listed.special_use);
    intent = op_add_intent(op);
    intent->id = c->id;
    intent->location = op_location(op, c->partition);
    intent->acl = c->acl;
    return 0;
}

/* Kept, unless the name has had that one or a greater one before: UIDs may have been given there that the files found do not
 * know of (they may come from a backup).  What is given later must be greater. */
static int adopt_record(struct mboxop *op, struct mboxlist_txn *txn)
{
    struct change *c = &op->changes[0];
    struct mboxlist_record tombstone;
    uint32_t ignored;

    if (mboxlist_tombstone(op->env->list, op->name, op->pool, &tombstone) == 0 &&
        tombstone.uidvalidity >= c->uidvalidity)
        return op_new_uidvalidity(op, txn, op->name, &c->uidvalidity);
    return c->uidvalidity < clock_wall() ? 0 : mboxlist_txn_uidvalidity(txn, c->uidvalidity, &ignored);
}

/* ---- commit ---- */

/* Is a mailbox of the list governed by that root, or would be? */
static int is_in_use(struct mboxop *op, const char *root)
{
    bool domain = root[0] != '\0' && root[strlen(root) - 1] == '!';
    struct mboxlist_iter *it = mboxlist_iter_all(op->env->list, root, MBOXLIST_TYPE_BIT(MBOXLIST_LOCAL));
    const struct mboxlist_record *record;
    int r;

    while ((r = mboxlist_iter_next(it, &record)) == 1)
        if (domain || strcmp(record->name, root) == 0 || mboxname_is_below(record->name, root))
            break;
    mboxlist_iter_free(&it);
    return r;
}

/* The quota root of a tree of which nothing is in the list comes back with the first of its mailboxes; where some are, their
 * root was taken away, or they never had one. */
static int restore_root(struct mboxop *op, struct mboxlist_txn *txn, const struct mailbox_header *header,
                        const struct mailbox_listed *listed)
{
    struct quota_limits limits;
    int r;

    if (header->quota_root[0] == '\0' || !listed->has_limits ||
        quota_limits_get(op->env->list, header->quota_root, &limits) != ERR_NOTFOUND)
        return 0;
    r = is_in_use(op, header->quota_root);
    if (r == 0)
        r = quota_txn_limits_set(txn, header->quota_root, &listed->limits);
    return r == 1 ? 0 : r;
}

static int adopt_commit(struct mboxop *op, struct mboxlist_txn *txn)
{
    const struct change *c = &op->changes[0];
    struct mailbox_listed listed;
    struct mailbox_header header;
    int r = read_header(op, &listed, &header);

    const struct mboxlist_record record = {
        .name = op->name,
        .type = MBOXLIST_LOCAL,
        .id = c->id,
        .partition = c->partition,
        .acl = c->acl,
        .special_use = c->special_use,
        .uidvalidity = c->uidvalidity,
        .created_modseq = r == 0 ? header.created_modseq : 1,
        .folder_modseq = r == 0 ? header.folder_modseq : 1,
    };

    if (r == 0)
        r = restore_root(op, txn, &header, &listed);
    return r == 0 ? mboxlist_txn_put(txn, &record) : r;
}

static int adopt_finish(struct mboxop *op)
{
    int r = op->change_count > 0 ? op_adjust_mailbox(op, &op->changes[0]) : 0;

    if (r == 0 && op->change_count > 0)
        LOG(LOG_NOTICE, MBOXOP_ADOPTED, LOG_STR(MAILBOX, op->name), LOG_STR(VALUE, op->changes[0].id));
    return r;
}

/* ---- recovery ---- */

static int adopt_resume(struct mboxop *op)
{
    const struct intent *intent = &op->intents[0];
    struct change *c;

    if (intent->phase == PHASE_COMMITTED) {
        int r = op_collect(op, op->name, false);

        if (r == 0)
            op->changes[0].new_name = op->name;
        if (r == 0)
            op->changes[0].old_name = NULL;
        return r;
    }
    c = op_add_change(op);
    c->new_name = op->name;
    c->id = intent->id;
    c->partition = op_partition(op, intent->location);
    c->acl = c->old_acl = intent->acl;
    return 0;
}

static const enum op_stage plan[] = {STAGE_CONNECT, STAGE_LOCK,   STAGE_LEFT,   STAGE_PREPARE,
                                     STAGE_RESERVE, STAGE_COMMIT, STAGE_FINISH, STAGE_ACTIVATE,
                                     STAGE_CLEAR,   STAGE_DONE};
static const enum op_stage undo_plan[] = {STAGE_UNDO_FIND, STAGE_UNDO_DELETE, STAGE_CLEAR, STAGE_DONE};
static const enum op_stage finish_plan[] = {STAGE_FINISH, STAGE_ACTIVATE, STAGE_CLEAR, STAGE_DONE};

const struct op_kind op_adopt = {
    .name = "adopt",
    .operation = INTENT_ADOPT,
    .plan = plan,
    .undo_plan = undo_plan,
    .begun_plan = undo_plan,
    .finish_plan = finish_plan,
    .prepare = adopt_prepare,
    .record = adopt_record,
    .resume = adopt_resume,
    .commit = adopt_commit,
    .finish = adopt_finish,
};
