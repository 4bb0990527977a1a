#include <string.h>

#include "imap/mboxop/op-private.h"
#include "imap/store/annotate.h"
#include "imap/store/mailbox.h"
#include "imap/store/seen.h"
#include "lib/base/error.h"
#include "lib/mboxlist/annotations.h"
#include "lib/mboxlist/quota.h"
#include "lib/mboxlist/subs.h"

struct mboxop *mboxop_rename(const struct mboxop_env *env, const char *from, const char *to,
                             const char *partition, unsigned flags)
{
    bool move = partition != NULL && strcmp(from, to) == 0;
    struct mboxop *op = op_new(env, move ? &op_move : &op_rename, from, move ? NULL : to);

    op->partition = partition != NULL ? pool_strdup(op->pool, partition) : NULL;
    op->flags = flags;
    return op;
}

/* A user gets another name. */
static bool is_user(const struct mboxop *op)
{
    return mboxname_is_inbox(op->name) && mboxname_is_inbox(op->to);
}

/* RFC 3501 6.3.5: the INBOX's messages move to a new mailbox; the INBOX stays, empty.  The files stay where
 * they are: the mailbox takes the new name, and a new one the INBOX's. */
static bool is_inbox_move(const struct mboxop *op)
{
    return mboxname_is_inbox(op->name) && !mboxname_is_inbox(op->to);
}

/* ---- prepare ---- */

static int check_target(struct mboxop *op, const char *name)
{
    struct mboxlist_record record;
    int r = mboxname_check_new(op->env->config, name);

    if (r != 0)
        return r;
    r = mboxlist_lookup(op->env->list, name, op->pool, &record);
    return r == 0 ? ERR_EXISTS : r == ERR_NOTFOUND ? 0 : r;
}

/* A user's tree: his entry in each ACL and his special uses go with him. */
static void rename_user(struct mboxop *op, struct change *c, const char *special_use)
{
    struct buf from = BUF_INIT, to = BUF_INIT;

    if (mboxname_owner(op->env->config, op->name, &from) && mboxname_owner(op->env->config, op->to, &to)) {
        c->acl = op_rename_identifier(op->pool, c->acl, from.data, to.data);
        c->special_use = op_rename_identifier(op->pool, special_use, from.data, to.data);
    }
    buf_free(&from);
    buf_free(&to);
}

static int set_new_name(struct mboxop *op, struct change *c)
{
    const char *special_use = c->special_use;
    struct buf name = BUF_INIT;
    int r = mboxname_rebase(c->old_name, op->name, op->to, &name);

    c->new_name = pool_strdup(op->pool, buf_cstr(&name));
    buf_free(&name);
    c->special_use = NULL; /* SETMETADATA asks for no lock: it may still change */
    if (is_user(op))
        rename_user(op, c, special_use);
    return r;
}

/* Mailboxes that come under another quota root count there; the tree's own roots go with it. */
static int check_quota(struct mboxop *op)
{
    struct buf from = BUF_INIT, to = BUF_INIT;
    uint64_t coming = 0;
    int r = quota_root_of(op->env->list, op->to, &to);

    for (size_t i = 0; i < op->change_count && r == 0; i++) {
        buf_reset(&from);
        r = quota_root_of(op->env->list, op->changes[i].old_name, &from);
        if (r == ERR_NOTFOUND)
            r = 0;
        if (r == 0 && strcmp(buf_cstr(&from), buf_cstr(&to)) != 0 && strcmp(buf_cstr(&from), op->name) != 0 &&
            !mboxname_is_below(buf_cstr(&from), op->name))
            coming++;
    }
    buf_free(&from);
    buf_free(&to);
    if (r == 0 && coming > 0)
        r = op_check_quota(op, op->to, coming);
    return r == ERR_NOTFOUND ? 0 : r;
}

static int prepare_tree(struct mboxop *op)
{
    int r = op_collect(op, op->name, !(op->flags & MBOXOP_NO_RECURSE));

    if (r == 0 && (strcmp(op->to, op->name) == 0 || mboxname_is_below(op->to, op->name)))
        r = strcmp(op->to, op->name) == 0 ? ERR_EXISTS : ERR_BADNAME;
    for (size_t i = 0; i < op->change_count && r == 0; i++) {
        r = set_new_name(op, &op->changes[i]);
        if (r == 0)
            r = check_target(op, op->changes[i].new_name);
    }
    return r == 0 ? check_quota(op) : r;
}

static int prepare_inbox_move(struct mboxop *op)
{
    int r = op_collect(op, op->name, false);
    char id[MAILBOX_ID_SIZE];

    if (r == 0)
        r = check_target(op, op->to);
    if (r == 0)
        r = op_check_quota(op, op->to, 1);
    if (r != 0)
        return r;
    mailbox_id_new(id);
    op->uniqueid = pool_strdup(op->pool, id);
    op->changes[0].old_name = NULL; /* the master keeps it as it is */
    op->changes[0].new_name = op->to;
    return 0;
}

static int rename_prepare(struct mboxop *op)
{
    int r = is_inbox_move(op) ? prepare_inbox_move(op) : prepare_tree(op);
    struct intent *intent;

    if (r != 0)
        return r;
    if (op->partition != NULL && strcmp(op->partition, op->changes[0].partition) != 0)
        return ERR_UNSUPPORTED;
    intent = op_add_intent(op);
    intent->new_name = op->to;
    if (is_inbox_move(op)) {
        intent->id = op->uniqueid;
        intent->location = op_location(op, op->changes[0].partition);
    }
    return 0;
}

/* UIDVALIDITY is kept, unless the new name has had that one or a greater one before. */
static int rename_record(struct mboxop *op, struct mboxlist_txn *txn)
{
    struct mboxlist_record tombstone;
    int r = 0;

    for (size_t i = 0; i < op->change_count && r == 0; i++) {
        struct change *c = &op->changes[i];

        if (mboxlist_tombstone(op->env->list, c->new_name, op->pool, &tombstone) == 0 &&
            tombstone.uidvalidity >= c->uidvalidity)
            r = op_new_uidvalidity(op, txn, c->new_name, &c->uidvalidity);
    }
    if (r == 0 && is_inbox_move(op))
        r = op_new_uidvalidity(op, txn, op->name, &op->uidvalidity);
    return r;
}

/* ---- recovery ---- */

static int collect_renamed(struct mboxop *op)
{
    int r = op_collect(op, op->to, !is_inbox_move(op));
    struct buf old = BUF_INIT;

    for (size_t i = 0; i < op->change_count && r == 0; i++) {
        struct change *c = &op->changes[i];

        c->new_name = c->old_name;
        c->old_name = NULL;
        if (is_inbox_move(op))
            continue;
        buf_reset(&old);
        r = mboxname_rebase(c->new_name, op->to, op->name, &old);
        c->old_name = pool_strdup(op->pool, buf_cstr(&old));
    }
    buf_free(&old);
    return r;
}

static int rename_resume(struct mboxop *op)
{
    const struct intent *intent = &op->intents[0];
    int r;

    op->uniqueid = intent->id;
    op->partition = op_partition(op, intent->location);
    if (intent->phase == PHASE_COMMITTED)
        return collect_renamed(op);
    r = op_collect(op, op->name, !is_inbox_move(op));
    for (size_t i = 0; i < op->change_count && r == 0; i++)
        r = set_new_name(op, &op->changes[i]);
    return r;
}

/* ---- doing it ---- */

static int rename_build(struct mboxop *op)
{
    const struct mboxlist_record inbox = {.name = op->name,
                                          .id = op->uniqueid,
                                          .partition = op->changes[0].partition,
                                          .acl = op->changes[0].acl,
                                          .special_use = op->changes[0].special_use,
                                          .uidvalidity = op->uidvalidity};

    return is_inbox_move(op) ? op_make_mailbox(op, &inbox) : 0;
}

static int rename_undo(struct mboxop *op)
{
    if (!is_inbox_move(op))
        return 0;
    return mailbox_delete(op->env->store, op_partition(op, op->intents[0].location), op->uniqueid);
}

static int commit_inbox_move(struct mboxop *op, struct mboxlist_txn *txn)
{
    struct change moved = op->changes[0];
    struct mboxlist_record inbox;
    int r;

    moved.old_name = op->name;
    r = mboxlist_txn_lookup(txn, op->name, op->pool, &inbox);
    if (r == 0)
        r = op_commit_rename(op, txn, &moved);
    if (r != 0)
        return r;
    r = annotations_txn_copy(txn, inbox.id, op->uniqueid);
    if (r != 0)
        return r;
    inbox.id = op->uniqueid;
    inbox.uidvalidity = op->uidvalidity;
    inbox.mtime = 0;
    return mboxlist_txn_put(txn, &inbox);
}

/* A user's annotations, and his subscriptions: who has them, and to what. */
static int commit_user(struct mboxop *op, struct mboxlist_txn *txn)
{
    struct buf from = BUF_INIT, to = BUF_INIT;
    int r;

    mboxname_owner(op->env->config, op->name, &from);
    mboxname_owner(op->env->config, op->to, &to);
    r = mboxlist_txn_subs_rekey(txn, buf_cstr(&from), buf_cstr(&to));
    if (r == 0)
        r = annotations_txn_rekey(txn, buf_cstr(&from), buf_cstr(&to));
    if (r == 0)
        r = mboxlist_txn_subs_rename(txn, buf_cstr(&to), op->name, op->to);
    buf_free(&from);
    buf_free(&to);
    return r;
}

static int rename_commit(struct mboxop *op, struct mboxlist_txn *txn)
{
    int r = 0;

    if (is_inbox_move(op))
        return commit_inbox_move(op, txn);
    for (size_t i = 0; i < op->change_count && r == 0; i++)
        r = op_commit_rename(op, txn, &op->changes[i]);
    if (r == 0 && !(op->flags & MBOXOP_NO_RECURSE))
        r = quota_txn_roots_rename(txn, op->name, op->to);
    if (r == 0 && is_user(op))
        r = commit_user(op, txn);
    return r;
}

/* What he has seen of one mailbox of others. */
static int rename_seen(struct mboxop *op, const char *id, const char *from, const char *to)
{
    struct seen_state state;
    int r = seen_get(op->env->store, id, from, &state);
    bool any;

    if (r != 0)
        return r;
    any = state.recent_uid != 0 || state.uids.count > 0;
    uid_set_free(&state.uids);
    return any ? seen_merge(op->env->store, id, from, to) : 0;
}

/* His private annotations of the messages of one mailbox. */
static int rename_annotations(struct mboxop *op, const char *partition, const char *id, const char *from,
                              const char *to)
{
    struct mailbox *mailbox;
    int r = mailbox_open(op->env->store, partition, id, &mailbox);

    if (r == 0) {
        r = annotate_rekey(mailbox, from, to);
        mailbox_close(&mailbox);
    }
    /* damage is reconstruct's; it must not hold up the operation for ever */
    return r == ERR_NOTFOUND || r == ERR_CORRUPT || r == ERR_VERSION ? 0 : r;
}

static int finish_user(struct mboxop *op)
{
    struct buf from = BUF_INIT, to = BUF_INIT;
    const struct mboxlist_record *record;
    struct mboxlist_iter *it;
    int r = 0;

    mboxname_owner(op->env->config, op->name, &from);
    mboxname_owner(op->env->config, op->to, &to);
    op_move_scripts(op->env, buf_cstr(&from), buf_cstr(&to));
    for (size_t i = 0; i < op->change_count && r == 0; i++)
        r = rename_annotations(op, op->changes[i].partition, op->changes[i].id, buf_cstr(&from),
                               buf_cstr(&to));
    it =
        mboxlist_iter_visible(op->env->list, "", NULL, (const char *const[]){buf_cstr(&from), "anyone", NULL},
                              MBOXLIST_TYPE_BIT(MBOXLIST_LOCAL));
    while (r == 0 && (r = mboxlist_iter_next(it, &record)) == 1)
        if ((r = rename_seen(op, record->id, buf_cstr(&from), buf_cstr(&to))) == 0)
            r = rename_annotations(op, record->partition, record->id, buf_cstr(&from), buf_cstr(&to));
    mboxlist_iter_free(&it);
    buf_free(&from);
    buf_free(&to);
    return r;
}

static int rename_finish(struct mboxop *op)
{
    int r;

    if (op->at == op->change_count)
        return is_user(op) ? finish_user(op) : 0;
    r = op_adjust_mailbox(op, &op->changes[op->at]);
    if (r != 0)
        return r;
    op->at++;
    return 1;
}

static const enum op_stage plan[] = {
    STAGE_CONNECT,  STAGE_LOCK, STAGE_LEFT,   STAGE_PREPARE, STAGE_RESERVE, STAGE_BUILD, STAGE_COMMIT,
    STAGE_ACTIVATE, STAGE_FIND, STAGE_DELETE, STAGE_FINISH,  STAGE_CLEAR,   STAGE_DONE};
static const enum op_stage undo_plan[] = {STAGE_UNDO_FIND, STAGE_UNDO_DELETE, STAGE_UNDO, STAGE_CLEAR,
                                          STAGE_DONE};
static const enum op_stage finish_plan[] = {STAGE_ACTIVATE, STAGE_FIND,  STAGE_DELETE,
                                            STAGE_FINISH,   STAGE_CLEAR, STAGE_DONE};

const struct op_kind op_rename = {
    .name = "rename",
    .operation = INTENT_RENAME,
    .plan = plan,
    .undo_plan = undo_plan,
    .begun_plan = undo_plan,
    .finish_plan = finish_plan,
    .prepare = rename_prepare,
    .record = rename_record,
    .resume = rename_resume,
    .build = rename_build,
    .commit = rename_commit,
    .finish = rename_finish,
    .undo = rename_undo,
};
