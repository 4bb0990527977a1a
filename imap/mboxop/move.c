/* move.c: RENAME of a mailbox to itself on another partition, with all below it.
 *
 * Each mailbox goes by itself: at any moment it is whole on one partition, the one that the list says.  So there is
 * nothing to be undone but what a mailbox that has not gone left at its goal, and a failure in the middle leaves those
 * that have gone where they are. */
#include <string.h>

#include "imap/mboxop/op-private.h"
#include "imap/store/relocate.h"
#include "lib/base/config.h"
#include "lib/base/error.h"

#define PREFIX "partition-"

static int move_prepare(struct mboxop *op)
{
    size_t kept = 0;
    int r = op_collect(op, op->name, !(op->flags & MBOXOP_NO_RECURSE));

    if (r == 0 && config_partition(op->partition) == NULL)
        r = ERR_INVALID;
    for (size_t i = 0; r == 0 && i < op->change_count; i++) {
        struct change *c = &op->changes[i];

        c->new_name = c->old_name;
        if (strcmp(c->partition, op->partition) != 0)
            op->changes[kept++] = *c;
    }
    if (r != 0)
        return r;
    op->change_count = kept;
    if (kept == 0)
        return ERR_EXISTS;
    op_add_intent(op)->location = op_location(op, op->partition);
    return 0;
}

static int move_resume(struct mboxop *op)
{
    int r = op_collect(op, op->name, true);

    for (size_t i = 0; i < op->change_count; i++)
        op->changes[i].new_name = op->changes[i].old_name;
    return r;
}

/* ---- one mailbox ---- */

/* partition NULL: as it is. */
static int write_record(struct mboxop *op, const char *name, const char *partition, bool moving)
{
    struct mboxlist_record record;
    struct mboxlist_txn *txn;
    int r = mboxlist_begin(op->env->list, &txn);

    if (r != 0)
        return r;
    r = mboxlist_txn_lookup(txn, name, op->pool, &record);
    if (r == 0 && (partition != NULL || moving != ((record.flags & MBOXLIST_MOVING) != 0))) {
        record.flags ^= moving != ((record.flags & MBOXLIST_MOVING) != 0) ? MBOXLIST_MOVING : 0;
        if (partition != NULL) {
            record.partition = partition;
            record.mtime = 0;
        }
        r = mboxlist_txn_put(txn, &record);
        if (r == 0)
            return mboxlist_commit(&txn);
    }
    mboxlist_abort(&txn);
    return r;
}

/* The mark keeps others from looking for it at the old place in the instant when it is at neither. */
static int hand_over(struct mboxop *op, struct change *c)
{
    int r = write_record(op, c->old_name, NULL, true);

    if (r == 0)
        r = relocate_close(op->relocation);
    if (r == 0)
        r = write_record(op, c->old_name, op->partition, false);
    if (r != 0) {
        relocate_abort(&op->relocation);
        (void)write_record(op, c->old_name, NULL, false);
        return r;
    }
    relocate_finish(&op->relocation);
    c->partition = op->partition;
    return 0;
}

static int move_build(struct mboxop *op)
{
    struct change *c = &op->changes[op->at];
    int r;

    if (op->at == op->change_count)
        return 0;
    if (op->relocation == NULL) {
        r = relocate_begin(op->env->store, c->id, c->partition, op->partition, &op->relocation);
        return r == 0 ? 1 : r;
    }
    r = relocate_copy(op->relocation);
    if (r == 0)
        r = hand_over(op, c);
    else if (r > 0)
        return r;
    if (r < 0) {
        relocate_abort(&op->relocation);
        return r;
    }
    op->at++;
    return 1;
}

/* ---- what is left ---- */

struct cleaning {
    const struct mboxop *op;
    const struct change *c;
    int r;
};

static void clean_partition(const char *name, const char *directory, void *context)
{
    struct cleaning *cleaning = context;
    const struct change *c = cleaning->c;
    int r;

    (void)directory;
    name += strlen(PREFIX);
    if (cleaning->r != 0 || strcmp(name, c->partition) == 0)
        return;
    r = relocate_recover(cleaning->op->env->store, c->id, c->partition, name);
    if (r != ERR_NOTFOUND) /* its own partition is not configured any more */
        cleaning->r = r;
}

/* Also after a crash: which partition a mailbox came from is not written down, so all are looked at. */
static int move_clean(struct mboxop *op)
{
    for (size_t i = 0; i < op->change_count; i++) {
        struct cleaning cleaning = {.op = op, .c = &op->changes[i]};

        config_overflow_each(PREFIX, clean_partition, &cleaning);
        if (cleaning.r == 0)
            cleaning.r = write_record(op, op->changes[i].old_name, NULL, false);
        if (cleaning.r != 0)
            return cleaning.r;
    }
    return 0;
}

/* The last mailbox's commit was the commit. */
static int move_commit(struct mboxop *op, struct mboxlist_txn *txn)
{
    (void)op;
    (void)txn;
    return 0;
}

static const enum op_stage plan[] = {STAGE_CONNECT, STAGE_LOCK,   STAGE_LEFT,     STAGE_PREPARE, STAGE_BUILD,
                                     STAGE_COMMIT,  STAGE_FINISH, STAGE_ACTIVATE, STAGE_CLEAR,   STAGE_DONE};
static const enum op_stage undo_plan[] = {STAGE_UNDO, STAGE_ACTIVATE, STAGE_CLEAR, STAGE_DONE};

const struct op_kind op_move = {
    .name = "move",
    .operation = INTENT_MOVE,
    .plan = plan,
    .undo_plan = undo_plan,
    .begun_plan = undo_plan,
    .finish_plan = undo_plan,
    .prepare = move_prepare,
    .resume = move_resume,
    .build = move_build,
    .commit = move_commit,
    .finish = move_clean,
    .undo = move_clean,
};
