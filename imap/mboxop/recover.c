#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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

#define PUSH_FILE "mupdate.push"

void keeper_ask_push(void)
{
    struct buf path = BUF_INIT;
    int fd;

    config_path(&path, PUSH_FILE);
    fd = open(buf_cstr(&path), O_WRONLY | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd >= 0)
        close(fd);
    else
        LOG(LOG_ERR, MBOXOP_ASK, LOG_STR(FILE, buf_cstr(&path)), LOG_ERROR(error_from_errno(errno)));
    buf_free(&path);
}

/* Has somebody asked for a push?  Taken back. */
static bool push_is_asked(void)
{
    struct buf path = BUF_INIT;
    bool asked;

    config_path(&path, PUSH_FILE);
    asked = unlink(buf_cstr(&path)) == 0;
    buf_free(&path);
    return asked;
}

struct mboxop_keeper {
    unsigned magic;
    const struct mboxop_env *env;
    int (*push)(const struct mboxop_env *env, void *context);
    void *context;
    struct lock *lock; /* of mupdate.lock; held until this process retires */
    uint64_t pushed;   /* over which of the link's connections; 0: not yet */
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

/* Whenever there was an outage, and when somebody has asked for it. */
static void push_list(struct mboxop_keeper *keeper)
{
    uint64_t connection = mupdate_link_connections(keeper->env->link);
    int r;

    /* before the push: what happens in the middle of it asks for another */
    if (push_is_asked())
        keeper->pushed = 0;
    if (keeper->pushed == connection)
        return;
    r = keeper->push(keeper->env, keeper->context);
    if (r == 0 || r == ERR_LIMIT) /* a list that shrank: said once, not at every tick */
        keeper->pushed = connection;
}

void mboxop_keeper_tick(struct mboxop_keeper *keeper)
{
    struct mupdate_link *link = keeper->env->link;

    MAGIC_CHECK(keeper, KEEPER_MAGIC);
    if (!has_lock(keeper) || (link != NULL && !mupdate_link_is_up(link)))
        return;
    mboxop_recover(keeper->env, NULL);
    if (link != NULL && keeper->push != NULL)
        push_list(keeper);
}

void mboxop_keeper_rest(struct mboxop_keeper *keeper)
{
    MAGIC_CHECK(keeper, KEEPER_MAGIC);
    lock_release(&keeper->lock);
    keeper->pushed = 0;
}

void mboxop_keeper_free(struct mboxop_keeper **keeper)
{
    if (*keeper == NULL)
        return;
    lock_release(&(*keeper)->lock);
    free(*keeper);
    *keeper = NULL;
}
