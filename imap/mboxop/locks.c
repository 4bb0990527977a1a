#include <stdio.h>
#include <string.h>

#include "imap/mboxop/op-private.h"
#include "lib/base/config.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/options.h"
#include "lib/base/str.h"

void tree_root(const struct name_config *config, const char *name, struct buf *root)
{
    const char *local = mboxname_local(name, NULL), *rest = local;

    if (mboxname_is_deleted(config, name)) {
        rest += strlen(config->deletedprefix);
        rest += *rest == '.';
    }
    buf_append(root, name, (size_t)(local - name));
    if (str_has_prefix(rest, "user.")) {
        buf_puts(root, "user.");
        rest += 5;
    }
    buf_append(root, rest, strcspn(rest, "."));
}

void tree_lock_path(const char *root, struct buf *path)
{
    const char *dir = opt_string(OPT_MBOXNAME_LOCKPATH);
    unsigned char digest[DIGEST_SHA1_SIZE];
    char hex[2 * DIGEST_SHA1_SIZE + 1];

    if (dir != NULL)
        buf_printf(path, "%s/", dir);
    else
        config_path(path, "lock/");
    digest_sha1(root, strlen(root), digest);
    str_hex(hex, digest, sizeof(digest));
    buf_printf(path, "%.2s/%s.lock", hex, hex + 2);
}

static void add_root(struct mboxop *op, const char *name)
{
    struct buf root = BUF_INIT;

    if (name == NULL || name[0] == '\0')
        return;
    tree_root(op->env->config, name, &root);
    if (op->root_count == 0 || strcmp(op->roots[0], buf_cstr(&root)) != 0)
        op->roots[op->root_count++] = pool_strdup(op->pool, buf_cstr(&root));
    buf_free(&root);
}

/* In one order everywhere, so that two operations never wait for each other. */
static void set_roots(struct mboxop *op)
{
    add_root(op, op->name);
    add_root(op, op->to);
    if (op->root_count == 2 && strcmp(op->roots[0], op->roots[1]) > 0) {
        const char *first = op->roots[0];

        op->roots[0] = op->roots[1];
        op->roots[1] = first;
    }
}

/* A process that is killed while LMDB commits may leave readers without what it has committed, until the next writer
 * takes over its lock.  What has become of a dead operation decides which files go: it must be seen. */
static int see_last_commit(struct mboxop *op)
{
    struct mboxlist_txn *txn;
    int r = mboxlist_begin(op->env->list, &txn);

    if (r == 0)
        mboxlist_abort(&txn);
    return r;
}

int op_lock(struct mboxop *op)
{
    struct buf path = BUF_INIT;
    int r = 0;

    if (op->root_count == 0)
        set_roots(op);
    for (size_t i = 0; i < op->root_count && r == 0; i++) {
        if (op->locks[i] != NULL)
            continue;
        buf_reset(&path);
        tree_lock_path(op->roots[i], &path);
        r = lock_acquire_path(path.data, 0, &op->locks[i]);
    }
    buf_free(&path);
    if (r == 0)
        r = see_last_commit(op);
    return r == ERR_TIMEOUT ? ERR_AGAIN : r;
}

void op_unlock(struct mboxop *op)
{
    for (size_t i = 0; i < OP_LOCKS; i++)
        lock_release(&op->locks[i]);
}

bool op_covers(const struct mboxop *op, const char *name)
{
    struct buf root = BUF_INIT;
    bool covers = false;

    tree_root(op->env->config, name, &root);
    for (size_t i = 0; i < op->root_count; i++)
        covers |= op->locks[i] != NULL && strcmp(op->roots[i], buf_cstr(&root)) == 0;
    buf_free(&root);
    return covers;
}
