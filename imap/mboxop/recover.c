#include <stdlib.h>

#include "imap/mboxop/op-private.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

struct left {
    const struct mboxop_env *env;
    struct mboxop **ops;
    size_t count;
};

static int note(const struct intent *intent, void *context)
{
    struct left *left = context;
    struct mboxop *op = op_resume(left->env, intent);

    if (op != NULL) {
        left->ops = xreallocarray(left->ops, left->count + 1, sizeof(*left->ops));
        left->ops[left->count++] = op;
    }
    return 0;
}

/* One operation of the dead; one whose lock is held is alive and left alone.  1: brought to its end; 0: alive;
 * or why it must be left for later. */
static int bring_to_end(struct mboxop *op)
{
    enum mboxop_verdict verdict;
    int r = op_lock(op);

    if (r != 0)
        return r == ERR_AGAIN ? 0 : r;
    while ((verdict = mboxop_step(op)) != MBOXOP_DONE)
        if (verdict == MBOXOP_WAIT)
            op_wait(op);
    return op->recorded ? op->trouble : 1;
}

int mboxop_recover(const struct mboxop_env *env, unsigned *done_r)
{
    struct left left = {.env = env};
    unsigned done = 0;
    int r;

    if (env->link != NULL && !mupdate_link_is_up(env->link))
        return ERR_UNAVAILABLE;
    r = intent_each(env->list, note, &left);
    for (size_t i = 0; i < left.count; i++) {
        /* one that cannot be ended must not hold up the others; without a master none can */
        int one = r != ERR_UNAVAILABLE ? bring_to_end(left.ops[i]) : 0;

        done += one == 1;
        if (one < 0 && (r >= 0 || one == ERR_UNAVAILABLE))
            r = one;
        mboxop_free(&left.ops[i]);
    }
    free(left.ops);
    if (done > 0)
        LOG(LOG_NOTICE, MBOXOP_RECOVERED, LOG_INT(COUNT, done));
    if (done_r != NULL)
        *done_r = done;
    return r;
}

/* ---- the keeper ---- */

enum { KEEPER_MAGIC = 0x6b656570 };

struct mboxop_keeper {
    unsigned magic;
    const struct mboxop_env *env;
    int (*push)(const struct mboxop_env *env, void *context);
    void *context;
    struct lock *lock; /* of mupdate.lock; held until this process retires */
    bool pushed;       /* since the master was away last */
};

struct mboxop_keeper *mboxop_keeper_new(const struct mboxop_env *env,
                                        int (*push)(const struct mboxop_env *env, void *context),
                                        void *context)
{
    struct mboxop_keeper *keeper = xcalloc(1, sizeof(*keeper));

    keeper->magic = KEEPER_MAGIC;
    keeper->env = env;
    keeper->push = push;
    keeper->context = context;
    return keeper;
}

static bool has_lock(struct mboxop_keeper *keeper)
{
    struct buf path = BUF_INIT;

    if (keeper->lock == NULL) {
        config_path(&path, "mupdate.lock");
        lock_acquire_path(path.data, 0, &keeper->lock);
        buf_free(&path);
    }
    return keeper->lock != NULL;
}

void mboxop_keeper_tick(struct mboxop_keeper *keeper)
{
    MAGIC_CHECK(keeper, KEEPER_MAGIC);
    if (!has_lock(keeper))
        return;
    if (keeper->env->link != NULL && !mupdate_link_is_up(keeper->env->link)) {
        keeper->pushed = false;
        return;
    }
    mboxop_recover(keeper->env, NULL);
    if (keeper->env->link != NULL && !keeper->pushed && keeper->push != NULL)
        keeper->pushed = keeper->push(keeper->env, keeper->context) == 0;
}

void mboxop_keeper_rest(struct mboxop_keeper *keeper)
{
    MAGIC_CHECK(keeper, KEEPER_MAGIC);
    lock_release(&keeper->lock);
    keeper->pushed = false;
}

void mboxop_keeper_free(struct mboxop_keeper **keeper)
{
    if (*keeper == NULL)
        return;
    lock_release(&(*keeper)->lock);
    free(*keeper);
    *keeper = NULL;
}
