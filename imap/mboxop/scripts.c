/* scripts.c: a user's Sieve scripts go where the user goes (doc/formats/sieve-scripts.md). */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "imap/mboxop/op-private.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/name/scriptdir.h"

/* Trouble with scripts is told, and holds up no operation on mailboxes. */
static void complain(const char *path, int r)
{
    if (r < 0)
        LOG(LOG_ERR, MBOXOP_SCRIPTS, LOG_STR(FILE, path), LOG_ERROR(r));
}

void op_remove_scripts(const struct mboxop_env *env, const char *userid)
{
    struct buf path = BUF_INIT;

    if (!opt_switch(OPT_SIEVEUSEHOMEDIR) && scriptdir_user(env->config, userid, &path) == 0)
        complain(buf_cstr(&path), file_remove_tree(buf_cstr(&path)));
    buf_free(&path);
}

/* What is in the way belonged to nobody: the name was free. */
static int move_directory(const char *from, const char *to)
{
    int r = file_remove_tree(to);

    if (r == 0)
        r = file_make_parents(to, 0700, 1);
    if (r == 0 && rename(from, to) < 0)
        r = error_from_errno(errno);
    if (r == 0)
        r = file_sync_parent(to);
    return r == 0 ? file_sync_parent(from) : r;
}

void op_move_scripts(const struct mboxop_env *env, const char *from, const char *to)
{
    struct buf old = BUF_INIT, new = BUF_INIT;

    /* one that is not there has moved already, or never was */
    if (!opt_switch(OPT_SIEVEUSEHOMEDIR) && scriptdir_user(env->config, from, &old) == 0 &&
        scriptdir_user(env->config, to, &new) == 0 && access(buf_cstr(&old), F_OK) == 0)
        complain(buf_cstr(&old), move_directory(buf_cstr(&old), buf_cstr(&new)));
    buf_free(&old);
    buf_free(&new);
}
